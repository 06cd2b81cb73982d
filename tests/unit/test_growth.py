"""What a small document can make the validator do: no more than its size allows. Calls are counted, and not seconds."""

import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

import pytest
import yaml

from engine.checks import selections, times, windows
from engine.compile import Compiled, compile_files
from engine.times import rrule, ruledays
from engine.userschema import Problem, faults_of, problems_of
from opsconductor.report.facts import Report
from opsconductor.report.text import as_text
from schemas.diagnostic import Diagnostic
from schemas.places import Layout, Places
from schemas.reader import read
from schemas.span import Span

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
AT_MOST = 8
"""Times the calls, for four times the size: linear would be 4, quadratic 16."""
TOO_LONG = "to compare it with its schema takes too long; make the schema simpler, or the value smaller"


def calls(work: Callable[[], object]) -> int:
    """How many functions are called meanwhile, those of libraries too."""
    number = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return number


def _all_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"allOf": [{"minimum": -n} for n in range(size)]}}, [1] * size


def _any_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"anyOf": [{"minimum": n + 2} for n in range(size)]}}, [1] * size


def _one_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"oneOf": [{"minimum": n + 1} for n in range(size)]}}, [1] * size


def _contains(size: int) -> tuple[dict[str, Any], Any]:
    return {"allOf": [{"contains": {"const": -n - 1}} for n in range(size // 2)]}, [1] * size


def _conditional(size: int) -> tuple[dict[str, Any], Any]:
    asked = [{"if": {"minimum": n + 2}, "then": False} for n in range(size // 2)]
    return {"items": {"allOf": asked}}, [1] * size


def _properties(size: int) -> tuple[dict[str, Any], Any]:
    wanted = {"properties": {f"p{n}": {"type": "integer"} for n in range(size)}}
    return {"items": wanted}, [{f"p{n}": 1} for n in range(size)]


def _enum(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"enum": [f"x{n}" for n in range(size)]}}, [f"x{size - 1}"] * size


def _unique(size: int) -> tuple[dict[str, Any], Any]:
    return {"allOf": [{"uniqueItems": True}] * size}, list(range(size))


COMPARED = {
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "contains": _contains,
    "if": _conditional,
    "properties": _properties,
    "enum": _enum,
    "uniqueItems": _unique,
}


@pytest.mark.parametrize("shape", COMPARED)
def test_a_value_is_compared_in_steps_linear_in_it(shape: str) -> None:
    """Whatever the schema: `size` schemas times `size` values come to an end before all are compared."""

    def compared(size: int) -> int:
        schema, value = COMPARED[shape](size)
        assert problems_of(schema) == ()
        return calls(lambda: faults_of(schema, value))

    compared(2)
    assert compared(480) <= AT_MOST * compared(120)


def test_what_is_not_compared_to_the_end_does_not_fit() -> None:
    schema, value = _all_of(900)

    assert faults_of(schema, value) == (((), TOO_LONG),)
    assert faults_of(schema, value[:3]) == ()


def test_long_lists_of_what_is_one_of_many_are_ordinary() -> None:
    schema, value = _enum(5_000)

    assert faults_of(schema, value) == ()
    assert [path for path, _ in faults_of(schema, [*value, "y"])] == [(5_000,)]


@pytest.mark.parametrize("keyword", ["required", "type", "dependentRequired"])
def test_a_schema_is_judged_in_steps_linear_in_it(keyword: str) -> None:
    """Keys that cannot be sorted would be told apart one by one."""

    def judged(size: int) -> int:
        keys = [key for n in range(size) for key in (str(n), n)]
        schema = {"items": {keyword: {"a": keys} if keyword == "dependentRequired" else keys}}
        found: list[Problem] = []
        number = calls(lambda: found.extend(problems_of(schema)))
        assert len(found) == 1
        return number

    judged(2)
    assert judged(400) <= AT_MOST * judged(100)


def _windows_and_schedules(size: int) -> str:
    documents = ["kind: Job\nmetadata: {name: j}\nspec: {steps: [{run: 'true'}]}\n"]
    for n in range(size):
        clock = f"cron: '{n} 1 * * *', timeZone: UTC"
        documents.append(f"kind: Window\nmetadata: {{name: w{n}}}\nspec: {{effect: deny, {clock}, duration: 1m}}\n")
        documents.append(f"kind: Schedule\nmetadata: {{name: s{n}}}\nspec: {{jobRef: j, {clock}}}\n")
    return "---\n".join(f"apiVersion: opsconductor/v1\n{one}" for one in documents)


def test_looks_at_windows_are_shared_by_all_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is always blocked, so that each would be looked for through years."""
    monkeypatch.setattr(windows, "MOST_ASKED", 10_000)  # spent sooner

    def compiled(size: int) -> int:
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read(_windows_and_schedules(size).encode(), "a.yaml")]
        return calls(lambda: compile_files("c0ffee", files))

    compiled(1)
    assert compiled(12) <= AT_MOST * compiled(3)


@pytest.mark.parametrize(("duration", "zone"), [("25h", "UTC"), ("25h", "Europe/Berlin"), ("24h", "Europe/Berlin")])
def test_windows_that_always_block_cost_little_each(duration: str, zone: str) -> None:
    """Whether a change of clocks interrupts one takes no walk over years of its starts."""

    def compiled(size: int) -> int:
        texts = ["kind: Job\nmetadata: {name: j}\nspec: {steps: [{uses: dummy}]}\n"]
        for n in range(size):
            clock = f"cron: '{n} 1 * * *', timeZone: {zone}"
            texts.append(
                f"kind: Window\nmetadata: {{name: w{n}}}\nspec: {{effect: deny, {clock}, duration: {duration}}}\n"
            )
            texts.append(
                f"kind: Schedule\nmetadata: {{name: s{n}}}\nspec: {{jobRef: j, cron: '{n} 3 * * *', timeZone: UTC}}\n"
            )
        text = "---\n".join(f"apiVersion: opsconductor/v1\n{one}" for one in texts)
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a.yaml")]
        number = calls(lambda: found.append(compile_files("c0ffee", files)))
        assert [one.code for one in found[-1].findings] == ["OC506"] * size
        return number

    found: list[Compiled] = []
    compiled(2)
    assert (compiled(50) - compiled(10)) / 40 < 2_500


def test_windows_are_told_apart_for_as_many_schedules_as_the_purse_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of other jobs cost little, and yet many of them times many schedules do not."""
    monkeypatch.setattr(windows, "MOST_ASKED", 200)

    def compiled(size: int) -> int:
        clock = "cron: '0 1 * * *', timeZone: UTC"
        texts = [f"kind: Job\nmetadata: {{name: j{n}}}\nspec: {{steps: [{{uses: dummy}}]}}\n" for n in range(size)]
        for n in range(size):
            spec = f"{{effect: deny, {clock}, duration: 1m, jobs: {{names: [j0]}}}}"
            texts.append(f"kind: Window\nmetadata: {{name: w{n}}}\nspec: {spec}\n")
            texts.append(f"kind: Schedule\nmetadata: {{name: s{n}}}\nspec: {{jobRef: j{n}, {clock}}}\n")
        text = "---\n".join(f"apiVersion: opsconductor/v1\n{one}" for one in texts)
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a.yaml")]
        return calls(lambda: compile_files("c0ffee", files))

    compiled(2)
    assert compiled(80) <= AT_MOST * compiled(20)


def test_rules_that_never_come_share_the_years_that_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "YEARS_LOOKED", 400)

    def compiled(rule: str, size: int) -> tuple[int, int]:
        head = "apiVersion: opsconductor/v1\n"
        texts = [f"{head}kind: Job\nmetadata: {{name: j}}\nspec: {{steps: [{{uses: dummy}}]}}\n"]
        for n in range(size):
            spec = f"{{jobRef: j, rrule: '{rule};BYMINUTE={n}', timeZone: UTC}}"
            texts.append(f"{head}kind: Schedule\nmetadata: {{name: s{n}}}\nspec: {spec}\n")
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read("---\n".join(texts).encode(), "a.yaml")]
        found: list[Compiled] = []
        number = calls(lambda: found.append(compile_files("c0ffee", files)))
        return number, sum(one.code == "OC504" for one in found[0].findings)

    compiled("FREQ=WEEKLY", 1)
    never, often = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;BYSETPOS=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"
    few, said = compiled(never, 10)
    assert said == 10
    many, said = compiled(never, 40)
    assert said == 0
    assert many - compiled(often, 40)[0] <= 2 * (few - compiled(often, 10)[0])


def test_many_globs_are_not_compared_with_each_of_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "MOST_COMPARED", 100)  # sooner

    def compiled(size: int) -> int:
        user = "kind: User\nmetadata: {name: u}\n"
        paths = ", ".join(f"'**/x{n}*'" for n in range(size))
        rule = f"{{subjects: [u], verbs: [run], objects: {{paths: [{paths}]}}}}"
        policy = f"kind: Policy\nmetadata: {{name: p}}\nspec: {{rules: [{rule}]}}\n"
        job = "kind: Job\nmetadata: {{name: j{}}}\nspec: {{steps: [{{uses: dummy}}]}}\n"
        texts = [user, policy, *map(job.format, range(size))]
        files = [read(f"apiVersion: opsconductor/v1\n{one}".encode(), f"{n}.yaml") for n, one in enumerate(texts)]
        return calls(lambda: compile_files("c0ffee", [read(PROJECT.encode(), "opsconductor.yaml"), *files]))

    compiled(2)
    assert compiled(80) <= AT_MOST * compiled(20)


def test_networks_are_excluded_in_steps_linear_in_their_number() -> None:
    def compiled(size: int) -> int:
        networks = [f"10.{n // 200}.{n % 200}.0/25" for n in range(size)]
        excluded = [f"11.{n // 200}.{n % 200}.0/25" for n in range(size)]
        spec = yaml.safe_dump({"networks": networks, "exclude": excluded}, default_flow_style=True)
        text = f"apiVersion: opsconductor/v1\nkind: Discovery\nmetadata: {{name: d}}\nspec: {spec}"
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a.yaml")]
        return calls(lambda: compile_files("c0ffee", files))

    compiled(2)
    assert compiled(400) <= AT_MOST * compiled(100)


class Walked(tuple[Diagnostic, ...]):
    """Findings that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[Diagnostic]:
        self.times += 1
        return super().__iter__()


def test_findings_are_gone_through_as_often_for_many_files_as_for_one() -> None:
    def walked(files: int) -> int:
        spans = [Span(f"{n}.yaml", 1, 1, 1, 2) for n in range(files)]
        findings = Walked(Diagnostic(span, code, "x") for span in spans for code in ("OC104", "OC605"))
        sources = {span.file: b"secret" for span in spans}
        shown = as_text(Report(Compiled(None, (), findings, files), sources))
        assert shown.count("| *ecret") == 2 * files
        return findings.times

    assert walked(50) == walked(1)


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "columns"),
    [
        (r'a: "par\x61ms.zz ${{ params.zz }} params.zz"', (4, 45)),  # which of them is not written is not known
        (r'a: "\t ${{ params.zz }} params.zz"', (12, 21)),
        ("a: 'it''s ${{ params.zz }}'", (15, 24)),
    ],
)
def test_the_place_of_a_part_of_a_text_with_escapes(written: str, columns: tuple[int, int]) -> None:
    """The part itself, or the whole text where an escape hides one of its turns: never another one."""
    text = yaml.safe_load(written)["a"]
    offset = text.index("${{ params.zz") + len("${{ ")

    span = Places(Layout(written.encode()), 0).span_within("a.yaml", ("a",), offset, len("params.zz"))

    assert (span.column, span.end_column) == columns


# --- rules ------------------------------------------------------------------------------------------------------------


def test_a_rule_that_no_day_meets_is_not_looked_for() -> None:
    def compiled(rule: str) -> int:
        job = "kind: Job\nmetadata: {name: j}\nspec: {steps: [{uses: dummy}]}\n"
        spec = f"{{jobRef: j, rrule: '{rule}', timeZone: UTC}}"
        schedule = f"kind: Schedule\nmetadata: {{name: s}}\nspec: {spec}\n"
        text = "---\n".join(f"apiVersion: opsconductor/v1\n{one}" for one in (job, schedule))
        files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a.yaml")]
        return calls(lambda: compile_files("c0ffee", files))

    compiled("FREQ=DAILY")
    never = compiled("FREQ=DAILY;BYMONTHDAY=31;BYMONTH=2,4,6,9,11")
    assert never <= 4 * compiled("FREQ=DAILY;BYMONTHDAY=30;BYMONTH=4,6,9,11")


def test_days_of_months_that_a_rule_does_not_name_are_passed_over() -> None:
    rule = rrule.parse("FREQ=DAILY;INTERVAL=3;BYMONTH=2")
    start = date(2026, 1, 1)
    found = list(islice(ruledays.periods(rule, start, start), 60))

    every = ((n, start + timedelta(days=3 * n)) for n in range(10_000))
    assert [(n, first) for n, first, _ in found] == list(islice((one for one in every if one[1].month == 2), 60))
