"""The series of a scrape: bounded by the definitions, however much there is and whatever was there before."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.catalog import Catalog
from engine.status.views import SyncView
from journal.counts import BOUNDS, NO_CLASS, Count
from journal.measures import Measures, OpenRuns, Queue
from opsconductor.metrics.described import BY_NAME, OTHERS, OWN_SERIES, PREFIX
from opsconductor.metrics.meter import Meter
from opsconductor.metrics.names import Names, Others
from opsconductor.metrics.series import Scrape, Sizes, Spread, series
from opsconductor.service.health import Pulse
from schemas.kinds import ACTS, MODELS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING = Measures((), (), (), (), 0, ())
PULSE = Pulse(
    now=100.0, started_at=NOW, turned=99.0, tried=-math.inf, passed=-math.inf, seen=-math.inf,
    pace=timedelta(seconds=30), commit=None, paused=False, claimed=False, stopping=False, working=None,
)  # fmt: skip
SCRAPE = Scrape(NOW, "0", PULSE, False, SyncView(), None, NOTHING, Sizes({}, 0))


def catalog(count: int) -> Any:
    class Some(Catalog):
        """Names alone are looked at."""

    found = object.__new__(Some)
    empty: dict[str, Any] = {}
    for name in (
        "workflows", "schedules", "targets", "triggers", "pools", "channels", "groups", "discoveries", "rules",
        "calendars", "windows", "policies", "users",
    ):  # fmt: skip
        object.__setattr__(found, name, empty)
    object.__setattr__(found, "credentials", {"chat": None})
    object.__setattr__(found, "jobs", dict.fromkeys((f"j{number:04}" for number in range(count)), None))
    return found


def ended(job: str, state: str = "succeeded", times: int = 1, size: int = 3) -> Count:
    return Count("run", "job", job, state, size, times, 2.0 * times, NOW)


def shown(scrape: Scrape) -> dict[tuple[str, tuple[str, ...]], float | Spread]:
    if scrape.measures is not None and scrape.catalog is not None:
        scrape = replace(scrape, others=scrape.others.grown(scrape.measures.counts, Names.of(scrape.catalog)))
    found = list(series(scrape))
    assert len({each[:2] for each in found}) == len(found), "a series is shown once"
    for name, labels, _ in found:
        assert len(labels) == len(BY_NAME[PREFIX + name].labels), name
    return {(name, labels): value for name, labels, value in found}


def test_past_so_many_jobs_the_others_are_summed_and_said() -> None:
    measures = replace(NOTHING, counts=tuple(ended(f"j{number:04}") for number in range(OWN_SERIES + 50)))
    found = shown(replace(SCRAPE, catalog=catalog(OWN_SERIES + 50), measures=measures))
    assert found["runs_finished_total", ("j0000", "job", "succeeded")] == 1
    assert found["runs_finished_total", (OTHERS, "job", "succeeded")] == 50
    assert found["jobs_without_series", ()] == 50
    jobs = {labels[0] for name, labels in found if name == "run_duration_seconds"}
    assert len(jobs) == OWN_SERIES + 1


def test_the_sum_of_the_others_only_grows_whoever_is_counted_there() -> None:
    """A commit that adds or removes jobs moves others in and out; last year's failures must not look like new ones."""
    failed = ("runs_finished_total", (OTHERS, "job", "failed"))
    last, more = f"j{OWN_SERIES:04}", f"j{OWN_SERIES + 1:04}"
    counts = (ended(last, "failed", 7), ended(more, "failed", 40))
    others = Others().grown(counts, Names.of(catalog(OWN_SERIES + 2)))

    def then(jobs: int, *counts: Count) -> float | Spread:
        nonlocal others
        there = catalog(jobs)
        others = others.grown(counts, Names.of(there))
        return shown(replace(SCRAPE, catalog=there, measures=replace(NOTHING, counts=counts), others=others))[failed]

    assert then(OWN_SERIES + 2, *counts) == 47
    assert then(OWN_SERIES + 1, *counts) == 47, "one is gone"
    assert then(OWN_SERIES, *counts) == 47, "there is no other any more"
    assert then(OWN_SERIES + 2, *counts) == 47, "both came back"
    assert then(OWN_SERIES + 2, ended(last, "failed", 8), ended(more, "failed", 41)) == 49
    assert then(OWN_SERIES + 2, ended(last, "failed", 1)) == 50, "the journal is another one"


def test_what_a_pool_that_is_gone_was_late_does_not_look_like_news() -> None:
    late = Count("late", "", "north", "", 3, 9, 50.0, None)
    there = replace(NOTHING, counts=(late,))
    before = Others().grown((late,), replace(Names.of(catalog(0)), pools=frozenset({"north"})))
    found = shown(replace(SCRAPE, catalog=catalog(0), measures=there, others=before))
    spread = found.get(("run_lateness_seconds", (OTHERS,)))
    assert spread is None or (isinstance(spread, Spread) and spread.up_to[-1] == 0)


ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yaml"


def grown() -> list[tuple[str, str, str]]:
    """What alert rules take the increase of: a metric, and each value of a label that is asked for."""
    rules = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    found = re.findall(r"increase\(opsconductor_(\w+)\{([^}]*)\}", " ".join(rules))
    asked = [(name, *one) for name, labels in found for one in re.findall(r'(\w+)=~?"([^"]+)"', labels)]
    return [(name, label, value) for name, label, values in asked for value in values.split("|")]


@pytest.mark.parametrize(("name", "label", "value"), grown())
def test_what_an_alert_waits_for_is_nought_before_it_happens(name: str, label: str, value: str) -> None:
    """A series that begins with its first event never grows: of that one nobody would be told."""
    at = BY_NAME[PREFIX + name].labels.index(label)
    found = shown(replace(SCRAPE, catalog=catalog(OWN_SERIES + 1)))
    begun = {labels: count for (metric, labels), count in found.items() if metric == name and labels[at] == value}
    assert begun and set(begun.values()) == {0}
    if "name" in BY_NAME[PREFIX + name].labels:
        assert {labels[0] for labels in begun} >= {"j0000", OTHERS}


def test_documents_of_every_kind_are_counted() -> None:
    found = shown(replace(SCRAPE, catalog=catalog(3)))
    assert (found["definitions", ("Job",)], found["definitions", ("Credential",)]) == (3, 1)
    assert {labels[0] for name, labels in found if name == "definitions"} == {*MODELS} - {
        *ACTS,
        "Project",
        "StepLibrary",
        "Step",
    }


def test_a_consumer_that_gets_on_can_be_told_from_one_that_does_not() -> None:
    measures = replace(NOTHING, behind=(("status", 5),), dealt_with=(("status", 70),))
    found = shown(replace(SCRAPE, measures=measures))
    assert (found["outbox_lag_entries", ("status",)], found["outbox_entries_total", ("status",)]) == (5, 70)


def test_what_was_counted_of_a_job_that_is_gone_is_not_shown() -> None:
    measures = replace(NOTHING, counts=(ended("gone"),), open=(OpenRuns("job", "gone", "running", 1),))
    found = shown(replace(SCRAPE, catalog=catalog(1), measures=measures))
    assert not any("gone" in labels for _, labels in found)
    assert ("runs_finished_total", (OTHERS, "job", "succeeded")) not in found
    assert found["runs_open", (OTHERS, "job", "running")] == 1


def test_classes_add_up_and_what_never_started_has_no_duration() -> None:
    counts = (ended("j0000", size=0), ended("j0000", "failed", 2, len(BOUNDS)), ended("j0000", "timedOut", 4, NO_CLASS))
    found = shown(replace(SCRAPE, catalog=catalog(1), measures=replace(NOTHING, counts=counts)))
    spread = found["run_duration_seconds", ("j0000", "job")]
    assert isinstance(spread, Spread)
    assert spread.up_to == (*[1] * len(BOUNDS), 3)
    assert found["runs_finished_total", ("j0000", "job", "timedOut")] == 4


def test_a_queue_of_a_pool_that_is_gone_is_seen_all_the_same() -> None:
    queues = (Queue("old", 2, NOW - timedelta(minutes=5)), Queue("older", 1, NOW - timedelta(minutes=9)))
    found = shown(replace(SCRAPE, catalog=catalog(0), measures=replace(NOTHING, queues=queues)))
    assert found["queue_runs", (OTHERS,)] == 3
    assert found["queue_oldest_seconds", (OTHERS,)] == 540
    assert found["queue_runs", ("default",)] == 0


def test_without_the_journal_the_engine_still_says_how_it_is() -> None:
    found = shown(replace(SCRAPE, measures=None))
    assert found["loop_age_seconds", ()] == 1
    assert ("source_age_seconds", ()) not in found
    assert ("queue_runs", ("default",)) not in found


def test_spans_are_measured_by_what_they_are_and_how_they_ended() -> None:
    clock = iter([0.0, 2.0, 10.0, 10.3, 20.0])
    meter = Meter(lambda: next(clock))
    meter.watch("git", {"operation": "push"})(None, {})
    meter.watch("git", {"operation": "push"})(OSError(), {})
    meter.watch("something else", {})(None, {})
    assert [
        (name, labels, spread.seconds) for name, labels, spread in meter.series() if isinstance(spread, Spread)
    ] == [
        ("git_duration_seconds", ("push", "failed"), 10.3 - 10.0),
        ("git_duration_seconds", ("push", "succeeded"), 2.0),
    ]
