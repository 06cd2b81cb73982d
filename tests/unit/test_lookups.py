"""Names that are looked up beside many others, and on a host that has no more threads."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from runners.connections import Limits, Unreached, login
from runners.connections.login import SshPlace
from runners.connections.lookup import Found, Lookups, Unanswered
from runners.steps import reaching

FOUND: list[Found] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 22))]
SOON = 0.05
"""Seconds after which who asks gives up."""
LONG = 60.0


class Resolver:
    """Answers nothing until it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._begun = threading.Semaphore(0)
        self._answers = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[Found]:
        self.asked.append(host)
        self._begun.release()
        assert self._answers.wait(LONG)
        return FOUND

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.acquire, timeout=LONG)

    def answer(self) -> None:
        self._answers.set()


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Each new thread wants a stack that no system can give."""
    before = threading.stack_size(1 << 47)
    try:
        yield
    finally:
        threading.stack_size(before)


async def test_names_beyond_the_places_wait_their_turn() -> None:
    resolver = Resolver()
    lookups = Lookups(2, resolver)
    asked = [asyncio.ensure_future(lookups.of(f"web-{number}", 22, LONG)) for number in range(20)]
    await resolver.begun()
    await resolver.begun()
    assert resolver.asked == ["web-0", "web-1"]
    resolver.answer()
    assert await asyncio.gather(*asked) == [FOUND] * 20
    assert sorted(resolver.asked) == sorted(f"web-{number}" for number in range(20))


async def test_who_waits_in_vain_is_told_what_for() -> None:
    """One whose name was asked for is told of no answer, and one whose name was not is told who was before it."""
    resolver = Resolver()
    lookups = Lookups(1, resolver)
    with pytest.raises(Unanswered, match=r"^the addresses of web-1 were not found within 0\.05 s$"):
        await lookups.of("web-1", 22, SOON)
    with pytest.raises(
        Unanswered,
        match=r"of web-2 could not be asked for within 0\.05 s: other names were being looked up, 1 at once$",
    ):
        await lookups.of("web-2", 22, SOON)
    resolver.answer()
    assert await lookups.of("web-3", 22, LONG) == FOUND
    assert resolver.asked == ["web-1", "web-3"]


async def test_who_gives_up_keeps_no_place() -> None:
    """Neither who waits, nor who is being asked for, nor who is cancelled in the moment of the answer."""
    resolver = Resolver()
    lookups = Lookups(2, resolver)
    given_up = [asyncio.ensure_future(lookups.of(f"gone-{number}", 22, LONG)) for number in range(50)]
    await resolver.begun()
    await resolver.begun()
    for one in given_up:
        one.cancel()
    await asyncio.wait(given_up)
    resolver.answer()
    assert await asyncio.gather(*(lookups.of(f"web-{number}", 22, LONG) for number in range(4))) == [FOUND] * 4
    assert resolver.asked[:2] == ["gone-0", "gone-1"] and not any("gone" in one for one in resolver.asked[2:])


async def test_an_answer_of_any_kind_frees_the_place() -> None:
    def ask(host: str, port: int) -> Sequence[Found]:
        raise {"a": socket.gaierror(socket.EAI_NONAME, "not known"), "b": MemoryError(), "c": UnicodeError("label")}[
            host
        ]

    lookups = Lookups(1, ask)
    for host, kind in (("a", socket.gaierror), ("b", MemoryError), ("c", UnicodeError)) * 2:
        with pytest.raises(kind):
            await lookups.of(host, 22, LONG)


async def test_a_host_without_threads_sends_nothing_and_keeps_its_places() -> None:
    lookups = Lookups(2, lambda host, port: FOUND)
    with no_more_threads():
        for _ in range(3):
            with pytest.raises(BlockingIOError, match="no thread to look web-1 up"):
                await lookups.of("web-1", 22, LONG)
    assert await asyncio.gather(*(lookups.of(f"web-{number}", 22, LONG) for number in range(5))) == [FOUND] * 5


async def test_threads_at_work_come_to_what_has_none_of_its_own() -> None:
    resolver = Resolver()
    lookups = Lookups(9, resolver)
    first = asyncio.ensure_future(lookups.of("web-1", 22, LONG))
    await resolver.begun()
    with no_more_threads():
        second = asyncio.ensure_future(lookups.of("web-2", 22, LONG))
        await asyncio.sleep(0)
    resolver.answer()
    assert await asyncio.gather(first, second) == [FOUND, FOUND]


async def test_whoever_connects_says_that_nothing_was_sent() -> None:
    """An error of the step type would make the step `unknown`, although nothing was sent."""
    with no_more_threads():
        with pytest.raises(Unreached, match="cannot connect to localhost:22: no thread to look localhost up"):
            await login.connect(SshPlace("web-01", "localhost", 22, "ops", (), password="x"), Limits())
        with pytest.raises(reaching.Unreached, match="addresses of localhost cannot be asked for: no thread to look"):
            await reaching.addresses_of("localhost", 80, authored=True, networks=())
