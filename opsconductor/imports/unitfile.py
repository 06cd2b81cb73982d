"""Unit files with their drop-ins (systemd.syntax(7), systemd.unit(5)), one by one or as `systemctl cat` prints them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from opsconductor.imports.drafts import Place, Remark, one_line

_UNIT = re.compile(
    r"[A-Za-z0-9:_.\\@-]{1,250}\.(?:service|timer|path|socket|target|mount|automount|slice|scope|swap|device)"
)
_HEADER = re.compile(r"# (/\S+)")
_SECTION = re.compile(r"\[([^\[\]]+)\]")
_TRUE = ("1", "yes", "y", "true", "t", "on")


@dataclass(frozen=True, slots=True)
class Setting:
    """`key=value` of a section; where a value goes over several lines, at the first of them."""

    place: Place
    section: str
    key: str
    value: str

    @property
    def true(self) -> bool:
        return self.value.lower() in _TRUE


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with what its drop-ins add."""

    name: str
    place: Place
    settings: tuple[Setting, ...]
    comments: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def instance(self) -> str | None:
        """Of `backup@home`, `home`; empty for a template, None for what is neither."""
        return self.stem.partition("@")[2] if "@" in self.stem else None

    def all(self, key: str) -> list[Setting]:
        """The values of a key that is a list: an empty one takes back all before it."""
        found: list[Setting] = []
        for one in self.settings:
            if one.key == key:
                found = [*found, one] if one.value else []
        return found

    def last(self, key: str) -> Setting | None:
        """The value of a key that is none."""
        found = [one for one in self.settings if one.key == key]
        return found[-1] if found and found[-1].value else None


@dataclass(frozen=True, slots=True)
class _File:
    """A file, or the part of one that stands for it, with the number of the line before its first."""

    path: str
    shown: str
    offset: int
    lines: tuple[str, ...]

    @property
    def unit(self) -> str | None:
        """The unit it is about."""
        *_, folder, name = ["", *self.path.split("/")]
        if name.endswith(".conf") and folder.endswith(".d"):
            name = folder.removesuffix(".d")
        return name if _UNIT.fullmatch(name) else None

    @property
    def is_drop_in(self) -> bool:
        return self.path.endswith(".conf")


def units(files: Mapping[str, bytes]) -> tuple[dict[str, Unit], list[Remark]]:
    """The units by name. Of two with one name the first counts, as systemd takes that of the stronger folder."""
    remarks: list[Remark] = []
    found: dict[str, Unit] = {}
    drop_ins: list[_File] = []
    for file in _files(files, remarks):
        if file.unit is None:
            what = f"{one_line(file.path, 80)} is no unit, and no drop-in of one"
            remarks.append(Remark(Place(file.shown, file.offset + 1), what, "name files as systemd does"))
        elif file.is_drop_in:
            drop_ins.append(file)
        else:
            made = _read(file, file.unit, remarks)
            first = found.setdefault(made.name, made)
            if [one.value for one in first.settings] != [one.value for one in made.settings]:
                what = f"{made.name} was read already, from {first.place.file}, and this one says something else"
                remarks.append(Remark(made.place, what, "name the folder first whose units are in force"))
    for file in sorted(drop_ins, key=lambda one: one.path.rpartition("/")[2]):
        name = file.unit or ""
        if name not in found:
            what = f"a drop-in of {name}, which is not among what was read"
            hint = "name the folder of the unit too, if a timer starts it"
            remarks.append(Remark(Place(file.shown, file.offset + 1), what, hint, lost=False))
            continue
        more = _read(file, name, remarks)
        unit = found[name]
        found[name] = replace(
            unit, settings=(*unit.settings, *more.settings), comments=(*unit.comments, *more.comments)
        )
    return found, remarks


def _files(files: Mapping[str, bytes], remarks: list[Remark]) -> Iterator[_File]:
    for name, data in files.items():
        lines = []
        for number, raw in enumerate(data.split(b"\n"), 1):
            try:
                lines.append(raw.decode().removesuffix("\r"))
            except UnicodeDecodeError:
                lines.append("")
                hint = "write it again by hand, or save the file as UTF-8"
                remarks.append(Remark(Place(name, number), "the line is not UTF-8", hint))
        starts = [number for number, line in enumerate(lines) if _names_a_file(line)]
        if _File(name, name, 0, ()).unit is not None or not starts:
            yield _File(name, name, 0, tuple(lines))
            continue
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            yield _File(lines[start][2:].strip(), name, start, ("", *lines[start + 1 : end]))


def _names_a_file(line: str) -> bool:
    """The line by which `systemctl cat` begins each file."""
    found = _HEADER.fullmatch(line.strip())
    return found is not None and _File(found[1], "", 0, ()).unit is not None


def _read(file: _File, name: str, remarks: list[Remark]) -> Unit:
    settings: list[Setting] = []
    comments: list[str] = []
    section = ""
    for number, said in _logical(file.lines):
        place = Place(file.shown, file.offset + number)
        if said.startswith(("#", ";")):
            comments.append(said.lstrip("#;").removeprefix(" "))
        elif (found := _SECTION.fullmatch(said)) is not None:
            section = found[1]
        elif said:
            key, equals, value = said.partition("=")
            if not equals or not section:
                what = f"{one_line(said, 80)}: systemd does not understand this line, and leaves it out"
                remarks.append(Remark(place, what, "write KEY=VALUE below a [Section]"))
            elif not section.startswith("X-") and not key.startswith("X-"):
                settings.append(Setting(place, section, key.strip(), value.strip()))
            else:
                hint = "keep it where it is, or in an annotation"
                remarks.append(Remark(place, f"{key.strip()} is for other programs", hint))
    while comments and not comments[0].strip():
        comments.pop(0)
    return Unit(name, Place(file.shown, file.offset + 1), tuple(settings), tuple(comments))


def _logical(lines: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Lines with those that a backslash joins to them; comments between them are left out, as systemd does."""
    begun: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        said = line.strip()
        if begun and said.startswith(("#", ";")):
            continue
        if not begun:
            first = number
        if said.endswith("\\") and not (not begun and said.startswith(("#", ";"))):
            begun.append(said[:-1])
            continue
        yield first, " ".join([*begun, said]).strip() if begun else said
        begun = []
    if begun:
        yield first, " ".join(begun).strip()
