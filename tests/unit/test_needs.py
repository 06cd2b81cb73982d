"""Who may make a change: attempts to get round the Policies, judged by the code that a plan shows its answers of."""

import pytest

from engine.authority import permissions
from engine.authority.needs import of_act
from engine.authority.permits import Forbidden, Waiting, digest_of, judged
from schemas.reader import read
from tests.catalogs import HEAD, PROJECT, catalog, local_target
from tests.permits import ADMINS, FILES, HERE, WEB, Files, doc, job, needed, policy, signed, user, verdict

BROKEN = "kind: Job\n\tmetadata: {}\n"
TEMPLATE = "[{uses: template, with: {source: files/motd, destination: /etc/motd}}]"
UPLOAD = "[{{uses: sftp.upload, with: {{source: '{}', destination: /srv/app}}}}]"
LIBRARY: Files = {
    "libraries/ours/library.yaml": doc("kind: StepLibrary\nmetadata: {name: ours}\nspec: {version: 1.0.0}\n"),
    "libraries/ours/steps/put.yaml": doc(
        "kind: Step\nmetadata: {name: put}\nspec:\n  inputs: {source: {type: string, required: true}}\n"
        "  steps: [{uses: sftp.upload, with: {source: '${{ inputs.source }}', destination: /srv/app}}]\n"
    ),
    "libraries/ours/steps/say.yaml": doc("kind: Step\nmetadata: {name: say}\nspec: {script: say.sh, shell: sh}\n"),
    "libraries/ours/steps/say.sh": "echo hello\n",
}
SAYS = job("say", "[{uses: ours/say@1}]", labels="team: db")
PUTS = job("put", "[{uses: ours/put@1, with: {source: files/motd}}]", labels="team: db")


def but(*gone: str, **_: str) -> Files:
    return {path: text for path, text in FILES.items() if path not in gone}


def test_only_whom_a_rule_allows_may_change_a_document() -> None:
    after = {**FILES, "definitions/web/work.yaml": job("work", "[{run: 'false'}]")}
    assert [verdict(FILES, after, who) for who in ("ana", "bo", "cy", "nobody")] == [
        "permitted", "permitted", "forbidden", "forbidden",
    ]  # fmt: skip
    assert verdict(FILES, after) == "forbidden", "nobody signed"
    assert verdict(FILES, after, "bo", "cy") == "forbidden", "all who signed together must be allowed"
    assert verdict(but("definitions/policy.yaml"), after, "cy") == "permitted", "there is no Policy"


ATTACKS: dict[str, tuple[str, Files]] = {
    "grants it to himself in the same commit": (
        "cy",
        {
            **FILES,
            "definitions/policy.yaml": policy(WEB, ADMINS, "{subjects: [cy], verbs: [change]}"),
            "definitions/web/work.yaml": job("work", "[{run: evil}]"),
        },
    ),
    "brings a policy of his own": (
        "cy",
        {**FILES, "definitions/mine.yaml": policy("{subjects: [cy], verbs: [change]}", name="mine")},
    ),
    "joins a team": ("bo", {**FILES, "definitions/people/bo.yaml": user("bo", "web", "admins")}),
    "makes a new user of a team": ("bo", {**FILES, "definitions/people/eve.yaml": user("eve", "admins")}),
    "deletes the policy": ("bo", but("definitions/policy.yaml")),
    "deletes a user": ("bo", but("definitions/people/ana.yaml")),
    "breaks the policy": ("bo", {**FILES, "definitions/policy.yaml": BROKEN}),
    "comments the policy out": ("bo", {**FILES, "definitions/policy.yaml": "# kind: Policy\n"}),
    "takes a job by another label": ("bo", {**FILES, "definitions/db/dump.yaml": job("dump")}),
    "takes a job by a rename": (
        "bo",
        {**but("definitions/db/dump.yaml"), "definitions/web/mine.yaml": job("mine", more=", previousNames: [dump]")},
    ),
    "gives a job away": ("bo", {**FILES, "definitions/web/work.yaml": job("work", labels="team: db")}),
    "removes a job that is not his": ("bo", but("definitions/db/dump.yaml")),
    "doubles a job further down": ("bo", {**FILES, "definitions/zzz.yaml": job("dump", labels="team: db")}),
    "widens what is read": (
        "bo",
        {**FILES, "opsconductor.yaml": PROJECT.replace("spec: {}", "spec: {include: ['**/*.yaml']}")},
    ),
    "narrows what is read, so that the policy is gone": (
        "bo",
        {**FILES, "opsconductor.yaml": PROJECT.replace("spec: {}", "spec: {include: ['definitions/web/*.yaml']}")},
    ),
    "turns the checks off": (
        "bo",
        {**FILES, "opsconductor.yaml": PROJECT.replace("spec: {}", "spec: {verify: {mode: none}, interval: 31s}")},
    ),
    "puts the policy where nothing is read": (
        "bo",
        {**but("definitions/policy.yaml"), "Definitions/policy.yaml": FILES["definitions/policy.yaml"]},
    ),
    "adds a target": ("bo", {**FILES, "definitions/web/there.yaml": HERE.replace("e: here", "e: t")}),
    "slips it in between what he may": (
        "bo",
        {**FILES, "definitions/web/work.yaml": job("work") + "---\n" + job("evil", labels="team: db")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_does_not_get_round_the_policies(name: str) -> None:
    who, after = ATTACKS[name]
    assert verdict(FILES, after, who) == "forbidden"
    assert verdict(FILES, after, "ana") == "permitted"


def test_what_is_read_because_of_a_wider_include_is_the_change_of_who_widens_it() -> None:
    outside = {**FILES, "elsewhere/evil.yaml": job("evil", labels="team: db")}
    assert verdict(FILES, outside, "cy") == "permitted", "nobody reads it there"
    wider = {**outside, "opsconductor.yaml": PROJECT.replace("spec: {}", "spec: {include: ['**/*.yaml']}")}
    assert {need.document: need.what for need in needed(outside, wider)} == {
        "Job/evil": "added", "Project/test": "changed",
    }  # fmt: skip
    rules = policy(WEB, ADMINS, "{subjects: [cy], verbs: [change], objects: {kinds: [Project]}}")
    outside, wider = ({**one, "definitions/policy.yaml": rules} for one in (outside, wider))
    assert verdict(outside, wider, "cy") == "forbidden", "he may change the Project, but not bring the job"


PATHS = policy(
    ADMINS,
    "{subjects: [bo], verbs: [change]}",
    "{subjects: [web], verbs: [change], effect: deny, objects: {paths: ['definitions/prod/**']}}",
)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("definitions/x.yaml", "permitted"),
        ("definitions/prod/x.yaml", "forbidden"),
        ("definitions/PROD/x.yaml", "forbidden"),
        ("definitions/ｐｒｏｄ/x.yaml", "forbidden"),
        ("definitions/prod/readme.md", "forbidden"),
        ("definitions/product/x.yaml", "permitted"),
        ("readme.md", "permitted"),
    ],
)
def test_a_rule_that_denies_paths_covers_every_file_there_however_it_is_spelled(path: str, answer: str) -> None:
    base = {**FILES, "definitions/policy.yaml": PATHS}
    assert verdict(base, {**base, path: job("new")}, "bo") == answer


def test_a_rule_that_allows_paths_means_them_as_they_are_spelled() -> None:
    rule = "{subjects: [cy], verbs: [change], objects: {paths: ['definitions/web/**']}}"
    base = {**FILES, "definitions/policy.yaml": policy(ADMINS, rule)}
    assert verdict(base, {**base, "definitions/web/new.yaml": job("new")}, "cy") == "permitted"
    assert verdict(base, {**base, "definitions/Web/new.yaml": job("new")}, "cy") == "forbidden"
    moved = {path: text for path, text in base.items() if path != "definitions/db/dump.yaml"}
    assert verdict(base, {**moved, "definitions/web/dump.yaml": base["definitions/db/dump.yaml"]}, "cy") == "forbidden"


DUMP = "definitions/db/dump.yaml"


def dump(steps: str) -> Files:
    return {DUMP: job("dump", steps, "team: db")}


USED: dict[str, tuple[Files, Files]] = {
    "a template": ({**dump(TEMPLATE), "files/motd": "a"}, {"files/motd": "b"}),
    "a file": ({**dump(UPLOAD.format("./files/motd")), "files/motd": "a"}, {"files/motd": "b"}),
    "a file of a folder": ({**dump(UPLOAD.format("files/")), "files/a/b": "a"}, {"files/a/b": "b"}),
    "a new file of a folder": (dump(UPLOAD.format("files")), {"files/new": "b"}),
    "a file that only a run knows": (dump(UPLOAD.format("files/${{ target.name }}.conf")), {"files/here.conf": "b"}),
    "a script": ({**dump("[{uses: script, with: {file: scripts/x.sh}}]"), "scripts/x.sh": "a"}, {"scripts/x.sh": "b"}),
    "a file of a rescue": (
        {**dump(f"[{{run: 'false', rescue: {TEMPLATE}}}]"), "files/motd": "a"},
        {"files/motd": "b"},
    ),
    "a library's script": ({**LIBRARY, "definitions/db/say.yaml": SAYS}, {"libraries/ours/steps/say.sh": "evil"}),
    "a new library of the name": ({"definitions/db/say.yaml": SAYS}, LIBRARY),
    "a file handed to a library": (
        {**LIBRARY, "definitions/db/put.yaml": PUTS, "files/motd": "a"},
        {"files/motd": "b"},
    ),
    "a calendar's file": (
        {
            "definitions/days.yaml": doc("kind: Calendar\nmetadata: {name: days}\nspec: {ics: days.ics}\n"),
            "days.ics": "a",
        },
        {"days.ics": "b"},
    ),
}


@pytest.mark.parametrize("name", USED)
def test_a_file_that_a_document_uses_is_part_of_it(name: str) -> None:
    more, then = USED[name]
    base = {**FILES, **more}
    found = needed(base, {**base, **then})
    assert "uses" in {need.what for need in found}
    assert verdict(base, {**base, **then}, "bo") == "forbidden"
    assert verdict(base, {**base, **then}, "ana") == "permitted"


def test_a_file_that_nothing_uses_needs_nobody() -> None:
    base = {**FILES, **LIBRARY, "definitions/db/put.yaml": PUTS, "files/motd": "a"}
    assert needed(base, {**base, "readme.md": "x", "files/other": "y"}) == ()


def test_a_refusal_says_who_could_and_because_of_what() -> None:
    more, then = USED["a library's script"]
    base = {**FILES, **more}
    refused = judged(needed(base, {**base, **then}), signed("bo"))
    assert isinstance(refused, Forbidden)
    assert refused.message == "bo may not: change Job/say (which uses libraries/ours), StepLibrary/ours: ana"


def test_who_mends_a_file_that_cannot_be_read_changes_what_was_in_it() -> None:
    """An admin's slip must not hand the documents of the file to whoever mends it."""
    slip = {**FILES, "definitions/db/dump.yaml": BROKEN}
    assert verdict(FILES, slip, "bo") == "forbidden"
    assert verdict(FILES, slip, "ana") == "permitted"
    taken = {**FILES, "definitions/db/dump.yaml": job("dump")}
    assert verdict(slip, taken, "bo", in_use=FILES) == "forbidden"
    moved = {**slip, "definitions/web/mine.yaml": job("mine", more=", previousNames: [dump]")}
    assert verdict(slip, moved, "bo", in_use=FILES) == "forbidden"
    assert verdict(slip, but("definitions/db/dump.yaml"), "bo", in_use=FILES) == "forbidden"
    other = {**slip, "definitions/web/work.yaml": job("work", "[{run: 'false'}]")}
    assert verdict(slip, other, "bo", in_use=FILES) == "permitted", "what he does not touch is not his change"


# --- what a document starts ---


def schedule(ref: str = "jobRef: dump", more: str = "every: 1h", labels: str = "team: web") -> str:
    return doc(f"kind: Schedule\nmetadata: {{name: s, labels: {{{labels}}}}}\nspec: {{{ref}, {more}}}\n")


def trigger(more: str = "", ref: str = "jobRef: dump") -> str:
    spec = f"{{event: {{definitions: {{}}}}, {ref}{more}}}"
    return doc(f"kind: Trigger\nmetadata: {{name: t, labels: {{team: web}}}}\nspec: {spec}\n")


def workflow(*nodes: str, more: str = "") -> str:
    spec = f"{{jobs: {{{', '.join(nodes)}}}{more}}}"
    return doc(f"kind: Workflow\nmetadata: {{name: w, labels: {{team: web}}}}\nspec: {spec}\n")


LAB = doc("kind: Discovery\nmetadata: {name: lab, labels: {team: db}}\nspec: {networks: [10.0.0.0/30], ports: [22]}\n")
S, T, W = (f"definitions/web/{name}.yaml" for name in "stw")
MINE, THEIRS, GATED = "mine: {jobRef: work}", "theirs: {jobRef: dump}", "theirs: {jobRef: dump, needs: [ok]}"
GATE = "ok: {approval: {teams: [admins]}}"
SLEEPS = schedule(more="every: 1h, suspend: true")
STARTS: dict[str, tuple[Files, Files]] = {
    "schedules a job that is not his": ({}, {S: schedule()}),
    "schedules a workflow that is not his": (
        {"definitions/db/w.yaml": workflow(THEIRS).replace("team: web", "team: db")},
        {S: schedule("workflowRef: w")},
    ),
    "schedules a scan that is not his": ({"definitions/db/lab.yaml": LAB}, {S: schedule("discoveryRef: lab")}),
    "schedules what is nowhere yet": ({}, {S: schedule("jobRef: later")}),
    "turns his own schedule to it": ({S: schedule("jobRef: work")}, {S: schedule()}),
    "lets it run more often": ({S: schedule()}, {S: schedule(more="every: 1s")}),
    "lets it run with other params": ({S: schedule()}, {S: schedule(more="every: 1h, params: {drop: true}")}),
    "lets it run with true in the place of 1": (
        {S: schedule(more="every: 1h, params: {drop: 1}")},
        {S: schedule(more="every: 1h, params: {drop: true}")},
    ),
    "lets it run elsewhere": ({S: schedule(more="every: 1h, limit: {names: [here]}")}, {S: schedule()}),
    "adds it suspended, and then lets it go": ({S: SLEEPS}, {S: schedule()}),
    "lets it go at an instant": (
        {S: SLEEPS},
        {S: schedule(more="every: 1h, suspend: {until: '2030-01-01T00:00:00Z'}")},
    ),
    "lets it go sooner": (
        {S: schedule(more="every: 1h, suspend: {until: '2030-01-01T00:00:00Z'}")},
        {S: schedule(more="every: 1h, suspend: {until: '2029-01-01T00:00:00Z'}")},
    ),
    "takes the place of a schedule by its name": (
        {S: schedule("jobRef: work")},
        {S: schedule().replace("name: s,", "name: s2, previousNames: [s],")},
    ),
    "sets it off by an event": ({}, {T: trigger()}),
    "sets it off with other params": ({T: trigger()}, {T: trigger(", params: {drop: true}")}),
    "makes it a node of a graph": ({}, {W: workflow(MINE, THEIRS)}),
    "adds it to a graph": ({W: workflow(MINE)}, {W: workflow(MINE, THEIRS)}),
    "takes the gate before it away": ({W: workflow(GATE, GATED)}, {W: workflow(THEIRS)}),
    "opens the gate before it": ({W: workflow(GATE, GATED)}, {W: workflow(GATE.replace("admins", "web"), GATED)}),
    "gives it other params through the graph": (
        {W: workflow(THEIRS, more=", params: {a: {type: integer, default: 1}}")},
        {W: workflow(THEIRS, more=", params: {a: {type: integer, default: 2}}")},
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_nobody_makes_run_by_a_document_what_they_may_not_run(name: str) -> None:
    more, then = STARTS[name]
    base = {**FILES, **more}
    assert verdict(base, {**base, **then}, "bo") == "forbidden"
    assert verdict(base, {**base, **then}, "ana") == "permitted"
    free = policy(ADMINS, "{subjects: [bo], verbs: [change]}", "{subjects: [bo], verbs: [run]}")
    base["definitions/policy.yaml"] = free
    assert verdict(base, {**base, **then}, "bo") == "permitted", "who may run it may"


LESS: dict[str, tuple[Files, Files]] = {
    "starts what is his": ({}, {S: schedule("jobRef: work"), T: trigger(ref="jobRef: work"), W: workflow(MINE)}),
    "suspends it": ({S: schedule()}, {S: SLEEPS}),
    "suspends it for a while": (
        {S: schedule()},
        {S: schedule(more="every: 1h, suspend: {until: '2030-01-01T00:00:00Z'}")},
    ),
    "suspends it for longer": (
        {S: schedule(more="every: 1h, suspend: {until: '2029-01-01T00:00:00Z'}")},
        {S: schedule(more="every: 1h, suspend: {until: '2030-01-01T00:00:00Z'}")},
    ),
    "changes it where it is suspended": ({S: SLEEPS}, {S: SLEEPS.replace("1h", "1s")}),
    "turns it to a job of his": ({S: schedule()}, {S: schedule("jobRef: work")}),
    "takes it out of a graph": ({W: workflow(MINE, THEIRS)}, {W: workflow(MINE)}),
    "takes his own out of a graph": (
        {W: workflow(MINE, THEIRS, more=", outputs: {o: '${{ jobs.mine.state }}'}")},
        {W: workflow(THEIRS)},
    ),
    "writes a default out": ({S: schedule()}, {S: schedule(more="every: 1h, suspend: false")}),
    "puts another label on it": ({S: schedule()}, {S: schedule(labels="team: web, tier: a")}),
    "renames it": ({S: schedule()}, {S: schedule().replace("name: s,", "name: s2, previousNames: [s],")}),
}


@pytest.mark.parametrize("name", LESS)
def test_to_let_less_start_needs_no_leave_to_run(name: str) -> None:
    more, then = LESS[name]
    base = {**FILES, **more}
    assert verdict(base, {**base, **then}, "bo") == "permitted"


def test_who_takes_a_schedule_away_needs_no_leave_to_run() -> None:
    assert verdict({**FILES, S: schedule(), T: trigger(), W: workflow(THEIRS)}, FILES, "bo") == "permitted"


def test_a_job_is_no_other_by_what_the_commit_says_of_it() -> None:
    """Both sides of what is started count, too: no label, double or new name makes it one's own."""
    rules = policy(ADMINS, "{subjects: [bo], verbs: [change]}", WEB)
    base = {**FILES, "definitions/policy.yaml": rules}
    renamed = {path: text for path, text in base.items() if path != DUMP}
    moved = {**renamed, "definitions/web/d.yaml": job("mine", more=", previousNames: [dump]")}
    for after in (
        {**base, DUMP: job("dump"), S: schedule()},
        {**base, "definitions/aaa.yaml": job("dump"), S: schedule()},
        {**moved, S: schedule("jobRef: mine")},
    ):
        assert verdict(base, after, "bo") == "forbidden"
    own = {**base, "definitions/web/new.yaml": job("new"), S: schedule("jobRef: new")}
    assert verdict(base, own, "bo") == "permitted", "a new job is what the commit says"


def test_a_plan_says_what_a_change_starts() -> None:
    found = needed(FILES, {**FILES, S: schedule()})
    assert [(need.document, need.verb, need.what, need.about) for need in found] == [
        ("Schedule/s", "change", "added", "Schedule/s"),
        ("Schedule/s", "run", "starts", "Job/dump"),
    ]
    refused = judged(found, signed("bo"))
    assert isinstance(refused, Forbidden)
    assert refused.message == "bo may not: run Job/dump (which Schedule/s starts): ana"


def test_a_run_that_wants_approvals_wants_them_of_the_change_that_starts_it() -> None:
    asks = "conditions: {approvals: 1, notRequester: true}"
    rules = policy(
        ADMINS,
        "{subjects: [web], verbs: [change, approve]}",
        f"{{subjects: [web], verbs: [run], objects: {{kinds: [Job]}}, {asks}}}",
    )
    base = {**FILES, "definitions/policy.yaml": rules}
    after = {**base, S: schedule()}
    waits = judged(needed(base, after), signed("bo"))
    assert isinstance(waits, Waiting)
    assert waits.message == "Job/dump wants 1 approval of others than the requester: ana, dee may"
    assert verdict(base, after, "bo", approved=("bo",)) == "waiting"
    assert verdict(base, after, "bo", approved=("dee",)) == "permitted"


# --- approvals ---

TWO = policy(
    ADMINS,
    "{subjects: [web], verbs: [change], conditions: {approvals: 2, notRequester: true}}",
    "{subjects: [web, cy], verbs: [approve]}",
)


@pytest.mark.parametrize(
    ("approved", "answer"),
    [
        ((), "waiting"),
        (("bo",), "waiting"),
        (("bo", "dee"), "waiting"),
        (("dee", "cy"), "permitted"),
        (("dee", "ana"), "permitted"),
        (("dee", "nobody"), "waiting"),
        (("bo", "dee", "cy"), "permitted"),
    ],
)
def test_approvals_are_of_those_who_may_approve_and_not_ones_own(approved: tuple[str, ...], answer: str) -> None:
    base = {**FILES, "definitions/policy.yaml": TWO}
    after = {**base, "definitions/web/work.yaml": job("work", "[{run: 'false'}]")}
    assert verdict(base, after, "bo", approved=approved) == answer
    assert verdict(base, after, "ana") == "permitted"
    assert verdict(base, after, "cy", approved=("bo", "dee", "ana")) == "forbidden"


def test_what_waits_says_for_whom() -> None:
    base = {**FILES, "definitions/policy.yaml": TWO}
    after = {**base, "definitions/web/work.yaml": job("work", "[{run: 'false'}]")}
    waits = judged(needed(base, after), signed("bo"), ("dee",))
    assert isinstance(waits, Waiting)
    wanted = "Job/work wants 2 approvals of others than the requester (so far dee): ana, cy may"
    assert (waits.message, waits.able) == (wanted, {"ana", "cy"})


def test_an_approval_is_of_one_commit_upon_another() -> None:
    assert digest_of("a" * 40, "b" * 40) == digest_of("a" * 40, "b" * 40)
    assert len({digest_of(base * 40, commit * 40) for base in "ab" for commit in "ab"}) == 4


# --- acts ---

EVERY = "{subjects: [web], verbs: [run]}"
DENIED = f"{EVERY}, {{subjects: [bo], verbs: [run], effect: deny, objects: {{selector: {{matchLabels: {{a: b}}}}}}}}"
OWN_JOB = "{job: {steps: [{run: 'true'}], targets: {names: [here]}}}"


def may(spec: str, rule: str, about: str | None = None) -> bool:
    there = catalog(
        local_target("here"),
        job("work").removeprefix(HEAD),
        "kind: User\nmetadata: {name: bo}\nspec: {teams: [web]}\n",
        f"kind: Policy\nmetadata: {{name: p}}\nspec: {{rules: [{rule}]}}\n",
    )
    text = f"{HEAD}kind: RunRequest\nmetadata: {{name: ask, labels: {{team: web}}}}\nspec: {spec}\n"
    (act,) = read(text.encode(), "definitions/web/ask.yaml").documents
    need = of_act(permissions.of(there), act, there, about)
    assert need is not None
    return not isinstance(judged((need,), signed("bo")), Forbidden)


@pytest.mark.parametrize(
    ("spec", "rule", "about", "allowed"),
    [
        ("{jobRef: work}", WEB, None, True),
        ("{jobRef: work}", WEB.replace("run, cancel", "cancel"), None, False),
        ("{jobRef: gone}", WEB, None, False),
        ("{jobRef: gone}", EVERY, None, True),
        ("{action: cancel, run: work-1}", WEB, "Job/work", True),
        ("{action: cancel, run: work-1}", EVERY, "Job/work", False),
        ("{action: rerun, run: work-1}", WEB, "Job/work", True),
        ("{action: rerun, run: work-1}", WEB, "Job/gone", False),
        # The labels and the file of a request are its author's: they count for nothing.
        (OWN_JOB, WEB, None, False),
        (OWN_JOB, "{subjects: [web], verbs: [run], objects: {paths: ['definitions/*.yaml']}}", None, False),
        (OWN_JOB, "{subjects: [web], verbs: [run], objects: {kinds: [Job]}}", None, False),
        (OWN_JOB, "{subjects: [web], verbs: [run], objects: {kinds: [RunRequest]}}", None, True),
        (OWN_JOB, EVERY, None, True),
        (OWN_JOB, DENIED, None, False),
        ("{jobRef: work}", DENIED, None, True),
    ],
)  # fmt: skip
def test_who_may_ask_for_what(spec: str, rule: str, about: str | None, allowed: bool) -> None:
    assert may(spec, rule, about) is allowed
