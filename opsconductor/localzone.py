"""The time zone of this machine."""

import os
from pathlib import Path


def name_of_local_zone() -> str | None:
    """Its IANA name: that of TZ, of /etc/localtime or of /etc/timezone. None where it has no name here."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        place = Path("/etc/localtime")
        parts = place.resolve().parts if place.is_symlink() else ()
        name = "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else ""
    if not name and Path("/etc/timezone").is_file():
        name = Path("/etc/timezone").read_text(errors="replace").strip()
    return {"Etc/UTC": "UTC", "Etc/UCT": "UTC"}.get(name, name) or None
