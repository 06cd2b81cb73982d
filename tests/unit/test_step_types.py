"""Step types as data: sound, shown by examples that fit, and the same to editors as to the validator."""

import pytest
from jsonschema import Draft202012Validator

from engine.checks.parameters import faults_of
from engine.expressions.expression import has_expression
from engine.userschema import problems_of
from opsconductor.reference import explain_step_type
from schemas.publish import schema
from schemas.steps import STEP_TYPES, StepType, every_step_type

every_type = pytest.mark.parametrize("kind", every_step_type(), ids=lambda kind: kind.name)
_HEAD = {"apiVersion": "opsconductor/v1", "kind": "Job", "metadata": {"name": "x"}}


def _accepts(uses: str, given: dict[str, object] | None) -> bool:
    step = {"uses": uses} if given is None else {"uses": uses, "with": given}
    return Draft202012Validator(schema("Job")).is_valid({**_HEAD, "spec": {"steps": [step]}})


@every_type
def test_every_input_is_a_sound_schema_with_words_and_examples_that_fit(kind: StepType) -> None:
    for name, taken in kind.inputs.items():
        assert not problems_of(taken), name
        assert taken["description"], name
        for example in taken.get("examples", ()):
            assert has_expression(example) or not faults_of(taken, example), (name, example)
        if kind.planned:
            assert taken.get("examples") or taken.get("enum") or name == "run", name


@every_type
def test_names_in_rules_are_inputs(kind: StepType) -> None:
    grouped = [name for group in (*kind.one_of, *kind.at_most_one_of, *kind.together) for name in group]
    assert {*grouped, *kind.required, *kind.secret, *kind.files} <= kind.inputs.keys()
    assert bool(kind.credentials) == ("credentialRef" in kind.inputs)


@every_type
def test_examples_fit_and_editors_take_them(kind: StepType) -> None:
    assert kind.examples
    for example in kind.examples:
        for name in kind.names:
            assert _accepts(name, dict(example)), (name, example)
        assert not _accepts(kind.name, {**example, "nonsense": 1})
        assert (explain_step_type(kind.name) or "").startswith(f"uses: {kind.name}")


def test_editors_know_what_must_be_there_and_what_excludes_each_other() -> None:
    assert not _accepts("wait.until", None)
    assert not _accepts("wait", {"interval": "5s"})
    assert not _accepts("wait", {"duration": "5s", "tcp": "22"})
    assert not _accepts("http", {"url": "https://a.example", "body": "a", "json": 1})
    assert not _accepts("http", {"url": "https://a.example", "credentialHeader": "X-Key"})
    assert _accepts("http", {"url": "https://a.example", "json": None})


def test_short_names_stand_for_the_same_type() -> None:
    for short, name in (("http", "http.request"), ("webhook", "webhook.call"), ("mcp", "mcp.call")):
        assert STEP_TYPES[short] is STEP_TYPES[name]
