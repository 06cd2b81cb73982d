"""Repositories of a few people with Policies, as files by path: who of them may get from one to the next."""

from engine.authority import needs, permissions
from engine.authority.needs import Need
from engine.authority.permits import Forbidden, Permitted, Verdict, Waiting, judged
from engine.authority.trust import SignedBy
from engine.changes.ingredients import Tree
from engine.compile import compile_files, included, project_to_read_by
from engine.vendored import LOCK_FILE, file_of, is_vendored, vendored
from schemas.reader import Authored, read
from tests.catalogs import HEAD, PROJECT

Files = dict[str, str]

WEB = "{subjects: [web], verbs: [change, run, cancel], objects: {selector: {matchLabels: {team: web}}}}"
ADMINS = "{subjects: [admins], verbs: [change, run, approve, cancel]}"


def doc(text: str) -> str:
    return HEAD + text


def policy(*rules: str, name: str = "p") -> str:
    return doc(f"kind: Policy\nmetadata: {{name: {name}}}\nspec: {{rules: [{', '.join(rules)}]}}\n")


def user(name: str, *teams: str) -> str:
    return doc(f"kind: User\nmetadata: {{name: {name}}}\nspec: {{teams: [{', '.join(teams)}]}}\n")


def job(name: str, steps: str = "[{run: 'true'}]", labels: str = "team: web", more: str = "") -> str:
    head = f"kind: Job\nmetadata: {{name: {name}, labels: {{{labels}}}{more}}}\n"
    return doc(f"{head}spec: {{targets: {{names: [here]}}, steps: {steps}}}\n")


HERE = doc("kind: Target\nmetadata: {name: here}\nspec: {connections: {local: {}}}\n")
FILES: Files = {
    "opsconductor.yaml": PROJECT,
    "definitions/people/ana.yaml": user("ana", "admins"),
    "definitions/people/bo.yaml": user("bo", "web"),
    "definitions/people/cy.yaml": user("cy"),
    "definitions/people/dee.yaml": user("dee", "web"),
    "definitions/policy.yaml": policy(WEB, ADMINS),
    "definitions/here.yaml": HERE,
    "definitions/web/work.yaml": job("work"),
    "definitions/db/dump.yaml": job("dump", labels="team: db"),
}
"""ana may do everything; bo and dee what is labelled `team: web`; cy nothing."""


def tree(files: Files) -> Tree:
    """What stands in the files, valid or not."""
    project = project_to_read_by(read(files["opsconductor.yaml"].encode(), "opsconductor.yaml"))
    parsed = [read(files[path].encode(), path) for path in included(files, project)]
    found = [file_of(path, text.encode()) for path, text in files.items() if is_vendored(path)]
    lock = files.get(LOCK_FILE)
    libraries = vendored(found, lock.encode() if lock is not None else None)
    return Tree.of(compile_files("", parsed, libraries=libraries))


def needed(before: Files, after: Files, *, in_use: Files | None = None) -> tuple[Need, ...]:
    """What it takes to get from one to the next; `in_use` is what runs at present."""
    base, paths = tree(before), [path for path in {**before, **after} if before.get(path) != after.get(path)]
    current: dict[str, Authored] = {one.identity: one for one in tree(in_use).definitions} if in_use is not None else {}
    return needs.of_change(permissions.among(base.definitions), base, tree(after), paths, in_use=current)


def signed(*names: str) -> list[SignedBy]:
    return [SignedBy(f"{name}@example.org", name, f"SHA256:{name}") for name in names]


def verdict(before: Files, after: Files, *who: str, approved: tuple[str, ...] = (), in_use: Files | None = None) -> str:
    """`permitted`, `waiting`, or `forbidden`."""
    found: Verdict = judged(needed(before, after, in_use=in_use), signed(*who), approved)
    match found:
        case Permitted():
            return "permitted"
        case Waiting():
            return "waiting"
        case Forbidden():
            return "forbidden"
