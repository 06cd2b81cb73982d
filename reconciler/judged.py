"""What came of a commit, as the journal remembers it for people: who made it, what it changes, what is wrong."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from engine.authority.trust import Signature
from engine.catalog import Catalog
from engine.status.readmodel import finding, plain
from engine.status.yamltext import stamp
from journal.commits import Judged, Judgement
from journal.errors import Refused
from reconciler.authority.trust import proof, proves
from reconciler.repository.objects import Objects
from schemas.diagnostic import Diagnostic, foremost
from schemas.reader import Authored

_FINDINGS = 50
_NAMES = 100
_LETTERS = 200


def judged(
    objects: Objects,
    commit: str,
    verdict: Judgement,
    at: datetime,
    *,
    by_name: bool = False,
    reason: str | None = None,
    findings: Iterable[Diagnostic] = (),
    catalogs: tuple[Catalog | None, Catalog] | None = None,
    signature: Signature | None = None,
) -> Judged:
    """`catalogs` are the definitions before and after, where the commit came into force; `signature` who answers."""
    found = tuple(findings)
    before, after = catalogs if catalogs is not None else (None, None)
    changes = changes_between(before.origin, after.origin) if before is not None and after is not None else None
    detail = {
        **_about(objects, commit),
        "verified": proves(signature),
        "proof": proof(signature, named=by_name) if signature is not None or by_name else None,
        "byName": by_name,
        "reason": reason,
        "errors": sum(one.severity == "error" for one in found),
        "warnings": sum(one.severity == "warning" for one in found),
        "findings": [finding(one) for one in foremost(found, _FINDINGS)],
        "changes": changes,
        "documents": len(after.origin) if after is not None else None,
    }
    return Judged(commit, at, verdict, plain(detail))


def changes_between(before: Mapping[str, Authored], after: Mapping[str, Authored]) -> dict[str, Any]:
    """Which documents differ, by identity: how many, and the first. Where and how they are written is all one."""
    added = [identity for identity in after if identity not in before]
    removed = [identity for identity in before if identity not in after]
    # What was not touched is the same object: files are read once by their content.
    both = ((identity, before[identity].document, after[identity].document) for identity in after if identity in before)
    changed = [identity for identity, was, now in both if was is not now and was != now]
    parts = {"added": added, "changed": changed, "removed": removed}
    return {name: {"count": len(found), "names": sorted(found)[:_NAMES]} for name, found in parts.items()}


def _about(objects: Objects, commit: str) -> dict[str, Any]:
    """Who made it, as it claims."""
    try:
        info = objects.commit_info(commit)
    except Refused:
        return {"author": None, "committedAt": None, "subject": None, "signed": False}
    return {
        "author": info.author[:_LETTERS],
        "committedAt": stamp(info.committed_at),
        "subject": info.message.strip().partition("\n")[0][:_LETTERS],
        "signed": info.signed,
    }
