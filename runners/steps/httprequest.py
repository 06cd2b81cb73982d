"""`http.request` and `webhook.call`: the runner itself talks to a server.

What an attempt means (docs/how-to/call-an-api.md): no connection is Unreachable. A request that was sent and had no
full answer is Unknown, unless its method changes nothing: then it failed, or ended as it was ordered to.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import mimetypes
import re
import ssl
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from engine.runs.outcome import Failed, Outcome, Output, Succeeded, Unknown, Unreachable
from runners.connections import Session, Stop
from runners.repository import NoFile
from runners.secrets import Opened, Sealed
from runners.steps import Around, ReadyStep
from runners.steps.exchange import (
    Answer,
    Broken,
    Progress,
    Request,
    TooLong,
    exchange,
    heeding,
    trusting,
    with_certificate,
)
from runners.steps.inputs import Given, Unfit, given
from runners.steps.reaching import Forbidden, Unreached, is_of_target, writes_host
from runners.steps.script import ended_by, ended_unsent
from schemas.paths import PEM, is_inside
from schemas.quantities import format_instant

_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_HEADERS, _HEADER = 64, 1024
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class HttpRequest:
    """Sends a request, and judges its status. The body of the answer is the step's stdout."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            request = await asyncio.to_thread(request_of, step)  # a body may be a file
        except (Unfit, Sealed, NoFile) as error:
            return Failed(str(error), ran=False)
        return await sent(request, session)


class WebhookCall:
    """Posts JSON, signed. `Idempotency-Key` is the same in every attempt of one step of one run."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            request = webhook_of(step)
        except (Unfit, Sealed) as error:
            return Failed(str(error), ran=False)
        return await sent(request, session)


# --- what is sent ----------------------------------------------------------------------------------------------------


def request_of(step: ReadyStep) -> Request:
    """The request of an `http.request` step. Raises Unfit, Sealed and NoFile; blocks where it reads a file."""
    asked = given(step)
    inputs = asked.inputs
    url, base = _address(asked)
    query = inputs.get("query")
    if query:
        url += ("&" if "?" in url else "?") + urlencode({key: _word(value) for key, value in query.items()})
    kind, body = _body(inputs, asked.around)
    headers = _headers(inputs, kind)
    http = asked.around.target.connections.http if asked.around.target is not None else None
    named = inputs.get("credentialRef") or (http.credential_ref if base and http is not None else None)
    ca = inputs.get("caCert") or (http.ca_cert if base and http is not None else None)
    credential = asked.around.opened(named) if named is not None else None
    headers += login(credential, inputs.get("credentialHeader"))
    return Request(
        inputs.get("method") or "GET",
        url,
        tuple(headers),
        body,
        authored=_judge(asked, base=base),
        networks=asked.around.networks,
        ok=_statuses(inputs),
        max_redirects=inputs.get("maxRedirects", 5),
        max_size=_size(inputs.get("maxSize") or "1MiB"),
        tls=tls(ca, credential),
    )


def webhook_of(step: ReadyStep) -> Request:
    """The request of a `webhook.call` step. Raises Unfit and Sealed."""
    asked = given(step)
    inputs, around = asked.inputs, asked.around
    key = hashlib.sha256("\0".join(_place(step, around)).encode()).hexdigest()[:32]
    kind = "application/json" if "json" in inputs else "application/cloudevents+json"
    body = _json(inputs["json"] if "json" in inputs else _event(step, around, key))
    headers = [*_headers(inputs, kind), ("Idempotency-Key", key)]
    if (named := inputs.get("credentialRef")) is not None:
        opened = around.opened(named)
        secret = opened.fields.get("token") or opened.get("value")
        algorithm = inputs.get("algorithm") or "sha256"
        signature = hmac.new(secret.encode(), body, algorithm).hexdigest()
        headers.append((inputs.get("signatureHeader") or "X-Hub-Signature-256", f"{algorithm}={signature}"))
    return Request(
        "POST",
        inputs["url"],
        tuple(headers),
        body,
        authored=_judge(asked, base=False),
        networks=around.networks,
        ok=_statuses(inputs),
        max_redirects=0,
        tls=tls(inputs.get("caCert"), None),
    )


def _address(asked: Given) -> tuple[str, bool]:
    """The URL, and whether it is below the baseUrl of the target."""
    url = str(asked.inputs["url"])
    if not url.startswith("/"):
        return url, False
    target = asked.around.target
    if target is None or target.connections.http is None:
        raise Unfit("the url is a path, and there is no target with an http connection; write an absolute URL")
    parts = unquote(url.partition("?")[0].partition("#")[0]).replace("\\", "/").split("/")
    if ".." in parts or "." in parts:
        raise Unfit("the url is a path that leads out of the target's baseUrl: it has '.' or '..' in it")
    return str(target.connections.http.base_url).rstrip("/") + url, True


def _judge(asked: Given, *, base: bool) -> Any:
    literal = base or writes_host(asked.written.get("url"), url=True)

    def authored(host: str) -> bool:
        http = asked.around.target.connections.http if asked.around.target is not None else None
        of_base = http is not None and urlsplit(str(http.base_url)).hostname == host.lower().strip("[]")
        return literal or of_base or is_of_target(host.strip("[]"), asked.around.target)

    return authored


def _body(inputs: Mapping[str, Any], around: Around) -> tuple[str | None, bytes | None]:
    """The type of the body, and the body."""
    if "json" in inputs:
        return "application/json", _json(inputs["json"])
    if "form" in inputs:
        form = {key: _word(value) for key, value in inputs["form"].items()}
        return "application/x-www-form-urlencoded", urlencode(form).encode()
    if "file" in inputs:
        path = str(inputs["file"])
        if not is_inside(path):
            raise Unfit(f"'file': '{path[:200]}' is no path within the repository")
        return mimetypes.guess_type(path)[0] or "application/octet-stream", around.files.read(path)
    return (None, inputs["body"].encode()) if "body" in inputs else (None, None)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _headers(inputs: Mapping[str, Any], kind: str | None) -> list[tuple[str, str]]:
    given: Mapping[str, str] = inputs.get("headers") or {}
    for name, value in given.items():
        if _TOKEN.fullmatch(name) is None or name.lower() in _OURS:
            raise Unfit(f"'headers': '{name[:64]}' cannot be given")
        if not value.isprintable() or not value.isascii():
            raise Unfit(f"'headers': the value of '{name[:64]}' has characters that no header has")
    typed = kind is not None and "content-type" not in {name.lower() for name in given}
    return [*given.items(), *([("Content-Type", kind)] if typed and kind else [])]


def login(credential: Opened | None, header: str | None) -> list[tuple[str, str]]:
    """The headers that a credential goes in. Raises Unfit."""
    if credential is None:
        return []
    fields = credential.fields
    if "certificate" in fields:
        return []
    if "password" in fields:
        pair = f"{credential.username or ''}:{fields['password']}".encode()
        return [("Authorization", f"Basic {base64.b64encode(pair).decode()}")]
    secret = fields.get("token") or fields.get("value")
    if secret is None:
        raise Unfit(f"credential '{credential.name}' has nothing to log in with by HTTP")
    if not secret.isprintable() or not secret.isascii():
        raise Unfit(f"credential '{credential.name}' has characters that no header has")
    if header is not None:
        return [(header, secret)]
    if "token" not in fields:
        raise Unfit(f"credential '{credential.name}' is generic: name the header it goes in as 'credentialHeader'")
    return [("Authorization", f"Bearer {secret}")]


def tls(ca: str | None, credential: Opened | None) -> ssl.SSLContext:
    """What is trusted, and shown. Raises Unfit."""
    if ca is not None and PEM not in ca:
        raise Unfit(f"the certificate '{ca[:200]}' of the connection cannot be read at the run's commit")
    try:
        if credential is not None and "certificate" in credential.fields:
            return with_certificate(ca, credential.fields["certificate"])
        return trusting(ca)
    except ValueError as error:
        raise Unfit(str(error)) from error


def _statuses(inputs: Mapping[str, Any]) -> frozenset[int] | None:
    return frozenset(inputs["okStatus"]) if "okStatus" in inputs else None


def _size(text: str) -> int:
    number = text.rstrip("BKMGi")
    return int(number) * _UNITS[text[len(number) :]]


def _place(step: ReadyStep, around: Around) -> tuple[str, ...]:
    name = around.target.name if around.target is not None else "-"
    return str(around.run.id), around.run.commit, name, step.planned.phase, step.planned.id


def _event(step: ReadyStep, around: Around, key: str) -> dict[str, Any]:
    """The run's facts, as CloudEvents 1.0 has it."""
    run = around.run
    data = {"run": str(run.id), "job": run.job, "commit": run.commit, "attempt": run.attempt, "step": step.planned.id}
    if around.target is not None:
        data["target"] = around.target.name
    return {
        "specversion": "1.0",
        "id": key,
        "type": "opsconductor.step",
        "source": f"/jobs/{run.job}",
        "subject": str(run.id),
        "time": format_instant(run.instant),
        "datacontenttype": "application/json",
        "data": data,
    }


# --- what became of it -----------------------------------------------------------------------------------------------


async def sent(request: Request, session: Session) -> Outcome:
    """Send it, and say what happened. Ends when the session is told to."""
    progress = Progress()
    work = asyncio.ensure_future(exchange(request, progress))
    done = await heeding(session.stop, work)
    if not done:
        return stopped(request, progress, session.stop, session.capture.output())
    try:
        answer = work.result()
    except Unreached as error:
        return Failed(str(error)) if progress.answered and not request.is_safe else Unreachable(str(error))
    except Forbidden as error:
        return Failed(str(error), ran=progress.answered > 0)  # of the first address, or of a redirect
    except TooLong as error:
        return Failed(str(error))
    except Broken as error:
        return Failed(str(error)) if request.is_safe else Unknown(f"{error}; whether it was acted on is not known")
    session.capture.feed("stdout", answer.body)
    session.capture.close()
    output = replace(session.capture.output(), values=values_of(answer))
    if request.is_ok(answer.status):
        return Succeeded(output)
    return Failed(f"status {answer.status}", output)


def stopped(request: Request, progress: Progress, stop: Stop, output: Output) -> Outcome:
    """What an exchange means that was ended on order."""
    if progress.open and not request.is_safe:
        return Unknown(f"{stop.message}; the request was sent, and whether it was acted on is not known", output)
    if not progress.open and not progress.answered:
        return ended_unsent(stop, output)
    return ended_by(stop, output)


def values_of(answer: Answer) -> dict[str, Any]:
    """The outputs `status` and `headers`; of headers that come several times the values are joined."""
    headers: dict[str, str] = {}
    for name, value in answer.headers[:_HEADERS]:
        headers[name] = f"{headers[name]}, {value}"[:_HEADER] if name in headers else value[:_HEADER]
    return {"status": answer.status, "headers": headers}
