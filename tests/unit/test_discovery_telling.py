"""The words of a proposal: whom it names first, and what it leaves out where there is too much."""

from dataclasses import replace

from engine.discovery.proposal import Scanned, proposed
from engine.discovery.seen import Answer, Scan, Service
from engine.discovery.telling import body, evidence, title
from schemas.discovery import Discovery
from tests.discoveries import NOW, Network, discovery, host, key, ssh


def test_the_request_says_who_is_new_changed_and_gone() -> None:
    network = Network()
    network.scan(host(5, ssh(1)), host(6, ssh(2)))
    made = network.scan(host(7, ssh(1)), host(8, ssh(3), vendor="@everyone | <b>"))
    text = body(made.outcomes)
    assert title(made.outcomes) == "Discovery lab: 1 new, 1 changed, 1 gone"
    for said in ("### New hosts", "### Changed hosts", "### Hosts that are gone", "`moved from 10.1.0.5`"):
        assert said in text
    assert "ssh-ed25519 SHA256:" in text


def test_a_long_request_says_that_there_is_more() -> None:
    hosts = tuple(host(n, ssh(n)) for n in range(1, 255))
    scan = Scan("lab", "r", NOW, NOW, 256, hosts)
    made = proposed(Network().base(), [Scanned(discovery(), scan)])
    assert "… and 54 more." in body(made.outcomes)
    short = body(made.outcomes, most=2_000)
    assert len(short) <= 2_000
    assert "the DiscoveryReport" in short


def test_a_long_request_is_cut_by_the_row_and_tells_of_changed_hosts_first() -> None:
    """Strangers who answer in dozens, or with keys on every port, do not hide the machine whose keys are others."""
    network = Network()
    mac = "aa:bb:cc:00:00:01"
    network.scan(host(200, ssh(1), mac=mac), host(201, ssh(2), mac="aa:bb:cc:00:00:02"))
    loud = [Answer("ssh", port, keys=tuple(key(port * 100 + n) for n in range(16))) for port in range(1, 65)]
    crowd = [replace(host(n, *loud), services=tuple(Service(p, "x" * 256, "y" * 256) for p in range(1, 65)))
             for n in range(1, 150)]  # fmt: skip
    known_ones = host(200, ssh(1), Answer("rdp", 3389), mac=mac), host(201, ssh(3), mac="aa:bb:cc:00:00:02")
    text = body(network.scan(*crowd, *known_ones, merged=False).outcomes)
    assert len(text) <= 60_000
    heads = [one for one in text.splitlines() if one.startswith("###")]
    assert heads == ["### Changed hosts", "### New hosts"]
    rows = [one for one in text.splitlines() if one.startswith("| `host")]
    assert ["SHOWS OTHER SSH HOST KEYS" in one for one in rows[:3]] == [True, False, False]
    assert "`rdp:3389`" in rows[1]
    assert f"… and {151 - len(rows)} more." in text
    assert len(rows) > 20
    assert max(map(len, rows)) < 4_000
    assert text.endswith("What is left out stands in the DiscoveryReport on the status branch.\n")


def test_no_discovery_hides_what_another_one_found() -> None:
    """Whatever fits: the text is no longer than it may be, at any length, and tells what it left out."""
    network = Network()
    hosts = {"a": tuple(host(n, ssh(n)) for n in range(1, 200)), "b": (host(210, ssh(210)),)}
    scans = []
    for name, found in hosts.items():
        said = {**network.discovery.model_dump(by_alias=True), "metadata": {"name": name}}
        scan = Scan(name, "r", NOW, NOW, 256, found)
        scans.append(Scanned(Discovery.model_validate(said, strict=False), scan))
    outcomes = proposed(network.base(), scans).outcomes
    for most in range(600, 9_000, 97):
        assert len(text := body(outcomes, most)) <= most
        assert "the DiscoveryReport" in text
    assert "10.1.0.210" in body(outcomes, 6_000)


def test_a_known_host_with_other_keys_is_told_though_nothing_of_it_is_changed() -> None:
    network = Network()
    text = (
        "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: mine}\n"
        f"spec: {{host: web.example.org, connections: {{ssh: {{hostKeys: ['{key(1)}']}}}}}}\n"
    )
    network.files["definitions/mine.yaml"] = text.encode()
    made = network.scan(host(5, ssh(2), names=("web.example.org",)), host(6))
    said = body(made.outcomes)
    assert said.index("### Known hosts to look at") < said.index("SHOWS OTHER SSH HOST KEYS") < said.index("### New")


def test_evidence_is_what_ssh_keygen_shows() -> None:
    lines = list(evidence(replace(host(5, ssh(1)), services=(Service(22, "ssh", "OpenSSH", "9.2"),))))
    assert lines == ["ssh:22", "ssh-ed25519 SHA256:" + lines[1].rpartition(":")[2], "22: OpenSSH 9.2"]
