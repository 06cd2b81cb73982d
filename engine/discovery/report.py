"""What came of a scan, as the DiscoveryReport on the status branch has it. Plain JSON data."""

from collections.abc import Mapping
from typing import Any

from engine.discovery.drafting import guessed
from engine.discovery.proposal import Outcome, Row, Verdict
from engine.discovery.telling import fingerprint
from schemas.quantities import format_instant

MOST = 1_000
"""Hosts of one report: it is a file that people open."""
_VERDICTS: tuple[Verdict, ...] = ("new", "changed", "same", "gone", "ignored")
_PORTS = 32


def found(outcome: Outcome, branch: str, commit: str | None, trouble: str | None = None) -> dict[str, Any]:
    """`status` of the report. `commit` is the newest of the proposal, where there is one."""
    rows = outcome.rows
    if len(rows) > MOST:
        rows = tuple(sorted(rows, key=lambda row: row.verdict in ("same", "ignored")))[:MOST]
    proposal = {"branch": branch, "commit": commit}
    if said := "; ".join(filter(None, (trouble, outcome.trouble))):
        proposal["trouble"] = said
    return {
        "run": outcome.scan.run,
        "startedAt": format_instant(outcome.scan.started_at),
        "finishedAt": format_instant(outcome.scan.finished_at),
        "addresses": outcome.scan.addresses,
        "counts": {verdict: outcome.count(verdict) for verdict in _VERDICTS},
        "hosts": [_host(row) for row in rows],
        "proposal": proposal,
    }


def _host(row: Row) -> dict[str, Any]:
    said: dict[str, Any] = {"address": row.address, "change": row.verdict, "target": row.target, "knownBy": row.by}
    if (host := row.host) is not None:
        said |= {
            "name": host.name or None,
            "mac": host.mac or None,
            "os": guessed(host),
            "ports": [{"port": one.port, "service": one.product or one.name or None} for one in host.services[:_PORTS]],
            "hostKeys": sorted(fingerprint(key) for key in host.keys),
        }
    said["notes"] = list(row.notes)
    said["lastSeen"] = None if row.last_seen is None else format_instant(row.last_seen)
    return {key: value for key, value in said.items() if value not in (None, [])}


def news(report: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What `discovery.changed` says; None where the report before said the same of what is new, changed or gone."""
    if _different(report) == (_different(before) if before is not None else []):
        return None
    counts = {key: report["counts"][key] for key in ("new", "changed", "gone")}
    return {**counts, "branch": report["proposal"]["branch"], "commit": report["proposal"]["commit"]}


def _different(report: Mapping[str, Any]) -> list[list[Any]]:
    hosts = (one for one in report["hosts"] if one["change"] in ("new", "changed", "gone"))
    return [[one["change"], one["address"], one.get("target"), one.get("notes")] for one in hosts]
