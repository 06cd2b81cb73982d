"""Discoveries: what is left alone, and the names in the conditions that classify hosts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import PurePosixPath
from typing import get_args

from engine.checks.reading import Fault, Read, judged, named, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import Typing, mismatches
from engine.discovery.drafting import FIELDS, Os
from engine.discovery.matching import as_network, as_sign
from engine.expressions.expression import Reference
from engine.expressions.inference import BOOL, Types
from engine.globs import matches
from engine.leaks import names_a_secret
from schemas.diagnostic import Diagnostic, Rest
from schemas.discovery import Discovery, DiscoverySpec, Inventory
from schemas.guesses import Guesses
from schemas.reader import Authored

_ANY_TARGET = "host-10-1-0-5.yaml"
"""What the file of a host may be called that has no name."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if not isinstance(authored.document, Discovery):
        return
    yield from _not_read(authored, authored.document.spec, scope)
    if authored.document.spec.from_ is None:
        yield from _left_alone(authored, authored.document.spec)
    else:
        yield from _secret_variables(authored, authored.document.spec.from_)
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


def _not_read(authored: Authored, spec: DiscoverySpec, scope: Scope) -> Iterator[Diagnostic]:
    """A folder of Targets that nobody would read once they are merged: the next scan would propose them again."""
    if (spec.from_ is not None and spec.from_.job_ref is not None) or "Project" in scope.broken_kinds:
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
