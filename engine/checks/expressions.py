"""Expressions: read them, and check every name they use. Nothing is evaluated."""

from collections.abc import Iterator

from engine.checks.scope import Scope
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    yield from ()
