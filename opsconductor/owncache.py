"""The program's own cache: a folder of this user's. Whatever is in it can be removed at any time."""

import os
from pathlib import Path


def own_cache() -> Path:
    """Below the user's cache directory (XDG_CACHE_HOME). Raises RuntimeError for a user who has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opsconductor"
