"""A log that is open while its step prints: from before its first line, and across a retry."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.site import HERE, Site, job, prepared
from tests.acceptance.test_dashboard import pages_of

pytestmark = pytest.mark.slow

PATIENCE = 60_000
"""Milliseconds that a busy machine may take."""
WAIT = 'while [ ! -f "$F/{}" ]; do sleep 0.1; done'
LATE = f"{WAIT.format('one')}; echo one; {WAIT.format('two')}; echo two"
GONE = f"echo here; {WAIT.format('gone')}"
LONG = f'seq -f "line %g" 10; {WAIT.format("long")}; seq -f "line %g" 11 3010'
FIRST = f"echo old; echo older; {WAIT.format('again')}; exit 1"
TWICE = f"""
    - id: talk
      run: 'if [ -f "$F/again" ]; then echo new; {WAIT.format("end")}; else {FIRST}; fi'
      env: {{F: FOLDER}}
      retry: {{maxAttempts: 2, delay: 0s}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("following")) as made:
        late = job("late", f"- {{id: talk, run: '{LATE}', env: {{F: FOLDER}}}}")
        long = job("long", f"- {{id: talk, run: '{LONG}', env: {{F: FOLDER}}}}")
        gone = job("gone", f"- {{id: talk, run: '{GONE}', env: {{F: FOLDER}}}}")
        jobs = {"gone.yaml": gone, "late.yaml": late, "long.yaml": long, "twice.yaml": job("twice", TWICE)}
        made.create(
            {"here.yaml": HERE} | {name: text.replace("FOLDER", str(made.effects)) for name, text in jobs.items()}
        )
        made.up("--dashboard", "127.0.0.1:0")
        yield made


@pytest.fixture
def open_log(site: Site, browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens the log of a job that is asked for now."""
    context = browser.new_context()
    host, port = pages_of(site).place

    def opened(name: str) -> Page:
        site.request(name, f"jobRef: {name}")
        run = site.answered(name, "accepted")["run"]
        where, page = f"/runs/{run}/log?target=here&step=talk", context.new_page()
        site.wait(lambda: shown(site, where), what="the run")
        page.goto(f"http://{host}:{port}{where}")
        return page

    yield opened
    context.close()


def shown(site: Site, where: str) -> Any:
    return pages_of(site).ask(f"/api/v1{where}")[0] == 200


def test_a_log_is_followed_from_before_its_first_line(site: Site, open_log: Callable[[str], Page]) -> None:
    page = open_log("late")
    assert page.locator(".line").count() == 0
    (site.effects / "one").touch()
    expect(page.locator(".line")).to_have_text(["one"], timeout=PATIENCE)
    (site.effects / "two").touch()
    expect(page.locator(".line")).to_have_text(["one", "two"], timeout=PATIENCE)
    expect(page.locator("#following")).to_contain_text("The run has ended", timeout=PATIENCE)


def test_a_log_that_is_no_more_says_so(site: Site, open_log: Callable[[str], Page]) -> None:
    page = open_log("gone")
    expect(page.locator(".line")).to_have_text(["here"], timeout=PATIENCE)
    page.route("**/api/v1/runs/**", lambda route: route.fulfill(status=404, json={"error": "no such run"}))
    expect(page.locator("#stale")).to_contain_text("Gone since", timeout=PATIENCE)
    expect(page.locator("#following")).to_have_text("Nothing comes any more.")
    (site.effects / "gone").touch()


def test_the_lines_of_a_retry_are_not_mixed_with_those_before(site: Site, open_log: Callable[[str], Page]) -> None:
    page = open_log("twice")
    expect(page.locator(".line")).to_have_text(["old", "older"], timeout=PATIENCE)
    (site.effects / "again").touch()
    link = page.locator("#following a")
    link.wait_for(timeout=PATIENCE)
    assert page.locator(".line").all_inner_texts() == ["old", "older"]
    assert page.locator("#following").inner_text() == "Attempt 2 has begun. Look at it"
    link.click()
    expect(page.locator(".line")).to_have_text(["new"], timeout=PATIENCE)
    assert page.locator("nav.choices a").all_inner_texts() == ["attempt 1", "attempt 2"]
    (site.effects / "end").touch()
    expect(page.locator("#following")).to_contain_text("The run has ended", timeout=PATIENCE)


def test_the_address_of_a_line_leads_to_it_however_long_the_log_grows(
    browser: Browser, site: Site, open_log: Callable[[str], Page]
) -> None:
    """Without a first line and an attempt a page is of the last thousand lines of the last attempt."""
    page = open_log("long")
    link = page.locator("#L10 > a")
    link.wait_for(timeout=PATIENCE)
    (site.effects / "long").touch()
    expect(page.locator("#following")).to_contain_text("The run has ended", timeout=PATIENCE)
    newest = page.locator("ol.log li > a").last
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts)
        again = context.new_page()
        for one, text in ((link, "line 10"), (newest, "line 3010")):
            again.goto(urljoin(page.url, one.get_attribute("href") or ""))
            expect(again.locator(":target .line")).to_have_text(text)
        context.close()
