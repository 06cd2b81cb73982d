"""Where the engine of a repository on this machine keeps its state, as that repository's own git configuration has it.

`opsconductor.state` is set by `init --state` and by each start of an engine, so that `logs` need not be told. It is
never committed, and no clone gets it. An engine never reads it: its state is what it was started with.
"""

import contextlib
from pathlib import Path

from opsconductor.settings import default_state
from reconciler.repository.source import Source

_KEY = "opsconductor.state"


def remember(source: Source, state: Path) -> None:
    """Note it, or take the note away for the default. Nothing happens where this user may not write there."""
    import git

    with contextlib.suppress(git.GitError, OSError):
        repo = git.Repo(source.path)
        if state != default_state(source):
            repo.git.config("--local", _KEY, str(state))
        elif remembered(source) is not None:
            repo.git.config("--local", "--unset-all", _KEY)


def remembered(source: Source) -> Path | None:
    """The noted folder, None where there is none or the source is on another machine."""
    import git

    if source.path is None:
        return None
    try:
        return Path(str(git.Repo(source.path).git.config("--local", "--get", _KEY)))
    except (git.GitError, OSError):
        return None
