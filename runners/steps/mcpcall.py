"""`mcp.call`: calls one tool of an MCP server, a program on this host or a server by HTTP.

What an attempt means (docs/how-to/call-an-mcp-tool.md): a program is ended provably, so what it did not answer has
failed, or ended as it was ordered to. By HTTP a call that was sent and not answered is Unknown.
"""

import asyncio
import importlib
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.runs.outcome import Failed, Outcome, Succeeded, Unknown, Unreachable
from runners.connections import Exited, Finish, Lost, Session, Stop
from runners.connections.program import NotStarted, Program, ProgramSession, Running
from runners.limits import Stream
from runners.mcp.tool import BadAnswer, Content, Tool, Unlike, Wanted, output_of, shown, values_of
from runners.secrets import Opened, Sealed
from runners.steps import ReadyStep
from runners.steps.exchange import until_stopped
from runners.steps.httprequest import tls
from runners.steps.inputs import Given, Unfit, given
from runners.steps.reaching import Forbidden, Unreached, is_of_target, writes_host
from runners.steps.script import ended_by, ended_unsent

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

    from runners.mcp.conversation import Progress

LEAVE = 2.0
"""Seconds that a server has to end by itself once its input has ended, and again from TERM to KILL."""
_TOO_LONG = 4 * 1024 * 1024
"""Bytes of arguments, at most."""
Answer = tuple[Tool, Content]


class McpCall:
    """Calls the tool that is pinned, once. Its structured answer, else its text, is the step's stdout."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            found = given(step)
            wanted = _wanted(found)
            await asyncio.to_thread(_load)
            if "command" in found.inputs:
                return await _by_program(found, wanted, dict(step.env), session)
            return await _by_http(found, wanted, session)
        except (Unfit, Sealed, NotStarted) as error:
            return Failed(str(error), ran=False)


def _load() -> None:
    """In a thread: the SDK takes most of a second to load."""
    importlib.import_module("runners.mcp.http")
    importlib.import_module("runners.mcp.oauth")
    importlib.import_module("runners.mcp.stdio")


def _wanted(found: Given) -> Wanted:
    arguments = found.inputs.get("arguments") or {}
    try:
        size = len(json.dumps(arguments, allow_nan=False))
    except (ValueError, TypeError) as error:
        raise Unfit(f"'arguments' are no JSON: {error}") from error
    if size > _TOO_LONG:
        raise Unfit(f"'arguments' are larger than {_TOO_LONG >> 20} MiB")
    return Wanted(found.inputs["tool"], found.inputs["digest"], arguments)


# --- a program -------------------------------------------------------------------------------------------------------


async def _by_program(found: Given, wanted: Wanted, env: dict[str, str], session: Session) -> Outcome:
    from runners.mcp.conversation import Progress
    from runners.mcp.stdio import Inbox, over_stdio

    if not isinstance(session, ProgramSession):
        raise NotStarted("programs are started on the runner's own host only")
    inbox = Inbox()

    def feed(stream: Stream, data: bytes) -> None:
        inbox.feed(data) if stream == "stdout" else session.capture.feed("stderr", data)

    running = await session.start(Program(tuple(found.inputs["command"]), env, talks=True), feed)
    progress, own = Progress(), Stop()
    ending = asyncio.ensure_future(running.finish(own))
    passing_on = asyncio.ensure_future(_pass_on(session.stop, own))
    talk = asyncio.ensure_future(_talk(over_stdio(running, inbox), wanted, progress, session))
    try:
        await asyncio.wait({ending, talk}, return_when=asyncio.FIRST_COMPLETED)
        inbox.close()
        if not talk.done() and own.why is None:
            await asyncio.wait({talk}, timeout=1)  # it is told that nothing more comes
        if not talk.done():
            await until_stopped(talk)
        finish = await _left(running, ending, own)
    finally:
        passing_on.cancel()
        for work in (talk, ending):
            work.cancel()
        await asyncio.wait({talk, ending})
        running.close()
    if session.stop.why is not None and not progress.answered:
        return _ended(finish, session)
    if inbox.error is not None:
        return Failed(str(inbox.error), session.capture.output())
    return _meaning(talk, session, progress, lambda error: _unanswered(finish, error, inbox.strange, session), finish)


async def _pass_on(given_to_us: Stop, own: Stop) -> None:
    await given_to_us.given()
    assert given_to_us.why is not None
    own.order(given_to_us.why, given_to_us.message, kill_after=given_to_us.kill_after)
    await given_to_us.hurried()
    own.order(given_to_us.why, given_to_us.message, kill_after=given_to_us.kill_after)


async def _left(running: Running, ending: "asyncio.Future[Finish]", own: Stop) -> Finish:
    """How it ended, once its work is done: by the end of its input, else on order."""
    running.end_of_input()
    if not ending.done():
        await asyncio.wait({ending}, timeout=LEAVE)
    own.order("drained", "its work is done", kill_after=LEAVE)
    return await asyncio.shield(ending)


def _ended(finish: Finish, session: Session) -> Outcome:
    output = session.capture.output()
    if isinstance(finish, Lost):
        return Unknown(f"{session.stop.message}; {finish.error}", output)
    return ended_by(session.stop, output)


def _unanswered(finish: Finish, error: str, strange: int, session: Session) -> Outcome:
    how = f"exit code {finish.code}" if isinstance(finish, Exited) else error
    hint = f"; {strange} lines on its output were no messages: is it an MCP server?" if strange else ""
    return Failed(f"the server ended without an answer: {how}{hint}", session.capture.output())


# --- HTTP ------------------------------------------------------------------------------------------------------------


async def _by_http(found: Given, wanted: Wanted, session: Session) -> Outcome:
    from runners.mcp.conversation import Progress
    from runners.mcp.http import Seen, Server, host_of, over_http

    around, inputs = found.around, found.inputs
    written = {name for name in ("url", "issuer") if writes_host(found.written.get(name), url=True)}
    literal = {host_of(inputs[name]) for name in written if name in inputs}
    headers, auth = _login(found, session)

    def authored(host: str) -> bool:
        return host.strip("[]") in literal or is_of_target(host.strip("[]"), around.target)

    server = Server(inputs["url"], authored, around.networks, tls(inputs.get("caCert"), None), headers, auth)
    seen = Seen()
    progress = Progress(heard=lambda: seen.answered)
    talk = asyncio.ensure_future(_talk(over_http(server, seen), wanted, progress, session))
    try:
        done = await session.stop.first(talk)
    finally:
        if not talk.done():
            await until_stopped(talk)
    open_ = seen.sent and not progress.answered
    if not done:
        if open_:
            why = f"{session.stop.message}; the call was sent, and whether it was acted on is not known"
            return Unknown(why, session.capture.output())
        ended = ended_by if seen.sent else ended_unsent
        return ended(session.stop, session.capture.output())

    def unanswered(error: str) -> Outcome:
        output = session.capture.output()
        match seen.trouble:
            case Forbidden() as trouble:
                return Failed(str(trouble), output, ran=seen.sent)
            case Unreached() as trouble if not seen.sent:
                return Unreachable(str(trouble))
            case trouble:
                said = str(trouble or error)
        if open_:
            return Unknown(f"{said}; the call was sent, and whether it was acted on is not known", output)
        return Failed(said, output, ran=seen.sent)

    return _meaning(talk, session, progress, unanswered)


def _login(found: Given, session: Session) -> "tuple[dict[str, str], httpx2.Auth | None]":
    """The headers that log in, or what does where a token must be asked for first. Raises Unfit and Sealed."""
    named, issuer = found.inputs.get("credentialRef"), found.inputs.get("issuer")
    if named is None:
        return {}, None
    credential = found.around.opened(named)
    if issuer is not None:
        return {}, _by_client_credentials(found.inputs["url"], issuer, credential, session)
    secret = credential.fields.get("token") or credential.fields.get("value")
    if secret is None:
        how = "name the 'issuer' that gives tokens for it" if "password" in credential.fields else "name a token"
        raise Unfit(f"credential '{credential.name}' is no token, and an MCP server takes bearer tokens: {how}")
    if not secret.isprintable() or not secret.isascii():
        raise Unfit(f"credential '{credential.name}' has characters that no header has")
    return {"authorization": f"Bearer {secret}"}, None


def _by_client_credentials(url: str, issuer: str, credential: Opened, session: Session) -> "httpx2.Auth":
    from runners.mcp.oauth import by_client_credentials

    client, secret = credential.username, credential.fields.get("password")
    if client is None or secret is None:
        raise Unfit(f"credential '{credential.name}' is no password with a username, which 'issuer' takes for a client")
    return by_client_credentials(url, issuer, client, secret, session.capture.hide)


# --- what became of it -----------------------------------------------------------------------------------------------


async def _talk(
    way: "AbstractAsyncContextManager[TransportStreams]", wanted: Wanted, progress: "Progress", session: Session
) -> Answer:
    from runners.mcp.conversation import converse

    def look(tool: Tool) -> None:
        if tool.digest != wanted.digest:
            text = json.dumps(tool.described, indent=2, ensure_ascii=False, sort_keys=True)
            session.capture.feed("stderr", f"{text}\n{tool.digest}\n".encode("utf-8", "replace"))

    return await converse(way, wanted, progress, look)


def _meaning(
    talk: "asyncio.Future[Answer]",
    session: Session,
    progress: "Progress",
    unanswered: Callable[[str], Outcome],
    finish: Finish | None = None,
) -> Outcome:
    """The outcome of a conversation that has ended."""
    if talk.cancelled():
        return unanswered("the conversation was cut")
    error = _first(talk.exception())
    if error is not None:
        return _failure(error, session, progress, unanswered)
    tool, content = talk.result()
    session.capture.feed("stdout", output_of(content).encode("utf-8", "replace"))
    session.capture.close()
    output = replace(session.capture.output(), values=values_of(tool, content))
    if content.is_error:
        return Failed(f"the tool '{shown(tool.name)}' says: {shown(content.text) or 'an error'}", output)
    if isinstance(finish, Lost):
        return Unknown(f"the tool answered, and then {finish.error}", output)
    return Succeeded(output)


def _failure(
    error: BaseException, session: Session, progress: "Progress", unanswered: Callable[[str], Outcome]
) -> Outcome:
    from mcp.client.auth import OAuthFlowError

    from runners.mcp.conversation import Cut, Refusal

    match error:
        case Unlike() | BadAnswer():
            session.capture.close()
            return Failed(str(error), session.capture.output(), ran=progress.called)
        case Refusal():
            return Failed(str(error), session.capture.output(), ran=progress.called)
        case Cut():
            return unanswered(str(error))
        case OAuthFlowError():
            return unanswered(f"no token was given: {shown(str(error))}")
        case Exception():
            return unanswered(f"{type(error).__name__}: {shown(str(error))}")
        case _:
            raise error


def _first(error: BaseException | None) -> BaseException | None:
    """What a group of errors began with: the ways run tasks of their own, and tell of them in groups."""
    while isinstance(error, BaseExceptionGroup):
        ours = [one for one in error.exceptions if not isinstance(one, asyncio.CancelledError)]
        error = (ours or error.exceptions)[0]
    return error
