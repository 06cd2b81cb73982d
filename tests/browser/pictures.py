"""The pictures of the dashboard for people: `python -m tests.browser.pictures FOLDER`, called by `make pictures`.

The sample of `init` is made and started for real; a run of it fails, and a workflow waits for somebody.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import ViewportSize, sync_playwright

SIZE = ViewportSize(width=1280, height=760)
OF_A_RUN = ViewportSize(width=1280, height=1040)
"""As far as its targets over time."""
_PROGRAM = (sys.executable, "-m", "opsconductor.cli.main")
_LIMIT = 120.0
"""Seconds for each thing that is waited for."""


def main(folder: Path) -> None:
    """Write a picture of the first page, light and dark, and one of a run that failed."""
    with _shown() as address:
        failed = next(one["run"] for one in _asked(address, "now")["ended"] if one["state"] == "failed")
        _draw(address, {"dashboard": "/", "dashboard-run": f"/runs/{failed}"}, folder)


@contextmanager
def _shown() -> Iterator[str]:
    """The address of an engine at work on the sample, after something has happened there."""
    with tempfile.TemporaryDirectory(prefix="opsconductor-pictures-") as root:
        fleet, state, log = Path(root) / "fleet", Path(root) / "state", Path(root) / "log"
        subprocess.run([*_PROGRAM, "init", str(fleet), "--state", str(state)], check=True, stdout=subprocess.DEVNULL)
        often = fleet / "definitions" / "disk-space.yaml"  # so often that it would do well again before the picture
        often.write_text(often.read_text().replace("every: 30s", "every: 1h"))
        subprocess.run(["git", "-C", str(fleet), "commit", "-qam", "Look at the disks every hour"], check=True)
        with log.open("wb") as said:
            words = ("up", str(fleet), "--state", str(state), "--dashboard", "127.0.0.1:0")
            engine = subprocess.Popen([*_PROGRAM, *words], stdout=said, stderr=said)
        try:
            found = _until(lambda: re.search(r"listens address=(\S+)/", log.read_text()))
            address = found[1]
            _asks(fleet, "look-and-tidy")
            _until(lambda: _asked(address, "now")["gates"])
            _asks(fleet, "disk-space", "-p", "limit=1", "--wait")
            yield address
        finally:
            engine.terminate()
            engine.wait()


def _asks(fleet: Path, *words: str) -> None:
    """A person of no machine asks for a run; it may fail."""
    person = {f"GIT_{role}_NAME": "Ana" for role in ("AUTHOR", "COMMITTER")}
    person |= {f"GIT_{role}_EMAIL": "ana@example.org" for role in ("AUTHOR", "COMMITTER")}
    subprocess.run([*_PROGRAM, "run", *words, "--repo", str(fleet)], env={**os.environ, **person}, check=False)


def _asked(address: str, what: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{what}") as answer:
        return json.load(answer)


def _until(found: Any) -> Any:
    """What is there in the end; it is a matter of seconds."""
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        if seen := found():
            return seen
        time.sleep(0.2)
    raise TimeoutError("the sample did not come so far; call `make demo` and look")


def _draw(address: str, pages: dict[str, str], folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme, viewport=SIZE, locale="en-GB", timezone_id="Europe/Chisinau"
            )
            page = context.new_page()
            for name, path in pages.items() if scheme == "light" else [("dashboard-dark", "/")]:
                page.set_viewport_size(SIZE if path == "/" else OF_A_RUN)
                page.goto(address + path)
                page.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
