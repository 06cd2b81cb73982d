"""What waits for somebody's word, as the status branch says: gates of workflows, a change, requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from opsconductor.acts import GATE_DIGITS

if TYPE_CHECKING:
    from opsconductor.status import StatusReader
    from schemas.envelope import Model

COLUMNS = ("GATE", "OF", "NODE", "APPROVED", "UNTIL", "THEN")
WIDE = ("ASKED BY", "MAY DECIDE")


def listed(status: "StatusReader | None") -> list[dict[str, Any]]:
    """All of it as documents, `metadata.name` being the digest that an Approval names and `status.toApprove` the
    command: `Gate` as it stands in `gates/`, `WaitingChange` and `WaitingRequest` as `sync.yaml` tells of them.

    What somebody has rejected waits for nobody any more.
    """
    if status is None:
        return []
    change, requests = asked_for(status)
    every = [change, *requests] if change is not None else requests
    asked = [_document(one) for one in every if not _rejected(one)]
    return [*map(_with_command, gates(status)), *map(_with_command, asked)]


def asked_for(status: "StatusReader") -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The change and the requests that wait, as `sync.yaml` tells of them.

    Others may write the branch: what is not as an engine writes it is left out.
    """
    from schemas.status import WaitingChange, WaitingRequest  # slow to import, and most commands need none of it

    said = (status.read("sync.yaml") or {}).get("status")
    change, requests = (said.get("change"), said.get("requests")) if isinstance(said, dict) else (None, None)
    every = requests if isinstance(requests, list) else []
    found = [dict(one) for one in every if _is_a(WaitingRequest, one)]
    return (dict(change) if isinstance(change, dict) and _is_a(WaitingChange, change) else None, found)


def gates(status: "StatusReader") -> Iterator[dict[str, Any]]:
    """The gates that wait, those that are as an engine writes them."""
    from schemas.status import Gate

    return (gate for gate in status.each("gates") if _is_a(Gate, gate))


def answered(status: "StatusReader", name: str) -> dict[str, Any] | None:
    """The answer to a request, where it has one."""
    from schemas.status import RequestStatus

    found = status.read(f"requests/{name}.yaml") if name and "/" not in name else None
    return found if found is not None and _is_a(RequestStatus, found) else None


def applied_commit(status: "StatusReader") -> str | None:
    """The commit in force, 40 hexadecimal digits; None where none ever was."""
    said = (status.read("sync.yaml") or {}).get("status")
    applied = said.get("appliedCommit") if isinstance(said, dict) else None
    return applied if isinstance(applied, str) else None


@dataclass(frozen=True, slots=True)
class Decided:
    """A gate that waits for nobody any more, as the Run file of its workflow tells. `votes` as in a Gate, oldest first.

    `how` is in words, such as "was approved", and `at` since when.
    """

    digest: str
    gate: str
    run: str
    how: str
    at: str
    votes: tuple[Mapping[str, Any], ...]


def decided(status: "StatusReader", digits: str) -> list[Decided]:
    """The gates whose digest begins so and that do not wait any more, of the newest runs on the branch."""
    found: dict[str, Decided] = {}
    for run in status.runs_with(f"sha256:{digits}"):
        nodes = run.get("status", {}).get("nodes")
        for name, node in nodes.items() if isinstance(nodes, dict) else ():
            gate = node.get("gate") if isinstance(node, dict) else None
            digest = str(gate.get("digest")) if isinstance(gate, dict) else ""
            if digest.startswith(f"sha256:{digits}") and node.get("finishedAt") is not None:
                found.setdefault(digest, _decided(digest, str(name), str(run["metadata"]["name"]), node))
    return list(found.values())


def _decided(digest: str, name: str, run: str, node: Mapping[str, Any]) -> Decided:
    votes = node["gate"].get("votes")
    said = tuple(vote for vote in votes if isinstance(vote, dict)) if isinstance(votes, list) else ()
    state = str(node.get("state"))
    rejected = state == "failed" and any(vote.get("decision") == "reject" for vote in said)
    how = "was rejected" if rejected else "was approved" if state == "succeeded" else f"is {state}"
    if not rejected and state != "succeeded" and node.get("reason"):
        how += f", {node['reason']},"
    return Decided(digest, name, run, how, str(node["finishedAt"]), said)


def _is_a(model: "type[Model]", value: Any) -> bool:
    """Whether it has all that the model has; a later version may write more."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return all(one["type"] == "extra_forbidden" for one in error.errors())
    return True


def short(item: Mapping[str, Any]) -> str:
    """The beginning of what an Approval names: enough for `approve`."""
    return str(item["metadata"]["name"]).removeprefix("sha256:")[:GATE_DIGITS]


def name_of(item: Mapping[str, Any]) -> str:
    """What it is, in a few words."""
    spec = item["spec"]
    if item["kind"] == "WaitingChange":
        return f"commit {str(spec['commit'])[:GATE_DIGITS]}"
    return f"request {spec['request']}" if item["kind"] == "WaitingRequest" else str(spec.get("run"))


def row(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of `COLUMNS` and `WIDE`."""
    cells = _row_of_gate(item) if item["kind"] == "Gate" else _row_of_asked(item)
    return (short(item), name_of(item), *cells)


def _row_of_gate(item: Mapping[str, Any]) -> Iterator[str]:
    spec, votes = item["spec"], item.get("status", {}).get("votes") or []
    allowed = (*(spec.get("users") or ()), *(f"team {team}" for team in spec.get("teams") or ()))
    yield str(spec.get("gate"))
    yield f"{sum(vote.get('decision') == 'approve' for vote in votes)} of {spec.get('count', 1)}"
    yield str(spec.get("expiresAt"))
    yield ", ".join(str(node.get("job")) for node in spec.get("next") or ())
    yield str(spec.get("requestedBy") or "")
    yield ", ".join(allowed) or "anybody"


def _row_of_asked(item: Mapping[str, Any]) -> Iterator[str]:
    spec = item["spec"]
    wants = spec.get("wants") or ()
    documents = [str(name) for want in wants for name in want["documents"]]
    yield "-"
    yield ", ".join(f"{len(want.get('given') or ())} of {want['approvals']}" for want in wants)
    yield str(spec.get("expiresAt") or "-")
    yield str(spec.get("asks") or f"in force: {_some(documents)}")
    yield ", ".join(spec.get("requestedBy") or ())
    yield ", ".join(sorted({name for want in wants for name in want.get("by") or ()})) or "nobody who has not yet"


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _document(asked: Mapping[str, Any]) -> dict[str, Any]:
    spec = {key: value for key, value in asked.items() if key not in ("gate", "votes")}
    kind = "WaitingRequest" if "request" in asked else "WaitingChange"
    head = {"apiVersion": "opsconductor/v1", "kind": kind, "metadata": {"name": asked["gate"]}}
    return {**head, "spec": spec, "status": {"votes": list(asked.get("votes") or ())}}


def _with_command(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "status": {**(item.get("status") or {}), "toApprove": f"opsconductor approve {short(item)}"}}


def _rejected(asked: Mapping[str, Any]) -> bool:
    return any(vote["decision"] == "reject" for vote in asked.get("votes") or ())
