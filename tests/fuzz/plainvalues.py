"""A slow second opinion on what YAML means: PyYAML's own scanner, and the core schema as it is specified."""

import re
from typing import Any

import yaml

_CORE = (
    (re.compile(r"null|Null|NULL|~|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+", re.ASCII), int),
    (re.compile(r"0o[0-7]+", re.ASCII), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+", re.ASCII), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII), float),
)
"""YAML 1.2.2, section 10.3.2, in its order."""


def expected(node: Any) -> Any:
    """The value of a composed node; plain scalars by the core schema, whatever PyYAML thinks of them."""
    match node:
        case None:
            return None
        case yaml.ScalarNode():
            return node.value if node.style is not None else _plain(node.value)
        case yaml.SequenceNode():
            return [expected(below) for below in node.value]
        case _:
            return {expected(key): expected(below) for key, below in node.value}


def _plain(text: str) -> Any:
    return next((make(text) for form, make in _CORE if form.fullmatch(text)), text)
