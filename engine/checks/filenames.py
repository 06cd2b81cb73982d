"""Names of files that some machines cannot tell apart."""

from collections.abc import Iterable, Iterator
from itertools import islice

from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS
from schemas.span import start_of


def check(files: Iterable[str]) -> Iterator[Diagnostic]:
    """Files of documents whose paths differ only in upper and lower case: a checkout may keep but one of them."""
    yield from islice(_alike(files), MAX_FINDINGS)


def _alike(files: Iterable[str]) -> Iterator[Diagnostic]:
    first: dict[str, str] = {}
    for file in sorted(files):
        other = first.setdefault(file.casefold(), file)
        if other != file:
            message = f"'{other}' differs from it only in upper and lower case"
            hint = (
                "rename one: a checkout on macOS or Windows has but one of them, and a commit from there may lose one"
            )
            yield Diagnostic(
                start_of(file), "OC124", message, hint, "warning", (Related(start_of(other), "the other"),)
            )
