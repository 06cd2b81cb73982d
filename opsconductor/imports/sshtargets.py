"""Machines that another tool reached over SSH, as Targets, with the Credentials to be made for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsconductor.imports.drafts import Draft, Place, Remark, document
from opsconductor.imports.naming import Names, slug

_NO_KEY = "gather keys with ssh-keyscan{of}, compare them, and give the file with --known-hosts"
_HOPS = 16
_PLAIN = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Machine:
    """A host with what is known of how to reach it. `jump` names another machine; `barred` says why none can."""

    name: str
    place: Place
    host: str
    port: int = 22
    user: str | None = None
    identity: str | None = None
    """The path of its private key, where the other tool ran."""
    keys: tuple[str, ...] = ()
    jump: str | None = None
    become: str | None = None
    barred: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    above: tuple[str, ...] = ()


def drafts(machines: Sequence[Machine], otherwise: str) -> tuple[list[Draft], list[Remark]]:
    """Targets and Credentials by file, and what is missing. `otherwise` names the Credential of machines without one.

    A Target without host keys, or behind one, gets no connection: anybody could pose as that host.
    """
    remarks: list[Remark] = []
    reached = _reached(machines, remarks)
    credentials = _Credentials(otherwise)
    made = []
    for one in machines:
        spec: dict[str, Any] = {"host": one.host}
        if one.name in reached:
            ssh: dict[str, Any] = {"port": one.port} if one.port != 22 else {}
            ssh |= {"user": one.user} if one.user else {}
            ssh |= {"credentialRef": credentials.of(one), "hostKeys": list(one.keys)}
            ssh |= {"jump": one.jump} if one.jump else {}
            ssh |= {"become": one.become} if one.become else {}
            spec["connections"] = {"ssh": ssh}
            if not one.user:
                what = f"{one.name}: nobody is named who logs in; the other tool used the name of whoever called it"
                remarks.append(Remark(one.place, what, "give one with --login"))
        spec["vars"] = dict(one.vars)
        target = document("Target", one.name, spec, labels=one.labels, description=one.description)
        made.append(Draft(f"targets/{one.name}.yaml", one.place, (target,), one.above))
    return [*made, *credentials.drafts(remarks)], remarks


def _reached(machines: Sequence[Machine], remarks: list[Remark]) -> set[str]:
    """The names of those that a connection is written for."""
    known = {one.name: one for one in machines}
    reached: set[str] = set()
    for one in machines:
        way = [one]
        while (jump := way[-1].jump) is not None and jump in known and len(way) <= _HOPS:
            way.append(known[jump])
        wrong = next((_wrong(hop) for hop in reversed(way) if _wrong(hop)), None)
        if len(way) > _HOPS:
            wrong = (f"it is reached through more than {_HOPS} others, or through itself", "take a jump out")
        if wrong is None:
            reached.add(one.name)
        else:
            what = f"{one.name} has no connection yet: {wrong[0]}"
            remarks.append(Remark(one.place, what, wrong[1]))
    return reached


def _wrong(one: Machine) -> tuple[str, str] | None:
    if one.barred:
        return one.barred, "write the connection by hand"
    if not one.keys:
        of = f" -p {one.port} {one.host}" if _PLAIN.fullmatch(one.host) else ""
        return f"no host key of {one.host} is known", _NO_KEY.format(of=of)
    return None


@dataclass
class _Credentials:
    """The Credentials that were named: one for each key file."""

    otherwise: str
    names: Names = field(default_factory=Names)
    by_path: dict[str, tuple[str, Place]] = field(default_factory=dict)

    def of(self, one: Machine) -> str:
        path = one.identity or ""
        if path not in self.by_path:
            base = path.rstrip("/").rpartition("/")[2]
            self.by_path[path] = (self.names.unique(slug(base, "key") if path else self.otherwise, path), one.place)
        return self.by_path[path][0]

    def drafts(self, remarks: list[Remark]) -> list[Draft]:
        made = []
        for path, (name, place) in self.by_path.items():
            of = f"the private key {path}" if path else "the private key that logs in where no other is named"
            spec = {"type": "ssh", "from": {"file": name}}
            one = document("Credential", name, spec, description=f"To be made: {of}.")
            made.append(Draft(f"credentials/{name}.yaml", place, (one,)))
            what = f"Credential {name}: {of} is to be put into the secret folder of the engine, as '{name}'"
            remarks.append(Remark(place, what, "or encrypt it in place: opsconductor credential set", lost=False))
        return made
