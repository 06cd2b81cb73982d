"""What must not be written in plain text: secrets by their form, by the words before them, and by their names."""

from collections.abc import Iterator
from itertools import islice
from math import inf

from engine.checks.scope import Path, Scope
from engine.leaks import Shown, names_a_secret, shown, stands_for_a_secret
from schemas.diagnostic import Diagnostic
from schemas.guard import MAX_FINDINGS
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
_NUMBERS = ("password", "passwd", "passphrase", "pwd")
"""Names under which a number is no count."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    text = shown(authored.places.layout.data)
    found = tuple(_in_the_text(authored, text))
    yield from found
    if text.may_name and (named := tuple(islice(_named(authored), MAX_FINDINGS))):
        said = {one.span for one in _certain(authored, scope)}
        yield from (one for one in named if one.span not in said and not any(_holds(one.span, f.span) for f in found))


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
        if key in _NOT_OURS or (not path and key in _ENVELOPE):
            continue
        if key == "secret" and path[-2:-1] in _DECLARED:  # a keyword of params
            continue
        if not (isinstance(key, str) and names_a_secret(key)):
            yield from _below(child, (*path, key))
        elif child.children is None:
            if _is_plain(key, child):
                yield key, child
        elif path[-1:] in _DECLARED:
            yield from ((key, value) for value in _values(child) if _is_plain(key, value))
        else:
            yield from _below(child, (*path, key))


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
