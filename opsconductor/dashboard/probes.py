"""The answers to probes, for the dashboard and for a runner, which has nothing else to show."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from opsconductor.service import health
from opsconductor.service.health import Part

Asked = Callable[[], Awaitable[tuple[Part, ...]]]


def probed(request: Request, parts: tuple[Part, ...]) -> Response:
    """`ok`, or 503 and what is not; `?verbose` names every part."""
    status = 200 if all(part.trouble is None for part in parts) else 503
    return PlainTextResponse(health.text(parts, whole="verbose" in request.query_params), status)


def application(probes: Mapping[str, Asked]) -> ASGIApp:
    """Nothing but probes, by path; GET and HEAD only. They need no token: they say nothing but how the process is."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        asked = probes.get(request.url.path)
        if request.method not in ("GET", "HEAD"):
            answer: Response = PlainTextResponse("this is read-only\n", 405, {"Allow": "GET, HEAD"})
        elif asked is None:
            answer = PlainTextResponse(f"there is nothing at this address; there is {' and '.join(probes)}\n", 404)
        else:
            answer = probed(request, await asked())
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        await answer(scope, receive, send)

    return answered
