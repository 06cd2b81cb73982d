"""Hosts of an inventory against Targets: which is which, and what the documents do not have yet. Pure.

A host of an inventory is its name there. Where it is, which groups it is in, and the variables that the Discovery names
are the inventory's to say; everything else of a document is people's, once it is merged.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from engine.discovery.changing import Change, Drop, Put
from engine.discovery.matching import ANSWERS, NAME, OF, Matched, Sign
from engine.discovery.seen import Listed, SeenHost, line
from schemas.target import Target

GROUPS = f"{OF}.groups"
"""Annotation: the groups whose labels were proposed."""
PREFIX, MEMBER = "group.", "member"
"""The label of a group, and its value: an inventory gives no other labels."""
_USUAL = {"ssh": 22, "winrm": 5986}


def labels(listed: Listed) -> dict[str, str]:
    """Those of its groups."""
    return {f"{PREFIX}{group}": MEMBER for group in listed.groups}


def matched(hosts: Sequence[SeenHost], targets: Mapping[str, Target], names: Collection[str]) -> Matched:
    """By the names that its own Targets were proposed under; a Target of others is met by its address, or its name.

    `names` are those that the Discovery has and had.
    """
    ours: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for name, target in sorted(targets.items()):
        noted = target.metadata.annotations
        if noted.get(OF) in names and NAME in noted:
            ours.setdefault(noted[NAME], name)
        elif target.spec.host is not None:
            others.setdefault(_plain(target.spec.host), []).append(name)
    at = Counter(host.address for host in hosts)
    free = {name for names in others.values() for name in names}
    found: dict[str, str] = {}
    by: dict[str, Sign] = {}
    for host in hosts:
        there = others.get(_plain(host.address), [])
        if host.id in ours:
            found[host.id], by[host.id] = ours[host.id], "name"
        elif len(there) == 1 and at[host.address] == 1 and there[0] in free:
            found[host.id], by[host.id] = there[0], "address"
        elif host.id in free:
            found[host.id], by[host.id] = host.id, "name"
        free.discard(found.get(host.id, ""))
    return Matched(found, by)


def moved(target: Target, host: SeenHost) -> bool:
    """Whether the inventory says another place than the document."""
    return target.spec.host is not None and _plain(target.spec.host) != _plain(host.address)


def changes(target: Target, host: SeenHost, notes: list[str]) -> Iterator[Change]:
    """Groups, variables and the port, where the inventory says otherwise than it did."""
    listed = host.listed
    if listed is None:
        return
    yield from _groups(target, listed, notes)
    for name, value in sorted(listed.vars.items()):
        if name not in target.spec.vars or not _same(target.spec.vars[name], value):
            notes.append(f"{name} is now {line(_shown(value), 80)}")
            yield Put(("spec", "vars", name), value)
    yield from _port(target, host, listed, notes)


def _groups(target: Target, listed: Listed, notes: list[str]) -> Iterator[Change]:
    before, now = set(target.metadata.annotations.get(GROUPS, "").split()), set(listed.groups)
    for group in sorted(now - before):
        notes.append(f"is in group {group}")
        yield Put(("metadata", "labels", f"{PREFIX}{group}"), MEMBER)
    for group in sorted(before - now):
        notes.append(f"is no longer in group {group}")
        if f"{PREFIX}{group}" in target.metadata.labels:
            yield Drop(("metadata", "labels", f"{PREFIX}{group}"))
    if before != now:
        place = ("metadata", "annotations", GROUPS)
        yield Put(place, " ".join(sorted(now))) if now else Drop(place)


def _port(target: Target, host: SeenHost, listed: Listed, notes: list[str]) -> Iterator[Change]:
    """Where the host answers at a port that was never proposed, and its connection goes elsewhere."""
    way = listed.way
    connection = getattr(target.spec.connections, way) if way is not None else None
    if connection is None or listed.port is None or (connection.port or _USUAL[str(way)]) == listed.port:
        return
    mark = f"{way}:{listed.port}"
    if (
        any(one.mark == mark for one in host.answers)
        and mark not in target.metadata.annotations.get(ANSWERS, "").split()
    ):
        notes.append(f"{way} is now at port {listed.port}")
        yield Put(("spec", "connections", str(way), "port"), listed.port)


def _plain(host: str) -> str:
    text = host.strip("[]").lower().rstrip(".")
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def _same(one: Any, other: Any) -> bool:
    """To JSON `1` and `true` are two, as they are to people."""
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
