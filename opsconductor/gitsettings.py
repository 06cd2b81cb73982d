"""The user's git configuration, read by git itself.

Nobody else reads it as git does: files that GIT_CONFIG_GLOBAL and GIT_CONFIG_SYSTEM name, variables, conditional
includes, and each way to write yes and no.
"""

from typing import TYPE_CHECKING

from journal.errors import Refused

if TYPE_CHECKING:
    import git

_UNSET = 1
"""What `git config --get` exits with where there is no such setting."""


def is_on(repo: "git.Repo", name: str) -> bool:
    """Whether a setting is on, as `commit.gpgSign`; one that is not there is off. Raises Refused."""
    return _asked(repo, "--type=bool", "--get", name) == "true"


def is_there(repo: "git.Repo", name: str) -> bool:
    """Whether there is such a setting, whatever it says. Raises Refused."""
    return _asked(repo, "--get", name) is not None


def _asked(repo: "git.Repo", *arguments: str) -> str | None:
    import git

    try:
        return str(repo.git.config(*arguments))
    except git.GitCommandError as error:
        if error.status == _UNSET:
            return None
        said = str(error.stderr).replace("stderr: '", "").strip(" '\n")
        raise Refused(f"git cannot read its configuration: {said}") from error
