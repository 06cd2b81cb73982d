"""Files of the repository, asked for and answered by rows."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, update

from journal import files
from journal.databases import upgrades
from journal.databases.controltables import files as table
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


async def test_a_large_file_is_answered_in_parts(desk: Desk) -> None:
    """Nothing of it is found before all are there, and it goes as a whole."""
    data = bytes(range(256)) * (files.PART // 256) * 2 + b"the end"
    first, second, third = files.in_parts(data)
    assert files.in_parts(data[: files.PART]) == ()
    await desk.do(files.ask, ONE, START)
    for number, part in enumerate((first, second)):
        assert await desk.do(files.put_part, ONE, number, part)
    await desk.do(files.answer, ONE, Answer(None, None, 3))
    assert await desk.see(files.found, ONE) is None, "one is missing"
    assert await desk.do(files.put_part, ONE, 2, third)
    await desk.do(files.answer, ONE, Answer(None, None, 3))
    assert await desk.see(files.found, ONE) == Answer(None, None, 3)
    assert b"".join([await desk.see(files.part, ONE, number) for number in range(3)]) == data
    assert await desk.see(files.part, ONE, 3) is None
    await desk.do(files.ask, ONE, START + timedelta(minutes=50))
    await desk.do(files.prune, START + timedelta(minutes=70))
    assert await desk.see(files.found, ONE) is not None
    await desk.do(files.prune, START + timedelta(minutes=111))
    assert await desk.see(files.found, ONE) is None
    assert await desk.see(files.part, ONE, 0) is None


async def test_parts_that_one_has_left_behind_are_replaced_or_go(desk: Desk) -> None:
    """A leader was killed between two of them; the next one begins again."""
    await desk.do(files.ask, ONE, START)
    for number, part in enumerate((b"a", b"b", b"c")):
        await desk.do(files.put_part, ONE, number, part)
    for number, part in enumerate((b"d", b"e")):
        await desk.do(files.put_part, ONE, number, part)
    await desk.do(files.answer, ONE, Answer(None, None, 2))
    assert [await desk.see(files.part, ONE, number) for number in range(3)] == [b"d", b"e", None]
    other = Wanted("b" * 40, "files/one")
    await desk.do(files.ask, other, START)
    await desk.do(files.put_part, other, 0, b"a")
    await desk.do(files.prune, START + timedelta(minutes=61))
    assert await desk.see(files.part, other, 0) is None
    assert not await desk.do(files.put_part, other, 1, b"b"), "nobody waits for it any more"


async def test_a_journal_of_a_version_without_parts_gets_them(desk: Desk) -> None:
    def upgraded(tx: Connection) -> None:
        tx.exec_driver_sql("DROP TABLE file_parts")
        tx.exec_driver_sql("ALTER TABLE files DROP COLUMN parts")
        upgrades._UPGRADES[19](tx)

    await desk.do(files.ask, ONE, START)
    await desk.do(upgraded)
    await desk.do(files.put_part, ONE, 0, b"a")
    await desk.do(files.answer, ONE, Answer(None, None, 1))
    assert await desk.see(files.part, ONE, 0) == b"a"


async def test_a_runner_of_an_older_version_is_told_why_it_gets_no_large_file(desk: Desk) -> None:
    """It knows nothing of parts; when it asks again, others find the file all the same."""
    await desk.do(files.ask, ONE, START)
    await desk.do(files.put_part, ONE, 0, b"a")
    await desk.do(files.answer, ONE, Answer(None, None, 1))
    row = await desk.see(lambda conn: conn.execute(select(table)).one())
    assert (row.data, row.trouble) == (None, files._FOR_OLDER)
    late = START + timedelta(seconds=40)
    again = {"answered": False, "trouble": None, "used_at": late}  # as the version before did
    await desk.do(lambda tx: tx.execute(update(table).values(again)))
    assert await desk.see(files.unanswered, 8) == (ONE,)
    assert await desk.do(files.put_part, ONE, 0, b"a")
    await desk.do(files.answer, ONE, Answer(None, None, 1))
    await desk.do(files.ask, ONE, late + timedelta(minutes=1))
    assert await desk.see(files.found, ONE) == Answer(None, None, 1)
    whole = {"answered": True, "data": b"a", "trouble": None, "size": 1}  # as a leader of the version before does
    await desk.do(lambda tx: tx.execute(update(table).values(whole)))
    assert await desk.see(files.found, ONE) == Answer(None, None, 1)
    assert await desk.see(files.part, ONE, 0) == b"a"
