"""The words of messages: templates that can be read, over names that a message has."""

from collections.abc import Iterator

from engine.checks.memory import remembered
from engine.checks.scope import Path, Scope
from engine.templates import Problem, problems_of
from schemas.diagnostic import Diagnostic
from schemas.notification import NotificationRule
from schemas.reader import Authored
from schemas.span import Span

NAMES = frozenset({"event", "run", "job", "targets", "links"})
"""What a message knows."""


def about(authored: Authored, _: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, NotificationRule):
        yield from remembered(authored, "templates", (), lambda: tuple(_about(authored, document)))


def _about(authored: Authored, rule: NotificationRule) -> Iterator[Diagnostic]:
    template = rule.spec.template
    for field, text in (("subject", template.subject), ("body", template.body)):
        for problem in problems_of(text, NAMES) if text else ():
            span = _span(authored, ("spec", "template", field), text or "", problem)
            yield Diagnostic(span, "OC410" if problem.unknown else "OC409", problem.message, problem.hint)


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
