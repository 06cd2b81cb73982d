"""Discoveries: the names in the conditions that classify hosts."""

from collections.abc import Iterator

from engine.checks.reading import Fault, Read, judged, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import mismatches, nothing_known
from engine.expression import Reference
from engine.inference import BOOL
from schemas.diagnostic import Diagnostic
from schemas.discovery import Discovery
from schemas.reader import Authored


def about(authored: Authored, _: Scope) -> Iterator[Diagnostic]:
    if not isinstance(authored.document, Discovery):
        return
    for index, rule in enumerate(authored.document.spec.classify):
        path: Path = ("spec", "classify", index, "if")
        for one in read(authored, rule.if_, path, condition=True) if isinstance(rule.if_, str) else ():
            if isinstance(one, Read):
                wrong = tuple(judged(authored, one, _judge))
                yield from wrong or mismatches(authored, one, nothing_known(), BOOL)
            else:
                yield one


def _judge(reference: Reference, _: bool) -> Fault | None:
    root = reference.path[0]
    if root == "host":
        return None
    return Fault("OC402", f"there is no '{root}' here", "there is host")
