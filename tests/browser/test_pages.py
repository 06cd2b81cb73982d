"""Every page that a reader can come to: accessible in both schemes, narrow enough for a phone, and only ever text."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urldefrag, urljoin, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Dialog, Page, Response, ViewportSize

from opsconductor.dashboard.pages import PAGES as PAGES_THERE
from tests import node_programs
from tests.acceptance.site import Site
from tests.browser.conftest import OWNED

pytestmark = pytest.mark.slow

EACH = 3
"""Of pages with one shape of address, such as the runs, so many are visited."""
PAGES = 200
WIDE, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=360, height=740)
AXE = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Visitor:
    """A page of the browser that notes what goes wrong on the way."""

    page: Page
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._note(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self._note(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note(self, what: str) -> None:
        self.troubles.append(f"{self.page.url}: {what}")

    def open(self, address: str) -> Response:
        answer = self.page.goto(address, wait_until="load")
        assert answer is not None
        return answer


@pytest.fixture(params=["light", "dark"])
def visitor(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    context = browser.new_context(color_scheme=request.param, viewport=WIDE, reduced_motion="reduce")
    yield Visitor(context.new_page())
    context.close()


def shape(address: str) -> str:
    """`/runs/*/log` for the log of any run."""
    parts = urlsplit(address)
    first, *rest = parts.path.strip("/").split("/")
    kept = rest[:1] if first == "kinds" else []
    return "/".join([first, *kept, *("log" if part == "log" else "*" for part in rest[len(kept) :])])


def general(shape: str) -> str:
    """`kinds/*/*` for any kind."""
    return re.sub(r"^kinds/[^/]+", "kinds/*", shape)


def crawl(visitor: Visitor, start: str) -> Iterator[str]:
    """The pages that links lead to, each open in the visitor's page when it is given."""
    seen, found, left = {start}, Counter[str](), deque([start])
    for _ in range(PAGES):
        if not left:
            return
        address = left.popleft()
        answer = visitor.open(address)
        assert answer.status == 200, address
        yield address
        links: list[str] = visitor.page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
        for link in links:
            there = urldefrag(urljoin(address, link)).url
            ours = there.startswith(start) and not re.match(
                r"/(api|badge|feed|schedule\.ics|metrics|runs/[^/]+/log\.txt)", urlsplit(there).path
            )
            if ours and there not in seen and found[shape(there)] < EACH:
                seen.add(there)
                found[shape(there)] += 1
                left.append(there)


def test_every_page_is_accessible_and_nothing_in_it_is_executed(visitor: Visitor, address: str) -> None:
    """axe finds nothing, the console is silent, and what jobs print is text."""
    axe = (node_programs.module("axe-core") / "axe.min.js").read_text()
    broken, visited = [], []
    for here in crawl(visitor, address + "/"):
        visited.append(shape(here))
        # The page's own policy keeps scripts out that are not its own: the browser puts this one in from outside.
        visitor.page.evaluate(axe)
        found = visitor.page.evaluate(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
        )
        broken += [
            f"{here}: {one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]
        assert OWNED not in visitor.page.title()
    assert broken == [], "\n".join(broken)
    assert visitor.troubles == []
    assert {general(shape(each.path)) for each in PAGES_THERE} - {general(one) for one in visited} == set()


def test_every_page_fits_on_a_phone_and_is_accessible_there(visitor: Visitor, address: str) -> None:
    visitor.page.set_viewport_size(PHONE)
    axe = (node_programs.module("axe-core") / "axe.min.js").read_text()
    wide, broken = [], []
    searched = [f"{address}/{page}" for page in ("kinds?q=greet", "targets?q=here")]
    for here in (*crawl(visitor, address + "/"), *searched):
        if here in searched:
            visitor.open(here)
        if (width := visitor.page.evaluate("document.documentElement.scrollWidth")) > PHONE["width"]:
            wide.append((here, width))
        visitor.page.evaluate(axe)
        found = visitor.page.evaluate(AXE, RULES)
        broken += [(here, one["id"], node["html"][:160]) for one in found["violations"] for node in one["nodes"]]
    assert wide == []
    assert broken == [], "axe finds nothing there either"


def test_on_a_phone_nothing_of_a_table_is_beside_the_screen(visitor: Visitor, address: str, site: Site) -> None:
    """Why something failed stands in a column on the right: there it is a line of its own, with its name."""
    visitor.page.set_viewport_size(PHONE)
    run = site.runs("nasty")[-1]["metadata"]["name"]
    for where, label in (("/", "Why"), (f"/runs/{run}", "What it said"), ("/schedule", "What happens")):
        visitor.open(address + where)
        cells = visitor.page.locator(f"td[data-label='{label}']")
        assert cells.count() > 0, where
        for cell in cells.all():
            box = cell.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]), (where, box)
        shown = cells.first.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert label in shown, shown


def test_the_keyboard_reaches_the_content_first_and_then_every_link(visitor: Visitor, address: str) -> None:
    visitor.open(address + "/")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    visitor.page.keyboard.press("Enter")
    assert visitor.page.evaluate("document.activeElement.id") == "main"
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.closest('main') !== null")


def test_the_page_follows_what_happens(visitor: Visitor, address: str, site: Site) -> None:
    """Without a reload: a run that is asked for while the page is open appears in it."""
    visitor.open(address + "/")
    site.asked(f"watched-{visitor.page.evaluate('Date.now()')}", "jobRef: greet")
    newest = site.runs("greet")[-1]["metadata"]["name"]
    visitor.page.wait_for_selector(f"a[href='/runs/{newest}']")
    assert visitor.troubles == []


def test_what_somebody_does_outlasts_what_happens(visitor: Visitor, address: str, site: Site) -> None:
    """Typed letters stay, and so does the place of whoever goes by keyboard; single letters lead nowhere."""
    page = visitor.page
    page.goto(f"{address}/grid")
    page.keyboard.press("t")
    field = page.locator("main input:not([type=hidden])").first
    field.fill("gre")
    with page.expect_response(lambda answer: answer.url == f"{address}/grid"):
        site.asked(f"typing-{page.evaluate('Date.now()')}", "jobRef: greet")
    assert (field.input_value(), page.url) == ("gre", f"{address}/grid")
    page.goto(f"{address}/")
    link = page.locator("main a[href='/jobs/greet']").first
    link.focus()
    before = page.inner_html("main")
    site.asked(f"there-{page.evaluate('Date.now()')}", "jobRef: greet")
    page.wait_for_function("before => document.getElementById('main').innerHTML !== before", arg=before)
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/jobs/greet"


def test_more_pages_than_a_browser_has_connections_are_open_at_once(browser: Browser, address: str) -> None:
    """Those that nobody sees hold none; what is shown again is up to date again."""
    context = browser.new_context()
    context.add_init_script(
        "let hides = false; Object.defineProperty(document, 'hidden', {get: () => hides});"
        "addEventListener('hide', () => { hides = true; document.dispatchEvent(new Event('visibilitychange')); });"
        "addEventListener('show', () => { hides = false; document.dispatchEvent(new Event('visibilitychange')); });"
    )
    pages = []
    for _ in range(8):
        page = context.new_page()
        page.goto(address + "/health", timeout=20_000)
        pages.append(page)
        page.evaluate("dispatchEvent(new Event('hide'))")
    with (
        pages[0].expect_request(lambda asked: asked.url.endswith("/events")),
        pages[0].expect_response(lambda answer: answer.url.endswith("/health")),
    ):
        pages[0].evaluate("dispatchEvent(new Event('show'))")
    context.close()


def test_a_page_that_is_not_connected_says_so_until_it_is(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(address + "/wallboard")
    before = page.screenshot()
    page.route("**/events", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
    page.wait_for_selector("#stale")
    assert page.inner_text("#stale").startswith("Not connected since ")
    assert page.screenshot() != before
    page.unroute("**/events")
    page.wait_for_selector("#stale", state="detached")
    assert page.evaluate("document.documentElement.dataset.stale") is None
    context.close()


def test_everything_is_there_without_scripts(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=WIDE)
    page = context.new_page()
    page.goto(address + "/")
    page.get_by_role("link", name=re.compile("nasty-")).first.click()
    assert page.get_by_role("heading", level=1).is_visible()
    page.get_by_role("link", name=re.compile("log", re.IGNORECASE)).first.click()
    assert "<script>document.title='owned'</script>" in page.inner_text("main")
    context.close()


def test_times_are_in_the_readers_zone_and_unmistakable(browser: Browser, address: str, site: Site) -> None:
    """A date that one half of the world reads as another day is no date."""
    context = browser.new_context(locale="en-US", timezone_id="Australia/Adelaide", viewport=WIDE)
    page = context.new_page()
    page.goto(address + "/")
    shown = page.locator("#live")
    instant = datetime.fromisoformat(shown.locator("time").get_attribute("datetime") or "")
    local = instant.astimezone(ZoneInfo("Australia/Adelaide"))
    assert shown.inner_text() == f"as of {local:%Y-%m-%d %H:%M:%S} Australia/Adelaide"
    page.goto(f"{address}/runs/{site.runs('release')[-1]['metadata']['name']}")
    waits = page.locator("td", has_text="waits for people until").first.inner_text()
    assert re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", waits), waits
    context.close()
