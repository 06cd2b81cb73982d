"""Values that are a secret as a whole: `${{ secrets.web.password }}`."""

from dataclasses import dataclass
from typing import Any

from engine.expressions.expression import ExpressionError, Hole, compile_text, split
from engine.kept import OfShort


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A value that is a field of a Credential: to be opened by a runner, and by nobody else."""

    credential: str
    field: str


def secret_of(value: Any) -> SecretRef | None:
    """The secret that a value is as a whole; None for everything else."""
    path = _whole_path(value, "secrets")
    return SecretRef(path[1], path[2]) if path is not None and len(path) == 3 else None


def param_of(value: Any) -> str | None:
    """The param that a value is as a whole: `${{ params.key }}`; None for everything else."""
    path = _whole_path(value, "params")
    return path[1] if path is not None and len(path) == 2 else None


def input_of(value: Any) -> str | None:
    """The input of a library's step that a value is as a whole: `${{ inputs.key }}`; None for everything else."""
    path = _whole_path(value, "inputs")
    return path[1] if path is not None and len(path) == 2 else None


def written(secret: SecretRef) -> str:
    """The text that `secret_of` reads."""
    return f'${{{{ secrets["{secret.credential}"].{secret.field} }}}}'


def _whole_path(value: Any, root: str) -> tuple[str, ...] | None:
    if not isinstance(value, str) or root not in value:
        return None
    try:
        path = _path_in(value)
    except ExpressionError:
        return None
    return path if path is not None and path[0] == root else None


def _path_of(text: str) -> tuple[str, ...] | None:
    parts = split(text)
    if len(parts) != 1 or not isinstance(parts[0], Hole):
        return None
    expression = compile_text(parts[0].cel)
    whole = [one for one in expression.occurrences if one.offset == 0 and one.length == len(parts[0].cel)]
    return tuple(whole[0].path) if len(whole) == 1 else None


_path_in = OfShort(_path_of, 1_024)
