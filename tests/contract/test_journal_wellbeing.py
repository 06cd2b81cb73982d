"""Who is at work, and what could not be told."""

from datetime import timedelta

from sqlalchemy import update

from journal import leases, messages, wellbeing
from journal.databases.noticetables import messages as table
from journal.wellbeing import RunnerRow
from tests.contract.conftest import START, Desk
from tests.contract.test_journal_notices import a_message


async def test_runners_are_those_that_began_since(desk: Desk) -> None:
    for number, name in enumerate(("old", "default/1", "default/2")):
        await desk.do(leases.register, name, "default", "box", START + timedelta(minutes=number))
    found = await desk.see(wellbeing.begun, START + timedelta(minutes=1), 10)
    assert found[1] == RunnerRow("default/1", "default", "box", START + timedelta(minutes=1))
    assert [row.name for row in found] == ["default/2", "default/1"]
    assert len(await desk.see(wellbeing.begun, START, 1)) == 1


async def test_dead_letters_are_told_with_their_last_error(desk: Desk) -> None:
    await desk.do(messages.write, a_message("one"))
    assert await desk.see(wellbeing.dead_letters, 10) == ()
    await desk.do(lambda tx: tx.execute(update(table).values(state="dead", error="it refused", subject="greet failed")))
    (letter,) = await desk.see(wellbeing.dead_letters, 10)
    assert (letter.error, letter.subject) == ("it refused", "greet failed")
