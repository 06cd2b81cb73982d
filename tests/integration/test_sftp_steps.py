"""Steps with files over a real OpenSSH server: whole or not at all, and as who they are to be."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.states import StepState
from runners.connections.local import LocalSettings
from schemas.credential import CredentialSpec
from schemas.target import Become, Connections
from tests import openssh as servers
from tests.integration.test_runner_become import ACCOUNTS, PASSWORD
from tests.openssh import OpenSsh
from tests.running import Bench, bench
from tests.running import here as this_host

__all__ = ["bench"]

OK, FAILED = StepState.SUCCEEDED, StepState.FAILED
KEY = {"key": CredentialSpec.model_validate({"type": "ssh", "from": {"file": "key"}})}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    made = servers.start(tmp_path_factory.mktemp("sftp"), options="Subsystem sftp internal-sftp")
    yield made
    made.stop()


def target(server: OpenSsh, user: str | None = None) -> PinnedTarget:
    key = " ".join(server.host_key.split()[:2])
    ssh = {"port": server.port, "user": user or server.user, "credentialRef": "key", "hostKeys": [key]}
    connections = Connections.model_validate({"ssh": ssh})
    return PinnedTarget("web", host=server.host, connections=connections, default_connection="ssh")


def step(kind: str, step_id: str, /, *, more: dict[str, Any] | None = None, **inputs: Any) -> PlannedStep:
    return PlannedStep(step_id, "steps", Use(kind, inputs), connection="ssh", continue_on_error=True, **(more or {}))


async def done(bench: Bench, server: OpenSsh, *steps: PlannedStep, user: str | None = None, **more: Any) -> Any:
    (bench.secrets / "key").write_text(server.private_key)
    more = {"credentials": KEY, **more}
    return await bench.execute(*steps, targets=(target(server, user),), **more)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def test_an_upload_appears_whole_and_changes_nothing_the_second_time(
    bench: Bench, host: OpenSsh, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    (bench.files / "app.conf").write_bytes(b"port: 1\n")
    path = str(there / "etc" / "app.conf")
    put = {"source": "app.conf", "destination": path, "mode": "0640", "createFolders": True}
    ran = await done(
        bench,
        host,
        step("sftp.upload", "first", **put),
        step("sftp.upload", "again", **put),
        step("sftp.upload", "mode", **{**put, "mode": "0600"}),
        step("sftp.upload", "text", content="port: ${{ params.port }}\n", destination=path, backup=True),
        step("sftp.upload", "wrong", content="x", destination=path, checksum=digest(b"y")),
        step("sftp.upload", "nowhere", content="x", destination=str(there / "a" / "b")),
        params={"port": 2},
    )
    steps = ran.steps()
    assert [(name, one.state) for name, one in steps.items()] == [
        ("first", OK), ("again", OK), ("mode", OK), ("text", OK), ("wrong", FAILED), ("nowhere", FAILED),
    ]  # fmt: skip
    assert steps["first"].outputs == {"changed": True, "checksum": digest(b"port: 1\n")}
    assert [steps[name].outputs["changed"] for name in ("again", "mode", "text")] == [False, True, True]
    assert (there / "etc" / "app.conf").read_bytes() == b"port: 2\n"
    assert (there / "etc" / "app.conf").stat().st_mode & 0o7777 == 0o600, "what is not said stays as it was"
    (kept,) = [file for file in (there / "etc").iterdir() if file.name != "app.conf"]
    assert (kept.read_bytes(), kept.name[:9]) == (b"port: 1\n", "app.conf.")
    assert "createFolders" in (steps["nowhere"].error or "")
    assert "checksum" in (steps["wrong"].error or "")


async def test_names_lead_nowhere_else(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("precious")
    ran = await done(
        bench,
        host,
        step("sftp.upload", "up", content="x", destination=f"{folder}/../out"),
        step("sftp.upload", "line", content="x", destination=f"{folder}/a\nb"),
        step("sftp.upload", "out", source="${{ '../../etc/passwd' }}", destination=f"{folder}/x"),
        step("sftp.upload", "folder", content="x", destination=str(folder)),
        step("sftp.download", "away", source="/etc/hostname", destination="${{ '../x' }}"),
        step("sftp.upload", "link", content="mine", destination=f"{folder}/link"),
    )
    assert ran.states() == {
        "up": FAILED, "line": FAILED, "out": FAILED, "folder": FAILED, "away": FAILED, "link": OK,
    }  # fmt: skip
    assert (tmp_path / "precious").read_text() == "precious", "a link is replaced, and not followed"
    assert not (folder / "link").is_symlink()
    assert sorted(file.name for file in folder.iterdir()) == ["link"]


async def test_a_download_goes_beside_the_logs_or_to_stdout(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    there = tmp_path / "data"
    there.write_bytes(b"x" * 3_000_000)
    small = tmp_path / "small"
    small.write_text("one\n")
    os.mkfifo(tmp_path / "pipe")
    ran = await done(
        bench,
        host,
        step("sftp.download", "kept", source=str(there), destination="dumps/data", checksum=digest(b"x" * 3_000_000)),
        step("sftp.download", "said", source=str(small), more={"outputs": {"text": "${{ stdout }}"}}),
        step("sftp.download", "large", source=str(there), destination="large", maxSize="1MiB"),
        step("sftp.download", "other", source=str(small), destination="other", checksum=digest(b"two")),
        step("sftp.download", "pipe", source=str(tmp_path / "pipe")),
        step("sftp.download", "gone", source=str(tmp_path / "gone")),
    )
    steps = ran.steps()
    assert [one.state for one in steps.values()] == [OK, OK, FAILED, FAILED, FAILED, FAILED]
    assert steps["kept"].outputs == {"checksum": digest(b"x" * 3_000_000), "size": 3_000_000, "file": "dumps/data"}
    assert steps["said"].outputs["text"] == "one"
    (folder,) = bench.logs.glob(f"*/*/*/{ran.view.id}/web/files")
    assert [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()] == [Path("dumps/data")]
    assert (folder / "dumps" / "data").read_bytes() == b"x" * 3_000_000
    assert "no regular file" in (steps["pipe"].error or "")
    assert "maxSize" in (steps["large"].error or "")


async def test_a_folder_becomes_like_the_repositorys(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    site = bench.files / "site"
    (site / "css").mkdir(parents=True)
    (site / "index.html").write_text("hello")
    (site / "css" / "a.css").write_text("a {}")
    (site / "run.sh").write_text("#!/bin/sh\n")
    (site / "run.sh").chmod(0o755)
    there = tmp_path / "srv"
    (there / "old" / "deep").mkdir(parents=True)
    (there / "old" / "deep" / "x").write_text("x")
    (there / "cache").mkdir()
    (there / "cache" / "y").write_text("y")
    (there / "index.html").write_text("HELLO")
    (there / "out").symlink_to(tmp_path)
    like = {"source": "site", "destination": str(there), "exclude": ["cache/**"]}
    ran = await done(
        bench,
        host,
        step("sftp.sync", "put", **like),
        step("sftp.sync", "less", **like, delete=True),
        step("sftp.sync", "same", **like, delete=True),
        step("sftp.sync", "gone", source="nothing", destination=str(there)),
    )
    steps = ran.steps()
    assert steps["put"].outputs == {"changed": True, "uploaded": 3, "deleted": 0}, steps["put"]
    assert steps["less"].outputs == {"changed": True, "uploaded": 0, "deleted": 4}
    assert steps["same"].outputs == {"changed": False, "uploaded": 0, "deleted": 0}
    assert steps["gone"].state is FAILED
    found = sorted(str(file.relative_to(there)) for file in there.rglob("*") if file.is_file())
    assert found == ["cache/y", "css/a.css", "index.html", "run.sh"]
    assert ((there / "run.sh").stat().st_mode & 0o777, (there / "index.html").stat().st_mode & 0o777) == (0o755, 0o644)
    assert (bench.files / "site").exists(), "the link was removed, and what it leads to was not looked at"


async def test_a_link_in_the_way_of_a_folder_is_refused(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    (bench.files / "site" / "css").mkdir(parents=True)
    (bench.files / "site" / "css" / "a.css").write_text("a {}")
    there, precious = tmp_path / "srv", tmp_path / "precious"
    there.mkdir()
    precious.mkdir()
    (there / "css").symlink_to(precious)
    ran = await done(bench, host, step("sftp.sync", "put", source="site", destination=str(there), delete=True))
    assert ran.states() == {"put": FAILED}
    assert "css: a link is there" in (ran.steps()["put"].error or "")
    assert not list(precious.iterdir())


async def test_a_template_is_rendered_with_what_expressions_see(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    (bench.files / "app.j2").write_text(
        "{% for p in ports %}{{ target.name }}:{{ p }}\n{% endfor %}{{ params.said }}\n"
    )
    (bench.files / "odd.j2").write_text("{{ nobody }}")
    (bench.files / "more.j2").write_text("{% include '/etc/passwd' %}")
    (bench.files / "inner.j2").write_text("{{ ''.__class__.__mro__ }}")
    (bench.files / "long.j2").write_text(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )
    path = str(tmp_path / "app.conf")
    ran = await done(
        bench,
        host,
        step("template", "put", source="app.j2", destination=path, vars={"ports": [80, 443]}, mode="0600"),
        step("template", "again", source="app.j2", destination=path, vars={"ports": [80, 443]}),
        *(step("template", name, source=f"{name}.j2", destination=path) for name in ("odd", "more", "inner", "long")),
        params={"said": "{{ 7 * 7 }}"},
    )
    steps = ran.steps()
    assert [one.state for one in steps.values()] == [OK, OK, FAILED, FAILED, FAILED, FAILED], steps
    assert Path(path).read_text() == "web:80\nweb:443\n{{ 7 * 7 }}\n", "values are data"
    assert [steps[name].outputs["changed"] for name in ("put", "again")] == [True, False]
    assert "odd.j2:1" in (steps["odd"].error or "")


async def test_a_template_is_put_on_the_engines_own_host(bench: Bench, tmp_path: Path) -> None:
    (bench.files / "a.j2").write_text("{{ target.name }}")
    path = tmp_path / "new" / "a"
    put = {"source": "a.j2", "destination": str(path), "createFolders": True, "backup": True}
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    steps = (
        PlannedStep("put", "steps", Use("template", {**put, "mode": "0600"})),
        PlannedStep("again", "steps", Use("template", put)),
        PlannedStep("link", "steps", Use("template", {**put, "destination": str(link)})),
        PlannedStep("below", "steps", Use("template", {**put, "destination": f"{path}/x"}), continue_on_error=True),
        PlannedStep("who", "steps", Use("template", {**put, "owner": "nobody-here"}), continue_on_error=True),
    )
    ran = await bench.execute(*steps, targets=(this_host("me"),))
    assert ran.states() == {"put": OK, "again": OK, "link": OK, "below": FAILED, "who": FAILED}, ran.steps()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("me", 0o600)
    assert [one.outputs.get("changed") for one in list(ran.steps().values())[:3]] == [True, False, True]
    assert not link.is_symlink()
    assert not (tmp_path / "gone").exists()
    assert [file.name for file in path.parent.iterdir()] == ["a"]


async def test_a_restricted_runner_puts_no_files_on_its_host(bench: Bench, tmp_path: Path) -> None:
    (bench.files / "a.j2").write_text("a")
    put = Use("template", {"source": "a.j2", "destination": str(tmp_path / "a")})
    run = await bench.enqueue(PlannedStep("put", "steps", put), targets=(this_host("me"),))
    bench.start(local=LocalSettings(restricted=True))
    assert (await bench.ended(run)).states() == {"put": FAILED}
    assert not (tmp_path / "a").exists()


# --- as another user -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sudoers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    folder = tmp_path_factory.mktemp("sudo-sftp")
    setup = ACCOUNTS.replace("chpasswd", "chpasswd <<'END'\n" + f"opsask:{PASSWORD}\n" + "END")
    with servers.in_its_own_etc(folder, setup) as etc:
        keys = "Subsystem sftp internal-sftp\nMatch User opsfree,opsask,opsnone\nAuthorizedKeysFile /etc/opskeys"
        made = servers.started_for_all(etc, folder / "sshd", keys)
        yield made
        made.stop()


@pytest.mark.parametrize("user", ["opsfree", "opsask", "opsnone"])
async def test_files_are_put_as_another_user(bench: Bench, sudoers: OpenSsh, tmp_path: Path, user: str) -> None:
    (bench.secrets / "sudo").write_text(PASSWORD)
    sudo = CredentialSpec.model_validate({"type": "password", "from": {"file": "sudo"}})
    become = Become.model_validate({"user": "root", **({"credentialRef": "sudo"} if user == "opsask" else {})})
    path = tmp_path / "root.conf"
    put = step("sftp.upload", "put", content="x", destination=str(path), mode="4750", owner="opsfree", group="opsask",
               more={"become": become})  # fmt: skip
    own = step("sftp.upload", "own", content="y", destination=str(tmp_path / "own"))
    ran = await done(bench, sudoers, put, own, user=user, credentials={**KEY, "sudo": sudo})
    if user == "opsnone":
        assert ran.states()["put"] is FAILED
        assert "cannot become 'root'" in (ran.steps()["put"].error or "")
        return
    assert ran.states() == {"put": OK, "own": FAILED}, ran.steps()
    facts = path.stat()
    assert facts.st_mode & 0o7777 == 0o4750
    assert facts.st_uid != 0
    assert "denied" in (ran.steps()["own"].error or "").lower(), "without become it is the user who logs in"
