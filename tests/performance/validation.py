"""Checking a repository of ten thousand documents from nothing, and a small one, beside what people use for that."""

import asyncio
import compileall
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from schemas.publish import schema
from tests.catalogs import HEAD, PROJECT
from tests.performance.measuring import Contestant, alternating, milliseconds, times
from tests.performance.peers import Missing, environment, run
from tests.performance.table import Row, Verdict

DOCUMENTS = 10_000
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("opsconductor", "reconciler", "runners", "journal", "engine", "schemas")
_ROUNDS = 5
_SHARE = 300
"""Files that the slow peers are given; what they take for a file is the same with more."""
_PLAYBOOKS = 100
_PARSE = """
import sys, time, yaml
from pathlib import Path
files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
began = time.perf_counter()
for data in files:
    for _ in yaml.load_all(data, Loader=yaml.CSafeLoader):
        pass
print(time.perf_counter() - began)
"""
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
_CREDENTIAL = "kind: Credential\nmetadata: {name: web-key}\nspec: {type: ssh, username: ops, from: {file: web}}\n"


def _target(number: int) -> str:
    return f"""kind: Target
metadata:
  name: host-{number:05}
  description: Web server {number}
  labels:
    role: web
    env: {"prod" if number % 5 else "lab"}
    rack: r{number % 97}
    site: s{number % 11}
spec:
  host: host-{number:05}.example.org
  os: linux
  defaultConnection: ssh
  connections:
    ssh:
      port: 22
      user: ops
      credentialRef: web-key
      hostKeys:
        - {_KEY}
    http:
      baseUrl: https://host-{number:05}.example.org/
  vars:
    appDir: /srv/app
    workers: {number % 16}
    features:
      - search
      - export
  facts:
    kernel: 6.1.0-{number % 40}
    memory: {number * 7 % 64}GiB
"""


def _job(number: int) -> str:
    return f"""kind: Job
metadata:
  name: rotate-{number:05}
  description: Rotate the logs of host {number}
  labels:
    team: web
    tier: t{number % 7}
spec:
  params:
    keepDays:
      type: integer
      default: 14
      minimum: 1
  targets:
    names: [host-{number:05}]
  timeout: 40m
  env:
    LC_ALL: C
  strategy:
    maxParallel: 20
  steps:
    - id: space
      name: Space left
      run: |
        df --output=pcent /var | tail -1 | tr -dc 0-9
      outputs:
        used: "${{{{ int(stdout) }}}}"
    - id: rotate
      name: Rotate
      if: ${{{{ steps.space.outputs.used > {number % 90} }}}}
      run: |
        set -eu
        logrotate --force /etc/logrotate.d/web
        find /var/log/web -mtime +"${{{{ params.keepDays }}}}" -delete
        echo "on ${{{{ target.name }}}}"
      timeout: 10m
      env:
        APP: "${{{{ target.vars.appDir }}}}"
    - id: report
      run: echo "{number} done"
      continueOnError: true
  finally:
    - run: logger -t ops done
"""


def _playbook(number: int) -> str:
    tasks = "".join(
        f"""    - name: Task {task} of {number}
      ansible.builtin.shell: |
        df --output=pcent /var | tail -1 | tr -dc 0-9
      register: space_{task}
      when: inventory_hostname != "host-{number:05}"
      environment:
        LC_ALL: C
"""
        for task in range(6)
    )
    return f"- name: Rotate {number}\n  hosts: all\n  gather_facts: false\n  vars:\n    keep: 14\n  tasks:\n{tasks}"


def _repository(folder: Path, documents: Iterable[str]) -> Path:
    (folder / "definitions").mkdir(parents=True)
    (folder / "opsconductor.yaml").write_text(PROJECT)
    for number, document in enumerate(documents):
        (folder / "definitions" / f"{number:05}.yaml").write_text(HEAD + document)
    return folder


async def rows(folder: Path) -> list[Row]:
    for package in PACKAGES:  # as an installer does
        compileall.compile_dir(ROOT / package, quiet=1)
    half = range(DOCUMENTS // 2)
    large = _repository(folder / "large", [_CREDENTIAL, *(make(number) for number in half for make in (_target, _job))])
    small = _repository(folder / "small", [_CREDENTIAL, _target(1), _job(1)])
    return [*await _cold(large), *await _peers(folder, large), await _memory(large), *await _start_up(small)]


async def _cold(large: Path) -> list[Row]:
    async def parsed() -> float:
        code, said, complained = await run(sys.executable, "-c", _PARSE, str(large / "definitions"))
        assert code == 0, complained
        return float(said)

    taken = await alternating(_ROUNDS, {"ours": _validated(large), "parsed": parsed})
    ratio = taken.ratio("ours", "parsed")
    return [
        Row(f"{DOCUMENTS:,} documents validated, the whole command", f"{taken.of('ours'):.1f} s",
            f"parsed by PyYAML in C {taken.of('parsed'):.1f} s", times(ratio), "at most 2x", Verdict.of(ratio <= 2)),
    ]  # fmt: skip


async def _peers(folder: Path, large: Path) -> list[Row]:
    files = [str(path) for path in sorted((large / "definitions").iterdir())[:_SHARE]]
    (folder / "schema.json").write_text(json.dumps(schema()))
    playbooks = [str(folder / f"play-{number}.yaml") for number in range(_PLAYBOOKS)]
    for number, playbook in enumerate(playbooks):
        Path(playbook).write_text(_playbook(number))
    peers = {
        "schema": await _peer("check-jsonschema", "check-jsonschema", "--schemafile", f"{folder}/schema.json", *files),
        "syntax": await _peer(
            "ansible-core", "ansible-playbook", "--syntax-check", "--inventory", "localhost,", *playbooks
        ),
    }
    there = {name: peer for name, peer in peers.items() if not isinstance(peer, Missing)}
    taken = await alternating(_ROUNDS, {"ours": _validated(large), **there})
    counts = {"schema": len(files), "syntax": len(playbooks)}
    rates = {name: peer if isinstance(peer, Missing) else counts[name] / taken.of(name) for name, peer in peers.items()}
    ours = DOCUMENTS / taken.of("ours")
    return [
        _beside("files a second, beside check-jsonschema", ours, rates["schema"], 20),
        _beside("the same, beside ansible-playbook --syntax-check", ours, rates["syntax"], None),
    ]


async def _peer(package: str, program: str, *arguments: str) -> Contestant | Missing:
    programs = await environment(package, package)
    if isinstance(programs, Missing):
        return programs
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"

    async def checked() -> None:
        command = (str(programs / program), *arguments)
        code, said, complained = await run(*command, extra={"PATH": path, "LC_ALL": "C.UTF-8"})
        assert code == 0, complained or said

    return checked


def _beside(what: str, ours: float, theirs: float | Missing, goal: int | None) -> Row:
    wanted = "" if goal is None else f"at least {goal}x"
    if isinstance(theirs, Missing):
        return Row(what, f"{ours:,.0f}", theirs.reason, "", wanted, Verdict.UNMEASURED)
    ratio = ours / theirs
    verdict = Verdict.NONE if goal is None else Verdict.of(ratio >= goal)
    return Row(what, f"{ours:,.0f}", f"{theirs:,.0f}", times(ratio), wanted, verdict)


async def _memory(large: Path) -> Row:
    nothing = {**os.environ, "XDG_CACHE_HOME": os.devnull}
    process = await asyncio.create_subprocess_exec(*_command(large), env=nothing, stdout=asyncio.subprocess.DEVNULL)
    most = 0
    ended = asyncio.create_task(process.wait())
    while not ended.done():
        most = max(most, sum(map(_proportional, _family(process.pid))))
        await asyncio.wait({ended}, timeout=0.02)
    mebibytes = most / 1024
    goal = "at most 600 MB"
    return Row("memory of all its processes", f"{mebibytes:.0f} MiB", "", "", goal, Verdict.of(most * 1024 <= 600e6))


def _family(pid: int) -> list[int]:
    """A process and those it started."""
    try:
        below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [pid, *(member for child in below for member in _family(child))]


def _proportional(pid: int) -> int:
    """KiB of memory, of shared pages its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


async def _start_up(small: Path) -> list[Row]:
    """As editors and hooks ask: mostly about what is as it was, and now and then about what they have just changed."""

    async def imports() -> None:
        await run(sys.executable, "-c", "import pydantic, yaml, pygit2")

    contestants = {"ours": _validated(small), "again": _validated(small, small.with_name("cache")), "imports": imports}
    taken = await alternating(15, contestants)
    beside = f"importing pydantic, yaml, pygit2 {milliseconds(taken.of('imports'))}"
    first, again = taken.ratio("ours", "imports"), taken.ratio("again", "imports")
    return [
        Row("a repository of 4 documents validated again, nothing changed", milliseconds(taken.of("again")), beside,
            times(again), "at most 1.3x", Verdict.of(again <= 1.3)),
        Row("the same for the first time, or changed", milliseconds(taken.of("ours")), beside, times(first), "",
            Verdict.NONE),
    ]  # fmt: skip


def _validated(root: Path, cache: Path | None = None) -> Callable[[], Awaitable[None]]:
    """With an empty cache each time, where none is given."""

    async def validated() -> None:
        with tempfile.TemporaryDirectory(prefix="opsconductor-bench-") as empty:
            code, said, complained = await run(*_command(root), extra={"XDG_CACHE_HOME": str(cache or empty)})
        assert code == 0, said + complained

    return validated


def _command(root: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("opsconductor")), "validate", str(root)]
