"""What an inventory lists, in the form that `ansible-inventory --list` and inventory programs print: JSON. Pure.

Whoever wrote it, nothing of it is believed: it is bounded, names are those of hosts, and of variables only those leave
this place that say how a host is reached, or that the Discovery names.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from engine.discovery.seen import HOSTS, MEMBERSHIPS, Listed, SeenHost, Way, dns_name, is_shown, line, names_of
from engine.leaks import names_a_secret

LONGEST = 16 * 1024 * 1024
"""Bytes of an inventory."""
GROUPS, NAMED = 2_000, 200_000
"""Groups, and hosts and groups that they name together."""
_LONGEST_TEXT, _ITEMS = 1_024, 64
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\ -]{0,255}")
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_OF_ALL = frozenset({"all", "ungrouped"})
_ADDRESS = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port")
_LOGIN = ("ansible_user", "ansible_ssh_user")
_CONNECTION = ("ansible_connection",)
_CONNECTING = frozenset({*_ADDRESS, *_PORT, *_LOGIN, *_CONNECTION})
_WAYS: Mapping[str, Way] = {
    **dict.fromkeys(("", "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"), "ssh"),
    **dict.fromkeys(("winrm", "psrp", "ansible.builtin.winrm", "ansible.builtin.psrp"), "winrm"),
}
_USUAL: Mapping[Way, int] = {"ssh": 22, "winrm": 5986}


@dataclass(frozen=True, slots=True)
class Listing:
    """The hosts, by name. `left_out` says, in a line each, what of it was not taken, and why."""

    hosts: tuple[SeenHost, ...]
    left_out: tuple[str, ...] = ()


def listing(data: bytes, variables: Sequence[str]) -> Listing:
    """The hosts of an inventory, with those of their variables. Raises ValueError for what is none."""
    groups, hostvars = _read(_parsed(data))
    lines = _Lines(groups)
    left_out: list[str] = []
    hosts = []
    for name, of in sorted(_direct(groups).items()):
        held = lines.of(name, of)
        values: dict[str, Any] = {}
        wanted = _CONNECTING | set(variables)
        for given in (*(groups[group].vars for group in held if group in groups), hostvars.get(name, {})):
            values |= {key: given[key] for key in wanted if key in given}
        try:
            hosts.append(_host(name, [group for group in held if group not in _OF_ALL], values, variables, left_out))
        except _LeftOut as error:
            left_out.append(f"{line(name, 80)}: {error}")
    return Listing(tuple(hosts), tuple(left_out))


class _LeftOut(Exception):  # noqa: N818 - named after what becomes of the host
    """The host is none that could be a Target."""


@dataclass(slots=True)
class _Group:
    hosts: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    vars: Mapping[str, Any] = field(default_factory=dict)


def _parsed(data: bytes) -> Mapping[str, Any]:
    if len(data) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST // 1024**2} MiB")
    if not data.strip():
        raise ValueError("it is empty; an inventory without hosts is {}")
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("it is no mapping of groups, as 'ansible-inventory --list' prints it")
    return found


def _read(found: Mapping[str, Any]) -> tuple[dict[str, _Group], Mapping[str, Mapping[str, Any]]]:
    """The groups by name, and the variables of hosts."""
    meta = found.get("_meta", {})
    given = meta.get("hostvars", {}) if isinstance(meta, dict) else None
    if not isinstance(given, dict):
        raise ValueError("'_meta' has no mapping 'hostvars'")
    if len(found) > GROUPS:
        raise ValueError(f"it has more than {GROUPS:,} groups")
    groups = {name: _group(name, content) for name, content in found.items() if name != "_meta"}
    if sum(len(one.hosts) + len(one.children) for one in groups.values()) > NAMED:
        raise ValueError(f"its groups name more than {NAMED:,} hosts and groups")
    return groups, {name: values for name, values in given.items() if isinstance(values, dict)}


def _group(name: str, content: object) -> _Group:
    """A list is that of its hosts; lists of names may be mappings, whose keys they are then."""
    content = {"hosts": content} if isinstance(content, list) else content
    if not isinstance(content, dict):
        raise ValueError(f"group '{line(name, 80)}' is no mapping of hosts, children and vars")
    named: dict[str, list[str]] = {}
    for key in ("hosts", "children"):
        names = content.get(key) or []
        if not isinstance(names, list | dict) or not all(isinstance(one, str) for one in names):
            raise ValueError(f"'{key}' of group '{line(name, 80)}' is no list of names")
        named[key] = list(dict.fromkeys(names))
    values = content.get("vars") or {}
    if not isinstance(values, dict):
        raise ValueError(f"'vars' of group '{line(name, 80)}' is no mapping")
    return _Group(named["hosts"], named["children"], values)


def _direct(groups: Mapping[str, _Group]) -> dict[str, list[str]]:
    """By host the groups that name it."""
    found: dict[str, list[str]] = {}
    for name, group in groups.items():
        for host in group.hosts:
            found.setdefault(host, []).append(name)
    if len(found) > HOSTS:
        raise ValueError(f"it has more than {HOSTS:,} hosts")
    return found


class _Lines:
    """The groups that hold hosts, theirs and those that hold these, in Ansible's order: what is near comes last."""

    def __init__(self, groups: Mapping[str, _Group]) -> None:
        self._groups = groups
        self._parents: dict[str, dict[str, None]] = {}
        for name, group in groups.items():
            for child in group.children if name != "all" else ():
                self._parents.setdefault(child, {})[name] = None
        self._above: dict[str, frozenset[str]] = {}
        self._depths: dict[str, int] = {}

    def of(self, host: str, direct: Sequence[str]) -> list[str]:
        """Raises ValueError where they are too many, or hold each other in a circle."""
        held = set[str]()
        for name in direct:
            held |= self._with_above(name)
            if len(held) > MEMBERSHIPS:
                raise ValueError(f"host '{line(host, 80)}' is in more than {MEMBERSHIPS} groups")
        ordered = sorted(held - {"all"}, key=lambda name: (self._depth(name), self._priority(name), name))
        return ["all", *ordered]

    def _with_above(self, name: str) -> frozenset[str]:
        """The group, and all that hold it."""
        if name not in self._above:
            found, waiting = {name}, [name]
            while waiting:
                for parent in self._parents.get(waiting.pop(), ()):
                    if parent == name:
                        raise ValueError(f"group '{line(name, 80)}' holds itself")
                    if parent not in found:
                        found.add(parent)
                        waiting.append(parent)
                    if len(found) > MEMBERSHIPS:
                        raise ValueError(f"group '{line(name, 80)}' lies in more than {MEMBERSHIPS} others")
            self._above[name] = frozenset(found)
        return self._above[name]

    def _depth(self, name: str) -> int:
        """How far it is below `all`, by the longest way. What holds a group lies in fewer than this."""
        if name in self._depths:
            return self._depths[name]
        for one in sorted(self._with_above(name), key=lambda one: len(self._with_above(one))):
            above = (self._depths[parent] for parent in self._parents.get(one, ()))
            self._depths.setdefault(one, 1 + max(above, default=0))
        return self._depths[name]

    def _priority(self, name: str) -> int:
        value = self._groups[name].vars.get("ansible_group_priority") if name in self._groups else None
        try:
            return int(str(value)[:20])
        except ValueError:
            return 1


def _host(
    name: str, groups: Sequence[str], values: Mapping[str, Any], variables: Sequence[str], left_out: list[str]
) -> SeenHost:
    if not is_shown(name):
        raise _LeftOut("its name cannot be shown in one line")
    said = _text(values, _CONNECTION).lower()
    given = _text(values, _ADDRESS)
    written = given or name
    if said == "local" or (name in ("localhost", "127.0.0.1", "::1") and not given and not said):
        raise _LeftOut("it is the machine that the inventory is read on")
    address = _place(written)
    if not address:
        raise _LeftOut(f"'{line(written, 80)}' is no host name and no address")

    def lost(what: str) -> None:
        left_out.append(f"{name}: {what}")

    way = _WAYS.get(said)
    if way is None:
        lost(f"ansible_connection={line(said, 40)} is no connection of this product; it is not asked who it is")
    port = _port(values, way, lost)
    user = _text(values, _LOGIN)
    if user and not _USER.fullmatch(user):
        lost("its user is no name to log in with, and is left out")
        user = ""
    known = sorted(group for group in groups if _GROUP.fullmatch(group))
    for group in sorted(set(groups) - set(known)):
        lost(f"group '{line(group, 80)}' is no word that a label could have, and is left out")
    listed = Listed(name, tuple(known), dict(_carried(values, variables, lost)), way, port, user)
    return SeenHost(address, names=names_of((name, address)), listed=listed)


def _text(values: Mapping[str, Any], names: Sequence[str]) -> str:
    found = next((values[name] for name in names if name in values), "")
    return str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _place(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return dns_name(text)


def _port(values: Mapping[str, Any], way: Way | None, lost: Any) -> int | None:
    text = _text(values, _PORT)
    usual = _USUAL[way] if way is not None else None
    if not text:
        return usual
    if text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    lost(f"'{line(text, 40)}' is no port")
    return usual


def _carried(values: Mapping[str, Any], variables: Sequence[str], lost: Any) -> Iterator[tuple[str, Any]]:
    for name in variables:
        if name not in values:
            continue
        if names_a_secret(name):
            lost(f"variable {name} looks like a secret, and is left out; make it a Credential")
        elif _is_plain(values[name]):
            yield name, values[name]
        else:
            lost(f"variable {name} is no short text, number or list of them, and is left out")


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= _ITEMS and all(not isinstance(one, list) and _is_plain(one) for one in value)
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 2**53
        case float():
            return math.isfinite(value)
        case str():
            # what looks like an expression would be one more thing for people to wonder about
            return len(value) <= _LONGEST_TEXT and "${{" not in value and (not value or is_shown(value, _LONGEST_TEXT))
        case _:
            return False
