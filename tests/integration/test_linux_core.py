"""Every step of the library linux-core, on a real host over SSH."""

import pytest

from tests.libraryhost import Steps, host, steps

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
