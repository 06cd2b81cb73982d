"""Plans of runs, kept by their content: runs of one commit on the same targets share one row."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Connection, bindparam, insert, literal, select

from engine.runs import pinned
from engine.runs.pinned import PinnedSpec
from engine.workflows import workflowplan
from engine.workflows.workflowplan import PinnedWorkflow
from journal.databases.portions import portions
from journal.databases.tables import specs

_BODY = select(specs.c.body).where(specs.c.digest == bindparam("digest"))
_THERE = select(literal(1)).where(specs.c.digest == bindparam("digest"))
_KNOWN = select(specs.c.digest).where(specs.c.digest.in_(bindparam("digests", expanding=True)))
_ADD = insert(specs)
_MOST_PLANS = 64
_plans: dict[str, PinnedSpec] = {}
"""Of the digests read last, in whatever journal: what has one digest is one plan."""


def keep(tx: Connection, spec: PinnedSpec | PinnedWorkflow) -> str:
    """Keep the plan, and give its digest."""
    body = pinned.dump(spec) if isinstance(spec, PinnedSpec) else workflowplan.dump(spec)
    digest = pinned.digest(body)
    if tx.execute(_THERE, {"digest": digest}).first() is None:
        tx.execute(_ADD, {"digest": digest, "body": body})
    return digest


def keep_all(tx: Connection, plans: Iterable[PinnedSpec]) -> list[str]:
    """Keep the plans, and give the digest of each."""
    bodies = [pinned.dump(plan) for plan in plans]
    digests = [pinned.digest(body) for body in bodies]
    new = dict(zip(digests, bodies, strict=True))
    for part in portions(tuple(new)):
        for digest in tx.execute(_KNOWN, {"digests": part}).scalars():
            del new[digest]
    if new:
        tx.execute(_ADD, [{"digest": digest, "body": body} for digest, body in new.items()])
    return digests


def load(conn: Connection, digest: str) -> PinnedSpec:
    """The plan that was kept of a job's run."""
    # By its digest: a runner that takes fifty runs of one plan need not ask for it fifty times.
    plan = _plans.get(digest)
    if plan is None:
        plan = pinned.load(_body(conn, digest))
        while len(_plans) >= _MOST_PLANS:
            _plans.pop(next(iter(_plans), ""), None)  # another thread may have made place meanwhile
        _plans[digest] = plan
    return plan


def load_workflow(conn: Connection, digest: str) -> PinnedWorkflow:
    """The plan that was kept of a workflow's run."""
    return _loaded_workflow(_body(conn, digest))


def _body(conn: Connection, digest: str) -> bytes:
    body: bytes = conn.execute(_BODY, {"digest": digest}).scalar_one()
    return body


@lru_cache(maxsize=64)
def _loaded_workflow(body: bytes) -> PinnedWorkflow:
    return workflowplan.load(body)
