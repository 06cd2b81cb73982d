"""The status branch of a database: whoever leads writes it, and knows the commits of whoever led before."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from journal import leadership
from journal.errors import LeadershipLost
from journal.leadership import Candidate
from journal.store import Journal
from reconciler.publication import owner
from reconciler.publication.line import Line
from reconciler.publication.publish import OtherOwner, Publisher
from reconciler.repository.mirror import Mirror
from tests.integration.test_git_publish import NOON, STATUS, Fixed, Place


@dataclass
class Controllers:
    """Each has a state folder of its own, and all have one journal."""

    place: Place
    journal: Journal

    async def leads(self, name: str, *, arriving: Callable[[], object] = lambda: None) -> Publisher:
        """The publisher of a controller that has just taken over; `arriving` is called after its first look."""
        await self.journal.write(self._given_up)
        who = Candidate(name, name, "1.0")
        token = await self.journal.write(lambda tx: leadership.take(tx, who, at=0.0, now=NOON))
        assert token is not None
        mirror = Mirror(
            self.place.folder / name / "mirror.git", str(self.place.remote), environment=self.place.environment
        )
        self.place.mirrors.append(mirror)
        door = self.journal.guarded(lambda tx: leadership.held(tx, token))
        publisher = Publisher(
            mirror,
            STATUS,
            engine_id="of-the-database",
            clock=Fixed(),
            on_foreign=self.place.foreign.append,
            shared=Line(door, STATUS),
        )

        async def intending(_: object) -> None:
            arriving()

        await owner.claim(publisher, clock=Fixed(), take_over=False, host=name, sleep=_at_once, intending=intending)
        return publisher

    @staticmethod
    def _given_up(tx: leadership.Connection) -> None:
        before = leadership.leader(tx)
        if before is not None:
            leadership.give_up(tx, before.token)


async def _at_once(_: float) -> None:
    return None


@pytest.fixture
async def controllers(tmp_path: Path) -> AsyncIterator[Controllers]:
    place = Place(tmp_path)
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=Fixed())
    yield Controllers(place, journal)
    await journal.close()
    for mirror in place.mirrors:
        mirror.close()


async def test_who_follows_goes_on_with_the_commits_of_who_led_before(controllers: Controllers) -> None:
    first = await controllers.leads("ann")
    before = await first.publish({"a": b"1"}, "m")
    second = await controllers.leads("bob")
    after = await second.publish({"b": b"2"}, "m")
    assert controllers.place.foreign == []
    assert controllers.place.git("merge-base", str(before), str(after)) == before
    assert set(controllers.place.files()) == {"a", "b", "sync.yaml"}


async def test_who_does_not_lead_any_more_pushes_nothing(controllers: Controllers) -> None:
    first = await controllers.leads("ann")
    await first.publish({"a": b"1"}, "m")
    second = await controllers.leads("bob")
    with pytest.raises(LeadershipLost):
        await first.publish({"a": b"stale"}, "m")
    assert controllers.place.files()["a"] == "1"
    await second.publish({"a": b"2"}, "m")
    assert controllers.place.files()["a"] == "2"
    with pytest.raises(OtherOwner):  # though the clock of who follows has not gone on
        await first.look()


async def test_a_push_that_was_on_its_way_when_another_took_over_is_no_strangers(controllers: Controllers) -> None:
    """Whoever follows has not seen it at its first look; what it says is drawn again from the journal anyway."""
    first = await controllers.leads("ann")
    start = controllers.place.head()
    await first.publish({"late": b"1"}, "m")
    late = controllers.place.head()
    line = Line(controllers.journal, STATUS)
    await line.advanced(start)
    await line.trying(late)
    controllers.place.git("update-ref", STATUS, start)
    second = await controllers.leads("bob", arriving=lambda: controllers.place.git("update-ref", STATUS, late))
    await second.publish({"b": b"2"}, "m")
    assert controllers.place.foreign == []
    assert controllers.place.files()["b"] == "2"
    assert controllers.place.git("merge-base", late, STATUS) == late


async def test_a_strangers_commit_is_set_aside_by_who_never_pushed_to_the_branch(controllers: Controllers) -> None:
    first = await controllers.leads("ann")
    ours = await first.publish({"a": b"1"}, "m")
    theirs = controllers.place.stranger({"a": "theirs"})
    second = await controllers.leads("bob")
    assert [one.commit for one in controllers.place.foreign] == [theirs]
    await second.publish({"b": b"2"}, "m")
    assert controllers.place.files()["a"] == "1"
    assert controllers.place.git("merge-base", str(ours), STATUS) == ours
