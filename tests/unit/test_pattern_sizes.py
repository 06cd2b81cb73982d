"""Patterns of a commit are compiled within a bound, which is worked out before."""

import re
import time

import pytest
from pydantic_core import SchemaValidator, core_schema

from engine import patterns
from engine.compile import Compiled, compile_files
from engine.patterns import MAX_TOGETHER, matcher, size_of
from engine.plugins import plugged
from engine.userschema import faults_of, problems_of
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: ops}\n"


def commit(*texts: str) -> Compiled:
    files = [read(text.encode(), f"jobs/{number}.yaml") for number, text in enumerate(texts)]
    return compile_files("c" * 40, [read(PROJECT.encode(), "opsconductor.yaml"), *files])


def codes(found: Compiled) -> set[str]:
    return {one.code for one in found.findings} - {"OC406"}  # a script needs a target; this is about params


def job(name: str, *given: str, extra: str = "") -> str:
    params = "".join(f"    p{number}: {{type: string, pattern: '{one}'}}\n" for number, one in enumerate(given))
    return (
        f"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n{extra}"
        f"  params:\n{params}  steps:\n    - run: 'true'\n"
    )


@pytest.mark.parametrize("extra", ["", "  unknown: 1\n"])
def test_many_large_patterns_are_refused_before_they_are_compiled(extra: str) -> None:
    """4,000 of them took minutes and gigabytes. A document that is at fault otherwise counts, too."""
    given = [f"^a{number}\\w{{50}}$" for number in range(4_000)]
    begun = time.process_time()
    found = commit(job("one", *given, extra=extra))
    assert time.process_time() - begun < 8
    (large,) = (one for one in found.findings if one.code == "OC212")
    assert f"more than {MAX_TOGETHER:,} parts" in large.message and "[A-Za-z0-9_]" in large.hint
    assert (large.span.line, found.catalog) == (6 + 49 + bool(extra), None)


def test_all_documents_of_a_commit_count_together() -> None:
    several = [job(f"j{n}", *(f"^a{n}-{m}\\w{{50}}$" for m in range(10))) for n in range(6)]
    assert [one.span.file for one in commit(*several).findings if one.code == "OC212"] == ["jobs/4.yaml"]


def test_a_pattern_that_is_written_twice_counts_once() -> None:
    assert codes(commit(*(job(f"j{n}", r"^\w{50}$") for n in range(100)))) == set()


def test_three_thousand_plain_patterns_are_fine() -> None:
    assert codes(commit(job("one", *(f"^a{n}[a-z0-9-]{{1,63}}$" for n in range(3_000))))) == set()


def test_what_is_compiled_for_a_commit_is_given_back() -> None:
    text = job("one", "^a[0-9]{3}$").replace("{type: string,", "{type: string, default: a12,")
    assert codes(commit(text)) == {"OC212"}  # so it was compiled
    assert patterns.kept() == 0


def test_values_of_one_commit_compile_each_pattern_once() -> None:
    given = [f"^a{n}\\w{{10}}$" for n in range(100)]
    patterns.forget()
    first = [matcher(one) for one in given]
    assert all(matcher(one) is before for one, before in zip(given, first, strict=True))
    patterns.forget()


def test_no_more_is_kept_than_one_commit_may_have() -> None:
    patterns.forget()
    for n in range(70):
        assert not faults_of({"pattern": f"^b{n}\\w{{50}}$"}, f"b{n}{'a' * 50}")
        assert size_of("^b0\\w{50}$") <= patterns.kept() <= MAX_TOGETHER
    patterns.forget()


def test_what_is_kept_is_counted_once() -> None:
    patterns.forget()
    for _ in range(2):
        for n in range(3):
            matcher(f"^c{n}$")
    assert patterns.kept() == 3 * size_of("^c0$")
    patterns.forget()


def test_values_of_as_many_patterns_as_fit_take_time_in_proportion() -> None:
    """Each new one that asked for the size of all that are kept made 14,000 take half a minute."""

    def seconds(count: int) -> float:
        patterns.forget()
        given = [f"^d{count}-{n}$" for n in range(count)]
        begun = time.process_time()
        assert all(map(matcher, given))
        return time.process_time() - begun

    seconds(500)
    assert seconds(12_000) < 3 * 4 * seconds(3_000)
    patterns.forget()


def test_a_schema_that_comes_with_no_commit_is_bounded_by_itself() -> None:
    """As an MCP server lists them."""
    (problem,) = problems_of({"properties": {f"p{n}": {"pattern": f"c{n}\\w{{50}}"} for n in range(1_000)}})
    assert "more than" in problem.message


def test_a_lock_file_of_plug_ins_is_bounded() -> None:
    inputs = {f"p{n}": {"type": "string", "pattern": f"d{n}\\w{{50}}"} for n in range(1_000)}
    locked = {"pack": {"steps": {"sample.greet": {"description": "x", "inputs": inputs}}}}
    (finding,) = plugged(locked, "opsconductor.lock").findings
    assert finding.code == "OC323" and "none is read" in finding.message


ALIKE = (
    r"a\w{50}", r"a(\w{5}){10}", r"a(?:\w|b){20}", r"[]\w]{50}", r"[[:alpha:]\w&&[^a]]{50}", r"a(?:\b\w\b){20}",
    r"\p{L}{50}", r"\pL{50}", r"\W{50}", r".{1,200}", r"[^/]{1,200}", r"\d{50}", r"(?i)k{500}",
    r"(((a{10}){10}){10}){10}",
    r"\w{5}{10}", r"(?P<n>\w){40}", r"(?<n>\w){40}", r"\w{ 2 , 40 }",
)  # fmt: skip


@pytest.mark.parametrize("pattern", ALIKE)
def test_the_size_is_about_what_compiling_takes(pattern: str) -> None:
    """A part takes a quarter of a microsecond, so that the bound means a time."""
    taken = []
    for n in range(5):  # each another text: what was compiled last is remembered
        begun = time.process_time()
        SchemaValidator(core_schema.str_schema(pattern=f"{pattern}|{n}", regex_engine="rust-regex"))
        taken.append(time.process_time() - begun)
    assert min(taken) < size_of(pattern) * 0.25e-6 * 6


@pytest.mark.parametrize("pattern", [r"(?x)\w # )( " + "\n{ 5 0 }", r"(\w{50}", r"[\w{50}", r"\w{50", "a)", "\\"])
def test_what_cannot_be_followed_counts_for_the_most_it_may_be(pattern: str) -> None:
    assert size_of(pattern) > len(re.findall(r"\\", pattern)) * 1_000


def test_counts_of_counts_end_at_the_bound() -> None:
    assert size_of(r"(\w{999999999999}){999999999999}") == MAX_TOGETHER + 1
    (problem,) = problems_of({"pattern": r"((\w{1000}){1000}){1000}"})
    assert problem.message == "a pattern that cannot be used" and "[A-Za-z0-9_]" in problem.hint


def test_one_pattern_that_is_too_large_by_itself_hides_nothing_else() -> None:
    """It is never compiled, so that the others are looked at."""
    found = commit(job("one", r"((\w{1000}){1000}){1000}"), job("two", "(?=a)"))
    assert [(one.span.file, one.code) for one in found.findings if one.code == "OC212"] == [
        ("jobs/0.yaml", "OC212"),
        ("jobs/1.yaml", "OC212"),
    ]
