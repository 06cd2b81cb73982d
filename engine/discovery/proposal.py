"""What is proposed after scans, inventories that were read, and facts that were gathered. Pure.

It is files to write, and what became of each host. A Target belongs to the Discovery that its annotation names, and
only that one changes it, `facts` apart. Of a Target that people wrote nothing else is changed. What is not there any
more is marked with the day on which it was seen last, and never removed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import chain
from pathlib import PurePosixPath
from typing import Literal

from engine.commented import NotFormatted
from engine.discovery import changing, drafting, listing, trust
from engine.discovery.changing import Change, Drop, Put
from engine.discovery.drafting import Classified
from engine.discovery.gathering import gathered
from engine.discovery.matching import ANSWERS, CERTIFICATES, MAC, NAME, OF, Ignored, Matched, Sign, known, matched
from engine.discovery.seen import Scan, SeenHost
from schemas.discovery import Discovery
from schemas.reader import read
from schemas.target import Target

Verdict = Literal["new", "changed", "same", "gone", "ignored"]
WARNINGS = (trust.WARNING, "not changed")
"""What notes begin with that people have to look at."""
NEW = 2_000
"""New hosts that one scan proposes: people review no more, and one machine may answer for a whole network."""
STALE = "stale"
"""The label of a host that is gone: the day, in UTC, on which it was seen last."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Target is written: the file, and which of its documents, counted from 0."""

    file: str
    index: int


Standing = Literal["folder", "other"]
"""What is at a path: a folder, or a file, a link or a submodule."""


def _nothing(_: str) -> Standing | None:
    return None


@dataclass(frozen=True, slots=True)
class Base:
    """The definitions that a proposal is made against. `text` gives a file of them, or nothing where there is none.

    `standing` says what is at a path of the commit: a file, too, that is no text or too long to be one.
    """

    targets: Mapping[str, Target]
    places: Mapping[str, Place]
    text: Callable[[str], bytes | None]
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Their types, by name."""
    standing: Callable[[str], Standing | None] = _nothing


@dataclass(frozen=True, slots=True)
class Scanned:
    """A Discovery and its last scan. `last_seen` is when each of its Targets was seen before that; `former` are names
    that it had, under which Targets were proposed that are still its own."""

    discovery: Discovery
    scan: Scan
    last_seen: Mapping[str, datetime] = field(default_factory=dict)
    former: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a host. `notes` say what is new, or what a person should know."""

    verdict: Verdict
    address: str
    target: str | None = None
    host: SeenHost | None = None
    by: Sign | None = None
    notes: tuple[str, ...] = ()
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one Discovery. `last_seen` is to be kept for the next time."""

    scan: Scan
    rows: tuple[Row, ...]
    last_seen: Mapping[str, datetime]
    trouble: str | None = None
    """Why not all of it is proposed."""

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)


@dataclass(frozen=True, slots=True)
class Proposal:
    """`files` are those that differ from the definitions; none where nothing is to be proposed."""

    files: Mapping[str, bytes]
    outcomes: Mapping[str, Outcome]


def proposed(base: Base, scans: Iterable[Scanned]) -> Proposal:
    """What all Discoveries of one branch propose together, one after another by name."""
    draft = _Draft(base)
    ordered = sorted(scans, key=lambda one: one.discovery.name)
    outcomes = {one.discovery.name: _outcome(draft, one) for one in ordered}
    return Proposal(dict(sorted(draft.files.items())), outcomes)


def _outcome(draft: "_Draft", scanned: Scanned) -> Outcome:
    scan = scanned.scan
    if scan.facts is None:
        return _One(draft, scanned).outcome()
    found = gathered(scan.facts, draft.targets, draft.change)
    rows = [
        Row("changed" if changed else "same", _host_of(draft.targets.get(name)) or name, name, notes=notes)
        for name, (changed, notes) in found.items()
    ]
    return Outcome(scan, tuple(rows), {})


def _host_of(target: Target | None) -> str | None:
    return None if target is None else target.spec.host


class _Draft:
    """The definitions as they would be, should all be merged that is proposed so far."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self.targets = dict(base.targets)
        self.files: dict[str, bytes] = {}
        self._places = dict(base.places)
        self.credentials = base.credentials
        self._former = {name for target in self.targets.values() for name in target.metadata.previous_names}
        self._folders: set[str] = set()
        """Those that proposed files are in."""

    def taken(self, folder: str) -> "_Taken":
        return _Taken((self.targets, self._former), folder, self._is_there)

    def _is_there(self, file: str) -> bool:
        return (
            file in self.files
            or file in self._folders
            or self._base.standing(file) is not None
            or (self._base.text(file) is not None)
        )

    def _text(self, file: str) -> bytes | None:
        return self.files[file] if file in self.files else self._base.text(file)

    def add(self, file: str, name: str, text: bytes) -> str | None:
        """Why it cannot be proposed; None where it is."""
        found = read(text, file)
        target = found.documents[0].document if len(found.documents) == 1 and not found.findings else None
        if not isinstance(target, Target):
            said = next((one.message for one in found.findings), "it is no Target")
            return f"not proposed: {said}"
        above = [str(one) for one in PurePosixPath(file).parents][:-1]
        if (barred := next((one for one in above if self._is_no_folder(one)), None)) is not None:
            return f"not proposed: '{barred}' is no folder; choose another in 'propose.path' of the Discovery"
        self.targets[name], self._places[name], self.files[file] = target, Place(file, 0), text
        self._folders.update(above)
        return None

    def _is_no_folder(self, path: str) -> bool:
        return path in self.files or self._base.standing(path) == "other"

    def change(self, name: str, changes: Sequence[Change]) -> str | None:
        """Why it stays as it is; None where it was changed."""
        place = self._places.get(name)
        text = None if place is None else self._text(place.file)
        if place is None or text is None:
            return "not changed: its file is not to be had"
        try:
            changed = changing.changed(text, place.index, changes)
        except NotFormatted as error:
            return f"not changed, {place.file}: {error}"
        found = read(changed, place.file)
        target = next((one.document for one in found.documents if one.index == place.index), None)
        if found.findings or not isinstance(target, Target):
            return f"not changed, {place.file}: {next((one.message for one in found.findings), 'it is no Target')}"
        self.targets[name], self.files[place.file] = target, changed
        return None


class _Taken(Collection[str]):
    """Names that no new Target may have: those of others, and of files that are there."""

    def __init__(self, names: Sequence[Collection[str]], folder: str, is_there: Callable[[str], bool]) -> None:
        # As they are, and not joined: one host after another asks.
        self._names, self._folder, self._is_there = names, folder, is_there

    def __contains__(self, name: object) -> bool:
        return any(name in one for one in self._names) or self._is_there(_file(self._folder, str(name)))

    def __iter__(self) -> Iterator[str]:
        return chain(*self._names)

    def __len__(self) -> int:
        return sum(map(len, self._names))


def _file(folder: str, name: str) -> str:
    return str(PurePosixPath(folder.strip("/"), f"{name}.yaml"))


class _One:
    """What one scan proposes."""

    def __init__(self, draft: _Draft, scanned: Scanned) -> None:
        self._draft, self._scan = draft, scanned.scan
        self._discovery, self._spec = scanned.discovery, scanned.discovery.spec
        self._names = scanned.former | {scanned.discovery.name}
        self._before = scanned.last_seen
        self._seen: dict[str, datetime] = {}
        self._new_hosts = 0
        self._shown: dict[str, set[str]] = {}
        for host in self._scan.hosts:
            for key in host.keys:
                self._shown.setdefault(key, set()).add(host.address)

    def outcome(self) -> Outcome:
        hosts, rows = self._scan.hosts, list[Row]()
        former = {target.spec.host or "": name for name, target in self._draft.targets.items()}
        found = self._matched(hosts)
        ignored = Ignored(self._spec.ignore)
        for host in sorted(hosts, key=lambda one: _order(one.address)):
            name = found.target.get(host.id)
            if host in ignored:
                rows.append(self._ignored(host, name))
            elif name is not None:
                rows.append(self._met(host, name, found))
            # a firewall may answer for each address of a network: that is no host to admit
            elif host.services or self._scan.listing:
                rows.append(self._new(host, former))
        rows += self._gone(frozenset(found.target.values()))
        rows.sort(key=lambda row: (_order(row.address), row.target or ""))
        return Outcome(self._scan, tuple(rows), dict(sorted(self._seen.items())), self._trouble())

    def _matched(self, hosts: Sequence[SeenHost]) -> Matched:
        if self._scan.listing:
            return listing.matched(hosts, self._draft.targets, self._names)
        return matched(hosts, map(known, self._draft.targets.values()))

    def _trouble(self) -> str | None:
        if self._new_hosts <= NEW:
            return None
        return (
            f"{self._new_hosts - NEW:,} new hosts are not proposed, since one scan proposes at most {NEW:,}: merge "
            "these, and the next scan proposes more; or name in 'exclude' or 'ignore' what is not to be Targets"
        )

    def _ours(self, target: Target) -> bool:
        return target.metadata.annotations.get(OF) in self._names

    def _ignored(self, host: SeenHost, name: str | None) -> Row:
        """One that is a Target already stays as it is: it is there."""
        if name is not None and self._ours(self._draft.targets[name]):
            self._seen[name] = self._scan.finished_at
        return Row("ignored", host.address, name, host)

    # --- hosts that no Target is ----------------------------------------------------------------------------------

    def _new(self, host: SeenHost, former: Mapping[str, str]) -> Row:
        self._new_hosts += 1
        if self._new_hosts > NEW:
            return Row("new", host.address, None, host, notes=(f"not proposed: one of more than {NEW:,}",))
        found = drafting.classified(host, self._spec.classify)
        folder = self._spec.propose.path
        name = drafting.name_for(host, self._draft.taken(folder))
        data = drafting.document(name, host, self._discovery.name, found, self._draft.credentials)
        comment = f"Proposed by Discovery/{self._discovery.name}. Check the keys and certificates before you merge it."
        try:
            why = self._draft.add(_file(folder, name), name, changing.new(data, comment))
        except NotFormatted as error:
            why = f"not proposed: {error}"
        notes = [*found.problems, *self._copies(host)]
        if host.address in former:
            notes.append(f"is at the address of {former[host.address]}, and is told apart from it")
        if why is not None:
            return Row("new", host.address, None, host, notes=(why, *notes))
        self._seen[name] = self._scan.finished_at
        return Row("new", host.address, name, host, notes=tuple(notes))

    def _copies(self, host: SeenHost) -> Iterator[str]:
        alike = {address for key in host.keys for address in self._shown[key]} - {host.address}
        if alike:
            yield f"shows the same host key as {min(alike, key=_order)}: the same machine, or a copy of it"

    # --- hosts that are known -------------------------------------------------------------------------------------

    def _met(self, host: SeenHost, name: str, found: Matched) -> Row:
        target, by = self._draft.targets[name], found.by[host.id]
        if not self._ours(target):
            return Row("same", host.address, name, host, by, _strange(target, host))
        self._seen[name] = self._scan.finished_at
        changes, notes = self._changes(target, host)
        if not changes:
            return Row("same", host.address, name, host, by)
        if (why := self._draft.change(name, changes)) is not None:
            return Row("same", host.address, name, host, by, (why, *notes))
        return Row("changed", host.address, name, host, by, tuple(notes))

    def _changes(self, target: Target, host: SeenHost) -> tuple[list[Change], list[str]]:
        """What the document does not have yet, and in words."""
        changes: list[Change] = []
        notes: list[str] = []
        spec, noted = target.spec, target.metadata.annotations
        if _moved(target, host):
            changes.append(Put(("spec", "host"), host.address))
            notes.append(f"moved from {spec.host}")
            changes += _moved_url(target, host)
        if spec.connections.ssh is not None and (keys := trust.other_keys(target, host)):
            changes.append(Put(("spec", "connections", "ssh", "hostKeys"), trust.with_keys(spec.connections.ssh, keys)))
            notes.append(trust.OTHER_KEYS)
        for key, now, words in ((MAC, host.mac, "MAC address"), (NAME, host.name, "name")):
            if now and noted.get(key) != now:
                changes.append(Put(("metadata", "annotations", key), now))
                notes.append(f"{words} is now {now}" if key in noted else f"{words} {now}")
        had = trust.noted(noted.get(CERTIFICATES, ""))
        digests = dict(had)
        changes += trust.other_certificates(target, host, digests, notes)
        changes += listing.changes(target, host, notes)
        changes += self._connections(target, host, digests, notes)
        if digests != had:
            place = ("metadata", "annotations", CERTIFICATES)
            changes.append(Put(place, trust.as_note(digests)) if digests else Drop(place))
        if STALE in target.metadata.labels:
            changes.append(Drop(("metadata", "labels", STALE)))
            notes.append(f"is back, was away since {target.metadata.labels[STALE]}")
        return changes, notes

    def _connections(
        self, target: Target, host: SeenHost, digests: dict[str, str], notes: list[str]
    ) -> Iterator[Change]:
        """Those that answer now and were never proposed: what a person took out stays out."""
        before = set(target.metadata.annotations.get(ANSWERS, "").split())
        now = {one.mark for one in host.answers}
        if now <= before:
            return
        fresh = replace(host, answers=tuple(one for one in host.answers if one.mark not in before))
        found: Classified = drafting.classified(host, self._spec.classify)
        for kind in ("ssh", "winrm", "http", "rdp"):
            if getattr(target.spec.connections, kind) is None:
                made = drafting.connection(fresh, kind, found, self._draft.credentials)
                if made is not None:
                    digests.update(trust.proposed_certificates({kind: made}, fresh))
                    yield Put(("spec", "connections", kind), made)
        yield Put(("metadata", "annotations", ANSWERS), " ".join(sorted(before | now)))
        notes.append(f"answers now: {', '.join(sorted(now - before))}")

    # --- hosts that are gone --------------------------------------------------------------------------------------

    def _gone(self, met: frozenset[str]) -> Iterator[Row]:
        within = [ip_network(text) for text in self._spec.networks]
        without = [ip_network(text) for text in self._spec.exclude]
        for name in sorted(self._draft.targets.keys() - met):
            target = self._draft.targets[name]
            host = target.spec.host or ""
            if not self._ours(target) or name in self._seen:
                continue
            if self._scan.listing:
                yield self._away(target, host)
                continue
            if not _is_address(host):
                continue
            address = ip_address(host)
            if _lies_in(address, within) and not _lies_in(address, without):
                yield self._away(target, host)

    def _away(self, target: Target, address: str) -> Row:
        # Of one that was never seen since it was merged nobody knows more than that it is gone now.
        last = self._before.get(target.name, self._scan.finished_at)
        self._seen[target.name] = last
        since = target.metadata.labels.get(STALE)
        if since is not None:
            return Row("gone", address, target.name, notes=(f"stale since {since}",), last_seen=last)
        if self._scan.finished_at - last < self._spec.propose.stale_after:
            return Row(
                "gone",
                address,
                target.name,
                notes=("is not listed" if self._scan.listing else "did not answer",),
                last_seen=last,
            )
        day = last.astimezone(UTC).date().isoformat()
        why = self._draft.change(target.name, [Put(("metadata", "labels", STALE), day)])
        return Row("gone", address, target.name, notes=(why or f"marked stale since {day}",), last_seen=last)


def _strange(target: Target, host: SeenHost) -> tuple[str, ...]:
    return (trust.OTHER_KEYS,) if trust.other_keys(target, host) else ()


def _moved(target: Target, host: SeenHost) -> bool:
    if host.listed is not None:
        return listing.moved(target, host)
    before = target.spec.host
    return before is not None and _is_address(before) and ip_address(before) != ip_address(host.address)


def _moved_url(target: Target, host: SeenHost) -> Iterator[Change]:
    """The same URL at the new address."""
    http, before = target.spec.connections.http, target.spec.host or ""
    if http is None:
        return
    old, new = (f"[{one}]" if ":" in one else one for one in (before, host.address))
    scheme, _, rest = str(http.base_url).partition("://")
    if rest == old or rest.startswith((f"{old}/", f"{old}:")):
        yield Put(("spec", "connections", "http", "baseUrl"), f"{scheme}://{new}{rest.removeprefix(old)}")


def _lies_in(address: IPv4Address | IPv6Address, networks: Iterable[object]) -> bool:
    return any(address in network for network in networks)  # type: ignore[operator]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _order(address: str) -> tuple[int, int]:
    try:
        ip = ip_address(address)
    except ValueError:
        return 0, 0
    return ip.version, int(ip)
