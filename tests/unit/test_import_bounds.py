"""Hostile imports: what would compute for minutes is refused within seconds, with what to do."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from opsconductor.authoring.importing import Into, fits_together, prepared
from opsconductor.exits import UsageError
from opsconductor.imports import ansible, crontab, rundeck, sshhosts, systemd
from opsconductor.imports.drafts import Reading

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"
SECONDS = 25
"""Of this process, on a slow machine: they are some three on a common one."""


def lines(text: str, count: int) -> bytes:
    return "".join(text.format(n=number, next=number + 1) for number in range(count)).encode()


def of_crontab(data: bytes) -> Reading:
    return crontab.read({"mine": data}, crontab.Settings("UTC"))


def of_ssh(data: bytes, known: bytes = b"") -> Reading:
    return sshhosts.read({"config": data}, sshhosts.Settings("ops", {"known_hosts": known}))


def of_ansible(data: bytes) -> Reading:
    return ansible.read({"hosts": data}, ansible.Settings("ops", {}, ["hosts"]))


def of_rundeck(data: bytes) -> Reading:
    return rundeck.read({"jobs.yaml": data}, rundeck.Settings("UTC"))


def of_systemd(service: bytes) -> Reading:
    units = {"a.timer": b"[Timer]\nOnCalendar=daily\n", "a.service": b"[Service]\nType=oneshot\n" + service}
    return systemd.read(units, systemd.Settings("UTC"))


HASHED = b"|1|qHFIrqSDIBE6bRbhDKIT0bm1V0k=|wBmFrJPQPzYcaN0EzqpMUp9IPEk= ssh-ed25519 " + (
    b"AAAAC3NzaC1lZDI1NTE5AAAAIINZTE3zdp7QTrsWl7ZfoGrC3XGbnh8DNkf7n7Dr5jYK\n"
)
HOSTILE: Mapping[str, Callable[[], Reading]] = {
    "blanks in a setting": lambda: of_crontab(b"A=x" + b" " * 500_000 + b"y\n* * * * * x\n"),
    "blanks in arguments of ssh": lambda: of_ansible(
        b"web ansible_host=10.0.0.1 ansible_ssh_common_args='ProxyCommand=x" + b" " * 15_000 + b"y'\n"),
    "ways in arguments of ssh": lambda: of_ansible(
        b"web ansible_host=10.0.0.1 ansible_ssh_common_args='" + b'ProxyCommand="x ' * 900 + b"'\n"),
    "a host with a long line": lambda: of_ansible(b"web a='" + b" " * 900_000 + b"'\n"),
    "a node filter of one word": lambda: of_rundeck(
        b"- name: j\n  nodefilters: {filter: '" + b"a" * 200_000 + b"'}\n  sequence: {commands: [{exec: x}]}\n"),
    "tokens that never end": lambda: of_rundeck(
        b"- name: j\n  sequence: {commands: [{exec: '" + b"${option." * 50_000 + b"'}]}\n"),
    "quoted tokens that never end": lambda: of_rundeck(
        b"- name: j\n  sequence: {commands: [{exec: \"" + b"'${option.a" * 50_000 + b"\"}]}\n"),
    "variables of every job": lambda: of_crontab(lines("A{n}=b\n* * * * * x{n}\n", 3_000)),
    "variables without end": lambda: of_crontab(lines("A{n}=b\n", 40_000) + b"* * * * * x\n"),
    "times of one command": lambda: of_crontab(lines("* * * * * x\n", 20_000)),
    "hosts and patterns": lambda: of_ssh(lines("Host h{n}\n User u\nHost *a*b{n}*c\n Port 3\n", 2_500)),
    "options of all hosts": lambda: of_ssh(b"Host *\n" + b" SetEnv A=b\n" * 7_000 + lines("Host h{n}\n", 2_000)),
    "a pattern and a name": lambda: of_ssh(b"Host " + b"*a" * 100_000 + b"b\nHost " + b"a" * 200_000 + b"\n"),
    "hosts and hashed keys": lambda: of_ssh(lines("Host h{n}\n", 2_000), HASHED * 5_000),
    "variables of all hosts": lambda: of_ansible(b"[g]\nh[1:5000]\n[all:vars]\n" + lines("v{n}=1\n", 20_000)),
    "groups in a row": lambda: of_ansible(b"".join(reversed(
        [b"[g%d:children]\ng%d\n" % (n, n + 1) for n in range(4_000)]))),
    "groups without end": lambda: of_ansible(lines("[g{n}]\n", 60_000)),
    "one step again and again": lambda: of_rundeck(
        b"- name: j\n  sequence:\n    commands: [&e {exec: x}" + b", *e" * 20_000 + b"]\n"),
    "commands without end": lambda: of_systemd(b"ExecStart=/bin/x $A\n" * 40_000),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("read", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_read_or_refused_within_seconds(read: Callable[[], Reading], tmp_path: Path) -> None:
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    into = Into.checkout(tmp_path, "definitions/x", "crontab")
    began = time.process_time()
    try:
        made = prepared(into, read(), ["it"], force=False, prune=False)
    except UsageError as error:
        assert "import the parts" in str(error)
    else:
        assert not made.clean, "what was left out is listed"
    assert time.process_time() - began < SECONDS


def test_files_that_are_too_much_together_are_refused() -> None:
    fits_together({"a": b"x" * 1024**2})
    with pytest.raises(UsageError, match="32 MiB to read; import the parts"):
        fits_together({str(number): b"x" * 1024**2 for number in range(33)})
