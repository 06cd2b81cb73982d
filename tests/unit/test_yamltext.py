"""Status files are read by anything that reads YAML, and nothing that a target printed changes what they say."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.status.yamltext import plain, to_yaml
from schemas.guard import load

HOSTILE = [
    "", " ", "a ", " a", "no", "No", "YES", "on", "~", "null", "Null", "true", "12:30", "1_000", "0x1f", "0o17",
    "017", "1e5", "1E5", ".5", ".inf", "-.INF", ".nan", "+1", "-", "--", "---", "--- a", "...", "?", "? a", ":",
    ": a", "a: b", "a:", "a :b", "a #b", "#a", "a#b", "&a", "*a", "!a", "!!str a", "%a", "@a", "`a", "|", ">", "'a",
    '"a', "a'b", 'a"b', "[a", "a]", "{a", "a}", "a,b", "a, b", "<<", "=", "2026-11-21", "2026-11-21T00:15:00Z",
    "2001-12-14t21:59:43.10-05:00", "0b101", "190:20:30", "1.2.3.4", "10.0.0.1", "1f0c", "12345e67", "1e", "e1", "0",
    "-0", "00", "0.0", "1.", "1.e+3", "a\nb", "a\n", "\n", "a\r\nb", "\t", "a\tb", "\x00", "\x07", "\x1b[31m", "\x7f",
    "\x85", "\xa0", "\u2028", "\ufeff", "\ufffe", "\uffff", "\U0001f600", "é", "日本", "\\", "\\n", "a\\", "${{ x }}",
    "- a", "-a", "sha256:abc", "http://a/b", "x" * 1100, "a " * 600, "key: [" * 300, "\u202eevil", "default/7b2e",
    "a:b:c", "y", "n", "Y", "1:2", "a,", "a(b", "(a", "a: ", "a  b", "_", "__", "/", "./x", "x=y", "=y", "^a", "a^",
    "~a", "%", "web-01", "20261121T001500Z", "3.4s", "9a_b", "1b", "7o8", "5x", "1e5a", "6.7.a", "12e-3f", "1_0a",
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"])))
SCALARS = st.one_of(
    TEXT,
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXT, inner, max_size=5)),
    max_leaves=30,
)


def by_yaml_1_1(text: str) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


def by_us(text: str) -> Any:
    loaded = load(text.encode(), "status.yaml")
    assert not loaded.findings
    return loaded.documents[0]


@given(st.dictionaries(TEXT, VALUES, max_size=6))
@settings(max_examples=400, deadline=None)
def test_what_is_written_reads_back_equal(value: dict[str, Any]) -> None:
    """By a reader of YAML 1.1, by a pure one and by our own of YAML 1.2 core, whatever the text."""
    text = to_yaml(value)
    assert by_yaml_1_1(text) == value
    assert yaml.load(text, yaml.SafeLoader) == value
    if "\\u0000" not in text:  # which our own reader refuses everywhere
        assert by_us(text) == value


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_as_key_value_item_and_inside_flow(text: str) -> None:
    value = {"a": text, text: {"b": text, "items": [text, {text: text}], "long": [{text: [text] * 40}]}}
    written = to_yaml(value)
    assert by_yaml_1_1(written) == value
    assert "\x00" in text or by_us(written) == value


@given(value=st.recursive(st.one_of(SCALARS, st.floats(), st.integers()), lambda inner: st.lists(inner, max_size=3)))
@example(value=[math.nan, math.inf, 2**64, 10**5000, "\ud800", "\x00"])
@settings(deadline=None)
def test_foreign_data_can_always_be_written(value: Any) -> None:
    written = plain({"value": value})
    assert by_yaml_1_1(to_yaml(written)) == by_us(to_yaml(written)) == written


def test_data_nested_without_end_is_cut() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert "…" in to_yaml({"outputs": plain(deep)})
    with pytest.raises(ValueError, match="nested deeper"):
        to_yaml({"outputs": deep})


def test_one_fact_a_line() -> None:
    """Short plain mappings and lists take one line, `spec` and `status` are open, items of lists are one line each."""
    document = {
        "apiVersion": "opsconductor/v1",
        "metadata": {"name": "rotate"},
        "spec": {"instant": datetime(2026, 11, 21, 0, 15, tzinfo=UTC), "params": {}, "targets": ["web-01", "web-02"]},
        "status": {
            "state": None,
            "targets": {"web-01": {"state": "failed", "steps": [{"id": "a", "outputs": {"x": 1}}]}},
        },
    }
    assert to_yaml(document) == (
        "apiVersion: opsconductor/v1\n"
        "metadata: {name: rotate}\n"
        "spec:\n"
        "  instant: 2026-11-21T00:15:00Z\n"
        "  params: {}\n"
        "  targets: [web-01, web-02]\n"
        "status:\n"
        "  state: null\n"
        "  targets:\n"
        "    web-01:\n"
        "      state: failed\n"
        "      steps:\n"
        "        - {id: a, outputs: {x: 1}}\n"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", object(), {1, 2}, datetime(2026, 1, 1)])  # noqa: DTZ001
def test_what_has_no_plain_form_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        to_yaml({"a": value})
