"""The receiver, by real requests: what is accepted, what is turned away, and that nobody can hold it up."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from engine.payload import MAX_BYTES
from journal import events, uses
from journal.clock import SystemClock
from journal.store import Journal
from runners.listener import bodies, protocol, receiver
from runners.listener.receiver import Hook, Receiver, hooks, listening
from runners.secrets import Secrets
from schemas.credential import CredentialSpec
from tests import node_programs
from tests.catalogs import catalog
from tests.webhooks import CASES, SECRET, bearer, gitea, github, gitlab, standard

VARIABLE = "OPSCONDUCTOR_SECRET_HOOK"
SPEC = CredentialSpec.model_validate({"type": "token", "from": {"env": VARIABLE}})
BODY = b'{"ref": "refs/heads/main"}'


class Vault(dict[str, str]):
    """Variables that can be made to be slow to read, as a secret on another machine may be."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__(found)
        self.readable = threading.Event()
        self.readable.set()

    def __getitem__(self, name: str) -> str:
        assert self.readable.wait(60)
        return super().__getitem__(name)


@dataclass
class Door:
    """A receiver that runs, its journal, and a client of it."""

    journal: Journal
    address: tuple[str, int]
    client: httpx2.AsyncClient
    vault: Vault
    known: dict[str, Hook]
    pushes: list[None] = field(default_factory=list)

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        return await self.client.post(f"/hooks/{path}", content=body, headers=headers)

    async def events(self, trigger: str) -> list[events.EventRow]:
        return list(await self.journal.read(lambda conn: events.recent(conn, trigger, 1000)))

    async def until(self, holds: Callable[[], Any]) -> Any:
        async with asyncio.timeout(30):
            while not (found := await holds()):
                await asyncio.sleep(0.02)
            return found


@pytest_asyncio.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.3)
    monkeypatch.setattr(bodies, "BODY_WITHIN", 0.5)
    monkeypatch.setattr(receiver, "NOTED_WITHIN", timedelta(seconds=0.1))
    monkeypatch.setattr(receiver, "QUIET", timedelta(seconds=0.1))
    clock = SystemClock()
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=clock)
    known = {
        name: Hook(name, name, "hook", SPEC, {}, "default")  # type: ignore[arg-type]
        for name in ("github", "gitlab", "gitea", "generic")
    }
    closed = CredentialSpec.model_validate({"type": "token", "from": {"env": "OPSCONDUCTOR_SECRET_NONE"}})
    known["sealed"] = Hook("sealed", "github", "other", closed, {}, "default")
    half = CredentialSpec.model_validate({"type": "token", "from": {"env": "OPSCONDUCTOR_SECRET_HALF"}})
    known["half"] = Hook("half", "generic", "half", half, {}, "default")
    pushes: list[None] = []
    vault = Vault({VARIABLE: SECRET, "OPSCONDUCTOR_SECRET_HALF": "whsec_half-a-copy"})
    served = Receiver(
        journal,
        Secrets(None, vault),
        clock,
        name="default/1",
        known=lambda: known,
        pushed=lambda: pushes.append(None),
    )
    where = listening("127.0.0.1", 0)
    serving = asyncio.create_task(served.serve(where))
    host, port = where.getsockname()
    async with httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
        yield Door(journal, (host, port), client, vault, known, pushes)
    vault.readable.set()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    where.close()
    await journal.close()


async def test_each_provider_is_received_and_recorded_before_it_is_answered(door: Door) -> None:
    """202, and the event is in the journal as it came; a push wakes who reads the repository."""
    gitlab_body, gitea_body = ((CASES / f"{name}-push.json").read_bytes() for name in ("gitlab", "gitea"))
    for path, body, headers in (
        ("github", BODY, github(BODY)),
        ("gitlab", gitlab_body, gitlab()),
        ("gitea", gitea_body, gitea(gitea_body)),
        ("generic", BODY, standard(BODY, door.journal.clock.now())),
    ):
        answer = await door.post(path, body, headers)
        assert (answer.status_code, answer.json()) == (202, {"state": "accepted"})
        (event,) = await door.events(path)
        assert event.state == "pending"
        assert await door.journal.read(lambda conn, seq=event.seq: events.payload(conn, seq)) == body
    assert len(door.pushes) == 3
    used = await door.journal.read(lambda conn: uses.steady(conn, "hook"))
    assert {(one.used_by, one.runner) for one in used} == {
        (f"Trigger/{name}", "default/1") for name in ("github", "gitlab", "gitea", "generic")
    }


async def test_a_former_name_is_answered_and_recorded_under_the_name_of_today(door: Door) -> None:
    """Who sends still has the old address: nothing that it sends meanwhile is lost, and nothing is done twice."""
    door.known["before"] = door.known["github"]
    assert (await door.post("before", BODY, github(BODY))).json() == {"state": "accepted"}
    assert (await door.post("github", BODY, github(BODY))).json() == {"state": "known"}
    assert len(await door.events("github")) == 1
    assert (await door.post("before", BODY, {})).status_code == 401
    await door.until(lambda: _all_of(door, "github", 2))
    assert not await door.events("before")


async def _all_of(door: Door, name: str, count: int) -> bool:
    return len(await door.events(name)) == count


async def test_what_was_turned_away_while_a_name_changed_is_noted_under_the_name_of_today(door: Door) -> None:
    """And that of a trigger which is gone nowhere: nobody would ever take it off the status branch."""
    hook = door.known["gitea"]
    known = {"forge": replace(hook, trigger="forge"), "gitea": replace(hook, trigger="forge")}
    served = Receiver(
        door.journal,
        Secrets(None, door.vault),
        SystemClock(),
        name="default/1",
        known=lambda: known,
        pushed=lambda: None,
    )
    served._rejected.update({("gitea", "badSignature", "no"): 3, ("gone", "badSignature", "no"): 1})
    await served._note()
    assert [(event.kind, event.times) for event in await door.events("forge")] == [("rejected", 3)]
    assert not await door.events("gitea") and not await door.events("gone")


def test_hooks_are_known_by_their_former_names_too() -> None:
    documents = (
        "kind: Job\nmetadata: {name: deploy}\nspec: {steps: [{uses: dummy}]}\n",
        "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n",
        "kind: Trigger\nmetadata: {name: now, previousNames: [then, once]}\n"
        "spec: {event: {webhook: {credentialRef: key}}, jobRef: deploy}\n",
    )
    assert {name: hook.trigger for name, hook in hooks(catalog(*documents)).items()} == dict.fromkeys(
        ("now", "then", "once"), "now"
    )


async def test_what_came_before_is_known_and_never_recorded_twice(door: Door) -> None:
    """A known id with another body is a conflict, and another id another event, whose bytes may well be the same."""
    assert (await door.post("github", BODY, github(BODY))).json() == {"state": "accepted"}
    assert (await door.post("github", BODY, github(BODY))).json() == {"state": "known"}
    assert (await door.post("github", BODY, github(BODY, delivery="d-2"))).json() == {"state": "accepted"}
    assert (await door.post("github", b"{}", github(b"{}"))).status_code == 409
    assert len(await door.events("github")) == 2
    answers = await asyncio.gather(*(door.post("generic", BODY, bearer("same")) for _ in range(8)))
    assert sorted(answer.json()["state"] for answer in answers) == ["accepted", *["known"] * 7]


async def test_who_is_not_proven_learns_nothing(door: Door) -> None:
    """A wrong secret, one that cannot be read or used, and a trigger that there is none of all look the same; the
    trigger's record counts what came, and says what its owner must do."""
    wrong = await door.post("github", BODY, github(BODY, secret="wrong-horse-battery"))
    others = [
        await door.post("nobody", BODY, github(BODY)),
        await door.post("sealed", BODY, github(BODY)),
        await door.post("half", BODY, standard(BODY, door.journal.clock.now(), key=b"")),
    ]
    for _ in range(20):
        await door.post("github", BODY, {})
    for other in others:
        assert wrong.status_code == other.status_code == 401
        assert wrong.content == other.content
        assert {key: value for key, value in wrong.headers.items() if key != "date"} == {
            key: value for key, value in other.headers.items() if key != "date"
        }

    async def counted() -> bool:
        return {event.reason: event.times for event in await door.events("github")} == {
            "badSignature": 1,
            "notSigned": 20,
        }

    await door.until(counted)
    for trigger, reason, said in (("sealed", "sealed", "OPSCONDUCTOR_SECRET_NONE"), ("half", "badSecret", "copy all")):
        (event,) = await door.until(lambda trigger=trigger: door.events(trigger))
        assert event.reason == reason
        assert said in str(event.message)
    assert await door.events("nobody") == []


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("github", b"x" * (MAX_BYTES + 1), {}, 413),
        ("github", b"not json", github(b"not json"), 400),
        ("github", b"[" * 500, github(b"[" * 500), 400),
        ("github", BODY, {**github(BODY), "content-type": "text/plain"}, 415),
        ("github", b"payload=%7B%7D&payload=1", {**github(b"payload=%7B%7D&payload=1"),
                                                 "content-type": "application/x-www-form-urlencoded"}, 415),
        ("github", b"payload=%7B%22a%22%3A1%7D", {**github(b"payload=%7B%22a%22%3A1%7D"),
                                                  "content-type": "application/x-www-form-urlencoded"}, 202),
    ],
)  # fmt: skip
async def test_each_fault_has_its_answer(
    door: Door, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Too large, no JSON, no type that is read; a form with JSON in it is taken, as GitHub sends it by default."""
    assert (await door.post(path, body, headers)).status_code == status


async def test_other_methods_and_places_are_none(door: Door) -> None:
    """There is nothing but POST /hooks/<trigger>."""
    assert (await door.client.get("/hooks/github")).status_code == 405
    assert (await door.client.post("/", content=BODY)).status_code == 404


async def _raw(door: Door, data: bytes) -> bytes:
    """All that comes back on a connection that says this and then nothing more, until it is closed."""
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(data)
    await writer.drain()
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_who_is_slow_is_cut_off(door: Door) -> None:
    """Headers that do not end, a body that does not come; a body without a length ends at the limit all the same."""
    assert await _raw(door, b"POST /hooks/github HTTP/1.1\r\nhost: x\r\nx-slow: ") == b""
    assert await _raw(door, b"") == b""
    begun = b"POST /hooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    assert (await _raw(door, begun)).startswith(b"HTTP/1.1 408 ")
    endless = b"POST /hooks/github HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    # one byte too many, and nothing after it: were more on the way, the kernel might drop the answer with it
    assert (await _raw(door, endless + chunk * (MAX_BYTES >> 16) + b"1\r\nx")).startswith(b"HTTP/1.1 413 ")
    assert await door.events("github") == []
    assert (await _raw(door, b"POST /hooks/github HTTP/1.1\r\n" + b"a: " + b"b" * 20_000)).startswith(b"HTTP/1.1 400 ")


def _be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is slow is not cut off while the test lasts."""
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 60.0)
    monkeypatch.setattr(bodies, "BODY_WITHIN", 60.0)


STALLED = b"POST /hooks/nobody HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n{"


async def test_bodies_that_do_not_come_keep_nobody_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold no place of those that are worked on; of too many the oldest are given up, and the newest go on."""
    _be_patient(monkeypatch)
    stalled = [await asyncio.open_connection(*door.address) for _ in range(bodies.MOST_UNDER_WAY + 10)]
    for _, writer in stalled:
        writer.write(STALLED)
        await writer.drain()
    async with asyncio.timeout(30):
        for reader, _ in stalled[:10]:
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    for n in range(40):
        assert (await door.post("generic", BODY, bearer(f"d-{n}"))).status_code == 202
    newest, writer = stalled[-1]
    writer.write(b" " * 899_999)
    async with asyncio.timeout(30):
        assert (await newest.read()).startswith(b"HTTP/1.1 401 ")
    for _, writer in stalled:
        writer.close()


async def test_half_bodies_share_one_budget_of_bytes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest makes room, even where there are few; and what was given up counts no longer."""
    _be_patient(monkeypatch)
    monkeypatch.setattr(bodies, "MOST_BYTES", 1_500_000)
    halves = [await asyncio.open_connection(*door.address) for _ in range(2)]
    for _, writer in halves:
        writer.write(STALLED + b" " * 800_000)
        await writer.drain()
    async with asyncio.timeout(30):
        # whichever came second is the newer one
        done, waiting = await asyncio.wait(
            {asyncio.create_task(reader.read(), name=str(at)) for at, (reader, _) in enumerate(halves)},
            return_when=asyncio.FIRST_COMPLETED,
        )
        (given_up,) = done
        assert given_up.result().startswith(b"HTTP/1.1 503 ")
        body = b'"' + b"x" * 600_000 + b'"'
        assert (await door.post("generic", body, bearer("d-1"))).status_code == 202
    for reading in waiting:
        assert reading.cancel()
    for _, writer in halves:
        writer.close()


async def test_more_than_are_worked_on_at_once_are_told_to_come_back(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None waits in a queue without an end; those that have a place are answered."""
    _be_patient(monkeypatch)
    door.vault.readable.clear()
    sent = [asyncio.create_task(door.post("generic", BODY, bearer(f"d-{n}"))) for n in range(receiver.AT_ONCE + 5)]
    async with asyncio.timeout(30):
        answers = [await first for first in islice(asyncio.as_completed(sent), 5)]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    door.vault.readable.set()
    assert sorted(answer.status_code for answer in await asyncio.gather(*sent)) == [202] * receiver.AT_ONCE + [503] * 5


async def test_hundreds_of_idle_connections_keep_nobody_out(door: Door) -> None:
    """There are only so many at once, and each idle one ends soon."""
    idle = [await asyncio.open_connection(*door.address) for _ in range(protocol.MOST_CONNECTIONS)]

    async def served() -> bool:
        try:
            return (await door.post("github", BODY, github(BODY))).status_code == 202
        except httpx2.HTTPError:
            return False

    await door.until(served)
    for _, writer in idle:
        writer.close()


async def test_a_flood_does_not_hide_what_happened(door: Door) -> None:
    """Records of what was turned away have places of their own among the newest events."""
    await door.post("github", BODY, github(BODY))
    now = door.journal.clock.now()

    def flood(tx: Any) -> None:
        for hour in range(50):
            events.reject(tx, "github", "notSigned", "nothing", 1000, now + timedelta(hours=hour))

    await door.journal.write(flood)
    recent = await door.journal.read(lambda conn: events.recent(conn, "github"))
    assert [event.kind for event in recent] == [*["rejected"] * 5, "webhook"]


async def test_too_many_undecided_events_are_turned_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is told to come back, and nothing of what waits is lost."""
    monkeypatch.setattr(events, "MOST_WAITING", 2)
    answers = [(await door.post("generic", BODY, bearer(str(n)))).status_code for n in range(3)]
    assert answers == [202, 202, 503]


async def test_the_bodies_that_wait_have_one_budget(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are: what fits is taken, to the byte, and what does not is told to come back."""
    monkeypatch.setattr(events, "MOST_WAITING_BYTES", 2 * len(BODY) + 2)
    answers = [(await door.post("generic", BODY, bearer(str(n)))).status_code for n in range(3)]
    small = await door.post("generic", b"{}", bearer("small"))
    last = await door.post("generic", b"1", bearer("last"))
    assert [*answers, small.status_code, last.status_code] == [202, 202, 503, 202, 503]
    assert last.json() == {"message": "too many events wait; send it again later"}


@pytest.mark.slow
async def test_every_payload_that_github_publishes_is_received(door: Door) -> None:
    """The examples of @octokit/webhooks-examples: all are JSON that we read, and each is an event of its own."""
    index = node_programs.module("@octokit/webhooks-examples") / "api.github.com" / "index.json"
    monitored = [(one["name"], example) for one in json.loads(index.read_text()) for example in one["examples"]]
    assert len(monitored) > 200
    for number, (name, example) in enumerate(monitored):
        body = json.dumps(example).encode()
        answer = await door.post("github", body, github(body, name, f"d-{number}"))
        assert answer.json() == {"state": "accepted"}, name
