"""From scans to proposed Target documents: who is who, what is written, and what a person wrote that stays."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.discovery import report, seen
from engine.discovery.matching import Known, matched
from engine.discovery.proposal import NEW, Scanned, proposed
from engine.discovery.seen import Answer, Scan, SeenHost, Service
from engine.discovery.telling import body, title
from schemas.discovery import Discovery
from schemas.reader import read
from tests.discoveries import FOLDER, NOW, PEM, Network, discovery, host, key, ssh, verdicts


def test_an_address_of_which_no_port_is_open_is_no_host_to_admit() -> None:
    """A firewall may answer for a whole network. A Target that has nothing else is gone, whatever the DNS says."""
    network = Network(propose={"staleAfter": "2d"})
    name, mac = ("web-1.example.org",), "aa:bb:cc:00:00:01"
    closed = SeenHost("10.1.0.5", names=name)
    assert network.scan(closed).files == {}
    network.scan(host(5, ssh(1), names=name, mac=mac))
    assert verdicts(network.scan(closed)) == {"10.1.0.5": "gone"}
    assert verdicts(network.scan(replace(closed, mac=mac))) == {"10.1.0.5": "same"}
    network.scan(closed, after=timedelta(days=3))
    assert network.target("web-1")["metadata"]["labels"] == {"stale": "2026-11-22"}


def test_another_name_at_an_address_is_another_target() -> None:
    """A lease given anew. What shows the same key or MAC address is the same machine under another name."""
    network = Network()
    network.scan(host(5, names=("db.example.org",)), host(6, ssh(6), names=("web.example.org",)), host(7))
    rows = network.scan(
        host(5, names=("printer.example.org",)),
        host(6, ssh(6), names=("www.example.org",)),
        host(7, names=("nas.example.org",)),
    ).outcomes["lab"].rows  # fmt: skip
    said = {(row.verdict, row.target) for row in rows}
    assert said == {("gone", "db"), ("new", "printer"), ("changed", "web"), ("changed", "host-10-1-0-7")}


def test_so_many_new_hosts_are_proposed_and_the_rest_is_told() -> None:
    """Nobody reviews more, and a machine may answer for a whole network."""
    network = Network(networks=["10.1.0.0/16"])
    crowd = [SeenHost(f"10.1.{n // 250}.{n % 250}", services=(Service(80),)) for n in range(NEW + 3)]
    made = network.scan(*reversed(crowd))
    assert len(made.files) == NEW
    (outcome,) = made.outcomes.values()
    assert outcome.count("new") == NEW + 3
    assert report.found(outcome, "b", None, "away")["proposal"]["trouble"].startswith(
        "away; 3 new hosts are not proposed"
    )
    assert "3 new hosts are not proposed" in body(made.outcomes)
    again = network.scan(*crowd)
    assert (len(again.files), again.outcomes["lab"].trouble) == (3, None)


def test_a_host_becomes_a_target() -> None:
    """Everything that answered, with its keys and certificates, and what the rules say."""
    rules: list[dict[str, Any]] = [
        {"labels": {"site": "lab"}},
        {"if": "${{ 22 in host.ports }}", "labels": {"role": "web"}, "credentialRef": "web-key"},
        {"if": "${{ host.name.startsWith('web') }}", "connections": {"ssh": {"user": "ops"}, "winrm": {}}},
    ]
    network = Network(classify=rules)
    https = Answer("http", 8443, tls=True, certificate=PEM, names=("web-1.example.org",))
    made = network.scan(host(5, ssh(1), https, names=("web-1.example.org",), mac="aa:bb:cc:00:00:01"))
    assert verdicts(made) == {"10.1.0.5": "new"}
    assert network.lines("web-1") == [
        "# Proposed by Discovery/lab. Check the keys and certificates before you merge it.",
        "apiVersion: opsconductor/v1",
        "kind: Target",
        "metadata:",
        "  name: web-1",
        "  labels: {site: lab, role: web}",
        "  annotations:",
        "    opsconductor.discovery: lab",
        "    opsconductor.discovery.mac: aa:bb:cc:00:00:01",
        "    opsconductor.discovery.name: web-1.example.org",
        '    opsconductor.discovery.answers: "https:8443 ssh:22"',
        "    opsconductor.discovery.certificates: http:6d20772b5fd7fc7f09bc1ef1e7f39f07",
        "spec:",
        "  host: 10.1.0.5",
        "  os: linux",
        "  connections:",
        "    ssh:",
        "      user: ops",
        "      credentialRef: web-key",
        f"      hostKeys: [{key(1)}]",
        "    http:",
        "      baseUrl: https://web-1.example.org:8443/",
        "      caCert: |",
        "        -----BEGIN CERTIFICATE-----",
        "        MIIB",
        "        -----END CERTIFICATE-----",
    ]


def test_windows_and_what_answers_there() -> None:
    network = Network(classify=[{"credentialRef": "win", "connections": {"winrm": {"transport": "ntlm"}}}])
    winrm = Answer("winrm", 5986, tls=True, certificate=PEM, names=("win-1.example.org",))
    network.scan(host(7, winrm, Answer("winrm", 5985), Answer("rdp", 3389)))
    spec = network.target("host-10-1-0-7")["spec"]
    assert spec == {
        "host": "10.1.0.7",
        "os": "windows",
        "connections": {
            "winrm": {"transport": "ntlm", "credentialRef": "win", "serverName": "win-1.example.org", "caCert": PEM},
            "rdp": {"port": 3389},
        },
    }


def test_an_unchanged_network_proposes_nothing() -> None:
    network = Network(classify=[{"labels": {"a": "b"}}])
    hosts = [host(5, ssh(1), names=("web-1.example.org",)), host(6, Answer("http", 80)), host(9)]
    assert len(network.scan(*hosts).files) == 3
    again = network.scan(*reversed(hosts))
    assert again.files == {}
    assert set(verdicts(again).values()) == {"same"}


def test_a_proposal_that_is_not_merged_is_made_again() -> None:
    network = Network()
    first = network.scan(host(5, ssh(1)), merged=False)
    second = network.scan(host(5, ssh(1)), merged=False)
    assert first.files == second.files != {}


@pytest.mark.parametrize(
    ("before", "after", "by"),
    [
        (host(5, ssh(1)), host(6, ssh(1)), "host key"),
        (host(5, ssh(1), mac="aa:bb:cc:00:00:01"), host(6, mac="aa:bb:cc:00:00:01"), "MAC address"),
        (host(5, names=("db.example.org",)), host(6, names=("db.example.org",)), "name"),
    ],
)
def test_a_moved_host_is_one_line(before: SeenHost, after: SeenHost, by: str) -> None:
    network = Network()
    (file,) = network.scan(before).files
    old = network.files[file].decode().splitlines()
    made = network.scan(after)
    new = made.files[file].decode().splitlines()
    assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == [
        ("  host: 10.1.0.5", "  host: 10.1.0.6")
    ]
    (row,) = made.outcomes["lab"].rows
    assert (row.verdict, row.by, row.notes) == ("changed", by, ("moved from 10.1.0.5",))


def test_two_hosts_that_changed_places_are_told_apart() -> None:
    network = Network()
    network.scan(host(5, ssh(1)), host(6, ssh(2)))
    network.scan(host(6, ssh(1)), host(5, ssh(2)))
    where = {network.target(f"host-10-1-0-{was}")["spec"]["host"] for was in (5, 6)}
    assert network.target("host-10-1-0-5")["spec"]["host"] == "10.1.0.6"
    assert where == {"10.1.0.5", "10.1.0.6"}


def test_another_machine_at_an_address_is_another_target() -> None:
    """Its keys are others: the address alone joins nothing. A person is told."""
    network = Network()
    network.scan(host(5, ssh(1)))
    made = network.scan(host(5, ssh(2)))
    assert sorted(row.verdict for row in made.outcomes["lab"].rows) == ["gone", "new"]
    new = next(row for row in made.outcomes["lab"].rows if row.verdict == "new")
    assert new.target == "host-10-1-0-5-2"
    assert "is at the address of host-10-1-0-5, and is told apart from it" in new.notes


def test_copies_of_one_machine_are_told_apart_by_what_is_left() -> None:
    network = Network()
    first = network.scan(host(5, ssh(1), mac="aa:bb:cc:00:00:05"), host(6, ssh(1), mac="aa:bb:cc:00:00:06"))
    assert len(first.files) == 2
    assert any("shows the same host key as 10.1.0.6" in note for note in first.outcomes["lab"].rows[0].notes)
    moved = network.scan(host(8, ssh(1), mac="aa:bb:cc:00:00:05"), host(6, ssh(1), mac="aa:bb:cc:00:00:06"))
    assert verdicts(moved) == {"10.1.0.6": "same", "10.1.0.8": "changed"}


def test_a_host_that_went_away_is_marked_with_the_day_and_comes_back() -> None:
    network = Network(propose={"staleAfter": "2d"})
    network.scan(host(5, ssh(1)), host(6, ssh(2)))
    before = network.files[f"{FOLDER}/host-10-1-0-5.yaml"]
    soon = network.scan(host(6, ssh(2)), after=timedelta(days=1))
    assert (soon.files, verdicts(soon)["10.1.0.5"]) == ({}, "gone")
    late = network.scan(host(6, ssh(2)), after=timedelta(days=1, seconds=1))
    assert network.target("host-10-1-0-5")["metadata"]["labels"] == {"stale": "2026-11-22"}
    assert late.outcomes["lab"].count("gone") == 1
    assert network.scan(host(6, ssh(2)), after=timedelta(days=9)).files == {}
    back = network.scan(host(5, ssh(1)), host(6, ssh(2)))
    assert verdicts(back)["10.1.0.5"] == "changed"
    assert network.files[f"{FOLDER}/host-10-1-0-5.yaml"] == before


def test_what_was_not_scanned_is_not_gone() -> None:
    network = Network(propose={"staleAfter": "1s"})
    network.scan(host(5, ssh(1)))
    network.discovery = discovery(exclude=["10.1.0.5"], propose={"staleAfter": "1s"})
    assert network.scan().outcomes["lab"].rows == ()


@pytest.mark.parametrize(
    "sign", ["10.1.0.5", "aa:bb:cc:00:00:05", "AA-BB-CC-00-00-05", "printer.example.org", f"{key(5)} root@printer"]
)
def test_an_ignored_host_stays_ignored(sign: str) -> None:
    network = Network(ignore=[sign])
    made = network.scan(host(5, ssh(5), mac="aa:bb:cc:00:00:05", names=("printer.example.org",)), host(6))
    assert (verdicts(made), list(made.files)) == (
        {"10.1.0.5": "ignored", "10.1.0.6": "new"},
        [f"{FOLDER}/host-10-1-0-6.yaml"],
    )


@pytest.mark.parametrize(
    "sign", ["the printer", "10.1.0.300", "ff:ff:ff:ff:ff:ff", "localhost", "*", "10.1.0.5/24", "ssh-ed25519 AAAA"]
)
def test_what_is_no_sign_ignores_nobody(sign: str) -> None:
    """A host whose MAC address is not known has an empty one."""
    made = Network(ignore=[sign]).scan(host(5, ssh(5)), host(6))
    assert set(verdicts(made).values()) == {"new"}


def test_a_network_is_ignored_whole() -> None:
    made = Network(ignore=["10.1.0.4/30", "fd00::/64"]).scan(host(3), host(4), host(7), host(8))
    assert verdicts(made) == {"10.1.0.3": "new", "10.1.0.4": "ignored", "10.1.0.7": "ignored", "10.1.0.8": "new"}


def test_what_a_person_wrote_stays() -> None:
    """Comments, labels, the order of keys, other documents of the file; a moved host is one line all the same."""
    network = Network()
    network.scan(host(5, ssh(1)))
    text = network.files.pop(f"{FOLDER}/host-10-1-0-5.yaml").decode()
    text = text.replace("  host: 10.1.0.5\n", "  # ask Ana before moving it\n  host: 10.1.0.5  # rack 4\n")
    text = text.replace("  name: host-10-1-0-5\n", "  name: database\n  labels:\n    team: data  # ours\n")
    group = "apiVersion: opsconductor/v1\nkind: TargetGroup\nmetadata:\n  name: data\nspec:\n  names: [database]\n"
    network.files["definitions/data.yaml"] = f"{group}---\n{text}# the end\n".encode()
    before = network.files["definitions/data.yaml"].decode().splitlines()
    made = network.scan(host(9, ssh(1)))
    after = made.files["definitions/data.yaml"].decode().splitlines()
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        ("  host: 10.1.0.5  # rack 4", "  host: 10.1.0.9  # rack 4")
    ]


def test_what_a_person_took_out_is_not_proposed_again() -> None:
    network = Network()
    both = host(5, ssh(1), Answer("http", 80))
    network.scan(both)
    file = f"{FOLDER}/host-10-1-0-5.yaml"
    text = network.files[file].decode()
    network.files[file] = text.replace("    http: {baseUrl: http://10.1.0.5/}\n", "").encode()
    assert network.files[file].decode() != text
    assert network.scan(both).files == {}
    network.scan(host(5, ssh(1), Answer("http", 80), Answer("rdp", 3389)))
    assert set(network.target("host-10-1-0-5")["spec"]["connections"]) == {"ssh", "rdp"}


def test_a_target_that_people_wrote_is_left_alone() -> None:
    network = Network(propose={"staleAfter": "1s"})
    text = (
        "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: mine}\n"
        f"spec: {{host: web.example.org, connections: {{ssh: {{hostKeys: ['{key(1)} root@web']}}}}}}\n"
    )
    network.files["definitions/mine.yaml"] = text.encode()
    made = network.scan(host(5, ssh(1), Answer("http", 80)))
    assert (made.files, made.outcomes["lab"].rows[0].target) == ({}, "mine")
    assert network.scan().outcomes["lab"].rows == ()


def test_a_file_that_is_there_is_not_written_over() -> None:
    network = Network()
    network.files[f"{FOLDER}/host-10-1-0-5.yaml"] = b"# mine\n"
    made = network.scan(host(5))
    assert list(made.files) == [f"{FOLDER}/host-10-1-0-5-2.yaml"]


def test_a_rule_that_fails_is_told_and_keeps_no_host_out() -> None:
    network = Network(classify=[{"if": "${{ host.answers[0] == 'ssh:22' }}", "labels": {"a": "b"}}])
    made = network.scan(host(5))
    assert list(made.files) == [f"{FOLDER}/host-10-1-0-5.yaml"]
    assert "classify[0].if" in made.outcomes["lab"].rows[0].notes[0]


def test_several_discoveries_of_one_branch_propose_together() -> None:
    """The second does not propose what the first one does."""
    network = Network()
    other = Discovery.model_validate(
        {**network.discovery.model_dump(by_alias=True), "metadata": {"name": "office"}}, strict=False
    )
    scans = [
        Scanned(one, Scan(one.name, "r", NOW, NOW, 256, hosts))
        for one, hosts in ((other, (host(5, ssh(1)), host(7))), (network.discovery, (host(5, ssh(1)),)))
    ]
    made = proposed(network.base(), scans)
    assert [name.rpartition("/")[2] for name in made.files] == ["host-10-1-0-5.yaml", "host-10-1-0-7.yaml"]
    assert [row.verdict for row in made.outcomes["office"].rows] == ["same", "new"]


# --- hostile --------------------------------------------------------------------------------------------------------

NASTY = st.text(max_size=300) | st.sampled_from(
    [
        "../../etc/passwd",
        "a: b\n- c",
        "${{ secrets.x.y }}",
        "`|\n# x",
        "\u202ename",
        "-----BEGIN CERTIFICATE-----\n",
        "\0",
    ]
)
SAID = st.fixed_dictionaries(
    {
        "address": st.sampled_from(["10.1.0.5", "10.1.0.6", "fd00::1"]),
        "mac": NASTY,
        "vendor": NASTY,
        "names": st.lists(NASTY, max_size=3),
        "services": st.lists(
            st.fixed_dictionaries(
                {"port": st.integers(1, 65535), "name": NASTY, "product": NASTY, "version": NASTY, "tls": st.booleans(),
                 "sure": st.booleans()}
            ),
            max_size=3,
        ),
        "answers": st.lists(
            st.fixed_dictionaries(
                {"kind": st.sampled_from(seen.KINDS), "port": st.integers(1, 65535), "tls": st.booleans(),
                 "keys": st.lists(NASTY, max_size=2), "certificate": NASTY, "names": st.lists(NASTY, max_size=2),
                 "trusted": st.booleans()}
            ),
            max_size=3,
        ),
        "systems": st.lists(st.tuples(NASTY, st.integers(0, 100)), max_size=2),
    }
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(said=st.lists(SAID, max_size=2, unique_by=lambda one: one["address"]))
def test_whatever_hosts_say_files_are_targets_in_the_folder(said: list[dict[str, Any]]) -> None:
    whole = {"discovery": "lab", "run": "r", "started_at": "2026-11-22T07:00:00Z",
             "finished_at": "2026-11-22T07:00:00Z", "addresses": 2, "hosts": said}  # fmt: skip
    scan = seen.from_json(json.dumps(whole).encode())
    assert seen.from_json(seen.to_json(scan)) == scan
    made = proposed(Network().base(), [Scanned(discovery(), scan)])
    assert all(file.startswith(f"{FOLDER}/") and file.count("/") == 2 for file in made.files)
    for file, text in made.files.items():
        found = read(text, file)
        assert ([one.document.kind for one in found.documents], found.findings) == (["Target"], ())
    for text in (body(made.outcomes), title(made.outcomes)):
        assert "\0" not in text
    assert all(one.count("`") % 2 == 0 for one in body(made.outcomes).splitlines())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"hosts": 1}', b"[" * 100_000, b"\xff", json.dumps({"discovery": "lab"}).encode()]
)
def test_what_is_no_scan_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        seen.from_json(data)


def test_who_is_who_does_not_depend_on_the_order() -> None:
    chance = random.Random(7)
    hosts = [host(n, ssh(n % 5), mac=f"aa:bb:cc:00:00:{n % 7:02x}", names=(f"h{n % 6}.lab",)) for n in range(1, 20)]
    targets = [
        Known(f"t{n}", frozenset({key(n % 6)}), frozenset({f"aa:bb:cc:00:00:{n:02x}"}), frozenset({f"h{n}.lab"}))
        for n in range(1, 9)
    ]
    expected = matched(hosts, targets)
    for _ in range(20):
        chance.shuffle(hosts)
        chance.shuffle(targets)
        assert matched(hosts, targets) == expected


@pytest.mark.parametrize("other", ["a", "z"])
def test_a_file_that_one_proposes_is_no_folder_for_another(other: str) -> None:
    """Whichever of them comes first: a tree has no room for both, and the second is told, or has another name."""
    first, second = discovery(), discovery(propose={"path": f"{FOLDER}/host-10-1-0-5.yaml"}, networks=["10.2.0.0/24"])
    second = second.model_copy(update={"metadata": second.metadata.model_copy(update={"name": other})})
    scans = [
        Scanned(one, Scan(one.name, "run", NOW, NOW, 256, (found,)))
        for one, found in ((first, host(5, ssh(1))), (second, replace(host(9, ssh(2)), address="10.2.0.9")))
    ]
    made = proposed(Network().base(), scans)
    for file in made.files:
        assert not any(beside.startswith(f"{file}/") for beside in made.files)
    (row,) = made.outcomes[other].rows
    assert (row.target is None) == (other == "z")
    assert (other == "z") == any("is no folder" in note for note in row.notes)
