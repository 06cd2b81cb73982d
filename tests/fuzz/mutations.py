"""Seeded changes to inputs: the same seed, the same inputs, on every machine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from types import MappingProxyType

CORPUS = Path(__file__).parent / "corpus"

TOKENS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "guard": (
            *"-?:,[]{}#&*!|>'\"%@`~<\n\t\r ",
            "---\n", "...\n", "- ", ": ", "? ", "<<: ", "&a ", "*a", "!!str ",
            "!<x> ", "%YAML 1.2\n", "|\n  ", ">-\n  ",
            "\u2028", "\x85", "\ufeff", "0o7", "0x1f", "1e999", ".inf", ".nan", "-0",
            "007", "null", "true", "\\u0000", "\\ud800", "\\x41", "\n  ", "\n",
        ),
        "reader": (
            "apiVersion: opsconductor/v1\n", "kind: Job\n", "kind: Schedule\n", "kind: Target\n", "kind: Workflow\n",
            "kind: Credential\n", "kind: RunRequest\n", "metadata: {name: a}\n", "spec:\n", "---\n", "  ", "- ", ": ",
            "{", "}", "[", "]", "null", "true", "1", "''", "${{ ", " }}", "steps", "run", "uses", "with", "targets",
            "names", "selector", "params", "timeout: 5m", "cron", "every", "env", "outputs", "if", "secrets", "type",
            "$ref", "pattern", "needs", "approval", "wait", "\n",
        ),
        "expression": (
            *"()[]{}.,:?!+-*/%<>='\"\\ ", "${{", "}}", "&&", "||", "==", "!=", "<=", "in", "params", "steps", "target",
            ".map(x, ", ".all(x, ", ".exists_one(x,", "has(", "size(", "int(", "matches(", "r'", "b'", "'''", "true",
            "null", "1u", "0x1", "1e9", "\\u0041", "\\U0010ffff", "\ud7ff", "é", "\n", "//",
        ),
        "cron": (
            *"0123456789*,-/?#@=LWH \t", "JAN", "mon", "SUN", "59", "23", "31", "12", "60", "*/", "1-5", "@daily",
            "L-3", "5#2", "15W", "TZ=", "٣", "\n", "0-0",
        ),
        "quantity": (
            *"0123456789dhmsTZzt:+-. ", "1h30m", "2026-12-01", "T00:00:00Z", "+23:59", "0001-01-01", "9999-12-31",
            "999999", "999999999", "٣", "²", "ms", "-1s", "\n", "24:00:00",
        ),
        "shell": (
            *"'\"`$\\(){}[]<>|&;#!*?~= \t\n", "${{ params.a }}", "${{ a", "}}", "<<E\n", "\nE\n", "<<'E'\n", "<<-E\n",
            "$((", "))", "$(", "${x:-", "eval ", "sh -c ", "case x in ", " esac", "if ", "then ", "fi\n", "for x in ",
            "do ", "done", "() {", "$'", "[[ ", " ]]", "<(", "trap ", "exec ", "xargs ", "\\\n", "f'", '"""', "@'\n",
            "\n'@", "\ue000",
        ),
        "params": (
            "type: ", "object", "string", "integer", "[", "]", "{", "}", ": ", ", ", "properties", "items", "$ref",
            "#/", "$defs", "#", "allOf", "anyOf", "not", "pattern", "(a+)+$", "(?=a)", "\\1",
            "http://a/b", "file:///etc",
            "required", "minimum", "1e308", "-1", "enum", "const", "format", "uniqueItems", "default", "schema",
            "value", "multipleOf", "0", "true", "null",
        ),
        "calendarfile": (
            "BEGIN:VCALENDAR\r\n", "END:VCALENDAR\r\n", "BEGIN:VEVENT\r\n", "END:VEVENT\r\n", "BEGIN:VTIMEZONE\r\n",
            "END:VTIMEZONE\r\n", "BEGIN:STANDARD\r\n", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE",
            "RECURRENCE-ID", "TZID", "UID", "STATUS:CANCELLED", ";VALUE=DATE", ";VALUE=PERIOD", ";TZID=Europe/Berlin",
            ":", ";", ",", "=", "\"", "/", "\r\n", "\n ", "20261224", "T100000", "Z", "00010101", "99991231T235959",
            "FREQ=DAILY", "FREQ=SECONDLY", "COUNT=99999999", "UNTIL=", "INTERVAL=", "BYDAY=", "P9999999999D", "-P1D",
            "PT", "+9999", "٣", "\x00", "\ufeff",
        ),
    }
)  # fmt: skip
"""Words that mean something to a target."""


def corpus(target: str) -> tuple[bytes, ...]:
    """The inputs kept for a target: seeds, and whatever once broke a promise. Sorted by file name."""
    return tuple(path.read_bytes() for path in sorted((CORPUS / target).iterdir()))


def mutated(target: str, seed: int, count: int) -> Iterator[bytes]:
    """`count` inputs made from the corpus by up to eight changes each."""
    random, seeds = Random(f"{target} {seed}"), corpus(target)
    words = [word.encode("utf-8", "surrogatepass") for word in TOKENS[target]]
    for _ in range(count):
        data = bytearray(random.choice(seeds)[:4096])
        for _ in range(random.randint(1, 8)):
            _change(data, random, words, seeds)
        yield bytes(data)


def _change(data: bytearray, random: Random, words: Sequence[bytes], seeds: Sequence[bytes]) -> None:
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64)))
    match random.randrange(7):
        case 0:
            data[at:at] = random.choice(words)
        case 1:
            data[at:end] = random.choice(words)
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = bytes(data[at:end]) * random.choice((1, 2, 8, 40))
        case 4:
            data[at:end] = random.randbytes(random.randint(1, 3))
        case 5:
            other = random.choice(seeds)
            start = random.randint(0, len(other))
            data[at:end] = other[start : start + 200]
        case _:
            data[at:end] = random.choice((b"\xff", b"\x00", b"\xc2\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"9" * 30))
