"""Programs of the node world that slow tests drive; `make test-slow` installs them."""

from pathlib import Path

FOLDER = Path(__file__).parent


def module(name: str) -> Path:
    """The folder of an installed package. AssertionError, with what to do, where it is not installed."""
    folder = FOLDER / "node_modules" / name
    assert folder.is_dir(), f"{name} is not installed: run `make {FOLDER.parent.name}/{FOLDER.name}/node_modules/.made`"
    return folder
