"""`import rundeck` where samples in files cannot show it: Quartz's fields, tokens, and hostile exports."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from engine.userschema import faults_of
from opsconductor.imports.crontime import CarryError
from opsconductor.imports.drafts import Reading
from opsconductor.imports.quartz import schedule
from opsconductor.imports.rundeck import Settings, read
from opsconductor.imports.rundeckwords import arguments, inlined, limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 12 * * ?", {"cron": "0 12 * * *"}),
        ("0 15 10 ? * 2-6", {"cron": "15 10 * * 1-5"}),
        ("0 15 10 ? * MON-FRI", {"cron": "15 10 * * 1-5"}),
        ("0 0/5 14,18 * * ?", {"cron": "*/5 14,18 * * *"}),
        ("0 0-5 14 * * ?", {"cron": "0-5 14 * * *"}),
        ("0 10,44 14 ? 3 WED", {"cron": "10,44 14 * 3 3"}),
        ("0 30 */6 ? Jan Mon *", {"cron": "30 */6 * 1 1"}),
        ("0 0 22 ? * FRI-MON", {"cron": "0 22 * * 0,1,5,6"}),
        ("0 0 22-2 * * ?", {"cron": "0 0-2,22,23 * * *"}),
        ("0 0 0 ? * 1,7", {"cron": "0 0 * * 0,6"}),
        ("0 0 4 1 1 ? 2027", {"at": "2027-01-01T04:00:00Z"}),
        ("0 0 5 L * ?", {"rrule": "FREQ=DAILY;BYMONTHDAY=-1;BYHOUR=5;BYMINUTE=0;BYSECOND=0"}),
        ("*/10 * * * * ? *", {"rrule": "FREQ=MINUTELY;BYSECOND=0,10,20,30,40,50"}),
        (
            "0 15 10 ? * 6#3",
            {"rrule": "FREQ=DAILY;BYMONTHDAY=15,16,17,18,19,20,21;BYDAY=FR;BYHOUR=10;BYMINUTE=15;BYSECOND=0"},
        ),
        (
            "0 15 10 ? * 6L",
            {"rrule": "FREQ=DAILY;BYMONTHDAY=-7,-6,-5,-4,-3,-2,-1;BYDAY=FR;BYHOUR=10;BYMINUTE=15;BYSECOND=0"},
        ),
    ],
)
def test_quartz_is_the_time_that_its_manual_says(text: str, said: Mapping[str, str]) -> None:
    assert dict(schedule(text.split(), "UTC").fields) == said


@pytest.mark.parametrize("text", ["5 4 * * *", "0 0 3 15W * ?", "0 61 * * * ?", "0 0 0 1 * MON#2", "0 0 0 ? * X", "a"])
def test_what_quartz_or_a_schedule_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(CarryError):
        schedule(text.split(), "UTC")


@pytest.mark.parametrize(
    ("text", "said"), [("120", "120s"), ("6h 30m", "6h30m"), ("1d", "1d"), ("soon", None), ("1h 2h", None), ("0", None)]
)
def test_a_time_limit_is_as_long_as_there(text: str, said: str | None) -> None:
    assert limit(text) == said


def test_values_are_never_spliced_into_quotes_of_their_own() -> None:
    assert inlined("a '${option.x}' \"${option.y}\"", script=False) == 'a ${{ params.x }} "${{ params.y }}"'


SECRET = 'it\'s $(id) "s3cret" `x`'
JOB = """- name: x
  options: [{name: pw, secure: true, storagePath: keys/x}, {name: who}]
  sequence:
    commands:
      - """


def read_with(step: Mapping[str, str]) -> Reading:
    return read({"jobs.yaml": (JOB + json.dumps(step)).encode()}, Settings("UTC"))


def only_step(reading: Reading) -> tuple[Mapping[str, Any], str]:
    (spec,) = (one["spec"] for draft in reading.drafts for one in draft.documents if one["kind"] == "Job")
    return spec, spec["steps"][0]["run"]


@pytest.mark.parametrize(
    ("step", "shell"),
    [
        ({"exec": "printf %s ${option.pw}"}, "sh"),
        ({"exec": 'printf %s "${option.pw}"'}, "sh"),
        ({"exec": "printf %s '${option.pw}'"}, "sh"),
        ({"script": 'pw=@option.pw@; printf %s "$pw"'}, "sh"),
        ({"script": "cat <<EOF\n@option.pw@\nEOF\n"}, "sh"),
        ({"script": 'printf %s "$1"', "args": "${option.pw}"}, "sh"),
        ({"script": "print(@option.pw@)", "scriptInterpreter": "python3"}, "python3"),
    ],
)
def test_a_secret_option_is_data_wherever_it_stands(step: Mapping[str, str], shell: str) -> None:
    """Run as the runner does, the step has the secret as it is, and evaluates nothing of it."""
    spec, run = only_step(read_with(step))
    assert spec["env"] == {"RD_OPTION_PW": "${{ params.pw }}"}
    assert "${{" not in run
    given = os.environ | {"RD_OPTION_PW": SECRET}
    done = subprocess.run([shell], input=run, capture_output=True, text=True, env=given, check=False)
    assert (done.stdout.rstrip("\n"), done.stderr) == (SECRET, "")


@pytest.mark.parametrize(
    "step",
    [
        {"exec": "curl -d 'token=${option.pw}' http://x/"},
        {"exec": 'mysql -p"${option.pw}" -e "select 1"'},
        {"script": "cat <<'EOF'\n@option.pw@\nEOF\n"},
        {"script": 'print("@option.pw@")', "scriptInterpreter": "python3"},
        {"script": "x '@option.pw@'", "scriptInterpreter": "powershell"},
    ],
)
def test_a_secret_option_where_no_value_may_stand_makes_a_step_that_fails(step: Mapping[str, str]) -> None:
    """As any option there: its name would be sent in its place, or what it says evaluated."""
    reading = read_with(step)
    assert only_step(reading)[1].endswith("exit 1")
    assert [one.place.line for one in reading.remarks if one.lost and "params.pw" in one.what] == [5]


def test_powershell_reads_a_secret_option_from_its_environment() -> None:
    script = '$pw = "a @option.pw@"; $q = @option.pw@'
    _, run = only_step(read_with({"script": script, "scriptInterpreter": "powershell"}))
    assert run == '$pw = "a ${env:RD_OPTION_PW}"; $q = $env:RD_OPTION_PW'


def test_what_is_no_secret_stays_an_expression_beside_one_that_is() -> None:
    _, run = only_step(read_with({"exec": "login ${option.who} ${option.pw} ${node.name}"}))
    assert run == 'login ${{ params.who }} "${RD_OPTION_PW}" ${{ target.name }}'


@pytest.mark.parametrize(
    ("value", "taken"),
    [("a.b", True), ("a.b|c d", True), ("c d|a.b|c d", True), ("axb", False), ("a.b|", False), ("a.b|x", False)],
)
def test_each_of_several_values_is_one_of_those_that_are_enforced(value: str, taken: bool) -> None:
    option = {"name": "x", "multivalued": True, "delimiter": "|", "enforced": True, "values": ["a.b", "c d"]}
    export = [{"name": "j", "options": [option], "sequence": {"commands": [{"exec": "true"}]}}]
    reading = read({"jobs.yaml": json.dumps(export).encode()}, Settings("UTC"))
    assert (not faults_of(only_step(reading)[0]["params"]["x"], value)) is taken


def test_a_check_that_no_pattern_holds_is_told() -> None:
    option = {"name": "x", "multivalued": True, "enforced": True, "values": [f"value-{one}" for one in range(500)]}
    export = [{"name": "j", "options": [option], "sequence": {"commands": [{"exec": "true"}]}}]
    reading = read({"jobs.yaml": json.dumps(export).encode()}, Settings("UTC"))
    assert ["one of the 500 that are enforced" in one.what for one in reading.remarks if one.lost] == [True]


def test_arguments_are_names_with_values() -> None:
    assert arguments("-a 1 -b \"two words\" -c 'x'") == {"a": "1", "b": "two words", "c": "x"}


@pytest.mark.parametrize(
    "data",
    [
        b"- &a\n  name: x\n  sequence: {commands: [*a]}\n",
        b"[" * 100_000,
        b"- !!python/object/apply:os.system [true]\n",
        b"\xff",
        b"- name: x\n  sequence: {commands: [{exec: [1]}, 5, {script: {}}]}\n",
        b"- name: x\n  schedule: {time: [], weekday: 5, crontab: 7}\n  nodefilters: []\n  notification: {onstart: 3}\n"
        b"  options: {a: 1}\n  sequence: 5\n",
        b"- name: x\n  options: [{name: a, regex: '((((((a+)+)+)+)+)+$', values: 5, enforced: true}]\n"
        b"  timeout: 99999999999\n  nodefilters: {dispatch: {threadcount: 999999999}, filter: '"
        + b"a: "
        * 5_000
        + b"'}\n"
        b"  sequence: {commands: [{exec: x}]}\n",
    ],
    ids=range(7),
)
def test_hostile_exports_come_to_an_end(data: bytes) -> None:
    assert read({"jobs.yaml": data}, Settings("UTC")).remarks
