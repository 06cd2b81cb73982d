"""Cron around odd changes of clocks, beside golden tables that an oracle has made which looks at every minute."""

from typing import Any

import pytest
import yaml

from engine.times import recurrence
from schemas.schedule import ScheduleSpec
from tests.golden_times import CHANGES, EXPRESSIONS, FILE, SETTINGS, shown, span, written

TABLE: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(FILE.read_text())
RRULES = {
    "30 2 * * *": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0",
    "0 0 * * *": "FREQ=DAILY;BYHOUR=0;BYMINUTE=0;BYSECOND=0",
    "59 23 * * *": "FREQ=DAILY;BYHOUR=23;BYMINUTE=59;BYSECOND=0",
    "15 0,1,2,3 * * *": "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=15;BYSECOND=0",
    "*/30 1-3 * * *": "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30;BYSECOND=0",
    "*/20 * * * *": "FREQ=HOURLY;BYMINUTE=0,20,40;BYSECOND=0",
    "45 * * * *": "FREQ=HOURLY;BYMINUTE=45;BYSECOND=0",
    "0 3 * * SUN": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=3;BYMINUTE=0;BYSECOND=0",
    "5 1 * * MON-FRI": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=1;BYMINUTE=5;BYSECOND=0",
    "0 12 * * *": "FREQ=DAILY;BYHOUR=12;BYMINUTE=0;BYSECOND=0",
}


def of_engine(zone: str, change: str, gap: str, fold: str, **clock: str) -> str:
    spec = ScheduleSpec.model_validate({"jobRef": "j", "timeZone": zone, "dst": {"gap": gap, "fold": fold}, **clock})
    return " ".join(shown(one, zone) for one in recurrence.instants(spec, *span(change)))


def expected(row: dict[str, str], gap: str, fold: str) -> str:
    return next(found for keys, found in row.items() if keys == "any" or f"{gap}/{fold}" in keys.split())


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_cron_is_due_as_the_table_says(zone: str, change: str) -> None:
    rows = TABLE[f"{zone} {change}"]
    cases: list[Any] = [(text, gap, fold) for text in EXPRESSIONS for gap, fold in SETTINGS]
    found = {(text, gap, fold): of_engine(zone, change, gap, fold, cron=text) for text, gap, fold in cases}
    assert found == {(text, gap, fold): expected(rows[text], gap, fold) for text, gap, fold in cases}


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_rules_of_the_same_times_are_due_then_too(zone: str, change: str) -> None:
    rows = TABLE[f"{zone} {change}"]
    for text, rule in RRULES.items():
        for gap, fold in SETTINGS:
            assert of_engine(zone, change, gap, fold, rrule=rule) == expected(rows[text], gap, fold), (text, gap, fold)


def test_every_change_is_one_and_there_are_enough() -> None:
    """A clock that does not change would prove nothing."""
    assert len({zone for zone, _ in CHANGES}) >= 15
    assert len(EXPRESSIONS) == 12
    steady = [name for name, rows in TABLE.items() if len(rows["*/20 * * * *"]["any"].split()) < 12]
    assert steady == []
    for name, rows in TABLE.items():
        offsets = {moment[-6:] for moment in rows["*/20 * * * *"]["any"].split()}
        assert len(offsets) == 2, name


@pytest.mark.slow
def test_the_table_is_what_the_oracle_sees() -> None:
    assert FILE.read_text() == written()
