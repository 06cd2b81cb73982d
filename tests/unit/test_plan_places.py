"""Several runs of one concurrency group in one commit: a plan says what a real journal then makes of them."""

import asyncio
import tempfile
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.changes.plan import Plan
from engine.changes.plan_starts import Start
from engine.compile import Compiled
from engine.judge import ActFacts, Launch, judge, scheduled
from journal import runs
from journal.store import Journal
from reconciler.launches import new_run
from schemas.act import RunRequest
from tests.planned import NOW, planned, tree

HERE = "kind: Target\nmetadata: {name: here}\nspec: {connections: {local: {}}}\n"


def work(name: str, concurrency: str) -> str:
    steps = "[{run: 'true'}]"
    return (
        f"kind: Job\nmetadata: {{name: {name}}}\n"
        f"spec: {{targets: {{names: [here]}}, concurrency: {{{concurrency}}}, steps: {steps}}}\n"
    )


def ask(name: str, job: str) -> str:
    return f"kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {{jobRef: {job}}}\n"


def due(name: str, job: str) -> str:
    start = NOW.isoformat().replace("+00:00", "Z")
    return f"kind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: {job}, every: 24h, startAt: {start}}}\n"


class Clock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def said(plan: Plan) -> dict[str, str]:
    return {one.cause: _word(one) for one in plan.starts_at_once}


def _word(one: Start) -> str:
    if one.message and "ends it again" in one.message:
        return "replaced"
    assert one.verdict != "refused" or one.reason == "overlap", one
    return one.verdict


async def done(head: Compiled) -> dict[str, str]:
    """What a journal makes of the acts, and then of the schedules that are due."""
    assert head.catalog is not None, head.findings
    launches: dict[str, Launch] = {}
    for authored in head.acts:
        assert isinstance(authored.document, RunRequest)
        launch = judge(authored.document, ActFacts(NOW, NOW, "a@b.example"), head.catalog, NOW)
        assert isinstance(launch, Launch)
        launches[authored.identity] = launch
    for name in head.catalog.schedules:
        launch_ = scheduled(head.catalog, name, NOW)
        assert isinstance(launch_, Launch)
        launches[f"Schedule/{name}"] = launch_
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(f"sqlite:///{folder}/journal.sqlite3", clock=Clock())
        try:
            found: dict[str, str] = {}
            for cause, launch in launches.items():
                new = new_run(launch, head.catalog)
                answer = await journal.write(lambda tx, new=new: runs.enqueue(tx, new, NOW))  # type: ignore[misc]
                found[cause] = "refused" if isinstance(answer, runs.Overlap) else str(new.id)
            words = {"queued": "starts", "waiting": "waits", "cancelled": "replaced", "failed": "refused"}
            for cause, run in found.items():
                view = await journal.read(lambda conn, run=run: runs.get(conn, run))  # type: ignore[misc]
                found[cause] = run if view is None else words[view.state.value]
            return found
        finally:
            await journal.close()


def test_of_four_requests_one_starts_one_waits_and_two_are_refused() -> None:
    base = (HERE, work("j", ""))
    plan = planned(tree(*base), tree(*base, *(ask(f"rq{n}", "j") for n in range(1, 5))))
    assert said(plan) == {
        "RunRequest/rq1": "starts",
        "RunRequest/rq2": "waits",
        "RunRequest/rq3": "refused",
        "RunRequest/rq4": "refused",
    }
    assert [one.message for one in plan.starts_at_once] == [
        None,
        "waits for the run of RunRequest/rq1, if nothing else runs",
        "overlap: the run of RunRequest/rq2, of the same group, is in its way, if nothing else runs",
        "overlap: the run of RunRequest/rq2, of the same group, is in its way, if nothing else runs",
    ]


rules = st.tuples(
    st.sampled_from(["skip", "queueOne", "queue", "cancelRunning", "fail", "allow"]),
    st.sampled_from(["", ", group: shared"]),
    st.sampled_from(["", ", maxQueue: 1"]),
).map(lambda rule: f"onConflict: {rule[0]}{rule[1]}{rule[2]}")
limits = st.integers(1, 2)
jobs = st.sampled_from(["one", "two"])


@settings(max_examples=40, deadline=timedelta(seconds=20), derandomize=True, suppress_health_check=[*HealthCheck])
@given(rules, rules, limits, st.lists(jobs, max_size=5), st.lists(jobs, max_size=4))
def test_a_plan_says_what_the_journal_makes_of_launches_that_come_together(
    one: str, two: str, limit: int, asked: list[str], timed: list[str]
) -> None:
    base = (HERE, work("one", f"limit: {limit}, {one}"), work("two", f"limit: {limit}, {two}"))
    acts = (ask(f"r{9 - number}", job) for number, job in enumerate(asked))
    head = tree(*base, *acts, *(due(f"s{9 - number}", job) for number, job in enumerate(timed)))
    assert said(planned(tree(*base), head)) == asyncio.run(done(head))
