"""A tool as its server describes it, the digest that pins it, and what may go in and come out. Pure.

Everything here comes from the server and is data: names and texts are shown made safe, schemas are bounded as those
that users write (engine.userschema), and nothing that a schema names is fetched.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.userschema import faults_of, problems_of, short

KEPT = 64 * 1024
"""Bytes of JSON that later steps can read of a structured answer."""
_DIALECT = frozenset({"$schema", "$id", "id"})
"""What a schema says about itself; it is read as 2020-12, and nothing can refer to it from outside."""


class Unlike(Exception):  # noqa: N818 - named after the tool
    """The tool cannot be called as it is pinned and given. Nothing was called; the message says what to do."""


class BadAnswer(Exception):  # noqa: N818 - named after the answer
    """The tool was called, and what it answered is not what it promised."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What is pinned: its name and its schemas. Words for people may change without changing what it is."""

    name: str
    takes: Mapping[str, Any]
    gives: Mapping[str, Any] | None = None

    @property
    def described(self) -> dict[str, Any]:
        found = {"name": self.name, "inputSchema": self.takes}
        return found if self.gives is None else {**found, "outputSchema": self.gives}

    @property
    def digest(self) -> str:
        """SHA-256 over canonical JSON (keys sorted, no spaces, UTF-8) of name, inputSchema and outputSchema."""
        text = json.dumps(self.described, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the step asks for."""

    tool: str
    digest: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a tool answered: its texts, its structured answer where `structured` says that there is one."""

    text: str
    value: Any = None
    structured: bool = False
    is_error: bool = False


def pinned(tools: Sequence[Tool], wanted: Wanted) -> Tool:
    """The tool that is meant, when it is what the step has pinned. Raises Unlike."""
    found = [tool for tool in tools if tool.name == wanted.tool]
    if not found:
        names = ", ".join(shown(tool.name) for tool in tools[:20]) or "none"
        more = f" and {len(tools) - 20} more" if len(tools) > 20 else ""
        raise Unlike(f"the server has no tool '{shown(wanted.tool)}'; it has: {names}{more}")
    if len(found) > 1:
        raise Unlike(f"the server has {len(found)} tools called '{shown(wanted.tool)}'; which is meant cannot be told")
    tool = found[0]
    if tool.digest != wanted.digest:
        raise Unlike(
            f"the tool '{shown(tool.name)}' is not the one that is pinned; it was not called. Its digest is "
            f"{tool.digest}: look at its schemas in the step's log, and write this digest if they are what you want"
        )
    return tool


def check_arguments(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Raises Unlike where the tool would not take them."""
    for side, schema in (("inputSchema", tool.takes), ("outputSchema", tool.gives)):
        if schema is None:
            continue
        for problem in problems_of(_plain(schema)):
            where = "".join(f"[{part!r}]" for part in problem.path)
            raise Unlike(f"the tool's {side}{shown(where)} cannot be checked safely: {shown(problem.message)}")
    for path, message in faults_of(_plain(tool.takes), dict(arguments)):
        raise Unlike(f"'arguments'{''.join(f'[{part!r}]' for part in path)}: {shown(message)}")


def check_answer(tool: Tool, content: Content) -> None:
    """Raises BadAnswer. What an error says is bound to no schema."""
    if content.is_error or tool.gives is None:
        return
    if not content.structured:
        raise BadAnswer(f"the tool '{shown(tool.name)}' has an outputSchema, and gave no structured answer")
    for path, message in faults_of(_plain(tool.gives), content.value):
        where = "".join(f"[{part!r}]" for part in path)
        raise BadAnswer(f"the tool's answer{shown(where)} is not what its outputSchema says: {shown(message)}")


def output_of(content: Content) -> str:
    """What is the step's stdout: the structured answer as JSON, else the texts."""
    if not content.structured:
        return content.text
    return json.dumps(content.value, ensure_ascii=False, separators=(",", ":"))


def values_of(tool: Tool, content: Content) -> dict[str, Any]:
    """The outputs `text`, `json` and `digest`. `json` is null where there is none, or it is larger than KEPT."""
    value = content.value if content.structured else _parsed(content.text)
    small = value is not None and len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) <= KEPT
    text = content.text.encode("utf-8", "replace")[:KEPT].decode("utf-8", "ignore")
    return {"text": text, "json": value if small else None, "digest": tool.digest}


def shown(text: str) -> str:
    """A text of the server for a message: bounded, and on one line."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in short(text))


def _parsed(text: str) -> Any:
    if len(text) > KEPT:
        return None
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(name: str) -> Any:
    raise ValueError(name)


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without what it says of its own dialect and address."""
    return {key: value for key, value in schema.items() if key not in _DIALECT}
