"""What pages show to be copied is what an engine accepts: each text is taken from the API and run as it stands."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import HERE, MAIN, Site, job, prepared, schedule
from tests.acceptance.test_dashboard import Pages, pages_of

GREET = job("greet", "- {id: greet, run: 'echo hello'}")
HALF = job("half", "- {id: go, run: '[ \"${{ target.name }}\" = here ]'}", "targets: {names: [here, there]}")
SLOW = job("slow", "- {id: wait, run: 'sleep 600'}")
THERE = HERE.replace("name: here", "name: there")
NIGHTLY = schedule("nightly", "greet", 'cron: "30 2 * * *", timeZone: Europe/Berlin') + "# goes with the backup\n"
FLOW = (
    "apiVersion: opsconductor/v1\nkind: Workflow\nmetadata: {name: release}\n"
    "spec:\n  jobs:\n    ask: {approval: {timeout: 1h}}\n    ship: {jobRef: greet, needs: [ask]}\n"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("to-act")) as site:
        documents = {"here.yaml": HERE, "there.yaml": THERE, "greet.yaml": GREET, "half.yaml": HALF, "slow.yaml": SLOW}
        site.create({**documents, "nightly.yaml": NIGHTLY, "release.yaml": FLOW})
        site.up("--dashboard", "127.0.0.1:0")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def pasted(site: Site, text: str, folder: Path | None = None) -> None:
    """The block in a shell, in the clone, as a person would paste it."""
    done = subprocess.run(
        ["sh"],
        input=text,
        cwd=folder or site.pulled(),
        env=site.environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def titled(acts: list[Any], title: str) -> Any:
    found = [one for one in acts if one["title"].startswith(title)]
    assert len(found) == 1, [one["title"] for one in acts]
    return found[0]


def name_in(act: Any) -> str:
    return str(yaml.safe_load(act["document"])["metadata"]["name"])


def test_a_job_is_asked_for_with_git_alone_and_the_branch_need_not_be_there(here: Site, pages: Pages) -> None:
    act = titled(pages.data("/api/v1/jobs/greet")["acts"], "Ask for a run")
    assert act["command"] == "opsconductor run greet" and act["branch"] == "opsconductor/requests"
    files = here.git("ls-tree", "--name-only", "main")
    pasted(here, act["git"])
    assert here.answered(name_in(act))["state"] == "done"
    pasted(here, act["git"], here.source)  # once more, where there is no remote: the same document counts once
    assert len(here.ended("greet")) == 1
    assert here.git("ls-tree", "-r", "--name-only", "opsconductor/requests") == act["path"]
    assert here.git("ls-tree", "--name-only", "main") == files


def test_the_document_alone_is_accepted_too(here: Site, pages: Pages) -> None:
    run = here.asked("first", "jobRef: half")["metadata"]["name"]
    acts = pages.data(f"/api/v1/runs/{run}")["shown"]["acts"]
    act = titled(acts, "Run it again, only where it failed")
    here.commit({act["path"]: act["document"]}, branch=act["branch"])
    answer = here.answered(name_in(act))
    assert here.run_file(answer["run"])["spec"]["targets"] == ["there"]
    assert titled(acts, "Run it again, as it was")["command"] == f"opsconductor rerun {run}"
    assert act["command"] == f"opsconductor rerun {run} --failed-only"


def test_an_open_run_is_cancelled_by_the_command_that_its_page_shows(here: Site, pages: Pages) -> None:
    here.request("slow", "jobRef: slow")
    run = here.running("slow")["metadata"]["name"]
    acts = pages.data(f"/api/v1/runs/{run}")["shown"]["acts"]
    assert [one["title"] for one in acts] == ["Cancel this run"]
    done = here.run(*acts[0]["command"].split()[1:], cwd=here.pulled())
    assert done.returncode == 0, done.stderr
    assert here.ended("slow")[0]["status"]["state"] == "cancelled"


def test_a_gate_is_answered_from_the_page_of_its_run(here: Site, pages: Pages) -> None:
    here.request("ship", "workflowRef: release")
    here.wait(lambda: [path for path in here.tree() if path.startswith("gates/")], what="a gate that waits")
    run = here.runs("release")[0]["metadata"]["name"]
    shown = pages.data(f"/api/v1/runs/{run}")["shown"]
    assert "waits for people until" in {node["id"]: node["reason"] for node in shown["nodes"]}["ask"]
    acts = shown["acts"]
    assert [one["title"] for one in acts] == [
        "Approve what waits at ask",
        "Reject what waits at ask",
        "Cancel this run",
    ]
    pasted(here, acts[0]["git"])
    assert here.ended("release")[0]["status"]["nodes"]["ask"]["state"] == "succeeded"


def test_a_schedule_is_suspended_by_its_patch_and_its_comments_stay(here: Site, pages: Pages) -> None:
    [act] = pages.data("/api/v1/kinds/Schedule/nightly")["acts"]
    assert act["title"] == "Suspend it"
    branch = act["git"].split()[3]
    pasted(here, act["git"])
    pasted(here, f"git push --quiet origin origin/{branch}:{MAIN}")  # the merge
    here.in_force()
    text = here.git("show", f"{MAIN}:definitions/nightly.yaml")
    assert "suspend: true" in text and "# goes with the backup" in text
    titles = [one["title"] for one in pages.data("/api/v1/kinds/Schedule/nightly")["acts"]]
    assert titles == ["Let it go on"]


def test_pages_hold_the_same_texts_and_no_form_that_acts(here: Site, pages: Pages) -> None:
    page = pages.page("/jobs/greet")
    assert '<pre class="copy" tabindex="0">opsconductor run greet</pre>' in page
    assert 'method="post"' not in page.lower()
