"""How each crash point is reached: what people do, and what happens to the process, until it dies there.

A play brings a site from nothing to the death of a process at the point. It gives that process, which may still be on
its way there.
"""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.chaos.site import MAIN, STATUS, Daemon, Site

Play = Callable[[Site, str], Daemon]
STEADY: Mapping[str, int] = {"quick": 1, "pair": 2}
OFTEN_PRUNED = {"PRUNE_EVERY": "0.5"}
SHORT_LEASE = {"LEASE": "3"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`reaches` is the point, at which the process dies when it gets there for the `count`-th time.

    `fast`: part of the fast lane.
    """

    point: str
    play: Play
    count: int = 1
    fast: bool = False

    @property
    def crash(self) -> str:
        return f"{self.point}:{self.count}"


def _soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)


# --- plays ---


def first_start(site: Site, crash: str) -> Daemon:
    """Definitions are there before the program is, and its first start ends at the point."""
    site.define(every=STEADY)
    return site.start(crash)


def at_work(site: Site, crash: str) -> Daemon:
    """Schedules fire every second, and somebody asks for runs, one of which fails."""
    commit = site.define(every=STEADY, at={"wrong": _soon()})
    daemon = site.start(crash)
    if site.until_applied(commit, daemon, or_death=True):
        site.ask("ask-pair", jobRef="pair")
        site.ask("ask-wrong", jobRef="wrong")
        site.ask("ask-mended", jobRef="mended")
    return daemon


def second_commit(site: Site, crash: str) -> Daemon:
    """New definitions replace others that have been in force: their schedules' clocks must go on."""
    commit = site.define(every=STEADY)
    daemon = site.start(crash)
    if site.until_applied(commit, daemon, or_death=True):
        site.push(MAIN, {"definitions/note.yaml": "---\n"}, message="another")
    return daemon


def second_timetable(site: Site, crash: str) -> Daemon:
    """New definitions bring a schedule: from their acceptance on its instants count, also while nothing runs."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    if site.until_applied(commit, daemon, or_death=True):
        site.define(every={"quick": 1, "pair": 2})
    return daemon


def renamed(site: Site, crash: str) -> Daemon:
    """A job is renamed while a run of it works."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.ask("ask-patient", jobRef="patient")
    site.until_begun("patient", daemon)
    site.rename("patient", "patience")
    return daemon


def cancelled(site: Site, crash: str) -> Daemon:
    """A long run is cancelled while it works on both targets."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.ask("ask-long", jobRef="long")
    site.until_begun("long", daemon)
    site.until_branch(lambda seen: seen.act("ask-long") is not None, daemon)
    run = (site.seen().act("ask-long") or {})["run"]
    site.ask("end-long", action="cancel", run=run, reason="enough")
    return daemon


def led(site: Site, crash: str) -> Daemon:
    """A workflow with a gate that is approved, a loop, a wait and a failure that is forgiven."""
    commit = site.define(every={"quick": 2})
    daemon = site.start(crash)
    if site.until_applied(commit, daemon, or_death=True):
        site.ask("ask-release", workflowRef="release")
        if site.until_branch(lambda seen: any(path.startswith("gates/") for path in seen.files), daemon, or_death=True):
            site.approve_all(site.seen())
    return daemon


def set_off(site: Site, crash: str) -> Daemon:
    """A run ends whose end sets a trigger off, and then a commit comes that does."""
    commit = site.define(every={"quick": 2}, triggers=True)
    daemon = site.start(crash)
    if site.until_applied(commit, daemon, or_death=True):
        site.ask("ask-wrong", jobRef="wrong")
        if site.until_branch(lambda seen: seen.ended("mended") > 0, daemon, or_death=True):
            site.until_applied(site.push_note(), daemon, or_death=True)
    return daemon


def told(site: Site, crash: str) -> Daemon:
    """Runs end, and a rule tells it by a channel."""
    commit = site.define(every=STEADY, told=True)
    daemon = site.start(crash)
    site.until_applied(commit, daemon, or_death=True)
    return daemon


def overlapping(site: Site, crash: str) -> Daemon:
    """A run waits for the slot that another of its group holds."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.ask("ask-first", jobRef="patient")
    if site.until_begun("patient", daemon, or_death=True):
        site.ask("ask-second", jobRef="patient")
    return daemon


def deferred(site: Site, crash: str) -> Daemon:
    """A schedule's only instant falls into a window that puts its run off."""
    due = _soon() + timedelta(seconds=12)  # its commit must be in force by then
    site.shut("quick", until=due + timedelta(seconds=3))
    site.define(at={"quick": due})
    return site.start(crash)


def put_off(site: Site, crash: str) -> Daemon:
    """A run waits for its time, and when that comes a window has begun that holds it."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    due = _soon() + timedelta(seconds=6)
    site.ask("ask-later", jobRef="pair", notBefore=due.isoformat())
    site.until_branch(lambda seen: seen.act("ask-later") is not None, daemon)
    site.shut("pair", until=due + timedelta(seconds=4))
    return daemon


def waited_too_long(site: Site, crash: str) -> Daemon:
    """A run waits for a slot longer than its queueTimeout."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.ask("ask-long", jobRef="long")
    site.until_begun("long", daemon)
    site.ask("ask-short", jobRef="short")
    return daemon


def kept_out(site: Site, crash: str) -> Daemon:
    """A run's time comes while another of its group works, and its job does not want to wait."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.ask("ask-long", jobRef="long")
    site.until_begun("long", daemon)
    site.ask("ask-eager", jobRef="eager", notBefore=_soon().isoformat())
    return daemon


def drained(site: Site, crash: str) -> Daemon:
    """SIGTERM while nothing but short steps run."""
    commit = site.define(every=STEADY)
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    return daemon.send(signal.SIGTERM)


def handed_over(site: Site, crash: str) -> Daemon:
    """SIGTERM while a step runs that is longer than the grace time."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash, grace="1s")
    site.until_applied(commit, daemon)
    site.ask("ask-patient", jobRef="patient")
    site.until_begun("patient", daemon)
    return daemon.send(signal.SIGTERM)


def renewed(site: Site, crash: str) -> Daemon:
    """A step outlasts a third of a (shortened) lease."""
    commit = site.define(every={"quick": 1})
    daemon = site.start(crash, chaos=SHORT_LEASE)
    if site.until_applied(commit, daemon, or_death=True):
        site.ask("ask-patient", jobRef="patient")
    return daemon


def after_a_kill(site: Site, crash: str) -> Daemon:
    """A runner died in the middle of steps that may and may not be repeated; the next one finds its runs."""
    commit = site.define(every={"quick": 1})
    before = site.start()
    site.until_applied(commit, before)
    site.ask("ask-long", jobRef="long")
    site.ask("ask-pair", jobRef="pair")
    site.until_begun("long", before)
    before.kill()
    site.note()
    return site.start(crash)


def store_deleted(site: Site, crash: str) -> Daemon:
    """The store is lost after a kill; the next start takes in the branch."""
    commit = site.define(every={"quick": 1})
    before = site.start()
    site.until_applied(commit, before)
    site.ask("ask-pair", jobRef="pair")
    site.until_done("ask-pair", before)
    before.kill()
    site.lose_the_store(drained=False)
    return site.start(crash)


def stored_elsewhere(site: Site, crash: str) -> Daemon:
    """The store is deleted after a drained stop; the next start takes in the branch, and nothing is lost."""
    commit = site.define(every={"quick": 1})
    before = site.start()
    site.until_applied(commit, before)
    site.ask("ask-pair", jobRef="pair")
    site.until_done("ask-pair", before)
    site.stop(before)
    site.lose_the_store(drained=True)
    return site.start(crash)


def pruned(site: Site, crash: str) -> Daemon:
    """Retention keeps two runs of a job, and is looked after twice a second."""
    commit = site.define(every={"quick": 1}, keep=2)
    daemon = site.start(crash, chaos=OFTEN_PRUNED)
    site.until_applied(commit, daemon, or_death=True)
    return daemon


def machine_restarted(site: Site, crash: str) -> Daemon:
    """The mirror was written before the machine's last start, so it is made again."""
    commit = site.define(every=STEADY)
    before = site.start()
    site.until_applied(commit, before)
    before.kill()
    site.note()
    mark = site.state / "mirror.git" / "opsconductor.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "boot": "another"}))
    return site.start(crash)


def stranger(site: Site, crash: str) -> Daemon:
    """Somebody commits onto the status branch."""
    commit = site.define(every=STEADY)
    daemon = site.start(crash)
    site.until_applied(commit, daemon)
    site.push(STATUS, {"README.md": "I was here\n"}, message="a stranger's")
    return daemon


def taken_over(site: Site, crash: str) -> Daemon:
    """The branch has another engine's open claim, and is taken from it."""
    commit = site.define(every=STEADY)
    other = site.start(state=site.folder / "other-state")
    site.until_applied(commit, other)
    other.kill()
    site.lost_at = datetime.now(UTC)  # what the other had not published is not known here
    return site.start(crash, "--take-over")


# --- the table ---

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("journal.file-created", first_start),
    Scenario("journal.drained", drained),
    Scenario("enqueue.uncommitted", at_work, 2),
    Scenario("enqueue.committed", at_work, 2, fast=True),
    Scenario("admit.uncommitted", overlapping),
    Scenario("admit.committed", overlapping),
    Scenario("overlap.uncommitted", kept_out),
    Scenario("overlap.committed", kept_out),
    Scenario("put-off.uncommitted", put_off),
    Scenario("put-off.committed", put_off),
    Scenario("expire.uncommitted", waited_too_long),
    Scenario("expire.committed", waited_too_long),
    Scenario("cancel.uncommitted", cancelled),
    Scenario("cancel.committed", cancelled),
    Scenario("decide.uncommitted", deferred),
    Scenario("decide.committed", deferred),
    Scenario("decide.uncommitted", at_work, 3),
    Scenario("decide.committed", at_work, 3),
    Scenario("settle.uncommitted", at_work),
    Scenario("settle.committed", at_work, fast=True),
    Scenario("claim.uncommitted", at_work, 2),
    Scenario("claim.committed", at_work, 2),
    Scenario("step-start.uncommitted", at_work, 3),
    Scenario("step-start.committed", at_work, 3, fast=True),
    Scenario("step-end.uncommitted", at_work, 3, fast=True),
    Scenario("step-end.committed", at_work, 3),
    Scenario("step-skip.uncommitted", at_work),
    Scenario("step-skip.committed", at_work),
    Scenario("step-rescued.uncommitted", at_work),
    Scenario("step-rescued.committed", at_work),
    Scenario("target-end.uncommitted", at_work, 2),
    Scenario("target-end.committed", at_work, 2),
    Scenario("finish.uncommitted", at_work, 2),
    Scenario("finish.committed", at_work, 2, fast=True),
    Scenario("node-begin.uncommitted", led, 2),
    Scenario("node-begin.committed", led, 3),
    Scenario("node-end.uncommitted", led, 3),
    Scenario("node-end.committed", led, 2, fast=True),
    Scenario("gate-vote.uncommitted", led),
    Scenario("gate-vote.committed", led),
    Scenario("workflow-end.uncommitted", led),
    Scenario("workflow-end.committed", led),
    Scenario("rename.uncommitted", renamed),
    Scenario("rename.committed", renamed),
    Scenario("event.uncommitted", set_off, 2),
    Scenario("event.committed", set_off, fast=True),
    Scenario("trigger.uncommitted", set_off, 2),
    Scenario("trigger.committed", set_off),
    Scenario("notice.uncommitted", at_work, 3),
    Scenario("notice.committed", at_work, 3),
    Scenario("message.uncommitted", told, 2),
    Scenario("message.committed", told, 2),
    Scenario("message-claim.uncommitted", told),
    Scenario("message-claim.committed", told),
    Scenario("message-words.uncommitted", told),
    Scenario("message-words.committed", told),
    Scenario("message-end.uncommitted", told),
    Scenario("message-end.committed", told),
    Scenario("register.uncommitted", first_start),
    Scenario("register.committed", first_start),
    Scenario("renew.uncommitted", renewed, 2),
    Scenario("renew.committed", renewed, 2),
    Scenario("reap.uncommitted", after_a_kill),
    Scenario("reap.committed", after_a_kill),
    Scenario("release.uncommitted", handed_over),
    Scenario("release.committed", handed_over),
    Scenario("import.uncommitted", store_deleted, fast=True),
    Scenario("import.committed", stored_elsewhere),
    Scenario("consume.uncommitted", at_work, 2),
    Scenario("consume.committed", at_work, 2),
    Scenario("prune.uncommitted", pruned),
    Scenario("prune.committed", pruned),
    Scenario("mirror.built", first_start),
    Scenario("mirror.moved", machine_restarted),
    Scenario("mirror.fetched", at_work, 2),
    Scenario("status.written", at_work, 3),
    Scenario("status.pushed", at_work, 3, fast=True),
    Scenario("status.recorded", at_work, 3),
    Scenario("status.set-aside", stranger),
    Scenario("owner.claimed", first_start),
    Scenario("owner.taken-over", taken_over),
    Scenario("owner.closing", drained),
    Scenario("owner.closed", drained, fast=True),
    Scenario("definitions.seen", second_commit, 2),
    Scenario("definitions.accepted", second_timetable, 2),
    Scenario("definitions.adopted", second_timetable, 2),
    Scenario("runner.locked", first_start),
    Scenario("step.begun", at_work, 2),
    Scenario("step.ended", at_work, 2),
    Scenario("step.sent", at_work, 2),
    Scenario("step.stopped", cancelled),
    Scenario("finally.entered", at_work),
    Scenario("run.walked", at_work),
    Scenario("drain.handed-over", handed_over),
)
