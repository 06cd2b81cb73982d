"""The dashboard's addresses (CONTRACT 6). GET and HEAD only; JSON beside each page, made of the same facts."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from journal.errors import Unavailable
from opsconductor.dashboard.access import Access, Guarded
from opsconductor.dashboard.facts import Data, Facts
from opsconductor.dashboard.rendering import page

API = "/api/v1"
_STATIC = {"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8"}
_HEARTBEAT = 15.0
_TOGETHER = 0.25
"""Seconds in which what happens is told once."""

Loads = Callable[[Request], Awaitable[Data | None]]
Answers = Callable[[Request], Awaitable[Response]]


def application(facts: Facts, access: Access) -> ASGIApp:
    """The whole dashboard as an ASGI application."""
    routes = [
        *_page("/", "now", lambda _: facts.now(), api="/now"),
        *_page("/runs/{run}", "run", lambda request: facts.run(request.path_params["run"])),
        Route("/runs/{run}/log", _html("log", lambda request: _log(facts, request))),
        Route("/events", _events(facts)),
        Route("/healthz", _alive),
        Route("/readyz", _ready(facts)),
        Route("/static/{name}", _static),
    ]
    handlers: dict[Any, Any] = {HTTPException: _trouble, Unavailable: _away}
    return Guarded(Starlette(routes=routes, exception_handlers=handlers), access)


def _page(path: str, template: str, load: Loads, *, api: str | None = None) -> list[Route]:
    async def data(request: Request) -> Response:
        return _json(await _found(load, request))

    return [Route(path, _html(template, load)), Route(f"{API}{api or path}", data)]


def _html(template: str, load: Loads) -> Answers:
    async def shown(request: Request) -> Response:
        found = await _found(load, request)
        here = request.url.path
        beside = f"{API}{'/now' if here == '/' else here.removesuffix('/log')}"
        at = found.get("at") or found["shown"]["at"]
        return HTMLResponse(page(template, here=here, json=beside, **found | {"at": at}))

    return shown


async def _found(load: Loads, request: Request) -> Data:
    found = await load(request)
    if found is None:
        raise HTTPException(404, "there is no such thing, or retention has removed it")
    return found


def _json(data: Data, status: int = 200) -> Response:
    return Response(json.dumps(data, ensure_ascii=False, default=str), status, media_type="application/json")


async def _log(facts: Facts, request: Request) -> Data | None:
    query = request.query_params
    line = query.get("line", "")
    if line and not (line.isdecimal() and len(line) <= 12):
        raise HTTPException(400, "'line' is a number from 1 on")
    return await facts.log(
        request.path_params["run"], query.get("target", ""), query.get("step", ""), int(line) if line else None
    )


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _ready(facts: Facts) -> Answers:
    """Ready is who has definitions in force and can read the journal."""

    async def ready(_: Request) -> Response:
        if facts.engine.catalog is None:
            return PlainTextResponse("no commit is in force yet\n", 503)
        await facts.ping()
        return PlainTextResponse("ok\n")

    return ready


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404, "there is no such file")
    text = (files("opsconductor.dashboard") / "static" / name).read_bytes()
    return Response(text, headers={"Content-Type": _STATIC[name], "Cache-Control": "max-age=3600"})


def _events(facts: Facts) -> Answers:
    async def events(_: Request) -> Response:
        return StreamingResponse(_changes(facts), media_type="text/event-stream")

    return events


async def _changes(facts: Facts) -> AsyncIterator[str]:
    """A word whenever something happened: the page asks for the rest. It ends when the reader goes, or the engine."""
    with facts.journal.watch() as watch:
        yield "retry: 3000\n\n"
        while facts.journal.is_watched():
            changed = await watch.changed(timeout=_HEARTBEAT)
            if not facts.journal.is_watched():
                break
            yield "event: changed\ndata: {}\n\n" if changed else ": still here\n\n"
            await asyncio.sleep(_TOGETHER)


async def _trouble(request: Request, error: HTTPException) -> Response:
    if request.url.path.startswith(API):
        return _json({"error": error.detail}, error.status_code)
    return PlainTextResponse(f"{error.detail}\n", error.status_code)


async def _away(request: Request, error: Unavailable) -> Response:
    return await _trouble(request, HTTPException(503, f"the journal cannot be read now: {error.message}"))
