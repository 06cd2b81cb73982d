"""Facts that a run gathered: which of its outputs they are, and how documents take them."""

from pathlib import Path
from typing import Any

import pytest

from engine.discovery.facts import facts_of, with_facts
from opsconductor.authoring.gathered import gathered, written
from schemas.reader import read
from schemas.target import Target

HEAD = "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: %s}\n"
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: test}\nspec: {}\n"


def run(**targets: Any) -> dict[str, Any]:
    return {"metadata": {"name": "facts-1"}, "status": {"targets": {n: {"outputs": o} for n, o in targets.items()}}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("${{ secrets.a.b }}", "cannot stand in a document"),
        ("a\x1b[31mb", "cannot stand in a document"),
        ("a\u202eb", "cannot stand in a document"),
        ([[[[[[1]]]]]], "nested too deeply"),
        ({"a\0": 1}, "cannot stand in a document"),
        (float("inf"), "cannot stand in a document"),
        ("a" * 4096, "longer than 4,096"),
    ],
)
def test_what_cannot_be_a_fact_is_told_and_nothing_else_is_lost(value: Any, said: str) -> None:
    found, left_out = facts_of({"x": value, "kernel": "6.1.0", "db_password": "hunter2", "nothing": None})
    assert found == {"kernel": "6.1.0"}
    assert left_out[0] == "db_password looks like a secret"
    assert said in left_out[1]


def test_facts_are_written_beside_those_that_are_there_and_comments_stay() -> None:
    text = HEAD % "web-01" + "spec:\n  # in the cellar\n  host: 10.1.0.5\n  facts: {rack: 4, kernel: '5.10'}\n"
    made = with_facts(text.encode(), "a.yaml", {"web-01": {"kernel": "6.1", "disks": [{"at": "/", "size": 1}]}})
    assert made.changed == {"web-01": ["disks", "kernel"]}
    said = made.data.decode()
    assert "# in the cellar" in said
    assert "rack: 4" in said
    again = with_facts(made.data, "a.yaml", {"web-01": {"kernel": "6.1", "disks": [{"at": "/", "size": 1}]}})
    assert (again.data, again.changed) == (made.data, {})


def test_true_is_not_one() -> None:
    text = HEAD % "a" + "spec: {facts: {x: 1}}\n"
    assert with_facts(text.encode(), "a.yaml", {"a": {"x": True}}).changed == {"a": ["x"]}


def test_a_checkout_takes_what_a_run_found_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "definitions"
    folder.mkdir()
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    both = folder / "web.yaml"
    both.write_text(HEAD % "a" + "spec: {}\n---\n" + HEAD % "b" + "spec: {facts: {os: Debian}}\n")
    broken = folder / "broken.yaml"
    broken.write_text(HEAD % "c" + "spec: {}\n---\napiVersion: [\n")
    found = gathered(
        run(a={"os": "Debian", "cpus": 4}, b={"os": "Debian", "cpus": 8}, gone={"os": "x"}), ["os", "cpus"]
    )
    assert written(tmp_path, found.facts, dry_run=True).told == ("a: cpus, os", "b: cpus")
    assert "cpus" not in both.read_text()
    made = written(tmp_path, found.facts)
    assert made.told == ("a: cpus, os", "b: cpus")
    assert made.trouble == ("gone: there is no such Target in this checkout",)
    assert both.read_text().count("cpus") == 2
    assert written(tmp_path, found.facts).told == ()
    assert gathered(run(a={"os": "Debian", "cpus": 4}), ["cpus"]).facts == {"a": {"cpus": 4}}
    assert gathered({"metadata": {"name": "x"}, "status": {"steps": []}}).facts == {}


@pytest.mark.parametrize("text", ["a\n\n", "  a\nb", "\na", "\n", "a\n \n", "a\nb ", "a\n  b\n", "a\n\n\nb"])
def test_a_text_of_several_lines_keeps_no_other_fact_out(text: str) -> None:
    """Blanks and empty lines at its ends are none that a block of YAML keeps."""
    head = b"apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: web}\nspec:\n"
    made = with_facts(head + b"  host: 10.0.0.1\n  os: linux\n", "a.yaml", {"web": {"motd": text, "uptime": 7}})
    assert made.kept == {}
    (one,) = read(made.data, "a.yaml").documents
    assert isinstance(one.document, Target)
    assert one.document.spec.facts == {"motd": text, "uptime": 7}
