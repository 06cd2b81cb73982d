"""Facts that a run of a Job gathered, as a proposal after it."""

from datetime import UTC, datetime
from typing import Any

from engine.discovery.proposal import Base, Place, Proposal, Scanned, proposed
from engine.discovery.seen import Scan, from_json, to_json
from engine.discovery.telling import body, message
from schemas.reader import read
from schemas.target import Target
from tests.discoveries import discovery

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
FILE = "definitions/web.yaml"
TEXT = b"""\
apiVersion: opsconductor/v1
kind: Target
metadata: {name: web-01}
spec:
  host: 10.1.0.5  # in the cellar
  facts: {rack: 4, kernel: '5.10'}
---
apiVersion: opsconductor/v1
kind: Target
metadata: {name: web-02}
spec: {host: 10.1.0.6}
"""


def after(text: bytes = TEXT, **outputs: Any) -> Proposal:
    """What is proposed after a run with these outputs, by target."""
    named = {name.replace("_", "-"): said for name, said in outputs.items()}
    scan = Scan("lab", "know-1", NOW, NOW, len(named), (), facts=named)
    assert from_json(to_json(scan)) == scan
    documents = read(text, FILE).documents
    targets = {one.document.name: one.document for one in documents if isinstance(one.document, Target)}
    places = {one.document.name: Place(FILE, one.index) for one in documents}
    base = Base(targets, places, lambda file: text if file == FILE else None)
    return proposed(base, [Scanned(discovery(**{"from": {"jobRef": "know"}}), scan)])


def test_what_differs_is_one_file_with_all_else_as_it_was() -> None:
    made = after(web_01={"kernel": "6.1", "cpus": 4}, web_02={"kernel": "6.1", "cpus": 4})
    said = made.files[FILE].decode()
    assert "# in the cellar" in said
    assert "rack: 4" in said
    rows = made.outcomes["lab"].rows
    assert [(row.verdict, row.target, row.address, row.notes) for row in rows] == [
        ("changed", "web-01", "10.1.0.5", ("facts: cpus, kernel",)),
        ("changed", "web-02", "10.1.0.6", ("facts: cpus, kernel",)),
    ]
    again = after(made.files[FILE], web_01={"kernel": "6.1", "cpus": 4}, web_02={"cpus": 4})
    assert (again.files, again.outcomes["lab"].count("same")) == ({}, 2)


def test_what_hosts_say_is_bounded_and_stands_in_code() -> None:
    made = after(
        web_01={
            "kernel": "6.1`|<!-- @everyone",
            "db_password": "hunter2",
            "motd": "${{ secrets.a.b }}",
            "x": "\x1b[31m",
        },
        gone={"kernel": "6.1"},
    )
    (gone, web) = made.outcomes["lab"].rows
    assert gone.notes == ("not changed: there is no such Target any more",)
    assert web.notes == (
        "facts: kernel",
        "not written: db_password looks like a secret",
        "not written: motd has text that cannot stand in a document, or is nested too deeply",
        "not written: x has text that cannot stand in a document, or is nested too deeply",
    )
    assert "hunter2" not in made.files[FILE].decode() + body(made.outcomes)
    assert "secrets.a.b" not in made.files[FILE].decode()
    assert "2 targets whose facts were gathered by run `know-1`" in body(made.outcomes)
    assert message(made.outcomes) == "Discovery lab: 1 changed\n\nRun: know-1\n"


def test_a_run_that_gathered_nothing_proposes_nothing() -> None:
    assert after().files == {}
    assert after(web_01={"kernel": None}).files == {}
