"""The mirror over a path: what it brings, what it refuses, and how it survives killed gits, power cuts and damage."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import reconciler.repository.mirror as mirror_module
from journal.errors import Refused, Unavailable
from reconciler.repository.mirror import Mirror, PushRejected, kept_as
from reconciler.repository.mirrorfolder import MARK, intact
from reconciler.repository.objects import Objects

MAIN = "refs/heads/main"


class Origin:
    """A repository to read from, written by the git program."""

    def __init__(self, path: Path, *, bare: bool = True) -> None:
        self.path = path
        subprocess.run(["git", "init", "-q", "-b", "main", *(["--bare"] if bare else []), path], check=True)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", self.path, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], ref: str = MAIN, *, after: str | None = None, name: str = "Ann") -> str:
        """A commit that adds files; on top of the ref, or of `after` ("" for a new root)."""
        has = subprocess.run(["git", "-C", self.path, "rev-parse", "-q", "--verify", ref], capture_output=True)
        start = after if after is not None else (ref if has.returncode == 0 else "")
        blobs = "".join(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items())
        who = f"{name} <{name.lower()}@example.org> 1700000000 +0000"
        parent = f"from {self.git('rev-parse', start)}\n" if start else ""
        stream = f"commit refs/heads/making\ncommitter {who}\ndata 6\nchange\n{parent}{blobs}\n"
        prefix = "reset refs/heads/making\n\n" if not start else ""
        subprocess.run(
            ["git", "-C", self.path, "fast-import", "--quiet", "--force"],
            input=(prefix + stream).encode(), check=True,
        )  # fmt: skip
        commit = self.git("rev-parse", "refs/heads/making")
        self.git("update-ref", "-d", "refs/heads/making")
        self.git("update-ref", ref, commit)
        return commit


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "origin.git")
    made.commit({"opsconductor.yaml": "one"})
    return made


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment of its own, so that no test depends on who runs it."""
    (tmp_path / "home").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}


@pytest.fixture
def mirror(origin: Origin, tmp_path: Path, home: dict[str, str]) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "state" / "mirror.git", str(origin.path), environment=home)
    yield made
    made.close()


async def test_what_a_poll_and_a_fetch_give(origin: Origin, mirror: Mirror) -> None:
    """Full ids at exactly the refs asked for; None for a branch that is not there."""
    head = origin.git("rev-parse", "main")
    origin.commit({"x": "x"}, "refs/heads/deep/refs/heads/main")

    assert await mirror.poll([MAIN, "refs/heads/none"]) == {MAIN: head, "refs/heads/none": None}
    assert await mirror.fetch([MAIN, "refs/heads/none"]) == {MAIN: head, "refs/heads/none": None}
    assert Objects(mirror.path).file(head, "opsconductor.yaml") == b"one"
    assert mirror.fetched(MAIN) == head
    assert await mirror.branches() == ("deep/refs/heads/main", "main")


@pytest.mark.parametrize("kind", ["work tree", "linked work tree", "git folder", "file url"])
async def test_a_path_source_of_any_kind(kind: str, tmp_path: Path, home: dict[str, str]) -> None:
    """Commits count, not uncommitted files."""
    made = Origin(tmp_path / "my work", bare=False)
    head = made.commit({"opsconductor.yaml": "one"})
    made.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "main")
    (made.path / "opsconductor.yaml").write_text("uncommitted")
    address = {
        "work tree": str(made.path),
        "linked work tree": str(tmp_path / "linked"),
        "git folder": str(made.path / ".git"),
        "file url": (made.path).as_uri(),
    }[kind]

    mirror = Mirror(tmp_path / "mirror.git", address, environment=home)

    assert await mirror.fetch([MAIN]) == {MAIN: head}
    assert Objects(mirror.path).file(head, "opsconductor.yaml") == b"one"
    mirror.close()


async def test_rewritten_history_is_brought_and_can_be_told(origin: Origin, mirror: Mirror) -> None:
    """The kept commit outlives the branch, packing, and a mirror made again."""
    [before] = (await mirror.fetch([MAIN])).values()
    assert before is not None
    mirror.keep("last-good", before)
    now = origin.commit({"opsconductor.yaml": "other"}, after="")
    origin.git("gc", "-q", "--prune=now")

    assert await mirror.fetch([MAIN]) == {MAIN: now}
    objects = Objects(mirror.path)
    assert objects.history(before, now) == "rewritten"
    assert objects.history("0" * 40, now) == "rewritten"
    await mirror.tidy()
    (mirror.path / MARK).unlink()  # as damage does
    await mirror.open()
    assert mirror.kept("last-good") == before
    assert objects.file(before, "opsconductor.yaml") == b"one"


async def test_a_branch_that_became_a_folder_of_branches(origin: Origin, mirror: Mirror) -> None:
    head = origin.git("rev-parse", "main")
    origin.git("branch", "a", "main")
    assert (await mirror.fetch(["refs/heads/a"])) == {"refs/heads/a": head}
    origin.git("branch", "-D", "a")
    origin.git("branch", "a/b", "main")

    found = await mirror.fetch(["refs/heads/a", "refs/heads/a/b"])

    assert found == {"refs/heads/a": None, "refs/heads/a/b": head}
    assert mirror.fetched("refs/heads/a") is None


async def test_a_wrong_branch_names_the_right_one(origin: Origin, mirror: Mirror) -> None:
    origin.git("branch", "release", "main")
    refusal = await mirror.missing("refs/heads/mian")
    assert "has no branch mian; it has main, release; did you mean --branch main?" in refusal.message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "the path does not exist"),
        (lambda path: path.mkdir(), "is not a git repository; make one there with `git init`"),
        (lambda path: path.write_text("x"), "is not a git repository"),
    ],
)
async def test_no_repository(make: object, message: str, tmp_path: Path, home: dict[str, str]) -> None:
    make(tmp_path / "source")  # type: ignore[operator]
    mirror = Mirror(tmp_path / "mirror.git", str(tmp_path / "source"), environment=home)
    for attempt in (mirror.poll([MAIN]), mirror.fetch([MAIN])):
        with pytest.raises(Refused, match=message):
            await attempt
    mirror.close()


async def test_a_folder_inside_a_work_tree_names_its_root(tmp_path: Path, home: dict[str, str]) -> None:
    made = Origin(tmp_path / "repo", bare=False)
    (made.path / "sub").mkdir()
    mirror = Mirror(tmp_path / "mirror.git", str(made.path / "sub"), environment=home)
    with pytest.raises(Refused, match=f"give the repository itself: {made.path}$"):
        await mirror.poll([MAIN])
    mirror.close()


async def test_a_push_compares_and_swaps(origin: Origin, mirror: Mirror) -> None:
    """Pushed only onto what was expected; pushing again what is there succeeds."""
    [head] = (await mirror.fetch([MAIN])).values()
    assert head is not None
    await mirror.push(head, "refs/heads/status", None)
    await mirror.push(head, "refs/heads/status", None)
    assert origin.git("rev-parse", "status") == head
    with pytest.raises(PushRejected):
        await mirror.push(head, MAIN, "1" * 40) if origin.commit({"y": "y"}) else None
    other = origin.commit({"z": "z"}, "refs/heads/status")
    with pytest.raises(PushRejected):
        await mirror.push(head, "refs/heads/status", head) if other else None
    assert origin.git("rev-parse", "status") == other
    origin.git("update-ref", "-d", "refs/heads/status")
    with pytest.raises(PushRejected):
        await mirror.push(head, "refs/heads/status", other)


async def test_a_push_that_a_hook_forbids_says_what_the_hook_said(origin: Origin, mirror: Mirror) -> None:
    [head] = (await mirror.fetch([MAIN])).values()
    hook = origin.path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho nobody may push here >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="nobody may push here"):
        await mirror.push(str(head), "refs/heads/status", None)


async def test_a_push_to_the_branch_that_is_checked_out(tmp_path: Path, home: dict[str, str]) -> None:
    made = Origin(tmp_path / "repo", bare=False)
    made.commit({"a": "a"})
    mirror = Mirror(tmp_path / "mirror.git", str(made.path), environment=home)
    [head] = (await mirror.fetch([MAIN])).values()
    made.git("symbolic-ref", "HEAD", "refs/heads/status")
    with pytest.raises(Refused, match="checked out"):
        await mirror.push(str(head), "refs/heads/status", None)
    mirror.close()


async def test_inherited_git_variables_lead_nowhere(origin: Origin, tmp_path: Path, home: dict[str, str]) -> None:
    marker = tmp_path / "ran"
    hostile = home | {
        "GIT_DIR": "/nonexistent",
        "GIT_OBJECT_DIRECTORY": "/nonexistent",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": f"touch {marker}",
        "GIT_TRACE": str(tmp_path / "trace"),
        "OPSCONDUCTOR_SECRET_X": "s3cret",
    }
    mirror = Mirror(tmp_path / "mirror.git", str(origin.path), environment=hostile)
    assert (await mirror.fetch([MAIN]))[MAIN] is not None
    assert not marker.exists()
    assert not (tmp_path / "trace").exists()
    mirror.close()


async def test_no_hook_of_this_host_runs(origin: Origin, tmp_path: Path, home: dict[str, str]) -> None:
    """Neither those of the user's configuration, nor those that a template or a stranger puts into the mirror."""
    marker = tmp_path / "ran"
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("reference-transaction", "pre-push", "post-checkout", "fsmonitor-watchman", "post-rewrite"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} $(pwd) >> {marker}\n")
        (hooks / name).chmod(0o755)
    settings = f"[core]\nhooksPath = {hooks}\nfsmonitor = {hooks}/fsmonitor-watchman\n"
    (tmp_path / "home" / ".gitconfig").write_text(f"{settings}[init]\ntemplateDir = {tmp_path}/template\n")
    mirror = Mirror(tmp_path / "mirror.git", str(origin.path), environment=home)
    found = (await mirror.fetch([MAIN]))[MAIN]
    assert found is not None
    shutil.copytree(hooks, tmp_path / "mirror.git" / "hooks", dirs_exist_ok=True)
    await mirror.fetch([MAIN])
    await mirror.push(found, "refs/heads/copy", None)
    mirror.close()
    assert "mirror.git" not in marker.read_text(), "who receives a push has hooks of its own, and they are its matter"
    environment = {**home, "GIT_CONFIG_NOSYSTEM": "1"}
    update = ["git", "-C", str(tmp_path / "mirror.git"), "update-ref", "refs/heads/control", found]
    subprocess.run(update, env=environment, check=True)
    assert "mirror.git" in marker.read_text(), "git by itself would have run them"


def stuck_ssh(tmp_path: Path, home: dict[str, str]) -> dict[str, str]:
    """An ssh that never answers, with a child of its own that ignores TERM and says who it is."""
    script = tmp_path / "ssh"
    script.write_text(f"#!/bin/sh\n(trap '' TERM; echo $$ > {tmp_path}/pid; sleep 1000 & sleep 1000) &\nsleep 1000\n")
    script.chmod(0o755)
    return home | {"GIT_SSH_COMMAND": str(script)}


def written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


def running(name: str) -> list[str]:
    listed = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if name in line and "ps -wweo" not in line]


async def test_a_remote_that_hangs_is_left_at_the_limit(tmp_path: Path, home: dict[str, str]) -> None:
    """With everything git had started."""
    limit = timedelta(seconds=1)
    mirror = Mirror(
        tmp_path / "mirror.git", "ssh://nowhere.invalid/x", git_timeout=limit, environment=stuck_ssh(tmp_path, home)
    )
    with pytest.raises(Unavailable, match="took longer than 1 s") as caught:
        await mirror.poll([MAIN])
    assert caught.value.retry_after > timedelta(0)
    assert running(str(tmp_path / "ssh")) == []
    mirror.close()


async def test_a_cancelled_call_leaves_nothing_running(tmp_path: Path, home: dict[str, str]) -> None:
    mirror = Mirror(tmp_path / "mirror.git", "ssh://nowhere.invalid/x", environment=stuck_ssh(tmp_path, home))
    call = asyncio.create_task(mirror.poll([MAIN]))
    async with asyncio.timeout(20):
        while not written(tmp_path / "pid"):
            await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert running(str(tmp_path / "ssh")) == []
    mirror.close()


async def test_a_call_cancelled_while_git_starts_leaves_nothing_running(tmp_path: Path, home: dict[str, str]) -> None:
    """Git and its ssh may be at work before this process hears that they were started."""
    mirror = Mirror(tmp_path / "mirror.git", "ssh://nowhere.invalid/x", environment=stuck_ssh(tmp_path, home))
    await mirror.open()
    call = asyncio.create_task(mirror.poll([MAIN]))
    async with asyncio.timeout(20):
        while not running(f"--git-dir={tmp_path}"):
            await asyncio.sleep(0)  # one turn of the loop at a time: git is there, this process has yet to hear of it
    deadline = time.monotonic() + 20
    while not written(tmp_path / "pid") and time.monotonic() < deadline:
        time.sleep(0.01)  # the event loop stands still meanwhile, as on a busy machine
    call.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await call
    assert written(tmp_path / "pid")
    assert running(str(tmp_path / "ssh")) == []
    mirror.close()


async def test_lock_files_of_a_killed_git_go_at_start(origin: Origin, mirror: Mirror, home: dict[str, str]) -> None:
    await mirror.fetch([MAIN])
    mirror.close()
    left = [mirror.path / "packed-refs.lock", mirror.path / "config.lock", mirror.path / f"{kept_as(MAIN)}.lock"]
    half = mirror.path / "objects" / "pack" / "tmp_pack_x"
    for path in [*left, half]:
        path.write_text("")
    again = Mirror(mirror.path, str(origin.path), environment=home)
    await again.open()
    assert [path for path in [*left, half] if path.exists()] == []
    again.close()


async def test_lock_files_stay_while_a_git_of_an_earlier_engine_lives(
    origin: Origin, mirror: Mirror, home: dict[str, str]
) -> None:
    await mirror.fetch([MAIN])
    mirror.close()
    lock = mirror.path / f"{kept_as(MAIN)}.lock"
    lock.write_text("")
    os.utime(lock, (0, 0))
    with (mirror.path.parent / "mirror.git.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as a git that inherited it does
        again = Mirror(mirror.path, str(origin.path), environment=home)
        origin.commit({"b": "b"})
        with pytest.raises(Unavailable, match="another git is at work"):
            await again.fetch([MAIN])
        assert lock.exists()
    assert (await again.fetch([MAIN]))[MAIN] == origin.git("rev-parse", "main")
    again.close()


async def test_every_git_holds_the_lock_that_says_it_lives(tmp_path: Path, home: dict[str, str]) -> None:
    """Also after the engine itself was killed: proven with a process that is."""
    environment = stuck_ssh(tmp_path, home)
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom reconciler.repository.mirror import Mirror\n"
        f"m = Mirror(Path({str(tmp_path / 'mirror.git')!r}), 'ssh://nowhere.invalid/x', environment={environment!r})\n"
        f"asyncio.run(m.poll(['{MAIN}']))\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", code], cwd=Path(mirror_module.__file__).parents[1])
    async with asyncio.timeout(30):
        while not written(tmp_path / "pid"):
            await asyncio.sleep(0.01)
    engine.kill()
    engine.wait()
    with (tmp_path / "mirror.git.lock").open() as held:
        with pytest.raises(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.killpg(os.getpgid(int((tmp_path / "pid").read_text())), signal.SIGKILL)
        async with asyncio.timeout(20):
            while True:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.01)


def damage(path: Path) -> None:
    """What a power cut does to files that were not written through: their names are there, their bytes are not."""
    for found in (path / "objects").rglob("*"):
        if found.is_file():
            found.unlink()  # not truncated in place, which would pull the ground from under who has it mapped
            found.write_bytes(b"")


@pytest.mark.parametrize("harm", ["empty objects", "no folder", "no config", "not a repository"])
async def test_a_damaged_mirror_is_made_again(harm: str, origin: Origin, mirror: Mirror) -> None:
    """Found out while running, at whatever call comes first."""
    await mirror.fetch([MAIN])
    if harm == "empty objects":
        damage(mirror.path)
    elif harm == "no folder":
        mirror.path.rename(mirror.path.with_name("gone"))
    elif harm == "no config":
        (mirror.path / "HEAD").unlink()
    else:
        (mirror.path / "config").write_text("[core\n")
    head = origin.commit({"opsconductor.yaml": "two"})

    assert await mirror.fetch([MAIN]) == {MAIN: head}
    assert Objects(mirror.path).file(head, "opsconductor.yaml") == b"two"


async def test_reading_damage_condemns_the_mirror(origin: Origin, mirror: Mirror) -> None:
    [head] = (await mirror.fetch([MAIN])).values()
    repository = mirror_module.pygit2.Repository(str(mirror.path))
    tree = repository.TreeBuilder()
    tree.insert("sub", repository.TreeBuilder().write(), mirror_module.pygit2.enums.FileMode.TREE)
    us = mirror_module.pygit2.Signature("x", "x@x")
    loose = str(repository.create_commit(None, us, us, "m", tree.write(), []))
    damage(mirror.path)
    objects = Objects(mirror.path)
    with pytest.raises(Unavailable, match="damaged"):
        objects.snapshot(loose)
    await mirror.fetch([MAIN])
    assert list(objects.snapshot(str(head)).files) == ["opsconductor.yaml"]


async def test_half_a_pack_does_not_stay(tmp_path: Path, home: dict[str, str]) -> None:
    """A fetch that broke off, for want of room perhaps, gives back what it took."""
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\necho 'ssh: connect to host x port 22: Connection refused' >&2\nexit 255\n")
    script.chmod(0o755)
    environment = home | {"GIT_SSH_COMMAND": str(script)}
    mirror = Mirror(tmp_path / "mirror.git", "ssh://nowhere.invalid/x", environment=environment)
    await mirror.open()
    half = mirror.path / "objects" / "pack" / "tmp_pack_x"
    young = mirror.path / "refs" / "young.lock"  # pygit2 may be at work
    half.write_text("x")
    young.write_text("")
    with pytest.raises(Unavailable, match="Connection refused"):
        await mirror.fetch([MAIN])
    assert not half.exists()
    assert young.exists()
    mirror.close()


async def test_a_full_disk_is_no_damage(mirror: Mirror) -> None:
    await mirror.open()
    with pytest.raises(Unavailable, match="No space left"), intact(mirror.path):
        raise mirror_module.pygit2.GitError("failed to write chunk: No space left on device")
    assert (mirror.path / MARK).exists()


async def test_packs_do_not_pile_up(origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_MANY_PACKS", 3)
    for number in range(6):
        origin.commit({"n": str(number)})
        await mirror.fetch([MAIN])
    assert len(list(mirror.path.glob("objects/pack/*.pack"))) <= 4


async def test_after_a_power_cut_the_mirror_is_made_again_and_keeps_what_is_whole(
    origin: Origin, mirror: Mirror, home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects that were not written through lie there empty, and git would take them for present for ever."""
    [good] = (await mirror.fetch([MAIN])).values()
    mirror.keep("last-good", str(good))
    origin.commit({"opsconductor.yaml": "rewritten"}, after="")
    head = (await mirror.fetch([MAIN]))[MAIN]
    mirror.close()
    tree = origin.git("rev-parse", f"{head}^{{tree}}")
    loose = mirror.path / "objects" / tree[:2] / tree[2:]
    loose.parent.mkdir(exist_ok=True)
    loose.unlink(missing_ok=True)
    loose.write_bytes(b"")
    (tmp_path / "boot").write_text("another start\n")
    monkeypatch.setattr("reconciler.repository.mirrorfolder._BOOT_ID", tmp_path / "boot")

    again = Mirror(mirror.path, str(origin.path), environment=home)

    assert (await again.fetch([MAIN]))[MAIN] == head
    objects = Objects(again.path)
    assert objects.file(str(head), "opsconductor.yaml") == b"rewritten"
    assert again.kept("last-good") == good
    assert objects.file(str(good), "opsconductor.yaml") == b"one"
    again.close()


async def test_cut_off_while_being_made_again(origin: Origin, mirror: Mirror, home: dict[str, str]) -> None:
    """Between the two renames, and before the new one was complete."""
    [head] = (await mirror.fetch([MAIN])).values()
    mirror.keep("last-good", str(head))
    mirror.close()
    new, old = mirror.path.with_name("mirror.git.new"), mirror.path.with_name("mirror.git.old")

    mirror.path.rename(new)  # complete, and in no place
    again = Mirror(mirror.path, str(origin.path), environment=home)
    await again.open()
    assert again.kept("last-good") == head
    again.close()

    mirror.path.rename(old)  # the new one has only begun
    new.mkdir()
    again = Mirror(mirror.path, str(origin.path), environment=home)
    await again.open()
    assert again.kept("last-good") == head
    assert not new.exists()
    assert not old.exists()
    again.close()


async def test_a_damaged_source_is_told_and_not_fetched_over_and_over(origin: Origin, mirror: Mirror) -> None:
    damage(origin.path)
    with pytest.raises((Refused, Unavailable)) as caught:
        await mirror.fetch([MAIN])
    assert str(origin.path) in str(caught.value)
    inode = mirror.path.stat().st_ino
    with pytest.raises((Refused, Unavailable)):
        await mirror.fetch([MAIN])
    assert mirror.path.stat().st_ino == inode


async def test_another_source_in_the_same_folder_starts_anew(
    origin: Origin, mirror: Mirror, home: dict[str, str], tmp_path: Path
) -> None:
    await mirror.fetch([MAIN])
    mirror.close()
    other = Origin(tmp_path / "other.git")
    head = other.commit({"other": "x"})
    again = Mirror(mirror.path, str(other.path), environment=home)
    assert await again.fetch([MAIN]) == {MAIN: head}
    assert not Objects(again.path).has(origin.git("rev-parse", "main"))
    again.close()


async def test_objects_that_git_refuses_do_not_come_in(origin: Origin, mirror: Mirror) -> None:
    """A tree with an entry `.git` would write hooks into a checkout; fetch.fsckObjects stops it at the door."""
    blob = origin.git("rev-parse", "main:opsconductor.yaml")
    raw = b"100644 .git\0" + bytes.fromhex(blob)
    done = subprocess.run(
        ["git", "-C", origin.path, "hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
        input=raw, check=True, capture_output=True,
    )  # fmt: skip
    tree = done.stdout.decode().strip()
    commit = origin.git("-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-m", "bad", tree)
    origin.git("update-ref", MAIN, commit)
    with pytest.raises(Refused, match="git's checks refuse"):
        await mirror.fetch([MAIN])


async def test_tidying_packs_what_lies_loose(origin: Origin, mirror: Mirror) -> None:
    await mirror.fetch([MAIN])
    repository = mirror_module.pygit2.Repository(str(mirror.path))
    for number in range(300):
        repository.create_blob(b"%d" % number)
    await mirror.tidy()
    assert len(list((mirror.path / "objects").glob("??/*"))) < 20
    await mirror.tidy(deep=True)  # what is young stays, whether a ref reaches it or not
    assert repository.get(mirror_module.pygit2.hash(b"7")) is not None


@pytest.mark.parametrize("ref", ["--upload-pack=touch x", "main", "refs/heads/a..b", "refs/heads/a b"])
async def test_what_is_no_ref_is_never_given_to_git(ref: str, mirror: Mirror) -> None:
    for call in (mirror.poll([ref]), mirror.fetch([ref]), mirror.push("0" * 40, ref, None)):
        with pytest.raises(Refused, match="no full ref name"):
            await call
