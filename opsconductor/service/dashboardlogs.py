"""Logs of runs as an engine's dashboard gives them to whoever has its address, and its token where it asks for one.

Asked of the standard library: `opsconductor logs` begins in the time that a client library takes to be imported.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from engine.identity import RunId
from engine.runs.pinned import RUNNER
from journal.errors import Unavailable
from opsconductor.exits import UsageError
from runners.logs import folder_of

_SECONDS = 30
_LATER = timedelta(seconds=10)
_PART = 1 << 18
_LISTED = 32 << 20
"""Bytes of a list of logs: beyond that it is none."""


class _Nowhere(HTTPRedirectHandler):
    """Nowhere else is asked: the token is for this address."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = build_opener(_Nowhere)


@dataclass(frozen=True, slots=True)
class DashboardLogs:
    """The logs that a dashboard has. Every method raises Unavailable, whose text holds no token."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str | None, token: Path | None) -> Self | None:
        """The dashboard at `url`, with the token that a file holds; None without `url`. Connects to nothing yet.

        Raises UsageError for what is no address, or where the token could be read on its way.
        """
        if not url:
            return None
        parts = urlsplit(url)
        here = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise UsageError("--url: the address of a dashboard, as in https://ops.example.org")
        if token is not None and parts.scheme == "http" and not here:
            raise UsageError("--url: a token goes over https://; http:// leads no farther than this machine")
        try:
            text = None if token is None else token.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token {token}: {error}") from error
        if text is not None and not (text.isascii() and text.isprintable()):
            raise UsageError(f"--token {token}: its first and only line is a token")
        return cls(url.rstrip("/"), text)

    def bring(self, run: str, root: Path) -> bool:
        """Lay what a run has printed so far below `root`, as the folder of logs has it; what is there is gone on with.

        False: the dashboard has none. A name that would lead out of the run's folder is left out.
        """
        found = [(one, file) for one in self._listed(run) if (file := _place(root, run, one)) is not None]
        for one, file in found:
            have = file.stat().st_size if file.exists() else None
            size = one.get("bytes")  # None: what is kept elsewhere is whole, and nobody has looked how long it is
            if have is None or (isinstance(size, int) and size > have):
                self._fetch(run, one, file, have or 0)
        return bool(found)

    def _listed(self, run: str) -> list[Mapping[str, Any]]:
        with self._asked(f"/api/v1/runs/{quote(run, safe='')}/logs") as answer:
            try:
                logs = json.loads(answer.read(_LISTED))["logs"]
                return [one for one in logs if isinstance(one, dict)]
            except (ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"{self.url} is no dashboard of OpsConductor", _LATER) from error

    def _fetch(self, run: str, one: Mapping[str, Any], file: Path, have: int) -> None:
        asked = {name: str(one.get(name) or "") for name in ("target", "step", "attempt")} | {"from": str(have)}
        with self._asked(f"/runs/{quote(run, safe='')}/log.txt?{urlencode(asked)}") as answer:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as stream:
                while part := answer.read(_PART):
                    stream.write(part)

    @contextmanager
    def _asked(self, path: str) -> Iterator[Any]:
        request = Request(self.url + path)  # noqa: S310 - the scheme is looked at where the address comes in
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with _OPENER.open(request, timeout=_SECONDS) as answer:
                yield answer
        except HTTPError as error:
            raise Unavailable(f"{self.url}: {_MEANS.get(error.code, f'it answered {error.code}')}", _LATER) from error
        except (URLError, HTTPException, OSError) as error:
            why = error.reason if isinstance(error, URLError) else error
            raise Unavailable(f"{self.url} cannot be asked: {why}", _LATER) from error


_MEANS = {
    401: "it asks for a token; --token (OPSCONDUCTOR_TOKEN) names the file with it",
    403: "it does not let you in; --token (OPSCONDUCTOR_TOKEN) names the file with its token",
    404: "it does not know this run: is it the dashboard of this repository's engine?",
    421: "it answers to another name; ask it by the address that the engine was told by --public-url",
}


def _place(root: Path, run: str, one: Mapping[str, Any]) -> Path | None:
    """Where a log goes: below the folder of its run, whatever the list says."""
    folder, target, name = folder_of(RunId(run)), one.get("target"), one.get("name")
    if folder is None or not isinstance(name, str) or not isinstance(target, str):
        return None
    parts = (target or RUNNER, *name.split("/"))
    plain = all(part not in ("", ".", "..") and "/" not in part and "\0" not in part for part in parts)
    return root.joinpath(folder, *parts) if plain and name.endswith(".log") else None
