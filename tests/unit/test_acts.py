"""Acts as documents and commands: what is shown is what the command line would push."""

import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsconductor import acts
from opsconductor.authoring import patches
from opsconductor.authoring.suspending import with_suspension
from schemas.reader import read

AT = datetime(2026, 11, 22, 1, 15, 7, tzinfo=UTC)
RUN = "greet-20261122T001500Z-9f31c2a07b"
SCHEDULES = """# top
apiVersion: opsconductor/v1
kind: Schedule
metadata: {name: block}   # at night
spec:
  # why
  jobRef: greet
  cron: "0 2 * * *"
---
apiVersion: opsconductor/v1
kind: Schedule
metadata: {name: flow}
spec: {jobRef: greet, every: 5m}
---
apiVersion: opsconductor/v1
kind: Schedule
metadata: {name: stopped}
spec: {jobRef: greet, every: 5m, suspend: true} # for now
"""


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (acts.started("greet"), "run greet"),
        (
            acts.started("greet", params={"who": "010", "n": 2}, dry=True),
            """run greet -p 'who="010"' -p n=2 --dry-run""",
        ),
        (acts.started("release", workflow=True), "run release"),
        (acts.cancelled(RUN), f"cancel {RUN}"),
        (acts.rerun(RUN), f"rerun {RUN}"),
        (acts.rerun(RUN, failed_only=True), f"rerun {RUN} --failed-only"),
        (acts.rerun(RUN, from_step="go", at="current"), f"rerun {RUN} --from-step go --at current"),
        (acts.resumed(RUN, "go"), f"resume {RUN} --from-step go"),
        (acts.resumed(RUN, dry=True), f"resume {RUN} --dry-run"),
        (acts.because({**acts.started("greet"), "limit": {"names": ["a", "b"]}}, "it's full"),
         """run greet --limit a,b --reason 'it'"'"'s full'"""),
        (acts.voted("sha256:" + "9f86d081884c" + "0" * 52, "approve"), "approve 9f86d081884c"),
    ],
)  # fmt: skip
def test_the_command_says_what_the_document_says(spec: acts.Spec, command: str) -> None:
    assert acts.Act("RunRequest", "a", spec, acts.words(spec)).command == f"opsconductor {command}"


def test_every_document_is_well_formed() -> None:
    for spec in (acts.started("greet"), acts.cancelled(RUN), acts.rerun(RUN, failed_only=True), acts.resumed(RUN)):
        found = read(acts.Act("RunRequest", acts.act_name("greet", AT), spec).text.encode(), "request")
        assert not found.findings and len(found.documents) == 1


def test_a_shown_name_stays_for_the_hour_while_nothing_happened() -> None:
    name = acts.shown_name("rerun", (RUN, "newest"), AT)
    assert name == acts.shown_name("rerun", (RUN, "newest"), AT + timedelta(minutes=40))
    assert name != acts.shown_name("rerun", (RUN, "newer"), AT)
    assert name != acts.shown_name("rerun", (RUN, "newest"), AT + timedelta(hours=1))


@given(st.text(max_size=60))
def test_no_text_ends_the_block_that_carries_it(reason: str) -> None:
    """A line of the document that looked like the end of the here-document would be run by the shell."""
    act = acts.Act("RunRequest", "a", acts.because(acts.started("greet"), f"END\n{reason}\nEND\n"))
    end = acts.delimiter(act.text)
    assert end not in act.text.split("\n")
    assert acts.git_commands(act, "refs/heads/requests").count(f"\n{end}\n") == 1


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_the_document_says_any_reason_as_it_is(reason: str) -> None:
    text = acts.Act("RunRequest", "a", acts.because(acts.started("greet"), reason)).text
    assert (yaml.safe_load(text)["spec"].get("reason") or "").strip() == reason.strip() or not reason.isprintable()


@pytest.mark.parametrize(("name", "suspend"), [("block", True), ("flow", True), ("stopped", False)])
def test_a_schedule_is_suspended_in_its_own_text(name: str, suspend: bool) -> None:
    edited = with_suspension(SCHEDULES, "a.yaml", name, suspend=suspend)
    assert edited is not None
    found = {one.document.name: one.document.to_json()["spec"].get("suspend", False)
             for one in read(edited.encode(), "a.yaml").documents}  # fmt: skip
    assert found == {"block": False, "flow": False, "stopped": True} | {name: suspend}
    assert all(comment in edited for comment in ("# top", "# at night", "# why", "# for now"))
    assert with_suspension(edited, "a.yaml", name, suspend=suspend) is None


def test_what_is_not_a_plain_yes_or_no_is_left_to_people() -> None:
    text = SCHEDULES.replace("suspend: true", "suspend: {reason: disk}")
    assert with_suspension(text, "a.yaml", "stopped", suspend=False) is None
    assert with_suspension(SCHEDULES, "a.yaml", "other", suspend=True) is None


def test_a_patch_applies(tmp_path: Path) -> None:
    before = {"a.yaml": "one\ntwo\nthree", "gone.yaml": "x\n"}
    after = {"a.yaml": "one\n2\nthree\n", "b/new.yaml": "END\nEND1\n"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    text = patches.patch({
        name: patches.Change(before.get(name), after.get(name)) for name in {**before, **after}
    })  # fmt: skip
    subprocess.run(["git", "apply", "-"], input=text, cwd=tmp_path, text=True, check=True)
    assert {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == after
    said = patches.commands(text, base="0" * 40, branch="it's", message="why; rm -rf")
    assert shlex.quote("why; rm -rf") in said and "'it'\"'\"'s'" in said
