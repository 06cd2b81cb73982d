"""Where definitions come from: a path, or an address git can reach. Parsed once, so nothing later guesses."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from journal.errors import Refused

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_PASSWORDS = frozenset({"", "x-oauth-basic"})
"""What forges have written in the place of the password when the user's place holds the token."""


@dataclass(frozen=True, slots=True)
class Login:
    """What stood before the host of an address, so that it stands in no argument list and no message.

    A user alone (`password` is None) is a token, or a name whose password a credential helper of the operator knows.
    """

    user: str = field(repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """For people: a user that comes with a password is named, one that stands alone may be a token."""
        return "***" if self.password is None or self.password in _NO_PASSWORDS else f"{self.user}:***"

    @property
    def quoted(self) -> str:
        """As it stands in a URL."""
        return ":".join(quote(part, safe="") for part in (self.user, self.password) if part is not None)


@dataclass(frozen=True, slots=True)
class Source:
    """`address` is what git gets: an absolute path or a URL without a login. It may be shown to anybody."""

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

    @property
    def shown(self) -> str:
        """As it was given, without what must not be seen."""
        return self.address if self.login is None else self.address.replace("://", f"://{self.login.shown}@", 1)

    @property
    def text(self) -> str:
        """What `parse` reads as this source, wherever the working directory is. With the login: never to be shown."""
        return self.address if self.login is None else self.address.replace("://", f"://{self.login.quoted}@", 1)


def parse(text: str) -> Source:
    """A path (with or without a work tree), file://, ssh://, user@host:path, https://.

    A path is made absolute and its symlinks are followed, so that one repository has one name. What git would take for
    host:path is a path where one exists.

    Raises Refused, with what to write instead, for anything else: git's other transports start programs (ext::) or
    can be changed on the way (git://, http:// past loopback). No message holds a login.
    """
    if not text.strip():
        raise Refused("it is empty; give a folder or a git URL")
    if text.startswith("-"):
        raise Refused(f"{redacted(text)!r} looks like an option; give a folder or a git URL")
    if _CONTROL.search(text):
        raise Refused(f"{redacted(text)!r} is no path and no git address: it holds a control character")
    if "://" in text and not text.startswith("/"):
        return _url(text)
    if re.match(r"[A-Za-z0-9+.-]+::", text):
        raise Refused(f"{redacted(text)!r} uses a git transport that is not allowed; use a path, ssh:// or https://")
    if (found := re.match(r"([^/:]+|[^/@]*@?\[[^\]]+\]):(.+)", text)) and not Path(text).exists():
        if found[1].startswith("-") or found[1].partition("@")[2].startswith("-"):
            raise Refused(f"{redacted(text)!r} is no git address")
        if re.match(r"[^/@]*@[^/:]+:", found[2]):  # user:password@host:path
            raise _no_password()
        return Source(text)
    return _path(Path(text))


def redacted(text: str) -> str:
    """Any text, without the logins of the URLs in it. The name of an ssh user stays."""
    text = re.sub(r"(?i)(\bssh://[^\s/@:]+)(?::[^\s/]*)?@", r"\1@", text)
    return re.sub(r"(?i)\b((?!ssh:)[a-z][a-z0-9+.-]*://)[^\s/]*@", r"\1***@", text)


def _url(text: str) -> Source:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # its words would quote a password that holds a /
        raise Refused("the address is no URL: check its host and port; a / in a password is written %2F") from None
    host = parts.hostname or ""
    if host.startswith("-") or (parts.username or "").startswith("-"):
        raise Refused(f"{redacted(text)!r} is no git address")
    if parts.scheme == "file":
        if host not in {"", "localhost"}:
            raise Refused(f"{redacted(text)!r} names a host; a file:// address has three slashes: file:///srv/ops.git")
        return _path(Path(unquote(parts.path)))
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise Refused(f"http://{host} is not encrypted: anybody on the way could change what runs; use https://")
    if parts.scheme not in {"http", "https", "ssh"}:
        raise Refused(f"{parts.scheme}:// is not supported; use a path, ssh:// or https://")
    if not host:
        raise Refused(f"{redacted(text)!r} names no host")
    if parts.scheme == "ssh":
        if parts.password is not None:
            raise _no_password()
        return Source(text)
    if "@" not in parts.netloc:
        return Source(text)
    return Source(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), login=_login(parts))


def _login(parts: SplitResult) -> Login | None:
    user = unquote(parts.username or "")
    password = None if parts.password is None else unquote(parts.password)
    if _CONTROL.search(user + (password or "")):  # git's credential protocol has one value a line
        raise Refused("the login in the address holds a control character; check what was written after a %")
    return Login(user, password) if user or password else None


def _no_password() -> Refused:
    return Refused(
        "ssh takes no password from an address, where everybody could read it; leave it out (ssh://user@host/path) and "
        "add the public key of this user there"
    )


def _path(path: Path) -> Source:
    try:
        resolved = path.expanduser().resolve()
    except (RuntimeError, ValueError) as error:  # a loop of symlinks, ~nobody, or a %00
        raise Refused(f"{str(path)!r} is no path: {error}") from error
    return Source(str(resolved), path=resolved)


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
