"""Libraries that a repository holds: brought from their origins, compared with the lock, and taken out again.

Nobody ever sees half a library: it is written beside its place and renamed into it, and the lock is written after it.
Whoever is stopped between the two finds that `validate` refuses the library until the command is called again.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import step_libraries
from engine import builtin
from engine.compile import compile_files
from engine.vendored import LOCK_FILE, Vendored, digest, file_of, libraries_of, vendored
from journal.errors import Refused
from opsconductor.authoring import libraryorigin, lockfile
from opsconductor.authoring.libraryorigin import Found, Origin
from opsconductor.checking import tree
from opsconductor.exits import UsageError
from schemas.diagnostic import Diagnostic
from schemas.library import StepLibrary
from schemas.reader import read

State = Literal["locked", "changed", "not locked", "missing", "built in"]
_KEY = "libraries"
_SHOWN = 20
"""So many findings are said of a library that is refused."""
_PROJECT = b"apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: x}\n"


@dataclass(frozen=True, slots=True)
class Held:
    """A library as it is here. `locked` is what the lock says of it."""

    name: str
    state: State
    version: str | None = None
    description: str = ""
    digest: str | None = None
    locked: Mapping[str, Any] = field(default_factory=dict)


class Libraries:
    """Those of the repository whose files lie below `root`. Raises Refused where its lock cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._whole = self._read_lock()

    @property
    def locked(self) -> dict[str, dict[str, Any]]:
        """What the lock says of each library."""
        entries = self._whole.get(_KEY, {})
        return {str(name): entry if isinstance(entry, dict) else {} for name, entry in entries.items()}

    # --- what is there ---

    def held(self) -> tuple[Held, ...]:
        """All of them, by name."""
        there = libraries_of(Vendored(tuple(file_of(path, data) for path, data in self._files().items())))
        found = []
        for name in sorted({*there, *self.locked}):
            entry, library = self.locked.get(name, {}), there.get(name)
            if library is None:
                found.append(Held(name, "missing", locked=entry))
                continue
            state: State = "not locked" if name not in self.locked else "changed"
            state = "locked" if entry.get("digest") == library.digest else state
            spec = library.document.spec if library.document else None
            version, description = (spec.version, spec.description) if spec else (None, "")
            found.append(Held(name, state, version, description, library.digest, entry))
        return tuple(found)

    # --- changes ---

    def add(self, origin: Origin, name: str | None) -> Held:
        """Bring a library that is not here yet. Raises Refused where it is, or is not sound."""
        found = libraryorigin.found(origin, name)
        called = self._name_of(found, origin)
        if name is not None and name != called:
            raise Refused(f"the library calls itself '{called}'; it is kept by that name, so leave --name out")
        if called in self.locked or (self.root / "libraries" / called).exists():
            raise Refused(f"library '{called}' is here already; 'opsconductor library update {called}' brings it anew")
        return self._take(called, found, origin)

    def update(self, name: str, *, ref: str | None = None, force: bool = False) -> tuple[Held, Held]:
        """Bring a library anew from its origin, by its ref or another. Gives it as it was and as it is."""
        before = self._one(name)
        source = before.locked.get("source")
        if not isinstance(source, str):
            raise Refused(f"{LOCK_FILE} does not say where library '{name}' came from; remove it and add it again")
        if before.state == "changed" and not force:
            raise Refused(
                f"library '{name}' was changed here: its files are not those that were locked; take the changes back, "
                "or give them up by --force"
            )
        where = source if "://" in source or not (self.root / source).is_dir() else str(self.root / source)
        wanted = ref or before.locked.get("ref")
        origin = libraryorigin.parse(f"{where}@{wanted}" if isinstance(wanted, str) else where)
        found = libraryorigin.found(origin, name)
        called = self._name_of(found, origin)
        if called != name:
            raise Refused(f"the library there calls itself '{called}' now, and no longer '{name}'")
        return before, self._take(name, found, origin)

    def remove(self, name: str) -> None:
        """Take a library out, with its entry in the lock."""
        self._one(name)
        with self._beside() as aside:
            if (self.root / "libraries" / name).exists():
                (self.root / "libraries" / name).rename(aside / name)
                lockfile.durable(self.root / "libraries")
            self._write_lock({other: entry for other, entry in self.locked.items() if other != name})

    def lock(self, name: str) -> None:
        """Write into the lock what a library that was begun here holds now. Raises UsageError where there is none."""
        held = self._one(name)
        self._write_lock({**self.locked, name: {**held.locked, "digest": held.digest}})

    def _one(self, name: str) -> Held:
        found = next((one for one in self.held() if one.name == name), None)
        if found is None:
            raise UsageError(f"there is no library '{name}' here; 'opsconductor library list' shows them")
        return found

    def _name_of(self, found: Found, origin: Origin) -> str:
        parsed = read(found.files["library.yaml"], "library.yaml")
        document = parsed.documents[0].document if len(parsed.documents) == 1 else None
        if not isinstance(document, StepLibrary):
            first = next(iter(parsed.findings), None)
            raise Refused(
                f"{origin.source.shown}: library.yaml is none: {first.message if first else 'no StepLibrary'}"
            )
        return document.name

    def _take(self, name: str, found: Found, origin: Origin) -> Held:
        sums = {path: hashlib.sha256(data).hexdigest() for path, data in found.files.items()}
        entry: dict[str, Any] = {"source": self._source(origin)}
        if origin.ref is not None:
            entry["ref"] = origin.ref
        if found.commit is not None:
            entry["commit"] = found.commit
        entry["digest"] = digest(sums.items())
        self._refuse_unsound(name, found, entry)
        with self._beside() as aside:
            _written(aside / name, found.files)
            place = self.root / "libraries" / name
            place.parent.mkdir(exist_ok=True)
            former = aside / "before"
            if place.exists():
                place.rename(former)
            try:
                (aside / name).rename(place)
            except OSError:
                if former.exists():
                    former.rename(place)  # what is beside is thrown away
                raise
            lockfile.durable(place.parent)
            self._write_lock({**self.locked, name: entry})
        return self._one(name)

    def _source(self, origin: Origin) -> str:
        """As the lock says it: a path from the root, so that it means the same on another machine; no login."""
        path = origin.source.path
        return origin.source.address if path is None else Path(os.path.relpath(path, self.root.resolve())).as_posix()

    def _refuse_unsound(self, name: str, found: Found, entry: Mapping[str, Any]) -> None:
        """Refuse what `validate` would refuse, before anything is written."""
        others = {path: data for path, data in self._files().items() if path.split("/")[1] != name}
        whole = {**others, **{f"libraries/{name}/{path}": data for path, data in found.files.items()}}
        lock = lockfile.text_of(self._locking({**self.locked, name: entry}))
        held = vendored((file_of(path, data) for path, data in whole.items()), lock)
        compiled = compile_files("", [read(_PROJECT, "opsconductor.yaml")], libraries=held)
        mine = [one for one in compiled.findings if one.span.file.startswith(f"libraries/{name}/")]
        if errors := [one for one in mine if one.severity == "error"]:
            raise Unsound(name, tuple(errors))

    # --- files ---

    def _files(self) -> dict[str, bytes]:
        return tree.files_below(self.root, ("libraries/*/library.yaml", "libraries/*/steps/*"))[0]

    def _read_lock(self) -> dict[str, Any]:
        try:
            whole = lockfile.read(self.root)
        except ValueError as error:
            raise Refused(f"{LOCK_FILE} cannot be read: {error}; mend it first") from error
        if not isinstance(whole.get(_KEY, {}), dict):
            raise Refused(f"{LOCK_FILE} cannot be read: its '{_KEY}' are no mapping; mend it first")
        return whole

    def _locking(self, locked: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The whole lock with these libraries, and all else as it is."""
        entries = {name: dict(locked[name]) for name in sorted(locked)}
        return {_KEY: entries, **{key: value for key, value in self._whole.items() if key != _KEY}}

    def _write_lock(self, locked: Mapping[str, Mapping[str, Any]]) -> None:
        whole = self._locking(locked)
        lockfile.write(self.root, lockfile.text_of(whole))
        self._whole = whole

    @contextmanager
    def _beside(self) -> Iterator[Path]:
        """A folder on the same disk that is gone afterwards, and that no tool takes for a part of the repository."""
        folder = Path(tempfile.mkdtemp(prefix=".opsconductor-library-", dir=self.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Unsound(Refused):
    """A library that `validate` would refuse; `findings` say why."""

    def __init__(self, name: str, findings: tuple[Diagnostic, ...]) -> None:
        said = [f"{one.span}: {one.code} {one.message}" for one in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            said.append(f"and {len(findings) - _SHOWN} more")
        super().__init__("\n  ".join([f"library '{name}' is not sound:", *said]))
        self.findings = findings


def built_in() -> tuple[Held, ...]:
    """The libraries that the product brings."""
    found = []
    for name in sorted(step_libraries.names()):
        library = builtin.library(name)
        if library is not None and library.document is not None:
            spec = library.document.spec
            found.append(Held(name, "built in", spec.version, spec.description, library.digest))
    return tuple(found)


def root_of(where: Path) -> Path:
    """The folder with opsconductor.yaml that `where` lies in. Raises UsageError where there is none."""
    found = tree.root_of(where)
    if found is None:
        raise UsageError(f"{where}: there is no opsconductor.yaml here or above; name the repository by -C")
    return found


def _written(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(exist_ok=True)
        with place.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for made in {folder, *(folder / path for path in ("steps",) if (folder / path).is_dir())}:
        lockfile.durable(made)
