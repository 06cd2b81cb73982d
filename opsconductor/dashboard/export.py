"""The pages as files: every page that is reached from the first one, with links from file to file, and no script.

They work from a folder as well as from any web server. Forms, and pages of a process at work, are left out.
"""

import hashlib
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from html import escape, unescape
from os.path import relpath
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from starlette.types import ASGIApp

MOST = 5000
"""Pages, and as many files of JSON beside them."""
_LEFT_OUT = ("/health", "/keys", "/feed.atom", "/api/v1/health", "/api/v1/keys")
_FILES = ("/schedule.ics", "/api/v1/openapi.json")
_LINK = re.compile(r'\b(href|src)="([^"#][^"]*)"')
_SCRIPT = re.compile(r"<script\b[^>]*></script>\n?")
_FORM = re.compile(r"<form\b.*?</form>\n?", re.DOTALL)
_FEED = re.compile(r'<link rel="alternate"[^>]*>\n?')
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}")
_HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of the export. `path` is from its root, of plain names; `address` is where the dashboard has it."""

    path: str
    address: str
    content: bytes


async def exported(app: ASGIApp) -> list[Exported]:
    """Every page from the first on, those nearest to it first, and what they lead to; MOST of them at most."""
    waiting, seen = ["/"], {"/"}
    found: list[Exported] = []
    for address in waiting:
        if len(found) >= 2 * MOST:
            break
        status, kind, body = await _asked(app, address)
        if status != 200:
            continue
        file = file_of(address)
        assert file is not None  # only addresses that have one are waited for
        if not kind.startswith(_HTML):
            found.append(Exported(file, address, body))
            continue
        text = _bare(body.decode())
        for link in _followed(text, address):
            if link not in seen:
                seen.add(link)
                waiting.append(link)
        found.append(Exported(file, address, text.encode()))
    there = {one.path for one in found}
    return [_linked(one, there) if one.path.endswith(".html") else one for one in found]


def file_of(address: str) -> str | None:
    """The file of an address; None of what is not exported."""
    try:
        parts = urlsplit(address)
    except ValueError:  # no address at all
        return None
    if parts.scheme or parts.netloc:
        return None
    path, query = unquote(parts.path), parse_qsl(parts.query, keep_blank_values=True)
    names = [name for name in path.split("/") if name]
    if path in _LEFT_OUT or not all(_PART.fullmatch(name) for name in names):
        return None
    if names[:1] == ["static"]:
        return "/".join(names)  # its query is its version: there is one
    if not _is_followed(path, dict(query)):
        return None
    # Names of documents have dots: only whole addresses tell which of them is a file as it is.
    if path in _FILES or names[:1] == ["badge"]:
        return "/".join(names)
    beside = f"@{hashlib.sha256(parts.query.encode()).hexdigest()[:10]}" if query else ""
    if path.startswith("/api/"):
        return f"{'/'.join(names)}{beside}.json"
    return f"{'/'.join(names) or 'index'}{beside}.html"


def _is_followed(path: str, query: dict[str, str]) -> bool:
    """Pages of lists, and the last lines of logs: not every filter that one could think of."""
    if path.endswith("/log"):
        return "line" not in query
    return not {name for name, value in query.items() if value} - {"page"}


def _followed(text: str, here: str) -> Iterator[str]:
    for _, link in _LINK.findall(text):
        address = urljoin(here, unescape(link)).partition("#")[0]
        if file_of(address) is not None:
            yield address


def _bare(text: str) -> str:
    for what in (_SCRIPT, _FORM, _FEED):
        text = what.sub("", text)
    return text


def _linked(page: Exported, there: set[str]) -> Exported:
    """With links from file to file; a link to what is not there is none."""
    folder = str(PurePosixPath(page.path).parent)

    def instead(found: re.Match[str]) -> str:
        address, hash_, anchor = urljoin(page.address, unescape(found[2])).partition("#")
        file = file_of(address)
        if file is None or file not in there:
            return ""
        return f'{found[1]}="{escape(relpath(file, folder).replace("@", "%40") + hash_ + anchor)}"'

    return Exported(page.path, page.address, _LINK.sub(instead, page.content.decode()).encode())


async def _asked(app: ASGIApp, address: str) -> tuple[int, str, bytes]:
    """One GET within this process: status, content type, body."""
    parts = urlsplit(address)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
        "root_path": "", "headers": [(b"host", b"127.0.0.1")], "server": ("127.0.0.1", 80), "client": None,
    }  # fmt: skip
    begun: dict[str, Any] = {}
    body: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
        else:
            body.append(message.get("body", b""))

    await app(scope, receive, send)
    kind = dict(begun["headers"]).get(b"content-type", b"").decode()
    return begun["status"], kind, b"".join(body)
