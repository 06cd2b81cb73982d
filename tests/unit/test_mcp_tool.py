"""What pins a tool of an MCP server, and what may go in and come out."""

from typing import Any

import pytest

from runners.mcp.tool import (
    BadAnswer,
    Content,
    Tool,
    Unlike,
    Wanted,
    check_answer,
    check_arguments,
    output_of,
    pinned,
    values_of,
)

TAKES = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TOOL = Tool("add", TAKES, TAKES)


def test_the_digest_is_of_name_and_schemas_however_they_are_written() -> None:
    """Documented, so that others can compute it: it may never change."""
    turned = {"required": ["n"], "properties": {"n": {"type": "integer"}}, "type": "object"}
    assert Tool("add", turned, turned).digest == TOOL.digest
    assert TOOL.digest == "sha256:85327aa0c472168bec7d1bade0961f85ff69591a0d15ea73d2945a5424d026e1"
    others = (Tool("sub", TAKES, TAKES), Tool("add", TAKES), Tool("add", {"type": "object"}, TAKES))
    assert len({TOOL.digest, *(other.digest for other in others)}) == 4


def test_only_the_pinned_tool_is_called() -> None:
    assert pinned([TOOL], Wanted("add", TOOL.digest, {})) is TOOL
    with pytest.raises(Unlike, match=TOOL.digest):
        pinned([TOOL], Wanted("add", "sha256:" + "0" * 64, {}))
    with pytest.raises(Unlike, match="it has: add"):
        pinned([TOOL], Wanted("\x1b[31madd", TOOL.digest, {}))
    with pytest.raises(Unlike, match="2 tools"):
        pinned([TOOL, TOOL], Wanted("add", TOOL.digest, {}))


@pytest.mark.parametrize(
    ("schema", "arguments", "said"),
    [
        (TAKES, {"n": 1}, None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "x", **TAKES}, {"n": 1}, None),
        (TAKES, {}, "required"),
        (TAKES, {"n": "1"}, r"\['n'\]: it must be a whole number"),
        ({"type": "object", "$ref": "http://169.254.169.254/"}, {}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}}, {}, "checked safely"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, {}, "checked safely"),
        ({"type": "nonsense"}, {}, "checked safely"),
    ],
)
def test_arguments_are_checked_before_the_call_by_schemas_that_fetch_nothing(
    schema: dict[str, Any], arguments: dict[str, Any], said: str | None
) -> None:
    if said is None:
        check_arguments(Tool("add", schema), arguments)
        return
    with pytest.raises(Unlike, match=said):
        check_arguments(Tool("add", schema), arguments)


def test_the_answer_is_checked_after_it() -> None:
    check_answer(TOOL, Content("", {"n": 1}, structured=True))
    check_answer(TOOL, Content("it broke", is_error=True))
    check_answer(Tool("add", TAKES), Content("anything"))
    for content in (Content("1"), Content("", {"n": "1"}, structured=True), Content("", None, structured=True)):
        with pytest.raises(BadAnswer):
            check_answer(TOOL, content)


def test_what_later_steps_read() -> None:
    structured = Content("one", {"n": 1}, structured=True)
    assert output_of(structured) == '{"n":1}'
    assert values_of(TOOL, structured) == {"text": "one", "json": {"n": 1}, "digest": TOOL.digest}
    assert values_of(TOOL, Content('{"n": 2}'))["json"] == {"n": 2}
    assert values_of(TOOL, Content("NaN"))["json"] is None
    assert values_of(TOOL, Content("[" * 60_000))["json"] is None
    large = values_of(TOOL, Content("x" * 100_000, ["x" * 70_000], structured=True))
    assert (len(large["text"]), large["json"]) == (65536, None)
