"""Pull requests of proposals, against stand-ins that refuse what the published APIs do not have."""

from typing import Any

import pytest

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.pullrequests import PullRequests
from runners.secrets import Opened
from tests.forges import TOKEN, Forge, Said, standing_in

BRANCH = "opsconductor/discovery"
PROVIDERS = pytest.mark.parametrize("provider", ["github", "gitlab", "gitea"])


def told(title: str = "Discovery lan: 2 new", body: str = "| a | table |") -> dict[str, Any]:
    return {"branch": BRANCH, "commit": "1f0c" * 10, "title": title, "body": body}


async def delivered(forge: Forge, data: dict[str, Any], token: str = TOKEN, **more: Any) -> Delivery:
    settings = {"provider": forge.provider, "api": forge.api, "repository": forge.repository}
    settings |= {"branch": "main", "credentialRef": "forge", **more}
    limits = Limits(networks=("127.0.0.0/8",))
    message = Message("m-1", "", "", "text", {"data": {"event": {"data": data}}})
    return await PullRequests(limits).deliver(message, settings, lambda name: Opened(name, None, {"token": token}))


@PROVIDERS
async def test_one_is_opened_and_then_written_anew(provider: str) -> None:
    """However often it is told; one that people closed or merged is over, and the next is another."""
    async with standing_in(provider) as forge:
        assert await delivered(forge, told()) == Delivered()
        assert await delivered(forge, told("Discovery lan: 3 new", "more")) == Delivered()
        (pull,) = forge.pulls
        assert (pull["head"], pull["base"]) == (BRANCH, "main")
        assert (pull["title"], pull["body"]) == ("Discovery lan: 3 new", "more")

        pull["state"] = "closed"
        assert await delivered(forge, told()) == Delivered()
        assert [one["state"] for one in forge.pulls] == ["closed", "open"]


@PROVIDERS
async def test_those_of_other_branches_are_left_alone(provider: str) -> None:
    async with standing_in(provider) as forge:
        theirs = {"number": 3, "state": "open", "head": "feature", "base": "main", "title": "mine", "body": "mine"}
        forge.pulls = [dict(theirs)]
        forge.next = [Said(200, [forge._pull(theirs)])] if provider != "gitea" else []  # a filter that is passed over
        assert await delivered(forge, told()) == Delivered()
        assert forge.pulls[0] == theirs
        assert forge.pulls[1]["head"] == BRANCH


@PROVIDERS
async def test_what_a_forge_refuses_says_what_to_do(provider: str) -> None:
    async with standing_in(provider) as forge:
        forge.may_comment = False
        found = await delivered(forge, told())
        assert isinstance(found, Never)
        assert "pullRequest: false" in found.error
        found = await delivered(forge, told(), token="another")
        assert isinstance(found, Never)
        assert "401" in found.error
        forge.may_comment = True
        found = await delivered(forge, told(), repository="ops/other")
        assert isinstance(found, Never)
        assert "404" in found.error
        forge.next = [Said(503)]
        assert isinstance(await delivered(forge, told()), Later)
        assert forge.pulls == []


async def test_the_token_stands_in_no_text() -> None:
    async with standing_in("github") as forge:
        assert await delivered(forge, told(f"a {TOKEN}", f"b {TOKEN}")) == Delivered()
        assert (forge.pulls[0]["title"], forge.pulls[0]["body"]) == ("a ***", "b ***")
