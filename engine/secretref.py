"""Values that are a secret as a whole: `${{ secrets.web.password }}`."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.expression import ExpressionError, Hole, compile_text, split


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A value that is a field of a Credential: to be opened by a runner, and by nobody else."""

    credential: str
    field: str


def secret_of(value: Any) -> SecretRef | None:
    """The secret that a value is as a whole; None for everything else."""
    if not isinstance(value, str) or "secrets" not in value:
        return None
    try:
        return _secret_in(value)
    except ExpressionError:
        return None


@lru_cache(maxsize=1024)
def _secret_in(text: str) -> SecretRef | None:
    parts = split(text)
    if len(parts) != 1 or not isinstance(parts[0], Hole):
        return None
    expression = compile_text(parts[0].cel)
    whole = [one for one in expression.occurrences if one.offset == 0 and one.length == len(parts[0].cel)]
    if len(whole) == 1 and len(whole[0].path) == 3 and whole[0].path[0] == "secrets":
        return SecretRef(whole[0].path[1], whole[0].path[2])
    return None
