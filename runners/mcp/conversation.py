"""The conversation with an MCP server, by the MCP SDK: greet, find the tool, judge it, call it once.

Importing this module loads the SDK, which takes most of a second: only what calls a tool imports it.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mcp_types as types
from mcp import MCPError
from mcp.client import Client
from mcp.client.session import ClientSession
from pydantic import TypeAdapter, ValidationError

from runners.mcp.tool import BadAnswer, Content, Tool, Unlike, Wanted, check_answer, check_arguments, pinned, shown

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

PAGES = 100
"""Pages of a list of tools, at most."""
_ANSWER: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class Refusal(Exception):  # noqa: N818 - named after what the server said
    """The server said no, or what no client can use."""


class Cut(Exception):  # noqa: N818 - named after the connection
    """The connection ended before the answer was there."""


@dataclass(slots=True)
class Progress:
    """How far it has come, readable after it was cancelled."""

    called: bool = False
    """Whether the call was handed over to be sent."""
    answered: bool = False
    heard: Callable[[], bool] = lambda: True
    """Whether an answer of the server itself came. By HTTP the SDK makes up errors in its name."""


async def converse(
    way: "AbstractAsyncContextManager[TransportStreams]",
    wanted: Wanted,
    progress: Progress,
    look: Callable[[Tool], None],
) -> tuple[Tool, Content]:
    """The tool that was called, and its answer, checked. `look` is shown the tool before it is judged.

    The client offers nothing that a server could ask for: no sampling, no elicitation, no roots. Raises Unlike (nothing
    was called), BadAnswer, Refusal, Cut, and what the way raises, alone or in a group.
    """
    about = types.Implementation(name="opsconductor", version="1")
    async with Client(way, cache=None, client_info=about) as client:
        try:
            tools = await _tools(client.session)
            for tool in tools:
                if tool.name == wanted.tool:
                    look(tool)
            tool = pinned(tools, wanted)
            check_arguments(tool, wanted.arguments)
            progress.called = True
            content = await _called(client.session, wanted)
            progress.answered = True
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED or (progress.called and not progress.heard()):
                raise Cut(shown(error.message)) from error
            progress.answered = progress.called
            raise Refusal(f"the server refused: {shown(error.message)} (code {error.code})") from error
        except ValidationError as error:
            progress.answered = progress.called
            raise Refusal(f"the server's answer is not what the protocol says: {_first(error)}") from error
        check_answer(tool, content)
        return tool, content


async def _tools(session: ClientSession) -> list[Tool]:
    found: list[Tool] = []
    cursor: str | None = None
    for _ in range(PAGES):
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        found += [Tool(one.name, one.input_schema, one.output_schema) for one in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise Unlike(f"the server's list of tools has more than {PAGES} pages")


async def _called(session: ClientSession, wanted: Wanted) -> Content:
    params = types.CallToolRequestParams(name=wanted.tool, arguments=dict(wanted.arguments))
    # Not session.call_tool: it checks the answer by a library that a pattern from the server could hold for ever.
    result = await session.send_request(types.CallToolRequest(params=params), _ANSWER)
    if isinstance(result, types.InputRequiredResult):
        raise BadAnswer("the tool asks back (sampling, elicitation or roots), and a run has nobody to ask")
    text = "\n".join(_texts(result.content))
    return Content(text, result.structured_content, result.structured_content is not None, result.is_error)


def _texts(blocks: Iterable[types.ContentBlock]) -> Iterable[str]:
    for block in blocks:
        match block:
            case types.TextContent(text=text):
                yield text
            case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
                yield text
            case types.ResourceLink(uri=uri):
                yield f"[a link to {shown(str(uri))}]"
            case _:
                yield f"[{block.type}: not text, and not kept]"


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return shown(f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}")
