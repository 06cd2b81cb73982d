"""What is defined: found, described, and who leans on it."""

import difflib
from collections.abc import Iterator
from typing import Any

from engine.catalog import Catalog
from engine.changes.impact import Impact
from engine.changes.impact import impact as leaning_on
from engine.leaks import shown as leaking
from opsconductor.agents import answer as a
from opsconductor.agents.answer import Data, Found, Long, NoAnswer, Tool
from opsconductor.agents.sight import Sight
from opsconductor.dashboard.definitions import document_of, entries, matching
from opsconductor.dashboard.documentlines import masked
from opsconductor.exits import UsageError
from opsconductor.kindnames import STATUS_FOLDERS, kind_named
from reconciler.repository.objects import Objects
from schemas.credential import Credential
from schemas.kinds import ACTS, MODELS
from schemas.reader import read

_USERS = 100
_TEXT = 40_000
"""Characters of a document, and of the file it stands in."""
_KINDS = tuple(kind for kind in MODELS if kind not in ACTS)


def find_documents(sight: Sight, asked: Data) -> Found:
    commit = sight.head()
    catalog, most = sight.readable(commit), asked.get("limit", 50)
    kinds = (_kind(asked["kind"]),) if "kind" in asked else _KINDS
    every = [one for kind in kinds for one in entries(catalog, kind)]
    found = matching(every, asked.get("query", ""))
    return Found({
        "commit": commit,
        "documents": [{key: one[key] for key in _LISTED} for one in found[:most]],
        "total": len(found),
    })  # fmt: skip


def describe(sight: Sight, asked: Data) -> Found:
    commit, kind, name = sight.head(), _kind(asked["kind"]), asked["name"]
    catalog = sight.readable(commit)
    found = document_of(catalog, kind, name, sight.now)
    if found is None:
        raise NoAnswer("notFound", f"there is no {kind} {name}{_near(catalog, kind, name)}")
    text, why_not = _file(sight, commit, found.get("file"))
    return Found({
        "commit": commit,
        **{key: found[key] for key in (*_LISTED, "file", "line", "notes", "notActedOn")},
        "text": Long(a.cut("\n".join(one["text"] + one["named"] for one in found["lines"]), _TEXT)),
        "fileText": None if text is None else Long(text),
        "whyNoFileText": why_not,
        "status": _status(sight, kind, name),
    })  # fmt: skip


def impact(sight: Sight, asked: Data) -> Found:
    commit, kind, name = sight.head(), _kind(asked["kind"]), asked["name"]
    compiled = sight.compiled(commit)
    found = leaning_on(sight.readable(commit), kind, name, compiled.acts)
    if found is None:
        raise NoAnswer("notFound", f"there is no {kind} {name}{_near(sight.readable(commit), kind, name)}")
    return Found({"commit": commit, "documents": [_user(one) for one in found[:_USERS]], "total": len(found)})


def may_be_shown(data: bytes, file: str) -> str | None:
    """Why the whole text of a file is kept from readers of pages and from agents; None where it is not."""
    if leaking(data).leaks:
        return "the file holds what looks like a secret in plain text"
    if file.endswith((".yaml", ".yml")):
        for one in (authored.document for authored in read(data, file).documents):
            if isinstance(one, Credential):
                return "the file holds a Credential, of which only what is said about it is shown"
            if masked(one.to_json()) != one.to_json():
                return "the file holds what looks like a secret in plain text"
    return None


def _file(sight: Sight, commit: str, path: str | None) -> tuple[str | None, str | None]:
    data = None if path is None else Objects(sight.git_dir).file(commit, path)
    if data is None or path is None:
        return None, "it is not written in a file of the repository"
    if (why_not := may_be_shown(data, path)) is not None:
        return None, why_not
    text = data.decode("utf-8", "replace")
    return (text, None) if len(text) <= _TEXT else (None, f"the file has more than {_TEXT} characters")


def _status(sight: Sight, kind: str, name: str) -> Data | None:
    """What the engine says of it, where there is such a status."""
    if kind not in STATUS_FOLDERS:
        return None
    try:
        found = (sight.status().read(f"{STATUS_FOLDERS[kind]}/{name}.yaml") or {}).get("status")
    except UsageError:
        return None
    return found if isinstance(found, dict) else None


def _kind(text: str) -> str:
    kind = kind_named(text)
    if kind not in _KINDS:
        raise NoAnswer("invalidArguments", f"{kind} is no kind of definitions; there are {', '.join(_KINDS)}")
    return kind


def _near(catalog: Catalog, kind: str, name: str) -> str:
    known = [one["name"] for one in entries(catalog, kind)]
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {len(known)}: find_documents lists them"


def _user(one: Impact) -> Data:
    kind, _, name = one.identity.partition("/")
    return {"kind": kind, "name": name, "relation": one.relation, "way": list(_way(one))}


def _way(one: Impact) -> Iterator[dict[str, Any]]:
    for link in one.way:
        yield {"document": link.holder, "field": link.field, "leadsTo": link.held}


_LISTED = ("kind", "name", "description", "owner", "labels", "held")
_KIND = {"type": "string", "maxLength": 40, "description": "Job, Target, Schedule, Workflow, ... in any spelling."}
TOOLS = (
    Tool(
        "find_documents", "Find documents", "Documents of the definitions in which every word stands: in the name, the "
        "description, the owner or a label (role=web).", find_documents,
        {"query": {"type": "string", "maxLength": 200}, "kind": _KIND, "limit": a.limit(200, 50)},
        {"commit": a.TEXT, "documents": a.ROWS, "total": a.COUNT},
    ),
    Tool(
        "describe", "One document", "A document whole, as text, with the text of its file and what the "
        "engine says of it. Secrets are masked; a Credential is shown by what is said about it.", describe,
        {"kind": _KIND, "name": a.said(a.NAME, "Its name.")},
        {"commit": a.TEXT, "kind": a.TEXT, "name": a.TEXT, "file": a.MAYBE, "text": a.TEXT, "fileText": a.MAYBE,
         "whyNoFileText": a.MAYBE, "status": {"type": ["object", "null"]}},
        needs=("kind", "name"),
    ),
    Tool(
        "impact", "Who leans on it", "What would notice if a document changed or went, and by which way.", impact,
        {"kind": _KIND, "name": a.said(a.NAME, "Its name.")},
        {"commit": a.TEXT, "documents": a.ROWS, "total": a.COUNT},
        needs=("kind", "name"),
    ),
)  # fmt: skip
