"""Changes: the commits that were looked at, what each changed, whether it came into force and why not."""

from typing import Any

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.status.readmodel import sync_file
from engine.status.yamltext import stamp
from journal import commits
from journal.commits import Caused, Judged
from opsconductor.dashboard.definitions import address
from opsconductor.dashboard.pages.page import Asked, Page, number_of
from opsconductor.dashboard.sources import Data, Sources

_A_PAGE = 25
_RUNS = 2000


async def load(sources: Sources, asked: Asked) -> Data:
    """The commits that were looked at, newest first, a page of them."""
    number, catalog = number_of(asked.query, "page", 1), sources.engine.catalog
    after = min((number - 1) * _A_PAGE, commits.KEPT)
    found, more = await sources.journal.read(lambda conn: _commits(conn, catalog, after))
    view = sources.engine.sync()
    sync = sync_file(view)["status"]
    waits = {one["commit"]: dict(one) for one in view.to_approve if "request" not in one}
    for one in found:
        one["waits"] = waits.get(one["commit"])
        one["words"] = "waits for approvals" if one["waits"] else one["words"]
    return {
        "at": stamp(sources.clock.now()),
        "sentence": _sentence(sync),
        "sync": sync,
        "page": number,
        "more": more,
        "runsAmong": _RUNS,
        "commits": found,
    }


PAGE = Page(
    "/sync", "sync", load, name="Changes",
    asks={"page": "From 1 on."}, gives=("sentence", "sync", "page", "more", "runsAmong", "commits"),
)  # fmt: skip


def _commits(conn: Connection, catalog: Catalog | None, after: int) -> tuple[list[Data], bool]:
    found = commits.recent(conn, _A_PAGE + 1, after)
    heard = (
        [] if catalog is None else [n for n, one in catalog.triggers.items() if one.spec.event.definitions is not None]
    )
    caused, runs = commits.caused(conn, heard), commits.runs_on(conn, _RUNS)
    shown = [_commit(one, caused.get(one.commit, ()), runs.get(one.commit, 0), catalog) for one in found[:_A_PAGE]]
    return shown, len(found) > _A_PAGE


def _commit(judged: Judged, caused: tuple[Caused, ...], runs: int, catalog: Catalog | None) -> Data:
    detail = dict(judged.detail)
    return {
        "commit": judged.commit,
        "at": stamp(judged.at),
        "verdict": judged.verdict,
        "words": _words(judged),
        **detail,
        "changes": _changes(detail.get("changes"), catalog),
        "caused": [
            {"trigger": one.trigger, "state": one.state, "run": one.run, "reason": one.reason} for one in caused
        ],
        "runs": runs,
    }


def _changes(found: Any, catalog: Catalog | None) -> Data | None:
    if not isinstance(found, dict):
        return None
    return {what: {"count": one["count"], "documents": _named(one["names"], catalog)} for what, one in found.items()}


def _named(identities: list[str], catalog: Catalog | None) -> list[Data]:
    there = catalog.origin if catalog is not None else {}
    return [
        {"document": identity, "href": address(*identity.split("/", 1)) if identity in there else None}
        for identity in identities
    ]


def _words(judged: Judged) -> str:
    """What came of it, in a few words."""
    detail = judged.detail
    match judged.verdict:
        case "accepted":
            by_name = ", as somebody named it with 'accept'" if detail.get("byName") else ""
            return f"in force{by_name}"
        case "rejected":
            return f"rejected: {detail.get('errors', 0)} error{'' if detail.get('errors') == 1 else 's'}"
        case "frozen":
            return f"not looked into: {detail.get('reason') or 'history was rewritten'}"


def _sentence(sync: Data) -> str:
    applied, observed = sync.get("appliedCommit"), sync.get("observedCommit")
    if not applied:
        return "No commit is in force yet."
    if observed and observed != applied:
        return f"Commit {observed[:12]} is not in force: {applied[:12]} keeps running."
    return f"Commit {applied[:12]} is in force, the newest that was seen."
