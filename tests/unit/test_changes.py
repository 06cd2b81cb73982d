"""A commit that is checked on the ground of the one before it has the findings it has by itself."""

import random
import re

import pytest

from engine.checks import references
from engine.checks.scope import Scope
from engine.compile import Compiled, compile_files
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


def edited(texts: dict[str, str], chance: random.Random) -> dict[str, str]:
    """One to three edits, sometimes a file that is moved, is gone, or is back."""
    texts = dict(texts)
    for _ in range(chance.randint(1, 3)):
        pattern, choices = chance.choice(EDITS)
        having = [name for name, text in sorted(texts.items()) if re.search(pattern, text)]
        if not having:
            continue
        name = chance.choice(having)
        texts[name] = re.sub(pattern, chance.choice(choices), texts[name], count=1)
    if chance.random() < 0.15:
        gone = texts.pop(chance.choice(sorted(texts)))
        if chance.random() < 0.5:
            texts[f"moved-{chance.randint(0, 9)}.yaml"] = gone
    if chance.random() < 0.15:
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


@pytest.mark.parametrize("seed", range(12))
def test_findings_are_those_of_a_commit_by_itself(seed: int) -> None:
    chance = random.Random(seed)
    texts, cache = dict(FILES), dict[tuple[str, str], ParsedFile]()
    last = compile_files("0", parsed(texts, cache))
    assert [found for found in last.findings if found.severity == "error"] == []
    for number in range(60):
        texts = edited(texts if chance.random() < 0.8 else FILES, chance)
        files = parsed(texts, cache)
        alone = compile_files(str(number), files)
        last = compile_files(str(number), files, before=last)
        assert said(last) == said(alone)


def test_a_changed_job_is_checked_again_with_those_that_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    filler = {
        f"f-{n}.yaml": f"kind: Job\nmetadata: {{name: f-{n}}}\nspec: {{steps: [{{uses: dummy}}]}}\n" for n in range(40)
    }
    texts, cache = {**FILES, **filler}, dict[tuple[str, str], ParsedFile]()
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
