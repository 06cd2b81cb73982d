"""Writing a sample installation: its files, its loopback targets with keys of their own, its first commit."""

import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from opsconductor import ci, gitsettings
from opsconductor.authoring import editors
from opsconductor.exits import UsageError
from opsconductor.remembered import remember
from opsconductor.settings import StateFolder, default_state, parse_source
from schemas.reader import Authored, read


@dataclass(frozen=True, slots=True)
class Made:
    """What `init` made."""

    root: Path
    documents: int


def examples() -> tuple[str, ...]:
    """The samples that can be written."""
    folder = importlib.resources.files("definitions")
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("_")))


def write(
    directory: Path,
    example: str,
    state: Path | None = None,
    *,
    provider: str | None = None,
    package: str | None = None,
) -> Made:
    """Make the repository, with a CI file where a provider is given, which installs `package`.

    Raises UsageError where the folder is in use, or the sample or the provider does not exist.
    """
    import git

    if provider is not None and provider not in ci.PROVIDERS:
        raise UsageError(f"--ci {provider}: there are {', '.join(ci.PROVIDERS)}")
    if package is not None:
        if provider is None:
            raise UsageError("--package is what a CI file installs; give --ci too")
        ci.checked(package)
    if example not in examples():
        raise UsageError(f"there is no example {example!r}; there are {', '.join(examples())}")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not an empty folder; give a new one")
    files = dict(_files(importlib.resources.files("definitions") / example))
    root = directory.resolve()
    source = parse_source(str(directory))
    files = _with_loopback_targets(files, StateFolder(state.resolve() if state else default_state(source)))
    documents = sum(len(read(text.encode(), path).documents) for path, text in files.items())
    files = {path: _for_editors(path, text) for path, text in files.items()} | editors.settings()
    files |= dict([ci.file_for(provider, package)] if provider else [])
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    try:
        repo = git.Repo.init(root, initial_branch="main")
        repo.git.add("--all")
        repo.git.execute(["git", *_identity(repo), "commit", "--quiet", "-m", f"Start from the {example} sample"])
    except git.GitCommandError as error:
        raise UsageError(f"the files are in {root}, but git could not commit them: {error.stderr.strip()}") from error
    if state is not None:
        remember(source, state.resolve())
    return Made(root, documents)


def _files(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".yaml", ".md")):
            found.append((f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")))
    return sorted(found)


def _with_loopback_targets(files: dict[str, str], state: StateFolder) -> dict[str, str]:
    """Give every target on 127.0.0.1 a server of its own, with a free port and new keys, and write those in."""
    from opsconductor.loopback_targets import generate

    places = {path: _loopback(read(text.encode(), path).documents) for path, text in files.items()}
    names = [authored.document.name for found in places.values() for authored in found]
    if not names:
        return files
    state.root.parent.mkdir(parents=True, exist_ok=True)
    state.root.mkdir(exist_ok=True, mode=0o700)
    state.secrets.mkdir(exist_ok=True, mode=0o700)
    servers = generate(state.demo, names, client_key=state.secrets / _key_file(files))
    written = dict(files)
    for path, found in places.items():
        edits = []
        for authored in found:
            server = servers[authored.document.name]
            edits.append((authored.span("spec", "connections", "ssh", "port"), str(server.port)))
            edits.append((authored.span("spec", "connections", "ssh", "hostKeys", 0), server.host_key))
        lines = written[path].split("\n")
        for span, text in sorted(edits, reverse=True):
            line = lines[span.line - 1]
            lines[span.line - 1] = line[: span.column - 1] + text + line[span.end_column - 1 :]
        written[path] = "\n".join(lines)
    return written


def _loopback(documents: tuple[Authored, ...]) -> list[Authored]:
    from schemas.target import Target

    return [
        authored
        for authored in documents
        if isinstance(authored.document, Target)
        and authored.document.spec.host == "127.0.0.1"
        and authored.document.spec.connections.ssh
    ]


def _key_file(files: dict[str, str]) -> str:
    """In which file of the secret folder the sample's servers expect their key: all of them the same."""
    from schemas.credential import Credential

    documents = [authored.document for path, text in files.items() for authored in read(text.encode(), path).documents]
    (name,) = {
        one.spec.from_.file
        for one in documents
        if isinstance(one, Credential) and one.spec.type == "ssh" and one.spec.from_ and one.spec.from_.file
    }
    return name


def _for_editors(path: str, text: str) -> str:
    return editors.modeline(path) + text if path.endswith(".yaml") else text


def _identity(repo: object) -> list[str]:
    """A committer for machines where git knows none yet."""
    import git

    assert isinstance(repo, git.Repo)
    if gitsettings.is_there(repo, "user.email"):
        return []
    return ["-c", "user.name=OpsConductor", "-c", "user.email=opsconductor@localhost"]
