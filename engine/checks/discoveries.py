"""Discoveries: what is left alone, and the names in the conditions that classify hosts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import PurePosixPath
from typing import get_args

from engine.checks.memory import remembered
from engine.checks.reading import Fault, Read, judged, named, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import Typing, mismatches
from engine.discovery.drafting import FIELDS, Os
from engine.discovery.matching import as_network, as_sign
from engine.discovery.seen import ADDRESSES
from engine.expressions.expression import Reference
from engine.expressions.inference import BOOL, Types
from engine.globs import matches
from engine.leaks import names_a_secret
from schemas.diagnostic import Diagnostic, Related, Rest
from schemas.discovery import Discovery, DiscoverySpec, Inventory
from schemas.guesses import Guesses
from schemas.pool import RunnerPool
from schemas.reader import Authored

_ANY_TARGET = "host-10-1-0-5.yaml"
"""What the file of a host may be called that has no name."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if not isinstance(authored.document, Discovery):
        return
    yield from _not_read(authored, authored.document.spec, scope)
    yield from _taken(authored, authored.document.spec, scope)
    if authored.document.spec.from_ is None:
        yield from _left_alone(authored, authored.document.spec)
        yield from _out_of_reach(authored, authored.document.spec, scope)
        yield from _too_many(authored, authored.document.spec)
    else:
        yield from _secret_variables(authored, authored.document.spec.from_)
        yield from _not_found(authored, authored.document.spec.from_)
    yield from _no_signs(authored, authored.document.spec)
    names = _Names(authored.document.spec)
    typing = Typing(_types, _choices)
    for index, rule in enumerate(authored.document.spec.classify):
        path: Path = ("spec", "classify", index, "if")
        for one in read(authored, rule.if_, path, condition=True) if isinstance(rule.if_, str) else ():
            if isinstance(one, Read):
                wrong = tuple(judged(authored, one, names.judge))
                yield from wrong or mismatches(authored, one, typing, BOOL)
            else:
                yield one


def _left_alone(authored: Authored, spec: DiscoverySpec) -> Iterator[Diagnostic]:
    """What is excluded and would not be scanned anyway, or leaves nothing to scan."""
    scanned, excluded = Networks(spec.networks), Networks(spec.exclude)
    for index, network in enumerate(spec.exclude):
        if not scanned.touch(network):
            hint = "it is not scanned anyway; check it, or remove it"
            message = f"'{network}' is in none of the networks"
            yield Diagnostic(authored.span("spec", "exclude", index), "OC307", message, hint, "warning")
    if all(map(excluded.hold, spec.networks)):
        hint = "remove one of those that are excluded"
        span = authored.span("spec", "exclude", key=True)
        yield Diagnostic(span, "OC307", "'exclude' leaves nothing to scan", hint, "warning")


def _out_of_reach(authored: Authored, spec: DiscoverySpec, scope: Scope) -> Iterator[Diagnostic]:
    """Networks that every runner refuses to scan, since its pool does not say that it reaches them."""
    name = spec.runs_on.pool or scope.catalog.default_pool
    if scope.may_hold("RunnerPool", name) or (spec.runs_on.pool is None and scope.lacks("Project")):
        return
    pool = scope.catalog.pools.get(name)
    if pool is None and spec.runs_on.pool is not None:
        return  # there is no such pool, and that is said
    # the default pool need not be written down to have runners: then it reaches nothing that could be scanned
    reached = _reached(pool, scope) if pool is not None else Networks(())
    rests = (Rest(("spec", "runsOn")), Rest(("spec", "networks")))
    for index, network in enumerate(spec.networks):
        if not reached.hold(network):
            hint = f"add it to spec.networks of RunnerPool '{name}'" + (
                "" if pool is not None else ", which is to be made"
            )
            message = f"'{network}' is not within the networks of pool '{name}', and is not scanned"
            span = authored.span("spec", "networks", index)
            yield Diagnostic(span, "OC329", message, hint, "warning").resting_on(rests)


def _reached(pool: RunnerPool, scope: Scope) -> "Networks":
    authored = scope.authored("RunnerPool", pool.name)
    return remembered(authored, "networks of a pool", (), lambda: Networks(pool.spec.networks))


def _too_many(authored: Authored, spec: DiscoverySpec) -> Iterator[Diagnostic]:
    """More addresses than one scan asks; what is excluded counts, too, as the runner has it."""
    networks = {text: ip_network(text) for text in spec.networks}
    counted = {4: 0, 6: 0}
    for text, network in networks.items():
        before = counted[network.version]
        counted[network.version] += network.num_addresses
        if before <= ADDRESSES < counted[network.version]:
            size = sum(one.num_addresses for one in networks.values() if one.version == network.version)
            message = (
                f"{_said(size)} addresses of IPv{network.version} are too many: one scan asks {ADDRESSES:,} at most"
            )
            hint = "name the networks that hosts are in, each /16 or smaller, in several Discoveries if need be"
            span = authored.span("spec", "networks", spec.networks.index(text))
            yield Diagnostic(span, "OC329", message, hint, "warning").resting_on((Rest(("spec", "networks")),))


def _said(size: int) -> str:
    power = size.bit_length() - 1
    return f"{size:,}" if power < 40 else f"2^{power}" if size == 1 << power else f"more than 2^{power}"


def _not_found(authored: Authored, inventory: Inventory) -> Iterator[Diagnostic]:
    """A program of the repository, which no runner starts: there is no checkout where it runs."""
    program = inventory.command[0] if inventory.command else ""
    if "/" in program and not program.startswith("/"):
        message = f"'{program[:200]}' is a relative path, and a runner has no files of the repository"
        hint = "install it on the runner's host, and write its absolute path, or a name to be found in PATH"
        yield Diagnostic(authored.span("spec", "from", "command", 0), "OC207", message, hint)


def _taken(authored: Authored, spec: DiscoverySpec, scope: Scope) -> Iterator[Diagnostic]:
    """A branch that is something else's, or stands in the way of one: of two as `a` and `a/b` git keeps only one."""
    if scope.lacks("Project"):
        return
    project, branch = scope.catalog.project.spec, spec.propose.branch
    span = authored.span("spec", "propose", "branch")
    hint = "choose another, as in opsconductor/discovery-lab"
    used = (
        (project.branch or "main", "the definitions"),
        (project.status.ref.removeprefix("refs/heads/"), "status"),
        (project.requests.ref.removeprefix("refs/heads/"), "requests"),
    )
    for other, what in used:
        if branch == other:
            message = f"'{branch}' is the branch of {what}, which no scan may write"
            yield Diagnostic(span, "OC312", message, hint)
        elif _within(branch, other):
            message = f"'{branch}' and '{other}', the branch of {what}, cannot both exist: one is a folder of the other"
            yield Diagnostic(span, "OC312", message, hint)
    parts = branch.split("/")
    for other in ("/".join(parts[:count]) for count in range(1, len(parts))):
        if (name := scope.proposing.get(other)) is not None:
            message = f"'{branch}' and '{other}' cannot both exist: one is a folder of the other"
            there = scope.authored("Discovery", name).span("spec", "propose", "branch")
            related = (Related(there, f"that of Discovery '{name}'"),)
            yield Diagnostic(span, "OC312", message, hint, related=related)


def _within(branch: str, other: str) -> bool:
    """Whether one of two branches would be a folder where the other is a file."""
    return branch.startswith(f"{other}/") or other.startswith(f"{branch}/")


def _not_read(authored: Authored, spec: DiscoverySpec, scope: Scope) -> Iterator[Diagnostic]:
    """A folder of Targets that nobody would read once they are merged: the next scan would propose them again."""
    if (spec.from_ is not None and spec.from_.job_ref is not None) or scope.lacks("Project"):
        return  # facts are of Targets that are there; and what a Project includes that cannot be read, nobody knows
    include, folder = scope.catalog.project.spec.include, str(PurePosixPath(spec.propose.path))
    span = authored.span("spec", "propose", "path")
    if folder.endswith((".yaml", ".yml")):
        hint = "name a folder: each proposed Target gets a file in it"
        yield Diagnostic(span, "OC207", f"'{folder}' is the name of a file", hint)
    elif not any(matches(glob, f"{folder}/{_ANY_TARGET}") for glob in include):
        hint = f"choose a folder that 'include' of the Project names, as in {include[0]}, or add it there"
        yield Diagnostic(span, "OC207", f"Targets in '{folder}' would not be read", hint)


def _secret_variables(authored: Authored, inventory: Inventory) -> Iterator[Diagnostic]:
    """Variables that would stand in a document, and in the history of the repository for good."""
    for index, name in enumerate(inventory.vars):
        if names_a_secret(name):
            hint = "remove it here; make a Credential, and name that where it is used"
            span = authored.span("spec", "from", "vars", index)
            yield Diagnostic(span, "OC207", f"'{name}' looks like a secret, which is never carried", hint)


def _no_signs(authored: Authored, spec: DiscoverySpec) -> Iterator[Diagnostic]:
    """What `ignore` names and no host can be told by: the host that was meant would be proposed again and again."""
    for index, text in enumerate(spec.ignore):
        if as_sign(text) or as_network(text) is not None:
            continue
        hint = "write an SSH host key, a MAC address, a DNS name, an address, or a network as in 10.1.0.0/24"
        with suppress(ValueError):
            hint = f"it is an address in a network; did you mean {ip_network(text, strict=False)}?"
        yield Diagnostic(authored.span("spec", "ignore", index), "OC207", f"'{text}' tells no host", hint)


class _Names:
    """What a condition may read: `host`, what is known of each, and those variables that leave the runner."""

    def __init__(self, spec: DiscoverySpec) -> None:
        self._vars = frozenset(spec.from_.vars) if spec.from_ is not None else frozenset()
        self._guesses = Guesses()

    def judge(self, reference: Reference, _: bool) -> Fault | None:
        root, *rest = reference.path
        if root != "host":
            return Fault("OC402", f"there is no '{root}' here", "there is host")
        if rest[:1] == ["vars"]:
            hint = "no variable leaves the runner but those that 'from.vars' names; add it there"
            fault = named("variable", "host.vars", rest[1:], self._vars, self._guesses, hint)
            return replace(fault, rests=(Rest(("spec", "from")),)) if fault is not None else None
        return named("field", root, rest, FIELDS, self._guesses)


def _types(path: tuple[str, ...]) -> Types:
    return FIELDS.get(path[1]) if len(path) == 2 and path[0] == "host" else None


def _choices(path: tuple[str, ...]) -> frozenset[str]:
    return frozenset(get_args(Os)) if path == ("host", "os") else frozenset()


class Networks:
    """Addresses that some networks have, asked for in the logarithm of their number."""

    def __init__(self, networks: Iterable[str]) -> None:
        read = [ip_network(text) for text in networks]
        four = collapse_addresses(one for one in read if isinstance(one, IPv4Network))
        six = collapse_addresses(one for one in read if isinstance(one, IPv6Network))
        self._ranges = {4: [_range(one) for one in four], 6: [_range(one) for one in six]}

    def touch(self, text: str) -> bool:
        """Whether any address of a network is one of theirs."""
        first, last, ranges = *_range(found := ip_network(text)), self._ranges[found.version]
        at = bisect_right(ranges, last, key=lambda one: one[0])
        return at > 0 and ranges[at - 1][1] >= first

    def hold(self, text: str) -> bool:
        """Whether all addresses of a network are theirs."""
        first, last, ranges = *_range(found := ip_network(text)), self._ranges[found.version]
        at = bisect_right(ranges, first, key=lambda one: one[0])
        return at > 0 and ranges[at - 1][1] >= last


def _range(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)
