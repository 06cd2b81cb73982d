"""Which time zone data are used, and the zones in them (ADR 0021).

The locked `tzdata` package, so that everyone who runs the same version computes the same instants; the machine's own
data only where an operator asks for them by PYTHONTZPATH, or where the package is missing.
"""

import zoneinfo
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

_PACKAGE = "tzdata"
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""In the folder of zones, but not names that mean the same on every machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where zones are read. `version` is the IANA release, as in 2026a; None where the data do not say.

    `package`: the locked one. `path`: the folders of PYTHONTZPATH, as it differs from the interpreter's own. `system`:
    the interpreter's folders, as there is no package. `folders` are those of the latter two.
    """

    origin: Literal["package", "path", "system"]
    version: str | None
    folders: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The shape of `timeZoneData`, in `plan` and `next`."""
        return {"version": self.version, "origin": self.origin, "folders": list(self.folders)}

    @property
    def text(self) -> str:
        """For people, in one line."""
        version = self.version or "unknown version"
        match self.origin:
            case "package":
                return f"{version} (package {_PACKAGE})"
            case "path":
                return f"{version} (PYTHONTZPATH: {':'.join(self.folders)})"
            case "system":
                return f"{version} (the system's: {':'.join(self.folders)}; package {_PACKAGE} is missing)"


@lru_cache(maxsize=1)
def source() -> Source:
    """What this process uses; it does not change while it runs."""
    from sysconfig import get_config_var

    asked = ":".join(zoneinfo.TZPATH) != (get_config_var("TZPATH") or "")
    package = _of_package("zones") is not None
    if package and not (asked and zoneinfo.TZPATH):
        import tzdata

        return Source("package", tzdata.IANA_VERSION)
    return Source("path" if asked else "system", _release(zoneinfo.TZPATH), zoneinfo.TZPATH)


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """The names of all zones."""
    if source().origin != "package":
        return frozenset(zoneinfo.available_timezones() - _NO_ZONES)
    return frozenset((_of_package("zones") or b"").decode().split()) - _NO_ZONES


@lru_cache(maxsize=1024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone of an IANA name. Raises ValueError for anything else, and for names that depend on the machine."""
    try:
        if source().origin == "package":
            return _packaged(name)
        if name in _NO_ZONES or name.startswith(("posix/", "right/")):
            raise ValueError("depends on the machine")
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # KeyError: ZoneInfoNotFoundError; OSError: a folder of zones
        raise ValueError(f"'{name}' is not a time zone") from error


def _packaged(name: str) -> zoneinfo.ZoneInfo:
    found = _of_package(f"zoneinfo/{name}") if name in names() else None
    if found is None:
        raise ValueError("not in the list of zones")
    return zoneinfo.ZoneInfo.from_file(BytesIO(found), key=name)


def _of_package(path: str) -> bytes | None:
    import pkgutil  # importlib.resources imports more, and takes longer than reading the file

    try:
        return pkgutil.get_data(_PACKAGE, path)
    except (ImportError, OSError):
        return None


def _release(folders: tuple[str, ...]) -> str | None:
    """The release of the first folder that says it, as zones are looked for in this order."""
    for folder in folders:
        for name in ("tzdata.zi", "+VERSION"):
            try:
                with (Path(folder) / name).open(encoding="ascii") as file:
                    first = file.readline(80)
            except (OSError, ValueError):
                continue
            return first.removeprefix("# version ").strip() or None
    return None
