"""Templates that steps render: read with the commit, so that no run is the first to see what is wrong with one."""

from pathlib import Path

import pytest

from engine.compile import TEMPLATE_READ, Compiled, compile_files
from opsconductor.checking.validation import validate_paths
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
JOB = (
    HEAD + "kind: Job\nmetadata: {name: site}\nspec:\n  params: {port: {type: integer, default: 80}}\n"
    "  targets: {names: [web]}\n  steps:\n"
)
WEB = HEAD + "kind: Target\nmetadata: {name: web}\nspec: {connections: {local: {}}}\n"
STEP = "    - {{uses: template, with: {{source: files/a.j2, destination: /etc/a{vars}}}{more}}}\n"


def step(variables: str = "", more: str = "") -> str:
    return STEP.format(vars=variables and f", vars: {variables}", more=more and f", {more}")


def compiled(template: bytes, steps: str, before: Compiled | None = None) -> Compiled:
    texts = {
        "opsconductor.yaml": HEAD + "kind: Project\nmetadata: {name: x}\n",
        "web.yaml": WEB,
        "job.yaml": JOB + steps,
    }
    files = [read(text.encode(), file) for file, text in texts.items()]
    there = frozenset({"files/a.j2"})
    return compile_files("0", files, present=there, templates={"files/a.j2": template}, before=before)


def found(template: bytes, steps: str) -> list[str]:
    return [f"{one.code} {one.message}" for one in compiled(template, steps).findings]


@pytest.mark.parametrize(
    ("template", "steps"),
    [
        (b"{{ params.port }} {{ target.host }} {{ steps }} {{ run.id }} {{ job.name }} {{ env }} {{ vars }}", step()),
        (b"{{ port }}", step("{port: 8080}")),
        (b"{% set port = 1 %}{% for one in range(3) %}{{ one + port + loop.index }}{% endfor %}", step()),
        (b"{{ item }}", step(more="forEach: {items: [a, b]}")),
        (b"{{ site }}", step(more="forEach: {items: [a, b], as: site}")),
        (b"{{ whatever }}", step('"${{ target.vars }}"')),
        (
            b"{{ params.port | default(65535) }} {{ '%d' % 65535 }} {{ [8080] | first }} {{ 'a'.replace('a', 'b') }}",
            step(),
        ),
        (b"", step()),
    ],
)
def test_what_a_run_renders_is_right(template: bytes, steps: str) -> None:
    assert found(template, steps) == []


@pytest.mark.parametrize(
    ("template", "finding"),
    [
        (b"listen\n{{ port", "OC409 files/a.j2:2: not a template: unexpected end of template, expected 'end of print"),
        (b"a\n{% for i in range(20000) %}x{% endfor %}", "OC409 files/a.j2:2: 'range' of a number over 10,000"),
        (b"{{ 'a'.ljust(20000) }}", "OC409 files/a.j2:1: 'ljust' of a number over 10,000"),
        (b"a\nb\n{% if x %}", "OC409 files/a.j2:3: not a template: Unexpected end of template"),
        (b"listen\n{{ prot }}\n{{ prot }}{{ port }}", "OC410 files/a.j2:2: there is no 'prot' in this template"),
        (b"{{ port | uper }}", "OC409 files/a.j2:1: there is no filter 'uper'"),
        (b"\n{% include 'b.j2' %}", "OC409 files/a.j2:2: 'include': a template is alone, and reads no other"),
        (b"a\n\xff\n", "OC409 files/a.j2:2: not a template: it is no text in UTF-8"),
    ],
)
def test_what_a_run_would_refuse_is_said_with_its_line(template: bytes, finding: str) -> None:
    (one,) = found(template, step("{port: 80}"))

    assert one.startswith(finding)


def test_names_are_said_at_the_step_with_those_that_are_there() -> None:
    (one,) = compiled(b"{{ prot }}", step("{port: 80}")).findings

    assert (one.span.file, one.span.line, one.severity) == ("job.yaml", 8, "error")
    assert one.hint == "there are env, job, params, port, run, steps, target, vars"


def test_a_template_that_changes_is_checked_again_though_no_document_did() -> None:
    right = compiled(b"{{ params.port }}", step())
    wrong = compiled(b"{{ parms.port }}", step(), before=right)

    assert right.findings == ()
    assert [one.code for one in wrong.findings] == ["OC410"]


def test_a_large_template_is_left_to_the_run(tmp_path: Path) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "opsconductor.yaml").write_text(HEAD + "kind: Project\nmetadata: {name: x}\n")
    (tmp_path / "definitions" / "job.yaml").write_text(JOB + step() + "---\n" + WEB)
    template = tmp_path / "files" / "a.j2"

    template.write_text("{{ x }}")
    assert [one.code for one in validate_paths(tmp_path).findings] == ["OC410"]
    template.write_text("{{ x }}" + " " * TEMPLATE_READ)
    assert validate_paths(tmp_path).findings == ()
