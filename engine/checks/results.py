"""The types of what the expressions of a job read: params, steps, targets, the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import inference
from engine.checks import typed
from engine.checks.reading import OPEN, found_in
from engine.checks.scope import PlacedStep
from engine.expression import ExpressionError, compile_text
from engine.inference import INT, NULL, TEXT, Types

_MAX_OUTPUTS = 8
"""Outputs that are read from outputs, one after another."""
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
}


@dataclass(frozen=True, slots=True)
class Results:
    """What a job's expressions may read. `bare`: the step's own result is there by bare names."""

    params: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, tuple[int, PlacedStep]]

    def types(self, path: tuple[str, ...], *, bare: bool, depth: int = 0) -> Types:
        if path[0] in ("params", "inputs"):
            return typed.params(self.params, path)
        if path[0] == "steps" and len(path) > 2:
            return self._of_step(path[1], path[2:], depth)
        if bare and len(path) == 1 and path[0] in _OF_STEP and path[0] != "outputs":
            return _OF_STEP[path[0]]
        if path[:2] == ("target", "labels") and len(path) == 3:
            return TEXT
        return _FIXED.get(path)

    def _of_step(self, name: str, rest: tuple[str, ...], depth: int) -> Types:
        if name not in self.steps:
            return None
        if len(rest) == 1:
            known = _OF_STEP.get(rest[0])
            return known | NULL if known is not None and rest[0] != "outputs" else known
        step = self.steps[name][1].step
        if len(rest) != 2 or rest[0] != "outputs" or rest[1] not in step.outputs or depth == _MAX_OUTPUTS:
            return None
        types = self._output(step.outputs[rest[1]], depth + 1)
        return types | NULL if types is not None else None

    def _output(self, value: Any, depth: int) -> Types:
        if not isinstance(value, str) or OPEN not in value:
            return inference.of_value(value)
        try:
            found = found_in(value, condition=False)
            if not found[0].whole:
                return TEXT
            tree = compile_text(found[0].cel).tree
        except ExpressionError:
            return None
        return inference.infer(tree, lambda path: self.types(path, bare=True, depth=depth))[0]
