"""Scripts: whether the shell takes every value as data (OC404). Planning refuses the same."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from engine.checks.reading import well_marked
from engine.checks.scope import Path, PlacedStep
from engine.expressions.inference import Lookup
from engine.scripts.binding import Bound, bind, evaluated_by_name, evaluated_env, evaluated_stdin
from engine.scripts.numbers import of_params
from schemas.characters import UNSEEN
from schemas.diagnostic import Diagnostic, Rest, Severity
from schemas.job import Shell, Step
from schemas.reader import Authored


def types_of(params: Mapping[str, Mapping[str, Any]], steps: Iterable[PlacedStep]) -> Lookup:
    """What the expressions of scripts read, as far as it decides whether they are numbers."""
    all_of_them = tuple(steps)
    return of_params(
        params,
        items=frozenset(placed.step.for_each.as_ for placed in all_of_them if placed.step.for_each is not None),
        outputs=(
            (placed.step.id, name, value)
            for placed in all_of_them
            if placed.step.id is not None and placed.step.for_each is None
            for name, value in placed.step.outputs.items()
        ),
    )


def unseen(authored: Authored, steps: Iterable[PlacedStep]) -> Iterator[Diagnostic]:
    """The first character of each script that nobody sees, and that its shell reads all the same."""
    for path, text in (one for placed in steps for one in script_of(placed)):
        if not text.isascii() and (found := UNSEEN.search(text)) is not None:
            span = authored.span_within(*path, offset=found.start(), length=1)
            hint = "remove it; where the script needs it, let printf write it by its number"
            yield Diagnostic(
                span, "OC118", f"the script holds U+{ord(found[0]):04X}, which is not seen", hint, "warning"
            )


def bound(
    authored: Authored, path: Path, text: str, shells: Iterable[Shell], own: PlacedStep | None, types: Lookup
) -> Iterator[Diagnostic]:
    """Expressions in a script that its shell would not take as data."""
    if not well_marked(text):
        return  # a finding of its own
    for shell in _shells_of(own, shells):
        found = bind(text, shell, types)
        for error in () if isinstance(found, Bound) else found:
            span = authored.span_within(*path, offset=error.offset, length=error.length)
            yield Diagnostic(span, "OC404", error.message, error.hint)


def computed(
    authored: Authored,
    placed: PlacedStep,
    env: Mapping[str, Any],
    shells: Iterable[Shell],
    types: Lookup,
    *,
    in_library: bool,
) -> Iterator[Diagnostic]:
    """Expressions in `env` and `stdin` whose value the step's script computes, as in `$((N + 1))`, or evaluates.

    What the author says should be evaluated is a warning, and none in a library, whose inputs have patterns.
    """
    given = {**env, **placed.step.env}
    for path, text in script_of(placed):
        for shell in _shells_of(placed, shells):
            for one in evaluated_env(text, shell, given, types):
                if one.by_name:
                    continue  # told once, where it is set
                if one.computed:
                    yield Diagnostic(authored.span(*path), "OC404", one.message, one.hint)
                elif not in_library:
                    yield Diagnostic(authored.span(*path), "OC404", one.message, one.hint, "warning")
            if (read := evaluated_stdin(text, shell, placed.step.stdin, types)) is not None:
                yield Diagnostic(authored.span(*placed.path, "stdin"), "OC404", read.message, read.hint)


def named(
    authored: Authored, env: Mapping[str, Any], path: Path, types: Lookup, *, in_library: bool
) -> Iterator[Diagnostic]:
    """Variables of this `env` whose values shells or programs evaluate whatever a script says: EDITOR, BASH_ENV, PATH.

    A warning where the value is a path, options or settings, and none of that in a library.
    """
    for one in evaluated_by_name(env, types):
        if one.computed or not in_library:
            severity: Severity = "error" if one.computed else "warning"
            place = (*path, one.name)
            found = Diagnostic(authored.span(*place), "OC404", one.message, one.hint, severity)
            yield found.resting_on((Rest(place), Rest(("spec", "params")), Rest(("spec", "inputs"))))


def script_of(placed: PlacedStep) -> Iterator[tuple[Path, str]]:
    """The text that a step runs, and where it stands; nothing where it runs none."""
    if placed.step.run:
        yield (*placed.path, "run"), placed.step.run
    elif placed.type is not None and placed.type.is_script:
        text = (placed.step.with_ or {}).get("run")
        if isinstance(text, str):
            yield (*placed.path, "with", "run"), text


def _shells_of(own: PlacedStep | None, shells: Iterable[Shell]) -> Iterable[Shell]:
    named = shell_of(own.step) if own is not None else None
    return (named,) if named is not None else shells


def shell_of(step: Step) -> Shell | None:
    """The shell that a step names."""
    given = (step.with_ or {}).get("shell")
    return next((shell for shell in get_args(Shell) if shell == given), step.shell)
