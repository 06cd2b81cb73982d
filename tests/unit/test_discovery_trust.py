"""Keys and certificates of proposed Targets: what is shown now, what a person said, and when to be loud."""

from dataclasses import replace
from typing import Any

import pytest

from engine.discovery.matching import known
from engine.discovery.seen import Answer
from schemas.guard import load
from schemas.reader import read
from schemas.target import Target
from tests.discoveries import FOLDER, PEM, Network, host, key, ssh


def test_a_machine_that_was_set_up_anew_has_its_keys_proposed_loudly() -> None:
    network = Network()
    mac = "aa:bb:cc:00:00:01"
    network.scan(host(5, ssh(1), mac=mac))
    made = network.scan(host(5, ssh(2), mac=mac))
    (row,) = made.outcomes["lab"].rows
    assert row.verdict == "changed"
    assert row.notes[0].startswith("SHOWS OTHER SSH HOST KEYS")
    assert network.target("host-10-1-0-5")["spec"]["connections"]["ssh"]["hostKeys"] == [key(2)]


def test_new_keys_are_those_of_the_port_that_the_connection_goes_to() -> None:
    """What else the machine offers by SSH does not log in there, and what a person says of authorities stays."""
    network = Network()
    mac = "aa:bb:cc:00:00:01"
    network.scan(host(5, ssh(1), ssh(2, 2222), mac=mac))
    file = f"{FOLDER}/host-10-1-0-5.yaml"
    text = network.files[file].decode()
    network.files[file] = text.replace(
        f"hostKeys: [{key(1)}]", f"hostKeys: ['@cert-authority {key(8)}', {key(1)}, '@revoked {key(9)}']"
    ).encode()
    assert network.files[file].decode() != text
    made = network.scan(host(5, ssh(3), ssh(2, 2222), mac=mac))
    assert made.outcomes["lab"].rows[0].notes[0].startswith("SHOWS OTHER SSH HOST KEYS")
    keys = network.target("host-10-1-0-5")["spec"]["connections"]["ssh"]["hostKeys"]
    assert keys == [f"@cert-authority {key(8)}", f"@revoked {key(9)}", key(3)]
    assert network.scan(host(5, ssh(2, 2222), mac=mac)).files == {}


OTHER_PEM = PEM.replace("MIIB", "MIIC")


@pytest.mark.parametrize(
    ("before", "after", "url"),
    [
        (Answer("http", 443, tls=True, certificate=PEM), {}, "https://10.1.0.5/"),
        (Answer("http", 8443, tls=True, certificate=PEM), {}, "https://10.1.0.5:8443/"),
        (Answer("winrm", 5986, tls=True, certificate=PEM, names=("old.lab",)), {"names": ("new.lab",)}, None),
    ],
)
def test_another_certificate_is_proposed_loudly(before: Answer, after: dict[str, Any], url: str | None) -> None:
    network = Network()
    network.scan(host(5, ssh(1), before))
    other = replace(before, certificate=OTHER_PEM, **after)
    made = network.scan(host(5, ssh(1), other))
    (row,) = made.outcomes["lab"].rows
    assert row.notes[0].startswith(f"SHOWS ANOTHER CERTIFICATE at {before.mark}")
    said = network.target("host-10-1-0-5")["spec"]["connections"][before.kind]
    assert said["caCert"] == OTHER_PEM
    assert (said.get("baseUrl"), said.get("serverName")) == (url, "new.lab" if after else None)
    assert network.scan(host(5, ssh(1), other)).files == {}
    network.scan(host(5, ssh(1), replace(other, certificate=PEM, trusted=True)))
    assert "caCert" not in network.target("host-10-1-0-5")["spec"]["connections"][before.kind]
    assert network.scan(host(5, ssh(1), replace(other, certificate=PEM, trusted=True))).files == {}


@pytest.mark.parametrize(
    ("names", "answer", "url"),
    [
        (("web.lab",), {"names": ("other.lab", "web.lab")}, "https://web.lab/"),
        (("w1.lab", "web.lab"), {"names": ("web.lab",), "port": 8443}, "https://web.lab:8443/"),
        # of a wildcard no name is known, and the runner was shown that it is good for this one
        (("web.lab",), {"trusted": True}, "https://web.lab/"),
        # a name that the host does not bear would lead elsewhere
        (("web.lab",), {"names": ("bank.example.org",)}, "https://10.1.0.5/"),
        ((), {"names": ("web.lab",)}, "https://10.1.0.5/"),
        (("web.lab",), {"names": ("web.lab",), "tls": False, "port": 80}, "http://10.1.0.5/"),
    ],
)
def test_https_goes_by_a_name_of_the_certificate_that_the_host_bears(
    names: tuple[str, ...], answer: dict[str, Any], url: str
) -> None:
    network = Network()
    seen = Answer("http", **{"port": 443, "tls": True, "certificate": PEM, **answer})
    network.scan(host(5, ssh(1), seen, names=names))
    ((name, data),) = network.files.items()
    assert load(data, name).documents[0]["spec"]["connections"]["http"]["baseUrl"] == url
    assert network.scan(host(5, ssh(1), seen, names=names)).files == {}


def test_another_certificate_is_told_of_a_connection_by_name_too_while_the_dns_is_away() -> None:
    network = Network()
    before = Answer("http", 443, tls=True, certificate=PEM, names=("web.lab",))
    network.scan(host(5, ssh(1), before, names=("web.lab",)))
    made = network.scan(host(5, ssh(1), replace(before, certificate=OTHER_PEM)))
    assert made.outcomes["lab"].rows[0].notes[0].startswith("SHOWS ANOTHER CERTIFICATE")


def test_winrm_asks_for_the_name_that_the_host_bears() -> None:
    network = Network()
    answer = Answer("winrm", 5986, tls=True, certificate=PEM, names=("cluster.lab", "win.lab"))
    network.scan(host(5, answer, names=("win.lab",)))
    assert network.target("win")["spec"]["connections"]["winrm"]["serverName"] == "win.lab"


def test_the_certificate_of_a_connection_that_came_later_is_watched_too() -> None:
    network = Network()
    network.scan(host(5, ssh(1)))
    network.scan(host(5, ssh(1), Answer("http", 443, tls=True, certificate=PEM)))
    network.scan(host(5, ssh(1), Answer("http", 443, tls=True, certificate=OTHER_PEM)))
    assert network.target("host-10-1-0-5")["spec"]["connections"]["http"]["caCert"] == OTHER_PEM


def test_a_certificate_that_a_person_wrote_stays() -> None:
    """An authority's, say, that vouches for whatever is shown next."""
    network = Network()
    network.scan(host(5, ssh(1), Answer("http", 443, tls=True, certificate=PEM)))
    file = f"{FOLDER}/host-10-1-0-5.yaml"
    network.files[file] = network.files[file].replace(b"MIIB", b"MIIA")
    assert network.scan(host(5, ssh(1), Answer("http", 443, tls=True, certificate=OTHER_PEM))).files == {}


def test_a_certificate_authority_is_no_host_key() -> None:
    text = f"spec: {{host: 10.1.0.5, connections: {{ssh: {{hostKeys: ['@cert-authority {key(1)}']}}}}}}"
    found = read(f"apiVersion: opsconductor/v1\nkind: Target\nmetadata: {{name: a}}\n{text}\n".encode(), "a.yaml")
    target = found.documents[0].document
    assert isinstance(target, Target)
    assert known(target).keys == frozenset()
