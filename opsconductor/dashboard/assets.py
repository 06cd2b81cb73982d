"""The files that pages are drawn with: each at an address with its version, so that no page meets those of another."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TYPES = {
    "icon.svg": "image/svg+xml",
    "style.css": "text/css; charset=utf-8",
    "charts.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "log.js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the pages. `version` is of its bytes, so that it changes with them and with nothing else."""

    content: bytes
    media_type: str
    version: str


@cache
def asset(name: str) -> Asset | None:
    """The file of this name; None where pages have none such."""
    if name not in _TYPES:
        return None
    content = (files("opsconductor.dashboard") / "static" / name).read_bytes()
    return Asset(content, _TYPES[name], hashlib.sha256(content).hexdigest()[:12])


def asset_address(name: str) -> str:
    """Where pages ask for a file. Raises KeyError for a name that is none: a template is wrong."""
    found = asset(name)
    if found is None:
        raise KeyError(name)
    return f"/static/{name}?v={found.version}"


def kept_for(found: Asset, version: str | None) -> str:
    """`Cache-Control` of an answer: for a year where it was asked for by its version, else not without asking again."""
    return "max-age=31536000, immutable" if version == found.version else "no-cache"
