"""`import ssh-config`, held against what `ssh -G` says of the same files; and hostile ones."""

import getpass
import re
import subprocess
import time
from pathlib import Path

import pytest

from opsconductor.imports import sshconfig, sshpatterns
from opsconductor.imports.sshhosts import Settings, read
from tests.import_cases import cases, laid_out, parsed

SAMPLES = [path for path in cases("ssh-config") if path.stem not in ("wrong", "half-lines")]
_INCLUDE = re.compile(r"^(\s*Include\s+)(?:~/\.ssh/)?", re.MULTILINE)


def according_to_ssh(config: Path, name: str) -> dict[str, list[str]]:
    command = ["ssh", "-G", "-F", str(config), "-o", "IgnoreUnknown=UseKeychain", "--", name]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_each_host_is_what_ssh_takes_it_for(path: Path, tmp_path: Path) -> None:
    case = parsed(path.read_text())
    laid_out(case, tmp_path)
    files = {str(one.relative_to(tmp_path)): one.read_bytes() for one in sorted(tmp_path.rglob("*")) if one.is_file()}
    files = {name: data for name, data in files.items() if name != "known_hosts" and not name.startswith("checkout")}
    config = sshconfig.read(files)
    given = tmp_path / "config"
    given.write_bytes(_INCLUDE.sub(rf"\1{tmp_path}/", given.read_bytes().decode()).encode())
    for name in config.names():
        if name.startswith("-") or "$" in name or not name.isascii():
            continue
        ours, theirs = config.resolve(name), according_to_ssh(given, name)
        assert theirs["hostname"] == [ours.host]
        assert theirs["port"] == [str(ours.port)]
        assert theirs["user"] == [ours.text("user") or getpass.getuser()]
        keys = [one.value for one in ours.options.get("identityfile", ())]
        assert keys == [] or theirs["identityfile"] == keys
        way = {key: ours.text(key) for key in ("proxyjump", "hostkeyalias")}
        assert {key: theirs.get(key, [None])[0] for key in way} == way
        program = ours.text("proxycommand")
        assert ("proxycommand" in theirs) == (program is not None and program != "none")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "", True),
        ("web-*", "web-1", True),
        ("web-?", "web-10", False),
        ("*.example.*", "a.example.net", True),
        ("a*b*c", "aXbXbXc", True),
        ("a*b*c", "aXbXbX", False),
        ("a.b", "axb", False),
    ],
)
def test_patterns_match_as_in_ssh(pattern: str, name: str, fits: bool) -> None:
    assert sshpatterns.matches([pattern], name) is fits
    assert sshpatterns.matches([pattern, f"!{pattern}"], name) is False


def test_a_host_name_that_ssh_itself_refuses_gets_no_connection() -> None:
    found = read({"config": b"Host h\n  HostName %n.example.net\n"}, Settings("root"))
    (target,) = (one for draft in found.drafts for one in draft.documents if one["kind"] == "Target")
    assert "connections" not in target["spec"]
    assert [one.place.line for one in found.remarks if "what %n stands for" in one.what] == [2]


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    begun = time.monotonic()
    assert sshpatterns.matches(["*a" * 100 + "b"], "a" * 2_000) is False
    assert time.monotonic() - begun < 5


def test_files_that_include_each_other_end() -> None:
    files = {"a": b"Include b\nHost x\n", "b": b"Include a\nInclude b\nHost y\n"}
    assert read(files, Settings("root")).remarks


def test_a_file_that_includes_another_a_thousand_times_ends() -> None:
    files = {"a": b"Include b\n" * 1_000, "b": b"User x\n" * 1_000}
    assert any("lines" in one.what for one in read(files, Settings("root")).remarks)


def test_a_hop_that_is_named_ever_deeper_ends() -> None:
    hops = ",".join(f"h{number}" for number in range(200))
    found = read({"config": f"Host x\n  ProxyJump {hops}\n".encode()}, Settings("root"))
    assert any("leads nowhere" in one.what for one in found.remarks)
