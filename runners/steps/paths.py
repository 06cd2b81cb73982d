"""Paths on targets, as steps write them."""

import posixpath
import re

_LONGEST_NAME = 200
_WINDOWS = re.compile(r"(?P<drive>[A-Za-z]):[\\/](?P<rest>.*)", re.DOTALL)
_NO_NAME = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$')
"""What no file's name has there; a colon would name a stream of another file."""
_DEVICE = re.compile(r"CON|PRN|AUX|NUL|(COM|LPT)[0-9\u00b9\u00b2\u00b3]|CONIN\$|CONOUT\$", re.IGNORECASE)


class BadPath(ValueError):  # noqa: N818 - named after the path
    """It cannot be meant. The message is for people."""


def checked(path: str, what: str = "destination") -> str:
    """An absolute POSIX path with nothing in it that leads elsewhere than it says. Raises BadPath."""
    if not path.startswith("/"):
        raise BadPath(f"'{what}': '{path[:200]}' is not absolute")
    if not path.isprintable():
        raise BadPath(f"'{what}': it has characters that no path should have")
    parts = path.split("/")
    if ".." in parts or "." in parts:
        raise BadPath(f"'{what}': '{path[:200]}' has '.' or '..' in it")
    return posixpath.normpath("/" + path.lstrip("/"))


def checked_windows(path: str, what: str = "destination") -> str:
    """A path of Windows with its drive, as the steps with files write it: `C:\\a` is `/C:/a`. Raises BadPath."""
    found = _WINDOWS.fullmatch(path)
    if found is None:
        raise BadPath(f"'{what}': '{path[:200]}' is no path with a drive, such as C:\\app\\app.ini")
    parts = [part for part in re.split(r"[\\/]", found["rest"]) if part]
    for part in parts:
        if _NO_NAME.search(part) or _DEVICE.fullmatch(part.partition(".")[0].rstrip()):
            raise BadPath(f"'{what}': '{part[:200]}' is no name that Windows takes for a file")
    return checked("/".join(("", f"{found['drive'].upper()}:", *parts)), what)


def below(folder: str, relative: str) -> str:
    """The path of something below a folder. Raises BadPath where it leads out of it."""
    if relative.startswith("/"):
        raise BadPath(f"'{relative[:200]}' is no path below a folder")
    return checked(f"{folder.rstrip('/')}/{relative}", "source")


def split(path: str) -> tuple[str, str]:
    """The folder, and the name in it."""
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def beside(path: str, mark: str) -> str:
    """A name in the same folder that says what it is, and is nobody else's."""
    folder, name = split(path)
    return posixpath.join(folder, f".{name[:_LONGEST_NAME]}.opsconductor-{mark}")
