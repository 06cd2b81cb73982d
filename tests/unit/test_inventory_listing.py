"""What an inventory lists: who is in it, by whose variables, and what of hostile ones is taken."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.discovery import seen
from engine.discovery.inventory import GROUPS, LONGEST, NAMED, Listing, listing
from engine.discovery.seen import Listed, Scan
from tests.discoveries import NOW

CLOUD = {
    "_meta": {
        "hostvars": {
            "web-01": {"ansible_host": "10.1.0.5", "ansible_port": 2222, "region": "eu", "db_password": "hunter2"},
            "Web_02.example.org": {"ansible_user": "admin", "weight": 3, "tags": ["a", "b"]},
            "win-01": {"ansible_connection": "winrm", "ansible_host": "10.1.0.9"},
            "nobody": {"ansible_host": "10.1.0.99"},
        }
    },
    "all": {"vars": {"ansible_user": "ops", "region": "none"}},
    "web": {"hosts": ["web-01", "Web_02.example.org"], "vars": {"region": "us"}},
    "prod": {"children": ["web", "windows"], "vars": {"region": "far", "tier": "prod"}},
    "windows": ["win-01"],
}


def read(data: Any, *variables: str) -> Listing:
    return listing(json.dumps(data).encode(), variables)


def by_name(found: Listing) -> dict[str, Listed]:
    return {host.listed.name: host.listed for host in found.hosts if host.listed is not None}


def test_hosts_groups_and_the_variables_that_are_named() -> None:
    found = read(CLOUD, "region", "weight", "tags", "tier")
    hosts = by_name(found)
    assert hosts["web-01"] == Listed("web-01", ("prod", "web"), {"region": "eu", "tier": "prod"}, "ssh", 2222, "ops")
    assert hosts["Web_02.example.org"] == Listed(
        "Web_02.example.org", ("prod", "web"), {"region": "us", "weight": 3, "tags": ["a", "b"], "tier": "prod"},
        "ssh", 22, "admin",
    )  # fmt: skip
    assert (hosts["win-01"].way, hosts["win-01"].port, hosts["win-01"].groups) == ("winrm", 5986, ("prod", "windows"))
    assert [host.address for host in found.hosts] == ["web_02.example.org", "10.1.0.5", "10.1.0.9"]
    assert found.left_out == ()
    assert "hunter2" not in repr(read(CLOUD))
    assert "hunter2" not in repr(read(CLOUD, "db_password").hosts), "a secret is not carried, even where it is named"
    assert "looks like a secret" in read(CLOUD, "db_password").left_out[0]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("localhost", {}, "the machine that the inventory is read on"),
        ("web", {"ansible_connection": "local"}, "the machine that the inventory is read on"),
        ("web server", {}, "'web server' is no host name and no address"),
        ("web", {"ansible_host": "{{ address }}"}, "is no host name and no address"),
        ("web", {"ansible_host": "-oProxyCommand=x"}, "is no host name and no address"),
        ("web\n- evil", {"ansible_host": "10.0.0.1"}, "cannot be shown in one line"),
        ("\udcff", {"ansible_host": "10.0.0.1"}, "cannot be shown in one line"),
        ("", {"ansible_host": "10.0.0.1"}, "cannot be shown in one line"),
    ],
)
def test_who_is_no_host_is_left_out_and_told(name: str, values: dict[str, Any], said: str) -> None:
    found = read({"_meta": {"hostvars": {name: values, "good": {}}}, "g": {"hosts": [name, "good"]}})
    assert list(by_name(found)) == ["good"]
    (text,) = found.left_out
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ansible_connection": "community.docker.docker"}, "is no connection of this product"),
        ({"ansible_port": "99999"}, "is no port"),
        ({"ansible_port": "22; id"}, "is no port"),
        ({"ansible_user": "-oX"}, "its user is no name"),
        ({"x": "${{ secrets.a.b }}"}, "variable x is no short text"),
        ({"x": {"a": 1}}, "variable x is no short text"),
        ({"x": "a\u202eb"}, "variable x is no short text"),
        ({"x": "a\nb"}, "variable x is no short text"),
        ({"x": "a" * 2000}, "variable x is no short text"),
        ({"x": [[1]]}, "variable x is no short text"),
        ({"x": 10**40}, "variable x is no short text"),
        ({"x": None}, "variable x is no short text"),
    ],
)
def test_what_cannot_be_carried_is_told_and_the_host_stays(values: dict[str, Any], said: str) -> None:
    found = read({"_meta": {"hostvars": {"a": values}}, "g": ["a"]}, "x")
    assert list(by_name(found)) == ["a"]
    assert by_name(found)["a"].vars == {}
    assert said in found.left_out[0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"hosts:\n  - web", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "no mapping of groups"),
        (b'{"a": 1}', "group 'a' is no mapping"),
        (b'{"a": {"hosts": "web"}}', "no list of names"),
        (b'{"a": {"hosts": [1]}}', "no list of names"),
        (b'{"a": {"vars": []}, "b": {"vars": [1]}}', "'vars' of group 'b'"),
        (b'{"_meta": []}', "'_meta' has no mapping"),
        (b'{"a": {"hosts": ["x"], "children": ["b"]}, "b": {"children": ["a"]}}', "holds itself"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "no JSON"),
        (b'"' + b"a" * LONGEST + b'"', "longer than 16 MiB"),
        (json.dumps({f"g{n}": [] for n in range(GROUPS + 1)}).encode(), "more than 2,000 groups"),
        (json.dumps({f"g{n}": ["a", f"b{n}"] for n in range(70)}).encode(), "host 'a' is in more than 64 groups"),
        (
            json.dumps(
                {"g0": ["a"], **{f"g{n}": {"children": [f"g{n - 1}"]} for n in range(1, 70)}}
            ).encode(),
            "lies in more than 64 others",
        ),
        (
            json.dumps({f"g{n}": [f"h{m}" for m in range(NAMED // 10)] for n in range(11)}).encode(),
            "name more than 200,000",
        ),
    ],
)  # fmt: skip
def test_what_is_no_inventory_is_refused_whole(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        listing(data, ())


def test_the_largest_inventory_takes_seconds() -> None:
    """All hosts in as many groups as they may be, each of these in as many others."""
    chain = {f"g{n}": {"children": [f"g{n - 1}"]} if n else {} for n in range(60)}
    wide = {f"w{n}": {"hosts": [f"h{m}" for m in range(n, 60_000, 60)], "children": []} for n in range(60)}
    chain["g0"] = {"children": list(wide)}
    began = time.process_time()
    found = read({**chain, **wide}, *(f"v{n}" for n in range(64)))
    assert len(found.hosts) == 60_000
    assert time.process_time() - began < 30


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["hosts", "children", "vars", "_meta", "hostvars", "a", "b", "ansible_host"]), inner
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_whatever_is_read_is_refused_or_handed_over_whole(data: Any) -> None:
    try:
        found = read(data, "a", "b")
    except ValueError:
        return
    scan = Scan("lab", "run", NOW, NOW, len(found.hosts), found.hosts, listing=True)
    assert seen.from_json(seen.to_json(scan)) == scan


def test_a_host_has_the_variables_that_ansible_gives_it(tmp_path: Path) -> None:
    """Of groups in groups, of other depth and priority: by the real ansible-inventory on the same program."""
    data = {
        "_meta": {"hostvars": {"h1": {"own": "h1", "v": "h1"}, "h2": {}, "h3": {}, "h4": {}}},
        "all": {"vars": {"v": "all", "w": "all", "x": "all", "y": "all", "z": "all"}},
        "far": {"hosts": ["h1", "h2"], "vars": {"w": "far", "x": "far"}},
        "near": {"children": ["middle"], "vars": {"x": "near", "y": "near", "ansible_group_priority": 9}},
        "middle": {"children": ["inner", "deep"], "vars": {"y": "middle"}},
        "inner": {"hosts": ["h2", "h3"], "vars": {"z": "inner"}},
        "deep": {"children": ["inner"], "vars": {"x": "deep", "z": "deep"}},
        "alpha": {"hosts": ["h3", "h4"], "vars": {"w": "alpha", "x": "alpha"}},
        "beta": {"hosts": ["h3", "h4"], "vars": {"w": "beta", "x": "beta", "ansible_group_priority": -3}},
        "listed": ["h4", "h1"],
    }
    script = tmp_path / "inventory"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(data)}\nEND\n")
    script.chmod(0o755)
    program = Path(sys.executable).parent / "ansible-inventory"
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_CONFIG": "", "LC_ALL": "C.UTF-8"}
    environment["ANSIBLE_LOCAL_TEMP"] = str(tmp_path / "tmp")
    answer = subprocess.run(
        [str(program), "--list", "-i", str(script)], capture_output=True, check=True, cwd=tmp_path, env=environment
    )
    names = ("own", "v", "w", "x", "y", "z")
    theirs = json.loads(answer.stdout)["_meta"]["hostvars"]
    ours = by_name(read(data, *names))
    assert {name: dict(one.vars) for name, one in ours.items()} == {
        name: {key: value for key, value in values.items() if key in names} for name, values in theirs.items()
    }
    assert by_name(listing(answer.stdout, names)) == ours, "what it prints itself is read as the same"
