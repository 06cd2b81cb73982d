"""Pull requests at GitHub, GitLab, Gitea and Forgejo: one of a branch is found and written anew, else opened.

- GitHub, "List pull requests", "Create", "Update": <https://docs.github.com/en/rest/pulls/pulls>.
- GitLab, "List project merge requests", "Create MR", "Update MR": <https://docs.gitlab.com/api/merge_requests/>.
- Gitea and Forgejo, `repoListPullRequests`, `repoCreatePullRequest`, `repoEditPullRequest`: `/swagger.v1.json` of any
  installation. `repoGetPullRequestByBaseHead` is of no use: it gives the first that there ever was, closed or not.

Whoever may fork a repository may open one from a branch of the same name: only one from the repository itself is ours.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.forge import followed, headers_of, is_limited, wait_of
from runners.deliveries.posting import Headers, Place, answered, line_of, meaning, sealed
from runners.secrets import Opened, Sealed
from runners.steps.exchange import Answer

_MOST_REDIRECTS = 3
_PAGES, _AT_ONCE = 25, 20
"""Pull requests are looked at so many at a time, and no more pages of them."""


class _Over(Exception):  # noqa: N818 - it is named after what happens next
    """The forge does not say which there are, and this is what becomes of the message."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self.delivery = delivery


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a forge's API. Nothing of it may be logged."""

    method: str
    url: str
    headers: Headers
    body: Mapping[str, Any] | None = None

    @property
    def data(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What stands at the forge in the end. `settings` are those of the channel."""

    settings: Mapping[str, Any]
    branch: str
    title: str
    body: str
    token: str

    @property
    def provider(self) -> str:
        return str(self.settings["provider"])

    @property
    def base(self) -> str:
        return str(self.settings["branch"])

    @property
    def url(self) -> str:
        repository = str(self.settings["repository"])
        if self.provider == "gitlab":
            return f"{self.settings['api']}/projects/{quote(repository, safe='')}/merge_requests"
        return f"{self.settings['api']}/repos/{quote(repository)}/pulls"

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Call:
        return Call(method, url, headers_of(self.provider, self.token), body)

    def listing(self, page: int, at_once: int) -> Call:
        """Asks for some of those that are open. `page` counts from 1; not every forge heeds all that it is told."""
        match self.provider:
            case "github":
                owner = str(self.settings["repository"]).partition("/")[0]
                query = {"state": "open", "head": f"{owner}:{self.branch}", "base": self.base, "per_page": at_once}
            case "gitlab":
                named = {"source_branch": self.branch, "target_branch": self.base}
                query = {"state": "opened", **named, "per_page": at_once}
            case _:
                query = {"state": "open", "base_branch": self.base, "limit": at_once}
        return self._call("GET", f"{self.url}?{urlencode({**query, 'page': page})}")

    def number_in(self, listed: Sequence[Any]) -> int | None:
        """The number of the first that is open, of this branch of the repository itself into that one."""
        return next((found for one in listed if (found := self._number(one)) is not None), None)

    def _number(self, one: Any) -> int | None:
        if not isinstance(one, Mapping):
            return None
        if self.provider == "gitlab":
            head, base = ((one.get(f"{end}_branch"), one.get(f"{end}_project_id")) for end in ("source", "target"))
            number = one.get("iid")
        else:
            head, base = _place(one.get("head")), _place(one.get("base"))
            number = one.get("number")
        is_open = one.get("state") in ("open", "opened")
        of_these = (head[0], base[0]) == (self.branch, self.base) and head[1] is not None and head[1] == base[1]
        return number if isinstance(number, int) and is_open and of_these else None

    @property
    def opening(self) -> Call:
        """Opens one."""
        if self.provider == "gitlab":
            places = {"source_branch": self.branch, "target_branch": self.base}
            return self._call("POST", self.url, {**places, "title": self.title, "description": self.body})
        places = {"head": self.branch, "base": self.base}
        return self._call("POST", self.url, {**places, "title": self.title, "body": self.body})

    def writing(self, number: int) -> Call:
        """Writes an open one anew."""
        if self.provider == "gitlab":
            return self._call("PUT", f"{self.url}/{number}", {"title": self.title, "description": self.body})
        return self._call("PATCH", f"{self.url}/{number}", {"title": self.title, "body": self.body})


def _place(end: object) -> tuple[object, object]:
    """The branch, and the repository that it is in; nothing where that is gone."""
    if not isinstance(end, Mapping):
        return None, None
    repository = end.get("repo")
    return end.get("ref"), repository.get("full_name") if isinstance(repository, Mapping) else None


class PullRequests:
    """See Channel. The message's event has what is told."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        told = message.event["data"]["event"]["data"]
        try:
            token = opened(str(settings["credentialRef"])).get("token")
        except Sealed as error:
            return sealed(error)
        title, body = (str(told[name]).replace(token, "***") for name in ("title", "body"))
        wanted = _Wanted(settings, str(told["branch"]), title, body, token)
        try:
            number = await self._open(wanted, settings)
        except _Over as over:
            return over.delivery
        answer = await self._asked(wanted.opening if number is None else wanted.writing(number), settings)
        return _says(answer, settings) if isinstance(answer, Answer) else answer

    async def _open(self, wanted: _Wanted, settings: Mapping[str, Any]) -> int | None:
        """The number of the one that is open; None where none is. Raises _Over."""
        for page in range(1, _PAGES + 1):
            listed = await self._listed(wanted.listing(page, _AT_ONCE), settings)
            if listed is None:  # texts may be as long as strangers like: none of ours fills an answer alone
                singles = range((page - 1) * _AT_ONCE + 1, page * _AT_ONCE + 1)
                listed = [
                    one
                    for single in singles
                    for one in await self._listed(wanted.listing(single, 1), settings) or [None]
                ]
            if (number := wanted.number_in(listed)) is not None or not listed:
                return number
        return None

    async def _listed(self, call: Call, settings: Mapping[str, Any]) -> list[Any] | None:
        """One page; None where it is longer than is taken. Raises _Over."""
        answer = await self._asked(call, settings)
        if not isinstance(answer, Answer):
            raise _Over(answer)
        if answer.status != 200:
            raise _Over(_says(answer, settings))
        if not answer.body:
            return None
        try:
            listed = json.loads(answer.body)
        except ValueError:
            listed = None
        if not isinstance(listed, list):
            raise _Over(Never("what the forge answered is no JSON list: is 'url' the address of its API?"))
        return listed

    async def _asked(self, call: Call, settings: Mapping[str, Any]) -> Answer | Later | Never:
        for _ in range(_MOST_REDIRECTS + 1):
            place = Place(call.url, True, settings.get("caCert"))
            answer = await answered(place, call.data, call.headers, self._limits, method=call.method)
            if not isinstance(answer, Answer) or (to := followed(call.url, answer)) is None:
                return answer
            call = replace(call, url=to)
        return Never(f"more than {_MOST_REDIRECTS} redirects")


def _says(answer: Answer, settings: Mapping[str, Any]) -> Delivery:
    headers = dict(answer.headers)
    match answer.status:
        case 401:
            return Never(f"status 401: the forge does not take the token of credential '{settings['credentialRef']}'")
        case 403 | 429 if answer.status == 429 or is_limited(headers):
            return Later(f"status {answer.status}: too many requests", wait_of(headers))
        case 403:
            return Never(
                f"status 403: the token may not open pull requests: {line_of(answer.body)}; allow it, or write "
                "'pullRequest: false' in 'propose' of the Discovery"
            )
        case 404:
            where = f"'{settings['repository']}' at {settings['api']}"
            return Never(f"status 404: no such repository or branch, or the token may not see it: {where}")
        case 409:
            return Later(f"status 409: {line_of(answer.body)}")  # there is one by now: it is found the next time
        case 301 | 302 | 303 | 307 | 308:
            return Never(f"status {answer.status}: the repository has moved; write 'repository' and 'url' anew")
        case status if 200 <= status <= 299:
            return Delivered()
        case _:
            return meaning(answer)
