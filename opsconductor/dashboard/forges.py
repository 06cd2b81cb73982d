"""Where a line of a commit is shown on the web, for the forges whose addresses are known. Pure."""

import re
from urllib.parse import quote

_ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@\s]+@)?|[\w.-]+@)(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[\w./~-]+?)(?:\.git)?/*"
)
_LIKE_GITHUB = ("https://{host}/{path}/blob/{commit}/{file}#L{line}", "https://{host}/{path}/commit/{commit}")
_LIKE_GITLAB = ("https://{host}/{path}/-/blob/{commit}/{file}#L{line}", "https://{host}/{path}/-/commit/{commit}")
_LIKE_GITEA = ("https://{host}/{path}/src/commit/{commit}/{file}#L{line}", "https://{host}/{path}/commit/{commit}")
_FORGES = {
    "github": _LIKE_GITHUB,
    "gitlab": _LIKE_GITLAB,
    "codeberg": _LIKE_GITEA,
    "gitea": _LIKE_GITEA,
    "forgejo": _LIKE_GITEA,
}


def line_at(source: str, commit: str, file: str, line: int) -> str | None:
    """The address of a line of a file of a commit; None where the source lies on no forge that is known by its name.

    A forge of one's own is known where its host begins so, as in gitlab.example.org.
    """
    if (found := _forge_of(source)) is None:
        return None
    (form, _), host, path = found
    return form.format(host=host, path=path, commit=quote(commit, safe=""), file=quote(file), line=line)


def commit_at(source: str, commit: str) -> str | None:
    """The address of a commit; None as with `line_at`."""
    if (found := _forge_of(source)) is None:
        return None
    (_, form), host, path = found
    return form.format(host=host, path=path, commit=quote(commit, safe=""))


def _forge_of(source: str) -> tuple[tuple[str, str], str, str] | None:
    match = _ADDRESS.fullmatch(source)
    if match is None or "/" not in match["path"].strip("/"):
        return None
    forge = _FORGES.get(match["host"].partition(".")[0].lower())
    return None if forge is None else (forge, match["host"].lower(), match["path"].strip("/"))
