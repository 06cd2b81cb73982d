"""Logs of ended runs at a place of their own: a folder, or a bucket of S3 or of what speaks like it (ADR 0039).

Under the URL they have the same names as in the folder of logs. obstore is imported with the first store.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.identity import RunId
from journal.errors import Refused, Unavailable
from runners.logs import folder_of

_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_CLIENT = {"timeout": "120s", "connect_timeout": "5s"}
_LATER = timedelta(seconds=10)
_PART = 1 << 20
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}", re.ASCII)
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", re.ASCII)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_MEANS = {
    "error sending request": "the endpoint of the bucket does not answer: see AWS_ENDPOINT_URL and the network",
    "NoSuchBucket": "there is no such bucket",
    "InvalidAccessKeyId": "the key is not known there: see AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the key is not the right one: see AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "the keys do not allow it",
    "credential": "there are no keys: see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
"""What a part of the library's text means for people."""


class LogStore:
    """Keeps files under names. Any number of calls at once; each may be repeated. Every method raises Unavailable."""

    def __init__(self, store: Any, shown: str) -> None:
        self._store = store
        self.shown = shown
        """The URL, without a user or a password."""

    @classmethod
    def open(cls, url: str, environment: Mapping[str, str]) -> "LogStore":
        """The store at `url`: a path, `file:///path`, or `s3://bucket/folder`. Connects to nothing yet.

        Keys, region and endpoint of a bucket are variables of the environment, as the tools of AWS read them
        (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL). Raises Refused for any other URL, and
        for a folder that cannot be made.
        """
        import obstore.store

        parts = urlsplit(url)
        match parts.scheme:
            case "" | "file":
                folder = Path(parts.path if parts.scheme else url).expanduser().resolve()
                try:
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    return cls(obstore.store.LocalStore(folder, mkdir=True), str(folder))
                except (OSError, ValueError) as error:
                    raise Refused(f"--logs {folder}: {error}") from error
            case "s3" if parts.hostname and "@" not in parts.netloc:
                if not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
                    raise Refused(f"--logs {url[:200]}: write s3://BUCKET or s3://BUCKET/folder")
                client: Any = _CLIENT | {"allow_http": _is_plain(environment)}
                retry: Any = _RETRY
                try:
                    store = obstore.store.S3Store.from_url(url, client_options=client, retry_config=retry)
                except Exception as error:
                    raise Refused(f"--logs {url}: {_said(error)}") from error
                return cls(store, url)
            case _:
                raise Refused(
                    f"--logs {parts.scheme}://…: logs go to a folder (/path) or to a bucket (s3://bucket/folder)"
                )

    async def put(self, name: str, file: Path) -> None:
        """Keep a file's content under a name, in place of what was there. A file that is gone is left out."""
        with _translated(f"{name} cannot be kept"):
            try:
                await self._store.put_async(name, file)
            except FileNotFoundError:
                if await asyncio.to_thread(file.exists):
                    raise

    async def names(self, run: RunId) -> list[str]:
        """The names of a run's logs."""
        folder = folder_of(run)
        if folder is None:
            return []
        with _translated("the logs cannot be listed"):
            return [one["path"] async for part in self._store.list(folder) for one in part]

    async def fetch(self, name: str, to: Path) -> None:
        """Write what is kept under a name into a file, a part at a time."""
        with _translated(f"{name} cannot be had"):
            found = await self._store.get_async(name)
            to.parent.mkdir(parents=True, exist_ok=True)
            with to.open("wb") as file:
                async for part in found.stream(min_chunk_size=_PART):
                    file.write(part)

    async def fetch_run(self, run: RunId, root: Path, wanted: frozenset[str] | None = None) -> bool:
        """Lay the logs of a run below `root`, as the folder of logs has them; those of `wanted`. False: none are there.

        A name that would lead out of the run's folder is left out: a bucket may hold what others have put there.
        """
        folder = root / (folder_of(run) or "")
        found = [name for name in await self.names(run) if (root / name).is_relative_to(folder) and ".." not in name]
        for name in found:
            if wanted is None or name in wanted:
                await self.fetch(name, root / name)
        return bool(found)

    async def remove(self, run: RunId) -> None:
        """Remove all that is kept of a run. Again is harmless."""
        names = await self.names(run)
        with _translated("the logs cannot be removed"):
            if names:
                await self._store.delete_async(names)


def _is_plain(environment: Mapping[str, str]) -> bool:
    """Whether the endpoint is spoken to without encryption. Raises Refused for what is no endpoint: the library would
    find out with the first log, and break."""
    given = {name: environment[name] for name in _ENDPOINTS if environment.get(name)}
    for name, value in given.items():
        if not _ENDPOINT.fullmatch(value):
            raise Refused(f"{name}: write https://HOST or https://HOST:PORT, where the bucket of --logs is")
    return any(value.startswith("http://") for value in given.values())


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise Unavailable(f"{doing}: {_said(error)}", _LATER) from error


def _said(error: Exception) -> str:
    """What it means, where that is known, and its first line: what follows are the insides of a library."""
    text = str(error)
    line = text.partition("\n")[0][:500] or type(error).__name__
    means = next((words for sign, words in _MEANS.items() if sign in text), None)
    return line if means is None else f"{means} ({line})"
