"""Every step of the library linux-core, on a real host over SSH."""

import asyncio
import hashlib
import subprocess

import pytest

from engine.builtin import library
from tests.libraryhost import Steps, host, steps
from tests.linuxhost import drop_connections
from tests.running import Pipe

__all__ = ["host", "steps"]
pytestmark = pytest.mark.slow


async def test_file(steps: Steps) -> None:
    await steps.changes("linux-core/file@1", path="/etc/motd", content="a\n$(b) 'c'\n\n", mode="0600", owner="nobody")
    assert steps.see("cat /etc/motd; stat -c '%a %U' /etc/motd") == "a\n$(b) 'c'\n\n600 nobody\n"
    await steps.changes("linux-core/file@1", path="/etc/motd", content="")
    assert steps.see("stat -c '%s %a %U' /etc/motd") == "0 600 nobody\n", "what is not said stays as it is"
    await steps.changes("linux-core/file@1", path="/etc/motd", mode="644")
    await steps.changes("linux-core/file@1", path="/srv/a b/c", state="directory", mode="0750", group="mail")
    assert steps.see("stat -c '%a %G' '/srv/a b/c'") == "750 mail\n"
    await steps.changes("linux-core/file@1", path="/srv/now", state="link", target="/srv/a b/c")
    await steps.changes("linux-core/file@1", path="/srv/now", state="link", target="/etc")
    assert steps.see("readlink /srv/now; ls -A /srv") == "/etc\na b\nnow\n"
    await steps.changes("linux-core/file@1", path="/srv/now", state="absent")
    assert "not empty" in await steps.refuses("linux-core/file@1", path="/srv/a b", state="absent")
    assert "no user" in await steps.refuses("linux-core/file@1", path="/etc/motd", owner="nobody-at-all")


async def test_the_mode_and_the_owner_of_a_file(steps: Steps) -> None:
    """A new owner takes setuid away, and numbers are owners too."""
    await steps.changes("linux-core/file@1", path="/srv/tool", content="x", mode="4755", owner="nobody")
    assert steps.see("stat -c '%a %U' /srv/tool") == "4755 nobody\n"
    await steps.changes("linux-core/file@1", path="/srv/tool", owner="0", group="8", mode="6750")
    assert steps.see("stat -c '%a %u %g' /srv/tool") == "6750 0 8\n"
    await steps.changes("linux-core/file@1", path="/srv/numbers", state="directory", owner="4711", group="4712")
    assert steps.see("stat -c '%u %g' /srv/numbers") == "4711 4712\n"
    await steps.changes("linux-core/file@1", path="/srv/numbered", state="link", target="x", owner="4711", group="0")
    assert steps.see("stat -c '%u %g' /srv/numbered; readlink /srv/numbered") == "4711 0\nx\n"
    assert (await steps.outputs("linux-core/file@1", path="/dev/null", mode="0666", owner="root"))["changed"] is False


async def test_line(steps: Steps) -> None:
    steps.see("printf '#a 1\\nb\\na 2\\nend' > /etc/example; chmod 640 /etc/example; ln -s example /etc/linked")
    await steps.changes("linux-core/line@1", path="/etc/linked", match="^a ", line="a $(x) \\1 & 3")
    assert steps.see("cat /etc/example") == "#a 1\nb\na $(x) \\1 & 3\nend"[:-3] + "end\n"
    await steps.changes("linux-core/line@1", path="/etc/example", line="new")
    await steps.changes("linux-core/line@1", path="/etc/example", match="^#?a", state="absent")
    assert steps.see("cat /etc/example; stat -c %a /etc/example; readlink /etc/linked") == "b\nend\nnew\n640\nexample\n"
    await steps.changes("linux-core/line@1", path="/etc/example", line="b", state="absent")
    assert (await steps.outputs("linux-core/line@1", path="/etc/no", line="b", state="absent"))["changed"] is False
    assert "there is no file" in await steps.refuses("linux-core/line@1", path="/etc/no", line="b")
    await steps.changes("linux-core/line@1", path="/etc/no", line="b", create=True)
    assert "grep -E" in await steps.refuses("linux-core/line@1", path="/etc/no", match="a(", line="b")


async def test_service(steps: Steps) -> None:
    """No systemd runs in a container: what is tried here are the scripts of /etc/init.d."""
    steps.see("update-rc.d cron remove; service cron stop || true")
    started = await steps.outputs("linux-core/service@1", name="cron", state="started", enabled=True)
    assert started == {"changed": True, "running": True}
    assert steps.see("pgrep -x cron >/dev/null && ls /etc/rc2.d | grep -c cron") == "1\n"
    again = await steps.outputs("linux-core/service@1", name="cron", state="started", enabled=True)
    assert again == {"changed": False, "running": True}
    before = steps.see("pgrep -x cron")
    assert (await steps.outputs("linux-core/service@1", name="cron", state="restarted"))["running"] is True
    assert steps.see("pgrep -x cron") != before
    await steps.changes("linux-core/service@1", name="cron", state="stopped", enabled=False)
    assert steps.see("pgrep -x cron || ls /etc/rc2.d | grep S..cron || echo none") == "none\n"
    assert "no /etc/init.d/nowhere" in await steps.refuses("linux-core/service@1", name="nowhere", state="started")


async def test_logrotate(steps: Steps) -> None:
    steps.see(
        "mkdir -p /var/log/web; head -c 100000 /dev/zero > /var/log/web/access.log; "
        "for n in 1 2 3; do head -c 5000 /dev/zero > /var/log/web/access.log.$n; done; "
        "touch -d '40 days ago' /var/log/web/access.log.3; "
        "printf '/var/log/web/*.log {\\n rotate 9\\n monthly\\n compress\\n}\\n' > /etc/logrotate.d/web"
    )
    config = "/etc/logrotate.d/web"
    idle = await steps.outputs("linux-core/logrotate@1", config=config, stateFile="/var/log/web/state")
    assert idle == {"freed": 0, "rotated": 0, "changed": False}
    done = await steps.outputs(
        "linux-core/logrotate@1", config=config, stateFile="/var/log/web/state", keepDays=30, force=True
    )
    assert done["rotated"] == 1
    assert done["freed"] > 90_000
    assert "access.log.1.gz" in steps.see("ls /var/log/web")
    assert "access.log.4" not in steps.see("ls /var/log/web"), "it was older than 30 days"
    assert "there is no configuration" in await steps.refuses("linux-core/logrotate@1", config="/etc/logrotate.d/none")


def add_repository(steps: Steps) -> None:
    """A repository of packages on the host itself, which its own apt installs from."""
    folder = steps.server.folder
    lines = []
    for version in ("1.0", "2.0"):
        made = folder / f"example-{version}"
        (made / "DEBIAN").mkdir(parents=True, exist_ok=True)
        control = (
            f"Package: example-tool\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\n"
            "Description: example\n"
        )
        (made / "DEBIAN" / "control").write_text(control)
        file = folder / f"example-tool_{version}.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", str(made), str(file)], check=True, capture_output=True
        )
        data = file.read_bytes()
        lines.append(
            f"{control}Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    steps.see(
        f"mkdir -p /srv/repo && cp {folder}/*.deb /srv/repo && rm -rf /etc/apt/sources.list /etc/apt/sources.list.d && "
        "mkdir /etc/apt/sources.list.d && echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list.d/x.list"
    )
    for version, text in (("1.0", lines[0]), ("2.0", "\n".join(lines))):
        (folder / f"Packages-{version}").write_text(text)
        steps.see(f"cp {folder}/Packages-{version} /srv/repo/")


async def test_package(steps: Steps) -> None:
    """By the real apt; neither dnf nor apk is on this machine."""
    add_repository(steps)
    steps.see("cp /srv/repo/Packages-1.0 /srv/repo/Packages")
    installed = await steps.outputs("linux-core/package@1", names=["example-tool"], refresh=True)
    assert installed == {"changed": True, "manager": "apt"}
    assert (await steps.outputs("linux-core/package@1", names=["example-tool", "dpkg"]))["changed"] is False
    steps.see("cp /srv/repo/Packages-2.0 /srv/repo/Packages")
    assert (await steps.outputs("linux-core/package@1", names=["example-tool"], refresh=True))["changed"] is False
    await steps.changes("linux-core/package@1", names=["example-tool"], state="latest")
    assert steps.see("dpkg-query -W -f '${Version}' example-tool") == "2.0"
    await steps.changes("linux-core/package@1", names=["example-tool"], state="absent")
    assert "Unable to locate" in await steps.refuses("linux-core/package@1", names=["no-such-package"])


async def test_user(steps: Steps) -> None:
    keys = ["ssh-ed25519 AAAA one", 'from="10.0.0.0/8",command="a \\ b" ssh-ed25519 BBBB two']
    await steps.changes(
        "linux-core/user@1",
        name="ann",
        shell="/bin/bash",
        comment="Ann O'Nym",
        groups=["adm", "mail"],
        authorizedKeys=keys,
    )
    assert steps.see("getent passwd ann | cut -d: -f5-; id -nG ann") == "Ann O'Nym:/home/ann:/bin/bash\nann adm mail\n"
    assert steps.see("cat /home/ann/.ssh/authorized_keys; stat -c '%a %U' /home/ann/.ssh/authorized_keys") == (
        "\n".join(keys) + "\n600 ann\n"
    )
    await steps.changes("linux-core/user@1", name="ann", shell="/bin/sh", home="/srv/ann", authorizedKeys=[])
    assert (
        steps.see("getent passwd ann | cut -d: -f6-; wc -c < /srv/ann/.ssh/authorized_keys") == "/srv/ann:/bin/sh\n0\n"
    )
    steps.see("rm -r /srv/ann/.ssh; ln -s /root/.ssh /srv/ann/.ssh")
    assert "is a link" in await steps.refuses("linux-core/user@1", name="ann", authorizedKeys=keys)
    await steps.changes("linux-core/user@1", name="app", system=True, home="/srv/app", shell="/usr/sbin/nologin")
    await steps.changes("linux-core/user@1", name="ann", state="absent")
    assert "no group" in await steps.refuses("linux-core/user@1", name="app", groups=["nobody-knows"])


async def test_cron(steps: Steps) -> None:
    await steps.changes(
        "linux-core/cron@1", name="tidy", schedule="*/5 3 * * 1-5", command="date +\\%F >> /tmp/x", user="mail"
    )
    assert steps.see("tail -n 1 /etc/cron.d/tidy; stat -c %a /etc/cron.d/tidy; ls /etc/cron.d | grep -c tidy") == (
        "*/5 3 * * 1-5 mail date +\\%F >> /tmp/x\n644\n1\n"
    )
    await steps.changes("linux-core/cron@1", name="tidy", schedule="@daily", command="true", mailTo="ops@example.org")
    await steps.changes("linux-core/cron@1", name="tidy", state="absent")
    assert "no user" in await steps.refuses(
        "linux-core/cron@1", name="x", schedule="@daily", command="a", user="nobody1"
    )


async def test_sysctl(steps: Steps) -> None:
    await steps.changes("linux-core/sysctl@1", key="kernel.hostname", value="web-01")
    assert steps.see("hostname; cat /etc/sysctl.d/90-opsconductor-kernel.hostname.conf") == (
        "web-01\nkernel.hostname = web-01\n"
    )
    await steps.changes("linux-core/sysctl@1", key="kernel.hostname", value="web-02", persist=False)
    assert "no setting" in await steps.refuses("linux-core/sysctl@1", key="kernel.nothing", value="1")


async def test_disk(steps: Steps) -> None:
    found = await steps.outputs("linux-core/disk@1", path="/var/log")
    assert 0 <= found["usedPercent"] <= 100
    assert 0 < found["freeMiB"] <= found["sizeMiB"]
    assert "MiB free" in await steps.refuses("linux-core/disk@1", minFreePercent=100)
    assert "MiB free" in await steps.refuses("linux-core/disk@1", minFreeMiB=10**9)
    assert "there is no" in await steps.refuses("linux-core/disk@1", path="/no/where")


async def test_facts(steps: Steps) -> None:
    """Whatever the host is called, and whatever stands in its files, is data."""
    steps.see(
        """printf '%s\\n' 'ID=x' 'PRETTY_NAME="Odd $(id) \\ OS 1"' > /usr/lib/os-release; rm -f /etc/os-release"""
    )
    found = await steps.outputs("linux-core/facts@1")
    assert found["os"] == "Odd $(id) \\ OS 1"
    assert found["kernel"] == steps.see("uname -r").strip()
    assert found["packages"] == int(steps.see("dpkg -l | grep -c '^.i'"))
    assert found["memoryMiB"] > 100
    assert found["cpus"] >= 1
    assert found["uptimeSeconds"] > 0
    assert isinstance(found["disks"], list)


async def test_journal(steps: Steps) -> None:
    """The archives are not real ones: journalctl judges them by their names and sizes."""
    machine = "0123456789abcdef0123456789abcdef"
    steps.see(
        f"echo {machine} > /etc/machine-id; mkdir -p /var/log/journal/{machine}; cd /var/log/journal/{machine}; "
        "for n in 1 2 3; do head -c 9000000 /dev/zero > "
        "system@00000000000000000000000000000000-000000000000000$n-0005f0000000000$n.journal; done"
    )
    done = await steps.outputs("linux-core/journal@1", maxMiB=10)
    assert done["changed"] is True
    assert done["freed"] >= 9_000_000
    assert (await steps.outputs("linux-core/journal@1", maxMiB=10))["changed"] is False
    assert "it needs" in await steps.refuses("linux-core/journal@1")


async def test_timer(steps: Steps) -> None:
    """No systemd runs in a container: what is tried here is what it would find when it starts."""
    inputs = {"name": "tidy", "command": "/usr/bin/true --x", "calendar": "Mon *-*-* 04:00"}
    await steps.changes("linux-core/timer@1", **inputs)
    assert steps.see("ls /etc/systemd/system/timers.target.wants/tidy.timer && systemd-analyze verify tidy.timer") == (
        "/etc/systemd/system/timers.target.wants/tidy.timer\n"
    )
    await steps.changes("linux-core/timer@1", **{**inputs, "calendar": "daily"})
    await steps.changes("linux-core/timer@1", name="tidy", state="absent")
    assert steps.see("ls /etc/systemd/system/*/tidy.timer || echo none", check=False) == "none\n"
    assert "no time" in await steps.refuses("linux-core/timer@1", **{**inputs, "calendar": "now and then"})


async def test_reboot(steps: Steps) -> None:
    """No container restarts its machine: what stands in for it here ends all connections, and changes the boot's id."""
    assert await steps.outputs("linux-core/reboot@1", onlyIfNeeded=True) == {"changed": False}
    told = Pipe(steps.server.folder / "restarted")
    steps.see(
        "cat > /usr/local/sbin/restart-all <<'END'\n#!/bin/sh\necho another > /run/boot_id\n"
        f"mount --bind /run/boot_id /proc/sys/kernel/random/boot_id\necho > {told}\nEND\n"
        "chmod +x /usr/local/sbin/restart-all; touch /run/reboot-required"
    )
    done = asyncio.create_task(steps.outputs("linux-core/reboot@1", onlyIfNeeded=True, command="restart-all"))
    await told.lines(1)
    drop_connections(steps.server)
    assert await done == {"changed": True}
    assert steps.see("cat /proc/sys/kernel/random/boot_id") == "another\n"
    told.close()


PREPARED = {
    "logrotate": "mkdir -p /var/log/web; echo x > /var/log/web/a.log; "
    "echo '/var/log/web/*.log { daily }' > /etc/logrotate.d/web",
    "line": "echo '127.0.0.1 localhost' > /etc/hosts; mkdir -p /etc/ssh; touch /etc/ssh/sshd_config",
    "reboot": "rm -f /run/reboot-required",
    "file": "rm -f /srv/app/current; mkdir -p /srv/app",
}
EXAMPLES = [
    (name, number)
    for name, step in sorted(library("linux-core").steps.items())  # type: ignore[union-attr]
    for number in range(len(step.document.spec.examples))  # type: ignore[attr-defined]
    if name != "package"  # from a repository of the test's own, above
]


@pytest.mark.parametrize(("name", "number"), EXAMPLES)
async def test_an_example_runs(steps: Steps, name: str, number: int) -> None:
    steps.see(PREPARED.get(name, "true"))
    found = library("linux-core")
    assert found is not None
    step = found.step(name)
    assert step is not None
    await steps.outputs(f"linux-core/{name}@1", **step.spec.examples[number].with_)
