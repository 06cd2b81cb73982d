"""The plan as the one comment of a pull request: found again by its first line and its author, and written anew.

Asked of the forge's published API, with what a CI says of itself in its variables:

- GitHub, <https://docs.github.com/en/rest/issues/comments>; `GITHUB_*`,
  <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>. Gitea and Forgejo set the same, and
  have the same addresses (`/swagger.v1.json` of any installation).
- GitLab, <https://docs.gitlab.com/api/notes/>; `CI_*`, <https://docs.gitlab.com/ci/variables/predefined_variables/>.
- Woodpecker, <https://woodpecker-ci.org/docs/usage/environment>, in front of any of them.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from opsconductor.plans.planmarkdown import MARK

TOKEN = "OPSCONDUCTOR_COMMENT_TOKEN"  # noqa: S105 - the name of a variable
MOST_LETTERS = 65_000
"""GitHub takes 65,536 of them; GitLab and Gitea take more."""
_SECONDS = 30
_TRIES = 3
_PAUSE, _LONGEST_PAUSE = 2.0, 30.0
_MOST_BYTES = 64 << 20
"""Of an answer: a page of comments, each as long as one can be."""
_PAGE = 100
_MOST_PAGES = 50
_OF_RUNS = frozenset({"github-actions[bot]", "gitea-actions", "forgejo-actions"})
"""Who writes with the token of a run. These names are nobody else's: forges keep them for themselves."""
_ON_REF = re.compile(r"refs/pull/(\d+)/(?:head|merge)")


class NoComment(Exception):  # noqa: N818 - named after the comment
    """Why there is none, for people; it holds no token."""


class _Unsure(NoComment):
    """What was sent may have been taken."""


@dataclass(frozen=True, slots=True)
class Thread:
    """The comments of a pull request. `comments` takes GET and POST, `one` with an id `edits`."""

    provider: Literal["github", "gitlab", "gitea"]
    api: str
    comments: str
    one: str
    token: str = field(repr=False)

    @property
    def edits(self) -> str:
        return "PUT" if self.provider == "gitlab" else "PATCH"

    @property
    def header(self) -> tuple[str, str]:
        """What shows the token."""
        match self.provider:
            case "github":
                return "Authorization", f"Bearer {self.token}"
            case "gitlab":
                return "PRIVATE-TOKEN", self.token
            case _:
                return "Authorization", f"token {self.token}"


def thread_of(environ: Mapping[str, str], read: Callable[[str], str]) -> Thread:
    """The pull request that a CI is at work on. `read` gives the text of a file. Raises NoComment."""
    if environ.get("GITHUB_ACTIONS"):
        return _of_actions(environ, read)
    if environ.get("GITLAB_CI"):
        return _of_gitlab(environ)
    if environ.get("CI") == "woodpecker":
        return _of_woodpecker(environ)
    raise NoComment("this is no CI that is known: GitHub, Gitea or Forgejo Actions, GitLab CI, Woodpecker")


def _of_actions(environ: Mapping[str, str], read: Callable[[str], str]) -> Thread:
    number = _number(environ, read)
    if number is None:
        raise NoComment("this run is about no pull request")
    token = environ.get(TOKEN) or environ.get("GITHUB_TOKEN")
    if not token:
        raise NoComment("there is no token: give the step GITHUB_TOKEN from github.token")
    api, repository = _said(environ, "GITHUB_API_URL").rstrip("/"), _said(environ, "GITHUB_REPOSITORY")
    return _issue("gitea" if api.endswith("/api/v1") else "github", api, repository, number, token)


def _number(environ: Mapping[str, str], read: Callable[[str], str]) -> int | None:
    if found := _ON_REF.fullmatch(environ.get("GITHUB_REF", "")):
        return int(found[1])
    try:  # with pull_request_target the ref is the branch to merge into
        event = json.loads(read(environ["GITHUB_EVENT_PATH"]))
        return int(event["pull_request"]["number"])
    except (KeyError, TypeError, ValueError, OSError):
        return None


def _of_gitlab(environ: Mapping[str, str]) -> Thread:
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    if not number.isdecimal():
        raise NoComment("this pipeline is about no merge request")
    project = _said(environ, "CI_MERGE_REQUEST_PROJECT_ID")
    token = environ.get(TOKEN)
    if not token:
        raise NoComment(f"there is no {TOKEN}: a job's own token may not write comments at GitLab")
    return _merge_request(_said(environ, "CI_API_V4_URL"), project, number, token)


def _of_woodpecker(environ: Mapping[str, str]) -> Thread:
    number = environ.get("CI_COMMIT_PULL_REQUEST", "")
    if not number.isdecimal():
        raise NoComment("this pipeline is about no pull request")
    token = environ.get(TOKEN)
    if not token:
        raise NoComment(f"there is no {TOKEN}: give the step a secret of that name")
    forge, site = _said(environ, "CI_FORGE_TYPE"), _said(environ, "CI_FORGE_URL").rstrip("/")
    repository = _said(environ, "CI_REPO")
    match forge:
        case "github":
            api = "https://api.github.com" if site == "https://github.com" else f"{site}/api/v3"
            return _issue("github", api, repository, int(number), token)
        case "gitea" | "forgejo":
            return _issue("gitea", f"{site}/api/v1", repository, int(number), token)
        case "gitlab":
            return _merge_request(f"{site}/api/v4", repository, number, token)
        case _:
            raise NoComment(f"comments at {forge} are not known")


def _said(environ: Mapping[str, str], name: str) -> str:
    if found := environ.get(name):
        return found
    raise NoComment(f"the CI does not say {name}")


def _issue(provider: Literal["github", "gitea"], api: str, repository: str, number: int, token: str) -> Thread:
    issues = f"{api.rstrip('/')}/repos/{quote(repository)}/issues"
    return Thread(provider, api.rstrip("/"), f"{issues}/{number}/comments", f"{issues}/comments", token)


def _merge_request(api: str, project: str, number: str, token: str) -> Thread:
    notes = f"{api.rstrip('/')}/projects/{quote(project, safe='')}/merge_requests/{number}/notes"
    return Thread("gitlab", api.rstrip("/"), notes, notes, token)


def put(thread: Thread, text: str, *, pause: Callable[[float], None] = time.sleep) -> str:
    """Write the comment, or what it says now; gives which of them, for people. Raises NoComment.

    `text` begins with the mark. Only a comment of the token's own user is written anew: whoever copies the mark gains
    nothing by it.
    """
    ask = _Asking(thread, pause)
    text = _fitting(text)
    for left in reversed(range(_TRIES)):
        for comment in ask.mine():
            if comment["body"].strip() == text.strip():
                return "the comment says it already"
            ask.asked(thread.edits, f"{thread.one}/{comment['id']}", {"body": text})
            return "the comment was written anew"
        try:
            ask.asked("POST", thread.comments, {"body": text})
        except _Unsure:
            if not left:
                raise
            pause(_PAUSE)  # it may be there: it is looked for, before it stands there twice
        else:
            return "a comment was written"
    raise AssertionError("the last try ends in an answer or an exception")


def _fitting(text: str) -> str:
    """Whole lines of it: half a code span would let out what it holds."""
    if len(text) <= MOST_LETTERS:
        return text
    return f"{text[:MOST_LETTERS].rpartition(chr(10))[0]}\n\n… and more, which does not fit\n"


@dataclass(frozen=True, slots=True)
class _Asking:
    thread: Thread
    pause: Callable[[float], None]

    def mine(self) -> Iterator[dict[str, Any]]:
        """The comments with the mark that were written with this token, oldest first."""
        names: frozenset[str] | None = None
        for comment in self._comments():
            if not str(comment.get("body") or "").startswith(MARK):
                continue
            if names is None:
                names = self._names()
            author = comment.get("author") or comment.get("user") or {}
            if (author.get("username") or author.get("login")) in names:
                yield comment

    def _comments(self) -> Iterator[dict[str, Any]]:
        seen: set[int] = set()
        for page in range(1, _MOST_PAGES + 1):
            more = f"?per_page={_PAGE}&page={page}"
            if self.thread.provider == "gitlab":
                more += "&order_by=created_at&sort=asc"
            found = self._listed(self.thread.comments + more)
            new = [one for one in found if one["id"] not in seen]
            yield from new
            seen |= {one["id"] for one in new}
            if len(found) != _PAGE or not new:  # Gitea gives all comments of one issue, whatever page is asked for
                return

    def _listed(self, url: str) -> list[dict[str, Any]]:
        found = self.asked("GET", url)
        if isinstance(found, list) and all(isinstance(one, dict) and isinstance(one.get("id"), int) for one in found):
            return found
        raise NoComment(
            f"what {self.thread.api} answered is no list of comments: is it the address of the forge's API?"
        )

    def _names(self) -> frozenset[str]:
        """Whose comments are ours. The token of a run may not ask who it is."""
        try:
            user = self.asked("GET", f"{self.thread.api}/user")
        except NoComment:
            return _OF_RUNS if self.thread.provider != "gitlab" else frozenset()
        user = user if isinstance(user, dict) else {}
        return frozenset({str(user.get("username") or user.get("login") or "")}) - {""}

    def asked(self, method: str, url: str, body: Mapping[str, str] | None = None) -> Any:
        """The answer. Raises NoComment, of a POST that may have been taken _Unsure: that is not sent again here."""
        for left in reversed(range(_TRIES)):
            try:
                return self._once(method, url, body)
            except HTTPError as error:
                error.close()
                if error.code >= 500 and method == "POST":
                    raise _Unsure(_words(error)) from None
                if left and (error.code == 429 or error.code >= 500):
                    self.pause(_asked_for(error.headers.get("Retry-After", "")))
                    continue
                raise NoComment(_words(error)) from None
            except (URLError, HTTPException, OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or str(error) or type(error).__name__
                said = f"no answer from {self.thread.api}: {reason}"
                if method == "POST":
                    raise _Unsure(said) from None
                if not left:
                    raise NoComment(said) from None
                self.pause(_PAUSE)
        raise AssertionError("the last try ends in an answer or an exception")

    def _once(self, method: str, url: str, body: Mapping[str, str] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": "opsconductor"}
        request = Request(url, data, headers, method=method)  # noqa: S310 - the CI's own address
        if data is not None:
            request.add_header("Content-Type", "application/json")
        request.add_unredirected_header(*self.thread.header)
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            text = answer.read(_MOST_BYTES + 1)
            if len(text) > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES >> 20} MiB")
            if answer.length:  # of a part of what was announced, urllib says nothing where a size is asked for
                raise IncompleteRead(text, answer.length)
            return json.loads(text)


class _Stay(HTTPRedirectHandler):
    """Follows nothing: a comment that is posted to where it was moved would become a question."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = build_opener(_Stay)


def _asked_for(text: str) -> float:
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else _PAUSE


def _words(error: HTTPError) -> str:
    match error.code:
        case 401 | 403:
            return f"the forge says {error.code}: the token may not comment, as that of a pull request from a fork"
        case 404:
            return "the forge says 404: the token may not see the pull request"
        case 301 | 302 | 307 | 308:
            return f"the forge says {error.code}: the repository has moved"
        case _:
            return f"the forge says {error.code}"
