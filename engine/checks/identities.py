"""Identity is kind/name: unique, and a previous name belongs to one document only."""

from collections.abc import Iterator, Sequence

from schemas.diagnostic import Diagnostic, Related
from schemas.reader import Authored


def check(documents: Sequence[Authored]) -> Iterator[Diagnostic]:
    """Documents that share an identity, and previous names that are claimed twice or still in use."""
    first: dict[str, Authored] = {}
    for authored in documents:
        other = first.setdefault(authored.identity, authored)
        if other is not authored:
            yield _twice(authored, other)
    claimed: dict[str, tuple[Authored, int]] = {}
    for authored in documents:
        kind, names = authored.document.kind, authored.document.metadata.previous_names
        for index, name in enumerate(names):
            identity = f"{kind}/{name}"
            span = authored.span("metadata", "previousNames", index)
            if (user := first.get(identity)) is not None:
                hint = "a previous name is free only once nobody has it any more"
                related = (Related(user.span("metadata", "name"), "the document that has it"),)
                yield Diagnostic(span, "OC302", f"{identity} still exists", hint, related=related)
            elif (claim := claimed.setdefault(identity, (authored, index))) != (authored, index):
                other, first_index = claim
                place = other.span("metadata", "previousNames", first_index)
                message = f"{identity} is a previous name of {other.identity} as well"
                hint = "its history can go on in one document only"
                yield Diagnostic(span, "OC302", message, hint, related=(Related(place, "the other one"),))


def _twice(authored: Authored, first: Authored) -> Diagnostic:
    place = first.span("metadata", "name")
    return Diagnostic(
        authored.span("metadata", "name"),
        "OC301",
        f"{authored.identity} is defined twice; the first is in {place.file}",
        "rename or remove one of them",
        related=(Related(place, "the first one"),),
    )
