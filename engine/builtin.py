"""The step libraries that the product brings, read as those of a repository are, and each only once it is used."""

from functools import lru_cache

import step_libraries
from engine.vendored import Library, Vendored, file_of, libraries_of

BUILT_IN = step_libraries.names()
"""Their names: they need no document and no lock."""


@lru_cache(maxsize=len(BUILT_IN) + 1)
def library(name: str) -> Library | None:
    """One of them, with its digest; None where there is no such library."""
    if name not in BUILT_IN:
        return None
    contents = step_libraries.contents(name)
    files = tuple(file_of(f"libraries/{name}/{path}", data) for path, data in contents.items())
    return libraries_of(Vendored(files))[name]
