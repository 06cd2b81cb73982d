"""The pictures of the README: `python -m tests.browser.pictures ADDRESS docs/pictures`, while `make demo` runs."""

import json
import shutil
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

SIZE = ViewportSize(width=1280, height=760)


def main(address: str, folder: Path) -> None:
    """Write a picture of some pages of the engine that shows itself there; the first one also in dark."""
    with urllib.request.urlopen(f"{address}/api/v1/now") as answer:
        newest = json.load(answer)["ended"][0]["run"]
    pages = {"dashboard": "/", "dashboard-run": f"/runs/{newest}"}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme, viewport=SIZE, locale="en-GB", timezone_id="Europe/Chisinau"
            )
            page = context.new_page()
            for name, path in pages.items() if scheme == "light" else [("dashboard-dark", "/")]:
                page.goto(address + path)
                page.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
