"""A site: a source repository, two targets that record their own effects, and the program, to be killed at will.

Nothing here sleeps: it waits for refs to move, for files to grow, or for a process to end.
"""

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import pygit2
import yaml
from watchfiles import watch

from tests import openssh
from tests.chaos import evidence, history
from tests.chaos.history import History, Journal, Plan, Timetable
from tests.chaos.nursery import Life, Nursery

ROOT = Path(__file__).parents[2]
MAIN = "refs/heads/main"
REQUESTS = "refs/heads/opsconductor/requests"
STATUS = evidence.STATUS
CANARY = "kanarie-5f/Zq+9&vogel=gelb"
PATIENCE = 90.0
"""Seconds after which an event that did not come fails the test."""

_PEOPLE = ("Ada", "ada@example.org")

# One program for all steps: it says when it begins and when it ends, on its target, by appending one line.
_EFFECT = r"""#!/bin/sh
# usage: effect STEP SECONDS CODE
say() { printf '%s %s %s %s %s %s\n' "$(date +%s%N)" "$1" "$RUN" "$TARGET" "$2" "$ATTEMPT" >>"$EFFECTS"; }
say begin "$1"
echo "a secret that must not be seen: $CANARY"
printf %s "$CANARY" | base64 >&2
sleep "$2"
say "end:$3" "$1"
exit "$3"
"""


def plan_of(
    job: str,
    *steps: str,
    targets: Iterable[str] = ("here",),
    idempotent: Iterable[str] = (),
    skipped: Iterable[str] = (),
    failing: Iterable[str] = (),
    rescue: Iterable[str] = (),
    group: str | None = None,
) -> Plan:
    each = (frozenset(some) for some in (idempotent, skipped, failing, rescue))
    return Plan(job, tuple(targets), steps, *each, group)


BOTH = ("here", "there")
PLANS = {
    plan.job: plan
    for plan in (
        plan_of("quick", "once"),
        plan_of("pair", "once", "never", "again", "bye", targets=BOTH, idempotent={"again"}, skipped={"never"}),
        plan_of("wrong", "fails", "bye", failing={"fails"}),
        plan_of("mended", "fails", "mends", "bye", failing={"fails"}, rescue={"mends"}),
        plan_of("long", "once", "bye", targets=BOTH, group="hold"),
        plan_of("patient", "again", "bye", idempotent={"again"}, group="hold"),
        plan_of("short", "once", group="hold"),
        plan_of("eager", "once", group="hold"),
    )
}
SECONDS = {"long": 600.0, "pair": 0.2, "quick": 0.05, "patient": 3.0}
"""How long the steps of a job take; the others 0."""
JITTER = {"pair": "3s"}
"""By how much the schedule of a job spreads its starts; what is due is counted before it."""


RELEASE = {
    "jobs": {
        "first": {"jobRef": "quick"},
        "ask": {"needs": ["first"], "approval": {}},
        "each": {"jobRef": "quick", "needs": ["ask"], "forEach": {"items": ["a", "b"]}},
        "rest": {"needs": ["each"], "wait": "1s"},
        "last": {"jobRef": "wrong", "needs": ["rest"], "continueOnError": True},
        "end": {"jobRef": "quick", "needs": ["last"]},
    }
}
"""The one workflow; `history.GRAPH` says what becomes of it."""

TRIGGERS = {
    "after-wrong": {"event": {"run": {"jobs": ["wrong"], "states": ["failed"]}}, "jobRef": "mended"},
    "on-note": {"event": {"definitions": {"paths": ["definitions/note.yaml"]}}, "jobRef": "quick"},
}


@dataclass
class Daemon:
    """The program as a process. `log` is what it wrote."""

    process: subprocess.Popen[bytes] | Life
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code; negative where a signal ended it. TimeoutError when it lives on."""
        if not self.ends_within(seconds):
            raise TimeoutError(f"process {self.pid} did not end within {seconds} s:\n{self.tail()}")
        return self.process.wait()

    def ends_within(self, seconds: float) -> bool:
        """Whether it ends in this time."""
        if self.process.poll() is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                return bool(select.select([descriptor], [], [], seconds)[0])
            finally:
                os.close(descriptor)
        return True

    def send(self, number: signal.Signals) -> Self:
        os.kill(self.pid, number)
        return self

    def kill(self) -> int:
        """As a power cut would."""
        if self.alive:
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
        return self.wait()

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@dataclass
class Seen:
    """The status branch at one moment."""

    files: Mapping[str, bytes]

    def read(self, path: str) -> Any:
        data = self.files.get(path)
        return None if data is None else evidence.document(data)

    @property
    def applied(self) -> str | None:
        """The commit in force."""
        sync = self.read("sync.yaml")
        return sync["status"].get("appliedCommit") if sync else None

    @property
    def owned(self) -> bool:
        """Whether an engine that is at work has said so."""
        sync = self.read("sync.yaml")
        return bool(sync and sync["status"].get("engine") and not sync["status"]["engine"].get("closed"))

    def act(self, name: str) -> Mapping[str, Any] | None:
        found = self.read(f"requests/{name}.yaml")
        return found["status"] if found else None

    def runs(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for path in self.files:
            if path.startswith("runs/"):
                found = self.read(path)
                yield found["metadata"]["name"], found

    def open_runs(self) -> list[str]:
        return [run for run, found in self.runs() if found["status"]["state"] in ("waiting", "queued", "running")]

    def ended(self, job: str) -> int:
        return sum(1 for run, found in self.runs() if found["spec"].get("job") == job and run not in self.open_runs())


class Watched(Protocol):
    """Who must live while one waits: a process, or all those of a fleet."""

    @property
    def alive(self) -> bool: ...

    @property
    def log(self) -> Path: ...

    def wait(self, seconds: float = ...) -> int: ...

    def tail(self, lines: int = ...) -> str: ...


@dataclass
class Site:
    """Everything of one test. `notes` are copies of the journal from its moments of death.

    A `hurried` site publishes more often than the program does by itself, to spare the tests waiting.
    """

    folder: Path
    server: openssh.OpenSsh
    daemons: list[Daemon] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    notes: list[Journal] = field(default_factory=list)
    timetables: list[Timetable] = field(default_factory=list)
    hurried: bool = False
    nursery: Nursery | None = None
    """Where the program is born, but where a test puts it somewhere or has it do something else than run."""
    lost_at: datetime | None = None
    triggers: bool = False
    notes_pushed: int = 0
    until: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _project: dict[str, Any] = field(default_factory=dict)
    _started: int = 0

    def __post_init__(self) -> None:
        for place in (self.state, self.secrets, self.effects, self.folder / "home"):
            place.mkdir(parents=True)
        pygit2.init_repository(str(self.source), bare=True, initial_head="main")
        (self.secrets / "canary").write_text(CANARY)
        (self.secrets / "key").write_text(self.server.private_key)
        for secret in self.secrets.iterdir():
            secret.chmod(0o600)
        self.effect.write_text(_EFFECT)

    source = property(lambda self: self.folder / "source.git")
    state = property(lambda self: self.folder / "state")
    secrets = property(lambda self: self.folder / "secrets")
    effects = property(lambda self: self.folder / "effects")
    effect = property(lambda self: self.folder / "effect")
    store = property(lambda self: self.state / "journal.sqlite3")

    # --- the program ---

    def start(
        self,
        crash: str | None = None,
        *flags: str,
        source: str | None = None,
        state: Path | None = None,
        grace: str = "20s",
        chaos: Mapping[str, str] = MappingProxyType({}),
    ) -> Daemon:
        """Run the program, to be killed at `crash` (NAME[:N]). With `chaos` (LEASE, PRUNE_EVERY, PUBLISH_EVERY,
        SABOTAGE) by the launcher of these tests, which sets just that and then calls the program."""
        if self.hurried:
            chaos = {"PUBLISH_EVERY": "0.3", **chaos}
        module = "tests.chaos.launcher" if chaos else "opsconductor.cli.main"
        arguments = [
            "up", source or str(self.source), "--state", str(state or self.state), "--secret-dir", str(self.secrets),
            "--grace", grace, "--dashboard", "off", *flags,
        ]  # fmt: skip
        environment = {f"CHAOS_{name}": value for name, value in chaos.items()}
        if crash is not None:
            environment["OPSCONDUCTOR_CRASH_POINT"] = crash
        return self.run(module, *arguments, **environment)

    def run(self, module: str, *arguments: str, within: tuple[str, ...] = (), **environment: str) -> Daemon:
        """Start a Python module as a process of this site; `within`: the command that puts it somewhere."""
        self._started += 1
        log = self.folder / f"process-{self._started}.log"
        if self.nursery is not None and module == "tests.chaos.launcher" and not within:
            self.daemons.append(Daemon(self.nursery.born(arguments, log, self.folder / "home"), log))
            return self.daemons[-1]
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "VIRTUAL_ENV") if name in os.environ}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*within, sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**kept, "HOME": str(self.folder / "home"), "NO_COLOR": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.daemons.append(Daemon(process, log))
        return self.daemons[-1]

    def note(self) -> None:
        """Keep a copy of the journal, to see later that what was settled stayed."""
        if self.store.exists():
            self.notes.append(evidence.journal(self.store))

    def freeze_between_writes(self, daemon: Daemon) -> None:
        """Stop the process where it does not hold the store's lock, which nobody else could take then."""
        while True:
            daemon.send(signal.SIGSTOP)
            os.waitid(os.P_PID, daemon.pid, os.WSTOPPED | os.WNOWAIT)
            try:
                with contextlib.closing(sqlite3.connect(self.store, timeout=0)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                daemon.send(signal.SIGCONT)

    def forget_old_processes(self) -> None:
        """Of many dead ones the last two tell enough."""
        del self.daemons[:-2]
        del self.notes[:-2]

    def lose_the_store(self, *, drained: bool) -> None:
        """Delete the state folder's journal, as a disk that was replaced."""
        for file in self.state.glob("journal.sqlite3*"):
            file.unlink()
        self.notes.clear()
        if not drained:
            self.lost_at = datetime.now(UTC)

    def close(self) -> None:
        """End every process that is left."""
        for daemon in self.daemons:
            daemon.kill()

    # --- what people do ---

    def push(self, ref: str, files: Mapping[str, str | None], *, message: str = "a change", anew: bool = False) -> str:
        """Commit files onto a branch of the source; None removes one. The branch moves at once, as by a push.

        `anew`: its history is rewritten, and begins with this.
        """
        found = evidence.repository(self.source)
        base = None if anew else found.references.get(ref)
        index = pygit2.Index()
        if base is not None:
            index.read_tree(base.peel(pygit2.Tree))
        for path, text in files.items():
            if text is None:
                index.remove(path)
            else:
                index.add(pygit2.IndexEntry(path, found.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))
        who = pygit2.Signature(*_PEOPLE)
        parents = [] if base is None else [base.target]
        commit = found.create_commit(None, who, who, message, index.write_tree(found), parents)
        found.references.create(ref, commit, force=True)
        return str(commit)

    def define(
        self,
        *,
        every: Mapping[str, int] | None = None,
        at: Mapping[str, datetime] | None = None,
        keep: int = 200,
        triggers: bool = False,
        told: bool = False,
    ) -> str:
        """Push all definitions, with a schedule for each of these jobs; the commit."""
        self.triggers = triggers
        schedules: dict[str, dict[str, Any]] = {}
        new: list[Timetable] = []
        for job, seconds in (every or {}).items():
            # No instant of a site that was down is missed: all are caught up.
            caught = {"policy": "all", "window": "1h", "max": 100}
            schedules[f"{job}-every"] = {"jobRef": job, "every": f"{seconds}s", "catchUp": caught}
            if job in JITTER:
                schedules[f"{job}-every"]["jitter"] = JITTER[job]
            new.append(Timetable(f"{job}-every", every=timedelta(seconds=seconds)))
        for job, instant in (at or {}).items():
            schedules[f"{job}-at"] = {"jobRef": job, "at": instant.isoformat()}
            new.append(Timetable(f"{job}-at", at=instant))
        self._project = {"interval": "2s", "status": {"retention": {"runs": keep}}}
        commit = self.push(
            MAIN,
            {
                "opsconductor.yaml": _text(_document("Project", "chaos", self._project)),
                "definitions/targets.yaml": _text(*self._targets()),
                "definitions/jobs.yaml": _text(*(self._job(plan) for plan in PLANS.values())),
                "definitions/workflow.yaml": _text(_document("Workflow", "release", RELEASE)),
                **{
                    f"definitions/{name}.yaml": _text(_document("Schedule", name, spec))
                    for name, spec in schedules.items()
                },
                **{
                    f"definitions/{name}.yaml": _text(_document("Trigger", name, spec))
                    for name, spec in (TRIGGERS if triggers else {}).items()
                },
                **({"definitions/told.yaml": _text(*_TOLD)} if told else {}),
            },
            message="definitions",
        )
        known = {timetable.schedule for timetable in self.timetables}
        self.timetables += [replace(one, commit=commit) for one in new if one.schedule not in known]
        return commit

    def rename(self, job: str, name: str) -> str:
        """Push a job under another name; the commit. What began under the former one keeps that."""
        jobs = [self._job(plan) for plan in PLANS.values()]
        (renamed,) = (one for one in jobs if one["metadata"]["name"] == job)
        renamed["metadata"] = {"name": name, "previousNames": [job]}
        return self.push(MAIN, {"definitions/jobs.yaml": _text(*jobs)}, message=f"{job} is {name}")

    def push_note(self) -> str:
        """Push what one of the triggers watches for; the commit."""
        commit = self.push(MAIN, {"definitions/note.yaml": f"# {self.notes_pushed}\n"}, message="a note")
        self.notes_pushed += 1
        return commit

    def shut(self, job: str, *, until: datetime) -> str:
        """Push a window that has begun: no run of the job starts before its end; the commit."""
        spec = {
            "effect": "deny",
            "from": "2026-01-01T00:00:00Z",
            "until": until.isoformat(),
            "jobs": {"names": [job]},
            "requests": "deny",
            "blocked": "defer",
        }
        return self.push(MAIN, {"definitions/window.yaml": _text(_document("Window", "shut", spec))}, message="shut")

    def resume(self) -> str:
        """Push the schedules' return after `settle`; the commit. Their clocks begin anew."""
        self._project = {**self._project, "suspend": False}
        return self.push(MAIN, {"opsconductor.yaml": _text(_document("Project", "chaos", self._project))})

    def suspend(self) -> str:
        """Push the end of all schedules; the commit."""
        self._project = {**self._project, "suspend": True}
        return self.push(MAIN, {"opsconductor.yaml": _text(_document("Project", "chaos", self._project))})

    def ask(self, *names: str, **spec: Any) -> None:
        """Push acts that ask for the same, in one commit."""
        self.asked |= set(names)
        acts = {f"requests/{name}.yaml": _text(_document("RunRequest", name, spec)) for name in names}
        self.push(REQUESTS, acts, message=names[0])

    def approve_all(self, seen: Seen) -> None:
        """Say yes, once, at every gate that waits."""
        for path in seen.files:
            name = f"yes-{path.removeprefix('gates/')[:12]}"
            if path.startswith("gates/") and name not in self.asked:
                self.asked.add(name)
                act = _document("Approval", name, {"gate": seen.read(path)["metadata"]["name"], "decision": "approve"})
                self.push(REQUESTS, {f"requests/{name}.yaml": _text(act)}, message=name)

    def delete_branch(self, ref: str) -> None:
        evidence.repository(self.source).references.delete(ref)

    def _targets(self) -> Iterator[dict[str, Any]]:
        ssh = {
            "port": self.server.port,
            "user": self.server.user,
            "credentialRef": "key",
            "hostKeys": [self.server.host_key],
        }
        reached: dict[str, dict[str, Any]] = {
            "here": {"connections": {"local": {}}},
            "there": {"host": self.server.host, "connections": {"ssh": ssh}},
        }
        for name, spec in reached.items():
            paths = {"effect": str(self.effect), "effects": str(self.effects / f"{name}.log")}
            yield _document("Target", name, {**spec, "vars": paths})
        yield _document("Credential", "key", {"type": "ssh", "from": {"file": "key"}})
        yield _document("Credential", "canary", {"type": "generic", "from": {"file": "canary"}})

    def _job(self, plan: Plan) -> dict[str, Any]:
        steps = [self._step(plan, step) for step in plan.steps]
        spec: dict[str, Any] = {
            "targets": {"names": list(plan.targets)},
            "env": {
                "RUN": "${{ run.id }}",
                "TARGET": "${{ target.name }}",
                "ATTEMPT": "${{ run.attempt }}",
                "EFFECT": "${{ target.vars.effect }}",
                "EFFECTS": "${{ target.vars.effects }}",
                "CANARY": "${{ secrets.canary.value }}",
            },
            "steps": [step for step in steps if step["id"] not in {"bye", *plan.rescue}],
            "rescue": [step for step in steps if step["id"] in plan.rescue],
            "finally": [step for step in steps if step["id"] == "bye"],
            "concurrency": {"group": plan.slot},
        }
        if plan.job == "short":
            spec["queueTimeout"] = "1s"
        if plan.job == "eager":
            spec["concurrency"]["onConflict"] = "skip"
        return _document("Job", plan.job, spec)

    def _step(self, plan: Plan, step: str) -> dict[str, Any]:
        seconds = 0.0 if step == "bye" else SECONDS.get(plan.job, 0.0)
        code = 3 if step in plan.failing else 0
        found: dict[str, Any] = {"id": step, "run": f'exec sh "$EFFECT" {step} {seconds} {code}'}
        if step in plan.idempotent:
            found["idempotent"] = True
        if step in plan.skipped:
            found["if"] = False
        return found

    # --- waiting ---

    def seen(self) -> Seen:
        return Seen(evidence.files(evidence.repository(self.source)))

    def until_branch(self, holds: Callable[[Seen], bool], daemon: Watched, *, or_death: bool = False) -> bool:
        """Wait until the status branch is as wanted. False where the process died first, if it may."""
        return self._until(lambda: holds(self.seen()), daemon, self.source / "refs", or_death=or_death)

    def until_effect(
        self, holds: Callable[[list[history.Effect]], bool], daemon: Watched, *, or_death: bool = False
    ) -> bool:
        """Wait until the targets saw what is wanted."""
        return self._until(lambda: holds(list(evidence.effects(self.effects))), daemon, self.effects, or_death=or_death)

    def _until(self, holds: Callable[[], bool], daemon: Watched, place: Path, *, or_death: bool) -> bool:
        deadline = time.monotonic() + PATIENCE
        changes = watch(place, watch_filter=None, debounce=50, step=10, rust_timeout=300, yield_on_timeout=True)
        with contextlib.closing(changes):
            while True:
                alive = daemon.alive
                if holds():
                    return True
                if not alive:
                    if or_death:
                        return False
                    raise AssertionError(f"the process ended with {daemon.wait()}:\n{daemon.tail()}")
                if time.monotonic() > deadline:
                    said = {run: found["status"] for run, found in self.seen().runs() if run in self.seen().open_runs()}
                    acts = {name: self.seen().act(name) for name in self.asked}
                    detail = json.dumps({"open": said, "acts": acts}, default=str, indent=1)[:4000]
                    raise AssertionError(f"waited in vain; branch: {detail}\n{daemon.tail()}")
                next(changes)

    def until_log(self, words: str, daemon: Watched) -> None:
        """Until the process has said this."""
        self._until(lambda: words in daemon.log.read_text(errors="replace"), daemon, self.folder, or_death=False)

    def until_applied(self, commit: str, daemon: Watched, *, or_death: bool = False) -> bool:
        return self.until_branch(lambda seen: seen.applied == commit, daemon, or_death=or_death)

    def until_done(self, act: str, daemon: Watched) -> None:
        """Until what the act asked for has ended."""
        self.until_branch(lambda seen: (seen.act(act) or {}).get("state") == "done", daemon)

    def until_begun(self, job: str, daemon: Watched, *, or_death: bool = False) -> bool:
        """Until a step of the job has begun on all of its targets."""
        wanted = set(PLANS[job].targets)

        def begun(effects: list[history.Effect]) -> bool:
            return wanted <= {effect.target for effect in effects if effect.run.startswith(f"{job}-2")}

        return self.until_effect(begun, daemon, or_death=or_death)

    # --- the end ---

    def settle(self, daemon: Daemon) -> None:
        """Bring the site to rest: no schedule fires any more, every act is answered, every run has ended; then stop."""
        self.until_branch(lambda seen: seen.applied is not None, daemon)  # acts from before that are too old
        self.until = datetime.now(UTC)
        last = self.suspend()
        probe = f"probe-{len(self.asked)}"
        self.ask(probe, jobRef="wrong")
        cancelled: set[str] = set()

        def rests(seen: Seen) -> bool:
            self.approve_all(seen)
            for run in seen.open_runs():
                if run.startswith("long-2") and run not in cancelled:
                    cancelled.add(run)
                    self.ask(f"end-{len(self.asked)}", action="cancel", run=run)
            answered = all((seen.act(name) or {}).get("state") in ("done", "refused") for name in self.asked)
            return seen.applied == last and answered and not seen.open_runs()

        self.until_branch(rests, daemon)
        self.stop(daemon)

    def stop(self, daemon: Daemon) -> None:
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()

    def history(self) -> History:
        """All that is to be checked. Call it when nothing runs any more."""
        logs = [(daemon.log.name, daemon.log.read_bytes()) for daemon in self.daemons]
        places = dict([*evidence.everything(self.state, self.source), *logs])
        return History(
            plans=PLANS,
            timetables=tuple(self.timetables),
            effects=evidence.effects(self.effects),
            journal=self.recorded(),
            until=self.until,
            branch=evidence.branch(self.source),
            earlier=tuple(self.notes),
            asked=frozenset(self.asked),
            lost_at=self.lost_at,
            leaks=evidence.leaks(CANARY, places),
            watched={"after-wrong": ("wrong", "failed")} if self.triggers else {},
            heard=frozenset({"on-note"}) if self.triggers and self.notes_pushed else frozenset(),
        )

    def recorded(self) -> Journal:
        """What the store has."""
        return evidence.journal(self.store)

    def check(self) -> None:
        """Fail with every promise that the history breaks."""
        found = history.violations(self.history())
        if found:
            logs = "\n".join(f"--- {daemon.log.name}\n{daemon.tail(25)}" for daemon in self.daemons)
            raise AssertionError(f"{history.told(found)}\n{logs}")


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "opsconductor/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


class _Plain(yaml.SafeDumper):
    """Without anchors and aliases, which the language refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(*documents: Mapping[str, Any]) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False)


_TOLD = (
    # Nobody listens at that port: what is told waits.
    _document("NotificationChannel", "sink", {"type": "webhook", "url": "http://127.0.0.1:9/"}),
    _document("NotificationRule", "ends", {"events": ["run.succeeded", "run.failed"], "channels": ["sink"]}),
)
