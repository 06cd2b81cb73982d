"""Every document of every kind: an index, a search, and a document with what it names and who uses it."""

import asyncio
from itertools import islice

from engine.catalog import Catalog
from engine.status.yamltext import stamp
from journal import acts, uses
from journal.acts import ActRow
from opsconductor.dashboard import toact
from opsconductor.dashboard.definitions import about, address, document_of, entries, kind_called, matching, users_of
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery, number_of
from opsconductor.dashboard.sources import Data, Sources
from schemas.kinds import ACTS, MODELS, NOT_ACTED_ON

_A_PAGE = 200
_LONGEST = 200
"""Characters of a search."""
_ACTS = 1000
_VERDICTS = ("approve", "reject")


async def index(sources: Sources, asked: Asked) -> Data:
    """All kinds, each with how many documents it has; with `q` the documents of every kind that match."""
    query, number = words_of(asked), page_number(asked)
    catalog, kinds = sources.engine.catalog, await _by_kind(sources)
    counted = [
        {"kind": kind, "count": len(found), "about": about(kind), "notActedOn": NOT_ACTED_ON.get(kind)}
        for kind, found in kinds.items()
    ]
    found = matching([one for each in kinds.values() for one in each], query) if query else []
    return _head(sources, catalog) | {"q": query, "kinds": counted} | portion(found, number)


async def listed(sources: Sources, asked: Asked) -> Data | None:
    """The documents of a kind, those that match `q`."""
    kind = kind_called(asked.path["kind"])
    if kind is None:
        return None
    query, number = words_of(asked), page_number(asked)
    found = matching((await _by_kind(sources, kind))[kind], query)
    shown = {"q": query, "kind": kind, "about": about(kind), "notActedOn": NOT_ACTED_ON.get(kind)}
    return _head(sources, sources.engine.catalog) | shown | portion(found, number)


async def document(sources: Sources, asked: Asked) -> Data | None:
    """One document: its text with what it names, and who uses it."""
    kind, name, catalog = kind_called(asked.path["kind"]), asked.path["name"], sources.engine.catalog
    if kind is None:
        return None
    head = _head(sources, catalog)
    if kind in ACTS:
        found = await sources.journal.read(lambda conn: acts.seen(conn, [name]))
        return head | _act(found[name]) if name in found and _kind_of(found[name]) == kind else None
    if catalog is None:
        return None
    shown = document_of(catalog, kind, name, sources.clock.now())
    if shown is None:
        return None
    users = await asyncio.to_thread(lambda: sources.kept.impacts(catalog).of(kind, name))
    acts_ = await asyncio.to_thread(_acts, sources, catalog, name) if kind == "Schedule" else []
    opened = await _uses(sources, name) if kind == "Credential" else {"uses": [], "otherUses": []}
    return head | shown | {"usedBy": users_of(users or ()), "acts": acts_, **opened}


async def _uses(sources: Sources, name: str) -> dict[str, list[Data]]:
    """Which runs opened a credential last: where, and by which runner; and what else opens it."""
    found, steady = await sources.journal.read(lambda conn: (uses.of_credential(conn, name), uses.steady(conn, name)))
    return {
        "uses": [{"run": one.run, "target": one.target, "runner": one.runner, "at": stamp(one.at)} for one in found],
        "otherUses": [
            {"by": one.used_by, "runner": one.runner, "since": stamp(one.first), "at": stamp(one.last)}
            for one in steady
        ],
    }


def _acts(sources: Sources, catalog: Catalog, name: str) -> list[Data]:
    """What people may do about a schedule."""
    authored = catalog.origin[f"Schedule/{name}"]
    found = sources.engine.committed(catalog.commit, authored.file)
    text = None if found is None else found.decode("utf-8", "replace")
    return toact.of_schedule(catalog, name, text, sources.clock.now())


SEARCHED = {"q": "Words that must stand in the name, the description, a label (`role=web`) or the owner.",
            "page": "From 1 on."}  # fmt: skip
_LISTED = ("commit", "q", "total", "page", "pages", "documents")
PAGES = (
    Page("/kinds", "kinds", index, name="Definitions", asks=SEARCHED, gives=(*_LISTED, "kinds")),
    Page("/kinds/{kind}", "kind", listed, asks=SEARCHED, gives=(*_LISTED, "kind", "about", "notActedOn")),
    Page(
        "/kinds/{kind}/{name}", "document", document,
        gives=("commit", "kind", "name", "description", "owner", "labels", "held", "href", "file", "line",
               "notActedOn", "ownPage", "notes", "document", "lines", "graph", "steps", "usedBy", "acts", "uses",
               "otherUses"),
    ),
)  # fmt: skip


def words_of(asked: Asked) -> str:
    """What is searched for. Raises UnfitQuery."""
    query = asked.query.get("q", "").strip()
    if len(query) > _LONGEST:
        raise UnfitQuery(f"'q' has at most {_LONGEST} characters")
    return query


def page_number(asked: Asked) -> int:
    """The portion of a list that is asked for, from 1. Raises UnfitQuery."""
    return number_of(asked.query, "page", 1)


def portion(found: list[Data], number: int, size: int = _A_PAGE) -> Data:
    """A page of a list, and where in it that is."""
    pages = max(1, -(-len(found) // size))
    begin = (number - 1) * size
    return {"total": len(found), "page": number, "pages": pages, "documents": list(islice(found, begin, begin + size))}


def _head(sources: Sources, catalog: Catalog | None) -> Data:
    return {"at": stamp(sources.clock.now()), "commit": catalog.commit if catalog is not None else None}


async def _by_kind(sources: Sources, only: str | None = None) -> dict[str, list[Data]]:
    catalog = sources.engine.catalog
    wanted = list(MODELS) if only is None else [only]
    found = {kind: entries(catalog, kind) if catalog is not None else [] for kind in wanted if kind not in ACTS}
    if ACTS.intersection(wanted):
        recent = await sources.journal.read(lambda conn: acts.recent(conn, limit=_ACTS))
        found |= {kind: [_line_of(act) for act in recent if _kind_of(act) == kind] for kind in ACTS if kind in wanted}
    return {kind: found[kind] for kind in wanted}


def _kind_of(act: ActRow) -> str:
    return "Approval" if act.action in _VERDICTS else "RunRequest"


def _line_of(act: ActRow) -> Data:
    said = act.message or act.reason or ""
    return {
        "kind": _kind_of(act),
        "name": act.name,
        "description": f"{act.state}{': ' if said else ''}{said}",
        "owner": act.requested_by or "",
        "labels": {},
        "held": None,
        "href": address(_kind_of(act), act.name),
    }


def _act(act: ActRow) -> Data:
    """An act is not part of the definitions: what is known of it is its answer."""
    answer = {
        "state": act.state,
        "action": act.action,
        "run": act.run,
        "reason": act.reason,
        "message": act.message,
        "answeredAt": stamp(act.settled_at),
    }
    nothing: Data = {"file": None, "line": 1, "notActedOn": None, "ownPage": None, "notes": [], "document": {}}
    nothing |= {"lines": [], "graph": [], "steps": [], "usedBy": {"total": 0, "documents": []}, "acts": [], "uses": []}
    return _line_of(act) | nothing | {"answer": answer}
