"""`import ansible`, held against what `ansible-inventory --list` says of the same files; and hostile ones."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.groupvars import Variables
from opsconductor.imports.ansible import Settings
from opsconductor.imports.ansible import read as carried
from opsconductor.imports.foreignyaml import Tagged
from opsconductor.imports.inventory import read
from opsconductor.imports.inventoryvars import effective
from opsconductor.imports.naming import Names, slug
from schemas.target import Target, TargetGroup
from tests.import_cases import cases, laid_out, parsed

REFUSED = {"bad-lines", "yaml-odd", "listed"}
"""Ansible takes nothing of such a file; what can be understood of it is carried, and the rest is listed."""
ASKS = {"program", "secrets", "short-secrets"}
"""What Ansible would run a program for, or a password."""
LEFT_OUT = {"unfit-values"}
"""Ansible has variables of it that no document can hold."""
SAMPLES = [path for path in cases("ansible") if path.stem not in REFUSED | ASKS]


def according_to_ansible(folder: Path, sources: list[str]) -> dict[str, Any]:
    program = Path(sys.executable).parent / "ansible-inventory"
    command = [str(program), "--list", *(word for source in sources for word in ("-i", source))]
    environment = {**os.environ, "HOME": str(folder), "ANSIBLE_CONFIG": "", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}
    environment |= {"LC_ALL": "C.UTF-8", "ANSIBLE_DEPRECATION_WARNINGS": "false"}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    found = json.loads(answer.stdout)
    assert isinstance(found, dict)
    return found


def files(path: Path, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    case = parsed(path.read_text())
    laid_out(case, folder)
    named = [word for word in case.arguments if not word.startswith("-") and (folder / word).exists()]
    named = [word for word in named if word != "known_hosts"]
    found = {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}
    return {name: data for name, data in found.items() if name.split("/")[0] in named}, named


def as_text(value: Any) -> Any:
    if isinstance(value, Tagged):
        return value.text
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_an_inventory_is_what_ansible_takes_it_for(path: Path, tmp_path: Path) -> None:
    given, named = files(path, tmp_path)
    theirs = according_to_ansible(tmp_path, named)
    ours = read(given, named)
    variables = effective(ours)
    assert {name: {key: as_text(one.value) for key, one in values.items()} for name, values in variables.items()} == {
        name: theirs["_meta"]["hostvars"].get(name, {}) for name in ours.hosts
    }
    for name, group in theirs.items():
        if name not in ("_meta", "all", "ungrouped"):
            assert set(group.get("hosts", [])) == set(ours.groups[name].hosts)
            assert set(group.get("children", [])) == set(ours.groups[name].children)
    assert {host for group in theirs.values() for host in group.get("hosts", [])} == set(ours.hosts)


@pytest.mark.parametrize("path", [path for path in SAMPLES if path.stem not in LEFT_OUT], ids=lambda path: path.stem)
def test_targets_have_here_the_variables_that_hosts_have_there(path: Path, tmp_path: Path) -> None:
    """By the rules of the engine: from their own, and from the groups of them that are nearest."""
    given, named = files(path, tmp_path)
    documents = [one for draft in carried(given, Settings("root", named=named)).drafts for one in draft.documents]
    groups = {one["metadata"]["name"]: TargetGroup.model_validate(one) for one in documents if "Group" in one["kind"]}
    targets = {one["metadata"]["name"]: Target.model_validate(one) for one in documents if one["kind"] == "Target"}
    ours, names = read(given, named), Names()
    for host, there in effective(ours).items():
        target = targets[names.unique(slug(host, "host"), host)]
        here = {**Variables(groups).of(target), **target.spec.vars}
        plain = {key: as_text(one.value) for key, one in there.items() if not key.startswith("ansible_")}
        assert json.loads(json.dumps(here).replace("${{ '${{' }}", "${{")) == plain


def test_what_a_program_prints_is_what_ansible_takes_it_for(tmp_path: Path) -> None:
    """Ansible reads lists from a program only; the text that it printed is carried like the program's inventory."""
    given, _ = files(next(path for path in cases("ansible") if path.stem == "listed"), tmp_path)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path / 'listed.json'}'\n")
    program.chmod(0o700)
    theirs = according_to_ansible(tmp_path, [str(program)])
    printed = json.dumps(theirs).encode()
    for text in (given, {"printed": printed}):
        ours = read(text, list(text))
        variables = effective(ours)
        assert {name: {key: one.value for key, one in variables[name].items()} for name in ours.hosts} == {
            name: theirs["_meta"]["hostvars"].get(name, {}) for name in ("h1", "h2", "h3", "u1")
        }
        assert set(ours.groups) == {"all", "web", "db", "prod", "ungrouped"}
        assert set(ours.groups["web"].hosts) == {"h1", "h2"}
        assert set(ours.groups["prod"].children) == {"web", "db"}


HOSTILE = [
    b"all: &a\n  children:\n    b: *a\n",
    b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
    b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n",
    b"[" * 100_000,
    b"{" * 100_000,
    b"a: !!python/object/apply:os.system [true]\n",
    b"? [a, b]\n: c\n",
    b"a: \x00\n",
    b"\xff\xfe\n",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_yaml_is_listed_and_makes_nothing(data: bytes) -> None:
    found = carried({"hosts.yml": data}, Settings("root", named=["hosts.yml"]))
    assert found.remarks
    assert [one for one in found.drafts if one.path.startswith("targets")] == []


@pytest.mark.parametrize("line", ["h[1:999999999]", "h[1:90][1:90]", "h[0:9][0:9][0:9][0:9]", "x v=" + "[" * 5_000])
def test_hostile_lines_are_bounded(line: str) -> None:
    found = carried({"hosts": f"{line}\nfine\n".encode()}, Settings("root", named=["hosts"]))
    assert len(found.drafts) <= 5
    assert any(draft.path == "targets/fine.yaml" for draft in found.drafts)


def test_groups_in_a_circle_come_to_an_end() -> None:
    names = [f"g{number}" for number in range(200)]
    text = "".join(f"[{one}:children]\n{other}\n" for one, other in zip(names, [*names[1:], names[0]], strict=True))
    assert carried({"hosts": text.encode()}, Settings("root", named=["hosts"])).remarks


WINDOWS = """[win]
one ansible_user=admin ansible_password=a1
two ansible_user=admin ansible_password=b2
three ansible_user=admin ansible_password=a1
four ansible_user='DOM\\\\admin'
five ansible_user=dom-admin
six ansible_user=vaulted ansible_password='{{ pw }}' pw=c3
seven ansible_user=vaulted ansible_password='{{ pw }}' pw=d4
[win:vars]
ansible_connection=winrm
"""


def test_hosts_share_a_credential_only_where_user_and_password_are_the_same() -> None:
    """The password of one host is never sent to another."""
    reading = carried({"hosts": WINDOWS.encode()}, Settings())
    made = [one for draft in reading.drafts for one in draft.documents]
    of = {
        one["metadata"]["name"]: one["spec"]["connections"]["winrm"]["credentialRef"]
        for one in made
        if one["kind"] == "Target"
    }
    users = {one["metadata"]["name"]: one["spec"]["username"] for one in made if one["kind"] == "Credential"}
    assert of["one"] == of["three"] == "windows-admin"
    assert len({of[name] for name in ("one", "two", "four", "five", "six", "seven")}) == 6
    assert users[of["four"]] != users[of["five"]]
    assert sorted(users) == sorted(set(of.values()))
