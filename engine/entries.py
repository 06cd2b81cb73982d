"""What may stand in a tree of definitions, and what is said of that which is not read.

One place for both readers of trees, the folder on disk and the commit: the same content gets the same findings.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.globs import is_all_below, matches
from schemas.characters import MAX_BYTES
from schemas.diagnostic import Diagnostic, Related
from schemas.span import start_of

MAX_FILES = 20_000
MAX_TOTAL = 64 * 1024 * 1024
"""Bytes of all files together: four times what 10,000 documents of 50 lines are. What is read of them takes some forty
times as much memory, so that no repository can take all that a small machine has."""
MAX_FOLDERS = 16
"""Folders around a file."""
MAX_ENTRIES = 200_000
"""Looked at in one tree, whether they are documents or not."""
MAX_FINDINGS = 1_000
"""Errors told of one tree, one apart that says how many more there are."""
FEW_WARNINGS = 20
"""Warnings of one code, each told at its place; more are told as one."""
_PLACES = 10
PROJECT_FILE = "opsconductor.yaml"

Irregular = Literal["link", "submodule", "folder", "other"]
_ENDINGS = ("yaml", "yml")
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_WHAT = {
    "link": "a symbolic link",
    "submodule": "a submodule",
    "folder": "a folder",
    "other": "no regular file",
}


@dataclass(slots=True)
class Told:
    """What a walk through a tree says of it. There is an error in it where any was said, however much else was."""

    _errors: list[Diagnostic] = field(default_factory=list)
    _warnings: dict[str, list[Diagnostic]] = field(default_factory=dict)
    _more: dict[str, int] = field(default_factory=dict)
    """Beyond those that are kept: errors by "", warnings by their codes."""

    def say(self, finding: Diagnostic) -> None:
        warns = finding.severity == "warning"
        kept = self._warnings.setdefault(finding.code, []) if warns else self._errors
        if len(kept) < (FEW_WARNINGS if warns else MAX_FINDINGS):
            kept.append(finding)
        else:
            of = finding.code if warns else ""
            self._more[of] = self._more.get(of, 0) + 1

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """Errors first. The same walk, the same findings."""
        warnings = [one for code, kept in self._warnings.items() for one in self._of_one(code, kept)]
        return (*self._errors, *self._beyond(), *warnings)

    def _of_one(self, code: str, kept: list[Diagnostic]) -> Iterable[Diagnostic]:
        more = self._more.get(code, 0)
        if not more:
            return kept
        first, *others = kept
        message = f"{first.message}; so it is with {len(others) + more:,} more"
        related = tuple(Related(one.span, "here, too") for one in others[:_PLACES])
        return [replace(first, message=message, related=related)]

    def _beyond(self) -> Iterable[Diagnostic]:
        if more := self._more.get(""):
            message = f"the tree has {more:,} more errors than the {MAX_FINDINGS:,} that are told"
            yield Diagnostic(start_of(PROJECT_FILE), "OC122", message, "mend those that are told, or narrow `include`")


def spelled(raw: bytes) -> tuple[str, str | None]:
    """A name as it may be shown, and what is odd about it; None where nothing is, and the name is shown as it is."""
    if _PLAIN_NAME.fullmatch(raw):  # nearly all, and looking closer would take most of the time of a walk
        return raw.decode(), None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return _shown(raw.decode(errors="backslashreplace")), "is not UTF-8"
    return _shown(name), _oddity(name)


def is_read(path: str) -> bool:
    """Whether a regular file that stands there, as `differences` names it, is read: not too deep, not oddly named."""
    names = path.encode("utf-8", "surrogateescape").split(b"/")
    return len(names) <= MAX_FOLDERS + 1 and all(spelled(name)[1] is None for name in names)


def odd_name(path: str, oddity: str) -> Diagnostic:
    return Diagnostic(start_of(path), "OC124", f"the name {oddity}", "rename it")


def unread(path: str, globs: Iterable[str]) -> Diagnostic | None:
    """A warning where another spelling of its ending, as in `.yml`, keeps a file from being one that globs choose."""
    stem, _, ending = path.rpartition(".")
    if ending.lower() not in _ENDINGS:
        return None
    others = (f"{stem}.{other}" for other in _ENDINGS if other != ending)
    other = next((other for other in others if any(matches(glob, other) for glob in globs)), None)
    if other is None:
        return None
    hint = f"rename it to '{other.rpartition('/')[2]}', or name files like it in the Project's include"
    return Diagnostic(
        start_of(path), "OC127", f"the file is not read: no 'include' names .{ending} here", hint, "warning"
    )


def too_large(path: str, size: int) -> Diagnostic:
    return Diagnostic(start_of(path), "OC116", f"the file has {size} bytes; the limit is {MAX_BYTES}", "split it")


def too_deep(path: str) -> Diagnostic:
    message = f"folders nest deeper than {MAX_FOLDERS}"
    return Diagnostic(start_of(path), "OC123", message, "move its files further up")


def beyond(*, files: int, size: int, entries: int) -> Diagnostic | None:
    """Which limit of a whole tree is passed: files that hold documents, their bytes, entries where documents may be."""
    if entries > MAX_ENTRIES:
        return _too_many(f"the tree has more than {MAX_ENTRIES} entries where documents may be")
    if files > MAX_FILES:
        return _too_many(f"more than {MAX_FILES} files hold documents")
    if size > MAX_TOTAL:
        message = f"the files that hold documents have more than {MAX_TOTAL // 1024**2} MiB together"
        hint = "narrow `include` to the documents, keep data elsewhere, or split the repository"
        return Diagnostic(start_of(PROJECT_FILE), "OC126", message, hint)
    return None


def _too_many(message: str) -> Diagnostic:
    return Diagnostic(start_of(PROJECT_FILE), "OC122", message, "narrow `include`, or split the repository")


def not_regular(path: str, kind: Irregular, *, wanted: bool, globs: Iterable[str] = ()) -> Diagnostic:
    """An error where a document should be, or all that a glob may name; a warning where some might lie behind it."""
    in_its_place = kind in ("link", "folder")
    hint = "put the file itself there" if in_its_place else "put the documents into this repository"
    if kind == "other":
        hint = "remove it, or narrow the Project's include"
    if wanted:
        return Diagnostic(start_of(path), "OC121", f"this is {_WHAT[kind]}, which is not followed", hint)
    nothing = next((glob for glob in globs if is_all_below(glob, path)), None)
    if nothing is not None:
        message = f"this is {_WHAT[kind]}, which is not followed: nothing is read of '{nothing}'"
        return Diagnostic(start_of(path), "OC121", message, hint.replace("the file itself", "the folder itself"))
    message = f"this is {_WHAT[kind]}; documents behind it are not read"
    return Diagnostic(start_of(path), "OC121", message, hint, "warning")


def _shown(name: str) -> str:
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)


def _oddity(name: str) -> str | None:
    if any(unicodedata.category(char) in _UNSEEN for char in name):
        return "has a character that cannot be seen"
    if "\\" in name:
        return "has a backslash"
    if name != name.strip():
        return "begins or ends with a space"
    if name in {"", ".", ".."} or name.lower() == ".git":
        return "is not a name a file can have"
    if name != unicodedata.normalize("NFC", name):
        return "is not in Unicode form NFC, so that another may look the same"
    return None
