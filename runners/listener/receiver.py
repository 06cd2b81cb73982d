"""`POST /hooks/<trigger>`: measured, proven, recorded, answered, in this order. Who is not proven learns nothing.

Whether there is a trigger of that name, whether its secret can be read, and what is wrong with a signature, is for the
engine's log and the trigger's status alone: all of them give the same 401.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import parse_qs

import structlog
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine import payload
from engine.catalog import Catalog
from engine.expiry import has_expired
from journal import events, uses
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.events import NewEvent, Received
from journal.store import Journal
from runners.listener.bodies import Bodies, Unread
from runners.listener.protocol import server
from runners.listener.signatures import Incoming, Proven, Unproven, prove
from runners.secrets import Sealed, Secrets
from schemas.credential import CredentialSpec
from schemas.trigger import Provider

log = structlog.get_logger(__name__)

T = TypeVar("T")

AT_ONCE = 32
"""Requests that are worked on at once, once all of them is there; more are told to come back."""
NOTED_WITHIN = timedelta(seconds=2)
QUIET = timedelta(minutes=1)
"""How long after a note of requests that were turned away the next one is made: a flood must not fill the branch."""
_MOST_FIELDS = 20
_NEVER = datetime.min.replace(tzinfo=UTC)
_NOBODY = "the secret of a trigger that there is none of"
_PUSHES = frozenset({"push", "Push Hook", "Tag Push Hook", "create", "delete"})


@dataclass(frozen=True, slots=True)
class Hook:
    """A trigger that webhooks set off, and what proves them."""

    trigger: str
    provider: Provider
    credential: str
    spec: CredentialSpec
    labels: Mapping[str, str]
    pool: str
    sealed: str | None = None


def hooks(catalog: Catalog | None) -> Mapping[str, Hook]:
    """The triggers of these definitions that webhooks set off, by name and former name: who sends knows only one."""
    found: dict[str, Hook] = {}
    for name, trigger in catalog.triggers.items() if catalog is not None else ():
        webhook = trigger.spec.event.webhook
        if catalog is None or webhook is None or webhook.credential_ref not in catalog.credentials:
            continue
        spec = catalog.credentials[webhook.credential_ref].spec
        sealed = catalog.sealed([webhook.credential_ref]).get(webhook.credential_ref)
        labels, pool = trigger.metadata.labels, catalog.pool_of_trigger(trigger)
        hook = Hook(name, webhook.provider, webhook.credential_ref, spec, labels, pool, sealed)
        found |= dict.fromkeys((name, *trigger.metadata.previous_names), hook)
    return found


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: one that is free. Raises Refused where there can be none."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, proto)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise Refused(f"webhooks cannot be received at {host}:{port}: {error.strerror or error}") from error
    return found


class Receiver:
    """Serves until cancelled. `name` is the runner's; `known` gives the hooks in force.

    `pushed` is called after every new push.
    """

    def __init__(
        self,
        journal: Journal,
        secrets: Secrets,
        clock: Clock,
        *,
        name: str | None = None,
        known: Callable[[], Mapping[str, Hook]],
        pushed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._secrets = secrets
        self._clock = clock
        self._name = name
        self._known = known
        self._pushed = pushed
        self._bodies = Bodies()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._rejected: Counter[tuple[str, str, str]] = Counter()
        self._noted: dict[tuple[str, str], datetime] = {}
        """When it was recorded last that a trigger uses a credential: once a minute will do."""

    async def serve(self, where: socket.socket) -> None:
        """Answer at this socket; cancelled, it takes no more and ends what it is at."""
        host, port = where.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        log.info("webhooks are received", address=f"http://{shown}:{port}/hooks/TRIGGER")
        if not ip_address(host).is_loopback:
            log.warning("webhooks come in unencrypted from other machines; put a proxy with TLS before it")
        app = Starlette(routes=[Route("/hooks/{trigger}", self._answer, methods=["POST"])])
        running = server(app)
        serving = asyncio.create_task(running.serve(sockets=[where]))
        noting = asyncio.create_task(self._note_rejected())
        try:
            await asyncio.wait({serving, noting}, return_when=asyncio.FIRST_COMPLETED)
            for part in (serving, noting):
                if part.done():
                    part.result()
        finally:
            running.should_exit = True
            noting.cancel()
            await asyncio.gather(serving, noting, return_exceptions=True)
            with suppress(Unavailable):
                await self._note()

    async def _answer(self, request: Request) -> JSONResponse:
        # The body is read before there is a place for it: a stranger who sends slowly must not hold one.
        body = await self._bodies.read(request)
        if not isinstance(body, bytes):
            return _UNREAD[body]()
        if self._places.locked():
            return _busy()
        async with self._places:
            try:
                return await self._received(request.path_params["trigger"], Incoming(_headers(request), body))
            except Unavailable as error:
                log.warning("a webhook could not be recorded", error=str(error))
                return _said(503, "it cannot be recorded now; send it again later", {"retry-after": "30"})

    async def _received(self, name: str, incoming: Incoming) -> JSONResponse:
        hook = self._known().get(name)
        proof = await self._proof(hook, incoming)
        if hook is not None and isinstance(proof, Proven):
            return await self._proven(hook, proof, incoming)
        if hook is not None and isinstance(proof, Unproven):
            self._rejected[hook.trigger, proof.reason, proof.message] += 1
        return _said(401, "not accepted", {"www-authenticate": "Signature"})

    async def _proof(self, hook: Hook | None, incoming: Incoming) -> Proven | Unproven:
        now = self._clock.now()
        if hook is None:
            return prove("generic", _NOBODY, incoming, now)
        try:
            secret = await asyncio.to_thread(self._secret, hook)
        except Sealed as error:
            return Unproven("sealed", str(error))
        return prove(hook.provider, secret, incoming, now)

    def _secret(self, hook: Hook) -> str:
        opened = self._secrets.open(hook.credential, hook.spec, labels=hook.labels, pool=hook.pool, sealed=hook.sealed)
        return opened.get("token" if hook.spec.type == "token" else "value")

    async def _proven(self, hook: Hook, proof: Proven, incoming: Incoming) -> JSONResponse:
        data = _json_of(incoming)
        if data is None:
            self._rejected[hook.trigger, "badType", "its content is neither JSON nor a form with JSON in it"] += 1
            return _said(415, "send application/json")
        try:
            await asyncio.to_thread(payload.read, data)
        except payload.NotJson as error:
            self._rejected[hook.trigger, "badPayload", str(error)] += 1
            return _said(400, str(error))
        new = NewEvent(
            hook.trigger, proof.key, "webhook", self._clock.now(),
            type=proof.type, delivery=proof.delivery, payload=data,
        )  # fmt: skip
        received = await self._written((hook,), lambda tx: events.receive(tx, new))
        log.info("webhook received", trigger=hook.trigger, type=proof.type, delivery=proof.delivery, answer=received)
        if received == "new" and proof.type in _PUSHES:
            self._pushed()
        return _ANSWERS[received]()

    # --- what was turned away ---

    async def _note_rejected(self) -> None:
        while True:
            await asyncio.sleep(NOTED_WITHIN.total_seconds())
            if self._rejected:
                with suppress(Unavailable):
                    await self._note()
                await asyncio.sleep(QUIET.total_seconds())

    async def _note(self) -> None:
        """However many they are: one record an hour and reason."""
        found = dict(self._rejected)
        if not found:
            return
        now, known = self._clock.now(), self._known()

        def change(tx: Connection) -> None:
            for (trigger, reason, message), times in found.items():
                if (hook := known.get(trigger)) is not None:  # else a commit has taken it away meanwhile
                    events.reject(tx, hook.trigger, reason, message, times, now)

        asked = {trigger for trigger, reason, _ in found if reason != "sealed"}
        await self._written([known[trigger] for trigger in sorted(asked) if trigger in known], change)
        self._rejected.subtract(found)
        self._rejected = +self._rejected
        for (trigger, reason, message), times in found.items():
            log.warning("webhooks were turned away", trigger=trigger, reason=reason, message=message, times=times)

    async def _written(self, hooks: Iterable[Hook], change: Callable[[Connection], T]) -> T:
        """The change, and whose secrets were opened for it."""
        now = self._clock.now()
        due = [hook for hook in hooks if now - self._noted.get((hook.trigger, hook.credential), _NEVER) >= QUIET]

        def both(tx: Connection) -> T:
            for hook in due:
                uses.note_steady(tx, f"Trigger/{hook.trigger}", (hook.credential,), self._name, now)
            return change(tx)

        result = await self._journal.write(both)
        for hook in due:
            self._noted[hook.trigger, hook.credential] = now
            if has_expired(hook.spec, now):
                log.warning("an expired credential is used", credential=hook.credential, trigger=hook.trigger)
        return result


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Every connection carries one request: who wants to be slow must connect anew, and is counted."""
    body = {"message": text} if status >= 400 else {"state": text}
    return JSONResponse(body, status, headers={**(headers or {}), "connection": "close", "cache-control": "no-store"})


def _busy() -> JSONResponse:
    return _said(503, "busy; send it again later", {"retry-after": "5"})


_UNREAD: Mapping[Unread, Callable[[], JSONResponse]] = {
    "large": lambda: _said(413, f"at most {payload.MAX_BYTES >> 20} MiB"),
    "slow": lambda: _said(408, "the body took too long"),
    "crowded": _busy,
    "ended": lambda: _said(400, "the body ended early"),
}
_ANSWERS: Mapping[Received, Callable[[], JSONResponse]] = {
    "new": lambda: _said(202, "accepted"),
    "known": lambda: _said(202, "known"),
    "conflict": lambda: _said(409, "this delivery came before with other content"),
    "full": lambda: _said(503, "too many events wait; send it again later", {"retry-after": "30"}),
}


def _headers(request: Request) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.items():
        found[name] = (*found.get(name, ()), value)
    return found


def _json_of(incoming: Incoming) -> bytes | None:
    """The JSON of a body: all of it, or the field `payload` of a form, as forges can be told to send it."""
    kind = (incoming.headers.get("content-type") or ("",))[0].partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return incoming.body
    if kind == "application/x-www-form-urlencoded":
        try:
            fields = parse_qs(incoming.body.decode("ascii"), strict_parsing=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return None
        return fields["payload"][0].encode() if len(fields.get("payload", ())) == 1 else None
    return None
