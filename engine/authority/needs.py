"""Which permissions a change of the definitions needs, or an act, and who has them. Pure.

The one place that says so: `plan` shows what is found here before a merge, and `engine.authority.permits` judges by it
after.

A change is judged on both of its sides: the document as it was and where it stood, and as it is to be; so nothing gets
out of a rule's reach by a new label, name or file. A file that a document uses is part of it
(`engine.changes.ingredients`). Who makes a document start another, or start it otherwise, needs `run` of that one
besides (`engine.authority.starters`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from engine.authority import starters
from engine.authority.permissions import Grant, Permissions, Thing
from engine.catalog import Catalog
from engine.changes import ingredients, plan_documents
from engine.changes.ingredients import Tree
from engine.changes.plan_documents import Documents
from engine.vendored import Library
from schemas.act import Approval, RunRequest
from schemas.policy import Verb
from schemas.reader import Authored

What = Literal["added", "changed", "moved", "removed", "renamed", "uses", "file", "asked", "starts"]
"""What becomes of a document; `uses`: of a file that it uses; `file`: of a file that is no document; `starts`: of what
it makes start, by a schedule, a trigger or the graph of a workflow."""


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that a commit needs. `grants` are empty where nobody has it."""

    document: str
    """`Kind/name`: as it is to be, or what is gone; of a file that is no document its path."""
    verb: Verb
    what: What
    about: str
    """What the verb is done to: the document itself, or the job that a request or the document starts."""
    grants: tuple[Grant, ...]
    denied: tuple[str, ...] = ()
    """Policies that deny it to somebody."""
    by: str | None = None
    """The file or library that changed, where the document uses it."""
    approvers: tuple[str, ...] = ()
    """Users who may approve it, where somebody needs approvals."""


NOBODY_KNOWN: Mapping[str, Authored] = MappingProxyType({})


def of_change(
    in_force: Permissions,
    base: Tree,
    head: Tree,
    paths: Collection[str],
    *,
    in_use: Mapping[str, Authored] = NOBODY_KNOWN,
) -> tuple[Need, ...]:
    """The permissions to get from one tree to the next, by document; none where there is no Policy.

    `paths` are those that differ, of all files. Written otherwise (order, comments) is no change; moved to another file
    is one where a Policy has rules about `paths`, and none where that is the same to all of them. `in_use` are the
    documents that run at present, by identity: they stand for those that cannot be read in `base`.
    """
    if not in_force.policies:
        return ()
    before = base if base.whole else replace(base, definitions=[*base.definitions, *_unread(base, head, paths, in_use)])
    documents = plan_documents.compared(before.by_identity, head.by_identity)
    needs = [
        *_of_documents(in_force, before, head, documents),
        *_of_starters(in_force, before, head, documents),
        *_of_doubles(in_force, before, head),
        *_of_libraries(in_force, before, head),
    ]
    said = {need.document for need in needs}
    needs += _of_users(in_force, before, head, paths, frozenset(said))
    needs += _of_files(in_force, (path for path in paths if path not in before.files and path not in head.files))
    return tuple(sorted(needs, key=lambda need: (need.document, need.what, need.about)))


def _unread(base: Tree, head: Tree, paths: Collection[str], in_use: Mapping[str, Authored]) -> Iterator[Authored]:
    """Documents in use that base lacks, and that this change concerns: it brings them, or touches their files."""
    there = {authored.identity for authored in base.definitions}
    brought = {authored.identity for authored in head.definitions}
    for authored in head.definitions:
        document = authored.document
        brought.update(f"{document.kind}/{name}" for name in document.metadata.previous_names)
    touched = frozenset(paths)
    for identity, authored in in_use.items():
        if identity not in there and (identity in brought or authored.file in touched):
            yield authored


def _of_documents(in_force: Permissions, base: Tree, head: Tree, documents: Documents) -> Iterator[Need]:
    old, new = base.by_identity, head.by_identity
    renamed = {one.after: one.before for one in documents.renamed}
    changed = frozenset(documents.changed)
    for identity, authored in new.items():
        before = old.get(renamed.get(identity, identity))
        if before is authored:
            continue  # read once, from the same bytes
        what = _what(before, authored, renamed=identity in renamed, changed=identity in changed)
        if what is not None and (what != "moved" or in_force.over_paths):
            sides = (authored,) if before is None else (before, authored)
            yield _need(in_force, identity, what, map(Thing.of, sides))
    for identity in old.keys() - new.keys() - set(renamed.values()):
        yield _need(in_force, identity, "removed", (Thing.of(old[identity]),))


def _of_starters(in_force: Permissions, base: Tree, head: Tree, documents: Documents) -> Iterator[Need]:
    """What starts by a change alone would otherwise be run by whoever may change a schedule, whatever `run` says."""
    old, new = base.by_identity, head.by_identity
    former = {one.after: one.before for one in documents.renamed}
    for identity in sorted({*documents.added, *documents.changed}):
        before = old.get(former.get(identity, identity))
        for about in starters.started_anew(before.document if before is not None else None, new[identity].document):
            sides = (old.get(former.get(about, about)), new.get(about))
            things = tuple(Thing.of(side) for side in sides if side is not None) or (_unknown(about),)
            grants, denied, able = _granted(in_force, "run", things)
            yield Need(identity, "run", "starts", about, grants, denied, None, able)


def _of_doubles(in_force: Permissions, base: Tree, head: Tree) -> Iterator[Need]:
    """Documents with the identity of another: they are errors, and wait for the other to go."""
    old, new = base.doubles, head.doubles
    for authored in new:
        if not any(_same(authored, one) for one in old):
            yield _need(in_force, authored.identity, "added", (Thing.of(authored),))
    for authored in old:
        if not any(_same(authored, one) for one in new):
            yield _need(in_force, authored.identity, "removed", (Thing.of(authored),))


def _same(one: Authored, other: Authored) -> bool:
    same = one.document is other.document or not plan_documents.fields_between(one.document, other.document)
    return one.identity == other.identity and one.file == other.file and same


def _of_libraries(in_force: Permissions, base: Tree, head: Tree) -> Iterator[Need]:
    for name in _changed_libraries(base, head):
        sides = [tree.libraries[name] for tree in (base, head) if name in tree.libraries]
        what: What = "changed" if len(sides) == 2 else "added" if name in head.libraries else "removed"
        yield _need(in_force, f"StepLibrary/{name}", what, map(_thing, sides))


def _changed_libraries(base: Tree, head: Tree) -> tuple[str, ...]:
    names = sorted({*base.libraries, *head.libraries})
    return tuple(name for name in names if _digest(base, name) != _digest(head, name))


def _digest(tree: Tree, name: str) -> str | None:
    return tree.libraries[name].digest if name in tree.libraries else None


def _thing(library: Library) -> Thing:
    """A library, whose documents are all one: by what its library.yaml says of it."""
    labels = library.document.metadata.labels if library.document is not None else None
    return Thing("StepLibrary", library.name, f"libraries/{library.name}/library.yaml", labels)


def _of_users(
    in_force: Permissions, base: Tree, head: Tree, paths: Collection[str], said: frozenset[str]
) -> Iterator[Need]:
    """Documents that say what they said, and use what has changed."""
    libraries = _changed_libraries(base, head)
    plugged = base.plugged != head.plugged
    sides = [ingredients.touched(tree, paths, libraries, plugged=plugged) for tree in (base, head)]
    old, new = base.by_identity, head.by_identity
    for identity in sorted({*sides[0], *sides[1]} - said):
        things = [Thing.of(tree[identity]) for tree in (old, new) if identity in tree]
        need = _need(in_force, identity, "uses", things)
        yield replace(need, by=sides[1].get(identity) or sides[0].get(identity))


def _of_files(in_force: Permissions, files: Iterable[str]) -> Iterator[Need]:
    """Other files: what nothing uses needs nobody's leave, unless a rule over `paths` denies it."""
    for file in sorted(files):
        kept = in_force.kept_from(file)
        if kept is not None:
            yield Need(file, "change", "file", file, *kept)


def of_acts(in_force: Permissions, acts: Iterable[Authored], catalog: Catalog) -> tuple[Need, ...]:
    """The permissions that new acts need: to run or cancel a job. None where there is no Policy.

    What an act about a run or a gate needs is known where runs and gates are: by `of_act`.
    """
    if not in_force.policies:
        return ()
    return tuple(need for authored in acts if (need := of_act(in_force, authored, catalog)) is not None)


def of_act(in_force: Permissions, authored: Authored, catalog: Catalog, about: str | None = None) -> Need | None:
    """What one act needs. `about` is what the run that it names was started from, or the workflow whose gate it
    answers: `Job/x`, `Workflow/x`; `RunRequest/x` of a job within a request."""
    act = authored.document
    verb: Verb
    match act:
        case RunRequest():
            verb, about = "cancel" if act.spec.action == "cancel" else "run", _started(act) or about
        case Approval():
            verb = "approve"
        case _:
            return None
    thing = _subject(about or act.identity, catalog)
    grants, denied, able = _granted(in_force, verb, (thing,))
    waits = able if verb != "approve" else ()
    return Need(act.identity, verb, "asked", f"{thing.kind}/{thing.name}", grants, denied, None, waits)


def _subject(identity: str, catalog: Catalog) -> Thing:
    if identity in catalog.origin:
        return Thing.of(catalog.origin[identity])
    # Labels, name and file of a request are its author's to choose: no rule that asks for them may go by those.
    return _unknown(identity)


def _unknown(identity: str) -> Thing:
    kind, _, name = identity.partition("/")
    return Thing(kind, name, None, None)


def _started(request: RunRequest) -> str | None:
    spec = request.spec
    references = (("Job", spec.job_ref), ("Workflow", spec.workflow_ref), ("Discovery", spec.discovery_ref))
    return next((f"{kind}/{name}" for kind, name in references if name is not None), None)


def _need(in_force: Permissions, identity: str, what: What, things: Iterable[Thing]) -> Need:
    grants, denied, able = _granted(in_force, "change", tuple(things))
    return Need(identity, "change", what, identity, grants, denied, None, able)


def _granted(
    in_force: Permissions, verb: Verb, sides: tuple[Thing, ...]
) -> tuple[tuple[Grant, ...], tuple[str, ...], tuple[str, ...]]:
    """Who may do it, which Policies deny it to somebody, and who may approve it where somebody needs approvals."""
    grants, denied = in_force.grants(verb, sides)
    asks = any(one.approvals for grant in grants for one in grant.terms)
    return grants, denied, approvers(in_force, sides) if asks else ()


def approvers(in_force: Permissions, things: tuple[Thing, ...]) -> tuple[str, ...]:
    """Users who may approve each of the things; nobody may whose own yes would want others'."""
    grants, _ = in_force.grants("approve", things)
    able = (grant.users for grant in grants if any(not one.approvals for one in grant.terms))
    return tuple(sorted(user for users in able for user in users))


def _what(before: Authored | None, after: Authored, *, renamed: bool, changed: bool) -> What | None:
    if before is None:
        return "added"
    if renamed:
        return "renamed"
    if changed:
        return "changed"
    return "moved" if before.file != after.file else None
