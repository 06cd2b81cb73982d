"""The published schemas: complete for people, valid for machines, and of one mind with the models."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from engine.userschema import problems_of
from schemas.fields import Fields
from schemas.keywords import KEYWORDS
from schemas.kinds import MODELS
from schemas.publish import example, schema
from schemas.reader import read
from tests.document_cases import cases

EVERYTHING = schema()
VALIDATOR = Draft202012Validator(EVERYTHING, format_checker=FormatChecker())


def fields(published: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of every mapping that the schema describes, those under `if` and `then` too."""
    for name, one in {"": published, **published.get("$defs", {})}.items():
        for path, mapping in described(one, name):
            for field, said in mapping.get("properties", {}).items():
                # A rule such as "with `security: none` no login" repeats a field to narrow it; inputs are only there.
                if path == name or path.endswith(".with"):
                    yield f"{path}.{field}", said


def described(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for key in ("then", "else", "if"):
        if key in schema:
            yield from described(schema[key], f"{path}/{key}")
    for key in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(key, ()):
            yield from described(one, f"{path}/{key}")
    for field, below in schema.get("properties", {}).items():
        yield from described(below, f"{path}.{field}")


def test_an_editor_knows_what_stands_in_a_param() -> None:
    published = VALIDATOR.schema["$defs"]["ParamSchema"]["properties"]
    assert KEYWORDS | {"required", "secret"} == published.keys()


@pytest.mark.parametrize(
    ("param", "right"),
    [
        ({"type": "integer", "default": 14, "minimum": 1, "required": True}, True),
        ({"type": ["integer", "null"]}, True),
        ({"type": "object", "properties": {"port": {"$ref": "#/$defs/p"}}, "$defs": {"p": {"type": "integer"}}}, True),
        ({"type": "array", "items": {"type": "object", "required": ["a"]}}, True),
        ({"type": "array", "items": True}, True),
        ({"secret": True}, True),
        ({"type": "whole"}, False),
        ({"minimun": 1}, False),
        ({"minimum": "1"}, False),
        ({"required": ["a"]}, False),
        ({"properties": {"port": {"typ": "integer"}}}, False),
        ({"items": {"minLenght": 1}}, False),
        ({"pattern": "x", "patternProperties": {}}, False),
        ({"multipleOf": 0}, False),
        ({"$ref": "https://example.org/x"}, False),
        ({"anyOf": []}, False),
    ],
)
def test_an_editor_and_the_validator_agree_on_params(param: dict[str, Any], right: bool) -> None:
    document = envelope("Job", {"params": {"p": param}, "steps": [STEP]})
    assert (list(VALIDATOR.iter_errors(document)) == []) is right
    ours = {key: value for key, value in param.items() if key not in ("required", "secret")}
    sound = problems_of(ours) == () and isinstance(param.get("required", True), bool)
    assert sound is right


def test_an_editor_knows_the_kinds_that_a_policy_names() -> None:
    rule = {"subjects": ["ana"], "verbs": ["run"]}
    for kind, right in (("Job", True), ("Jobs", False), ("Run", False)):
        document = envelope("Policy", {"rules": [{**rule, "objects": {"kinds": [kind]}}]})
        assert (list(VALIDATOR.iter_errors(document)) == []) is right


@pytest.mark.parametrize("kind", [None, *MODELS])
def test_every_field_has_a_description_and_an_example_that_fits_it(kind: str | None) -> None:
    published = schema(kind)
    Draft202012Validator.check_schema(published)
    for path, field in fields(published):
        assert field.get("description"), path
        assert field.get("examples"), path
        described = {"$defs": published.get("$defs", {}), **field}
        for shown in field["examples"]:
            assert list(Draft202012Validator(described).iter_errors(shown)) == [], (path, shown)


@pytest.mark.parametrize("kind", MODELS)
def test_the_examples_of_its_fields_make_a_document_that_both_accept(kind: str) -> None:
    document = example(kind)

    MODELS[kind].model_validate(document)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


def envelope(kind: str, spec: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {"apiVersion": "opsconductor/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec, **beside}


STEP: dict[str, Any] = {"run": "uptime"}
EXCLUSIVE = [
    envelope("Schedule", {"jobRef": "x", "every": "1h", "at": "2026-12-01T00:00:00Z"}),
    envelope("Schedule", {"jobRef": "x"}),
    envelope("Schedule", {"every": "1h"}),
    envelope("Schedule", {"every": "1h", "jobRef": "x", "workflowRef": "y"}),
    envelope("Job", {"steps": [{}]}),
    envelope("Job", {"steps": [{"run": "x", "uses": "dummy"}]}),
    envelope("Job", {"steps": [{"run": "x", "with": {}}]}),
    envelope("Job", {"steps": [STEP], "targets": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}}),
    envelope("Credential", {"type": "token", "from": {"file": "a", "env": "OPSCONDUCTOR_SECRET_A"}}),
    envelope("Credential", {"type": "token", "from": {}}),
    envelope("Credential", {"type": "token"}, data={}),
    envelope("Credential", {"type": "token", "from": {"file": "a"}}, data={}, sops={}),
    envelope("RunRequest", {"jobRef": "x", "run": "y"}),
    envelope("RunRequest", {"action": "cancel", "jobRef": "x"}),
    envelope("RunRequest", {"action": "cancel"}),
    envelope("RunRequest", {}),
    envelope("Target", {"connections": {"ssh": {}}}),
    envelope("Workflow", {"jobs": {"a": {"jobRef": "x", "wait": "1m"}}}),
    envelope("Workflow", {"jobs": {"a": {"wait": "1m", "params": {}}}}),
    envelope("Workflow", {"jobs": {}}),
    envelope("Trigger", {"event": {}, "jobRef": "x"}),
    envelope("Trigger", {"event": {"run": {}}}),
    envelope("Calendar", {}),
    envelope("Window", {"effect": "deny", "cron": "0 1 * * *"}),
    envelope("Window", {"effect": "deny", "from": "2026-12-01T00:00:00Z", "cron": "0 1 * * *", "duration": "1h"}),
    envelope("NotificationChannel", {"type": "slack"}),
    envelope("NotificationChannel", {"type": "slack", "url": "https://x.example", "credentialRef": "y"}),
    envelope("NotificationChannel", {"type": "pigeon"}),
    envelope("NotificationRule", {"events": ["run.failed"]}),
    envelope("Step", {"script": "x.sh", "steps": [STEP]}),
    envelope("Step", {"steps": []}),
    envelope("Schedule", {"jobRef": "x", "at": "2026-12-01T00:00:00"}),
    envelope("Schedule", {"jobRef": "x", "at": "2026-02-29T00:00:00Z"}),
    envelope("Calendar", {"ics": "a/../../b.ics"}),
    envelope("Calendar", {"ics": "days.yaml"}),
    envelope("Discovery", {"networks": ["10.0.0.0/33"]}),
    envelope("Discovery", {"networks": ["10.0.0.0/8"], "ports": ["1-70000"]}),
    envelope("Discovery", {"networks": ["10.0.0.0/8"], "propose": {"path": "../x"}}),
    envelope("Job", {"steps": [STEP], "strategy": {"batches": ["120%"]}}),
    envelope("Job", {"steps": [STEP], "timeout": "3661d"}),
    envelope("Project", {"status": {"ref": "refs/heads/a..b"}}),
    envelope("Step", {"steps": [STEP], "shell": "sh"}),
]


@pytest.mark.parametrize("document", EXCLUSIVE, ids=lambda document: f"{document['kind']} {document['spec']}")
def test_an_editor_refuses_what_the_models_refuse(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS[document["kind"]].model_validate(document)
    assert list(VALIDATOR.iter_errors(document)) != []


def test_an_editor_knows_the_inputs_of_step_types() -> None:
    wrong = envelope("Job", {"steps": [{"uses": "assert", "with": {"thta": True}}]})
    right = envelope("Job", {"steps": [{"uses": "assert", "with": {"that": "${{ params.x }}"}}]})

    assert list(VALIDATOR.iter_errors(wrong)) != []
    assert list(VALIDATOR.iter_errors(right)) == []


def _mappings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _mappings(below, (*path, key))


def _with_nulls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every field of every kind, once, in a document that is right but for the null there."""
    seen: set[tuple[str, str, str]] = set()
    right = (case for case in cases() if not case.hostile and not case.expected)
    for value in (authored.document.to_json() for case in right for authored in case.parsed().documents):
        fields = Fields(MODELS[value["kind"]], value)
        for path, mapping in _mappings(value):
            about = ".".join(step for step in path if isinstance(step, str) and (*path[:1], step) != ("spec", "jobs"))
            for field in sorted(fields.of(path) - mapping.keys()):
                if (value["kind"], about, field) not in seen:
                    seen.add((value["kind"], about, field))
                    document = deepcopy(value)
                    here: Any = document
                    for step in path:
                        here = here[step]
                    here[field] = None
                    yield about, field, document


def test_a_field_without_a_value_is_refused_by_both() -> None:
    """`timeout:` with nothing after it is a mistake, and not the same as no timeout."""
    asked = 0
    for about, field, document in _with_nulls():
        found = read(yaml.safe_dump(document).encode(), "x.yaml").findings
        assert {one.code for one in found} & {"OC205", "OC206", "OC207"}, (document["kind"], about, field, found)
        assert not VALIDATOR.is_valid(document), (document["kind"], about, field)
        asked += 1
    assert asked > 300


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Target", {"vars": {"a": None}, "facts": {"b": [None]}}),
        ("Job", {"steps": [{**STEP, "env": {"A": None}, "outputs": {"x": None}}]}),
        ("Job", {"params": {"a": {"type": ["string", "null"], "default": None}}, "steps": [STEP]}),
        ("Schedule", {"jobRef": "x", "every": "1h", "params": {"a": None}}),
        ("Workflow", {"jobs": {"a": {"jobRef": "x", "params": {"b": None}}}}),
    ],
)
def test_a_null_that_is_data_is_taken_by_both(kind: str, spec: dict[str, Any]) -> None:
    document = envelope(kind, spec)

    assert read(yaml.safe_dump(document).encode(), "x.yaml").findings == ()
    assert VALIDATOR.is_valid(document)
