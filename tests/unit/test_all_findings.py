"""A mistake in the shape of a document hides nothing else, and what is said besides is true.

Seeded: what is broken, and how, is chosen at random in the documents of the case files.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest
import yaml

from engine.checks.doubt import DECIDED_BY
from engine.compile import compile_files
from schemas.codes import CODES
from schemas.guard import NOTHING, load
from schemas.reader import read
from tests.document_cases import Case, cases

Found = Counter[tuple[str, str]]
Path = tuple[str | int, ...]
_PLACES = re.compile(r"\d+")
"""Of lines, which move."""
_SHAPE = frozenset(code for code in CODES if "OC200" < code < "OC212")
_LATER = frozenset({"OC901", "OC902"})


def _values(case: Case) -> list[Any]:
    return [value for value in load(case.data, case.file).documents if value is not NOTHING]


def _written(case: Case, values: list[Any]) -> Case:
    text = yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True, width=10_000, explicit_start=True)
    return replace(case, data=text.encode())


def _found(case: Case) -> Found:
    return Counter((found.code, _PLACES.sub("N", found.message)) for found in case.compiled().findings)


@cache
def _cases() -> tuple[Case, ...]:
    """Those that the guard lets pass and that mean the same when they are written anew."""
    plain = (case for case in cases() if not case.hostile and ".toml: " not in case.name and _values(case))
    return tuple(case for case in plain if _found(_written(case, _values(case))) == _found(case))


@cache
def _right() -> tuple[Case, ...]:
    return tuple(case for case in _cases() if {code for code, _ in _found(case)} <= _LATER)


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_an_unknown_field_hides_nothing(case: Case) -> None:
    """Every finding is still there, in all documents, and nothing is added but the fields themselves."""
    before, values = _found(case), _values(case)
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("metadata"), dict):
            value["metadata"]["zzz"] = 1

    found = _found(_written(case, values))

    assert not before - found
    assert set(found - before) <= {("OC203", "'zzz' is not a field of 'metadata'")}


def test_a_wrong_value_brings_no_other_findings() -> None:
    _breaks(range(100))


@pytest.mark.slow
def test_no_wrong_value_brings_other_findings() -> None:
    _breaks(range(100, 2_000))


def _breaks(seeds: range) -> None:
    """What is broken in a right document is said where it is, and nothing is said that it may have caused."""
    for seed in seeds:
        random = Random(seed)
        case = random.choice(_right())
        values = _values(case)
        places = [(index, path) for index, value in enumerate(values) for path in _paths(value) if path]
        index, path = random.choice(places)
        _broken(values[index], path, random)

        codes = {code for code, _ in _found(_written(case, values)) - _found(case)}

        if codes & _SHAPE:
            # below a key that is none, nothing says that a name of a secret is a label's
            assert codes <= _SHAPE | {"OC212", "OC605"}, (seed, case.name, index, path)


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    match value:
        case dict():
            for key, below in value.items():
                yield from _paths(below, (*path, key))
        case list():
            for index, below in enumerate(value):
                yield from _paths(below, (*path, index))


def _broken(value: Any, path: Path, random: Random) -> None:
    for step in path[:-1]:
        value = value[step]
    old = value[path[-1]]
    match random.randrange(4):
        case 0 if isinstance(value, dict):
            del value[path[-1]]
        case 1 if isinstance(value, dict):
            value[f"{path[-1]}Zzz"] = value.pop(path[-1])
        case 2:
            value[path[-1]] = [[old]]
        case _:
            value[path[-1]] = {"zzz": old}


GUARDED = """\
apiVersion: opsconductor/v1
kind: Job
metadata: {name: first}
spec:
  targets: {names: [web-09]}
  steps: [{run: uptime}]
---
apiVersion: opsconductor/v1
kind: Job
metadata: {name: second}
spec:
  timeout: 010
  targets: {names: [web-09], names: [web-08]}
  params: &params {}
  steps:
    - {run: uptime, workingDir: *dir}
    - {run: "echo ${{ params.x }}"}
---
"""


def test_what_the_guard_refuses_hides_nothing() -> None:
    """Other documents of the file are checked, and so is what is left of the one at fault."""
    found = _codes(GUARDED)

    assert found == [
        "5:21 OC305",
        "12:12 OC110",
        "13:30 OC108",
        "13:38 OC305",
        "14:11 OC105",
        "16:33 OC105",
        "17:23 OC402",
    ]


JOB = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: doubted}\nspec:\n  targets: {names: [web-01]}\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  params: {my-param: {type: string}}\n  steps: [{run: 'echo ${{ params.my_param }}'}]", ["6:12 OC207"]),
        ("  params: {b: {type: string}, <<: {c: {}}}\n  steps: [{run: 'echo ${{ params.d }}'}]", ["6:31 OC106"]),
        ("  params: {n: {type: string, type: null}}\n  steps: [{run: 'a=$((${{ params.n }}))'}]", ["6:30 OC108"]),
        ("  steps:\n  - {id: the-b, run: uptime}\n  - {run: 'echo ${{ steps.the_b.stdout }}'}", ["7:10 OC207"]),
        ("  steps:\n  - {id: [b], run: uptime}\n  - {run: 'echo ${{ steps.b.stdout }}'}", ["7:10 OC205"]),
        ("  steps:\n  - {<<: *a, run: uptime}\n  - {run: 'echo ${{ steps.b.stdout }}'}", ["7:6 OC106", "7:10 OC105"]),
        ("  steps:\n  - {uses: assert, <<: *a}", ["7:20 OC106", "7:24 OC105"]),
        ("  steps:\n  - {run: 'echo ${{ disk }}', forEach: {as: [disk], items: [a]}}", ["7:45 OC205"]),
        ("  env: [A]\n  steps: [{run: 'echo ${{ env.A }}'}]", ["6:8 OC205"]),
    ],
)
def test_what_a_mistake_may_have_caused_is_not_said(spec: str, expected: list[str]) -> None:
    """A finding is kept only where nothing that belongs into the place at fault could make it none."""
    assert _codes(f"{JOB}{spec}\n") == expected


READ = f"{JOB}  steps: [{{run: 'echo ${{{{ params.b }}}}'}}]\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbf" + READ.encode(), ["1:1 OC102", "6:27 OC402"]),
        (READ.encode("utf-16"), ["1:1 OC101", "6:27 OC402"]),
        (READ.encode("utf-16-be"), ["1:1 OC101", "6:27 OC402"]),
        (READ.encode("utf-32"), ["1:1 OC101", "6:27 OC402"]),
        (READ.encode().replace(b"doubted}", b"a, description: caf\xe9}"), ["3:37 OC101", "6:27 OC402"]),
        (READ.encode().replace(b"web-01", b"web\xe901"), ["5:24 OC101", "6:27 OC402"]),
        (READ.encode().replace(b"web-01", b"web-0\0001"), ["5:26 OC103", "6:27 OC402"]),
        (READ.encode().replace(b"targets", "tar\u2028gets".encode()), ["5:6 OC117"]),
        (READ.encode().replace(b"params", b"par\xe9ms"), ["6:30 OC101"]),
        (READ.encode().replace(b"steps", b"par\xe9ms"), ["6:6 OC101"]),
        (READ.encode() + b"---\n\x01 - a: [\n", ["6:27 OC402", "8:1 OC103"]),
        (b"\xf0" * 200, ["1:1 OC101"]),
    ],
)
def test_bytes_that_are_refused_hide_nothing_but_themselves(data: bytes, expected: list[str]) -> None:
    """The rest of the file is read where it can be; nothing is said of places where a character is not known."""
    assert [found for found in Case("", data, ()).found() if found[-5:] not in _LATER] == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\xf0" * 200,
        b"a" * 2_000_000,
        b"---\na: b\n" * 300,
        b"a: " + b"[" * 70,
        b"a: [1" + b", 1" * 60_000 + b"]",
        b"a: [\n",
        b"a: &b 1\n" * 200,
        READ.encode() + b"---\n\x01 - a: [\n",
    ],
)
def test_who_reads_no_further_says_so(data: bytes) -> None:
    found = [finding for finding in Case("", data, ()).compiled().findings if finding.code < "OC200"]

    assert any("not read" in finding.hint for finding in found)


def test_what_stands_before_a_mistake_in_the_syntax_is_checked() -> None:
    assert _codes(f"{GUARDED.split('---', maxsplit=1)[0]}---\na: [\n---\nb: 1\n") == ["5:21 OC305", "9:1 OC104"]


def test_half_a_document_is_not_judged() -> None:
    """What ends at a mistake in the indentation is no whole document: its `spec` is not missing."""
    assert _codes("apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: a}\n spec: {}\n") == ["4:2 OC104"]


@pytest.mark.parametrize("name", ["{name: a, zzz: 1}", "{name: a, name: a}", "{name: &a a}"])
def test_what_is_mended_is_never_used(name: str) -> None:
    """It is there for its findings alone: as an act it is none, and as a definition the commit has no catalog."""
    request = f"apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {name}\nspec: {{jobRef: disk-space}}\n"
    steps = "[{uses: assert, with: {that: 'true'}}]"
    job = f"{{apiVersion: opsconductor/v1, kind: Job, metadata: {name}, spec: {{steps: {steps}}}}}\n"

    asked = Case("", request.encode(), ()).compiled()
    both = Case("", f"{request}---\n{job}".encode(), ()).compiled()

    assert (asked.acts, asked.catalog is not None) == ((), True)
    assert (both.acts, both.catalog) == ((), None)
    assert "Job/a" not in {authored.identity for authored in both.definitions}


NAMING = {
    "job.yaml": "kind: Job\nmetadata: {name: j, owner: web}\nspec: {targets: {selector: {matchLabels: {role: db}}}, "
    "steps: [{run: uptime}]}\n",
    "rule.yaml": "kind: NotificationRule\nmetadata: {name: r}\nspec: {events: [run.failed], users: [ann], "
    "select: {selector: {matchLabels: {team: web}}}}\n",
    "gate.yaml": "kind: Workflow\nmetadata: {name: w}\nspec: {jobs: {a: {approval: {teams: [ops], count: 2}}}}\n",
    "ann.yaml": "kind: User\nmetadata: {name: ann}\nspec: {email: ann@example.org, teams: [ops]}\n",
    "scan.yaml": "kind: Discovery\nmetadata: {name: d}\nspec: {runsOn: {pool: p}, networks: [10.9.0.0/24]}\n",
    "pool.yaml": "kind: RunnerPool\nmetadata: {name: p}\nspec: {networks: [10.0.0.0/24]}\n",
}
OF_NAMING = {
    "job.yaml": ["OC305", "OC307"],
    "rule.yaml": ["OC307", "OC327"],
    "gate.yaml": ["OC316"],
    "scan.yaml": ["OC329"],
}
"""What is wrong with those: nobody is called web, no target is labelled so, nothing has the label of the rule, ..."""


def _of_naming(**more: str) -> dict[str, list[str]]:
    files = {**NAMING, **{f"{name}.yaml": text for name, text in more.items()}}
    head = "apiVersion: opsconductor/v1\n"
    found = compile_files("c", [read(f"{head}{text}".encode(), file) for file, text in files.items()]).findings
    return {file: sorted(one.code for one in found if one.span.file == file) for file in OF_NAMING}


@pytest.mark.parametrize(
    "text",
    [
        "kind: User\nmetadata: {name: bob}\nspec: {email: x, teams: [other]}\n",
        "kind: Target\nmetadata: {name: t, labels: {role: web}}\nspec: {host: 'a b', connections: {local: {}}}\n",
        "kind: Job\nmetadata: {name: k, labels: {team: other}}\nspec: {steps: [{run: 5}]}\n",
        "kind: RunnerPool\nmetadata: {name: q}\nspec: {networks: [x]}\n",
        "kind: StepLibrary\nmetadata: {name: s}\nspec: {steps: [\n",
        "kind: RunerPol\nmetadata: {name: k}\nspec: {}\n",
        "kind: Clendar\nmetadata: {name: k}\nspec: {dates: ['2026-01-01']}\n",
        "kind: Uhr\nmetadata: {name: k}\nspec: {dates: ['2026-01-01']}\n",
        "kind: Window\nmetadata: {name: s}\nspec: {effect: 'deny}\n---\nkind: Calendar\n",
    ],
)
def test_a_document_at_fault_hides_nothing_that_it_cannot_decide(text: str) -> None:
    """Of who is at fault the teams and the labels are known all the same, and of a text that is no YAML the kinds."""
    assert _of_naming(other=text) == _of_naming() == OF_NAMING


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ("kind: User\nmetadata: {name: bob}\nspec: {email: x, teams: [web]}\n", {"job.yaml": ["OC307"]}),
        ("kind: User\nmetadata: {name: bob}\nspec: {email: x, teams: [ops]}\n", {"gate.yaml": []}),
        (
            "kind: User\nmetadata: {name: bob}\nspec: {email: b@example.org, teams: ['o ps']}\n",
            {"job.yaml": ["OC307"], "gate.yaml": []},
        ),
        ("kind: User\nmetadata: {name: [bob]}\nspec: {}\n", {"job.yaml": ["OC307"], "gate.yaml": []}),
        ("kind: User\nmetadata: {name: bob}\nspec: [\n", {"job.yaml": ["OC307"], "gate.yaml": []}),
        ("kind: Target\nmetadata: {name: t, labels: {role: db}}\nspec: {host: 'a b'}\n", {"job.yaml": ["OC305"]}),
        (
            "kind: Target\nmetadata: {name: t, labels: {role: [db]}}\nspec: {}\n",
            {"job.yaml": ["OC305"], "rule.yaml": ["OC327"]},
        ),
        ("kind: Job\nmetadata: {name: k, labels: {team: web}}\nspec: {steps: [{run: 5}]}\n", {"rule.yaml": ["OC327"]}),
        ("kind: Job\nmetadata: {name: k}\nspec: {steps: [\n", {"rule.yaml": ["OC327"]}),
        ("kind: Jbo\nmetadata: {name: k}\nspec: {}\n", {"rule.yaml": ["OC327"]}),
        ("kind: Uesr\nmetadata: {name: bob}\nspec: {}\n", {"job.yaml": ["OC307"], "gate.yaml": []}),
        ("kind: Person\nmetadata: {name: bob}\nspec: {teams: [ops]}\n", {"job.yaml": ["OC307"], "gate.yaml": []}),
        (
            "kind: Person\nmetadata: {name: bob}\nspec: {}\n",
            {"job.yaml": [], "rule.yaml": ["OC327"], "gate.yaml": []},
        ),
        ("metadata: {name: bob}\nspec: {teams: [ops]}\n", {"job.yaml": ["OC307"], "gate.yaml": []}),
        (
            "{kind: Calendar\n",
            {"job.yaml": [], "rule.yaml": ["OC327"], "gate.yaml": []},
        ),
    ],
)
def test_what_another_document_at_fault_may_decide_is_not_said(text: str, silent: dict[str, list[str]]) -> None:
    assert _of_naming(other=text) == {**OF_NAMING, **silent}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bad_Name", ["4:16 OC305", "8:18 OC207"]),
        ("Gone_01", ["8:18 OC207"]),
        ("[gone]", ["8:18 OC205"]),
        ("''", ["8:18 OC207"]),
        ("web, name: web", ["8:23 OC108"]),
    ],
)
def test_a_name_at_fault_stands_for_another_only_where_it_is_like_it(name: str, expected: list[str]) -> None:
    head = "apiVersion: opsconductor/v1\n"
    group = f"{head}kind: TargetGroup\nmetadata: {{name: g}}\nspec: {{names: [gone-01]}}\n"
    target = f"{head}kind: Target\nmetadata: {{name: {name}}}\nspec: {{connections: {{local: {{}}}}}}\n"
    assert _codes(f"{group}---\n{target}") == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{email: x, teams: [ops]}", "{email: y, teams: [web]}"),
        ("{email: x, teams: [web]}", "{email: ann@example.org, teams: [ops]}"),
        ("{email: ann@example.org, teams: [web]}", "{email: ann@example.org, teams: [ops]}"),
    ],
)
def test_of_several_of_one_name_the_teams_of_all_are_known(first: str, second: str) -> None:
    specs = enumerate((first, second))
    texts = {f"{n}.yaml": f"kind: User\nmetadata: {{name: bob}}\nspec: {spec}\n" for n, spec in specs}
    texts["gate.yaml"] = "kind: Workflow\nmetadata: {name: w}\nspec: {jobs: {a: {approval: {teams: [ops]}}}}\n"
    head = "apiVersion: opsconductor/v1\n"
    found = compile_files("c", [read(f"{head}{text}".encode(), file) for file, text in texts.items()]).findings
    assert "OC301" in {one.code for one in found}
    assert not [one for one in found if one.span.file == "gate.yaml"]


def test_two_documents_without_a_line_between_them_are_both_held_to_be_there() -> None:
    head = "apiVersion: opsconductor/v1\n"
    target = head + "kind: Target\nmetadata: {name: one}\nspec: {connections: {local: {}}}\n"
    job = head + "kind: Job\nmetadata: {name: j}\nspec: {targets: {names: [one, two]}, steps: [{run: uptime}]}\n"
    files = [read((target + target.replace("one", "two")).encode(), "a.yaml"), read(job.encode(), "job.yaml")]
    found = compile_files("c", files).findings
    assert {(one.code, one.span.file) for one in found if one.code != "OC303"} == {("OC108", "a.yaml")}
    assert "write a line '---' between two documents" in found[0].hint


def test_every_code_says_what_decides_it() -> None:
    """Of each finding that checks give, it is known what in a document at fault makes it doubtful."""
    named = {code for code in CODES if code > "OC212" and not "OC121" <= code <= "OC127"}

    assert named <= DECIDED_BY.keys() <= CODES.keys()


def _codes(text: str) -> list[str]:
    return [found for found in Case("", text.encode(), ()).found() if found[-5:] not in _LATER]


@pytest.mark.parametrize(
    "metadata",
    [
        "{name: j, labels: {a: [1]}}",
        "{name: j, labels: [a]}",
        "{name: j, tags: {a: b}}",
        "{name: j, previousNames: [X Y]}",
        "{name: j, previousNames: x}",
    ],
)
@pytest.mark.parametrize("kind", ["Job", "Workflow"])
def test_labels_and_former_names_at_fault_hide_no_wrong_params(kind: str, metadata: str) -> None:
    head = "apiVersion: opsconductor/v1\nkind: "
    steps = "jobs: {a: {jobRef: disk-space}}" if kind == "Workflow" else "steps: [{uses: dummy}]"
    taker = f"{head}{kind}\nmetadata: {metadata}\nspec: {{params: {{a: {{type: integer}}}}, {steps}}}\n"
    ref = f"{kind.lower()}Ref"
    given = f"{head}Schedule\nmetadata: {{name: s}}\nspec: {{{ref}: j, every: 1h, params: {{b: 1}}}}\n"
    codes = [code.split()[1] for code in _codes(f"{taker}---\n{given}")]

    assert codes[1:] == ["OC309"]
    assert codes[0] in _SHAPE


def test_labels_at_fault_are_not_held_against_whoever_starts_the_job() -> None:
    """A credential that a schedule gives it may be for jobs with the very label that cannot be read."""
    head = "apiVersion: opsconductor/v1\nkind: "
    credential = (
        f"{head}Credential\nmetadata: {{name: c}}\nspec: {{type: token, from: {{file: c}}, "
        "allowedFor: {matchLabels: {team: web}}}\n"
    )
    given = (
        f"{head}Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: j, every: 1h, "
        "params: {a: {credentialRef: c, field: token}}}\n"
    )

    def codes(labels: str) -> set[str]:
        job = (
            f"{head}Job\nmetadata: {{name: j, labels: {labels}}}\nspec: {{params: {{a: {{type: string, secret: true}}}}"
        )
        found = _codes("---\n".join((credential, f"{job}, steps: [{{uses: dummy}}]}}\n", given)))
        return {code.split()[1] for code in found} - _LATER

    assert codes("{team: other}") == {"OC307", "OC604"}
    assert codes("{team: [web]}") == {"OC205"}
