"""What types say is wrong, the library refuses, whatever the values."""

from itertools import product

import pytest

from engine.expressions.expression import ExpressionError, compile_text, evaluate
from engine.expressions.inference import WORDS, infer, said

VALUES = {
    "bool": "true",
    "int": "1",
    "double": "1.5",
    "text": '"a"',
    "bytes": 'b"a"',
    "list": "[1]",
    "map": '{"a": 1}',
    "null": "null",
    "time": 'timestamp("2026-01-01T00:00:00Z")',
    "duration": 'duration("1s")',
}
OPERATORS = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||"]


def answer(cel: str) -> object:
    try:
        return evaluate(cel, {})
    except ExpressionError:
        return "refused"


def test_every_type_is_tried() -> None:
    assert VALUES.keys() == WORDS.keys()


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_does_not_fit_by_type_the_library_refuses(operator: str) -> None:
    for left, right in product(VALUES.values(), repeat=2):
        cel = f"{left} {operator} {right}"
        types, found = infer(compile_text(cel).tree, lambda _: None)
        result = answer(cel)
        if any(mismatch.certain for mismatch in found):
            # a boolean on the left may decide without a look at the right
            assert result == "refused" or operator in ("&&", "||"), cel
        elif found:
            assert result is (operator == "!="), cel
        elif operator not in ("==", "!=", "in", "&&", "||") and "null" not in (left, right):
            assert result != "refused" or types is None or "bytes" in types, cel


@pytest.mark.parametrize(
    "form", ["!({})", "size({})", "({}).size()", "({}).x", "({})[0]", "({}).map(x, x)", "({}).matches('a')",
             "({}).startsWith('a')", "({}).contains('a')", "'a'.startsWith({})", "'a'.contains({})", "'a'.endsWith({})",
             "({}) ? 1 : 2", "({}).all(x, true)",
             "int({})", "double({})", "duration({})", "timestamp({})", "uint({})", "string({})"]
)  # fmt: skip
def test_what_does_not_fit_a_function_the_library_refuses(form: str) -> None:
    for value in VALUES.values():
        cel = form.format(value)
        if infer(compile_text(cel).tree, lambda _: None)[1]:
            assert answer(cel) == "refused", cel


@pytest.mark.parametrize(
    ("cel", "wrong"),
    [("string(true)", False), ("string(null)", True), ("string([1])", True), ("int(true)", True), ("int('x')", True)],
)
def test_what_cannot_be_converted_is_found(cel: str, wrong: bool) -> None:
    assert bool(infer(compile_text(cel).tree, lambda _: None)[1]) is wrong


@pytest.mark.parametrize(
    ("cel", "types"),
    [
        ("1 + 2", "a whole number"),
        ("a.b + 1", None),
        ("true ? 1 : 'x'", "a whole number or text"),
        ("[1].map(x, x.y + 'a')", "a list"),
        ("int('3') > 2", "true or false"),
        ("timestamp(x) - timestamp(y)", "a duration"),
        ("has(a.b)", "true or false"),
        ("type(1)", None),
        ("-1.5", "a number"),
        ("0x1F", "a whole number"),
        ("a.exists(x, x == 1 && x.y)", "true or false"),
    ],
)
def test_the_type_of_a_result(cel: str, types: str | None) -> None:
    found, wrong = infer(compile_text(cel).tree, lambda _: None)

    assert (found and said(found), wrong) == (types, ())


def test_a_name_that_a_comprehension_binds_hides_the_one_outside() -> None:
    tree = compile_text("[1].all(n, n.x == 'a') && n == 'a'").tree

    _, wrong = infer(tree, lambda path: frozenset({"int"}) if path == ("n",) else None)

    assert [mismatch.certain for mismatch in wrong] == [False]


TEXTS = ["", "x", "5", "+5", "-5", " 5", "5 ", "0x10", "1_000", "1e3", "1.5", ".5", "1.", "9223372036854775807"]
TEXTS += ["9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "inf", "NaN"]
TEXTS += [
    "1x",
    "1h30m",
    "1d",
    "1.5h",
    "-1h",
    "0",
    "1h 30m",
    "100ms",
    "1us",
    "5s",
    "h",
    "-",
    "2026-01-01",
    "00s",
    "1e1s",
]
TEXTS += ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z"]
TEXTS += ["2026-01-01T00:00Z", "2026-01-01T00:00:00+02:00", "2026-12-31T23:59:60Z", "2026-01-01T00:00:00.5z"]
PATTERNS = [
    "(",
    ")",
    "a",
    "(a)",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?<!a)",
    r"(a)\1",
    "[",
    "[]",
    "[]a]",
    "[^]a]",
    "[[:alpha:]]",
]
PATTERNS += [
    "*",
    "+a",
    "a|*",
    "(*)",
    "a*?",
    "a**",
    "^*",
    "(?i)a",
    "(?P<n>a)",
    "(?<n>a)",
    "(?:a)",
    r"\(",
    "a\\",
    "[a",
    r"[\]",
]
PATTERNS += [
    "(?x) a # (",
    "a{2}",
    "[a[b]]",
    "[a-z&&[^b]]",
    r"\p{L}",
    r"\d+\.\d+",
    "a)",
    "(()",
    "()",
    "()*",
    "|",
    "(?i)*",
    "{",
]


@pytest.mark.parametrize("form", ["int({})", "uint({})", "double({})", "duration({})", "timestamp({})"])
def test_what_is_said_to_fail_always_the_library_refuses(form: str) -> None:
    said_of = set()
    for text in TEXTS:
        cel = form.format(repr(text))
        found = infer(compile_text(cel).tree, lambda _: None)[1]
        if found:
            said_of.add(text)
            assert [one.code for one in found] == ["OC411"]
            assert answer(cel) == "refused", cel
    assert {"", "x", "1x"} <= said_of


def test_a_pattern_that_is_said_to_be_none_the_library_refuses() -> None:
    for pattern in PATTERNS:
        cel = f"'a'.matches(r'''{pattern}''')" if not pattern.endswith("\\") else "'a'.matches('a\\\\')"
        found = infer(compile_text(cel).tree, lambda _: None)[1]
        assert bool(found) <= (answer(cel) == "refused"), cel
    plain = {pattern for pattern in PATTERNS if not pattern.endswith("\\")}
    said_of = {p for p in plain if infer(compile_text(f"'a'.matches(r'''{p}''')").tree, lambda _: None)[1]}
    assert {"(", ")", "[", "*", "(?=a)", r"(a)\1", "(()", "[a"} <= said_of


@pytest.mark.parametrize("zero", ["0", "0.0", "0u", "00", "0x0", "0e5", ".0"])
@pytest.mark.parametrize("nonzero", ["1", "0.5", "10u", "0x10", "1e0", "0xe0"])
def test_a_division_by_zero_always_fails(zero: str, nonzero: str) -> None:
    for divisor, fails in ((zero, True), (nonzero, False)):
        found = infer(compile_text(f"x / {divisor}").tree, lambda _: None)[1]
        assert bool(found) == fails, divisor
    assert {answer(f"{one} / {zero}") for one in ("1", "1.0", "1u")} == {"refused"}


def test_a_cause_is_one_of_a_few() -> None:
    (found,) = infer(compile_text("run.cause.kind == 'shedule'").tree, lambda _: None)[1]

    assert (found.hint, found.certain) == ("did you mean 'schedule'?", False)
    assert infer(compile_text("run.cause.kind in ['schedule', 'request']").tree, lambda _: None)[1] == ()


@pytest.mark.parametrize("cel", ["true || 5", "false && 'x'", "false ? 1 + 'a' : 1"])
def test_what_may_be_passed_over_is_held_to_the_same_rules(cel: str) -> None:
    """This rule is ours: the library does not look there."""
    assert infer(compile_text(cel).tree, lambda _: None)[1][0].certain
    assert answer(cel) != "refused"


@pytest.mark.parametrize("cel", ["int([1])", "double({'a': 1})", "timestamp([])"])
def test_a_list_is_converted_to_nothing(cel: str) -> None:
    assert infer(compile_text(cel).tree, lambda _: None)[1][0].certain
    assert answer(cel) == "refused"
