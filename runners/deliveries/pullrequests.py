"""Pull requests at GitHub, GitLab, Gitea and Forgejo: one of a branch is found and written anew, else opened.

- GitHub, "List pull requests", "Create", "Update": <https://docs.github.com/en/rest/pulls/pulls>.
- GitLab, "List project merge requests", "Create MR", "Update MR": <https://docs.gitlab.com/api/merge_requests/>.
- Gitea and Forgejo, `repoGetPullRequestByBaseHead`, `repoCreatePullRequest`, `repoEditPullRequest`: `/swagger.v1.json`
  of any installation.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.forge import followed, headers_of, is_limited, wait_of
from runners.deliveries.posting import Headers, Place, answered, line_of, meaning, sealed
from runners.secrets import Opened, Sealed
from runners.steps.exchange import Answer

_MOST_REDIRECTS = 3
_WHOLE = 1


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

    @property
    def finding(self) -> Call:
        """Asks for the one that is open."""
        match self.provider:
            case "github":
                owner = str(self.settings["repository"]).partition("/")[0]
                query = {"state": "open", "head": f"{owner}:{self.branch}", "base": self.base, "per_page": _WHOLE}
                return self._call("GET", f"{self.url}?{urlencode(query)}")
            case "gitlab":
                named = {"source_branch": self.branch, "target_branch": self.base}
                return self._call("GET", f"{self.url}?{urlencode({'state': 'opened', **named, 'per_page': _WHOLE})}")
            case _:
                return self._call("GET", f"{self.url}/{quote(self.base, safe='')}/{quote(self.branch)}")

    def number_in(self, said: Any) -> int | None:
        """Its number in what the forge answered; only of this branch into that one: a filter may be passed over."""
        found = said[0] if isinstance(said, list) and said else said
        if not isinstance(found, Mapping):
            return None
        if self.provider == "gitlab":
            head, base, number = found.get("source_branch"), found.get("target_branch"), found.get("iid")
        else:
            head, base, number = _ref(found.get("head")), _ref(found.get("base")), found.get("number")
        is_open = found.get("state") in ("open", "opened")
        return number if isinstance(number, int) and is_open and (head, base) == (self.branch, self.base) else None

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


def _ref(place: object) -> object:
    return place.get("ref") if isinstance(place, Mapping) else None


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
        found = await self._asked(wanted.finding, settings)
        if not isinstance(found, Answer):
            return found
        if found.status == 404 and wanted.provider == "gitea":
            number = None  # there is none, or no such repository: opening one tells
        elif found.status != 200:
            return _says(found, settings)
        else:
            try:
                number = wanted.number_in(json.loads(found.body))
            except ValueError:
                return Never("what the forge answered is no JSON: is 'url' the address of its API?")
        answer = await self._asked(wanted.opening if number is None else wanted.writing(number), settings)
        return _says(answer, settings) if isinstance(answer, Answer) else answer

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
