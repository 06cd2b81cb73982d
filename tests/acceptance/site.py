"""A site: a repository of definitions, a user's home and the installed program, driven from outside only.

Nothing of the product is imported here. The program runs as a subprocess; what it did is read from git.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import watchfiles
import yaml

T = TypeVar("T")

PROGRAM = (sys.executable, "-m", "opsconductor.cli.main")
MAIN = "main"
REQUESTS = "opsconductor/requests"
STATUS = "opsconductor/status"
OPEN = {"waiting", "queued", "running"}
PATIENCE = 30.0
AT_THE_ROOT = ("opsconductor.yaml", "opsconductor.lock", "sync.yaml")

PROJECT = """
    apiVersion: opsconductor/v1
    kind: Project
    metadata: {name: acceptance}
    spec:
      interval: 1s
      defaults: {timeZone: UTC}
"""
HERE = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: here, labels: {place: loopback}}
    spec: {host: localhost, connections: {local: {}}}
"""


def job(name: str, steps: str, rest: str = "") -> str:
    """A Job on the target `here` with these steps (a YAML list), and with `rest` as further keys of its spec."""
    spec = dedent(rest).strip("\n")
    if "targets:" not in spec:
        spec = "targets: {names: [here]}\n" + spec
    body = spec.rstrip() + "\nsteps:\n" + _indented(dedent(steps).strip("\n"), 2)
    return f"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n{_indented(body, 2)}\n"


def schedule(name: str, job: str, when: str) -> str:
    """A Schedule of `job`; `when` is one or more keys of its spec in flow style, such as `every: 1s`."""
    return f"apiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: {job}, {when}}}\n"


def soon(seconds: float) -> str:
    """An instant in the near future, as `at` takes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(value: Any) -> datetime:
    """An instant of a status file, however YAML read it."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    assert isinstance(value, datetime), value
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class NothingHappened(AssertionError):  # noqa: N818 - it reads as what it says
    """What was waited for did not come."""


@dataclass
class Daemon:
    """An engine that runs."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self.err.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NothingHappened(f"the engine still runs after {timeout} s:\n{self.stderr}") from None

    def stop(self, timeout: float = PATIENCE) -> int:
        """Drain it."""
        self.signal(signal.SIGTERM)
        return self.ended(timeout)

    def kill(self) -> None:
        """As a power cut would: no word, no time. What it started must see to itself."""
        self.process.kill()
        self.process.wait()


@dataclass
class Site:
    """One repository (`source`, bare), a user's clone of it (`clone`), a home, and engines on it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    daemons: list[Daemon] = field(default_factory=list)
    own_source: Path | None = None
    within: tuple[str, ...] = ()
    """A command that runs what follows it, as `nsenter`: engines are started by it."""

    @property
    def source(self) -> Path:
        return self.own_source or self.root / "definitions.git"

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    @property
    def effects(self) -> Path:
        """A folder in which steps may leave traces."""
        return self.root / "effects"

    @property
    def secrets(self) -> Path:
        """What `from.file` may read."""
        return self.root / "secrets"

    @property
    def state(self) -> Path:
        """The state folder of this site's engines."""
        return self.root / "engine"

    # --- set-up and end ----------------------------------------------------------------------------------------------

    def prepare(self) -> "Site":
        for folder in (self.root / "home", self.effects, self.secrets):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.chmod(0o700)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {
            **kept,
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CONFIG_HOME": str(self.root / "home" / "config"),
            "OPSCONDUCTOR_STATE": str(self.state),
            "OPSCONDUCTOR_SECRET_DIR": str(self.secrets),
            "OPSCONDUCTOR_DASHBOARD": "off",
            "NO_COLOR": "1",
            "ACCEPTANCE_SITE": str(self.root),
        }
        identity = "[user]\nname = Ann\nemail = ann@example.org\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n"
        (self.root / "home" / ".gitconfig").write_text(identity)
        return self

    def create(self, files: Mapping[str, str]) -> str:
        """The bare repository with its first commit, and the clone of it. The Project is given if left out."""
        self._git(None, "init", "--quiet", "--bare", "--initial-branch", MAIN, str(self.source))
        self._git(None, "clone", "--quiet", str(self.source), str(self.clone))
        return self.commit({"opsconductor.yaml": PROJECT, **files})

    def close(self) -> None:
        """End what still runs, by process id: the engines, and whatever was started from them."""
        for pid in [*self._processes()]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for daemon in self.daemons:
            daemon.kill()

    def _processes(self) -> Iterator[int]:
        """Processes with this site's mark in their environment, and descendants of its engines."""
        mark = f"ACCEPTANCE_SITE={self.root}".encode() + b"\0"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes():
                        yield int(entry.name)
        for daemon in self.daemons:
            yield from descendants(daemon.pid)

    # --- git, as a user has it ---------------------------------------------------------------------------------------

    def _git(self, folder: Path | None, *arguments: str, data: bytes | None = None, check: bool = True) -> bytes:
        where = [] if folder is None else ["-C", str(folder)]
        done = subprocess.run(
            ["git", *where, *arguments], env=self.environment, input=data, capture_output=True, check=False, timeout=60
        )
        if check and done.returncode:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout if not done.returncode else b""

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        """Git in the repository itself."""
        return self._git(self.source, *arguments, data=data).decode(errors="replace").strip()

    def head(self, branch: str = STATUS) -> str | None:
        """The branch's commit."""
        found = self._git(self.source, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}", check=False)
        return found.decode().strip() or None

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        *,
        branch: str = MAIN,
        message: str = "change",
        parent: str | None = None,
        force: bool = False,
        by: Path | None = None,
    ) -> str:
        """Commit these files onto the branch (None removes one) and push it: the id of the commit. `by` signs it.

        A name without a folder that is not the Project's goes to `definitions/`.
        """
        tip = parent or self.head(branch)
        index = {"GIT_INDEX_FILE": str(self.root / f"index-{os.getpid()}")}
        environment = {**self.environment, **index}

        def git(*arguments: str, data: bytes | None = None) -> str:
            done = subprocess.run(
                ["git", "-C", str(self.source), *arguments],
                env=environment, input=data, capture_output=True, check=True, timeout=60,
            )  # fmt: skip
            return done.stdout.decode().strip()

        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
        git("read-tree", tip) if tip and not force else git("read-tree", "--empty")
        lines = []
        for name, text in files.items():
            path = (
                name
                if "/" in name or name in ("opsconductor.yaml", "opsconductor.lock", "sync.yaml")
                else f"definitions/{name}"
            )
            if text is None:
                lines.append(f"0 {'0' * 40}\t{path}")
                continue
            data = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
            lines.append(f"100644 {git('hash-object', '-w', '--stdin', data=data)}\t{path}")
        git("update-index", "--add", "--index-info", data=("\n".join(lines) + "\n").encode())
        parents = ["-p", tip] if tip and not force else []
        signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={by}") if by is not None else ()
        made = git(*signing, "commit-tree", git("write-tree"), *parents, *(["-S"] if by else []), "-m", message)
        # a push, as people do it: through the receiving side and its hooks
        self._git(
            self.source,
            "push",
            "--quiet",
            *(["--force"] if force else []),
            str(self.source),
            f"{made}:refs/heads/{branch}",
        )
        return made

    def request(self, name: str, spec: str, *, branch: str = REQUESTS, message: str = "request") -> str:
        """Commit a RunRequest: `spec` in flow style, such as `jobRef: hello, params: {a: 1}`."""
        path = f"requests/{name}.yaml" if branch == REQUESTS else f"definitions/requests/{name}.yaml"
        text = f"apiVersion: opsconductor/v1\nkind: RunRequest\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
        return self.commit({path: text}, branch=branch, message=message)

    def pulled(self) -> Path:
        """The clone, up to date with the definitions branch."""
        self._git(self.clone, "fetch", "--quiet", "origin")
        self._git(self.clone, "reset", "--quiet", "--hard", f"origin/{MAIN}")
        return self.clone

    # --- the program -------------------------------------------------------------------------------------------------

    def run(
        self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """One command, to its end, in the user's clone."""
        folder = cwd or (self.clone if self.clone.exists() else self.root)
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=folder, env={**self.environment, **(env or {})}, text=True, errors="replace",
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout,
        )  # fmt: skip

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints as JSON on stdout."""
        done = self.run(*arguments)
        assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def spawn(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Daemon:
        """A command that goes on."""
        number = len(self.daemons)
        out, err = self.root / f"out-{number}.log", self.root / f"err-{number}.log"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*self.within, *PROGRAM, *arguments],
                cwd=cwd or self.root, env={**self.environment, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        self.daemons.append(Daemon(process, out, err))
        return self.daemons[-1]

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Daemon:
        """An engine on the source; not awaited."""
        return self.spawn("up", str(self.source), *arguments, env=env)

    def up(self, *arguments: str, env: Mapping[str, str] | None = None) -> Daemon:
        """An engine on the source, once the newest commit is in force."""
        daemon = self.start(*arguments, env=env)
        self.in_force()
        return daemon

    def once(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """`up --once`, to its end."""
        return self.run("up", str(self.source), "--once", *arguments, cwd=self.root, env=env)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], T], *, what: str = "", timeout: float = PATIENCE) -> T:
        """Wait for something true: look at every change of the repository, and of the folder of effects."""
        deadline = time.monotonic() + timeout
        for _ in self._changes():
            if found := until():
                return found
            self._engine_lives(what)
            if time.monotonic() > deadline:
                raise NothingHappened(f"waited {timeout} s for {what or until.__name__}\n{self.story()}")
        raise AssertionError("unreachable")

    def stays(self, what: Callable[[], Any], *, seconds: float) -> None:
        """Fail as soon as something changes during this time: the only way to see that nothing happens."""
        first, deadline = what(), time.monotonic() + seconds
        for _ in self._changes():
            assert what() == first, f"{first} became {what()}\n{self.story()}"
            if time.monotonic() > deadline:
                return

    def _changes(self) -> Iterator[None]:
        yield None
        folders = [str(folder) for folder in (self._refs(), self.effects, self.root) if folder.exists()]
        for _ in watchfiles.watch(
            *folders[:2], step=10, debounce=50, rust_timeout=250, yield_on_timeout=True, watch_filter=None
        ):
            yield None

    def _refs(self) -> Path:
        work_tree = self.source / ".git"
        return (work_tree if work_tree.exists() else self.source) / "refs"

    def _engine_lives(self, what: str) -> None:
        if self.daemons and not any(daemon.running for daemon in self.daemons):
            last = self.daemons[-1]
            raise AssertionError(f"the engine ended ({last.process.returncode}), waiting for {what}:\n{last.stderr}")

    def story(self) -> str:
        """What happened so far, for a failed test."""
        errors = "".join(f"--- stderr of engine {n}\n{d.stderr[-3000:]}\n" for n, d in enumerate(self.daemons))
        sync = self.text("sync.yaml") or "no sync.yaml"
        runs = "".join(f"{run['metadata']['name']}: {run['status']['state']}\n" for run in self.runs())
        return f"{errors}--- sync.yaml\n{sync}\n--- runs\n{runs}"

    # --- what the status branch says ---------------------------------------------------------------------------------

    def tree(self, commit: str | None = None) -> dict[str, str]:
        """Every file of the status branch."""
        tip = commit or self.head()
        if tip is None:
            return {}
        with tarfile.open(fileobj=io.BytesIO(self._git(self.source, "archive", tip))) as archive:
            files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
            return {name: data.read().decode() for name, data in files.items() if data is not None}

    def text(self, path: str) -> str:
        """A file of the status branch; empty where there is none."""
        return self._git(self.source, "show", f"{STATUS}:{path}", check=False).decode()

    def status(self, path: str) -> Any:
        """The `status` of a file on the status branch; None where there is none."""
        text = self.text(path)
        return yaml.safe_load(text)["status"] if text else None

    def sync(self) -> Any:
        return self.status("sync.yaml") or {}

    def in_force(self, commit: str | None = None, *, timeout: float = PATIENCE) -> str:
        """Wait until this commit (the newest) is the active one."""
        wanted = commit or self.head(MAIN)
        assert wanted

        def applied() -> bool:
            engine = self.sync()
            return engine.get("appliedCommit") == wanted and not engine.get("engine", {}).get("closed")

        self.wait(applied, what=f"{wanted} in force", timeout=timeout)
        return wanted

    def rejected(self, commit: str, *, timeout: float = PATIENCE) -> Any:
        """Wait until this commit has been looked at and is not in force: sync.yaml's status."""

        def judged() -> Any:
            sync = self.sync()
            return sync if sync.get("observedCommit") == commit and sync["appliedCommit"] != commit else None

        return self.wait(judged, what=f"{commit} rejected", timeout=timeout)

    def runs(self, job: str | None = None) -> list[Any]:
        """All Run files, oldest first."""
        files = [yaml.safe_load(text) for path, text in sorted(self.tree().items()) if path.startswith("runs/")]
        found = [run for run in files if run.get("kind") == "Run" and "spec" in run]
        return sorted(
            (run for run in found if job is None or job in (run["spec"].get("job"), run["spec"].get("workflow"))),
            key=lambda run: str(run["status"]["queuedAt"]),
        )

    def run_file(self, name: str) -> Any:
        """The Run file of this id; None where there is none yet."""
        for path, text in self.tree().items():
            if path.endswith(f"/{name}.yaml"):
                return yaml.safe_load(text)
        return None

    def ended(self, job: str, count: int = 1, *, timeout: float = PATIENCE) -> list[Any]:
        """Wait until so many runs of this job have ended: their Run files, oldest first."""

        def enough() -> list[Any]:
            runs = [run for run in self.runs(job) if run["status"]["state"] not in OPEN]
            return runs if len(runs) >= count else []

        return self.wait(enough, what=f"{count} ended runs of {job}", timeout=timeout)

    def running(self, job: str, *, timeout: float = PATIENCE) -> Any:
        """Wait until a run of this job is shown as running."""

        def now() -> Any:
            return next((run for run in self.runs(job) if run["status"]["state"] == "running"), None)

        return self.wait(now, what=f"a running run of {job}", timeout=timeout)

    def answered(self, request: str, *states: str, timeout: float = PATIENCE) -> Any:
        """Wait for the answer to a request (one of these states; any but `accepted` by default)."""

        def answer() -> Any:
            status = self.status(f"requests/{request}.yaml")
            return status if status and status["state"] in (states or ("refused", "done")) else None

        return self.wait(answer, what=f"an answer to request {request}", timeout=timeout)

    def asked(self, name: str, spec: str, *, branch: str = REQUESTS, timeout: float = PATIENCE) -> Any:
        """Commit a request and wait for the end of its run: the Run file."""
        self.request(name, spec, branch=branch)
        answer = self.answered(name, timeout=timeout)
        assert answer["state"] == "done", answer
        return self.wait(lambda: self.run_file(answer["run"]), what=f"the file of run {answer['run']}")

    def left(self, name: str) -> list[str]:
        """The lines that steps have written to this file of the effects folder."""
        path = self.effects / name
        return path.read_text().splitlines() if path.exists() else []


def steps_of(run: Any, target: str | None = "here") -> dict[str, Any]:
    """The steps of a Run file by id, of one target."""
    status = run["status"] if target is None else run["status"]["targets"][target]
    return {step["id"]: step for step in status["steps"]}


def descendants(root: int) -> list[int]:
    """Processes below this one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, front = [], [root]
    while front:
        front = [child for parent in front for child in parents.get(parent, [])]
        found += front
    return found


def alive(pid: int) -> bool:
    """Whether this process exists and is no zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ssh_target(
    name: str, server: Any, *, credential: str = "key", host_key: str | None = None, labels: str = ""
) -> str:
    """A Target for a server of tests/openssh.py."""
    key = " ".join((host_key or server.host_key).split()[:2])
    return f"""
        apiVersion: opsconductor/v1
        kind: Target
        metadata: {{name: {name}, labels: {{{labels}}}}}
        spec:
          host: {server.host}
          connections:
            ssh: {{port: {server.port}, user: {server.user}, credentialRef: {credential}, hostKeys: [{key}]}}
    """


def credential(name: str, spec: str) -> str:
    return f"apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def files(documents: Sequence[str]) -> dict[str, str]:
    """A file for each document, by number."""
    return {f"document-{number}.yaml": text for number, text in enumerate(documents)}


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line if line.strip() else line for line in text.splitlines())


@contextlib.contextmanager
def prepared(root: Path) -> Iterator[Site]:
    """A site to begin with; what it started is ended, also where it does not get ready."""
    with contextlib.closing(Site(root).prepare()) as site:
        yield site
