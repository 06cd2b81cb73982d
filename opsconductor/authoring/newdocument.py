"""A document to begin with: a template with comments, named, and brought into a checkout."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from zoneinfo import available_timezones

from engine.canonical import canonical
from engine.compile import PROJECT_FILE, included
from engine.vendored import is_apart
from opsconductor.authoring.checkout import documents_below
from opsconductor.authoring.libraries import Libraries
from opsconductor.authoring.wholefile import replace
from opsconductor.authoring.writtenyaml import as_yaml
from opsconductor.checking.tree import root_of
from opsconductor.checking.validation import ALONE, validate_paths
from opsconductor.exits import UsageError
from opsconductor.localzone import name_of_local_zone
from schemas.characters import MAX_BYTES
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.envelope import is_name
from schemas.guard import load
from schemas.kinds import MODELS
from schemas.paths import is_inside
from schemas.project import Project
from schemas.reader import Authored

_MARK = re.compile(r"<(name|zone|[A-Z][A-Za-z]+)>")
_EXAMPLES: Mapping[str, str] = {
    "Credential": "web-key",
    "Job": "rotate-web-logs",
    "LoginCredential": "web-key",
    "NotificationChannel": "on-call",
    "RunnerPool": "default",
    "Target": "web-01",
    "User": "ana",
    "WebhookCredential": "hook-secret",
}
"""What stands for a document of a kind that the repository has none of yet."""
_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "LoginCredential": ("ssh", "password"),
    "WebhookCredential": ("token", "generic"),
}
"""What a mark in a template asks of a Credential: one of these types."""
_BRINGS: Mapping[str, str] = {
    "Discovery": "RunnerPool",
    "NotificationRule": "NotificationChannel",
    "Policy": "User",
}
"""What nobody has before the first of a kind, and it cannot be without: it comes with it, to be edited too."""
_IN_PLACES_OF_THEIR_OWN = frozenset({"Project", "Step", "StepLibrary"})
_NAME = "lower-case letters, digits, dots and hyphens, at most 63; a letter or a digit first and last"


@dataclass(frozen=True, slots=True)
class Draft:
    """A file of the checkout as it is to be: new, or with one more document at its end."""

    root: Path
    path: str
    text: bytes
    before: bytes | None = None
    locks: str | None = None
    """The library of this repository's own whose digest the lock has to follow."""

    @property
    def begins_at(self) -> int:
        """The line from which on it is new."""
        return 1 if not self.before else self.before.rstrip(b"\n").count(b"\n") + 2


def template(kind: str) -> str:
    """The template of a kind, with its marks: `<name>`, `<zone>`, and `<Job>` for the name of a job."""
    return (files("opsconductor") / "templates" / f"{kind}.yaml").read_text(encoding="utf-8")


def filled(kind: str, name: str, *, zone: str = "UTC", known: Mapping[str, str] = _EXAMPLES) -> bytes:
    """The template with this name, in the canonical form. `known`: the document that it is to name, by kind."""
    values = {"name": name, "zone": zone, **_EXAMPLES, **known}
    return canonical(_MARK.sub(lambda mark: _in_yaml(values[mark[1]], mark), template(kind)).encode())


def drafted(start: Path, kind: str, name: str, file: str | None = None) -> Draft:
    """A document for the checkout that `start` lies in; nothing is written.

    `file` is a path from its root; the document goes to its end where it exists. Raises UsageError for a name that no
    document may have, one that is taken, and a file that would not be read.
    """
    root = _root(start, kind)
    library, own = _parts(kind, name)
    project, documents = documents_below(root)
    if file is not None and kind in _IN_PLACES_OF_THEIR_OWN:
        raise UsageError(f"--file {file}: a {kind} has a place of its own; leave the option out")
    path = file or _usual_place(kind, library, own)
    before = _checked(root, path, kind, project)
    taken = [one for one in documents if (one.document.kind, one.document.name) == (kind, own)]
    if taken and not is_apart(path):
        raise UsageError(f"there is {kind} '{own}' already, in {taken[0].span().file}")
    known = _first_of_each(documents)
    made = filled(kind, own, zone=_zone(project), known=known)
    if (other := _BRINGS.get(kind)) is not None and other not in known:
        made += b"---\n" + filled(other, _EXAMPLES[other])
    text = made if before is None or not before.strip() else before.rstrip(b"\n") + b"\n---\n" + made
    if len(text) > MAX_BYTES:
        raise UsageError(f"{path}: a file of documents has at most {MAX_BYTES} bytes; leave out --file")
    return Draft(root, path, text, before, _locks(root, kind, library or own))


def printed(kind: str, name: str) -> str:
    """The document, for no checkout in particular. Raises UsageError for a name that no document may have."""
    return filled(kind, _parts(kind, name)[1], zone=_zone(None)).decode()


def write(draft: Draft) -> None:
    """Put it there, whole or not at all, and a library of one's own into the lock.

    Raises UsageError where the file was changed meanwhile, Refused where the lock cannot be read, and OSError.
    """
    place = draft.root / draft.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.parent.resolve() != place.parent:
        raise UsageError(f"{draft.path}: there is a symbolic link on the way; nothing is written through links")
    if draft.before is None and place.exists():
        raise UsageError(f"{draft.path} exists; it was made meanwhile")
    if not replace(place, draft.text, instead_of=draft.before):
        raise UsageError(f"{draft.path}: it was changed meanwhile; ask again")
    if draft.locks is not None:
        Libraries(draft.root).lock(draft.locks)


def left_to_do(draft: Draft) -> tuple[Diagnostic, ...]:
    """What `validate` says of the new document: references to what is not there yet, above all."""
    found = validate_paths(draft.root, {draft.path: draft.text}, process=ALONE).findings
    return tuple(one for one in found if one.span.file == draft.path and one.span.line >= draft.begins_at)


def _in_yaml(text: str, mark: re.Match[str]) -> str:
    """A name such as `on` or `1` has quotes where it is the whole value."""
    before, after = mark.string[mark.start() - 1], mark.string[mark.end()]
    return as_yaml([text]).removeprefix("- ").strip() if before in " [" and after in "\n]}" else text


def _root(start: Path, kind: str) -> Path:
    if not start.is_dir():
        raise UsageError(f"{start}: not a folder; give one of a checkout")
    root = root_of(start)
    if root is None and kind == "Project":
        return start.resolve()
    if root is None:
        raise UsageError(
            f"{start}: no {PROJECT_FILE} here or above; begin with 'opsconductor new project NAME', or --stdout"
        )
    return root


def _parts(kind: str, name: str) -> tuple[str, str]:
    """The library of a step, and the name."""
    library, slash, own = name.rpartition("/")
    if not is_name(own) or (slash and not is_name(library)) or bool(slash) != (kind == "Step"):
        raise UsageError(f"{kind} {name!r}: {_form(kind)}")
    return library, own


def _form(kind: str) -> str:
    if kind == "Step":
        return f"a step has its library before it, as in tools/disk-usage; both are {_NAME}"
    return f"a name is {_NAME}"


def _locks(root: Path, kind: str, library: str) -> str | None:
    """The library, where it is begun here or was locked as it lies here: what came from elsewhere is left alone.

    Raises Refused where the lock cannot be read.
    """
    if kind == "StepLibrary":
        Libraries(root)
        return library
    held = [one for one in Libraries(root).held() if one.name == library] if kind == "Step" else []
    return library if any(one.state == "locked" and "source" not in one.locked for one in held) else None


def _usual_place(kind: str, library: str, name: str) -> str:
    if kind == "Project":
        return PROJECT_FILE
    if kind == "StepLibrary":
        return f"libraries/{name}/library.yaml"
    if kind == "Step":
        return f"libraries/{library}/steps/{name}.yaml"
    return f"definitions/{_folder(kind)}/{name}.yaml"


def _folder(kind: str) -> str:
    """`NotificationRule` is in `notification-rules`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
    return words.removesuffix("y") + "ies" if words.endswith("y") else words + "s"


def _checked(root: Path, path: str, kind: str, project: Project | None) -> bytes | None:
    """What is in the file now. Raises UsageError where nothing may be written there, or it would not be read."""
    if not is_inside(path):
        raise UsageError(f"--file {path}: a file of the repository, as its path from the root, without '..'")
    place = root / path
    if place.resolve() != place:
        raise UsageError(f"{path}: there is a symbolic link on the way; nothing is written through links")
    if kind not in _IN_PLACES_OF_THEIR_OWN and path not in included([path], project):
        raise UsageError(f"{path}: the Project's 'include' does not read it; give another place with --file")
    if not place.exists():
        return None
    if kind in _IN_PLACES_OF_THEIR_OWN:
        raise UsageError(f"{path} exists; nothing is written over it")
    if not place.is_file() or place.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path}: not a file of documents; give another place with --file")
    data = place.read_bytes()
    if any(isinstance(one, dict) and "sops" in one for one in load(data, path).documents):
        raise UsageError(f"{path}: it is encrypted in place, and holds one document; give another place with --file")
    return data


def _first_of_each(documents: Iterable[Authored]) -> Mapping[str, str]:
    first: dict[str, str] = {}
    for one in documents:
        if one.document.kind in MODELS:
            first.setdefault(one.document.kind, one.document.name)
        for mark, types in _CREDENTIALS.items():
            if isinstance(one.document, Credential) and one.document.spec.type in types:
                first.setdefault(mark, one.document.name)
    return first


def _zone(project: Project | None) -> str:
    given = project.spec.defaults.time_zone if project else None
    local = given or name_of_local_zone() or "UTC"
    return local if local in available_timezones() else "UTC"
