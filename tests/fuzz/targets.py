"""The targets: each takes any bytes, and fails when a promise about hostile input is broken."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any

import yaml

from engine.compile import compile_files
from engine.expressions.expression import ExpressionError, Hole, Literal, compile_text, condition_text, split
from engine.scripts.binding import Bound, bind
from engine.times.calendarfile import CalendarFileError
from engine.times.calendarfile import read as read_calendar
from engine.times.cron import CronError, parse
from engine.userschema import faults_of, problems_of
from schemas.characters import lines_of
from schemas.diagnostic import Diagnostic, in_order
from schemas.guard import MAX_FINDINGS, NOTHING, load
from schemas.quantities import format_duration, format_instant, parse_duration, parse_instant
from schemas.reader import plain, read
from tests.fuzz.plainvalues import expected

Target = Callable[[bytes], None]


def guard(data: bytes) -> None:
    """Bytes are documents or findings; and documents are what a slower loader makes of them."""
    loaded = load(data, "x")
    _in_the_text(loaded.findings, data)
    assert not (loaded.documents and loaded.findings)
    if loaded.findings:
        return
    try:
        nodes = list(yaml.compose_all(data.decode(), Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return  # PyYAML's own scanner refuses a few texts that libyaml reads, such as a tab after a dash
    ours = [None if value is NOTHING else value for value in loaded.documents]
    theirs = [expected(node) for node in nodes]
    assert _same(ours, theirs), f"{ours!r} is not {theirs!r}"


def reader(data: bytes) -> None:
    """A file is documents and findings, all with places in it; and so is a commit that holds nothing else."""
    parsed = read(data, "x.yaml")
    _in_the_text(parsed.findings, data)
    assert parsed.findings == in_order(parsed.findings)
    assert parsed.about_acts <= frozenset(parsed.findings)
    for authored in parsed.documents:
        for path in _paths(authored.document.to_json()):
            _in_the_text(
                (Diagnostic(authored.span(*path), "", ""), Diagnostic(authored.span(*path, key=True), "", "")), data
            )
    compiled = compile_files("c0ffee", [parsed])
    _in_the_text((found for found in compiled.findings if found.span.file == "x.yaml"), data)
    assert compiled.findings == compile_files("c0ffee", [parsed]).findings


def expression(data: bytes) -> None:
    """A text is an expression or an ExpressionError that points into it."""
    text = _text(data)
    for read_text in (compile_text, condition_text, split):
        try:
            found = read_text(text)
        except ExpressionError as error:
            assert str(error)
            assert 0 <= error.offset <= len(text)
            assert error.length >= 0
            continue
        if read_text is split:
            parts = [part for part in found if isinstance(part, Literal | Hole)]
            assert "".join(_written(part, text) for part in parts) == text
        elif read_text is compile_text:
            for reference in found.occurrences:  # type: ignore[union-attr]
                assert 0 <= reference.offset < reference.offset + reference.length <= len(text)


def cron(data: bytes) -> None:
    """A text is a cron line whose times are those of its fields, or a CronError that points into it."""
    text = _text(data)
    try:
        found = parse(text)
    except CronError as error:
        assert error.message
        assert error.hint
        assert 0 <= error.offset <= len(text)
        return
    start = datetime(2024, 2, 27, 23, 58)  # noqa: DTZ001 -- wall time
    walls = list(islice(found.walls(start), 200))
    assert walls == sorted(set(walls))
    for wall in walls:
        assert wall >= start
        assert wall.minute in found.minutes and wall.hour in found.hours and wall.month in found.months
        assert _day_fits(found.days, found.weekdays, wall)
    for back in range(1, 3 * 1440):  # nothing is left out before the first
        if walls and (minute := walls[0] - timedelta(minutes=back)) >= start:
            fits = minute.minute in found.minutes and minute.hour in found.hours and minute.month in found.months
            assert not (fits and _day_fits(found.days, found.weekdays, minute))


def quantity(data: bytes) -> None:
    """A text is a duration, an instant, or a ValueError that says how to write one; what is written is read again."""
    text = _text(data)
    for read_text, write in ((parse_duration, format_duration), (parse_instant, format_instant)):
        try:
            value: Any = read_text(text)
        except ValueError as error:
            assert str(error)
            continue
        again: Any = read_text(write(value))  # type: ignore[operator]
        # what the engine writes of an instant is exact to the millisecond
        assert abs(again - value) < timedelta(milliseconds=1)


def shell(data: bytes) -> None:
    """A script with expressions is bound, each as its variable and nothing else changed, or refused at its places."""
    text = _text(data)
    try:
        holes = [part for part in split(text) if isinstance(part, Hole)]
    except ExpressionError:
        holes = []
    for name in ("sh", "bash", "python3", "powershell", "cmd"):
        bound = bind(text, name)  # type: ignore[arg-type]
        if isinstance(bound, Bound):
            assert bound.holes == tuple(hole.cel for hole in holes)
            _only_variables_differ(text, holes, bound.text, name)
        else:
            assert bound
            for error in bound:
                assert error.message
                assert 0 <= error.offset <= error.offset + error.length <= len(text)


def params(data: bytes) -> None:
    """A mapping is a schema or problems with it; any value against it gives faults, and nothing is fetched."""
    try:
        value = plain(_text(data))
    except ValueError:
        return
    if not isinstance(value, dict):
        return
    schema = value.get("schema")
    if not isinstance(schema, dict):
        schema = value
    problems = problems_of(schema)
    assert all(problem.message for problem in problems)
    faults = faults_of(schema, value.get("value"))
    assert not (problems and faults)


def calendarfile(data: bytes) -> None:
    """Bytes are a calendar, of which each day can be asked in any zone, or a CalendarFileError in one short line."""
    try:
        file = read_calendar(data)
    except CalendarFileError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 500
        return
    for zone in ("UTC", "Pacific/Apia"):
        for day in (date(1, 1, 1), date(2026, 12, 24), date(9999, 12, 31)):
            assert file.holds(day, zone) in (True, False)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {found.__name__: found for found in (guard, reader, expression, cron, quantity, shell, params, calendarfile)}
)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _in_the_text(findings: Any, data: bytes) -> None:
    lines = lines_of(data.decode("utf-8", "replace"))
    found = tuple(findings)
    assert len(found) <= MAX_FINDINGS + 500
    for finding in found:
        span = finding.span
        assert 1 <= span.line <= span.end_line <= len(lines), (finding, len(lines))
        assert (span.line, span.column) <= (span.end_line, span.end_column), finding
        assert 1 <= span.column <= len(lines[span.line - 1]) + 2, finding


def _paths(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield above
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*above, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, (*above, index))


def _same(ours: Any, theirs: Any) -> bool:
    """Equal in type and value, and floats as floats."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return bool(ours == theirs)


def _written(part: Literal | Hole, text: str) -> str:
    return part.text if isinstance(part, Literal) else text[part.offset : part.offset + part.length]


def _day_fits(days: tuple[int, ...] | None, weekdays: tuple[int, ...] | None, wall: datetime) -> bool:
    by_day = None if days is None else wall.day in days
    by_weekday = None if weekdays is None else wall.isoweekday() % 7 in weekdays
    if by_day is None or by_weekday is None:
        return by_day is not False and by_weekday is not False
    return by_day or by_weekday


def _only_variables_differ(text: str, holes: list[Hole], bound: str, shell_name: str) -> None:
    pattern, position = "", 0
    variable = {"python3": "OC{0}", "powershell": r"\$?OC{0}|\$\{{OC{0}\}}|\$\(\$OC{0}\)"}
    for number, hole in enumerate(holes, start=1):
        form = variable.get(shell_name, r'"\$\{{OC{0}\}}"|\$\{{OC{0}\}}').format(number)
        pattern += f"{re.escape(text[position : hole.offset])}(?:{form})"
        position = hole.offset + hole.length
    assert re.fullmatch(pattern + re.escape(text[position:]), bound, re.DOTALL), bound
