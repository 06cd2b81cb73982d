"""Commit statuses at GitHub, GitLab, Gitea and Forgejo, by their published APIs.

- GitHub, "Create a commit status": <https://docs.github.com/en/rest/commits/statuses>; its rate limits and redirects:
  <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>.
- GitLab, "Set the pipeline status of a commit": <https://docs.gitlab.com/api/commits/>.
- Gitea and Forgejo, `repoCreateStatus`: `/swagger.v1.json` of any installation.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.posting import Headers, Place, after_of, answered, line_of, meaning, sealed
from runners.secrets import Opened, Sealed
from runners.steps.exchange import Answer

_REDIRECTS = frozenset({301, 302, 307, 308})
_MOST_REDIRECTS = 3
_LONGEST_WAIT = timedelta(hours=1)
_STATES = {"gitlab": {"pending": "pending", "success": "success", "failure": "failed"}}
_DESCRIPTION = {"github": 140, "gitlab": 255, "gitea": 255}
"""Letters. GitHub refuses a longer one with 422, GitLab with 400; Gitea has no limit."""
_LINK = {"github": 2048, "gitlab": 255, "gitea": 2048}


@dataclass(frozen=True, slots=True)
class Call:
    """A POST to a forge's API."""

    url: str
    headers: Headers
    body: Mapping[str, Any]

    @property
    def data(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")


def call_of(settings: Mapping[str, Any], told: Mapping[str, Any], token: str) -> Call:
    """What sets a status. `told`: commit, state, description and link, as `engine.notifications` has them."""
    provider, api = str(settings["provider"]), str(settings["api"])
    commit = quote(str(told["commit"]), safe="")
    state = _STATES.get(provider, {}).get(told["state"], told["state"])
    words = _cut(str(told["description"]).replace(token, "***"), _DESCRIPTION[provider])
    body = {"state": state, "description": words}
    if told.get("link") and len(told["link"]) <= _LINK[provider]:
        body["target_url"] = told["link"]
    if provider == "gitlab":
        url = f"{api}/projects/{quote(settings['repository'], safe='')}/statuses/{commit}"
        return Call(url, headers_of(provider, token), body | {"name": settings["context"], "ref": settings["branch"]})
    url = f"{api}/repos/{quote(settings['repository'])}/statuses/{commit}"
    return Call(url, headers_of(provider, token), body | {"context": settings["context"]})


def headers_of(provider: str, token: str) -> Headers:
    common = (("Content-Type", "application/json"),)
    match provider:
        case "github":
            version = ("X-GitHub-Api-Version", "2022-11-28")
            accept = ("Accept", "application/vnd.github+json")
            return (*common, ("Authorization", f"Bearer {token}"), accept, version)
        case "gitlab":
            return (*common, ("PRIVATE-TOKEN", token), ("Accept", "application/json"))
        case _:
            return (*common, ("Authorization", f"token {token}"), ("Accept", "application/json"))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def says(answer: Answer, settings: Mapping[str, Any], told: Mapping[str, Any]) -> Delivery:
    """What a forge's answer means for the status."""
    headers = dict(answer.headers)
    match answer.status:
        case 400 if settings["provider"] == "gitlab" and _stands(answer.body, told["state"]):
            return Delivered()
        case 409:
            return Later(f"status 409: {line_of(answer.body)}")  # GitLab: another update of it is under way
        case 401:
            return Never(f"status 401: the forge does not take the token of credential '{settings['credentialRef']}'")
        case 403 | 429 if answer.status == 429 or is_limited(headers):
            return Later(f"status {answer.status}: too many requests", wait_of(headers))
        case 403:
            return Never(f"status 403: the token may not write statuses of commits: {line_of(answer.body)}")
        case 404:
            where = f"'{settings['repository']}' at {settings['api']}"
            return Never(f"status 404: no such repository or commit, or the token may not see it: {where}")
        case 301 | 302 | 303 | 307 | 308:
            return Never(f"status {answer.status}: the repository has moved; write 'repository' and 'url' anew")
        case _:
            return meaning(answer)


def _stands(body: bytes, state: str) -> bool:
    """GitLab refuses to set a status to what it is, and to put one back to waiting that goes on already."""
    said = line_of(body)
    word = _STATES["gitlab"][state]
    return "Cannot transition status" in said and (state == "pending" or f"from :{word}" in said)


def is_limited(headers: Mapping[str, str]) -> bool:
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def wait_of(headers: Mapping[str, str]) -> timedelta | None:
    """Retry-After, else until the limit begins anew; by the forge's own clock, since ours may differ."""
    if (asked := after_of(headers.get("retry-after", ""))) is not None:
        return asked
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
    if headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining")) != "0" or not reset.isdecimal():
        return None
    try:
        until = datetime.fromtimestamp(int(reset), UTC) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    return max(min(until, _LONGEST_WAIT), timedelta(0))


def followed(url: str, answer: Answer) -> str | None:
    """Where a POST is repeated as it was, as GitHub asks for where a repository has another name; None: nowhere.

    Only at the same scheme, host and port: nobody else gets the token.
    """
    location = dict(answer.headers).get("location")
    if answer.status not in _REDIRECTS or not location:
        return None
    try:
        to, at = urlsplit(urljoin(url, location)), urlsplit(url)
        same = (to.scheme, to.hostname, to.port) == (at.scheme, at.hostname, at.port)
    except ValueError:
        return None
    return to.geturl() if same and to.username is None else None


class CommitStatuses:
    """See Channel. The message's event has what is told; its words are for people who look at what was sent."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        told = message.event["data"]["event"]["data"]
        try:
            call = call_of(settings, told, opened(str(settings["credentialRef"])).get("token"))
        except Sealed as error:
            return sealed(error)
        for _ in range(_MOST_REDIRECTS + 1):
            place = Place(call.url, True, settings.get("caCert"))
            answer = await answered(place, call.data, call.headers, self._limits)
            if not isinstance(answer, Answer):
                return answer
            if (to := followed(call.url, answer)) is None:
                return says(answer, settings, told)
            call = replace(call, url=to)
        return Never(f"more than {_MOST_REDIRECTS} redirects")
