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
        assert await delivered(forge, told("Discovery lan: 4 new")) == Delivered()
        assert [one["state"] for one in forge.pulls] == ["closed", "open"]
        assert forge.pulls[1]["title"] == "Discovery lan: 4 new"


@PROVIDERS
async def test_those_of_others_are_left_alone(provider: str) -> None:
    """Of other branches, and of the same one in a fork, which whoever may read the repository may open."""
    async with standing_in(provider) as forge:
        theirs = [forge.opened("feature"), forge.opened(BRANCH, of="mallory/fleet")]
        forge.next = [Said(200, [forge._pull(one) for one in theirs])]  # filters that are passed over
        assert await delivered(forge, told()) == Delivered()
        theirs.append(forge.opened(BRANCH, of="ops/tried"))
        before = [dict(one) for one in theirs]
        assert await delivered(forge, told("Discovery lan: 3 new")) == Delivered()
        assert theirs == before
        (ours,) = [one for one in forge.pulls if one not in theirs]
        assert (ours["head"], ours["title"]) == (BRANCH, "Discovery lan: 3 new")


@PROVIDERS
async def test_it_is_found_among_many_and_beside_texts_without_end(provider: str) -> None:
    """Forks may have so many open that it is on no first page, and texts so long that a page of them is not taken."""
    async with standing_in(provider) as forge:
        assert await delivered(forge, told()) == Delivered()
        for _ in range(45):
            forge.opened(BRANCH, of="ops/tried")
        forge.opened(BRANCH, of="ops/tried", body="a" * 1_100_000)
        forge.opened(BRANCH, of="ops/tried", body="a" * 1_100_000)
        assert await delivered(forge, told("Discovery lan: 3 new")) == Delivered()
        assert [one["title"] for one in forge.pulls if "of" not in one] == ["Discovery lan: 3 new"]


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
