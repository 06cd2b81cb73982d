"""What is shown to be copied: it fits, it is accessible once opened, and a button copies exactly what is shown."""

import pytest
from playwright.sync_api import Browser

from tests import node_programs
from tests.acceptance.site import Site
from tests.browser.test_pages import AXE, PHONE, RULES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_change_is_copied_as_it_is_shown(browser: Browser, address: str, site: Site, scheme: str) -> None:
    run = site.runs("nasty")[0]["metadata"]["name"]
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(color_scheme=scheme, viewport=PHONE, permissions=permissions)  # type: ignore[arg-type]
    page = context.new_page()
    for path in (f"/runs/{run}", "/jobs/nasty", "/kinds/Schedule/nightly"):
        page.goto(address + path)
        for summary in page.locator("details.act > summary").all():
            summary.click()
        block = page.locator("details.act pre.copy").last
        page.locator("button.copier").last.click()
        page.wait_for_function(
            "document.querySelectorAll('button.copier')[0] && "
            "[...document.querySelectorAll('button.copier')].at(-1).textContent === 'Copied'"
        )
        assert page.evaluate("navigator.clipboard.readText()") == block.text_content()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.evaluate((node_programs.module("axe-core") / "axe.min.js").read_text())
        assert page.evaluate(AXE, RULES)["violations"] == []
    context.close()
