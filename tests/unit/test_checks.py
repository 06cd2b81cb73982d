"""What the cross-checks rely on, against second implementations."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checks.sshkeys import host_key_problem
from engine.checks.timezones import is_zone
from engine.compile import compile_files, included
from engine.globs import matches, may_hold
from engine.members import Members
from engine.selection import select
from schemas.diagnostic import has_errors
from schemas.project import Project
from schemas.reader import Authored, read
from schemas.selector import Selection
from schemas.target import Target, TargetGroup
from tests.planned import credential, job, ssh_target, tree

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
JOB = f"{HEAD}kind: Job\nmetadata: {{name: j}}\nspec: {{targets: {{names: [t]}}, steps: [{{run: uptime}}]}}\n"
TARGET = f"{HEAD}kind: Target\nmetadata: {{name: t}}\nspec: {{connections: {{local: {{}}}}}}\n"
GOOD = {"opsconductor.yaml": PROJECT, "definitions/j.yaml": JOB, "definitions/t.yaml": TARGET}
BAD_ACT = f"{HEAD}kind: RunRequest\nmetadata: {{name: r}}\nspec: {{jobRef: j, nonsense: 1}}\n"


def compiled(**more: str):  # type: ignore[no-untyped-def]
    files = {**GOOD, **{f"definitions/{name}.yaml": text for name, text in more.items()}}
    return compile_files("c0ffee", [read(text.encode(), file) for file, text in files.items()])


def test_a_sound_commit_is_a_catalog() -> None:
    result = compiled()

    assert result.findings == ()
    assert result.documents == 3
    assert result.catalog is not None
    assert list(result.catalog.jobs) == ["j"]
    assert result.catalog.origin["Job/j"].file == "definitions/j.yaml"
    assert [authored.identity for authored in result.definitions] == ["Job/j", "Target/t", "Project/x"]


def test_the_order_of_files_changes_nothing() -> None:
    files = [read(text.encode(), file) for file, text in {**GOOD, "definitions/x.yaml": "a: [\n"}.items()]

    assert compile_files("c", files) == compile_files("c", reversed(files)) or (
        compile_files("c", files).findings == compile_files("c", reversed(files)).findings
    )


@pytest.mark.parametrize(
    "act",
    [BAD_ACT, BAD_ACT.replace("nonsense: 1", "params: {x: 1}"), BAD_ACT.replace("spec: {", "spec: {{"),
     f"{HEAD}kind: Approval\nmetadata: {{name: a}}\n", BAD_ACT.replace(", nonsense: 1", ", workflowRef: flow")],
)  # fmt: skip
def test_an_invalid_act_never_rejects_a_commit(act: str) -> None:
    result = compiled(act=act)

    assert result.catalog is not None
    assert has_errors(result.findings)


def test_an_act_is_no_definition() -> None:
    result = compiled(act=BAD_ACT.replace(", nonsense: 1", ""))

    assert [act.identity for act in result.acts] == ["RunRequest/r"]
    assert result.catalog is not None
    assert "RunRequest/r" not in result.catalog.origin


def test_a_broken_definition_beside_an_act_rejects_the_commit() -> None:
    assert compiled(both=f"{BAD_ACT}---\n{JOB.replace('name: j', 'name: k')}x: 1\n").catalog is None
    assert compiled(both=f"{JOB.replace('name: j', 'name: k')}---\n{BAD_ACT}  x: [\n").catalog is None


def test_a_warning_rejects_nothing() -> None:
    result = compiled(k=JOB.replace("name: j", "name: k").replace("names: [t]", "selector: {matchLabels: {a: b}}"))

    assert [(finding.code, finding.severity) for finding in result.findings] == [("OC307", "warning")]
    assert result.catalog is not None


def test_a_refused_commit_keeps_its_findings() -> None:
    result = compiled()

    refused = result.refused(compiled(act=BAD_ACT).findings)

    assert refused.catalog is None
    assert len(refused.findings) == 1


def test_a_file_that_moves_is_found_at_its_new_place() -> None:
    moved = read(JOB.replace("uptime", "5").encode() + BAD_ACT.encode(), "old.yaml").within("new.yaml")

    assert {finding.span.file for finding in moved.findings} == {"new.yaml"}


def test_what_was_checked_before_is_checked_again_when_others_change() -> None:
    """Remembered answers depend on what they were computed from, and on nothing else."""
    job = read(JOB.replace("spec: {", "spec: {params: {n: {type: integer}}, ").encode(), "definitions/j.yaml")
    schedule = read(
        f"{HEAD}kind: Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: j, every: 1h, params: {{n: 1}}}}".encode(), "s"
    )
    others = [read(PROJECT.encode(), "opsconductor.yaml"), read(TARGET.encode(), "t")]
    changed = read(JOB.replace("spec: {", "spec: {params: {n: {type: string}}, ").encode(), "definitions/j.yaml")

    assert compile_files("a", [job, schedule, *others]).findings == ()
    assert [f.code for f in compile_files("b", [changed, schedule, *others]).findings] == ["OC309"]
    assert compile_files("c", [job, schedule, *others]).findings == ()


# --- globs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "path", "matched"),
    [
        ("definitions/**/*.yaml", "definitions/a.yaml", True),
        ("definitions/**/*.yaml", "definitions/a/b/c.yaml", True),
        ("definitions/**/*.yaml", "definitions/a/b/c.yml", False),
        ("definitions/**/*.yaml", "other/definitions/a.yaml", False),
        ("**/*.yaml", "a.yaml", True),
        ("*.yaml", "a/b.yaml", False),
        ("a/?.yaml", "a/b.yaml", True),
        ("a/?.yaml", "a/bc.yaml", False),
        ("a/**", "a/b/c", True),
        ("a/**/b/**/c", "a/x/b/y/z/c", True),
        ("./a/*", "a/b", True),
    ],
)
def test_globs(glob: str, path: str, matched: bool) -> None:
    assert matches(glob, path) is matched


def _as_pattern(glob: str) -> str:
    parts = []
    for part in glob.split("/"):
        parts.append(
            "(?:[^/]+/)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"
        )
    return "".join(parts)


_parts = st.lists(st.sampled_from(["a", "b", "ab", "a*", "*b", "?", "*", "**", "a*b"]), min_size=1, max_size=5)
_paths = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=5)


@given(_parts, _paths)
def test_globs_match_as_the_same_regular_expression_does(parts: list[str], path: list[str]) -> None:
    glob, text = "/".join(parts), "/".join(path)

    assert matches(glob, text) is (re.fullmatch(_as_pattern(glob), text + "/") is not None)
    if matches(glob, text):
        assert all(may_hold(glob, "/".join(path[:n])) for n in range(1, len(path)))


def test_no_glob_is_slow() -> None:
    assert not matches("**/" * 50 + "*a" * 50 + "b", "/".join(["a" * 200] * 40))


def test_the_project_itself_is_always_included() -> None:
    project = read(PROJECT.replace("{name: x}", "{name: x}\nspec: {include: ['jobs/*.yaml']}").encode(), "p")

    (document,) = (authored.document for authored in project.documents)

    assert isinstance(document, Project)
    assert included(["jobs/b.yaml", "jobs/a.yaml", "x.yaml", "opsconductor.yaml"], document) == (
        "jobs/a.yaml", "jobs/b.yaml", "opsconductor.yaml",
    )  # fmt: skip
    assert included(["definitions/x.yaml", "y.yaml"], None) == ("definitions/x.yaml",)


# --- who is chosen ----------------------------------------------------------------------------------------------------

_labels = st.dictionaries(st.sampled_from(["role", "env"]), st.sampled_from(["a", "b", "c"]))
_names = st.sampled_from(["t0", "t1", "t2", "t3"])
_groups = st.sampled_from(["g0", "g1", "g2"])
_conditions = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from(["role", "env", "x"]), "operator": st.sampled_from(["In", "NotIn"]),
         "values": st.lists(st.sampled_from(["a", "b", "z"]), min_size=1)}
    )
    | st.fixed_dictionaries(
        {"key": st.sampled_from(["role", "env", "x"]), "operator": st.sampled_from(["Exists", "DoesNotExist"])}
    ),
    max_size=2,
)  # fmt: skip
_selectors = st.fixed_dictionaries({"matchLabels": _labels, "matchExpressions": _conditions})
_selections = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "selector": _selectors,
            "groups": st.lists(_groups, max_size=2),
            "names": st.lists(_names, max_size=2),
        },
    ),
    lambda below: st.fixed_dictionaries(
        {"exclude": below}, optional={"selector": _selectors, "names": st.lists(_names, max_size=2)}
    ),
    max_leaves=3,
)


@given(
    st.lists(_labels, max_size=4),
    st.lists(
        st.fixed_dictionaries(
            {"names": st.lists(_names, max_size=2), "groups": st.lists(_groups, max_size=2)},
            optional={"selector": _selectors},
        ),
        max_size=3,
    ),
    _selections,
)
def test_the_index_of_labels_chooses_as_selection_does(labels: list, groups: list, selection: dict) -> None:  # type: ignore[type-arg]
    def model(kind: type, name: str, metadata: dict, spec: dict):  # type: ignore[no-untyped-def,type-arg]
        data = {
            "apiVersion": "opsconductor/v1",
            "kind": kind.__name__,
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        return kind.model_validate(data)  # type: ignore[attr-defined]

    targets = {f"t{n}": model(Target, f"t{n}", {"labels": own}, {}) for n, own in enumerate(labels)}
    named = {f"g{n}": model(TargetGroup, f"g{n}", {}, spec) for n, spec in enumerate(groups)}
    wanted = Selection.model_validate(selection)

    assert Members(targets, named).chosen(wanted) == select(wanted, targets, named)


# --- small ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UTC", "Europe/Chisinau", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])
def test_zones(name: str) -> None:
    assert is_zone(name)


@pytest.mark.parametrize(
    "name", ["", "EEST2", "../UTC", "/etc/passwd", "Europe", "posix/UTC", "localtime", "a\0b", "x" * 5000]
)
def test_no_zones(name: str) -> None:
    assert not is_zone(name)


def test_a_host_key_of_another_type_than_it_says() -> None:
    ed25519 = "AAAAC3NzaC1lZDI1NTE5AAAAINAKzgxQceimQMNXmbzKNLq0z00/5rIqAFi0NLe3CVVq"

    assert host_key_problem(f"ssh-ed25519 {ed25519}") is None
    assert host_key_problem(f"@cert-authority ssh-ed25519 {ed25519} a comment") is None
    assert host_key_problem(f"ssh-rsa {ed25519}") == "the host key is not of the type ssh-rsa it says"


@given(st.text(max_size=60))
def test_any_text_is_a_host_key_or_is_not(text: str) -> None:
    for problem in (host_key_problem(text), host_key_problem(f"ssh-ed25519 {text}")):
        assert problem is None or problem


@given(st.sampled_from([JOB, TARGET, PROJECT, BAD_ACT]), st.lists(st.sampled_from(["spec", "x", 0, 1, "steps", "run"])))
def test_every_path_has_a_place(text: str, path: list[str | int]) -> None:
    for authored in read(text.replace(", nonsense: 1", "").encode(), "x").documents:
        assert isinstance(authored, Authored)
        span, key = authored.span(*path), authored.span(*path, key=True)
        assert (1, 1) <= (span.line, span.column) <= (span.end_line, span.end_column)
        assert (1, 1) <= (key.line, key.column) <= (key.end_line, key.end_column)


@pytest.mark.parametrize(
    ("schema", "value", "hint"),
    [
        ("{type: string}", "1", """s: "1", on the command line -p 's="1"'"""),
        ("{type: string, enum: ['true']}", "true", """s: "true", on the command line -p 's="true"'"""),
        ("{enum: ['1', '2']}", "2", """s: "2", on the command line -p 's="2"'"""),
        ("{type: string, minLength: 2}", "1", None),
        ("{type: boolean}", "1", None),
        ("{type: string}", "[1]", None),
        ("{type: string, secret: true}", "1234", None),
    ],
)
def test_a_number_where_a_text_is_asked_for_is_told_to_be_quoted(schema: str, value: str, hint: str | None) -> None:
    job = JOB.replace("spec: {", f"spec: {{params: {{s: {schema}}}, ")
    given = f"{HEAD}kind: Schedule\nmetadata: {{name: s}}\nspec: {{jobRef: j, every: 1h, params: {{s: {value}}}}}\n"

    hints = [finding.hint for finding in compiled(j=job, s=given).findings if finding.span.file == "definitions/s.yaml"]

    assert {one.partition("; a text is put in quotes: ")[2] for one in hints} == {hint or ""}


@pytest.mark.parametrize(
    ("web", "said"), [(1, "target 'a' uses it over ssh"), (3, "target 'a' and 2 more use it over ssh")]
)
def test_a_credential_that_a_job_may_not_use_is_traced_to_targets_and_their_connection(web: int, said: str) -> None:
    found = tree(
        "kind: RunnerPool\nmetadata: {name: inner}\n",
        credential("key", ", pools: [inner], allowedFor: {matchLabels: {team: web}}"),
        *(ssh_target(name, "key", "{role: web}") for name in "abc"[:web]),
        job("j", "{selector: {matchLabels: {role: web}}}"),
    )

    assert {one.code: one.message for one in found.findings if one.code != "OC307"} == {
        "OC603": f"credential 'key' may not be opened by pool 'default', which runs this; {said}",
        "OC604": f"credential 'key' is not allowed for this job: its labels do not match; {said}",
    }
