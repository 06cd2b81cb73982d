"""The dashboard's addresses (CONTRACT 6). GET and HEAD only; JSON beside each page, made of the same facts."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.status.yamltext import stamp
from journal.errors import Unavailable
from opsconductor.dashboard.access import Access, Guarded
from opsconductor.dashboard.assets import asset, kept_for
from opsconductor.dashboard.openapi import described
from opsconductor.dashboard.pages import FILES, PAGES, logs
from opsconductor.dashboard.pages.keys import GO
from opsconductor.dashboard.pages.page import Asked, File, Page, UnfitQuery
from opsconductor.dashboard.probes import probed
from opsconductor.dashboard.rendering import page
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.dashboard.troubles import Elsewhere, NoSuchThing, Way, title_of, wants_a_page, ways_on
from opsconductor.metrics.scraping import Metrics
from opsconductor.service import health

API = "/api/v1"
_ELSEWHERE = {"/jobs": "/kinds/Job", "/workflows": "/kinds/Workflow"}
"""Addresses that people shorten others to, and where the list is that they look for."""
_KEYS = {to: key for key, (to, _) in GO.items()}
_NAVIGATION = tuple((each.path, each.name, _KEYS.get(each.path)) for each in PAGES if each.name)
_HEARTBEAT = 15.0
MOST_FOLLOWING = 100
"""Pages that are told at once when something happens."""
_ROOM_IN = 30
"""Seconds after which who found no room may ask again."""
_TOGETHER = 0.25
"""Seconds in which what happens is told once."""

T = TypeVar("T")
Answers = Callable[[Request], Awaitable[Response]]


def application(sources: Sources, access: Access, metrics: Metrics) -> ASGIApp:
    """The whole dashboard as an ASGI application."""
    routes = [
        *_shown(sources),
        Route("/events", _events(sources)),
        Route("/healthz", _alive(sources)),
        Route("/readyz", _ready(sources)),
        Route("/metrics", _metrics(metrics)),
    ]
    return Guarded(_answering(routes, sources), access)


def pages_alone(sources: Sources) -> ASGIApp:
    """What shows facts, and nothing of a process that is at work; asked by nobody but this program."""
    return _answering(_shown(sources), sources)


def _answering(routes: list[Route], sources: Sources) -> ASGIApp:
    return Starlette(routes=routes, exception_handlers=_handlers(sources))


def _shown(sources: Sources) -> list[Route]:
    return [
        *(route for each in PAGES for route in _routes(sources, each)),
        *(Route(each.path, _file(sources, each)) for each in FILES),
        *(Route(base + path, _moved(base + to)) for path, to in _ELSEWHERE.items() for base in ("", API)),
        Route("/runs/{run}/log.txt", _log_text(sources)),
        Route(f"{API}/openapi.json", _described),
        Route("/static/{name}", _static),
    ]


def _routes(sources: Sources, each: Page) -> list[Route]:
    async def shown(request: Request) -> Response:
        found = await _found(sources, each.load, request)
        around = {"here": request.url.path, "json": _beside(each, request), "navigation": _NAVIGATION}
        return HTMLResponse(page(each.template, **around, **found))

    async def data(request: Request) -> Response:
        return _json(await _found(sources, each.load, request))

    return [Route(each.path, shown), Route(f"{API}{each.api or each.path}", data)]


def _beside(each: Page, request: Request) -> str:
    """Where the JSON of a page is: the same question, put to the API."""
    path = API + (each.api or request.url.path)
    return f"{path}?{request.url.query}" if request.url.query else path


def _file(sources: Sources, each: File) -> Answers:
    async def file(request: Request) -> Response:
        headers = {"Cross-Origin-Resource-Policy": "cross-origin"} if each.elsewhere else None
        return Response(await _found(sources, each.load, request), headers=headers, media_type=each.media_type)

    return file


async def _found(sources: Sources, load: Callable[[Sources, Asked], Awaitable[T | None]], request: Request) -> T:
    path: Mapping[str, str] = request.path_params
    try:
        base = f"{sources.public_url}/" if sources.public_url else str(request.base_url)
        found = await load(sources, Asked(path, dict(request.query_params), base))
    except UnfitQuery as error:
        raise HTTPException(400, str(error)) from error
    if found is None:
        raise HTTPException(404, "there is no such thing, or retention has removed it")
    return found


def _log_text(sources: Sources) -> Answers:
    """A whole log, however long it is: it is never held in memory."""

    async def log_text(request: Request) -> Response:
        found = await _found(sources, logs.text, request)
        kind, headers = "text/plain; charset=utf-8", {"Content-Length": str(found.size)}
        if request.method == "HEAD":  # nothing need be read for it
            return Response(headers=headers, media_type=kind)
        return StreamingResponse(found.parts(), headers=headers, media_type=kind)

    return log_text


def _moved(to: str) -> Answers:
    async def moved(request: Request) -> Response:
        return RedirectResponse(f"{to}?{request.url.query}" if request.url.query else to, 307)

    return moved


async def _described(_: Request) -> Response:
    return _json(described(PAGES, version("opsconductor"), API))


def _json(data: Data, status: int = 200) -> Response:
    return Response(json.dumps(data, ensure_ascii=False, default=str), status, media_type="application/json")


def _alive(sources: Sources) -> Answers:
    async def alive(request: Request) -> Response:
        return probed(request, health.alive(sources.engine.pulse()))

    return alive


def _ready(sources: Sources) -> Answers:
    async def ready(request: Request) -> Response:
        return probed(request, health.ready(sources.engine.pulse(), await sources.engine.unwritable()))

    return ready


def _metrics(metrics: Metrics) -> Answers:
    async def scraped(request: Request) -> Response:
        text, content_type = await metrics.scraped(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    return scraped


async def _static(request: Request) -> Response:
    found = asset(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "there is no such file")
    kept = kept_for(found, request.query_params.get("v"))
    return Response(found.content, headers={"Content-Type": found.media_type, "Cache-Control": kept})


_EVENTS = "text/event-stream"
_STREAMED = {"X-Accel-Buffering": "no"}
"""A proxy that gathers what it passes on (nginx, unless it is told) would hold back every word."""


class _Followed(StreamingResponse):
    """`gone` is called when its reader goes, also one that goes before the first word."""

    def __init__(self, words: AsyncIterator[str], gone: Callable[[], None]) -> None:
        super().__init__(words, headers=_STREAMED, media_type=_EVENTS)
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._gone()


def _events(sources: Sources) -> Answers:
    # A place is taken when somebody asks, not with the first word: many who ask at once are no more than may.
    following = 0

    def gone() -> None:
        nonlocal following
        following -= 1

    async def words() -> AsyncIterator[str]:
        async with aclosing(_changes(sources)) as changes:
            async for word in changes:
                yield word

    async def events(request: Request) -> Response:
        nonlocal following
        if following >= MOST_FOLLOWING:
            said = (
                f"{MOST_FOLLOWING} pages follow already: ask again in {_ROOM_IN} s, and meanwhile for the page itself"
            )
            raise HTTPException(503, said, {"Retry-After": str(_ROOM_IN)})
        if request.method == "HEAD":  # it would hold its place without a word
            return Response(headers=_STREAMED, media_type=_EVENTS)
        following += 1
        return _Followed(words(), gone)

    return events


async def _changes(sources: Sources) -> AsyncGenerator[str, None]:
    """A word whenever something happened: the page asks for the rest. It ends when the reader goes, or the engine."""
    with sources.journal.watch() as watch:
        yield "retry: 3000\n\n"
        while sources.journal.is_watched():
            changed = await watch.changed(timeout=_HEARTBEAT)
            if not sources.journal.is_watched():
                break
            yield "event: changed\ndata: {}\n\n" if changed else ": still here\n\n"
            await asyncio.sleep(_TOGETHER)


Handler = Callable[[Request, Any], Awaitable[Response]]


def _handlers(sources: Sources) -> Mapping[Any, Handler]:
    """What is said instead of a page: to a browser as a page of the house, to the API as JSON, else in one line."""

    def said(request: Request, status: int, text: str, ways: Sequence[Way] = ()) -> Response:
        path = request.url.path
        if path.startswith(API):
            return _json({"error": text} | ({"see": [one.href for one in ways]} if ways else {}), status)
        if not wants_a_page(request.headers):
            return PlainTextResponse(f"{text}\n", status)
        around = {"here": path, "json": None, "navigation": _NAVIGATION, "at": stamp(sources.clock.now())}
        on = (*ways, *ways_on(status, path))
        sentence = f"{text[:1].upper()}{text[1:].rstrip('.')}."
        return HTMLResponse(page("trouble", title=title_of(status), said=sentence, ways=on, **around), status)

    async def trouble(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase:  # no route has this address
            return said(request, 404, "there is no page at this address")
        answer = said(request, error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer

    async def missing(request: Request, error: NoSuchThing) -> Response:
        return said(request, 404, str(error), error.ways)

    async def elsewhere(request: Request, error: Elsewhere) -> Response:
        base = API if request.url.path.startswith(API) else ""
        return RedirectResponse(f"{base}{error}", 307)

    async def away(request: Request, error: Unavailable) -> Response:
        return said(request, 503, f"this cannot be shown now: {error.message}")

    async def fault(request: Request, _: Exception) -> Response:
        return said(request, 500, "this page has a fault; the engine goes on, and its own log says more")

    return {HTTPException: trouble, NoSuchThing: missing, Elsewhere: elsewhere, Unavailable: away, Exception: fault}
