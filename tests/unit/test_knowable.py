"""Mistakes that a check can know before anything runs, in the words that an author reads."""

import pytest

from engine.compile import compile_files
from schemas.diagnostic import Diagnostic
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
JOB = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: "
ASKS = "kind: Job\nmetadata: {name: asks}\nspec: {params: {pw: {type: string, secret: true}}, steps: [{uses: dummy}]}\n"


def found(*documents: str) -> list[Diagnostic]:
    text = "---\n".join(f"apiVersion: opsconductor/v1\n{one}" for one in (ASKS, *documents))
    return list(
        compile_files("c", [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a.yaml")]).findings
    )


def schedule(fields: str) -> Diagnostic:
    (one,) = found(f"kind: Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: asks, {fields}}}\n")
    return one


@pytest.mark.parametrize(
    ("zone", "named"),
    [
        ("GMT+2", "always 2 h ahead of UTC is 'Etc/GMT-2': in these names the sign is the other way round"),
        ("UTC-03:00", "always 3 h behind UTC is 'Etc/GMT+3': in these names the sign is the other way round"),
        ("UTC+05:30", "or UTC"),
        ("+0", "or UTC"),
        ("GMT+99", "or UTC"),
    ],
)
def test_a_distance_from_utc_is_not_taken_for_the_zone_with_the_name_most_like_it(zone: str, named: str) -> None:
    text = f"kind: Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: free, cron: 0 0 * * *, timeZone: '{zone}'}}\n"
    (one,) = found("kind: Job\nmetadata: {name: free}\nspec: {steps: [{uses: dummy}]}\n", text)

    assert one.code == "OC501" and one.hint.endswith(named) and "did you mean" not in one.hint


def test_each_wrong_field_of_a_cron_is_told() -> None:
    text = 'kind: Schedule\nmetadata: {name: s}\nspec: {jobRef: free, timeZone: UTC, cron: "60 24 0 13 8"}\n'
    told = found("kind: Job\nmetadata: {name: free}\nspec: {steps: [{uses: dummy}]}\n", text)

    assert [one.message.split(" in the ")[1] for one in told] == [
        "minute field", "hour field", "day of month field", "month field", "day of week field"
    ]  # fmt: skip
    assert len({one.span.column for one in told}) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{credentialRef: null, field: value}", "'credentialRef' is the name of a Credential, a text"),
        ("{credentialRef: web, field: 3}", "'field' is the name of one of its fields, a text"),
    ],
)
def test_what_is_no_text_is_not_taken_for_a_name(given: str, message: str) -> None:
    one = schedule(f"every: 1h, params: {{pw: {given}}}")

    assert (one.code, one.message) == ("OC205", message)


def test_a_default_that_names_a_credential_is_not_called_plain_text() -> None:
    default = "{credentialRef: web, field: password}"
    spec = f"{{params: {{pw: {{secret: true, default: {default}}}}}, steps: [{{uses: dummy}}]}}"
    (one,) = found(f"kind: Job\nmetadata: {{name: j}}\nspec: {spec}\n")

    assert (one.code, one.message) == ("OC212", "secret 'pw' has a default, and a secret param takes none")


@pytest.mark.parametrize(("file", "other"), [("a/t.yaml", "a/T.yaml"), ("A/t.yaml", "a/t.yaml"), ("ö.yaml", "Ö.yaml")])
def test_two_files_that_some_machines_take_for_one_are_told(file: str, other: str) -> None:
    jobs = {one: f"{JOB}j{number}}}\nspec: {{steps: [{{uses: dummy}}]}}\n" for number, one in enumerate((file, other))}
    files = [read(PROJECT.encode(), "opsconductor.yaml"), *(read(text.encode(), one) for one, text in jobs.items())]

    (one,) = compile_files("c", files).findings

    assert (one.code, one.severity, {one.span.file, one.related[0].span.file}) == ("OC124", "warning", {file, other})


def test_files_with_other_names_are_no_such_files() -> None:
    text = f"{JOB}j}}\nspec: {{steps: [{{uses: dummy}}]}}\n"
    files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "a/t.yaml")]

    assert not compile_files("c", [*files, read(text.replace("j}", "k}").encode(), "b/t.yaml")]).findings
