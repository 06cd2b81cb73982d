"""How much a library's step is, with all that it uses: bounded, so that no plan grows without end."""

from collections.abc import Callable, Iterable, Iterator

from engine.vendored import Library, use_of
from schemas.job import Step
from schemas.library import LibraryStepSpec

Find = Callable[[str], Library | None]
"""A library by its name."""

MAX_DEPTH = 8
"""Of library steps within library steps."""
MAX_STEPS = 500
"""That one library step may consist of, with those of the library steps in it."""


class _TooMuch(Exception):  # noqa: N818 -- caught in this module
    pass


def too_much(uses: str, find: Find) -> str | None:
    """Why a library's step cannot be unfolded to what it consists of; None where it can."""
    try:
        _extent(uses, find, (), {})
    except _TooMuch as problem:
        return str(problem)
    return None


def _extent(uses: str, find: Find, above: tuple[str, ...], known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """How deep it is, and how many steps: itself counts in both."""
    use = use_of(uses)
    name = f"{use.library}/{use.step}" if use is not None else uses
    if name in above:
        raise _TooMuch(f"'{name}' is part of itself")
    if name not in known:
        library = find(use.library) if use is not None else None
        step = library.step(use.step) if library is not None and use is not None else None
        parts = [_extent(one, find, (*above, name), known) for one in used_in(step.spec)] if step is not None else []
        own = len(tuple(steps_within(step.spec))) if step is not None else 1
        known[name] = (1 + max((deep for deep, _ in parts), default=0), max(1, own) + sum(many for _, many in parts))
    deep, many = known[name]
    if len(above) + deep > MAX_DEPTH:
        raise _TooMuch(f"'{name}' nests library steps more than {MAX_DEPTH} deep")
    if many > MAX_STEPS:
        raise _TooMuch(f"'{name}' consists of more than {MAX_STEPS} steps")
    return deep, many


def used_in(spec: LibraryStepSpec) -> Iterator[str]:
    """The library steps that a library's step uses, as they are written."""
    return (step.uses for step in steps_within(spec) if step.uses is not None and use_of(step.uses) is not None)


def steps_within(spec: LibraryStepSpec) -> Iterator[Step]:
    """The steps that a library's step writes out, those of rescues too."""
    return _all(spec.steps or ())


def _all(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.rescue)
