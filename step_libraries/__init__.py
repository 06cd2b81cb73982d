"""Built-in step libraries, as data: each a folder as a repository would hold it under `libraries/`."""

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Their names."""
    return frozenset(one.name for one in files(__name__).iterdir() if one.joinpath("library.yaml").is_file())


def contents(name: str) -> dict[str, bytes]:
    """The files of one that make it up, by their paths from its folder. Raises KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    folder = files(__name__).joinpath(name)
    found = {f"steps/{one.name}": one for one in folder.joinpath("steps").iterdir() if one.is_file()}
    found["library.yaml"] = folder.joinpath("library.yaml")
    return {path: found[path].read_bytes() for path in sorted(found)}
