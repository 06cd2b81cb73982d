"""The definitions in force as people look them up: every document of every kind, and what there is to say of one. Pure.

Credentials are shown by what is said about them, never by what they hold or where exactly it lies.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from engine.builtin import BUILT_IN
from engine.catalog import Catalog
from engine.changes.impact import Impact
from engine.checks.references import references_of
from engine.checks.scope import steps_of
from engine.reach import given_by
from engine.vendored import Library, use_of
from opsconductor.dashboard.documentlines import Path, lines, masked
from opsconductor.dashboard.sources import Data
from opsconductor.dashboard.values import took
from schemas.credential import Credential
from schemas.envelope import Document
from schemas.kinds import MODELS, NOT_ACTED_ON
from schemas.library import LibraryStep
from schemas.quantities import format_duration
from schemas.reader import Authored
from schemas.workflow import Node, Workflow

_USERS = 200
_METADATA = ("type", "username", "pools", "allowedFor", "rotateAfter", "expiresAt")
_SOURCES = {
    "file": "a file in the runner's secret folder",
    "env": "a variable of the runner",
    "vault": "a vault",
    "command": "a program of the runner",
    "plugin": "a plug-in",
}
_OWN_PAGES = {"Job": "jobs", "Workflow": "workflows", "Target": "targets"}


def address(kind: str, name: str) -> str:
    """Where a document is shown."""
    if kind == "Step":
        library, _, step = name.partition("/")
        return f"/kinds/StepLibrary/{library}#step-{step}"
    return f"/kinds/{kind}/{name}"


def kind_called(text: str) -> str | None:
    """The kind of this name, however its letters are written."""
    return next((kind for kind in MODELS if kind.lower() == text.lower()), None)


def about(kind: str) -> str:
    """A kind in a line."""
    return (MODELS[kind].__doc__ or "").strip().partition("\n")[0]


def entries(catalog: Catalog, kind: str) -> list[Data]:
    """The documents of a kind by name, each in a line. Acts are the journal's."""
    match kind:
        case "Project":
            return [_entry(catalog, kind, catalog.project.name, catalog.project)]
        case "StepLibrary":
            names = sorted({*BUILT_IN, *catalog.libraries})
            return [_library_entry(catalog, found) for name in names if (found := catalog.library(name)) is not None]
        case "Step":
            return list(_steps(catalog))
        case _:
            named = catalog.by_kind.get(kind, {})
            return [_entry(catalog, kind, name, named[name]) for name in sorted(named)]


def matching(found: list[Data], query: str) -> list[Data]:
    """Those in which each word of the query stands: in the name, the description, the owner or a label."""
    words = query.lower().split()
    return [one for one in found if all(word in _text_of(one) for word in words)] if words else found


def _text_of(entry: Data) -> str:
    labels = (f"{key}={value}" for key, value in entry["labels"].items())
    return " ".join([entry["kind"], entry["name"], entry["description"], entry["owner"], *labels]).lower()


def _entry(catalog: Catalog, kind: str, name: str, document: Document) -> Data:
    metadata = document.metadata
    return {
        "kind": kind,
        "name": name,
        "description": metadata.description,
        "owner": metadata.owner,
        "labels": dict(metadata.labels),
        "held": catalog.held.get(f"{kind}/{name}"),
        "href": address(kind, name),
    }


def _library_entry(catalog: Catalog, library: Library) -> Data:
    spec = library.document.spec if library.document is not None else None
    version = f"{spec.version}: {spec.description}" if spec is not None else "its library.yaml cannot be read"
    return {
        "kind": "StepLibrary",
        "name": library.name,
        "description": version,
        "owner": "the product" if library.name not in catalog.libraries else "",
        "labels": {},
        "held": None,
        "href": address("StepLibrary", library.name),
    }


def _steps(catalog: Catalog) -> Iterator[Data]:
    for name in sorted({*BUILT_IN, *catalog.libraries}):
        library = catalog.library(name)
        for step in sorted(library.steps) if library is not None else ():
            found = library.step(step) if library is not None else None
            if found is not None:
                yield _entry(catalog, "Step", f"{name}/{step}", found)


def document_of(catalog: Catalog, kind: str, name: str, at: datetime) -> Data | None:
    """All that is shown of a document, who uses it apart."""
    if kind == "StepLibrary":
        library = catalog.library(name)
        return None if library is None else _library(catalog, library)
    authored = catalog.origin.get(f"{kind}/{name}")
    if authored is None:
        return None
    document, span = authored.document, authored.span()
    shown = _metadata_of(document) if isinstance(document, Credential) else masked(document.to_json())
    links = {path: address(*to) for path, to in _named(catalog, authored) if _has(catalog, *to)}
    return _entry(catalog, kind, name, document) | {
        "file": span.file,
        "line": span.line,
        "notActedOn": NOT_ACTED_ON.get(kind),
        "ownPage": f"/{_OWN_PAGES[kind]}/{name}" if kind in _OWN_PAGES else None,
        "notes": list(_notes(document, at)),
        "document": shown,
        "lines": _lines(shown, links),
        "graph": _graph(catalog, document) if isinstance(document, Workflow) else [],
        "steps": [],
    }


def lines_of(document: Document) -> list[Data]:
    """A document of whatever commit as text, without what looks like a secret."""
    return _lines(masked(document.to_json()), {})


def _lines(shown: Data, links: Mapping[Path, str]) -> list[Data]:
    return [
        {"number": one.number, "text": one.text, "named": one.named, "href": one.href} for one in lines(shown, links)
    ]


def _named(catalog: Catalog, authored: Authored) -> Iterator[tuple[Path, tuple[str, str]]]:
    for reference in references_of(authored):
        yield reference.path, (reference.kind, reference.name)
    for given in given_by(authored.document):
        yield given.path, ("Credential", given.credential)
    for placed in steps_of(authored):
        if (use := use_of(placed.step.uses)) is not None:
            yield (*placed.path, "uses"), ("Step", f"{use.library}/{use.step}")
    if (owner := authored.document.metadata.owner) in catalog.users:
        yield ("metadata", "owner"), ("User", owner)


def _has(catalog: Catalog, kind: str, name: str) -> bool:
    if kind == "Step":
        library, _, step = name.partition("/")
        found = catalog.library(library)
        return found is not None and step in found.steps
    return f"{kind}/{name}" in catalog.origin


def _metadata_of(credential: Credential) -> Data:
    """What is said about a secret. Of where it is only the manner: a path or a program may tell too much."""
    whole = credential.to_json()
    spec = {key: whole["spec"][key] for key in _METADATA if key in whole["spec"]}
    return {key: whole[key] for key in ("apiVersion", "kind", "metadata")} | {"spec": spec}


def _notes(document: Document, at: datetime) -> Iterator[str]:
    """What the text alone does not say."""
    if not isinstance(document, Credential):
        return
    source = document.spec.from_
    kind = next((kind for kind in _SOURCES if source is not None and getattr(source, kind) is not None), None)
    yield f"The secret is in {_SOURCES[kind]}." if kind else "The secret is encrypted in the repository."
    if (expires := document.spec.expires_at) is not None:
        left = abs(expires - at)
        span = f"{left.days} days" if left.days > 1 else took(left.total_seconds())
        yield f"It expires in {span}." if expires > at else f"It expired {span} ago."


def _graph(catalog: Catalog, workflow: Workflow) -> list[Data]:
    return [_node(catalog, name, node) for name, node in workflow.spec.jobs.items()]


def _node(catalog: Catalog, name: str, node: Node) -> Data:
    if node.job_ref is not None:
        kind, under = "job", f"{node.job_ref}{' for each' if node.for_each is not None else ''}"
    elif node.approval is not None:
        kind, under = "gate", f"approval by {node.approval.count}"
    else:
        kind, under = "wait", f"waits {format_duration(node.wait)}" if node.wait is not None else ""
    known = node.job_ref in catalog.jobs
    return {
        "id": name,
        "kind": kind,
        "needs": list(node.needs),
        "under": under,
        "if": None if node.if_ is None else str(node.if_),
        "href": address("Job", str(node.job_ref)) if known else None,
    }


def _library(catalog: Catalog, library: Library) -> Data:
    shown = library.document.to_json() if library.document is not None else {}
    steps = ((name, library.step(name)) for name in sorted(library.steps))
    return _library_entry(catalog, library) | {
        "file": None if library.name not in catalog.libraries else f"libraries/{library.name}/library.yaml",
        "line": 1,
        "notActedOn": None,
        "ownPage": None,
        "notes": [f"Its digest is {library.digest}."],
        "document": shown,
        "lines": _lines(shown, {}),
        "graph": [],
        "steps": [_step(library.name, name, step) for name, step in steps if step is not None],
    }


def _step(library: str, name: str, step: LibraryStep) -> Data:
    spec = step.spec
    return {
        "name": name,
        "uses": f"{library}/{name}",
        "description": step.metadata.description,
        "platforms": list(spec.platforms),
        "inputs": [_input(key, schema) for key, schema in spec.inputs.items()],
        "outputs": [_input(key, schema) for key, schema in spec.results.items()],
        "examples": [
            {"description": one.description, "with": one.with_, "lines": _lines({"with": one.with_}, {})}
            for one in spec.examples
        ],
    }


def _input(name: str, schema: Mapping[str, Any]) -> Data:
    kind = schema.get("type", schema.get("enum", "any"))
    return {
        "name": name,
        "type": ", ".join(map(str, kind)) if isinstance(kind, list | tuple) else str(kind),
        "required": bool(schema.get("required")) if isinstance(schema.get("required"), bool) else False,
        "secret": bool(schema.get("secret")),
        "default": schema.get("default"),
        "description": str(schema.get("description", "")),
    }


def users_of(found: tuple[Impact, ...]) -> Data:
    """Who uses a document, by which way; at most so many, and how many there are."""
    return {"total": len(found), "documents": [_user(one) for one in found[:_USERS]]}


def _user(one: Impact) -> Data:
    kind, _, name = one.identity.partition("/")
    way = [{"document": link.holder, "field": link.field, "leadsTo": link.held} for link in one.way]
    return {"kind": kind, "name": name, "href": address(kind, name), "relation": one.relation, "way": way}
