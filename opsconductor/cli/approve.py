"""`approve`, `reject`: say yes or no at a gate, after it was shown what the gate holds back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from opsconductor.acts import GATE_DIGITS, voted
from opsconductor.cli.ask import (
    Call,
    OnBranchOption,
    ReasonOption,
    TimeoutOption,
    WaitOption,
    patience_of,
    pushed,
    told,
)
from opsconductor.cli.options import BranchOption, RemoteOption, RepoOption
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable
from opsconductor.waiting import Decided, answered, applied_commit, asked_for, decided, gates, listed, name_of, short

if TYPE_CHECKING:
    from opsconductor.status import StatusReader

GateArgument = Annotated[
    str,
    typer.Argument(
        metavar="GATE",
        help="The gate: its digest or a unique beginning of it, see 'get gates'; or a commit or request that waits.",
    ),
]
_LEAST = 4
"""Letters of a commit that are its beginning."""
_MOST_DECIDED = 3
"""Gates that have been decided, and whose digests begin so, of which it is told how."""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("approve")(approve)
    app.command("reject")(reject)


def approve(
    gate: GateArgument,
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Say yes at a gate of a workflow: shows what would run, and pushes the approval. --wait: to the run's end."""
    return _said("approve", gate, Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout)))


def reject(
    gate: GateArgument,
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    on_branch: OnBranchOption = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Say no at a gate of a workflow: the gate fails, and what needs it is skipped."""
    return _said("reject", gate, Call.on(repo, remote, branch, reason, on_branch, patience_of(wait, timeout)))


def _said(decision: Literal["approve", "reject"], wanted: str, call: Call) -> int:
    status = call.workspace.status()
    change = meant_change(status, wanted)
    found = {"metadata": {"name": change["gate"]}} if change is not None else meant_gate(status, wanted)
    for line in shown(found) if change is None else shown_change(change):
        chatter(line)
    return told(pushed("Approval", decision, voted(found["metadata"]["name"], decision), call))


def meant_gate(status: "StatusReader | None", wanted: str) -> dict[str, Any]:
    """The open gate whose digest begins so. Raises UsageError where there is none, or where there are several."""
    every = listed(status)
    open_ = [one for one in every if one["kind"] == "Gate"]
    digits = wanted.lower().removeprefix("sha256:")
    found = [gate for gate in open_ if str(gate["metadata"]["name"]).removeprefix("sha256:").startswith(digits)]
    if len(found) == 1 and digits:
        return found[0]
    if status is not None and not found and len(digits) >= _LEAST and (ended := decided(status, digits)):
        what = "; ".join(map(_how_decided, ended[:_MOST_DECIDED]))
        raise UsageError(f"{what}; what came of it: opsconductor describe run {ended[0].run}")
    if status is not None and (past := _in_the_past(status, wanted, digits)) is not None:
        raise UsageError(past)
    if not every:
        raise UsageError("no gate waits for anybody, as far as the status branch says; look again in some seconds")
    what = f"{wanted!r} is the beginning of {len(found)} gates" if found else f"no open gate begins with {wanted!r}"
    raise UsageError(f"{what}; there are: {'; '.join(map(_in_a_word, found or every))}")


def _in_the_past(status: "StatusReader", wanted: str, digits: str) -> str | None:
    """What became of the request, or the commit, that is meant, where it waits for nobody any more."""
    if (answer := answered(status, wanted)) is not None:
        said = answer["status"]
        why = ": ".join(str(said[key]) for key in ("reason", "message") if said.get(key))
        of = f"; what came of it: opsconductor describe run {said['run']}" if said.get("run") else ""
        return printable(f"request {wanted} is {said['state']}{f' ({why})' if why else ''}{of}")
    applied = applied_commit(status)
    if applied is not None and _begins(applied, digits):
        return f"commit {applied[:12]} is in force: it waits for nobody any more"
    return None


def _how_decided(one: Decided) -> str:
    """How a gate that waits for nobody any more has ended, who said what, and when."""
    said = [
        f"{vote.get('by')} said {vote.get('decision')} at {vote.get('at')}"
        + (f" ({vote['reason']})" if vote.get("reason") else "")
        for vote in one.votes
    ]
    what = f"gate {one.digest.removeprefix('sha256:')[:GATE_DIGITS]} ({one.gate} of {one.run})"
    return printable(f"{what} {one.how} at {one.at}: {', '.join(said) or 'nobody had said anything'}")


def _in_a_word(item: dict[str, Any]) -> str:
    of = f"{item['spec']['workflow']}, {item['spec']['gate']}" if item["kind"] == "Gate" else name_of(item)
    return f"{short(item)} ({of})"


def meant_change(status: "StatusReader | None", wanted: str) -> dict[str, Any] | None:
    """The change that waits for approvals, where the text is the beginning of its commit or of its digest; or the
    request that does, by its name or the beginning of its digest. Raises UsageError where it may be another as well."""
    change, requests = asked_for(status) if status is not None else (None, [])
    if named := [one for one in requests if one["request"] == wanted]:
        return named[0]
    digits = wanted.lower().removeprefix("sha256:")
    found = [one for one in requests if _begins(one["gate"], digits)]
    if change is not None and (_begins(change["gate"], digits) or _begins(change["commit"], digits)):
        found.append(change)
    if status is not None and found:
        alike = [one for one in gates(status) if _begins(one["metadata"]["name"], digits)]
        if len(found) + len(alike) > 1:
            raise UsageError(f"{wanted!r} is the beginning of several; 'opsconductor get gates' lists them")
    return found[0] if found else None


def _begins(identity: str, digits: str) -> bool:
    return len(digits) >= _LEAST and identity.removeprefix("sha256:").startswith(digits)


def shown_change(change: dict[str, Any]) -> Iterator[str]:
    """What a commit, or a request, that waits is, and who may approve it, line by line."""
    people = ", ".join(change["requestedBy"])
    if "request" in change:
        yield printable(f"request {change['request']} to {change['asks']}, by {people}")
        yield printable(f"  to see what it says: git show {change['commit'][:12]}")
    else:
        yield printable(f"commit {change['commit'][:12]} on {change['base'][:12]}, by {people}")
        ends = f"--base {change['base'][:12]} --head {change['commit'][:12]}"
        yield printable(f"  to see what it changes: opsconductor plan {ends}")
    for vote in change.get("votes") or ():
        yield printable(f"  {vote['by']} said {vote['decision']}: {vote.get('reason') or 'no reason given'}")
    for want in change["wants"]:
        documents, able = want["documents"], ", ".join(want.get("by") or ()) or "nobody who has not yet"
        more = f" and {len(documents) - 10} more" if len(documents) > 10 else ""
        count = f"{len(want.get('given') or ())} of {want['approvals']}"
        yield printable(f"  {', '.join(documents[:10])}{more}: {count} approved; may approve: {able}")


def shown(gate: dict[str, Any]) -> Iterator[str]:
    """What a gate holds back and who may decide, line by line."""
    spec, status = gate["spec"], gate["status"]
    by = f", asked for by {spec['requestedBy']}" if spec.get("requestedBy") else ""
    yield printable(f"gate {spec['gate']} of {spec['run']}{by}")
    yield printable(f"  commit {spec['commit'][:12]}, waits until {spec['expiresAt']}")
    for node in spec.get("next") or ():
        params = ", ".join(f"{name}={value!r}" for name, value in (node.get("params") or {}).items())
        targets = node.get("targets") or ()
        where = f" on {', '.join(targets[:10])}" + (f" and {len(targets) - 10} more" if len(targets) > 10 else "")
        only = f", if {node['if']}" if "if" in node else ""
        yield printable(f"  then runs: {node['id']}: {node.get('job')}({params}){where if targets else ''}{only}")
    allowed = (*(spec.get("users") or ()), *(f"team {team}" for team in spec.get("teams") or ()))
    for vote in status.get("votes") or ():
        yield printable(f"  {vote['by']} said {vote['decision']}: {vote.get('reason') or 'no reason given'}")
    count = sum(vote["decision"] == "approve" for vote in status.get("votes") or ())
    yield printable(f"  {count} of {spec['count']} approved; may decide: {', '.join(allowed) or 'anybody'}")
    if spec.get("notRequester"):
        yield "  whoever asked for the run may not approve it"
    if status.get("advisory"):
        yield "  advisory: no signatures are checked here, so nothing proves who approves"
