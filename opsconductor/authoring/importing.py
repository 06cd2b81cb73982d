"""What an importer made, brought into a checkout: again and again, without touching what a person has edited."""

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from engine.commented import NotFormatted
from engine.compile import PROJECT_FILE, included, looked_at, project_to_read_by
from opsconductor.authoring.wholefile import create, replace
from opsconductor.checking.tree import files_below
from opsconductor.checking.validation import ALONE, validate_paths
from opsconductor.exits import UsageError
from opsconductor.imports.bounds import MAX_TOGETHER, check_together, too_many
from opsconductor.imports.drafts import MAX_BYTES, MAX_DRAFTS, MAX_FILES, Draft, Reading, Remark
from opsconductor.imports.leaving import without
from opsconductor.imports.masking import masked
from opsconductor.imports.written import Mark, mark_of, rendered, source_of
from schemas.paths import is_inside
from schemas.reader import read

Fate = Literal["new", "changed", "same", "edited", "elsewhere", "taken", "gone", "removed"]
LEFT: tuple[Fate, ...] = ("edited", "elsewhere", "taken", "gone")
"""What a file has that is left as it is, and about which a person must decide."""
STANDARD_INPUT = "-"
_TRIES = 20
"""How often files that validation refuses are left out, and with them what names them."""
_IN_PLAIN_TEXT = "OC605"


@dataclass(frozen=True, slots=True)
class Brought:
    """A file of the checkout and what becomes of it. `why` says more where it is left as it is."""

    path: str
    fate: Fate
    before: bytes | None = None
    after: bytes | None = None
    why: str = ""

    def difference(self) -> str:
        """What the import would change in it, as a unified diff."""
        old, new = ((data or b"").decode(errors="replace").splitlines() for data in (self.before, self.after))
        return "\n".join(difflib.unified_diff(old, new, self.path, f"{self.path} (imported)", lineterm=""))


@dataclass(frozen=True, slots=True)
class Import:
    """Everything an import would do to a checkout. Nothing is written yet."""

    root: Path
    files: tuple[Brought, ...]
    remarks: tuple[Remark, ...]

    @property
    def clean(self) -> bool:
        """Whether all was carried, and nothing of it was left out."""
        return not any(one.lost for one in self.remarks) and not any(one.fate in LEFT for one in self.files)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose files are whose: the tool, and the words for what was read. Only its own files does an import change."""

    tool: str
    sources: tuple[str, ...]

    @property
    def said(self) -> str:
        """As the first line of a file has it."""
        return source_of(", ".join(self.sources))

    @property
    def named(self) -> bool:
        """Whether the words tell it from any other; `-` is the standard input of every machine."""
        return STANDARD_INPUT not in self.sources

    def owns(self, mark: Mark) -> bool:
        return self.named and (mark.tool, mark.source) == (self.tool, self.said)

    def why_not(self, mark: Mark) -> str:
        """Why a file with this mark is another's."""
        if (mark.tool, mark.source) == (self.tool, self.said):
            return "it came from standard input, maybe another machine's; name yours with --source NAME"
        return f"it came from {mark.tool} {mark.source}, and not from {self.said}"


@dataclass(frozen=True, slots=True)
class Into:
    """Where the files go: a folder of a checkout, from its root; and whose files they are."""

    root: Path
    folder: str
    tool: str

    @classmethod
    def checkout(cls, root: Path, folder: str, tool: str) -> "Into":
        """Raises UsageError where documents in that folder would not be read, or it is a link."""
        folder = folder.rstrip("/")
        if not is_inside(folder):
            raise UsageError(f"--to {folder}: a folder of the repository, as its path from the root, without '..'")
        into = cls(root.resolve(), folder, tool)
        if (into.root / folder).resolve() != into.root / folder:
            raise UsageError(f"--to {folder}: there is a symbolic link on the way; nothing is written through links")
        found, _ = files_below(into.root, (PROJECT_FILE,))
        data = found.get(PROJECT_FILE)
        project = project_to_read_by(read(data, PROJECT_FILE) if data is not None else None)
        if not included([f"{folder}/a.yaml", f"{folder}/a/b.yaml"], project):
            raise UsageError(f"--to {folder}: the Project's 'include' does not read what lies there; give another one")
        return into


def content(path: Path) -> bytes:
    """The bytes of a file of another tool. Raises UsageError where it is too large, and OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: more than {MAX_BYTES:,} bytes; divide it, and import the parts")
    return data


def files_of(folder: Path, shown: str, *, suffixes: Sequence[str] = ()) -> dict[str, bytes]:
    """The regular files below a folder by what to call them, sorted, hidden ones and those in hidden folders left out.

    Links to files are followed, as the tools do.
    """
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and (not suffixes or path.suffix in suffixes):
            found[f"{shown.rstrip('/')}/{path.relative_to(folder)}"] = content(path)
            if len(found) > MAX_FILES:
                raise UsageError(f"{shown}: more than {MAX_FILES:,} files; import the parts")
            fits_together(found)
    return found


def fits_together(found: Mapping[str, bytes]) -> None:
    """Raises UsageError where these files are more than one import reads."""
    if sum(map(len, found.values())) > MAX_TOGETHER:
        raise UsageError(f"more than {MAX_TOGETHER // 1024**2} MiB to read; import the parts")


def prepared(into: Into, reading: Reading, sources: Sequence[str], *, force: bool, prune: bool) -> Import:
    """What is to be done. The words for what was read stand in the first line of each file.

    What `validate` would refuse is not among it, and neither is a secret in plain text; both are remarks. Raises
    UsageError where it is too much, and where standard input without a name is to remove files.
    """
    origin = Origin(into.tool, tuple(sources))
    if prune and not origin.named:
        raise UsageError("--prune with standard input: name it with --source NAME; '-' is that of every machine")
    if len(reading.drafts) > MAX_DRAFTS:
        raise UsageError(f"more than {MAX_DRAFTS:,} files to write; import the parts")
    check_together(draft.documents for draft in reading.drafts)
    there, documents = _there(into)
    remarks = [*reading.remarks]
    drafts = tuple(one for one in reading.drafts if not (one.if_missing and _elsewhere(one, into, documents)))
    for _ in range(_TRIES):
        files, found = _brought(into, drafts, origin, there, documents, force=force)
        refused = found | _judged(into, files)
        if not refused:
            break
        placed = {draft.path: draft for draft in drafts}
        remarks += [_refusal(placed[path], *why) for path, why in refused.items()]
        gone = {_identity(one) for path in refused for one in placed[path].documents}
        drafts = tuple(without(one, gone) for one in drafts if one.path not in refused)
    wanted = {f"{into.folder}/{draft.path}" for draft in drafts}
    files += _stale(into, origin, there, wanted, prune=prune)
    said = {masked(one) for one in remarks}
    return Import(into.root, tuple(sorted(files, key=lambda one: one.path)), tuple(sorted(said)))


def write(made: Import) -> None:
    """Do it: each file whole or not at all. Raises UsageError where one was changed meanwhile, and OSError."""
    for one in made.files:
        place = made.root / one.path
        if one.fate in ("new", "changed") and one.after is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.parent.resolve() != place.parent:
                raise UsageError(f"{one.path}: there is a symbolic link on the way; nothing is written through links")
            done = create(place, one.after) if one.before is None else replace(place, one.after, instead_of=one.before)
            if not done:
                raise UsageError(f"{one.path}: it was changed meanwhile; import again")
        elif one.fate == "removed" and place.exists():
            if place.read_bytes() != one.before:
                raise UsageError(f"{one.path}: it was changed meanwhile; import again")
            place.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Documents of ours that the checkout already has in other files."""

    same: bool
    why: str


def _there(into: Into) -> tuple[dict[str, bytes], dict[str, tuple[str, Any]]]:
    """The files of the checkout, and where each document lies, with what it says."""
    found, _ = files_below(into.root, (PROJECT_FILE,))
    data = found.get(PROJECT_FILE)
    project = project_to_read_by(read(data, PROJECT_FILE) if data is not None else None)
    found, _ = files_below(into.root, (PROJECT_FILE, *looked_at(project)))
    documents: dict[str, tuple[str, Any]] = {}
    for path in included(found, project):
        for one in read(found[path], path).documents:
            documents.setdefault(one.identity, (path, one.document.to_json()))
    return found, documents


def _brought(
    into: Into,
    drafts: Sequence[Draft],
    origin: Origin,
    there: Mapping[str, bytes],
    documents: Mapping[str, tuple[str, Any]],
    *,
    force: bool,
) -> tuple[list[Brought], dict[str, tuple[str, str]]]:
    """What becomes of each draft, and by their paths those that cannot be written, with message and hint."""
    files: list[Brought] = []
    refused: dict[str, tuple[str, str]] = {}
    project = project_to_read_by(read(there[PROJECT_FILE], PROJECT_FILE) if PROJECT_FILE in there else None)
    are_read = frozenset(included([f"{into.folder}/{draft.path}" for draft in drafts], project))
    for draft in drafts:
        path = f"{into.folder}/{draft.path}"
        if path not in are_read:
            refused[draft.path] = (f"the Project's 'include' does not read {path}", "name another folder with --to")
            continue
        if path not in there and os.path.lexists(into.root / path):
            files.append(Brought(path, "taken", why="what stands there is no file that could be read; take it away"))
            continue
        if (why := too_many(draft.documents)) is not None:
            refused[draft.path] = (why, "divide it, or write it by hand")
            continue
        try:
            data = rendered(draft, origin.tool, ", ".join(origin.sources))
        except NotFormatted as error:
            refused[draft.path] = (str(error), "write the document by hand")
            continue
        if len(data) > MAX_BYTES:
            refused[draft.path] = ("it is too large for one file", "divide it by hand")
        elif (elsewhere := _elsewhere(draft, into, documents)) is not None:
            files += [] if elsewhere.same else [Brought(path, "elsewhere", None, data, elsewhere.why)]
        else:
            brought = _fate(path, data, there.get(path), origin, force=force)
            files += [] if brought.fate == "taken" and draft.if_missing else [brought]
    return files, refused


def _fate(path: str, data: bytes, before: bytes | None, origin: Origin, *, force: bool) -> Brought:
    if before is None:
        return Brought(path, "new", None, data)
    mark = mark_of(before)
    if mark is not None and _below_the_mark(before) == _below_the_mark(data):
        return Brought(path, "same", before, data)
    if force:
        return Brought(path, "changed", before, data)
    if mark is not None and not origin.owns(mark):
        return Brought(path, "taken", before, data, f"{origin.why_not(mark)}; --force writes over it")
    if mark is not None and mark.unedited:
        return Brought(path, "changed", before, data)
    return Brought(path, "edited", before, data, "it was edited since; --force gives the changes up")


def _below_the_mark(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").partition(b"\n")[2]


def _elsewhere(draft: Draft, into: Into, documents: Mapping[str, tuple[str, Any]]) -> _Elsewhere | None:
    """Whether other files have documents of the same names. The same ones said equally need not be written again."""
    path = f"{into.folder}/{draft.path}"
    found = [one for one in draft.documents if documents.get(_identity(one), (path,))[0] != path]
    if not found:
        return None
    same = len(found) == len(draft.documents) and all(documents[_identity(one)][1] == one for one in found)
    identity = _identity(found[0])
    return _Elsewhere(same, f"{identity} is in {documents[identity][0]} already; take it out there, or keep that one")


def _judged(into: Into, files: Sequence[Brought]) -> dict[str, tuple[str, str]]:
    """By the paths of their drafts, files that must not be written: with errors, or with secrets in plain text."""
    fresh = {one.path: one.after for one in files if one.fate in ("new", "changed", "same") and one.after is not None}
    refused: dict[str, tuple[str, str]] = {}
    for found in validate_paths(into.root, fresh, process=ALONE).findings:
        if found.span.file in fresh and (found.severity == "error" or found.code == _IN_PLAIN_TEXT):
            refused.setdefault(found.span.file.removeprefix(f"{into.folder}/"), (found.message, found.hint or ""))
    return refused


def _identity(one: Mapping[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def _refusal(draft: Draft, message: str, hint: str) -> Remark:
    return Remark(draft.place, f"{_identity(draft.documents[0])} is not written: {message}", hint)


def _stale(
    into: Into, origin: Origin, there: Mapping[str, bytes], wanted: Collection[str], *, prune: bool
) -> list[Brought]:
    """Files that an earlier import of the same source wrote, and this one does not."""
    found = []
    for path, data in there.items():
        if path in wanted or PurePosixPath(into.folder) not in PurePosixPath(path).parents:
            continue
        mark = mark_of(data)
        if mark is None or (mark.tool, mark.source) != (origin.tool, origin.said):
            continue
        if not origin.named:
            found.append(
                Brought(path, "gone", data, None, f"what was read now does not have it; {origin.why_not(mark)}")
            )
        elif mark.unedited and prune:
            found.append(Brought(path, "removed", data))
        else:
            shown = ", ".join(origin.sources)
            why = "--prune removes it" if mark.unedited else "it was edited since, so nothing removes it but you"
            found.append(Brought(path, "gone", data, None, f"what it came from is no longer in {shown}; {why}"))
    return found
