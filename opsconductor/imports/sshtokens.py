"""Tokens and variables in values of ssh_config(5), by what they stand for, as far as the files say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from opsconductor.imports.sshconfig import Resolved

_TOKEN = re.compile(r"%(.?)|\$\{[^}]{0,200}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text, in which what is `unknown` stands as it was written."""

    text: str
    unknown: tuple[str, ...] = ()


def expanded(text: str, known: Mapping[str, str]) -> Expanded:
    """What ssh would make of it. Who calls ssh, from where, and its environment are known there only."""
    unknown: dict[str, None] = {}

    def replaced(found: re.Match[str]) -> str:
        letter = "d" if found[0] == "${HOME}" else found[1]
        if letter is not None and letter in known:
            return known[letter]
        unknown[found[0]] = None
        return found[0]

    return Expanded(_TOKEN.sub(replaced, text), tuple(unknown))


def known(resolved: Resolved, user: str | None) -> dict[str, str]:
    """What each token stands for of a host, by its letter; `user` logs in there."""
    found = {"%": "%", "h": resolved.host, "n": resolved.name, "k": resolved.text("hostkeyalias") or resolved.name}
    found |= {"d": "~"}
    found |= {"p": str(resolved.port)} if resolved.port is not None else {}
    return found | ({"r": user} if user else {})
