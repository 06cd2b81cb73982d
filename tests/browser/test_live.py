"""Pages that stay open: they are taken in anew, ask again for events, and keep what somebody has opened."""

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.acceptance.site import Site

pytestmark = pytest.mark.slow


def stop_the_clock(page: Page) -> None:
    """Time passes for the page when the test says so: a machine that is busy is no half a minute."""
    page.clock.install(time="2026-11-22T08:00:00Z")
    page.clock.pause_at("2026-11-22T08:00:10Z")


def test_what_only_time_makes_true_is_taken_in_after_half_a_minute(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.route("**/events", lambda route: None)  # nothing is ever told
    stop_the_clock(page)
    page.goto(f"{address}/kinds")
    asked: list[str] = []  # of the page itself: its icon, and who asks for events, may come late
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(29_000)
    assert f"{address}/kinds" not in asked
    with page.expect_response(f"{address}/kinds"):
        page.clock.fast_forward(2_000)
    page.context.close()


def test_a_page_that_is_no_more_says_so_and_does_not_stand_as_if_it_were(browser: Browser, address: str) -> None:
    """As that of a run that retention has removed, and of one that the token is not good for any more."""
    page = browser.new_page()
    status = [404]
    stop_the_clock(page)
    page.goto(f"{address}/kinds")
    page.route("**/kinds", lambda route: route.fulfill(status=status[0], body="no such thing"))
    page.clock.fast_forward(31_000)
    page.wait_for_selector("#stale")
    said = page.inner_text("#stale")
    assert said.startswith("Gone since ") and said.endswith("What stands here is from before.")
    assert page.evaluate("document.documentElement.dataset.stale") == "true"
    status[0] = 401
    page.clock.fast_forward(31_000)
    page.wait_for_selector("#stale[data-kind='status 401']")
    assert "(status 401)" in page.inner_text("#stale")
    page.unroute("**/kinds")
    page.clock.fast_forward(31_000)
    page.wait_for_selector("#stale", state="detached")
    page.context.close()


def test_who_finds_no_room_to_follow_asks_again(browser: Browser, address: str) -> None:
    """A browser gives up where it is answered by 503; the page does not, and says meanwhile how current it is."""
    page = browser.new_page()
    full = [True]

    def answer(route: Route) -> None:
        if full.pop() if full else False:
            route.fulfill(status=503, headers={"Retry-After": "30"}, body="all places are taken")
        else:
            route.continue_()

    page.route("**/events", answer)
    stop_the_clock(page)
    page.goto(f"{address}/kinds")
    page.wait_for_selector("#stale[data-kind=alone]")
    assert page.inner_text("#stale").endswith("it is taken in anew every 30 seconds.")
    assert page.evaluate("document.documentElement.dataset.stale") is None, "what stands here is current"
    with page.expect_request("**/events"):
        page.clock.fast_forward(31_000)
    page.wait_for_selector("#stale", state="detached")
    page.context.close()


TOLD = """
window.EventSource = class extends EventTarget {
  static OPEN = 1; static CLOSED = 2; readyState = 1;
  constructor() { super(); window.told = this; }
  close() {}
};
"""
"""Events come when the test says so."""


def test_however_much_happens_a_page_asks_for_itself_every_two_seconds(browser: Browser, address: str) -> None:
    """A hundred pages are told at once: each would ask four times a second, and all at the same moment."""
    page = browser.new_page()
    page.add_init_script(TOLD)
    stop_the_clock(page)
    page.goto(f"{address}/kinds")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tell = "for (let index = 0; index < 5; index++) told.dispatchEvent(new Event('changed'))"
    page.evaluate(tell)
    with page.expect_response(f"{address}/kinds"):
        page.clock.fast_forward(600)
    page.evaluate(tell)
    page.clock.fast_forward(1_000)
    assert asked.count(f"{address}/kinds") == 1
    with page.expect_response(f"{address}/kinds"):
        page.clock.fast_forward(1_600)
    assert asked.count(f"{address}/kinds") == 2
    page.context.close()


def test_what_somebody_opened_stays_open(browser: Browser, address: str, site: Site) -> None:
    page = browser.new_page()
    page.goto(f"{address}/jobs/greet")
    details = page.locator("main details").first
    assert details.get_attribute("open") is None
    details.locator("summary").click()
    before = page.inner_html("#runs + *")
    site.asked(f"open-{page.evaluate('Date.now()')}", "jobRef: greet")
    page.wait_for_function("before => document.querySelector('#runs + *').innerHTML !== before", arg=before)
    assert details.get_attribute("open") is not None
    details.locator("summary").click()
    before = page.inner_html("#runs + *")
    site.asked(f"shut-{page.evaluate('Date.now()')}", "jobRef: greet")
    page.wait_for_function("before => document.querySelector('#runs + *').innerHTML !== before", arg=before)
    assert details.get_attribute("open") is None
    page.context.close()
