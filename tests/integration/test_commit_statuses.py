"""From a commit to the forge: the loop writes what came of it, and a runner tells it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select

from journal import deadletters, deliveries, notices, uses
from journal.databases.noticetables import messages as table
from journal.databases.tables import AnyRow
from reconciler import commitstatuses
from runners.messenger import Messenger
from runners.secrets import Secrets
from tests.forges import TOKEN, Forge, Said, standing_in
from tests.integration.test_loop import JOB, MAIN, Site

PATIENCE = 30.0
CREDENTIAL = """---
apiVersion: opsconductor/v1
kind: Credential
metadata: {name: forge}
spec: {type: token, from: {env: OPSCONDUCTOR_SECRET_FORGE}}
"""


def project(forge: Forge, **more: str) -> str:
    given = {"provider": forge.provider, "credentialRef": "forge", "url": forge.api, "repository": "ops/fleet", **more}
    status = ", ".join(f"{key}: {value}" for key, value in given.items())
    head = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: fleet}\n"
    return f"{head}spec: {{commitStatus: {{{status}}}}}\n{CREDENTIAL}"


class Told(Site):
    """A site whose Project names a forge, and one messenger after another."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        super().__init__(folder)
        self.forge = forge
        self.tasks: list[asyncio.Task[None]] = []
        self.messenger: Messenger

    def commit(self, ref: str, files: dict[str, str]) -> str:
        made = super().commit(ref, files)
        self.forge.commits.add(made)
        return made

    def files(self, word: str = "hello", steps: str = "steps") -> dict[str, str]:
        job = JOB.replace("hello", word).replace("steps", steps)
        return {"opsconductor.yaml": project(self.forge), "definitions/greet.yaml": job}

    def start(self) -> Messenger:
        secrets = Secrets(self.folder, {"OPSCONDUCTOR_SECRET_FORGE": TOKEN})
        found = Messenger(
            self.journal,
            name="default/1",
            pools=None,
            clock=self.journal.clock,
            secrets=secrets,
            chance=lambda: 0.0,
        )
        self.tasks.append(asyncio.create_task(found.run()))
        self.messenger = found
        return found

    async def rows(self) -> list[AnyRow]:
        def all_of_them(conn: Connection) -> list[AnyRow]:
            return list(conn.execute(select(table).order_by(table.c.seq)))

        return await self.journal.read(all_of_them)

    async def until(self, holds: Callable[[list[AnyRow]], bool]) -> list[AnyRow]:
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.rows()):
                await asyncio.sleep(0.02)
        return found


@pytest_asyncio.fixture(params=("github", "gitlab", "gitea"))
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Told]:
    async with standing_in(request.param) as forge:
        made = Told(tmp_path, forge)
        yield made
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await made.journal.close()


def all_there(rows: list[AnyRow]) -> bool:
    return bool(rows) and all(row.state == "delivered" for row in rows)


async def test_every_commit_gets_its_verdict(site: Told) -> None:
    site.start()
    good = site.commit(MAIN, site.files())
    await site.look()
    bad = site.commit(MAIN, site.files("hello", steps="stebs"))
    await site.look()
    await site.until(lambda rows: all_there(rows) and len(rows) == 2)

    assert site.forge.states(good) == ["success"]
    assert site.forge.states(bad) == ["failed" if site.forge.provider == "gitlab" else "failure"]
    [status] = site.forge.statuses[bad, "opsconductor"]
    assert "definitions/greet.yaml:9:" in status["description"]
    assert "OC203" in status["description"]

    site.loop = site.new_loop()  # as after a restart: the same commits, looked at again
    await site.loop.start()
    await site.look()
    assert len(await site.rows()) == 2

    mended = site.commit(MAIN, site.files("there"))
    await site.look()
    await site.until(lambda rows: all_there(rows) and len(rows) == 3)
    assert site.forge.statuses[mended, "opsconductor"][0]["description"] == "in force: 1 changed, 1 warning"


async def test_a_pending_status_is_sent_where_judging_takes_long(site: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that the forge did not take is not sent any more, once the verdict is known."""
    monkeypatch.setattr(commitstatuses, "_HELD", timedelta(0))
    site.commit(MAIN, site.files())
    await site.look()
    site.start()
    await site.until(all_there)
    head = "a" * 40
    site.forge.commits.add(head)
    now = site.journal.clock.now()
    await site.journal.write(lambda tx: site.loop.statuses.seen(tx, head, now))
    await site.until(all_there)
    assert site.forge.states(head) == ["pending"]

    late = "b" * 40
    site.forge.commits.add(late)
    site.forge.next = [Said(503)] * 3
    await site.journal.write(lambda tx: site.loop.statuses.seen(tx, late, now))
    await site.until(lambda rows: rows[-1].attempts == 1 and rows[-1].state == "waiting")
    site.forge.next = []
    said = commitstatuses.Judged(late, now, "rejected", {"findings": [], "errors": 1})
    await site.journal.write(lambda tx: site.loop.statuses.judged(tx, said, site.loop.statuses.active))
    await site.journal.write(lambda tx: deliveries.hasten(tx, ["commitStatus"]))
    await site.until(all_there)
    assert site.forge.states(late) == ["failed" if site.forge.provider == "gitlab" else "failure"]


async def test_a_forge_that_refuses_is_told_to_people_and_delays_nothing(site: Told) -> None:
    site.forge.next = [Said(401)] * 9
    site.start()
    first = site.commit(MAIN, site.files())
    await site.look()
    assert site.loop.sync.applied == first
    [row] = await site.until(lambda rows: bool(rows) and rows[0].state == "dead")
    assert row.error == "status 401: the forge does not take the token of credential 'forge'"
    [notice] = [one for one in await site.journal.read(notices.pending) if one.type == "notification.dead"]
    assert (notice.kind, notice.name) == ("Project", "fleet")

    site.forge.next = []
    assert await site.journal.write(lambda tx: deadletters.replay(tx, channel="commitStatus")) == 1
    await site.until(all_there)
    assert site.forge.states(first) == ["success"]
    assert TOKEN not in str([dict(row._mapping) for row in await site.rows()])


async def test_the_token_is_nowhere_in_what_is_written_however_the_forge_answers(
    site: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    """A forge, or what stands before it, may quote the login that it was given."""
    quoted = (TOKEN, base64.b64encode(TOKEN.encode()).decode(), base64.b64encode(f"x:{TOKEN}".encode()).decode())
    said = " ".join(quoted)
    site.forge.next = [
        *(Said(status, {"message": said}) for status in (400, 401, 403, 404, 422, 429, 500)),
        Said(302, headers={"location": f"{site.forge.api}/{TOKEN}"}),
        Said(201, said, {"x-said": TOKEN}),
    ]
    answers = len(site.forge.next)
    site.start()
    for number in range(answers):
        site.commit(MAIN, site.files(f"word{number}"))
        await site.look()
    while site.forge.next:
        await site.until(lambda rows: all(row.state != "sending" for row in rows))
        await site.journal.write(lambda tx: (deliveries.hasten(tx, ["commitStatus"]), deadletters.replay(tx)))
        site.messenger.poke()
        await asyncio.sleep(0)
    await site.until(lambda rows: all(row.state in ("delivered", "dead", "waiting") for row in rows))
    [use] = await site.journal.read(lambda conn: uses.steady(conn, "forge"))
    assert (use.used_by, use.runner) == ("Project", "default/1")
    told = capfd.readouterr()
    written = {path.name: path.read_bytes() for path in site.folder.glob("journal*")}
    for where, data in {"log": (told.out + told.err).encode(), **written}.items():
        assert [form for form in (*quoted, TOKEN.encode().hex()) if form.encode() in data] == [], where
    assert b"***" in b"".join(written.values())


async def test_a_source_that_lies_on_no_forge_tells_nobody(site: Told) -> None:
    site.loop.statuses.source = str(site.source)
    bare = project(site.forge).replace(f", url: {site.forge.api}, repository: ops/fleet", "")
    head = site.commit(MAIN, {"opsconductor.yaml": bare, "definitions/greet.yaml": JOB})
    await site.look()

    assert site.loop.sync.applied == head
    assert await site.rows() == []
    assert not site.loop.statuses.any


async def test_the_link_leads_to_the_dashboard_or_else_to_the_status_branch(site: Told) -> None:
    site.commit(MAIN, site.files())
    await site.look()
    site.loop.statuses.pages = "https://ops.example.org"
    site.commit(MAIN, site.files("there"))
    await site.look()

    links = [row.context["event"]["data"]["link"] for row in await site.rows()]
    branch = {"github": "tree", "gitlab": "-/tree", "gitea": "src/branch"}[site.forge.provider]
    web = site.forge.api.partition("/api/")[0]
    assert links == [f"{web}/ops/fleet/{branch}/opsconductor/status", "https://ops.example.org/sync"]


async def test_a_head_behind_a_commit_that_stops_is_told_once(site: Told) -> None:
    """The same look again, as where a signature cannot be checked yet, is no news."""
    site.commit(MAIN, site.files())
    await site.look()
    now = site.journal.clock.now()
    stopped = commitstatuses.Judged("a" * 40, now, "frozen", {"reason": "commit aaaaaaaaaaaa is not signed"})
    for head in ("b" * 40, "b" * 40, "c" * 40, "a" * 40):
        await site.journal.write(lambda tx, head=head: site.loop.statuses.behind(tx, head, stopped))  # type: ignore[misc]

    told = [row.context["event"]["data"] for row in await site.rows()][1:]
    assert [one["commit"] for one in told] == ["b" * 40, "c" * 40]
    assert {one["description"] for one in told} == {"not in force: commit aaaaaaaaaaaa is not signed"}
