"""Expressions: what they give, what they refuse, and that nothing hostile hangs or kills the process."""

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions.bounds import compiling, states
from engine.expressions.expression import (
    ExpressionError,
    Hole,
    Literal,
    Status,
    compile_text,
    condition,
    condition_text,
    evaluate,
    render,
    split,
    to_text,
)

CONTEXT = {
    "steps": {"x": {"outputs": {"y": 71, "none": None}, "stdout": "abc", "json": [1, {"a": [2]}]}},
    "params": {"keepDays": 14, "names": ["a", "b"], "note": None},
    "target": {"name": "web-01", "labels": {"a-b": "c"}},
}

VALUES = [
    ("string(true) + string(1 > 2)", "truefalse"),
    ("1 + 2", 3),
    ("steps.x.outputs.y > 60", True),
    ("steps['x'][\"outputs\"].y", 71),
    ("target.labels['a-b']", "c"),
    ("params.note", None),
    ("params.note == null", True),
    ("1.5", 1.5),
    ("'a' + \"b\" + r'\\n' + '\\x41\\u00e9\\n'", "ab\\nAé\n"),
    ("'''it's'''", "it's"),
    ("[1, 'a', null, true]", [1, "a", None, True]),
    ("{'a': 1, 'b': [2]}", {"a": 1, "b": [2]}),
    ("params.names.map(n, n + '!')", ["a!", "b!"]),
    ("params.names.filter(n, n != 'a').exists(n, n == 'b')", True),
    ("has(steps.x.outputs.y) && !has(steps.x.outputs.z)", True),
    ("int('42') + int(1.9)", 43),
    ("size(params.names)", 2),
    ("'web' in {'web': 1} ? 'yes' : 'no'", "yes"),
    ("timestamp('2026-01-02T03:04:05Z')", "2026-01-02T03:04:05Z"),
    ("duration('90s')", "90s"),
    ("steps.x.json[1].a[0]", 2),
    ("type(1) == int", True),
    ("1 // a comment }} of its own\n + 1", 2),
    ("'abc'.matches('^a.c$')", True),
    ("!!true && - -1 == 1", True),
]


@pytest.mark.parametrize(("cel", "value"), VALUES)
def test_an_expression_gives_plain_data(cel: str, value: object) -> None:
    result = evaluate(cel, CONTEXT)
    assert result == value
    assert type(result) is type(value)


FAILURES = [
    ("string(null)", "string() makes no text of null"),
    ("string([1])", "string() makes no text of a list"),
    ("int(true)", "int() makes nothing of the value"),
    ("nope", "nope"),
    ("steps.y.outputs.y", "there is no 'y'"),
    ("params.note > 1", "the types do not fit"),
    ("1 / 0", "division by zero"),
    ("9223372036854775807 + 1", "overflow"),
    ("1.0 / 0.0", "no finite number"),
    ("{1: 2}", "keys of a map"),
    ("b'x'", "no data"),
    ("'a'.matches('(')", "not a valid regex"),
    ("int('x')", "invalid digit"),
    ("[1][2]", "out of bounds"),
]


@pytest.mark.parametrize(
    ("cel", "why"),
    [
        ("steps.x.json.a.b", "'steps.x.json' is null, since the output is no JSON or there is none, and has no 'a'"),
        ("1 + steps.x.outputs.n.more", "'steps.x.outputs.n' is a number, and has no 'more'"),
        ("steps.x.state.length", "'steps.x.state' is a text, and has no 'length'"),
    ],
)
def test_a_field_of_what_has_none_is_named(cel: str, why: str) -> None:
    """It is the usual fault of a step that reads what another printed."""
    step = {"json": None, "state": "succeeded", "outputs": {"n": 1}}
    with pytest.raises(ExpressionError) as caught:
        evaluate(cel, {"steps": {"x": step}})
    assert caught.value.message == f"'{cel}': the types do not fit: {why}"


@pytest.mark.parametrize(("cel", "message"), FAILURES)
def test_an_expression_that_fails_raises_and_never_means_false(cel: str, message: str) -> None:
    with pytest.raises(ExpressionError, match="(?i)" + re.escape(message)):
        evaluate(cel, CONTEXT)
    with pytest.raises(ExpressionError):
        condition(cel, CONTEXT)


UNREADABLE = [
    ("", 0),
    ("1 +", 3),
    ("a b", 2),
    ("a.'b'", 2),
    ("'abc", 0),
    ("a @ b", 2),
    ("foo(1)", 0),
    ("params.x.trim()", 9),
    ("has(x)", 0),
    ("[1].map(i, [1].map(j, j))", 11),
    ("[1].all(i.j, true)", 8),
    ("size(1, 2)", 0),
    ("success(1)", 0),
    ("'\\q'", 0),
    ("x.{}", 2),
    (".x", 0),
    ("a{b: 1}", 1),
]


@pytest.mark.parametrize(("cel", "offset"), UNREADABLE)
def test_what_is_no_expression_is_refused_with_its_place(cel: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_text(cel)
    assert caught.value.offset == offset


def test_references_are_member_paths_as_far_as_they_are_written_out() -> None:
    text = "steps.a.outputs['b'] + secrets[\"web-key\"].password + params[target.name].z + [1].map(i, i + vars.q)[0]"
    found = compile_text(text)
    assert found.references == (
        ("steps", "a", "outputs", "b"),
        ("secrets", "web-key", "password"),
        ("params",),
        ("target", "name"),
        ("vars", "q"),
    )
    assert found.roots == {"steps", "secrets", "params", "target", "vars"}
    assert [text[one.offset : one.offset + one.length] for one in found.occurrences][1] == 'secrets["web-key"].password'


BOMBS = [
    "(" * 1000 + "1" + ")" * 1000,
    "[" * 1000 + "]" * 1000,
    "{1:" * 600 + "1" + "}" * 600,
    "!" * 2000 + "true",
    "-" * 2000 + "1",
    "+".join(["1"] * 1000),
    "&&".join(["true"] * 600),
    "x" + "[0]" * 600,
    "x" + ".a" * 1000,
    "true?" * 300 + "1" + ":1" * 300,
    "true?1:" * 250 + "1",
    "int(" * 400 + "1" + ")" * 400,
    "a" * 3000,
    "'" * 2000,
    "\\" * 2000,
    "\ud800",
    "\0",
    "${{" * 100,
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_hostile_expressions_are_errors_and_the_process_survives(bomb: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(bomb, {"x": [1]})


def test_what_is_allowed_survives_on_a_small_stack() -> None:
    """The deepest that is accepted runs in a thread with 512 KiB, less than any system's default."""
    code = """
import threading
from engine.expressions.expression import evaluate
threading.stack_size(512 * 1024)
texts = ["[" * 31 + "1" + "]" * 31, "(" * 31 + "1" + ")" * 31, "{'a':" * 31 + "1" + "}" * 31, "+".join(["1"] * 128)]
def run():
    for text in texts:
        evaluate(text, {})
    print("survived")
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "survived\n", done.stderr


TALLEST = [
    "params.x" + ".size()" * 125 + " == 1",
    "size(" * 30 + "params.x" + ".size()" * 95 + ")" * 30 + " == 1",
    "params.m" + "[0]" * 125 + " == 1",
    "params.m" + ".a" * 125 + " == 1",
    "params.x" + ".contains('a')" * 125,
    "!" * 126 + "params.b",
    "true" + " && true" * 127,
]


def test_the_tallest_are_checked_with_half_of_the_frames_that_there_are() -> None:
    """By a whole validation: whoever asks for one has a stack of his own."""
    code = """
import json, sys
from engine.compile import compile_files
from schemas.reader import read

def findings(cel):
    files = {
        "opsconductor.yaml": {"kind": "Project", "metadata": {"name": "p"}},
        "definitions/a.yaml": {"kind": "Job", "metadata": {"name": "j"}, "spec": {
            "params": {"x": {"type": "string"}, "m": {"type": "object"}, "b": {"type": "boolean"}},
            "steps": [{"id": "a", "uses": "dummy", "if": cel}]}},
    }
    texts = ((json.dumps({"apiVersion": "opsconductor/v1", **one}).encode(), name) for name, one in files.items())
    return compile_files("c", [read(*one) for one in texts]).findings

findings("true")
sys.setrecursionlimit(500)
for cel in json.loads(sys.argv[1]):
    assert "chain of more" not in str(findings(cel)), cel
    assert "chain of more" in str(findings(f"!!!!({cel})")), cel
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(TALLEST)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]


THOUSAND = list(range(1000))
COSTLY = [
    ("big.map(i, i)", {"big": list(range(1001))}),
    ("x.map(i, s)", {"x": THOUSAND, "s": "a" * 65_000}),
    ("x.map(i, i + i)", {"x": [[1] * 1000 for _ in range(1000)]}),
    ("x.all(i, size(d.a.b) > 0 || d.a == d.b)", {"x": THOUSAND, "d": {"a": {"b": list(range(30_000))}, "b": 1}}),
    ("x.all(i, size(y + y) > 0)", {"x": THOUSAND, "y": list(range(30_000))}),
    ("x.all(i, s.matches('(a{100}){100}b'))", {"x": THOUSAND, "s": "a" * 65_000}),
    ("s.matches('(((a{10}){10}){10}){10}b')", {"s": "a" * 65_000}),
    ("x.all(i, s.matches(p + p))", {"x": THOUSAND, "s": "a", "p": "b"}),
    # Compiling a pattern is work too, and it is done anew in each round.
    ("x.filter(i, 'a'.matches('\\\\w{100}x'))", {"x": [0] * 100}),
    ("x.filter(i, 'a'.matches('[\\\\w-]{50}'))", {"x": THOUSAND}),
    ("x.filter(i, 'a'.matches('(?i)\\\\p{L}{20}'))", {"x": THOUSAND}),
    ("x.filter(i, 'a'.matches('(\\\\d{10}){10}'))", {"x": THOUSAND}),
    ("x.filter(i, 'a'.matches('(?x) a {1000}'))", {"x": [0]}),
    ("'a'.matches('(?ix:a {9} {9})')", {}),
    ("s + s", {"s": "a" * 40_000}),
    ("s", {"s": "a" * 65_537}),
    ("+".join(["s"] * 120), {"s": "a" * 60_000}),
    ("i", {"i": 2**63}),
    ("d", {"d": __import__("json").loads("[" * 80 + "]" * 80)}),
    ("o", {"o": object()}),
]


@pytest.mark.parametrize(("cel", "context"), COSTLY)
def test_work_is_bounded_before_it_is_done(cel: str, context: dict[str, object]) -> None:
    start = time.monotonic()
    with pytest.raises(ExpressionError):
        evaluate(cel, context)
    assert time.monotonic() - start < 20, "it was evaluated, not refused"


AFFORDABLE = [
    ("size(x.filter(i, i > 10).map(i, {'n': i}))", {"x": THOUSAND}, 989),
    ("x.exists(i, i.name == 'n999')", {"x": [{"name": f"n{n}", "tags": ["a", "b"]} for n in range(1000)]}, True),
    ("s.matches('^(ok|done) [0-9]{1,3}$')", {"s": "x" * 65_000}, False),
    ("lines.all(l, l.matches('^[a-z]+=\\\\d*$'))", {"lines": ["abc=12"] * 1000}, True),
    ("lines.all(l, l.matches('^\\\\w+ \\\\d{1,3}$'))", {"lines": ["abc 12"] * 500}, True),
    ("s.contains('b')", {"s": "a" * 65_536}, False),
    ("size(m[k].map(i, i))", {"m": {"a": THOUSAND, "b": THOUSAND}, "k": "a"}, 1000),
]


@pytest.mark.parametrize(("cel", "context", "found"), AFFORDABLE)
def test_ordinary_work_is_allowed(cel: str, context: dict[str, object], found: object) -> None:
    assert evaluate(cel, context) == found


def test_what_a_pattern_costs_to_compile_grows_with_its_classes() -> None:
    assert compiling("abc") < 1_000 < compiling(r"\d") < compiling(r"\w") < compiling(r"(?i)\w")
    assert compiling(r"[^\W_]{10}") > 10 * 10_000
    assert compiling("[[:alpha:]]") > compiling("[a-z]")


def test_states_of_a_pattern_multiply_with_counted_repetitions() -> None:
    assert states("(a{10}){20}") > 200
    assert states("abc") < 10
    assert states("") == 1


def test_only_what_is_read_is_measured() -> None:
    """A value that an expression does not read may be anything."""
    assert evaluate("a.b", {"a": {"b": 1, "c": "x" * 100_000}, "d": object()}) == 1


@pytest.mark.parametrize(
    ("cel", "status", "value"),
    [
        ("success()", Status(), True),
        ("success()", Status(failed=True), False),
        ("success() || cancelled()", Status(cancelled=True), True),
        ("failure()", Status(failed=True), True),
        ("failure() || always()", Status(), True),
    ],
)
def test_status_functions_answer_from_what_they_are_told(cel: str, status: Status, value: bool) -> None:
    assert evaluate(cel, {}, status=status) is value


def test_split_keeps_offsets_and_passes_over_braces_and_strings() -> None:
    text = "é ${{ {'a': {'b': 1}} }} b${{'}}'}}"
    assert split(text) == (
        Literal("é ", 0),
        Hole("{'a': {'b': 1}}", 2, 22, 6),
        Literal(" b", 24),
        Hole("'}}'", 26, 9, 29),
    )
    assert split("") == ()
    with pytest.raises(ExpressionError) as caught:
        split("ab ${{ c")
    assert caught.value.offset == 3


@given(st.text(alphabet="${} '\"\\ab\n", max_size=40))
def test_split_loses_nothing(text: str) -> None:
    try:
        parts = split(text)
    except ExpressionError:
        return
    ends = [part.offset + (len(part.text) if isinstance(part, Literal) else part.length) for part in parts]
    assert "".join(text[part.offset : end] for part, end in zip(parts, ends, strict=True)) == text


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    try:
        compile_text(text)
    except ExpressionError as error:
        assert 0 <= error.offset <= len(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a'b", "a'b"), (True, "true"), (False, "false"), (7, "7"), (None, ""), (1.5, "1.5"), (2.0, "2"),
        (1e30, "1e+30"), ([1, "é", None], '[1,"é",null]'), ({"a": {"b": True}}, '{"a":{"b":true}}'),
    ],
)  # fmt: skip
def test_values_become_text(value: object, text: str) -> None:
    assert to_text(value) == text


def test_one_whole_expression_keeps_its_type_and_text_becomes_text() -> None:
    value = {"a": "${{ params.keepDays }}", "b": ["${{ true }}", "n=${{ 1.0 }}${{ null }}"], "c": 3, "${{ 1 }}": "x"}
    assert render(value, CONTEXT) == {"a": 14, "b": [True, "n=1"], "c": 3, "${{ 1 }}": "x"}


def test_data_is_never_a_template() -> None:
    assert render("${{ v }}", {"v": "${{ 1 + 1 }}"}) == "${{ 1 + 1 }}"


def test_a_condition_is_one_expression_with_or_without_the_marks() -> None:
    assert condition("params.keepDays > 1", CONTEXT)
    assert not condition("${{ params.keepDays > 100 }}", CONTEXT)
    assert condition(None, CONTEXT)
    assert condition(True, CONTEXT)
    assert not condition(False, CONTEXT)
    assert condition_text("  ${{ a }} ") == "a"
    with pytest.raises(ExpressionError):
        condition_text("${{ a }} && b")
    with pytest.raises(ExpressionError, match="not true or false"):
        condition("'true'", CONTEXT)


def test_the_library_is_loaded_only_for_an_expression_and_without_its_command_line() -> None:
    code = (
        "import sys; from engine.expressions.expression import render; render('no expression', {});"
        "a = 'cel.cel' in sys.modules; render('${{ 1 }}', {});"
        " print(a, 'cel.cel' in sys.modules, 'cel.cli' in sys.modules, 'typer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True False False\n"


def test_a_compiled_expression_serves_many_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: evaluate("n + 1", {"n": n}), range(200))) == list(range(1, 201))
