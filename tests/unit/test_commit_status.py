"""What a forge is told of a commit, at which address, and what its answers mean. See `tests.forges` for the sources."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.notifications import commitstatus
from engine.notifications.forges import Place, Unplaced, place_of
from runners.deliveries import Delivered, Later, Limits, Message, Never
from runners.deliveries.forge import CommitStatuses, call_of, followed, says
from runners.secrets import Opened
from runners.steps.exchange import Answer
from tests.forges import COMMIT, TOKEN, Forge, Said, standing_in

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
PROVIDERS = ("github", "gitlab", "gitea")
FINDING = {
    "file": "jobs/rotate.yaml",
    "line": 10,
    "column": 7,
    "code": "OC204",
    "severity": "error",
    "message": "no 'uses'",
}


@pytest.mark.parametrize(
    ("provider", "source", "api", "repository"),
    [
        ("github", "https://github.com/ops/fleet.git", "https://api.github.com", "ops/fleet"),
        ("github", "git@github.com:ops/fleet.git", "https://api.github.com", "ops/fleet"),
        ("github", "ssh://git@ssh.github.com:443/ops/fleet", "https://api.github.com", "ops/fleet"),
        ("github", "https://ghe.example.org/ops/fleet/", "https://ghe.example.org/api/v3", "ops/fleet"),
        ("gitlab", "git@gitlab.example.org:a/b/c.git", "https://gitlab.example.org/api/v4", "a/b/c"),
        ("gitlab", "https://git.example.org:8443/a/b", "https://git.example.org:8443/api/v4", "a/b"),
        ("gitea", "ssh://git@codeberg.org:2222/ops/fleet.git", "https://codeberg.org/api/v1", "ops/fleet"),
        ("gitea", "https://example.org/git/ops/fleet.git", "https://example.org/git/api/v1", "ops/fleet"),
        ("gitea", "http://127.0.0.1:3000/ops/fleet.git", "http://127.0.0.1:3000/api/v1", "ops/fleet"),
    ],
)
def test_the_place_is_read_from_the_source(provider: Any, source: str, api: str, repository: str) -> None:
    found = place_of(provider, source)

    assert isinstance(found, Place)
    assert (found.api, found.repository) == (api, repository)


def test_what_is_written_wins_and_pages_follow_it() -> None:
    written = place_of("gitlab", "/srv/ops.git", "https://git.example.org/api/v4/", "a/b/c")
    assert isinstance(written, Place)
    assert (written.api, written.repository) == ("https://git.example.org/api/v4", "a/b/c")
    assert written.branch_page("ops/status") == "https://git.example.org/a/b/c/-/tree/ops/status"
    github = place_of("github", "git@github.com:ops/fleet.git")
    assert isinstance(github, Place)
    assert github.branch_page("s") == "https://github.com/ops/fleet/tree/s"
    odd = place_of("gitea", "/srv/ops.git", "https://git.example.org/behind/a/proxy", "a/b")
    assert isinstance(odd, Place)
    assert odd.branch_page("s") is None


@pytest.mark.parametrize(
    ("source", "url", "repository"),
    [
        ("/srv/ops.git", None, None), ("/srv/ops.git", None, "ops/fleet"), ("file:///srv/ops.git", None, None),
        ("http://git.example.org/ops/fleet", None, None), ("https://git.example.org/fleet", None, None),
        ("/srv/ops.git", "https://git.example.org/api/v1", "a/b/c"),
    ],
)  # fmt: skip
def test_a_place_that_is_not_known_is_not_guessed(source: str, url: str | None, repository: str | None) -> None:
    assert isinstance(place_of("gitea", source, url, repository), Unplaced)


def judged(verdict: str, **detail: Any) -> str:
    return commitstatus.judged(COMMIT, verdict, detail, NOW).description


def test_the_words_say_what_counts_first() -> None:
    changes = {"added": {"count": 2}, "changed": {"count": 0}, "removed": {"count": 1}}
    assert judged("accepted", changes=changes, warnings=1) == "in force: 2 added, 1 removed, 1 warning"
    assert judged("accepted", changes=None) == "in force"
    assert judged("rejected", findings=[FINDING], errors=1) == ("not in force: jobs/rotate.yaml:10:7 OC204 no 'uses'")
    warning = {**FINDING, "severity": "warning"}
    assert judged("rejected", findings=[warning, FINDING], errors=3).startswith("not in force (1 of 3 errors): jobs/")
    assert judged("frozen", reason="history was rewritten") == "not in force: history was rewritten"
    hostile = {**FINDING, "message": "a\nb\x1b[2J\u202ec\x00" + "x" * 1000}
    words = judged("rejected", findings=[hostile], errors=1)
    assert words.isprintable()
    assert len(words) == 500


def test_an_end_is_told_under_one_id() -> None:
    first = commitstatus.judged(COMMIT, "accepted", {}, NOW)
    assert first.id == commitstatus.judged(COMMIT, "accepted", {}, NOW).id
    assert first.id != commitstatus.pending(COMMIT, NOW).id
    assert first.id != commitstatus.judged(COMMIT, "accepted", {}, NOW + timedelta(hours=1)).id


def test_a_commit_behind_one_that_stops_is_told_once() -> None:
    first = commitstatus.behind("b" * 40, COMMIT, "history was rewritten", NOW)
    assert (first.commit, first.state, first.description) == (
        "b" * 40, "failure", "not in force: history was rewritten",
    )  # fmt: skip
    assert first.id == commitstatus.behind("b" * 40, COMMIT, "history was rewritten", NOW + timedelta(days=1)).id


def settings(forge: Forge, **more: Any) -> dict[str, Any]:
    common = {"type": "commitStatus", "credentialRef": "forge", "context": "opsconductor", "branch": "main"}
    return {**common, "provider": forge.provider, "api": forge.api, "repository": forge.repository, **more}


def told(state: str = "success", description: str = "in force", link: str | None = None) -> dict[str, Any]:
    return {"commit": COMMIT, "state": state, "description": description, "link": link}


async def delivered(forge: Forge, said: dict[str, Any], token: str = TOKEN, **more: Any) -> object:
    message = Message("id-1", "s", "t", event={"data": {"event": {"data": said}}})
    by = CommitStatuses(Limits(total=10))
    return await by.deliver(message, settings(forge, **more), lambda name: Opened(name, None, {"token": token}))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_status_goes_from_pending_to_its_end(provider: str) -> None:
    async with standing_in(provider) as forge:
        for state in ("pending", "success", "failure"):
            assert await delivered(forge, told(state, link="https://ops.example.org/sync")) == Delivered()

        failure = "failed" if provider == "gitlab" else "failure"
        assert forge.states() == ["pending", "success", failure]
        [*_, last] = forge.statuses[COMMIT, "opsconductor"]
        assert (last["description"], last["target_url"]) == ("in force", "https://ops.example.org/sync")
        if provider == "gitlab":
            assert last["ref"] == "main"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_is_too_long_is_cut_and_what_is_too_long_to_cut_is_left_out(provider: str) -> None:
    async with standing_in(provider) as forge:
        long = told("failure", "x" * 500, f"https://ops.example.org/{'y' * 250}")
        assert await delivered(forge, long) == Delivered()

        [status] = forge.statuses[COMMIT, "opsconductor"]
        assert len(status["description"]) == (140 if provider == "github" else 255)
        assert status["description"].endswith("x…")
        assert ("target_url" in status) == (provider != "gitlab")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_status_that_was_delivered_may_be_delivered_again(provider: str) -> None:
    """Whoever delivered it may have died before it could say so. GitLab refuses to wait for what waits already."""
    async with standing_in(provider) as forge:
        for state in ("pending", "pending", "success", "success"):
            assert await delivered(forge, told(state)) == Delivered()
        assert forge.states()[-1] == "success"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_refusal_says_what_to_do_and_holds_no_token(provider: str) -> None:
    async with standing_in(provider) as forge:
        refused = [
            await delivered(forge, told(), "another"),
            await delivered(forge, told(), repository="ops/other"),
            await delivered(forge, {**told(), "commit": "0" * 40}),
        ]
        forge.next = [Said(403, {"message": "Resource not accessible"}), Said(422, {"message": "Validation Failed"})]
        refused += [await delivered(forge, told()) for _ in range(2)]

    errors = [one.error for one in refused if isinstance(one, Never)]
    assert len(errors) == 5
    assert errors[0] == "status 401: the forge does not take the token of credential 'forge'"
    assert "no such repository" in errors[1]
    assert "may not write statuses" in errors[3]
    assert "Validation Failed" in errors[4]
    assert TOKEN not in "".join(errors)


async def test_a_token_in_the_words_is_hidden() -> None:
    async with standing_in("gitea") as forge:
        await delivered(forge, told("failure", f"found {TOKEN} in it"))
        assert forge.statuses[COMMIT, "opsconductor"][0]["description"] == "found *** in it"


LIMITED = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795309260", "date": "Sun, 22 Nov 2026 01:00:00 GMT"}


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [
        (429, {"retry-after": "30"}, timedelta(seconds=30)),
        (403, {"retry-after": "60"}, timedelta(seconds=60)),
        (403, LIMITED, timedelta(seconds=60)),
        (403, {**LIMITED, "x-ratelimit-reset": "9999999999"}, timedelta(hours=1)),
        (429, {**LIMITED, "date": "soon"}, None),
        (429, {}, None),
        (409, {}, None),
        (503, {"retry-after": "7"}, timedelta(seconds=7)),
    ],
)
def test_a_forge_that_asks_for_time_gets_it(status: int, headers: dict[str, str], after: timedelta | None) -> None:
    at = datetime(2026, 11, 22, 1, 1, tzinfo=UTC).timestamp()
    assert int(LIMITED["x-ratelimit-reset"]) == at
    forge = Forge("github")
    found = says(Answer(status, tuple(headers.items()), b"{}"), settings(forge), told())
    assert isinstance(found, Later)
    assert found.after == after


def answer(status: int, location: str) -> Answer:
    return Answer(status, (("location", location),), b"")


async def test_a_renamed_repository_is_found_and_nobody_else_gets_the_token() -> None:
    async with standing_in("github") as forge, standing_in("github") as other:
        moved = f"/api/v3/repos/{forge.repository}/statuses/{COMMIT}"
        forge.next = [
            Said(307, {}, {"Location": moved}),
            Said(301, {}, {"Location": forge.api.replace("/api/v3", moved)}),
        ]
        assert await delivered(forge, told(), repository="ops/old") == Delivered()
        assert forge.states() == ["success"]
        assert [one.method for one in forge.asked] == ["POST"] * 3

        forge.next = [Said(301, {}, {"Location": f"{other.api}/repos/ops/fleet/statuses/{COMMIT}"})]
        found = await delivered(forge, told())
        assert isinstance(found, Never)
        assert "has moved" in found.error
        assert other.asked == []

        forge.next = [Said(302, {}, {"Location": moved})] * 9
        assert isinstance(await delivered(forge, told()), Never)


@pytest.mark.parametrize(
    "location",
    ["http://api.example.org/x", "https://api.example.org:8443/x", "https://u@api.example.org/x", "//evil.example/x",
     "https://[", ""],
)  # fmt: skip
def test_a_redirect_to_elsewhere_is_not_followed(location: str) -> None:
    assert followed("https://api.example.org/repos", answer(301, location)) is None
    assert followed("https://api.example.org/repos", answer(301, "/repositories/1")) == (
        "https://api.example.org/repositories/1"
    )


def test_a_name_is_part_of_no_path() -> None:
    call = call_of(settings(Forge("gitlab"), repository="a/b"), {**told(), "commit": "../../x"}, TOKEN)
    assert call.url.endswith("/projects/a%2Fb/statuses/..%2F..%2Fx")
    assert TOKEN not in call.url + call.data.decode()
    assert json.loads(call.data)["state"] == "success"
