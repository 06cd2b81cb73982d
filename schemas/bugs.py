"""A bug of ours as a finding: it costs one check of one document, and hides nothing that others find."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from schemas.diagnostic import Diagnostic
from schemas.span import Span

T = TypeVar("T")

CODE = "OC801"
_OURS = ("engine.", "schemas.")
_SEND = (
    "no fault of yours, and the commit is not used: please send us the report that 'opsconductor validate' leaves, "
    "and the document cut down to what still shows it; until it is mended, write that in another way"
)


def told(what: str, place: Callable[[], Span], found: Callable[[], Iterable[Diagnostic]]) -> Iterator[Diagnostic]:
    """What is found; and where that ends in an error which nobody foresaw, this, at the place, as the last.

    Want of memory is raised: it says nothing about a document.
    """
    try:
        yield from found()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is said, and the commit refused
        yield bug(f"the check '{what}'", place(), error)


def answered(what: str, place: Callable[[], Span], answer: Callable[[], T], otherwise: T) -> tuple[T, list[Diagnostic]]:
    """The same of an answer: where there is none for such a reason, the other one, and what is to be said."""
    try:
        return answer(), []
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- as above
        return otherwise, [bug(f"the check '{what}'", place(), error)]


def bug(what: str, place: Span, error: Exception) -> Diagnostic:
    """`what` met the error. The finding does not quote it, as it may quote a secret; its `bug` is the traceback."""
    from traceback import format_exception, walk_tb  # takes long to load

    frames = [(frame.f_globals.get("__name__", ""), line) for frame, line in walk_tb(error.__traceback__)]
    module, line = next((one for one in reversed(frames) if one[0].startswith(_OURS)), frames[-1])
    message = f"{what} met a bug of ours: {type(error).__name__} in {module}, line {line}"
    return Diagnostic(place, CODE, message, _SEND, bug="".join(format_exception(error)))
