"""Every way to a credential is asked about by the check, by the plan of a run, and by `impact`."""

from dataclasses import replace

import pytest

from engine.catalog import Catalog
from engine.changes.impact import impact
from engine.compile import compile_files
from engine.members import Members
from engine.reach import jumps, reached_through
from engine.runs.planning import Planned, plan_inline, plan_run, ways
from engine.runs.refused import PlanRefused
from engine.vendored import file_of, vendored
from schemas.act import InlineJob
from schemas.credential import Credential
from schemas.reader import read
from schemas.target import Target
from tests.catalogs import HEAD, PROJECT
from tests.libraries import library, lock
from tests.planned import HOST_KEY

POOL = "kind: RunnerPool\nmetadata: {name: dmz}\n"
INNER = ", pools: [dmz]"
OTHERS = ", allowedFor: {matchLabels: {team: other}}"


def secret(name: str, kind: str, rest: str = "") -> str:
    return f"kind: Credential\nmetadata: {{name: {name}}}\nspec: {{type: {kind}, from: {{file: {name}}}{rest}}}\n"


def target(name: str, ssh: str, more: str = "", rest: str = "") -> str:
    ssh = f"{{hostKeys: ['{HOST_KEY}']{ssh}}}"
    return f"kind: Target\nmetadata: {{name: {name}}}\nspec: {{host: h, connections: {{ssh: {ssh}{more}}}{rest}}}\n"


LIBRARY = library(
    "acme",
    {"plain": "  steps: [{run: 'true'}]\n", "windows": "  steps: [{uses: winrm.exec, with: {run: '1'}}]\n"},
)
HTTP = ", http: {baseUrl: 'https://a.example', credentialRef: key}"
WINRM = ", winrm: {scheme: https, transport: basic, credentialRef: key}"
HOP = target("gate", ", credentialRef: key")
BECOME = target("far", ", become: {user: root, credentialRef: key}")
PLUGGED = target("far", "", ", plugins: {acme.door: {credentialRef: key}}")
STEP = "plugins: {acme: {version: '1', steps: {acme.go: {description: Goes there.}}}}\n"
TRUE = "[{run: 'true'}]"
BELOW = "[{uses: http.request, with: {url: /items}}]"

WAYS = [
    ("logs in", "ssh", (target("far", ", credentialRef: key"),), TRUE),
    ("jumps", "ssh", (target("far", ", jump: gate"), HOP), TRUE),
    ("jumps twice", "ssh", (target("far", ", jump: mid"), target("mid", ", jump: gate"), HOP), TRUE),
    ("becomes what the connection says", "password", (BECOME,), TRUE),
    ("becomes what the step says", "password", (BECOME,), "[{run: 'true', become: root}]"),
    ("becomes by the step", "password", (target("far", ""),), "[{run: a, become: {user: b, credentialRef: key}}]"),
    ("by a secret", "password", (target("far", ""),), "[{run: a, env: {A: '${{ secrets.key.password }}'}}]"),
    ("below a baseUrl", "token", (target("far", "", HTTP),), BELOW),
    ("named connection", "password", (target("far", "", WINRM),), "[{run: '1', shell: powershell, connection: winrm}]"),
    ("a plug-in's connection", "generic", (PLUGGED,), "[{run: 'true', connection: acme.door}]"),
    ("a plug-in's step", "ssh", (target("far", ", jump: gate"), HOP), "[{uses: acme.go}]"),
    ("a library's script", "ssh", (target("far", ", jump: gate"), HOP), "[{uses: acme/plain@1}]"),
    ("a library's connection", "password", (target("far", "", WINRM),), "[{uses: acme/windows@1}]"),
]


def compiled(kind: str, rest: str, targets: tuple[str, ...], steps: str) -> tuple[set[str], Catalog | None]:
    """The codes of the errors, and the catalog of a valid tree."""
    job = f"kind: Job\nmetadata: {{name: j}}\nspec: {{targets: {{names: [far]}}, steps: {steps}}}\n"
    documents = (POOL, secret("key", kind, rest), job, *targets)
    files = [read(PROJECT.encode(), "opsconductor.yaml")]
    files += [read((HEAD + text).encode(), f"definitions/{n}.yaml") for n, text in enumerate(documents)]
    held = vendored([file_of(path, text.encode()) for path, text in LIBRARY.items()], (lock(LIBRARY) + STEP).encode())
    found = compile_files("", files, libraries=held)
    return {one.code for one in found.findings if one.severity == "error"}, found.catalog


@pytest.mark.parametrize(("kind", "targets", "steps"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
@pytest.mark.parametrize(("rest", "code", "why"), [(INNER, "OC603", "pool 'default'"), (OTHERS, "OC604", "labels")])
def test_a_credential_that_a_job_may_not_have_is_refused_by_whatever_way_it_is_reached(
    kind: str, targets: tuple[str, ...], steps: str, rest: str, code: str, why: str
) -> None:
    free, catalog = compiled(kind, "", targets, steps)
    assert catalog is not None, free
    job = catalog.jobs["j"]
    planned = plan_run(catalog, job, params={})
    assert isinstance(planned, Planned) and "key" in planned.spec.credentials, planned
    assert [way.credential for way in ways(catalog, job)] == ["key"]
    assert "Job/j" in {one.identity for one in impact(catalog, "Credential", "key") or ()}

    assert compiled(kind, rest, targets, steps)[0] == {code}
    # Nobody but the check stood between: a run is refused by the same rule, and is found to touch it.
    narrowed = _narrowed(catalog, kind, rest)
    refused = plan_run(narrowed, job, params={})
    assert isinstance(refused, PlanRefused) and refused.reason == "notAllowed" and why in refused.message
    inline = plan_inline(narrowed, "ask", InlineJob(steps=job.spec.steps, targets=job.spec.targets))
    assert isinstance(inline, PlanRefused) and inline.reason == "notAllowed"
    assert "Job/j" in {one.identity for one in impact(narrowed, "Credential", "key") or ()}


def _narrowed(catalog: Catalog, kind: str, rest: str) -> Catalog:
    """The same tree with a credential that fewer may have."""
    (authored,) = read((HEAD + secret("key", kind, rest)).encode(), "definitions/key.yaml").documents
    assert isinstance(authored.document, Credential)
    return replace(catalog, credentials={"key": authored.document})


def test_a_jump_is_told_with_its_stations() -> None:
    _, catalog = compiled("ssh", "", *WAYS[2][2:])
    assert catalog is not None
    (way,) = [one.way for one in impact(catalog, "Credential", "key") or () if one.identity == "Job/j"]
    assert [link.held for link in way] == ["Target/far", "Target/mid", "Target/gate", "Credential/key"]


def test_who_is_reached_through_a_target_is_who_jumps_there() -> None:
    def to(name: str, hop: str | None) -> Target:
        (authored,) = read((HEAD + target(name, f", jump: {hop}" if hop else "")).encode(), "t.yaml").documents
        assert isinstance(authored.document, Target)
        return authored.document

    known = {name: to(name, hop) for name, hop in {"a": "b", "b": "c", "c": None, "d": "b", "e": "gone"}.items()}
    found = reached_through(known, Members(known, {}))
    assert {hop: set(names) for hop, names in found.items()} == {
        hop: {name for name, one in known.items() if hop in {on.name for on in jumps(one, known)}} for hop in ("b", "c")
    }
