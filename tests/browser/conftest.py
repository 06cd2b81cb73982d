"""One engine whose jobs print what is hostile, and one browser."""

import shutil
from collections.abc import Iterator

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.site import HERE, Site, job, prepared, schedule
from tests.acceptance.test_dashboard import pages_of

CORPUS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\">",
    "\\\"><script>document.title='owned'</script>",
    "javascript:document.title='owned'",
    "</pre></span><iframe srcdoc=\\\"<script>parent.document.title='owned'</script>\\\">",
    "{{ 7 * 7 }} {% raw %}",
    "\\033]0;owned\\007\\033[2J\\033[31mred\\033[0m \\033]8;;javascript:alert(1)\\033\\\\click\\033]8;;\\033\\\\",
    "\\xe2\\x80\\xaegnp.exe \\xe2\\x80\\xa8 next \\x00 \\x1b[999999C \\x9b31m error: \\xff\\xfe",
    "<a href=javascript:alert(1) autofocus onfocus=\"document.title='owned'\">",
    "&lt;script&gt; &#60;script&#62; %3Cscript%3E",
)
"""What a job prints: each would change the title if a browser took it for more than text."""
OWNED = "owned"


def _nasty() -> str:
    """A job whose steps print the corpus on both streams; the second one fails."""
    script = "\n".join(_shell(text) for text in CORPUS)
    steps = [
        {"id": "talk", "run": script, "outputs": {"said": "${{ stdout }}"}},
        {"id": "fail", "run": f"{script}\nexit 3"},
    ]
    spec = {
        "params": {"who": {"type": "string", "default": "<img src=x onerror=alert(1)>"}},
        "targets": {"names": ["here"]},
        "steps": steps,
    }
    document = {"apiVersion": "opsconductor/v1", "kind": "Job", "metadata": {"name": "nasty"}, "spec": spec}
    return yaml.safe_dump(document, sort_keys=False)


def _shell(text: str) -> str:
    quoted = "'" + text.replace("'", "'\\''") + "'"
    return f"printf '%b\\n' {quoted}; printf '%b\\n' {quoted} >&2"


def _definitions() -> dict[str, str]:
    graph = (
        "apiVersion: opsconductor/v1\nkind: Workflow\nmetadata: {name: release, labels: {team: web}}\n"
        "spec:\n  jobs:\n    build: {jobRef: greet}\n"
        "    check: {jobRef: nasty, needs: [build], continueOnError: true}\n"
        "    ask: {approval: {timeout: 1h}, needs: [build]}\n    ship: {jobRef: greet, needs: [ask, check]}\n"
    )
    return {
        "here.yaml": HERE,
        "nasty.yaml": _nasty(),
        "greet.yaml": job("greet", "- {id: greet, run: 'echo hello; echo world'}"),
        "pair.yaml": job("pair", "- {id: go, run: 'echo \"on ${{ target.name }}\"'}", "targets: {names: [here]}"),
        "slow.yaml": job("slow", "- {id: wait, run: 'sleep 600'}"),
        "nightly.yaml": schedule("nightly", "pair", 'cron: "30 2 * * *", timeZone: Europe/Berlin'),
        "often.yaml": schedule("often", "greet", "every: 10m, jitter: 30s"),
        "release.yaml": graph,
    }


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An engine with runs that succeeded, failed, wait for somebody and go on."""
    with prepared(tmp_path_factory.mktemp("browser")) as here:
        here.create(_definitions())
        here.up("--dashboard", "127.0.0.1:0")
        for name, spec in (("first", "jobRef: greet"), ("second", "jobRef: nasty"), ("third", "jobRef: pair")):
            here.asked(name, spec)
        here.request("going", "jobRef: slow")
        here.request("shipping", "workflowRef: release")
        here.wait(lambda: [path for path in here.tree() if path.startswith("gates/")], what="a gate that waits")
        yield here


@pytest.fixture(scope="session")
def address(site: Site) -> str:
    """Where the dashboard is."""
    host, port = pages_of(site).place
    return f"http://{host}:{port}"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; `make test-slow` installs it.

    It ends with these tests: as long as it is there a loop of playwright runs, beside which no other may.
    """
    program = shutil.which("chromium")
    assert program is not None, "chromium is not installed: call `make host-programs`"
    with sync_playwright() as playwright:
        # The tests run as root in CI, where Chromium's own sandbox refuses to start; what it shows is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
