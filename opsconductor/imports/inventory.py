"""Inventories of Ansible: INI and YAML, with group_vars and host_vars, as its own plug-ins read them.

Nothing is templated and nothing is run: a file that is a program, or the settings of a plug-in, is listed.
"""

import ast
import re
import shlex
import string
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from opsconductor.exits import UsageError
from opsconductor.imports.bounds import Work
from opsconductor.imports.drafts import Place, Remark, UnreadableError, one_line
from opsconductor.imports.foreignyaml import Loaded, Path, load
from opsconductor.imports.inventorylist import as_mappings, is_listed

_LONGEST = 16_384
"""Characters of a line that is divided into words, which takes longer than in proportion."""
MAX_HOSTS = 5_000
MAX_GROUPS = 5_000
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_PORT = re.compile(r"(?:\[(?P<bracketed>.+)\]|(?P<plain>(?:[^:\[\]]|\[[^\]]*\])*)):(?P<port>\d{1,5})")
_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".ini", ".cfg", ".retry")
_YAML = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Var:
    place: Place
    value: Any


@dataclass
class Group:
    name: str
    place: Place
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    vars: dict[str, Var] = field(default_factory=dict)
    files: dict[str, Var] = field(default_factory=dict)
    """Those of group_vars, which are stronger than those of the inventory."""


@dataclass
class Host:
    name: str
    place: Place
    vars: dict[str, Var] = field(default_factory=dict)
    files: dict[str, Var] = field(default_factory=dict)


class InventoryError(ValueError):
    """What stands on a line is none of what an inventory has."""


@dataclass
class Inventory:
    hosts: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    work: Work = field(default_factory=Work)

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def group(self, name: str, place: Place) -> Group:
        """The group of the name, made where there is none. Raises UsageError where there are too many."""
        if len(self.groups) >= MAX_GROUPS and name not in self.groups:
            raise UsageError(f"{place.file}:{place.line}: more than {MAX_GROUPS:,} groups; import the parts")
        return self.groups.setdefault(name, Group(name, place))

    def add(self, pattern: str, group: str, values: Mapping[str, Var], place: Place) -> None:
        """Hosts by a pattern with ranges and a port. Raises InventoryError."""
        names, port = _expanded(pattern)
        for name in names:
            if len(self.hosts) >= MAX_HOSTS and name not in self.hosts:
                raise InventoryError(f"more than {MAX_HOSTS:,} hosts; import the parts")
            fresh = name not in self.hosts
            host = self.hosts.setdefault(name, Host(name, place))
            if port is not None and fresh:
                host.vars["ansible_port"] = Var(place, port)
            host.vars.update(values)
            self.group(group, place).hosts[name] = None

    def memberships(self) -> dict[str, list[str]]:
        """By host the groups that name it, `all` and `ungrouped` left out."""
        found: dict[str, list[str]] = {name: [] for name in self.hosts}
        for group in self.groups.values():
            if group.name not in ("all", "ungrouped"):
                for host in group.hosts:
                    found[host].append(group.name)
        return found


def read(files: Mapping[str, bytes], named: Collection[str]) -> Inventory:
    """Files by what to call them; those that were `named` themselves are read whatever they are called."""
    inventory = Inventory()
    later: list[tuple[str, str, str]] = []
    inventory.group("all", Place(next(iter(files), "-"), 1))
    for name, data in sorted(files.items()):
        sort, of = _of_vars(name)
        place = Place(name, 1)
        if sort:
            later.append((name, sort, of))
        elif name not in named and name.endswith(_IGNORED):
            inventory.note(place, f"{name}: Ansible leaves such a file of a folder out", "name it to have it read")
        elif data.startswith(b"#!"):
            inventory.lose(place, f"{name} is a program", "run it with --list, and import what it prints")
        else:
            _source(inventory, name, data)
    for name, sort, of in later:
        _vars_file(inventory, name, files[name], sort, of)
    for group in inventory.groups.values():
        for child in [one for one in group.children if _leads_to(inventory, one, group.name)]:
            inventory.lose(group.place, f"group {child} holds {group.name}, which holds it", "take one of the two out")
            del group.children[child]
    return inventory


def _leads_to(inventory: Inventory, start: str, goal: str) -> bool:
    waiting, seen = [start], set()
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name not in seen and name in inventory.groups:
            seen.add(name)
            inventory.work.spend(1 + len(inventory.groups[name].children))
            waiting += inventory.groups[name].children
    return False


def _of_vars(name: str) -> tuple[str, str]:
    """`group_vars` or `host_vars`, and whose; nothing for another file."""
    parts = PurePosixPath(name).parts
    for sort in ("group_vars", "host_vars"):
        if sort in parts[:-1]:
            of = parts[parts.index(sort) + 1]
            return sort, of if parts.index(sort) + 2 < len(parts) else _stem(of)
    return "", ""


def _stem(name: str) -> str:
    return next((name.removesuffix(ending) for ending in _YAML if name.endswith(ending)), name)


def _vars_file(inventory: Inventory, name: str, data: bytes, sort: str, of: str) -> None:
    place = Place(name, 1)
    if data.startswith(b"$ANSIBLE_VAULT;"):
        inventory.lose(place, f"{name} is encrypted", "make Credentials of what is in it")
        return
    owner: Group | Host | None = inventory.groups.get(of) if sort == "group_vars" else inventory.hosts.get(of)
    if owner is None:
        inventory.note(place, f"there is no {sort.removesuffix('_vars')} {of}", "nothing was made of its variables")
        return
    try:
        documents = load(data, name)
    except UnreadableError as error:
        inventory.lose(error.place, error.said, "mend the file, and import again")
        return
    for document in documents[:1]:
        if isinstance(document.data, dict):
            owner.files.update(_located(document, (), name))
        elif document.data is not None:
            inventory.lose(place, f"{name} holds no variables", "write KEY: VALUE")


def _located(document: Loaded, path: Path, file: str) -> dict[str, Var]:
    """The variables of a mapping, each with its place."""
    found = document.data
    for key in path:
        found = found[key]
    return {key: Var(Place(file, document.line(*path, key)), value) for key, value in found.items()}


def _source(inventory: Inventory, name: str, data: bytes) -> None:
    """As Ansible does: YAML where it is a mapping, INI otherwise."""
    if name.endswith(_YAML) or data.lstrip().startswith((b"---", b"{")):
        try:
            documents = load(data, name)
        except UnreadableError as error:
            inventory.lose(error.place, error.said, "mend the file, and import again")
            return
        _yaml(inventory, documents[0] if documents else Loaded(), name)
    else:
        _Ini(inventory, name).read(data)


def _yaml(inventory: Inventory, document: Loaded, name: str) -> None:
    place = Place(name, 1)
    if isinstance(document.data, list):
        hint = "a Job may run it: ansible-playbook; its inventory is what is imported"
        inventory.lose(place, f"{name} is a playbook, or a list of another sort", hint)
        return
    if not isinstance(document.data, dict) or not document.data:
        inventory.lose(place, f"{name} is no inventory", "it is a mapping of groups, as in all: {hosts: ...}")
        return
    if "plugin" in document.data:
        hint = "run 'ansible-inventory --list --yaml' where it works, and import what it says"
        inventory.lose(place, f"{name} has the settings of a plug-in that asks elsewhere", hint)
        return
    inventory.comments += document.comments
    document = as_mappings(document) if is_listed(document.data) else document
    for group in document.data:
        _yaml_group(inventory, document, (group,), name)


def _yaml_group(inventory: Inventory, document: Loaded, path: Path, file: str) -> None:
    name = str(path[-1])
    place = Place(file, document.line(*path))
    content: Any = document.data
    for key in path:
        content = content[key]
    if content is not None and not isinstance(content, dict):
        inventory.lose(place, f"group {one_line(name, 60)} is no mapping", "it has hosts, children and vars")
        return
    group = inventory.group(name, place)
    for key, value in (content or {}).items():
        here = Place(file, document.line(*path, key))
        named = {value: None} if isinstance(value, str) and key in ("hosts", "children") else value
        if value is None and key in ("hosts", "children", "vars"):
            continue
        if key not in ("hosts", "children", "vars") or not isinstance(named, dict):
            inventory.lose(
                here, f"{one_line(key, 60)} of group {one_line(name, 60)}", "there are hosts, children, vars"
            )
        elif key == "vars":
            group.vars.update(_located(document, (*path, key), file))
        elif key == "children":
            _yaml_children(inventory, document, (*path, key), file, group, named)
        else:
            _yaml_hosts(inventory, document, (*path, key), file, name, named)


def _yaml_children(
    inventory: Inventory, document: Loaded, path: Path, file: str, group: Group, value: Mapping[str, Any]
) -> None:
    for child in value:
        group.children[child] = None
        if path in document.lines and isinstance(_at(document.data, path), dict):
            _yaml_group(inventory, document, (*path, child), file)
        else:
            inventory.group(child, Place(file, document.line(*path)))


def _yaml_hosts(
    inventory: Inventory, document: Loaded, path: Path, file: str, group: str, value: Mapping[str, Any]
) -> None:
    for pattern, values in value.items():
        place = Place(file, document.line(*path, pattern))
        try:
            found = _located(document, (*path, pattern), file) if isinstance(values, dict) else {}
            if values is not None and not isinstance(values, dict):
                raise InventoryError(f"what belongs to {one_line(pattern, 60)} is no mapping of variables")
            inventory.add(pattern, group, found, place)
        except InventoryError as error:
            inventory.lose(place, str(error), "write a host, and below it KEY: VALUE")


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


class _Ini:
    def __init__(self, inventory: Inventory, name: str) -> None:
        self.inventory = inventory
        self.name = name
        self.group = "ungrouped"
        self.sort = "hosts"

    def read(self, data: bytes) -> None:
        for number, raw in enumerate(data.splitlines(), 1):
            place = Place(self.name, number)
            try:
                self._line(place, raw.decode("utf-8-sig" if number == 1 else "utf-8").strip())
            except UnicodeDecodeError:
                if not raw.lstrip().startswith((b"#", b";")):
                    self.inventory.lose(place, "the line is not UTF-8", "save the file as UTF-8")
            except InventoryError as error:
                self.inventory.lose(place, str(error), "Ansible refuses the file; mend the line")

    def _line(self, place: Place, said: str) -> None:
        if not said or said.startswith(("#", ";")):
            if text := said.lstrip("#;").strip():
                self.inventory.comments.append(text)
        elif (found := _SECTION.fullmatch(said)) is not None:
            self.group, self.sort = found[1], found[2] or "hosts"
            if self.sort not in ("hosts", "children", "vars"):
                self.sort = "nothing"
                raise InventoryError(f"{one_line(said, 60)}: a section of hosts, children or vars is known")
            self.inventory.group(self.group, place)
        elif said.startswith("[") and said.endswith("]"):
            self.sort = "nothing"
            raise InventoryError(f"{one_line(said, 60)} is no section")
        elif self.sort == "nothing":
            raise InventoryError(f"{one_line(said, 60)} stands in no section that is known")
        elif self.sort == "vars":
            key, equals, value = said.partition("=")
            if not equals:
                raise InventoryError("a line without '=': a variable is KEY=VALUE")
            self.inventory.groups[self.group].vars[key.strip()] = Var(place, _value(value.strip()))
        elif self.sort == "children":
            child = said.partition("#")[0].strip()
            self.inventory.group(child, place)
            self.inventory.groups[self.group].children[child] = None
        else:
            self._host(place, said)

    def _host(self, place: Place, said: str) -> None:
        if len(said) > _LONGEST:
            raise InventoryError(f"a line of a host with more than {_LONGEST:,} characters")
        try:
            pattern, *words = shlex.split(said, comments=True)
        except ValueError as error:
            raise InventoryError(f"{one_line(said.split(maxsplit=1)[0], 60)}: a quote is not closed") from error
        values = {}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise InventoryError(f"{one_line(pattern, 60)}: a word without '=': a variable of a host is KEY=VALUE")
            values[key] = Var(place, _value(value))
        self.inventory.add(pattern, self.group, values, place)


def _value(text: str) -> Any:
    """A value as Ansible takes it: what Python's literals are, and text otherwise."""
    if len(text) > 10_000 or text.count("[") + text.count("(") + text.count("{") > 100:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _expanded(pattern: str) -> tuple[list[str], int | None]:
    """The names that a pattern stands for, and its port. Raises InventoryError."""
    port = None
    if (found := _PORT.fullmatch(pattern)) is not None:
        pattern, port = found["bracketed"] or found["plain"], int(found["port"])
    if pattern.endswith(":") or pattern == "---" or not pattern:
        raise InventoryError(f"{one_line(pattern, 60)} is no host")
    names = [pattern]
    while any("[" in name for name in names):
        names = [made for name in names for made in _ranged(name)]
        if len(names) > MAX_HOSTS:
            raise InventoryError(f"{one_line(pattern, 60)} stands for more than {MAX_HOSTS:,} hosts")
    return names, port


def _ranged(name: str) -> Iterator[str]:
    """The names that the first range of a name gives."""
    head, opened, rest = name.partition("[")
    if not opened:
        yield name
        return
    inner, closed, tail = rest.partition("]")
    bounds = inner.split(":")
    if not closed or len(bounds) not in (2, 3) or not bounds[1]:
        raise InventoryError(f"{one_line(name, 60)}: a range is [BEGIN:END] or [BEGIN:END:STEP]")
    begin, end = bounds[0] or "0", bounds[1]
    step = int(bounds[2]) if len(bounds) == 3 and bounds[2].isdecimal() else 1
    letters = string.ascii_letters
    if (
        len(begin) == len(end) == 1
        and begin in letters
        and end in letters
        and letters.index(begin) <= letters.index(end)
    ):
        parts = list(letters[letters.index(begin) : letters.index(end) + 1 : step or 1])
    elif begin.isdecimal() and end.isdecimal() and len(begin) < 10 > len(end) and step:
        width = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
        if width and width != len(end):
            raise InventoryError(f"{one_line(name, 60)}: begin and end of a range must be equally long")
        numbers = range(int(begin), int(end) + 1, step)
        if len(numbers) > MAX_HOSTS:
            raise InventoryError(f"{one_line(name, 60)} stands for more than {MAX_HOSTS:,} hosts")
        parts = [str(number).zfill(width) for number in numbers]
    else:
        raise InventoryError(f"{one_line(name, 60)}: a range goes from a number to a number, or a letter to a letter")
    for part in parts:
        yield f"{head}{part}{tail}"
