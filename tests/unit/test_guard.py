"""Bytes that are refused before anything is built from them, and what YAML means where it is read."""

import tracemalloc
from collections.abc import Callable
from time import process_time

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.characters import MAX_BYTES
from schemas.guard import MAX_DOCUMENTS, MAX_FINDINGS, MAX_NODES, MAX_SCALAR, guard, load
from schemas.reader import plain, read
from schemas.scalars import Refused, resolve

REFUSED = {
    "UTF-16 with a mark": ("a: 1".encode("utf-16"), "1:1 OC101"),
    "UTF-16 without a mark": ("a: 1".encode("utf-16-le"), "1:2 OC101"),
    "UTF-32": ("a: 1".encode("utf-32-be"), "1:1 OC101"),
    "Latin-1": (b"a: 1\nb: caf\xe9\n", "2:7 OC101"),
    "an overlong form": (b"a: \xc0\xaf", "1:4 OC101"),
    "a lone surrogate": (b"a: \xed\xa0\x80", "1:4 OC101"),
    "a byte order mark": (b"\xef\xbb\xbfa: 1", "1:1 OC102"),
    "a byte order mark within": ("a: x\ufeffy".encode(), "1:5 OC102"),
    "a zero byte": (b"a: 1\nb: x\0y\n", "2:5 OC103"),
    "an escaped zero byte": (b'a: "x\\0y"\n', "1:4 OC103"),
    "an escape character": (b"a: \x1b[1m", "1:4 OC103"),
    "a control character of the upper half": ("a: \x9b".encode(), "1:4 OC103"),
    "text turned round": ("é: x\u202ey".encode(), "1:5 OC118"),
    "text turned round in a comment": ("a: 1 # \u2066x\u2069".encode(), "1:8 OC118"),
    "a line separator": ("é: x\u2028y".encode(), "1:5 OC117"),
    "a next line": ("a: x\x85y".encode(), "1:5 OC117"),
    "an open list": (b"a: [1, 2\n", "1:9 OC104"),
    "a tab": (b"a:\n\tb: 1\n", "2:1 OC104"),
    "an alias of nothing": (b"a: *b\n", "1:4 OC105"),
    "an anchor": (b"a: &b 1\n", "1:4 OC105"),
    "an anchor on a list": (b"a: &b [1]\n", "1:4 OC105"),
    "a billion laughs": (b"a: &a [x]\nb: &b [*a,*a]\n", "1:4 OC105,2:4 OC105,2:8 OC105,2:11 OC105"),
    "an alias of itself": (b"&a [*a]\n", "1:1 OC105,1:5 OC105"),
    "an alias as a key": (b"a: 1\n*x : 2\n", "2:1 OC105"),
    "a merge key": (b"a: 1\n<<: {b: 1}\n", "2:1 OC106"),
    "a tag": (b"a: !!str 1\n", "1:4 OC107"),
    "a tag that runs code elsewhere": (b"a: !!python/object/apply:os.system [ls]\n", "1:4 OC107"),
    "a tag of one's own": (b"!x {a: 1}\n", "1:1 OC107"),
    "the tag that says none": (b"a: ! 1\n", "1:4 OC107"),
    "a directive of YAML 1.1": (b"%YAML 1.1\n---\na: 1\n", "1:1 OC107"),
    "a directive of tags": (b"%TAG ! tag:x,2000:\n---\na: 1\n", "1:1 OC107"),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "3:1 OC108"),
    "a key twice, once in quotes": (b'a: 1\n"a": 3\n', "2:1 OC108"),
    "a key twice, below": (b"x: [{k: 1, k: 2}]\n", "1:12 OC108"),
    "a number as a key": (b"1: x\n", "1:1 OC109"),
    "a list as a key": (b"? [a]\n: b\n", "1:3 OC109"),
    "no key": (b": x\n", "1:1 OC104"),
    "an empty key": (b"? ~\n: x\n", "1:3 OC109"),
    "a leading zero": (b"a: 007\n", "1:4 OC110"),
    "a leading zero with a sign": (b"a: -01\n", "1:4 OC110"),
    "a leading zero in a fraction": (b"a: 01.5\n", "1:4 OC110"),
    "a leading zero in a key": (b"01: x\n", "1:1 OC110"),
    "infinity": (b"a: -.inf\n", "1:4 OC111"),
    "not a number": (b"a: .NaN\n", "1:4 OC111"),
    "65 bits": (b"a: 9223372036854775808\n", "1:4 OC111"),
    "a number of 100,000 digits": (b"a: " + b"9" * 100_000, "1:4 OC111"),
    "a fraction that overflows": (b"a: 1e999\n", "1:4 OC111"),
    "depth 65": (b"[" * 65 + b"]" * 65, "1:65 OC112"),
    "depth 30,000 of lists": (b"[" * 30_000, "1:65 OC112"),
    "depth 30,000 of mappings": (b"{a: " * 30_000, "1:257 OC112"),
    "depth 30,000 of dashes": (b"- " * 30_000, "1:129 OC112"),
    "too many nodes": (b"[" + b"a," * MAX_NODES + b"]", f"1:{MAX_NODES * 2} OC113"),
    "too many documents": (b"--- a\n" * (MAX_DOCUMENTS + 1), f"{MAX_DOCUMENTS + 1}:1 OC114"),
    "too many documents among empty ones": (b"---\n--- {}\n" * (MAX_DOCUMENTS + 1), f"{2 * MAX_DOCUMENTS + 2}:1 OC114"),
    "too long a text": (b"a: " + b"x" * (MAX_SCALAR + 1), "1:4 OC115"),
    "too large a file": (b"#" * (MAX_BYTES + 1), "1:1 OC116"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_at_its_place(data: bytes, expected: str) -> None:
    found = guard(data, "x")

    assert ",".join(f"{f.span.line}:{f.span.column} {f.code}" for f in found) == expected
    assert all(f.message for f in found)
    assert read(data, "x").documents == ()


def test_both_places_of_a_key_given_twice_are_named() -> None:
    (found,) = guard(b"a: 1\nb: 2\na: 3\n", "x")

    assert "line 1, column 1" in found.message
    assert [str(other.span) for other in found.related] == ["x:1:1"]


@pytest.mark.parametrize("limit", [64, 1])
def test_what_is_within_the_limits_is_read(limit: int) -> None:
    assert guard(b"[" * limit + b"]" * limit, "x") == ()


WITHIN = {
    "nodes": b"[" + b"a," * (MAX_NODES - 2) + b"a]",
    "documents": b"--- a\n" * MAX_DOCUMENTS,
    "documents among empty ones": b"---\n---\n# none\n--- [a]\n" * MAX_DOCUMENTS + b"---\n" * 1000,
    "a text": b"a: " + b"x" * MAX_SCALAR,
    "bytes": b"a: 1\n".ljust(MAX_BYTES, b"#"),
}


@pytest.mark.parametrize("data", WITHIN.values(), ids=WITHIN)
def test_a_limit_itself_is_allowed(data: bytes) -> None:
    assert guard(data, "x") == ()


def _tags(size: int) -> bytes:
    return b"".join(b"%%TAG !%06d! a\n" % number for number in range(size // 18)) + b"--- a\n"


def _apart(size: int) -> bytes:
    """The same, with what libyaml passes over between them."""
    between = (b"", b"# one\n", b"\r\n", b"  \n")
    tags = (b"%%TAG !%06d! a\n%b" % (number, between[number % 4]) for number in range(size // 21))
    return b"".join(tags) + b"--- a\n"


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda size: b"[" * size,
    "braces": lambda size: b"{" * size,
    "open quotes": lambda size: b"'" + b"\n" * (size - 1),
    "questions": lambda size: b"? " * (size // 2),
    "dashes": lambda size: b"- " * (size // 2),
    "colons": lambda size: b":" * size,
    "comments": lambda size: b"#\n" * (size // 2),
    "many errors": lambda size: b"[" + b"&a *a," * (size // 7),
    "keys twice": lambda size: b"a: 1\n" * min(size // 5, 24_000),
    "documents": lambda size: b"---\n" * (size // 4),
    "folded": lambda size: b"a: >\n" + b" x\n" * min(size // 3, 80_000),
    "wide": lambda size: b"{" + b"".join(b"k%d: 1," % n for n in range(min(size // 11, 24_000))) + b"}",
    "percent": lambda size: b"%" * size,
    "tags": lambda size: b"!" * size,
    "spaces": lambda size: b" " * size,
    "deep and wide": lambda size: b"[" * 63 + b"[]," * min(size // 4, 20_000) + b"]" * 63,
    "directives": _tags,
    "directives apart": _apart,
    "directives among bytes that are refused": lambda size: b"# \x01\n" + _tags(size),
    "a long prefix": lambda size: b"%TAG !a! " + b"x" * (size // 2) + b"\n--- [" + b"!a!b c," * (size // 14) + b"]",
}
_AT_FAULT = b"kind: Nope\n...\n"
"""A document before: that places are asked for, and the whole file is laid out."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name: str) -> None:
    """Four times the size takes four times as long, and not sixteen times."""
    part, whole = (_AT_FAULT + HOSTILE[name](size) for size in (MAX_BYTES // 5, MAX_BYTES // 5 * 4))

    few, many = _seconds(part), _seconds(whole)

    assert many < 8 * few + 0.05


def _seconds(data: bytes) -> float:
    """Of the processor, to read it: the least of several tries."""
    best = float("inf")
    for _ in range(4):
        start = process_time()
        read(data, "x")
        best = min(best, process_time() - start)
    return best


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_little_memory(name: str) -> None:
    data = HOSTILE[name](MAX_BYTES - 100)
    tracemalloc.start()

    found = guard(data, "x")

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) <= MAX_FINDINGS
    assert peak < 100 * 1024 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n" + "  %TAG !a! x\n" * 100,
        "a: |\n" + " %TAG !a! x\n" * 100,
        "a: '" + "%TAG !a! x\n\nb\n\n" * 100 + "'",
        "a: '" + "%!PS\n\n" * 100 + "'",
        "# \n" + "#%TAG !a! x\n" * 100,
    ],
)
def test_a_text_may_have_lines_with_percent_signs(text: str) -> None:
    assert guard(text.encode(), "x") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%TAG !a! x\n" * 9 + "--- 1\n", "1:1 OC107"),
        ("a: 1\n...\n" + "%TAG !a! x\n\n" * 9, "3:1 OC107"),
        ("%TAG !a! x\n--- 1\n", "1:1 OC107"),
    ],
)
def test_of_a_file_with_directives_no_more_is_read(text: str, expected: str) -> None:
    (found,) = guard(text.encode(), "x")

    assert f"{found.span.line}:{found.span.column} {found.code}" == expected
    assert "was not read" in found.hint


def test_core_types_are_those_of_yaml_1_2() -> None:
    text = "[no, yes, on, 12:30, 2026-01-01, 1_000, 0x1F, 0o17, -5, +5, 1.5, 1e3, .5, ~, null, true, FALSE, '1', 0, -0]"

    assert plain(text) == [
        "no", "yes", "on", "12:30", "2026-01-01", "1_000", 31, 15, -5, 5, 1.5, 1000.0, 0.5, None, None, True, False,
        "1", 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"), [("", None), ("a: {b: [1]}", {"a": {"b": [1]}}), ("---\n---\nx", "x"), ("''", "")]
)
def test_plain_gives_one_value(text: str, value: object) -> None:
    assert plain(text) == value


@pytest.mark.parametrize("text", ["a\n--- b", "[", "&a b", "007"])
def test_plain_refuses_what_the_guard_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        plain(text)


@given(st.text(alphabet="0123456789+-.eE_xoabnulNtrueFfsiI~:", max_size=12))
@example("0")
@example("-0.0")
def test_a_plain_scalar_is_what_a_quoted_one_is_not(text: str) -> None:
    """Numbers read back as themselves; whatever is no number, truth value or null is its own text."""
    value = resolve(text)
    if isinstance(value, str):
        assert value == text
    elif not isinstance(value, Refused | bool | None):
        assert resolve(str(value)) == value


_characters = st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\u2028\u2029\ufeff")
# Programs of YAML 1.1 write the text 0E0 plain; in YAML 1.2 it is a number.
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_characters, max_size=20).filter(lambda text: not isinstance(resolve(text), float)),
    lambda below: st.lists(below, max_size=4)
    | st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), below, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(_values, st.sampled_from([None, True, False]))
def test_what_another_program_writes_is_read_back(value: object, style: bool | None) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=style, sort_keys=False)

    loaded = load(text.encode(), "x")

    assert loaded.findings == () or {f.code for f in loaded.findings} <= {"OC110"}
    if not loaded.findings:
        assert loaded.documents == (value,)


@given(st.binary(max_size=300))
def test_any_bytes_give_documents_or_findings_with_a_place(data: bytes) -> None:
    parsed = read(data, "x")

    for finding in parsed.findings:
        assert finding.span.line >= 1
        assert finding.span.column >= 1
        assert finding.span.line <= data.count(b"\n") + data.count(b"\r") + 1


def _shape(value: object) -> object:
    """Lists and mappings as they are, whatever else as one thing."""
    if isinstance(value, list):
        return [_shape(one) for one in value]
    return {key: _shape(one) for key, one in value.items()} if isinstance(value, dict) else "."


@given(st.text("ab:- \n[]{},'\"|>#&*!%?@`é<", max_size=80))
def test_a_text_has_the_shape_that_a_loader_sees(text: str) -> None:
    """Second opinion: where nothing is refused, PyYAML's own constructor (without types) builds the same."""
    loaded = load(text.encode(), "x")

    if not loaded.findings:
        others = list(yaml.load_all(text, yaml.CBaseLoader))
        assert [_shape(value) for value in loaded.documents] == [_shape(value) for value in others]
