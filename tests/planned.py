"""Pairs of trees for tests of plans, compiled from YAML as users write it."""

from datetime import timedelta

from engine.compile import Compiled, compile_files
from engine.plan import Plan, plan
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
