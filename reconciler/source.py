"""Where definitions come from: a path, or an address git can reach. Parsed once, so nothing later guesses."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from journal.errors import Refused
from reconciler.gitprogram import Login

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Source:
    """`address` is what git gets: an absolute path or a URL without a password. It may be shown to anybody."""

    address: str
    path: Path | None = None
    login: Login | None = None

    @property
    def is_path(self) -> bool:
        """Whether it lies on this machine: it can be watched, and needs no long pauses between pushes."""
        return self.path is not None

    @property
    def plain_http(self) -> bool:
        """Unencrypted; `parse` lets that pass on loopback only."""
        return self.address.startswith("http://")


def parse(text: str) -> Source:
    """A path (with or without a work tree), file://, ssh://, user@host:path, https://.

    Raises Refused, with what to write instead, for anything else: git's other transports start programs (ext::) or
    can be changed on the way (git://, http:// past loopback).
    """
    if not text.strip() or text.startswith("-") or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise Refused(f"{text!r} is no path and no git address")
    if "://" in text:
        return _url(text)
    if re.match(r"[A-Za-z0-9+.-]+::", text):
        raise Refused(f"{text!r} uses a git transport that is not allowed; use a path, ssh:// or https://")
    if (found := re.match(r"([^/:]+|[^/@]*@?\[[^\]]+\]):(.+)", text)) and not Path(text).exists():
        if found[1].startswith("-") or found[1].partition("@")[2].startswith("-"):
            raise Refused(f"{text!r} is no git address")
        return Source(text)
    return _path(Path(text))


def _url(text: str) -> Source:
    parts = urlsplit(text)
    host = parts.hostname or ""
    if host.startswith("-") or (parts.username or "").startswith("-"):
        raise Refused(f"{text!r} is no git address")
    if parts.scheme == "file":
        if host not in {"", "localhost"}:
            raise Refused(f"{text!r} names a host; a file:// address has three slashes, as in file:///srv/ops.git")
        return _path(Path(unquote(parts.path)))
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise Refused(f"http://{host} is not encrypted: anybody on the way could change what runs; use https://")
    if parts.scheme not in {"http", "https", "ssh"}:
        raise Refused(f"{parts.scheme}:// is not supported; use a path, ssh:// or https://")
    if not host:
        raise Refused(f"{text!r} names no host")
    if parts.password is None or parts.scheme == "ssh":
        return Source(text)
    login = Login(unquote(parts.username or ""), unquote(parts.password))
    return Source(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), login=login)


def _path(path: Path) -> Source:
    absolute = path.expanduser().absolute()
    return Source(str(absolute), path=absolute)


def git_folder(path: Path) -> Path | None:
    """The folder that holds HEAD, refs and packed-refs of the repository at `path`; None when there is none.

    A work tree has it in `.git`, or names it there in a file (`gitdir: ...`), whose `commondir` leads to the refs.
    """
    candidate = path / ".git"
    if candidate.is_file():
        named = candidate.read_text(errors="replace").strip().removeprefix("gitdir:").strip()
        candidate = (path / named).resolve()
    elif not candidate.is_dir():
        candidate = path
    if (pointer := candidate / "commondir").is_file():
        candidate = (candidate / pointer.read_text(errors="replace").strip()).resolve()
    return candidate if (candidate / "HEAD").is_file() and (candidate / "refs").is_dir() else None
