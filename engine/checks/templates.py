"""The words of messages, and the templates that steps render: such as can be read, over names that are there."""

from collections.abc import Collection, Iterator
from typing import Any

from engine.checks.files import TEMPLATE
from engine.checks.memory import remembered
from engine.checks.scope import Path, PlacedStep, Scope, steps_of
from engine.kept import SHORT, OfLong
from engine.templates import Problem, lacking, problems_in, problems_of, switches_escaping
from schemas.diagnostic import Diagnostic
from schemas.notification import NotificationRule
from schemas.reader import Authored
from schemas.span import Span

NAMES = frozenset({"event", "run", "job", "targets", "links", "events", "types", "count"})
"""What a message knows."""

_MARKUP = ("html", "markdown")
_OF_STEPS = frozenset({"params", "steps", "job", "run", "env", "vars", "target"})
"""What a template on a target knows, `vars` of its step and the items of loops around it apart."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, NotificationRule):
        yield from remembered(authored, "templates", (), lambda: tuple(_about(authored, document)))
    elif scope.templates and not authored.holes:
        yield from _rendered(authored, scope)


def _rendered(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """What a run would refuse to render, said before it starts."""
    for placed in steps_of(authored):
        given: dict[str, Any] = placed.step.with_ or {}
        if placed.type is None or placed.type.name != TEMPLATE or not isinstance(given.get("source"), str):
            continue
        source, known = given["source"], _known(placed, given.get("vars", {}))
        if source not in scope.templates:
            continue
        for problem in lacking(_problems(scope.templates[source]), known or _OF_STEPS, "this template"):
            if known is not None or not problem.unknown:
                message = f"{source[:200]}:{problem.line}: {problem.message}"
                span = authored.span(*placed.path, "with", "source")
                yield Diagnostic(span, "OC410" if problem.unknown else "OC409", message, problem.hint)


def _known(placed: PlacedStep, given: Any) -> frozenset[str] | None:
    """The names that have values; None where an expression gives them."""
    if not isinstance(given, dict):
        return None
    loop = placed.step.for_each
    return _OF_STEPS | placed.loops | frozenset(given) | ({loop.as_} if loop is not None else frozenset())


def _problems(data: bytes) -> tuple[Problem, ...]:
    """Asked once for all the steps that render one template. A name is said where it stands first."""
    return _kept.answer(data, lambda: _all_problems(data))


_kept: OfLong[tuple[Problem, ...]] = OfLong(
    256, small=lambda found: sum(len(one.message) + len(one.word) for one in found) <= SHORT
)


def _all_problems(data: bytes) -> tuple[Problem, ...]:
    try:
        found = problems_in(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (Problem("not a template: it is no text in UTF-8", "save it as UTF-8", line),)
    return tuple({one.word if one.unknown else one: one for one in reversed(found)}.values())[::-1]


def _about(authored: Authored, rule: NotificationRule) -> Iterator[Diagnostic]:
    template = rule.spec.template
    for field, text in (("subject", template.subject), ("body", template.body)):
        if not text:
            continue
        problems = problems_of(text, NAMES)
        if field == "body" and template.format in _MARKUP:
            problems += tuple(switches_escaping(text))
        for problem in problems:
            span = _span(authored, ("spec", "template", field), text, problem)
            yield Diagnostic(span, "OC410" if problem.unknown else "OC409", problem.message, problem.hint)
        yield from _lacking(authored, rule, field, text, {(problem.line, problem.word) for problem in problems})


def _lacking(
    authored: Authored, rule: NotificationRule, field: str, text: str, told: Collection[tuple[int, str]]
) -> Iterator[Diagnostic]:
    """What a template reads that is not there with every event of its rule. `told`: lines and words told already."""
    from engine.notifications.messageshape import (  # all that makes events, for rules with a template
        ITEM,
        lacks_of,
    )

    for lack in lacks_of(text, rule.spec.events):
        if (lack.read.line, lack.read.path[-1]) in told:
            continue
        name = ".".join(lack.read.path).replace(f".{ITEM}", ITEM)
        said = Problem("", "", lack.read.line, lack.read.path[-1])
        span = _span(authored, ("spec", "template", field), text, said)
        if lack.events:
            root = lack.read.path[0]
            message = f"'{root}' has no value with {', '.join(lack.events)}"
            hint = f"write {{% if {root} %}} around it, or make a rule of its own for {lack.events[0]}"
            yield Diagnostic(span, "OC412", message, hint, "warning")
        else:
            there = ", ".join(lack.known)
            hint = f"there are {there}" if there else "what stands before the last dot is a text, a number or a list"
            yield Diagnostic(span, "OC410", f"there is no '{name}' in a message", hint)


def _span(authored: Authored, path: Path, text: str, problem: Problem) -> Span:
    """Jinja says the line; the word is looked for within it."""
    lines = text.split("\n")
    row = min(max(problem.line, 1), len(lines)) - 1
    start = sum(len(line) + 1 for line in lines[:row])
    at = _word(lines[row], problem.word) if problem.word else -1
    offset, length = (start + at, len(problem.word)) if at >= 0 else (start, len(lines[row]))
    return authored.span_within(*path, offset=offset, length=max(1, length))


def _word(line: str, word: str) -> int:
    """Where the word stands by itself; after `{{` or `{%` if that can be."""
    begin = max(0, min((at for at in (line.find("{{"), line.find("{%")) if at >= 0), default=0))
    at = line.find(word, begin)
    while at >= 0:
        before, after = line[at - 1 : at], line[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or before in ("_", ".")) and not (after.isalnum() or after == "_"):
            return at
        at = line.find(word, at + 1)
    return line.find(word)
