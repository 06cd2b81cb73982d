"""The plan is one comment of a pull request, whoever else writes there. See `tests.forges` for the sources."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from opsconductor.cli.main import call
from opsconductor.plans.plancomment import MOST_LETTERS, TOKEN, NoComment, Thread, put, thread_of
from opsconductor.plans.planmarkdown import MARK
from tests.forges import TOKEN as SECRET
from tests.forges import Asked, Forge, Said, standing_in

PROVIDERS = ("github", "gitlab", "gitea")
PLAN = f"{MARK}\n### OpsConductor plan\n\nfirst é\n"


def variables(forge: Forge) -> dict[str, str]:
    """As the CI of the forge sets them."""
    if forge.provider == "gitlab":
        project = {"CI_MERGE_REQUEST_PROJECT_ID": forge.repository, "CI_MERGE_REQUEST_IID": "5"}
        return {"GITLAB_CI": "true", "CI_API_V4_URL": forge.api, TOKEN: SECRET, **project}
    ref = {"GITHUB_REF": "refs/pull/5/merge" if forge.provider == "github" else "refs/pull/5/head"}
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_API_URL": forge.api, "GITHUB_REPOSITORY": forge.repository,
        "GITHUB_TOKEN": SECRET, **ref,
    }  # fmt: skip


def unread(path: str) -> str:
    raise FileNotFoundError(path)


def of_a_run(forge: Forge) -> Forge:
    """Its token is that of a run, which may not ask who it is; at GitLab there is no such token."""
    forge.mine = {"github": "github-actions[bot]", "gitea": "gitea-actions"}.get(forge.provider, forge.mine)
    return forge


async def written(forge: Forge, text: str, **more: str) -> str:
    thread = thread_of({**variables(forge), **more}, unread)
    return await asyncio.to_thread(put, thread, text, pause=lambda seconds: None)


def bodies(forge: Forge) -> list[str]:
    return [one["body"] for one in forge.comments]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_plan_becomes_one_comment_that_is_kept_up_to_date(provider: str) -> None:
    """Nobody else's is touched, though it begins as ours does, and ours is found behind many others."""
    async with standing_in(provider) as forge:
        of_a_run(forge)
        forge.commented(f"{MARK}\nby a person", "ana")
        for number in range(130):
            forge.commented(f"talk {number}", "ana")
        assert await written(forge, PLAN) == "a comment was written"
        assert await written(forge, PLAN.replace("first", "second")) == "the comment was written anew"
        assert await written(forge, PLAN.replace("first", "second")) == "the comment says it already"

        assert len(forge.comments) == 132
        assert bodies(forge)[0] == f"{MARK}\nby a person"
        assert bodies(forge)[-1] == PLAN.replace("first", "second")
        assert SECRET not in "".join(asked.path for asked in forge.asked)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_who_may_only_read_writes_nothing_and_is_told_why(provider: str) -> None:
    """As the token of a run for a fork."""
    async with standing_in(provider) as forge:
        forge.may_comment = False
        with pytest.raises(NoComment, match="403: the token may not comment, as that of a pull request from a fork"):
            await written(forge, PLAN)
        forge.next = [Said(401)]
        with pytest.raises(NoComment, match="401"):
            await written(forge, PLAN)
        forge.next = [Said(404)]
        with pytest.raises(NoComment, match="404"):
            await written(forge, PLAN)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_forge_in_trouble_is_asked_again_and_a_redirect_is_not_followed(provider: str) -> None:
    async with standing_in(provider) as forge, standing_in(provider) as other:
        of_a_run(forge)
        forge.next = [Said(429, {}, {"Retry-After": "3"}), Said(502)]
        assert await written(forge, PLAN) == "a comment was written"
        forge.next = [Said(500)] * 3
        with pytest.raises(NoComment, match="the forge says 500"):
            await written(forge, PLAN)
        forge.next = [Said(302, {}, {"Location": other.api})]
        with pytest.raises(NoComment, match="has moved"):
            await written(forge, PLAN)
        assert other.asked == []


async def test_what_is_too_long_ends_with_a_whole_line() -> None:
    async with standing_in("github") as forge:
        await written(forge, PLAN + "".join(f"- `@ana {number}`\n" for number in range(9000)))

        [body] = bodies(forge)
        assert len(body) <= MOST_LETTERS + 100
        *_, last, empty, more = body.rstrip("\n").split("\n")
        assert (last[-1], empty, more) == ("`", "", "… and more, which does not fit")


async def test_a_forge_that_is_away_is_no_crash() -> None:
    async with standing_in("github") as forge:
        gone = variables(forge)
    with pytest.raises(NoComment, match=r"no answer from http://127\.0\.0\.1"):
        await asyncio.to_thread(put, thread_of(gone, unread), PLAN, pause=lambda seconds: None)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n[{",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{"id',
        b"220 mail.example.org ESMTP\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"message": "x"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n[{"id":"x"},null]',
    ],
)
async def test_half_an_answer_and_one_of_something_else_are_no_crash(answer: bytes) -> None:
    """As of a proxy in trouble, or of a page that stands in front of the API."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        thread = thread_of(
            {**ACTIONS, "GITHUB_API_URL": f"http://127.0.0.1:{port}", "GITHUB_REF": "refs/pull/5/merge"}, unread
        )
        with pytest.raises(NoComment, match=r"no answer from|is no list of comments"):
            await asyncio.to_thread(put, thread, PLAN, pause=lambda seconds: None)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_comment_that_may_be_there_is_not_written_twice(taken: bool) -> None:
    """A forge that answers 502 may have taken it, or not: it is looked for before it is written again."""
    async with standing_in("github") as forge:
        of_a_run(forge)
        answer, posted = forge.answer, []

        def in_trouble(asked: Asked) -> Said:
            if asked.method != "POST" or posted:
                return answer(asked)
            posted.append(answer(asked) if taken else None)
            return Said(502)

        forge.answer = in_trouble  # type: ignore[method-assign]
        assert await written(forge, PLAN) == ("the comment says it already" if taken else "a comment was written")
        assert bodies(forge) == [PLAN]


ACTIONS = {
    "GITHUB_ACTIONS": "true", "GITHUB_API_URL": "https://api.github.com", "GITHUB_REPOSITORY": "o/r",
    "GITHUB_TOKEN": "t",
}  # fmt: skip
WOODPECKER = {"CI": "woodpecker", "CI_COMMIT_PULL_REQUEST": "5", "CI_REPO": "o/r", TOKEN: "t"}


@pytest.mark.parametrize(
    ("environ", "comments", "one"),
    [
        (
            {**ACTIONS, "GITHUB_EVENT_PATH": "event.json", "GITHUB_REF": "refs/heads/main"},
            "https://api.github.com/repos/o/r/issues/7/comments", "https://api.github.com/repos/o/r/issues/comments",
        ),
        (
            {**WOODPECKER, "CI_FORGE_TYPE": "github", "CI_FORGE_URL": "https://github.com"},
            "https://api.github.com/repos/o/r/issues/5/comments", "https://api.github.com/repos/o/r/issues/comments",
        ),
        (
            {**WOODPECKER, "CI_FORGE_TYPE": "forgejo", "CI_FORGE_URL": "https://codeberg.org/"},
            "https://codeberg.org/api/v1/repos/o/r/issues/5/comments",
            "https://codeberg.org/api/v1/repos/o/r/issues/comments",
        ),
        (
            {**WOODPECKER, "CI_FORGE_TYPE": "gitlab", "CI_FORGE_URL": "https://gitlab.com"},
            "https://gitlab.com/api/v4/projects/o%2Fr/merge_requests/5/notes",
            "https://gitlab.com/api/v4/projects/o%2Fr/merge_requests/5/notes",
        ),
    ],
)  # fmt: skip
def test_the_ci_says_which_pull_request_it_is(environ: dict[str, str], comments: str, one: str) -> None:
    event: dict[str, Any] = {"pull_request": {"number": 7}}
    found = thread_of(environ, lambda path: json.dumps(event))
    assert (found.comments, found.one) == (comments, one)
    assert "'t'" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "no CI that is known"),
        ({**ACTIONS, "GITHUB_REF": "refs/heads/main"}, "no pull request"),
        ({**ACTIONS, "GITHUB_REF": "refs/pull/5/merge", "GITHUB_TOKEN": ""}, "github.token"),
        ({"GITLAB_CI": "true"}, "no merge request"),
        ({"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "5", "CI_MERGE_REQUEST_PROJECT_ID": "1"}, "own token may not"),
        ({**WOODPECKER, TOKEN: ""}, "give the step a secret"),
        ({**WOODPECKER, "CI_COMMIT_PULL_REQUEST": ""}, "no pull request"),
        ({**WOODPECKER, "CI_FORGE_TYPE": "bitbucket", "CI_FORGE_URL": "https://b"}, "bitbucket are not known"),
        ({**WOODPECKER, "CI_FORGE_URL": "https://b"}, "does not say CI_FORGE_TYPE"),
    ],
)
def test_where_there_is_nothing_to_comment_this_says_why(environ: dict[str, str], why: str) -> None:
    with pytest.raises(NoComment, match=why):
        thread_of(environ, unread)


def test_each_forge_is_shown_the_token_in_its_way() -> None:
    shown = {provider: Thread(provider, "", "", "", "t").header for provider in ("github", "gitlab", "gitea")}  # type: ignore[arg-type]
    assert shown == {
        "github": ("Authorization", "Bearer t"),
        "gitlab": ("PRIVATE-TOKEN", "t"),
        "gitea": ("Authorization", "token t"),
    }


async def test_a_plan_in_ci_is_printed_and_commented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hostile names come as text: nobody is called, nothing is markup. Without a token there is a plan all the same."""
    head = "apiVersion: opsconductor/v1\n"
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    git = ["git", "-C", str(tmp_path), *who]
    (tmp_path / "opsconductor.yaml").write_text(f"{head}kind: Project\nmetadata: {{name: x}}\n")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, timeout=60)
    (tmp_path / "definitions").mkdir()
    hostile = "kind: Job\nmetadata: {name: a}\nspec: {'@ana <img src=x> [x](http://evil.example)': 1}\n"
    (tmp_path / "definitions" / "a.yaml").write_text(head + hostile)
    async with standing_in("github") as forge:
        of_a_run(forge)
        for name, value in variables(forge).items():
            monkeypatch.setenv(name, value)
        arguments = ["plan", str(tmp_path), "--base", "main", "--comment"]
        assert await asyncio.to_thread(call, arguments) == 1
        said = capsys.readouterr()
        assert "OC203" in said.out
        assert "a comment was written" in said.err
        [body] = bodies(forge)
        assert "`'@ana <img src=x> [x](http://evil.example)' is not a field of 'spec'`" in body

        monkeypatch.delenv("GITHUB_TOKEN")
        assert await asyncio.to_thread(call, arguments) == 1
        assert "no comment: there is no token" in capsys.readouterr().err
