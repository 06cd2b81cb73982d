"""Files of the repository, asked for and answered by rows."""

from datetime import timedelta

import pytest

from journal import files
from journal.files import Answer, Wanted
from tests.contract.conftest import START, Desk

ONE = Wanted("a" * 40, "files/one")
BELOW = Wanted("a" * 40, "files", folder=True)


async def test_what_is_asked_for_is_answered_once_for_all(desk: Desk) -> None:
    await desk.do(files.ask, BELOW, START)
    await desk.do(files.ask, ONE, START + timedelta(seconds=1))
    await desk.do(files.ask, ONE, START + timedelta(seconds=2))
    assert await desk.see(files.unanswered, 8) == (BELOW, ONE)
    assert await desk.see(files.unanswered, 1) == (BELOW,)
    assert await desk.see(files.found, ONE) is None
    await desk.do(files.answer, ONE, Answer(b"\0one", None))
    assert await desk.see(files.found, ONE) == Answer(b"\0one", None)
    await desk.do(files.ask, ONE, START + timedelta(seconds=3))
    assert await desk.see(files.unanswered, 8) == (BELOW,)


async def test_what_was_not_there_is_looked_for_again_after_a_while(desk: Desk) -> None:
    await desk.do(files.ask, ONE, START)
    await desk.do(files.answer, ONE, Answer(None, "there is no such file"))
    await desk.do(files.ask, ONE, START + timedelta(seconds=10))
    assert await desk.see(files.found, ONE) == Answer(None, "there is no such file")
    await desk.do(files.ask, ONE, START + timedelta(seconds=31))
    assert await desk.see(files.found, ONE) is None


async def test_what_nobody_asks_for_any_more_goes(desk: Desk) -> None:
    await desk.do(files.ask, ONE, START)
    await desk.do(files.answer, ONE, Answer(b"one", None))
    await desk.do(files.ask, ONE, START + timedelta(minutes=50))
    await desk.do(files.prune, START + timedelta(minutes=70))
    assert await desk.see(files.found, ONE) is not None
    await desk.do(files.prune, START + timedelta(minutes=111))
    assert await desk.see(files.found, ONE) is None


async def test_of_too_much_the_oldest_goes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_KEPT", 10)
    for number in range(3):
        each = Wanted("a" * 40, f"files/{number}")
        await desk.do(files.ask, each, START + timedelta(seconds=number))
        await desk.do(files.answer, each, Answer(b"12345678", None))
    await desk.do(files.prune, START + timedelta(seconds=5))
    left = [number for number in range(3) if await desk.see(files.found, Wanted("a" * 40, f"files/{number}"))]
    assert left == [2]
