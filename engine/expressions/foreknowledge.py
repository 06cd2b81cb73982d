"""What an expression will give, as far as that is known before a run: the rest stands as it was written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.expressions.expression import (
    Expression,
    ExpressionError,
    Hole,
    Literal,
    Status,
    compile_text,
    condition,
    condition_text,
    evaluate,
    split,
    to_text,
)
from engine.secretref import SecretRef, secret_of

_OF_EVERY_RUN = frozenset({"job", "commit"})
"""What a rehearsal and the run itself agree on in `run`: its id, instant, attempt and cause are each one's own."""
_ASKS_HOW_IT_WENT = frozenset({"success", "failure", "cancelled"})


@dataclass(frozen=True, slots=True)
class Runs:
    """The step would run; with `because`, on what grounds."""

    because: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """It would be left out."""

    because: str


@dataclass(frozen=True, slots=True)
class Depends:
    """Only the run itself can tell. `on` is for people; of a condition that cannot be evaluated yet, its text."""

    on: str


Verdict = Runs | Skipped | Depends

WHILE_WELL = " while all goes well"
"""How it ends what a condition depends on that asks how things went."""
ALL_WAYS = (Status(), Status(failed=True), Status(cancelled=True))
"""How things may have gone when a condition is asked, the best first."""


@dataclass
class Foreknowledge:
    """What is known of one place before its steps run. It gathers what it was asked and did not know.

    `context` is what expressions read there, `ended` names the steps, or nodes, whose results are known already.
    """

    context: Mapping[str, Any]
    ended: frozenset[str]
    names: frozenset[str] | None = None
    """The variables of `env` that are known; None: all that there are."""
    missing: dict[str, None] = field(default_factory=dict)
    """The expressions that only the run can evaluate, in order."""
    secrets: dict[str, None] = field(default_factory=dict)
    """The credentials that values are fields of, by name."""
    open_params: frozenset[str] = frozenset()
    """The params that are known to be given, and not yet with which values."""

    def rendered(self, value: Any) -> Any:
        """A value with what is known filled in; a secret, and what is not known, stays as written.

        Raises ExpressionError for what is known to fail.
        """
        match value:
            case SecretRef(credential=name):
                self.secrets[name] = None
                return f'${{{{ secrets["{name}"].{value.field} }}}}'
            case str():
                return self._text(value)
            case Mapping():
                return {key: self.rendered(one) for key, one in value.items()}
            case list() | tuple():
                return [self.rendered(one) for one in value]
            case _:
                return value

    def told(self, value: Any) -> tuple[Any, bool]:
        """The value as `rendered` gives it, and whether all of it is known. Raises ExpressionError."""
        self.missing, before = {}, self.missing
        try:
            return self.rendered(value), not self.missing
        finally:
            self.missing = before | self.missing

    def _text(self, text: str) -> Any:
        if (secret := secret_of(text)) is not None:
            return self.rendered(secret)
        parts = split(text)
        if len(parts) == 1 and isinstance(parts[0], Hole):
            return self.valued(parts[0].cel, otherwise=text)
        return "".join(
            part.text
            if isinstance(part, Literal)
            else to_text(self.valued(part.cel, otherwise=f"${{{{ {part.cel} }}}}"))
            for part in parts
        )

    def valued(self, cel: str, *, otherwise: Any) -> Any:
        """What the expression gives, or `otherwise`. Raises ExpressionError."""
        if not self.is_known(cel):
            self.missing[cel] = None
            return otherwise
        return evaluate(cel, self.context)

    def is_known(self, cel: str) -> bool:
        """Whether nothing that happens in the run can change what the expression gives."""
        expression = compile_text(cel)
        return not (expression.functions & _ASKS_HOW_IT_WENT) and not self._unknown(expression)

    def verdict(self, value: str | bool | None, ways: Sequence[Status] = ALL_WAYS) -> Verdict:
        """What becomes of a step, or node, with this `if`, however things go of these ways. Raises ExpressionError."""
        if not isinstance(value, str):
            return Skipped("if: false") if value is False else Runs()
        cel = condition_text(value)
        expression = compile_text(cel)
        if self._unknown(expression):
            self.missing[cel] = None
            return Depends(cel)
        if not expression.functions & _ASKS_HOW_IT_WENT:
            return Runs(cel) if condition(value, self.context) else Skipped(f"{cel} is false")
        found = [condition(value, self.context, status=status) for status in ways]
        if all(one == found[0] for one in found):
            return Runs(cel) if found[0] else Skipped(f"{cel} is false")
        return Depends(f"{cel}: {'true' if found[0] else 'false'}{WHILE_WELL}")

    def left_open(self, because: str = "") -> list[str]:
        """What only the run can evaluate, without a condition that is told already as what it depends on."""
        return [cel for cel in self.missing if cel != because]

    def _unknown(self, expression: Expression) -> bool:
        return not all(self._has(path) for path in expression.references)

    def _has(self, path: tuple[str, ...]) -> bool:
        root, *rest = path
        if root not in self.context:
            return False
        if root in ("steps", "jobs"):
            return bool(rest) and rest[0] in self.ended
        if root == "params" and self.open_params:
            return bool(rest) and rest[0] not in self.open_params
        if root == "inputs":
            return bool(rest) and rest[0] in self.context["inputs"]
        if root == "run":
            return bool(rest) and rest[0] in _OF_EVERY_RUN
        if root == "env":
            return self.names is None or (bool(rest) and rest[0] in self.names)
        return True


__all__ = ["Depends", "ExpressionError", "Foreknowledge", "Runs", "Skipped", "Verdict"]
