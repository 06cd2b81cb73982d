"""Step libraries that a repository holds: `libraries/<name>/`, and what `opsconductor.lock` says of them."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from engine.globs import matches
from engine.plugins import LOCK_KEY, NO_PLUGINS, Plugged, knowing, plugged
from schemas.bugs import answered
from schemas.diagnostic import Diagnostic
from schemas.guard import load
from schemas.library import LibraryStep, StepLibrary
from schemas.reader import Authored, ParsedFile, read
from schemas.span import start_of
from schemas.steps import StepType

LOCK_FILE = "opsconductor.lock"
GLOBS = ("libraries/*/library.yaml", "libraries/*/steps/*")
"""The files that make up a library; others beside them, such as a readme, are nobody's business."""
EVERY_GLOB = (*GLOBS, LOCK_FILE)


@dataclass(frozen=True, slots=True)
class VendoredFile:
    """A file of a library: the digest of its bytes, and its documents or its text, None where that is no UTF-8."""

    path: str
    sha256: str
    parsed: ParsedFile | None = None
    text: str | None = field(default=None, repr=False)

    def within(self, path: str) -> "VendoredFile":
        """The same content in another file."""
        return replace(self, path=path, parsed=self.parsed.within(path) if self.parsed is not None else None)

    @property
    def library(self) -> str:
        """The folder it is in."""
        return self.path.split("/")[1]


@dataclass(frozen=True, slots=True)
class Vendored:
    """What a tree holds of libraries. `locked` is None where there is no lock file."""

    files: tuple[VendoredFile, ...] = ()
    locked: Mapping[str, Any] | None = None
    findings: tuple[Diagnostic, ...] = ()
    """What is wrong with the lock file itself."""
    plugins: Plugged = NO_PLUGINS
    unread: bool = False
    """What the lock file says is not known, as reading it met a bug of ours."""


NO_LIBRARIES = Vendored()


@dataclass(frozen=True, slots=True)
class Library:
    """One library. `origin` and `document` are None where its library.yaml is not there or cannot be read."""

    name: str
    digest: str
    document: StepLibrary | None = None
    origin: Authored | None = None
    steps: Mapping[str, Authored] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Texts of the files that hold no documents, by their paths from its folder."""
    broken: frozenset[str] = frozenset()
    """Names of its steps that cannot be read."""
    misplaced: tuple[Authored, ...] = ()
    mended: tuple[Authored, ...] = ()
    """What could be made of its documents that are at fault, to be looked at only."""
    findings: tuple[Diagnostic, ...] = ()
    unread: bool = False
    """What it holds is not known, as reading it met a bug of ours: nothing may be said of what it lacks."""

    def step(self, name: str) -> LibraryStep | None:
        """A step by its name."""
        found = self.steps[name].document if name in self.steps else None
        return found if isinstance(found, LibraryStep) else None


_USES = re.compile(
    r"(?P<library>[a-z0-9][a-z0-9.-]*)/(?P<step>[a-z0-9][a-z0-9.-]*)@(?P<version>[0-9]+(?:\.[0-9]+){0,2})"
)


@dataclass(frozen=True, slots=True)
class Use:
    """`library/step@version`, taken apart."""

    library: str
    step: str
    version: str


def use_of(text: str | None) -> Use | None:
    """What a `uses` of a library's step names; None for every other text."""
    found = _USES.fullmatch(text or "")
    return Use(found["library"], found["step"], found["version"]) if found is not None else None


def is_version(there: str, wanted: str) -> bool:
    """Whether `there` is of the version that is wanted: 1.4.0 is a 1 and a 1.4."""
    parts = wanted.split(".")
    return there.split(".")[: len(parts)] == parts


def is_vendored(path: str) -> bool:
    """Whether a file is part of a library, and not read as a definition."""
    return path.startswith("libraries/") and any(matches(glob, path) for glob in GLOBS)


_FILE = re.compile(r"library\.yaml|steps/[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def is_library_file(path: str) -> bool:
    """Whether a path from a library's folder may be brought from elsewhere: a plain name, beside the others."""
    return _FILE.fullmatch(path) is not None


def is_apart(path: str) -> bool:
    """Whether a file holds no definitions though `include` may match it: libraries and their lock."""
    return path == LOCK_FILE or is_vendored(path)


def file_of(path: str, data: bytes) -> VendoredFile:
    """A file of a library, read."""
    sha256 = hashlib.sha256(data).hexdigest()
    if path.endswith(".yaml"):
        return VendoredFile(path, sha256, read(data, path))
    try:
        return VendoredFile(path, sha256, text=data.decode())
    except UnicodeDecodeError:
        return VendoredFile(path, sha256)


def vendored(files: Iterable[VendoredFile], lock: bytes | None) -> Vendored:
    """The libraries of a tree with what the bytes of the lock file say of them.

    A bug of ours in reading the lock file is one of its findings: then nothing is known of it, or of plug-ins.
    """
    there = tuple(files)
    if lock is None:
        return Vendored(there)
    place = partial(start_of, LOCK_FILE)
    found, bugs = answered("libraries", place, partial(_locked, there, lock), Vendored(there, unread=True))
    return replace(found, findings=(*found.findings, *bugs)) if bugs else found


def _locked(files: tuple[VendoredFile, ...], lock: bytes) -> Vendored:
    loaded = load(lock, LOCK_FILE)
    whole = loaded.documents[0] if len(loaded.documents) == 1 else {}
    locked = whole.get("libraries") if isinstance(whole, dict) else None
    about_plugins = whole.get(LOCK_KEY) if isinstance(whole, dict) else None
    place = partial(start_of, LOCK_FILE)
    plugins, bugs = answered("plug-ins", place, partial(plugged, about_plugins, LOCK_FILE), NO_PLUGINS)
    findings = (*loaded.findings, *plugins.findings, *bugs)
    return Vendored(files, locked if isinstance(locked, dict) else {}, findings, plugins)


def libraries_of(found: Vendored) -> dict[str, Library]:
    """By name, sorted. A folder without library.yaml is no library."""
    return {name: _library(name, files, found.plugins.step_types) for name, files in _by_name(found)}


def libraries_or_told(found: Vendored) -> dict[str, Library]:
    """The same; one in which that meets a bug of ours is `unread`, and its findings say so."""
    return {name: _library_or_told(name, files, found.plugins.step_types) for name, files in _by_name(found)}


def _by_name(found: Vendored) -> Iterator[tuple[str, list[VendoredFile]]]:
    by_name: dict[str, list[VendoredFile]] = {}
    for file in found.files:
        by_name.setdefault(file.library, []).append(file)
    for name, files in sorted(by_name.items()):
        if any(file.path == f"libraries/{name}/library.yaml" for file in files):
            yield name, sorted(files, key=lambda file: file.path)


def digest(files: Iterable[tuple[str, str]]) -> str:
    """The digest of a library, from the paths (from its own folder) and SHA-256 digests of its files.

    `sha256:` and the SHA-256 of one line a file, sorted by path: its digest in hexadecimal, two spaces, its path. So
    `cd libraries/NAME && sha256sum library.yaml steps/* | LC_ALL=C sort -k 2 | sha256sum` gives the same.
    """
    lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _library_or_told(name: str, files: list[VendoredFile], types: Mapping[str, StepType]) -> Library:
    place = partial(start_of, f"libraries/{name}/library.yaml")
    unread = Library(name, "", unread=True)
    library, bugs = answered("libraries", place, partial(_library, name, files, types), unread)
    return replace(library, findings=tuple(bugs)) if library is unread else library


def _library(name: str, files: list[VendoredFile], types: Mapping[str, StepType]) -> Library:
    folder = f"libraries/{name}/"
    steps: dict[str, Authored] = {}
    misplaced: list[Authored] = []
    broken: set[str] = set()
    findings: list[Diagnostic] = []
    origin: Authored | None = None
    for file in files:
        if file.parsed is None:
            continue
        inner = file.path.removeprefix(folder)
        findings += file.parsed.findings
        if file.parsed.findings:
            broken.add(inner.removeprefix("steps/").removesuffix(".yaml"))
        for authored in knowing(file.parsed.documents, types):
            own = inner == "library.yaml"
            if own and origin is None and isinstance(authored.document, StepLibrary):
                origin = authored
            elif not own and isinstance(authored.document, LibraryStep) and authored.document.name not in steps:
                steps[authored.document.name] = authored
            else:
                misplaced.append(authored)
    document = origin.document if origin is not None else None
    return Library(
        name=name,
        digest=digest((file.path.removeprefix(folder), file.sha256) for file in files),
        document=document if isinstance(document, StepLibrary) else None,
        origin=origin,
        steps=steps,
        files=frozenset(file.path for file in files),
        scripts={file.path.removeprefix(folder): file.text for file in files if file.text is not None},
        broken=frozenset(broken),
        misplaced=tuple(misplaced),
        mended=tuple(knowing((one for file in files if file.parsed is not None for one in file.parsed.mended), types)),
        findings=tuple(findings),
    )
