"""The API as it is described: every answer has what is promised, and nothing that is asked makes it break."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.acceptance.site import Site, prepared
from tests.acceptance.test_dashboard import Pages, pages_of
from tests.acceptance.test_dashboard_kinds import FILES

SCHEMATHESIS = "from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("api")) as site:
        site.create({name: text for name, text in FILES.items() if name != "told.yaml"})
        site.up("--dashboard", "127.0.0.1:0")
        site.asked("first", "jobRef: greet")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def test_each_answer_has_the_names_that_are_promised(here: Site, pages: Pages) -> None:
    run = here.runs("greet")[0]["metadata"]["name"]
    known = {"run": run, "kind": "Job"}
    described = pages.data("/api/v1/openapi.json")
    assert described["openapi"].startswith("3.1") and len(described["paths"]) >= 15
    for path, operations in described["paths"].items():
        name = {"/workflows/{name}": "release", "/targets/{name}": "here"}.get(path, "greet")
        at = re.sub(r"\{(\w+)\}", lambda found, name=name: known.get(found[1], name), path)  # type: ignore[misc]
        at += "?step=greet&target=here" if path.endswith("/log") else ""
        promised = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]["required"]
        assert "at" in promised
        assert set(promised) <= pages.data(f"/api/v1{at}").keys(), path


@pytest.mark.slow
def test_no_question_breaks_it(here: Site, pages: Pages) -> None:
    """Whatever names, numbers and texts are asked with: an answer as described, and never a 5xx."""
    base = f"http://{pages.place[0]}:{pages.place[1]}/api/v1"
    done = subprocess.run(
        [
            sys.executable, "-c", SCHEMATHESIS, "run", f"{base}/openapi.json", "--url", base,
            "--checks", "not_a_server_error,status_code_conformance,response_schema_conformance",
            "--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "1", "--no-color",
        ],
        cwd=here.root, env=here.environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert pages.ask("/healthz")[0] == 200
    assert "Traceback" not in here.daemons[-1].stderr
    assert json.loads(pages.ask("/api/v1/now")[2])
