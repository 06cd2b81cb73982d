"""Pairs of trees for tests of plans, compiled from YAML as users write it."""

from datetime import timedelta

from hypothesis import strategies as st

from engine.changes.plan import Plan, plan
from engine.compile import Compiled, compile_files
from schemas.quantities import parse_instant
from schemas.reader import read
from tests.catalogs import HEAD, PROJECT

NOW = parse_instant("2026-03-28T00:00:00Z")
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINAKzgxQceimQMNXmbzKNLq0z00/5rIqAFi0NLe3CVVq"


def tree(*documents: str, project: str = PROJECT) -> Compiled:
    """A tree, valid or not. Each document is given without its apiVersion line."""
    files = [read(project.encode(), "opsconductor.yaml")]
    files += [read((HEAD + text).encode(), f"definitions/{n}.yaml") for n, text in enumerate(documents)]
    return compile_files("", files)


def planned(base: Compiled, head: Compiled, *, start: str = "2026-03-28T00:00:00Z", hours: int = 24) -> Plan:
    return plan(base, head, parse_instant(start), timedelta(hours=hours), names=("b" * 40, "c" * 40))


def ssh_target(name: str, credential: str, labels: str = "{}") -> str:
    return (
        f"kind: Target\nmetadata: {{name: {name}, labels: {labels}}}\nspec:\n  host: {name}.example\n"
        f"  connections: {{ssh: {{credentialRef: {credential}, hostKeys: ['{HOST_KEY}']}}}}\n"
    )


def credential(name: str, rest: str = "") -> str:
    return f"kind: Credential\nmetadata: {{name: {name}}}\nspec: {{type: ssh, from: {{file: {name}}}{rest}}}\n"


def schedule(name: str, job: str, when: str, metadata: str = "") -> str:
    return f"kind: Schedule\nmetadata: {{name: {name}{metadata}}}\nspec: {{jobRef: {job}, {when}}}\n"


def job(name: str, targets: str, metadata: str = "", steps: str = "[{run: 'true'}]") -> str:
    return f"kind: Job\nmetadata: {{name: {name}{metadata}}}\nspec: {{targets: {targets}, steps: {steps}}}\n"


# --- any tree ---

LABELS = ("{role: web}", "{role: db}", "{}")
TARGETS = ("a", "b", "c")
JOBS = ("one", "two")
SCHEDULES = ("s", "t", "u")
times = st.sampled_from(
    [
        'cron: "30 2 * * *", timeZone: Europe/Berlin',
        'cron: "30 2 * * *", timeZone: Europe/Berlin, dst: {gap: skip, fold: second}',
        'cron: "*/40 1-4 * * *", timeZone: Europe/Berlin, dst: {fold: both}',
        'cron: "0 12 1 * *", timeZone: UTC',
        "every: 7h",
        "every: 90m, startAt: 2026-06-01T01:00:00Z",
        "at: 2026-06-01T12:00:00Z",
        "at: 2026-05-31T00:00:00Z",
    ]
)
holds = st.sampled_from(
    ["", "", "", ", jitter: 5m", ", suspend: true", ", suspend: {until: 2026-06-01T10:00:00Z}", ", limit: {names: [a]}"]
)
selections = st.sampled_from(
    ["{selector: {matchLabels: {role: web}}}", "{names: [a, b]}", "{groups: [g]}", "{exclude: {names: [a]}}"]
)
windows = st.sampled_from(
    [
        "effect: deny, cron: '0 2 * * *', duration: 90m, timeZone: Europe/Berlin",
        "effect: deny, cron: '0 * * * *', duration: 20m, timeZone: UTC, requests: deny, blocked: defer",
        "effect: allow, cron: '0 8 * * *', duration: 14h, timeZone: Europe/Berlin",
        "effect: deny, from: 2026-06-01T00:00:00Z, until: 2026-06-01T12:30:00Z, requests: deny",
    ]
)
concerned = st.sampled_from(
    ["", ", jobs: {names: [one]}", ", targets: {groups: [g]}", ", targets: {selector: {matchLabels: {role: web}}}"]
)


@st.composite
def document_sets(draw: st.DrawFn) -> tuple[str, ...]:
    """The documents of a valid tree: few, and different in what a plan looks at."""
    documents = [credential("key"), credential("other")]
    names = draw(st.lists(st.sampled_from(TARGETS), unique=True))
    for name in sorted({*names, "a", "b"}):
        documents.append(ssh_target(name, draw(st.sampled_from(["key", "other"])), draw(st.sampled_from(LABELS))))
    members = draw(st.sampled_from(["{selector: {matchLabels: {role: db}}}", "{names: [b]}", "{names: [a]}"]))
    documents.append(f"kind: TargetGroup\nmetadata: {{name: g}}\nspec: {members}\n")
    documents += [job(name, draw(selections)) for name in JOBS]
    documents += [
        schedule(name, draw(st.sampled_from(JOBS)), draw(times) + draw(holds))
        for name in draw(st.lists(st.sampled_from(SCHEDULES), unique=True))
    ]
    documents += [
        f"kind: Window\nmetadata: {{name: w{number}}}\nspec: {{{draw(windows)}{draw(concerned)}}}\n"
        for number in range(draw(st.sampled_from([0, 0, 1, 2])))
    ]
    documents += [
        f"kind: RunRequest\nmetadata: {{name: ask-{name}}}\nspec: {{jobRef: {name}}}\n"
        for name in draw(st.lists(st.sampled_from(JOBS), unique=True))
    ]
    return tuple(documents)


def trees() -> st.SearchStrategy[Compiled]:
    """Valid trees of such documents."""
    return document_sets().map(lambda documents: tree(*documents))
