"""What strangers send as JSON: read within bounds, into plain data that expressions can read."""

import json
from typing import Any

MAX_BYTES = 1 << 20
"""Of a request's body."""
MAX_DEPTH = 64
MAX_NODES = 50_000
_LEAST, _MOST = -(2**63), 2**63 - 1


class NotJson(ValueError):  # noqa: N818 - named after what came
    """The text is no JSON, or more than is read; the message says which and quotes nothing of it."""


def read(data: bytes) -> Any:
    """The value. Of a key that stands twice the last counts; a whole number beyond 64 bits becomes an inexact one.

    Raises NotJson for what is no JSON in UTF-8, NaN, half a surrogate pair, and anything deeper than 64 or with more
    than 50,000 values.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotJson("it is not UTF-8") from error
    except RecursionError as error:
        raise NotJson(f"it is nested deeper than {MAX_DEPTH}") from error
    except json.JSONDecodeError as error:
        raise NotJson(f"it is no JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:  # a number of thousands of digits, or NaN
        raise NotJson("a number in it cannot be read") from error
    _check(value)
    return value


def _check(value: Any) -> None:
    """By a stack of our own: what is checked here may be nested as deep as the decoder goes."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    seen = 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise NotJson(f"it is nested deeper than {MAX_DEPTH}")
        if seen > MAX_NODES:
            raise NotJson(f"it holds more than {MAX_NODES:,} values")
        match one:
            case str():
                _whole(one)
            case dict():
                for key in one:
                    _whole(key)
                waiting.extend((below, depth + 1) for below in one.values())
            case list():
                waiting.extend((below, depth + 1) for below in one)


def _whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotJson("half a surrogate pair stands in it") from error


def _number(text: str) -> int | float:
    whole = int(text)
    return whole if _LEAST <= whole <= _MOST else float(whole)


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("beyond what a number may be")
    return value


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_finite, parse_constant=_no_number)
