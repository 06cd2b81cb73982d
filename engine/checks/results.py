"""The types of what the expressions of a job read: params, steps, targets, the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.checks.reading import OPEN, found_in
from engine.checks.scope import Path, PlacedStep
from engine.checks.typed import Typing, choices_of
from engine.checks.typed import params as types_of_param
from engine.expressions import inference
from engine.expressions.expression import ExpressionError, compile_text
from engine.expressions.inference import INT, LIST, NULL, TEXT, Types

_MAP = frozenset({"map"})
_OF_STEP: Mapping[str, Types] = {
    "state": TEXT,
    "exitCode": INT | NULL,
    "stdout": TEXT | NULL,
    "stderr": TEXT | NULL,
    "duration": frozenset({"double", "int"}) | NULL,
    "attempts": INT | NULL,
    "outputs": _MAP,
}
"""A step that did not run has nothing of this."""
_OF_ITEMS = frozenset({"exitCode", "stdout", "stderr", "json"})
"""What each item of a loop has, and the step itself has not."""
_FIXED: Mapping[tuple[str, ...], Types] = {
    ("target", "name"): TEXT,
    ("target", "host"): TEXT | NULL,
    ("target", "os"): TEXT,
    ("target", "labels"): _MAP,
    ("target", "vars"): _MAP,
    ("target", "facts"): _MAP,
    ("job", "name"): TEXT,
    ("run", "id"): TEXT,
    ("run", "job"): TEXT,
    ("run", "commit"): TEXT,
    ("run", "instant"): TEXT,
    ("run", "attempt"): INT,
    ("run", "cause"): _MAP,
    ("run", "cause", "kind"): TEXT,
}


@dataclass(frozen=True)
class Results:
    """What a job's expressions may read. `bare`: the step's own result is there by bare names."""

    params: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, tuple[int, PlacedStep]]
    gives: Mapping[Path, Mapping[str, Mapping[str, Any]]]
    """The outputs that steps of libraries declare, by the path of the step that uses one, as JSON Schemas."""

    def types(self, path: tuple[str, ...], *, bare: bool) -> Types:
        """The types of a member path; the same path is read often."""
        if (path, bare) not in self._known:
            self._known[path, bare] = self._types(path, bare=bare)
        return self._known[path, bare]

    @cached_property
    def _known(self) -> dict[tuple[tuple[str, ...], bool], Types]:
        return {}

    def _types(self, path: tuple[str, ...], *, bare: bool) -> Types:
        if path[0] in ("params", "inputs"):
            return types_of_param(self.params, path)
        if path[0] == "steps" and len(path) > 2:
            return self._of_step(path)
        if bare and len(path) == 1 and path[0] in _OF_STEP and path[0] != "outputs":
            return _OF_STEP[path[0]]
        if path[:2] == ("target", "labels") and len(path) == 3:
            return TEXT
        return _FIXED.get(path)

    def _of_step(self, path: tuple[str, ...]) -> Types:
        if len(path) == 3 and path[1] in self.steps:
            known = _OF_STEP.get(path[2])
            if known is None or path[2] == "outputs":
                return known
            _, placed = self.steps[path[1]]
            looped = placed.step.for_each is not None and not placed.step.rescue
            return NULL if looped and path[2] in _OF_ITEMS else known | NULL
        return self._outputs.get((path[1], path[3])) if len(path) == 4 and path[2] == "outputs" else None

    def choices(self, path: tuple[str, ...]) -> frozenset[str]:
        """All texts that a path may read, where its schema lists them."""
        return choices_of(self.params, path)

    @cached_property
    def plain(self) -> Typing:
        """Of expressions that read this."""
        return Typing(lambda path: self.types(path, bare=False), self.choices)

    @cached_property
    def bare(self) -> Typing:
        """Of expressions that read the step's own result as well."""
        return Typing(lambda path: self.types(path, bare=True), self.choices)

    @cached_property
    def _outputs(self) -> Mapping[tuple[str, str], Types]:
        """By step and name. Taken in order, each once: an output reads those of steps before it."""
        found: dict[tuple[str, str], Types] = {}

        def lookup(path: tuple[str, ...]) -> Types:
            if path[0] == "steps" and len(path) == 4:
                return found.get((path[1], path[3])) if path[2] == "outputs" else None
            return self.types(path, bare=True)

        typing = Typing(lookup)
        for name, (_, placed) in self.steps.items():
            gives = placed.type.results if placed.type is not None else self.gives.get(placed.path, {})
            for output, schema in gives.items() if placed.step.for_each is None else ():
                types = inference.of_schema(schema)
                found[name, output] = types | NULL if types is not None else None
            for output, value in placed.step.outputs.items():
                types = _type_of(value, typing) if placed.step.for_each is None else _of_loop(placed)
                found[name, output] = types | NULL if types is not None else None
        return found


def _of_loop(placed: PlacedStep) -> Types:
    """A list with one value an item; in the loop's own rescue it is that of the item."""
    return LIST if not placed.step.rescue else None


def _type_of(value: Any, typing: Typing) -> Types:
    if not isinstance(value, str) or OPEN not in value:
        return inference.of_value(value)
    try:
        found = found_in(value, condition=False)
        return typing.of(compile_text(found[0].cel))[0] if found[0].whole else TEXT
    except ExpressionError:
        return None
