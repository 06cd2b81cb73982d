"""Badges on pages elsewhere: they are shown there, and nothing else of the dashboard is."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


def test_a_badge_is_shown_on_a_page_elsewhere(browser: Browser, address: str) -> None:
    pictures = f'<img src="{address}/badge/greet.svg"><img src="{address}/static/icon.svg">'

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html>{pictures}".encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://localhost:{server.server_port}/", wait_until="load")
        widths = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        page.context.close()
        server.shutdown()
    assert widths[0] > 0 and widths[1] == 0
