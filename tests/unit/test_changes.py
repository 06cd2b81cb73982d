"""A commit that is checked on the ground of the one before it has the findings it has by itself."""

import random
import re
from collections.abc import Mapping

import pytest

from engine.checks import everything, references
from engine.checks.changes import Facts
from engine.checks.scope import Scope
from engine.compile import Compiled, compile_files
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored, ParsedFile, read

HEAD = "apiVersion: opsconductor/v1\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
FILES = {
    "opsconductor.yaml": "kind: Project\nmetadata: {name: p}\nspec: {defaults: {timeZone: UTC}}\n",
    "target-a.yaml": "kind: Target\nmetadata: {name: a, labels: {role: web}}\nspec: {connections: {local: {}}}\n",
    "target-c.yaml": "kind: Target\nmetadata: {name: c, labels: {role: db}}\nspec: {connections: {local: {}}}\n",
    "target-b.yaml": "kind: Target\nmetadata: {name: b, labels: {role: db}}\n"
    f"spec: {{host: b.example, defaultConnection: local, connections: {{ssh: {{hostKeys: ['{KEY}'], "
    "credentialRef: key}, local: {}}}\n",
    "group.yaml": "kind: TargetGroup\nmetadata: {name: g}\nspec: {names: [a], selector: {matchLabels: {role: db}}}\n",
    "key.yaml": "kind: Credential\nmetadata: {name: key}\nspec: {type: ssh, from: {file: k}, pools: [site], "
    "allowedFor: {matchLabels: {team: web}}}\n",
    "pool.yaml": "kind: RunnerPool\nmetadata: {name: site}\nspec: {maxRuns: 3}\n",
    "one.yaml": "kind: Job\nmetadata: {name: one, labels: {team: web}}\nspec: {params: {n: {type: integer}}, "
    "runsOn: {pool: site}, targets: {groups: [g]}, steps: [{id: s, run: uptime, outputs: {o: '${{ stdout }}'}}], "
    "outputs: {o: '${{ steps.s.outputs.o }}'}}\n",
    "two.yaml": "kind: Job\nmetadata: {name: two}\nspec: {targets: {names: [a]}, concurrency: {group: both}, "
    "steps: [{run: 'true', connection: local}]}\n",
    "three.yaml": "kind: Job\nmetadata: {name: three}\nspec: {concurrency: {group: both}, steps: [{uses: dummy}]}\n",
    "nightly.yaml": "kind: Schedule\nmetadata: {name: nightly}\nspec: {jobRef: one, cron: '5 2 * * *', "
    "params: {n: 3}, limit: {names: [a]}}\n",
    "flow.yaml": "kind: Workflow\nmetadata: {name: flow}\nspec: {jobs: {x: {jobRef: one, params: {n: 1}}, "
    "y: {jobRef: two, needs: [x], if: '${{ jobs.x.outputs.o == null }}'}}}\n",
    "after.yaml": "kind: Trigger\nmetadata: {name: after}\nspec: {event: {run: {jobs: [three]}}, workflowRef: flow}\n",
    "c.yaml": "kind: Calendar\nmetadata: {name: c}\nspec: {ics: days.ics}\n",
    "window.yaml": "kind: Window\nmetadata: {name: w}\nspec: {effect: deny, cron: '0 1 * * *', duration: 1h, "
    "timeZone: UTC, jobs: {names: [one], selector: {matchLabels: {team: web}}}}\n",
}
EDITS = (
    (r"hostKeys: \[[^\]]*\]", ("hostKeys: []", f"hostKeys: ['{KEY}']")),
    (r"(local|http): \{[^}]*\}", ("local: {}", "http: {baseUrl: 'https://x.example'}")),
    (r"n: \{type: \w+\}", ("n: {type: integer}", "n: {type: string}", "m: {type: integer}")),
    (r"params: \{n: \w+\}", ("params: {n: 3}", "params: {n: x}", "params: {k: 3}")),
    (r"targets: \{\w+: \[\w+\]\}", ("targets: {names: [a]}", "targets: {names: [b]}", "targets: {groups: [nope]}")),
    (r"outputs: \{\w+:", ("outputs: {o:", "outputs: {other:")),
    (r"group: \w+", ("group: both", "group: apart", "group: both, limit: 1")),
    (r"jobRef: \w+", ("jobRef: one", "jobRef: two", "jobRef: gone")),
    (r"jobs: \[\w+\]", ("jobs: [one]", "jobs: [two]", "jobs: [gone]")),
    (r"team: \w+", ("team: web", "team: db")),
    (r"role: \w+", ("role: web", "role: db", "role: none")),
    (r"connection: \w+", ("connection: local", "connection: ssh")),
    (r"pools: \[\w*\]", ("pools: [site]", "pools: []", "pools: [nowhere]")),
    (r"maxRuns: \d", ("maxRuns: 3", "maxRuns: 4", "maxRuns: 0")),
    (r"cron: '[^']*'", ("cron: '5 2 * * *'", "cron: '5 2 31 2 *'", "cron: 'x'")),
    (r"uses: \w+", ("uses: dummy", "uses: assert", "uses: nothing")),
    (r"name: one", ("name: one", "name: uno")),
)


OF_JOBS = tuple(edit for edit in EDITS if re.match(r"params|targets|outputs|jobRef|n: |cron", edit[0]))
FILLER = {
    f"f-{n}.yaml": f"kind: Job\nmetadata: {{name: f-{n}}}\nspec: {{steps: [{{uses: dummy}}]}}\n" for n in range(40)
}
ICS = frozenset({"days.ics"})


def edited(texts: dict[str, str], chance: random.Random) -> dict[str, str]:
    """One to three edits, sometimes a file that is moved, is gone, or is back."""
    texts = dict(texts)
    often = EDITS if chance.random() < 0.3 else OF_JOBS
    for _ in range(chance.randint(1, 3)):
        pattern, choices = chance.choice(often)
        having = [name for name, text in sorted(texts.items()) if re.search(pattern, text)]
        if not having:
            continue
        name = chance.choice(having)
        texts[name] = re.sub(pattern, chance.choice(choices), texts[name], count=1)
    if chance.random() < 0.1:
        gone = texts.pop(chance.choice(sorted(texts)))
        if chance.random() < 0.5:
            texts[f"moved-{chance.randint(0, 9)}.yaml"] = gone
    if chance.random() < 0.1:
        texts.update(chance.sample(sorted(FILES.items()), 2))
    return texts


def parsed(texts: dict[str, str], cache: dict[tuple[str, str], ParsedFile]) -> list[ParsedFile]:
    """As the engine reads them: a file that is the same is the same object."""
    for item in texts.items():
        if item not in cache:
            cache[item] = read((HEAD + item[1]).encode(), item[0])
    return [cache[item] for item in texts.items()]


def said(compiled: Compiled) -> tuple[object, ...]:
    catalog = compiled.catalog
    return compiled.findings, catalog is not None, catalog.held if catalog else None


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each commit after the first, whether anything was taken over from the one before it."""
    taken: list[bool] = []
    ask = everything.carried_over

    def seen(
        before: Facts, known: Mapping[Authored, tuple[Diagnostic, ...]], scope: Scope
    ) -> tuple[Facts | None, Mapping[Authored, tuple[Diagnostic, ...]]]:
        answer = ask(before, known, scope)
        taken.append(answer[0] is not None)
        return answer

    monkeypatch.setattr(everything, "carried_over", seen)
    return taken


def by_itself(texts: dict[str, str], present: frozenset[str] | None = None) -> Compiled:
    """As by somebody who has never seen any of it."""
    return compile_files("0", parsed(texts, {}), present=present)


@pytest.mark.parametrize("seed", range(12))
def test_findings_are_those_of_a_commit_by_itself(seed: int, carried: list[bool]) -> None:
    """Jobs and schedules are edited most, among many documents that stay: so little is checked again that what should
    be and is not shows."""
    chance = random.Random(seed)
    first = {**FILES, **FILLER}
    texts, cache, there = dict(first), dict[tuple[str, str], ParsedFile](), ICS
    last = compile_files("0", parsed(texts, cache), present=there)
    assert [found for found in last.findings if found.severity == "error"] == []
    for _ in range(30):
        texts = edited(texts if chance.random() < 0.9 else first, chance)
        there = ICS if chance.random() < 0.85 else frozenset()
        last = compile_files("0", parsed(texts, cache), before=last, present=there)
        assert said(last) == said(by_itself(texts, there))

    assert carried.count(True) >= 5
    assert carried.count(False) >= 1


def followed(*commits: dict[str, str], present: tuple[frozenset[str], ...] = ()) -> tuple[Compiled, Compiled]:
    """The last of some commits, each checked on the ground of the one before it; and the same by itself."""
    cache: dict[tuple[str, str], ParsedFile] = {}
    last: Compiled | None = None
    there: tuple[frozenset[str] | None, ...] = present or (None,) * len(commits)
    for texts, files in zip(commits, there, strict=True):
        last = compile_files("0", parsed(texts, cache), before=last, present=files)
    assert last is not None
    return last, by_itself(commits[-1], there[-1])


BASE = {
    "opsconductor.yaml": FILES["opsconductor.yaml"],
    **FILLER,
    "one.yaml": "kind: Job\nmetadata: {name: one}\nspec: {params: {n: {type: integer}}, steps: [{uses: dummy}]}\n",
    "two.yaml": "kind: Job\nmetadata: {name: two}\nspec: {params: {n: {type: integer}}, steps: [{uses: dummy}]}\n",
    "s.yaml": "kind: Schedule\nmetadata: {name: s}\nspec: {jobRef: one, every: 1h, params: {n: 3}}\n",
}


def replaced(texts: dict[str, str], file: str, old: str, new: str) -> dict[str, str]:
    assert old in texts[file]
    return {**texts, file: texts[file].replace(old, new)}


def test_who_began_to_name_a_job_is_checked_when_the_job_changes(carried: list[bool]) -> None:
    names_two = replaced(BASE, "s.yaml", "jobRef: one", "jobRef: two")
    wants_text = replaced(names_two, "two.yaml", "type: integer", "type: string")

    last, alone = followed(BASE, names_two, wants_text)

    assert [found.code for found in last.findings] == ["OC309"]
    assert said(last) == said(alone)
    assert carried == [True, True]


def test_a_name_that_may_be_that_of_a_document_at_fault_is_looked_up_again(carried: list[bool]) -> None:
    nobody = replaced(BASE, "s.yaml", "jobRef: one", "jobRef: gone")
    at_fault = {**nobody, "gone.yaml": "kind: Job\nmetadata: {name: gone}\nspec: {steps: [{nope: 1}]}\n"}

    last, alone = followed(nobody, at_fault)

    assert "OC305" not in [found.code for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def at_fault(kind: str, name: str) -> str:
    return f"kind: {kind}\nmetadata: {{name: {name}}}\nspec: 5\n"


def test_so_it_is_where_others_of_its_kind_were_at_fault_before(carried: list[bool]) -> None:
    nobody = {**replaced(BASE, "s.yaml", "jobRef: one", "jobRef: gone"), "other.yaml": at_fault("Job", "other")}
    more = {**nobody, "gone.yaml": at_fault("Job", "gone")}

    last, alone = followed(nobody, more)

    assert "OC305" not in [found.code for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_and_where_a_document_of_another_kind_and_the_same_name_was(carried: list[bool]) -> None:
    gate = "kind: Workflow\nmetadata: {name: w}\nspec: {jobs: {a: {approval: {teams: [nobody]}}}}\n"
    job = {**BASE, "w.yaml": gate, "job.yaml": at_fault("Job", "same")}
    user = {**job, "user.yaml": at_fault("User", "same")}

    last, alone = followed(job, user)

    assert "OC305" not in [found.code for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_and_where_somebody_at_fault_belongs_to_another_team(carried: list[bool]) -> None:
    gate = "kind: Workflow\nmetadata: {name: w}\nspec: {jobs: {a: {approval: {teams: [ops]}}}}\n"
    user = "kind: User\nmetadata: {name: bob}\nspec: {email: x, teams: [ops]}\n"
    before = {**BASE, "w.yaml": gate, "user.yaml": user}
    other = replaced(before, "user.yaml", "[ops]", "[others]")

    last, alone = followed(before, other)

    assert "w.yaml" in [found.span.file for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_a_target_that_changes_is_seen_by_those_that_do_not_name_it(carried: list[bool]) -> None:
    every = "kind: Job\nmetadata: {name: every}\nspec: {targets: {selector: {}}, steps: [{run: 'true'}]}\n"
    first = {**BASE, "every.yaml": every, "target-a.yaml": FILES["target-a.yaml"]}
    changed = replaced(first, "target-a.yaml", "local: {}", "http: {baseUrl: 'https://x.example'}")

    last, alone = followed(first, changed)

    assert "every.yaml" in [found.span.file for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_a_project_at_fault_is_read_anew_for_what_is_right_in_it(carried: list[bool]) -> None:
    """It is not among the documents that could be read, before or after."""
    project = "kind: Project\nmetadata: {name: p}\nspec: {nope: 1, defaults: {timeZone: UTC, pool: site}}\n"
    channel = "kind: NotificationChannel\nmetadata: {name: n}\nspec: {type: webhook, credentialRef: hook}\n"
    hook = "kind: Credential\nmetadata: {name: hook}\nspec: {type: token, from: {file: k}, pools: [site]}\n"
    files = {"opsconductor.yaml": project, "channel.yaml": channel, "hook.yaml": hook, "pool.yaml": FILES["pool.yaml"]}
    first = {**BASE, **files}

    last, alone = followed(first, replaced(first, "opsconductor.yaml", "pool: site", "pool: default"))

    assert "OC603" in [found.code for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_a_file_that_goes_is_missed(carried: list[bool]) -> None:
    """The document that names it has not changed, and neither has any other."""
    named = {**BASE, "c.yaml": FILES["c.yaml"]}

    last, alone = followed(named, named, present=(ICS, frozenset()))

    assert "OC509" in [found.code for found in last.findings]
    assert said(last) == said(alone)
    assert carried == [False]


def test_a_job_that_moves_is_seen_where_it_lies_by_those_that_name_it(carried: list[bool]) -> None:
    wrong = replaced(BASE, "s.yaml", "n: 3", "n: x")
    moved = {**{file: text for file, text in wrong.items() if file != "one.yaml"}, "moved.yaml": wrong["one.yaml"]}

    last, alone = followed(wrong, moved)

    assert [place.span.file for found in last.findings for place in found.related] == ["moved.yaml"]
    assert said(last) == said(alone)
    assert carried == [True]


def test_a_job_that_moves_is_missed_by_the_globs_that_matched_its_file(carried: list[bool]) -> None:
    rule = "{subjects: [ana], verbs: [run], objects: {paths: [one.yaml]}}"
    people = {
        "ana.yaml": "kind: User\nmetadata: {name: ana}\n",
        "policy.yaml": f"kind: Policy\nmetadata: {{name: p}}\nspec: {{rules: [{rule}]}}\n",
    }
    first = {**BASE, **people}
    moved = {**{file: text for file, text in first.items() if file != "one.yaml"}, "moved.yaml": BASE["one.yaml"]}

    last, alone = followed(first, moved)

    assert "OC307" in [found.code for found in last.findings if found.span.file == "policy.yaml"]
    assert said(last) == said(alone)
    assert carried == [False]


def test_a_changed_job_is_checked_again_with_those_that_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, cache = {**FILES, **FILLER}, dict[tuple[str, str], ParsedFile]()
    last = compile_files("0", parsed(texts, cache))
    asked: list[str] = []
    about = references.about

    def seen(authored: Authored, scope: Scope) -> object:
        asked.append(authored.identity)
        return about(authored, scope)

    monkeypatch.setattr(references, "about", seen)
    texts["two.yaml"] = texts["two.yaml"].replace("'true'", "'false'")
    compile_files("1", parsed(texts, cache), before=last)

    assert sorted(asked) == ["Job/two", "Trigger/after", "Workflow/flow"]
