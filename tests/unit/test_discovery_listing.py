"""From an inventory to proposed Targets: a host is its name there, and what people wrote stays."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from engine.discovery import drafting, report
from engine.discovery.proposal import Proposal
from engine.discovery.seen import Answer, Listed, SeenHost, Service
from engine.discovery.telling import body, title
from schemas.status import DiscoveryReport
from tests.discoveries import FOLDER, Network, key, ssh

FROM = {"command": ["/usr/local/bin/cloud", "--list"], "vars": ["region"]}


def listed(name: str, address: str, *answers: Answer, **more: Any) -> SeenHost:
    said = Listed(name, **{"way": "ssh", "port": 22, **more})
    services = tuple(Service(one.port) for one in answers)
    return SeenHost(address, answers=answers, services=services, listed=said)


def rows(made: Proposal) -> dict[str | None, tuple[str, tuple[str, ...]]]:
    return {row.target: (row.verdict, row.notes) for row in made.outcomes["lab"].rows}


def cloud(**spec: Any) -> Network:
    return Network(**{"from": FROM, **spec})


def test_a_listed_host_is_proposed_with_its_groups_and_keys() -> None:
    network = cloud(classify=[{"if": "'web' in host.groups && host.vars.region == 'eu'", "labels": {"role": "web"}}])
    made = network.scan(
        listed("Web_01", "10.1.0.5", ssh(1), groups=("web",), vars={"region": "eu"}, user="ops"),
        listed("db-01.example.org", "db-01.example.org"),
    )
    assert network.target("web-01") == {
        "apiVersion": "opsconductor/v1",
        "kind": "Target",
        "metadata": {
            "name": "web-01",
            "labels": {"group.web": "member", "role": "web"},
            "annotations": {
                "opsconductor.discovery": "lab",
                "opsconductor.discovery.name": "Web_01",
                "opsconductor.discovery.answers": "ssh:22",
                "opsconductor.discovery.groups": "web",
            },
        },
        "spec": {
            "host": "10.1.0.5",
            "os": "linux",
            "connections": {"ssh": {"hostKeys": [key(1)], "user": "ops"}},
            "vars": {"region": "eu"},
        },
    }
    # nobody answered: no connection without keys is proposed, and a later reading adds it
    assert network.target("db-01.example.org")["spec"] == {"host": "db-01.example.org", "os": "linux"}
    assert title(made.outcomes) == "Discovery lab: 2 new"
    assert "`listed as Web_01`<br>`groups web`" in body(made.outcomes)
    network.scan(
        listed("Web_01", "10.1.0.5", ssh(1), groups=("web",), vars={"region": "eu"}),
        listed("db-01.example.org", "db-01.example.org", ssh(2)),
    )
    assert network.target("db-01.example.org")["spec"]["connections"]["ssh"]["hostKeys"] == [key(2)]


def test_an_unchanged_inventory_proposes_nothing_whatever_people_changed() -> None:
    network = cloud()
    host = listed("web-01", "10.1.0.5", ssh(1), groups=("web", "eu"), vars={"region": "eu"}, user="ops")
    network.scan(host)
    file = f"{FOLDER}/web-01.yaml"
    text = network.files[file].decode().replace("group.web: member", "team: shop").replace("user: ops", "user: root")
    network.files[file] = text.encode()
    assert "team: shop" in text
    assert "user: root" in text
    assert network.scan(host).files == {}


def test_what_the_inventory_says_otherwise_is_a_line_each() -> None:
    network = cloud()
    network.scan(listed("web-01", "10.1.0.5", ssh(1), groups=("web", "old"), vars={"region": "eu"}))
    before = network.lines("web-01")
    made = network.scan(listed("web-01", "10.1.0.6", ssh(1), groups=("web", "new"), vars={"region": "us"}))
    assert rows(made)["web-01"] == (
        "changed",
        ("moved from 10.1.0.5", "is in group new", "is no longer in group old", "region is now us"),
    )
    now = network.target("web-01")
    assert now["metadata"]["labels"] == {"group.web": "member", "group.new": "member"}
    assert (now["spec"]["host"], now["spec"]["vars"]) == ("10.1.0.6", {"region": "us"})
    assert len(network.lines("web-01")) == len(before)
    made = network.scan(
        listed("web-01", "10.1.0.6", ssh(1, 2222), groups=("web", "new"), vars={"region": "us"}, port=2222)
    )
    assert network.target("web-01")["spec"]["connections"]["ssh"]["port"] == 2222
    assert "ssh is now at port 2222" in rows(made)["web-01"][1]


def test_another_name_at_the_same_address_is_another_host() -> None:
    """An instance that replaced another: what ran on one is not to run on the other unseen."""
    network = cloud()
    network.scan(listed("i-0aa", "10.1.0.5", ssh(1)))
    made = network.scan(listed("i-0bb", "10.1.0.5", ssh(2)))
    assert rows(made) == {
        "i-0aa": ("gone", ("is not listed",)),
        "i-0bb": ("new", ("is at the address of i-0aa, and is told apart from it",)),
    }


def test_a_host_that_is_no_longer_listed_is_marked_and_never_dropped() -> None:
    network = cloud(propose={"staleAfter": "2d"})
    network.scan(listed("web-01", "10.1.0.5"), listed("web-02", "10.1.0.6"))
    assert network.scan(listed("web-01", "10.1.0.5")).files == {}
    network.scan(listed("web-01", "10.1.0.5"), after=timedelta(days=3))
    assert network.target("web-02")["metadata"]["labels"] == {"stale": "2026-11-22"}
    network.scan(listed("web-01", "10.1.0.5"), listed("web-02", "10.1.0.6"))
    assert "labels" not in network.target("web-02")["metadata"]


def test_targets_that_people_wrote_are_met_and_left_alone() -> None:
    network = cloud()
    mine = "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {{name: {}}}\nspec: {{host: {}}}\n"
    network.files["definitions/mine.yaml"] = mine.format("www", "10.1.0.5").encode()
    network.files["definitions/yours.yaml"] = mine.format("db-01", "db-01.example.org").encode()
    made = network.scan(
        listed("web-01", "10.1.0.5", groups=("web",)), listed("db-01", "10.1.0.8"), listed("app", "10.1.0.9")
    )
    assert {name: said[0] for name, said in rows(made).items()} == {"www": "same", "db-01": "same", "app": "new"}
    assert list(made.files) == [f"{FOLDER}/app.yaml"]


def test_two_names_at_one_address_are_two_targets_and_none_of_a_persons() -> None:
    network = cloud()
    mine = "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: www}\nspec: {host: 10.1.0.5}\n"
    network.files["definitions/mine.yaml"] = mine.encode()
    made = network.scan(listed("a", "10.1.0.5", ssh(1)), listed("b", "10.1.0.5", ssh(2, 2222), port=2222))
    assert {name: said[0] for name, said in rows(made).items()} == {"a": "new", "b": "new"}
    assert network.scan(listed("a", "10.1.0.5", ssh(1)), listed("b", "10.1.0.5", ssh(2, 2222), port=2222)).files == {}


def test_hosts_that_are_ignored_stay_so_also_by_name_and_network() -> None:
    network = cloud(ignore=["web-01", "10.1.0.0/29"])
    made = network.scan(
        replace(listed("web-01", "10.2.0.5"), names=("web-01",)), listed("b", "10.1.0.5"), listed("c", "c.example.org")
    )
    assert [(row.address, row.verdict) for row in made.outcomes["lab"].rows] == [
        ("c.example.org", "new"), ("10.1.0.5", "ignored"), ("10.2.0.5", "ignored"),
    ]  # fmt: skip


def test_other_keys_are_told_in_capitals_and_the_report_fits_its_schema() -> None:
    network = cloud()
    network.scan(listed("web-01", "web-01.example.org", ssh(1), groups=("web",)))
    made = network.scan(listed("web-01", "web-01.example.org", ssh(2), groups=("web",)))
    (outcome,) = made.outcomes.values()
    assert "SHOWS OTHER SSH HOST KEYS" in rows(made)["web-01"][1][0]
    said = {"apiVersion": "opsconductor/v1", "kind": "DiscoveryReport", "metadata": {"name": "lab"}}
    found = DiscoveryReport.model_validate_json(
        json.dumps({**said, "status": report.found(outcome, "opsconductor/discovery", None)})
    )
    assert [one.name for one in found.status.hosts] == ["web-01"]


def test_hostile_names_name_no_file_and_end_no_cell() -> None:
    network = cloud()
    made = network.scan(
        listed("../../etc/passwd", "10.1.0.5"), listed("`|<script>", "10.1.0.6"), listed("${{ x }}", "10.1.0.7")
    )
    assert sorted(made.files) == [f"{FOLDER}/{name}.yaml" for name in ("etc-passwd", "script", "x")]
    assert "<script>" not in body(made.outcomes).replace("`listed as '\\|<script>`", "")


def test_what_validate_knows_of_a_host_is_what_a_condition_reads() -> None:
    types = {"text": str, "list": list, "map": dict}
    found = drafting.context(SeenHost("10.1.0.5"))
    assert {name: {types[one] for one in kinds} for name, kinds in drafting.FIELDS.items()} == {
        name: {type(value)} for name, value in found.items()
    }
