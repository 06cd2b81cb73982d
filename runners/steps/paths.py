"""Paths on targets, as steps write them."""

import posixpath

_LONGEST_NAME = 200


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
