"""What the dashboard says of definitions: documents of every kind, targets, changes; one engine serves all of these."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from tests.acceptance.site import HERE, Site, job, prepared, schedule
from tests.acceptance.test_dashboard import Pages, pages_of

HOSTILE = "<script>alert(1)</script>"
EXPIRES = (datetime.now(UTC) + timedelta(days=12, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(kind: str, name: str, spec: str, **metadata: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in metadata.items())
    body = "\n".join(f"  {line}" for line in dedent(spec).strip().splitlines())
    return f"apiVersion: opsconductor/v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\nspec:\n{body}\n"


WEB = """
    host: web-01.example.org
    connections:
      ssh:
        credentialRef: web-key
        hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"]
    vars: {appDir: /srv/app, dbPassword: correct-horse-battery}
    facts: {kernel: 6.1.0}
"""
RELEASE = """
    jobs:
      build: {jobRef: greet}
      pause: {wait: 10m, needs: [build]}
      leads: {approval: {users: [ana], count: 1}, needs: [pause]}
      ship: {jobRef: audit, needs: [leads, build]}
"""
KEY = f"type: ssh\nusername: ops\npools: [default]\nexpiresAt: {EXPIRES}\nfrom: {{file: keys/web-private}}"
RULES = "rules: [{subjects: [ops], verbs: [run], objects: {kinds: [Job]}, effect: allow}]"
FILES = {
    "here.yaml": HERE,
    "greet.yaml": job("greet", "- {id: greet, run: echo hello}"),
    "audit.yaml": job(
        "audit",
        "- {id: look, uses: network/ping@1, with: {host: localhost}}",
        "targets: {selector: {matchLabels: {role: web}}}",
    ),
    "late.yaml": job("late", "- {id: wait, run: 'true'}"),
    "sweep.yaml": job("sweep", "- {id: look, run: 'true'}", "targets: {groups: [webs], names: [here]}"),
    "nightly.yaml": schedule("nightly", "audit", 'cron: "0 2 * * *", timeZone: UTC'),
    "web.yaml": document("Target", "web-01", WEB, labels="{role: web}", owner="ana", description=f"'{HOSTILE}'"),
    "webs.yaml": document("TargetGroup", "webs", "names: [web-01]\nvars: {colour: blue, appDir: /other}"),
    "key.yaml": document("Credential", "web-key", KEY),
    "release.yaml": document("Workflow", "release", RELEASE),
    "ana.yaml": document("User", "ana", "email: ana@example.org\nteams: [ops]"),
    "policy.yaml": document("Policy", "operators", RULES),
    "pool.yaml": document("RunnerPool", "spare", "labels: {}"),
    "told.yaml": document("Trigger", "told", "event: {definitions: {paths: ['definitions/**']}}\njobRef: late"),
}  # fmt: skip

ADDED = job("added", "- {id: wait, run: 'true'}")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("dashboard")) as site:
        site.create(FILES)
        site.up("--dashboard", "127.0.0.1:0")
        site.asked("first", "jobRef: greet")
        broken = site.commit({"broken.yaml": "apiVersion: opsconductor/v1\nkind: Job\n"}, message=f"Break {HOSTILE}")
        site.rejected(broken)
        changed = {"broken.yaml": None, "greet.yaml": FILES["greet.yaml"].replace("hello", "hi"), "pool.yaml": None}
        site.in_force(site.commit({**changed, "added.yaml": ADDED}, message="Mend it"))
        site.wait(
            lambda: [run for run in site.runs("late") if run["status"]["finishedAt"]], what="what the commit set off"
        )
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def names(found: Any) -> list[str]:
    return [one["name"] for one in found["documents"]]


def test_every_kind_is_listed_with_its_documents(here: Site, pages: Pages) -> None:
    found, page = pages.data("/api/v1/kinds"), pages.page("/kinds")
    counts = {one["kind"]: one["count"] for one in found["kinds"]}

    assert found["commit"] == here.head("main")
    assert (
        counts["Job"] == 5 and counts["Workflow"] == counts["Policy"] == counts["Project"] == counts["RunRequest"] == 1
    )
    assert counts["StepLibrary"] >= 6 and counts["Step"] >= 40
    for kind, count in counts.items():
        assert f'<a href="/kinds/{kind}">' in page
        assert pages.page(f"/kinds/{kind}") and pages.data(f"/api/v1/kinds/{kind}")["total"] == count


def test_a_search_is_in_the_address_and_finds_names_labels_and_owners(pages: Pages) -> None:
    assert names(pages.data("/api/v1/kinds?q=role=web")) == ["web-01"]
    assert "web-01" in names(pages.data("/api/v1/kinds?q=ANA"))
    assert names(pages.data("/api/v1/kinds/Target?q=nothing-like-it")) == []
    assert names(pages.data("/api/v1/kinds/job?q=gree")) == ["greet"]
    assert 'value="role=web"' in pages.page("/kinds?q=role=web")
    assert pages.ask("/kinds?q=" + "x" * 201)[0] == 400
    assert pages.ask("/kinds/Job?page=0")[0] == 400
    assert (
        pages.ask("/kinds/Nosuch")[0] == pages.ask("/kinds/Job/nosuch")[0] == pages.ask("/api/v1/kinds/x/y")[0] == 404
    )


def test_a_document_is_shown_with_what_it_names_and_who_uses_it(pages: Pages) -> None:
    found, page = pages.data("/api/v1/kinds/Target/web-01"), pages.page("/kinds/Target/web-01")
    linked = {line["named"]: line["href"] for line in found["lines"] if line["href"]}
    users = {f"{one['kind']}/{one['name']}": one["way"] for one in found["usedBy"]["documents"]}

    assert linked == {"web-key": "/kinds/Credential/web-key", "ana": "/kinds/User/ana"}
    assert '<li id="L1">' in page and '<a href="/kinds/Credential/web-key">web-key</a>' in page
    assert users["Job/audit"][0]["field"] == "spec.targets.selector"
    assert {"Job/sweep", "Schedule/nightly", "TargetGroup/webs", "Workflow/release"} <= users.keys()
    assert found["file"] == "definitions/web.yaml"
    assert "correct-horse" not in page + str(found), "what looks like a secret is not shown"
    assert HOSTILE not in page


def test_of_a_credential_only_what_is_said_about_it_is_shown(pages: Pages) -> None:
    found, page = pages.data("/api/v1/kinds/Credential/web-key"), pages.page("/kinds/Credential/web-key")
    assert found["document"]["spec"] == {"type": "ssh", "username": "ops", "pools": ["default"], "expiresAt": EXPIRES}
    assert found["notes"] == ["The secret is in a file in the runner's secret folder.", "It expires in 12 days."]
    assert "web-private" not in page + str(found)
    assert (found["uses"], "No run that is kept has opened it." in page) == ([], True)
    assert "Job/audit" in {f"{one['kind']}/{one['name']}" for one in found["usedBy"]["documents"]}


def test_a_workflow_is_a_graph(pages: Pages) -> None:
    found, page = pages.data("/api/v1/kinds/Workflow/release"), pages.page("/kinds/Workflow/release")
    assert [(node["id"], node["under"], node["needs"]) for node in found["graph"]] == [
        ("build", "greet", []),
        ("pause", "waits 10m", ["build"]),
        ("leads", "approval by 1", ["pause"]),
        ("ship", "audit", ["leads", "build"]),
    ]
    assert page.count("<rect ") == 4 and page.count("<path ") == 4
    assert '<a href="/kinds/Job/greet">' in page


def test_a_library_tells_its_steps(pages: Pages) -> None:
    found, page = pages.data("/api/v1/kinds/StepLibrary/network"), pages.page("/kinds/StepLibrary/network")
    ping = next(step for step in found["steps"] if step["name"] == "ping")
    assert "host" in [one["name"] for one in ping["inputs"]] and ping["examples"]
    assert "sha256:" in found["notes"][0]
    assert 'id="step-ping"' in page
    assert "Job/audit" in {f"{one['kind']}/{one['name']}" for one in found["usedBy"]["documents"]}
    (uses,) = [line for line in pages.data("/api/v1/kinds/Job/audit")["lines"] if line["href"].endswith("#step-ping")]
    assert uses["href"] == "/kinds/StepLibrary/network#step-ping"


def test_an_act_is_shown_with_its_answer(pages: Pages) -> None:
    found = pages.data("/api/v1/kinds/RunRequest/first")
    assert found["answer"]["action"] == "start" and found["answer"]["run"]
    assert f'href="/runs/{found["answer"]["run"]}"' in pages.page("/kinds/RunRequest/first")
    assert pages.ask("/kinds/Approval/first")[0] == 404


@pytest.mark.parametrize("kind", ["Project", "User", "Policy", "Schedule", "Trigger", "TargetGroup", "Job"])
def test_each_document_of_these_kinds_has_a_page(pages: Pages, kind: str) -> None:
    for name in names(pages.data(f"/api/v1/kinds/{kind}")):
        assert f"<h1>{name}</h1>" in pages.page(f"/kinds/{kind}/{name}")


def test_targets_are_listed_with_how_they_did(pages: Pages) -> None:
    found, page = pages.data("/api/v1/targets"), pages.page("/targets")
    rows = {one["name"]: one for one in found["targets"]}
    assert rows["here"]["state"] == "succeeded" and rows["here"]["well"] == "2 of the last 2 ended well"
    assert rows["web-01"]["state"] is None and rows["web-01"]["beats"] == []
    assert found["sentence"] == "The one target here that was used ended well last time; 1 was never used."
    assert page.count("<rect ") == 2 and 'aria-label="2 of the last 2 ended well"' in page
    assert [one["name"] for one in pages.data("/api/v1/targets?q=role=web")["targets"]] == ["web-01"]


def test_a_target_tells_which_jobs_choose_it_and_why(pages: Pages) -> None:
    found, page = pages.data("/api/v1/targets/web-01"), pages.page("/targets/web-01")
    assert {one["job"]: one["why"] for one in found["jobs"]} == {
        "audit": ["by labels: role=web"],
        "sweep": ["by group webs, which holds it by its name"],
    }
    assert found["groups"] == ["webs"]
    assert {one["name"]: (one["value"], one["group"]) for one in found["vars"]} == {
        "appDir": ("/srv/app", None), "colour": ("blue", "webs"), "dbPassword": ("•••", None),
    }  # fmt: skip
    (ssh,) = found["connections"]
    assert ssh["default"] and {one["name"] for one in ssh["settings"]} == {"credentialRef", "hostKeys"}
    assert '<a href="/kinds/Credential/web-key">web-key</a>' in page
    assert (found["tested"]["recorded"], found["tested"]["command"]) == (False, "opsconductor target test web-01")
    assert found["facts"] == {"kernel": "6.1.0"}
    assert HOSTILE not in page and "correct-horse" not in page + str(found)


def test_a_target_shows_its_last_ends(pages: Pages) -> None:
    beat, later = pages.data("/api/v1/targets/here")["beats"]
    assert (beat["job"], beat["state"], later["job"]) == ("greet", "succeeded", "late")
    assert f'href="/runs/{beat["run"]}"' in pages.page("/targets/here")
    assert pages.ask("/targets/nosuch")[0] == 404


def test_a_target_shows_its_last_test(here: Site, pages: Pages) -> None:
    here.pulled()
    (tried,) = here.json("target", "test", "here", "-o", "json")["tests"]
    found, page = pages.data("/api/v1/targets/here")["tested"], pages.page("/targets/here")
    assert (found["recorded"], found["failed"]) == (True, 0)
    assert found["trials"] == {"local": {name: tried[name] for name in ("ok", "message", "seconds")}}
    assert "it answered; again" in page and tried["message"] in page


def test_changes_are_told_with_what_came_of_them(here: Site, pages: Pages) -> None:
    (run,) = here.runs("late")
    found, page = pages.data("/api/v1/sync"), pages.page("/sync")
    mended, broken, first = found["commits"]

    assert found["sentence"] == f"Commit {here.head('main')[:12]} is in force, the newest that was seen."  # type: ignore[index]
    assert [one["verdict"] for one in found["commits"]] == ["accepted", "rejected", "accepted"]
    assert mended["subject"] == "Mend it" and mended["author"] == "Ann <ann@example.org>"
    assert (mended["signed"], mended["verified"]) == (False, False)
    changes = {what: [one["document"] for one in found["documents"]] for what, found in mended["changes"].items()}
    assert changes == {"added": ["Job/added"], "changed": ["Job/greet"], "removed": ["RunnerPool/spare"]}
    assert [(one["trigger"], one["run"]) for one in mended["caused"]] == [("told", run["metadata"]["name"])]
    assert run["spec"]["commit"] == mended["commit"]
    assert broken["words"].startswith("rejected: ") and broken["errors"] and broken["findings"][0]["code"]
    assert first["changes"] is None and first["documents"] == len(FILES) + 1 and first["runs"] == 1
    assert HOSTILE not in page and "definitions/broken.yaml:" in page
    assert pages.data("/api/v1/sync?page=2")["commits"] == []


def test_health_says_whether_the_engine_does_its_work(here: Site, pages: Pages) -> None:
    found, page = pages.data("/api/v1/health"), pages.page("/health")
    assert found["ready"] and found["sentence"] == "The engine does its work." and found["sentence"] in page
    assert all(part["trouble"] is None for part in found["parts"])
    assert {"fetch", "poll", "push"} <= {one["operation"] for one in found["git"]}
    assert found["store"]["journal"] > 10_000 and found["store"]["free"] > 0
    assert found["working"]["capacity"] >= 1 and [one["pool"] for one in found["runners"]] == ["*"]
    assert (found["queues"], found["dead"], found["unread"]) == ([], [], None)
    assert found["version"] in page
