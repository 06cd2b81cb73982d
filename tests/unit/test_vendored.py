"""Step libraries in a repository: what `validate` says of them on disk, and the engine of a commit."""

import asyncio
import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.vendored import digest
from opsconductor.checking.validation import validate_commit, validate_paths
from reconciler.definitions import Definitions
from reconciler.repository.objects import Objects

HEAD = "apiVersion: opsconductor/v1\n"
LIBRARY = f"{HEAD}kind: StepLibrary\nmetadata: {{name: logs}}\nspec:\n  version: 1.4.0\n"
TRIM = f"""{HEAD}kind: Step
metadata: {{name: trim}}
spec:
  inputs:
    days: {{type: integer, required: true, description: Days to keep.}}
    token: {{type: string, secret: true}}
  outputs: {{freed: {{type: integer, value: "${{{{ steps.look.outputs.freed }}}}"}}}}
  platforms: [linux]
  steps:
    - id: look
      run: trim "${{{{ inputs.days }}}}"
      env: {{TOKEN: "${{{{ inputs.token }}}}"}}
      outputs: {{freed: "${{{{ int(stdout) }}}}"}}
  examples: [{{with: {{days: 7}}}}]
"""
SCRIPT = f"{HEAD}kind: Step\nmetadata: {{name: count}}\nspec:\n  script: count.sh\n  env: {{A: x}}\n"
JOB = f"""{HEAD}kind: Job
metadata: {{name: j}}
spec:
  params: {{days: {{type: integer, default: 7}}}}
  targets: {{names: [t]}}
  steps:
    - {{uses: logs/trim@1, with: {{days: "${{{{ params.days }}}}", token: "${{{{ secrets.api.token }}}}"}}}}
    - {{uses: logs/count@1.4}}
"""
GOOD = {
    "opsconductor.yaml": f"{HEAD}kind: Project\nmetadata: {{name: x}}\n",
    "definitions/j.yaml": JOB,
    "definitions/t.yaml": f"{HEAD}kind: Target\nmetadata: {{name: t}}\nspec: {{connections: {{local: {{}}}}}}\n",
    "definitions/c.yaml": f"{HEAD}kind: Credential\nmetadata: {{name: api}}\n"
    "spec: {type: token, from: {file: x}}\n",
    "libraries/logs/library.yaml": LIBRARY,
    "libraries/logs/steps/trim.yaml": TRIM,
    "libraries/logs/steps/count.yaml": SCRIPT,
    "libraries/logs/steps/count.sh": "wc -l\n",
    "libraries/logs/README.md": "not a part of what is locked",
    "libraries/other/notes.yaml": "a: [",
}


def locked(files: Mapping[str, str]) -> str:
    """The lock file of all libraries among the files."""
    names = sorted({path.split("/")[1] for path in files if path.startswith("libraries/") and "library.yaml" in path})
    text = "libraries:\n"
    for name in names:
        inner = {path.removeprefix(f"libraries/{name}/"): data for path, data in files.items() if f"/{name}/" in path}
        parts = {path: data for path, data in inner.items() if path == "library.yaml" or path.startswith("steps/")}
        found = digest((path, hashlib.sha256(data.encode()).hexdigest()) for path, data in parts.items())
        text += f"  {name}: {{source: ../{name}, ref: v1, commit: c0ffee, digest: '{found}'}}\n"
    return text


def write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def found(root: Path) -> list[str]:
    return [f"{f.span.file}:{f.span.line} {f.code}" for f in validate_paths(root).findings if f.code != "OC901"]


def test_a_library_that_is_right_gives_nothing(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "opsconductor.lock": locked(GOOD)})

    report = validate_paths(tmp_path)

    assert found(tmp_path) == []
    assert report.compiled.catalog is not None
    assert list(report.compiled.catalog.libraries) == ["logs"]
    assert sorted(report.compiled.catalog.libraries["logs"].steps) == ["count", "trim"]
    assert report.compiled.catalog.held == {}


def test_the_digest_is_what_the_shell_says(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    command = "cd libraries/logs && sha256sum library.yaml steps/* | LC_ALL=C sort -k 2 | sha256sum"
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert f"sha256:{said.split()[0]}" in locked(GOOD)


TRIMMED, COUNTED = "libraries/logs/steps/trim.yaml", "libraries/logs/steps/count.yaml"
OWN, JOBS, NEW = "libraries/logs/library.yaml", "definitions/j.yaml", "definitions/l.yaml"
OTHER = {
    "libraries/more/library.yaml": LIBRARY.replace("logs", "more"),
    "libraries/more/steps/x.yaml": SCRIPT.replace("count", "x"),
}
OTHER["libraries/more/steps/x.sh"] = "true"


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({OWN: LIBRARY.replace("logs", "log")}, [f"{OWN}:3 OC317"]),
        ({TRIMMED: TRIM.replace("name: trim", "name: trims")},
         [f"{JOBS}:8 OC305", f"{TRIMMED}:3 OC317"]),
        ({COUNTED: SCRIPT + "---\n" + SCRIPT}, [f"{COUNTED}:9 OC317"]),
        ({OWN: JOB}, [f"{OWN}:1 OC317", f"{OWN}:2 OC317"]),
        ({OWN: LIBRARY + "  x: 1\n"}, [f"{OWN}:6 OC203"]),
        ({NEW: LIBRARY + "---\n" + SCRIPT}, [f"{NEW}:2 OC317", f"{NEW}:8 OC317"]),
        ({COUNTED: SCRIPT.replace("count.sh", "cuont.sh")}, [f"{COUNTED}:5 OC305"]),
        ({COUNTED: SCRIPT.replace("count.sh", "in/count.sh")}, [f"{COUNTED}:5 OC305"]),
        ({COUNTED: SCRIPT + "  inputs: {a: {type: strin}}\n"}, [f"{COUNTED}:7 OC212"]),
        ({COUNTED: SCRIPT + "  outputs: {a: {type: strin, value: 1}}\n"}, [f"{COUNTED}:7 OC212"]),
        ({COUNTED: SCRIPT + "  outputs: {a: {value: '${{ int(stdout) + inputs.x }}'}}\n"}, [f"{COUNTED}:7 OC402"]),
        ({COUNTED: SCRIPT.replace("A: x", "A: '${{ params.x }}'")}, [f"{COUNTED}:6 OC402"]),
        ({TRIMMED: TRIM.replace("days: 7", "days: x, nope: 1")}, [f"{TRIMMED}:15 OC406", f"{TRIMMED}:15 OC406"]),
        ({TRIMMED: TRIM.replace("{days: 7}", "{}")}, [f"{TRIMMED}:15 OC406"]),
        ({TRIMMED: TRIM.replace("inputs.days", "inputs.dayz")}, [f"{TRIMMED}:12 OC402"]),
        ({TRIMMED: TRIM.replace("inputs.days", "inputs.token")}, [f"{TRIMMED}:12 OC606"]),
        ({TRIMMED: TRIM.replace("inputs.token", "secrets.api.token")}, [f"{TRIMMED}:13 OC606"]),
        ({TRIMMED: TRIM.replace("outputs.freed }}\"", "outputs.fred }}\"", 1)}, [f"{TRIMMED}:8 OC405"]),
        ({TRIMMED: TRIM.replace("[linux]", "[windows]")}, [f"{JOBS}:8 OC320"]),
        ({TRIMMED: TRIM.replace("- id: look", "- {uses: logs/trim@1, with: {days: 3}}\n    - id: look")},
         [f"{TRIMMED}:11 OC319"]),
        ({TRIMMED: TRIM.replace("- id: look", "- uses: more/x@1\n    - id: look"), **OTHER}, [f"{TRIMMED}:11 OC305"]),
        ({OWN: LIBRARY + "  requires: [more@1, linux-core@1, moor@1, more@2]\n", **OTHER},
         [f"{OWN}:6 OC305", f"{OWN}:6 OC305"]),
        ({JOBS: JOB.replace("logs/trim@1", "log/trim@1")}, [f"{JOBS}:8 OC305"]),
        ({JOBS: JOB.replace("logs/trim@1", "logs/trim@2")}, [f"{JOBS}:8 OC305"]),
        ({JOBS: JOB.replace("logs/trim@1", "logs/trim")}, [f"{JOBS}:8 OC207"]),
        ({JOBS: JOB + "    - {uses: logs/count@1, env: {A: x, B: '${{ secrets.api.token }}'}, stdin: x}\n"},
         [f"{JOBS}:10 OC606", f"{JOBS}:10 OC406"]),
        ({JOBS: JOB.replace("targets: {names: [t]}", "")}, [f"{JOBS}:8 OC406", f"{JOBS}:9 OC406"]),
        ({COUNTED: SCRIPT + "  inputs: {a: {type: string}}\n", "libraries/logs/steps/count.sh": "echo $((A + 1))",
          }, []),
        ({COUNTED: SCRIPT.replace("A: x", "A: '${{ inputs.a }}'") + "  inputs: {a: {type: string}}\n",
          "libraries/logs/steps/count.sh": "echo $((A + 1))"}, [f"{COUNTED}:6 OC404"]),
        ({COUNTED: SCRIPT + "  outputs: {a: {type: string}}\n"}, [f"{COUNTED}:7 OC204"]),
        ({JOBS: JOB.replace("logs/trim@1", "linux-core/trim@1")}, [f"{JOBS}:8 OC305"]),
        ({JOBS: JOB.replace('"${{ params.days }}"', "soon")}, [f"{JOBS}:8 OC406"]),
        ({JOBS: JOB.replace('"${{ secrets.api.token }}"', "hunter2")}, [f"{JOBS}:8 OC605"]),
        ({JOBS: JOB.replace("secrets.api.token", "secrets.api.value")}, [f"{JOBS}:8 OC607"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_libraries_is_found_where_it_is(
    tmp_path: Path, changes: dict[str, str], findings: list[str]
) -> None:
    files = {**GOOD, **changes}
    write(tmp_path, {**files, "opsconductor.lock": locked(files)})

    assert found(tmp_path) == findings


@pytest.mark.parametrize(
    ("lock", "findings"),
    [
        (None, ["libraries/logs/library.yaml:3 OC318"]),
        ("libraries: {}\n", ["libraries/logs/library.yaml:3 OC318"]),
        ("libraries: {logs: {digest: 'sha256:0'}}\n", ["libraries/logs/library.yaml:3 OC318"]),
        (locked(GOOD) + "  gone: {digest: x}\n", ["opsconductor.lock:1 OC318"]),
        ("libraries: [\n", ["libraries/logs/library.yaml:3 OC318", "opsconductor.lock:1 OC104"]),
        ("- 1\n", ["libraries/logs/library.yaml:3 OC318"]),
    ],
)
def test_a_library_is_what_its_lock_says(tmp_path: Path, lock: str | None, findings: list[str]) -> None:
    write(tmp_path, {**GOOD, **({"opsconductor.lock": lock} if lock is not None else {})})

    assert found(tmp_path) == findings


def test_a_commit_has_the_findings_of_the_same_files_on_disk(tmp_path: Path) -> None:
    include = f"{GOOD['opsconductor.yaml']}spec: {{include: ['**/*.yaml', '**/*.lock']}}\n"
    files = {path: text for path, text in GOOD.items() if "other" not in path}
    write(
        tmp_path,
        {**files, "opsconductor.yaml": include, "opsconductor.lock": locked(files), COUNTED: SCRIPT + "  a: 1\n"},
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()

    on_disk = validate_paths(tmp_path).findings
    definitions = Definitions(Objects(tmp_path / ".git"))

    assert {finding.code for finding in on_disk} == {"OC203", "OC307", "OC318"}
    assert validate_commit(tmp_path / ".git", commit).findings == on_disk
    assert asyncio.run(definitions.load(commit)).findings == on_disk
    assert asyncio.run(definitions.load(commit)).findings == on_disk, "also where the files were read before"


def test_a_library_that_changes_is_seen_by_the_jobs_that_did_not(tmp_path: Path) -> None:
    """The engine keeps what it knows of a commit; what a library says is no part of the jobs that use it."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    definitions = None
    found: list[list[str]] = []
    for trim in (TRIM, TRIM.replace("days:", "keep:").replace("inputs.days", "inputs.keep"), TRIM):
        files = {**GOOD, TRIMMED: trim}
        write(tmp_path, {**files, "opsconductor.lock": locked(files)})
        subprocess.run([*git, "add", "-A"], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "next"], cwd=tmp_path, check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True)
        definitions = definitions or Definitions(Objects(tmp_path / ".git"))
        findings = asyncio.run(definitions.load(head.stdout.strip())).findings
        found.append([f"{f.span.file} {f.code}" for f in findings if f.code != "OC901"])

    assert found == [[], ["definitions/j.yaml OC406", "definitions/j.yaml OC406"], []]


def test_a_certificate_that_a_connection_names_is_looked_for(tmp_path: Path) -> None:
    head = HEAD + "kind: Target\nmetadata: {name: "
    http = "{baseUrl: 'https://a', caCert: gone.pem}"
    spec = f"}}\nspec: {{host: a, connections: {{winrm: {{caCert: there.pem}}, http: {http}}}}}\n"
    targets = f"{head}a{spec}---\n{head}b{spec.replace('gone.pem', repr('-----BEGIN CERTIFICATE-----'))}"
    write(tmp_path, {"opsconductor.yaml": GOOD["opsconductor.yaml"], "definitions/t.yaml": targets, "there.pem": "x"})

    found = [f for f in validate_paths(tmp_path).findings if f.code == "OC509"]

    assert [(f.span.line, f.message) for f in found] == [(4, "there is no file 'gone.pem' in the repository")]


def test_a_file_that_a_calendar_names_is_looked_for_on_disk_and_in_the_commit(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    paths = ["there.ics", "a/link.ics", "a", "gone.ics", "linked/x.ics"]
    head = HEAD + "kind: Calendar\nmetadata: {name: "
    calendars = "---\n".join(f"{head}c{index}}}\nspec: {{ics: {path}}}\n" for index, path in enumerate(paths))
    write(tmp_path, {"opsconductor.yaml": GOOD["opsconductor.yaml"], "definitions/c.yaml": calendars, "there.ics": "x"})
    write(tmp_path, {"a/x.ics": "x"})
    (tmp_path / "a/link.ics").symlink_to("x.ics")
    (tmp_path / "linked").symlink_to("a")
    for words in (["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()

    on_disk = validate_paths(tmp_path).findings
    definitions = Definitions(Objects(tmp_path / ".git"))

    assert [f.span.line for f in on_disk if f.code == "OC509"] == [9, 14, 19, 24]
    assert validate_commit(tmp_path / ".git", commit).findings == on_disk
    assert asyncio.run(definitions.load(commit)).findings == on_disk
