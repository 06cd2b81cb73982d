"""What must not be written in plain text: secrets by their form, by the words before them, and by their names."""

from collections.abc import Iterator
from itertools import islice
from math import inf

from engine.checks.scope import Path, Scope
from engine.leaks import (
    Shown,
    describes_a_secret,
    holds_no_secret,
    names_a_secret,
    shown,
    stands_for_a_secret,
)
from schemas.diagnostic import Diagnostic
from schemas.guard import MAX_FINDINGS
from schemas.keywords import KEYWORDS
from schemas.places import Node
from schemas.reader import Authored
from schemas.span import Span

_CODE = "OC605"
_INSTEAD = (
    "make it a Credential and write \"${{ secrets.<credential>.<field> }}\" as the whole of an 'env' entry; "
    "replace the secret itself, too: git keeps the old"
)
_NOT_OURS = frozenset({"labels", "matchLabels", "matchExpressions", "outputs"})
"""Below these a name says nothing about a secret."""
_ENVELOPE = frozenset({"apiVersion", "kind", "data", "sops"})
_DECLARED = (("params",), ("inputs",))
_GIVEN = ("default", "examples", "const", "enum")
"""Keywords of a schema that hold values."""
_KEYWORDS = KEYWORDS | {"required", "secret"}
"""Of the declaration of a param or an input. What is given to one has the same place in other kinds."""
_SCHEMAS = (("properties",), ("patternProperties",), ("$defs",), ("definitions",))
"""Below these a name is that of a schema."""
_NUMBERS = ("password", "passwd", "passphrase", "pwd")
"""Names under which a number is no count."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    yield from (finding.resting_on(()) for finding in _found(authored, scope))


def _found(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    text = shown(authored.places.layout.data)
    found = tuple(_in_the_text(authored, text))
    yield from found
    if text.may_name and (named := tuple(islice(_named(authored), MAX_FINDINGS))):
        said = {one.span for one in _certain(authored, scope)}
        yield from (
            one
            for one in named
            if not any(_holds(span, one.span) for span in said) and not any(_holds(one.span, f.span) for f in found)
        )


def _in_the_text(authored: Authored, text: Shown) -> Iterator[Diagnostic]:
    """By the bytes of the file: wherever in a document it stands, a comment included."""
    first, last = _lines_of(authored) if text.leaks else (0, 0)
    for leak in (leak for leak in text.leaks if first <= leak.line < last):
        span = Span(authored.file, leak.line, leak.column, leak.line, leak.column + leak.length)
        message = f"{leak.what} in plain text" if leak.certain else f"this looks like {leak.what}, in plain text"
        yield Diagnostic(span, _CODE, message, _INSTEAD, "error" if leak.certain else "warning")


def _lines_of(authored: Authored) -> tuple[int, float]:
    """From the end of the document before, or of the file's beginning, to the start of the next."""
    roots = authored.places.layout.roots
    after = (root.range[0] for root in roots[authored.index + 1 :] if root is not None)
    here = roots[authored.index]
    begin = here.range[0] if here is not None and any(roots[: authored.index]) else 1
    return begin, next(after, inf)


def _named(authored: Authored) -> Iterator[Diagnostic]:
    """Suspicious, not certain: a name says secret, and the value is there to read."""
    root = authored.places.layout.roots[authored.index]
    for name, node in named_in(root):
        message = f"'{name[:80]}' looks like a secret in plain text"
        yield Diagnostic(Span(authored.file, *node.range), _CODE, message, _INSTEAD, "warning")


def named_in(root: Node | None) -> Iterator[tuple[str, Node]]:
    """The values of a document that have names of secrets and are written out, and those names."""
    return _below(root, ()) if root is not None else iter(())


def _below(node: Node, path: Path) -> Iterator[tuple[str, Node]]:
    """The values with names of secrets, and those names. A document is at most 64 levels deep."""
    for key, child in (node.children or {}).items():
        yield from _at(key, child, path)


def _at(key: str | int, child: Node, path: Path) -> Iterator[tuple[str, Node]]:
    if key in _NOT_OURS or (not path and key in _ENVELOPE):
        return
    if key == "secret" and path[-2:-1] in _DECLARED:  # a keyword of params
        return
    if not (isinstance(key, str) and names_a_secret(key)):
        yield from _below(child, (*path, key))
    elif child.children is None:
        if _is_plain(key, child):
            yield key, child
    elif path[-1:] in _DECLARED and not _KEYWORDS.isdisjoint(child.children):
        yield from ((key, value) for value in _values(child) if _is_plain(key, value))
    else:
        yield from _held(key, child, (*path, key))


def _held(name: str, node: Node, path: Path) -> Iterator[tuple[str, Node]]:
    """The same of a mapping or a list that has itself the name of a secret: all in it that does not describe it."""
    children = node.children or {}
    if path[-2:-1] in _SCHEMAS or holds_no_secret({str(key): child.text for key, child in children.items()}):
        yield from _below(node, path)
        return
    for key, child in children.items():
        if isinstance(key, str) and (names_a_secret(key) or describes_a_secret(key) or key in _NOT_OURS):
            yield from _at(key, child, path)
        elif child.children is not None:
            yield from _held(name, child, (*path, key))
        elif _is_plain(name if isinstance(key, int) else key, child):
            yield name, child


def _values(param: Node) -> Iterator[Node]:
    """What a param may be, as its declaration says; of a secret one, other checks refuse it."""
    declared = param.children or {}
    if (secret := declared.get("secret")) is None or secret.text != "true":
        for keyword in _GIVEN:
            if (value := declared.get(keyword)) is not None:
                yield from value.children.values() if value.children else (value,)


def _is_plain(name: str, value: Node) -> bool:
    text = value.text or ""
    scheme, _, rest = text.partition(" ")
    if scheme.lower() in ("bearer", "basic", "token"):
        text = rest
    if not value.style and text.replace(".", "", 1).lstrip("+-").isdecimal():
        return len(text) > 3 and name.lower().endswith(_NUMBERS)
    return value.children is None and not stands_for_a_secret(text)


def _certain(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """What is known to be a secret, and refused as such."""
    from engine.checks import libraries, parameters  # rarely asked

    for check in (parameters, libraries):
        yield from (one for one in check.about(authored, scope) if one.code == _CODE)


def _holds(whole: Span, part: Span) -> bool:
    begin, end = (part.line, part.column), (part.end_line, part.end_column)
    return (whole.line, whole.column) <= begin and end <= (whole.end_line, whole.end_column)
