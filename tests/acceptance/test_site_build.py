"""`site build`: the pages as files, which lead to each other and hold what the dashboard shows."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import HERE, Site, job
from tests.acceptance.test_dashboard import NASTY

FILES = {"here.yaml": HERE, "greet.yaml": job("greet", "- {id: greet, run: echo hello}"), "nasty.yaml": NASTY}


@pytest.fixture
def built(site: Any, tmp_path: Path) -> tuple[Site, Path]:
    """While the engine is at work."""
    made: Site = site(FILES)
    made.up()
    made.asked("first", "jobRef: greet")
    made.asked("second", "jobRef: nasty")
    folder = tmp_path / "site"
    done = made.run("site", "build", str(folder), "--state", str(made.state))
    assert done.returncode == 0, done.stderr
    return made, folder


def test_a_site_is_whole_and_leads_nowhere_else(built: tuple[Site, Path]) -> None:
    made, folder = built
    pages = sorted(folder.rglob("*.html"))
    greet, nasty = (made.runs(name)[0]["metadata"]["name"] for name in ("greet", "nasty"))
    wanted = (
        "index",
        "grid",
        "schedule",
        "targets",
        "targets/here",
        "sync",
        "kinds",
        "kinds/Job/greet",
        f"runs/{greet}",
    )
    for name in wanted:
        assert folder / f"{name}.html" in pages, name
    for page in pages:
        text = page.read_text()
        assert "<script" not in text and "<form" not in text, page
        for link in re.findall(r'\b(?:href|src)="([^"]*)"', text):
            there, _, anchor = unescape(link).replace("%40", "@").partition("#")
            assert not there.startswith("/"), (page, link)
            file = (page.parent / there).resolve() if there else page
            assert file.is_file() and file.is_relative_to(folder), (page, link)
            assert not anchor or file != page or f'id="{anchor}"' in text, (page, link)
    now = json.loads((folder / "api/v1/now.json").read_text())
    assert now["sync"]["appliedCommit"] == made.head("main")
    assert {one["run"] for one in now["ended"]} == {greet, nasty}
    assert any("hello" in page.read_text() for page in (folder / "runs" / greet).glob("log@*.html"))
    assert "<script>alert" not in (folder / f"runs/{nasty}.html").read_text()

    # again, in the place of the first, also by a link as web servers have it; and never in the place of anything else
    (made.root / "docroot").symlink_to(folder)
    inode = folder.stat().st_ino
    again = made.run("site", "build", str(made.root / "docroot"), "--state", str(made.state))
    assert again.returncode == 0, again.stderr
    assert (made.root / "docroot").is_symlink() and folder.stat().st_ino != inode
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".site")] == []
    (made.root / "mine").mkdir()
    (made.root / "mine" / "thesis.txt").touch()
    refused = made.run("site", "build", str(made.root / "mine"), "--state", str(made.state))
    assert (refused.returncode, (made.root / "mine" / "thesis.txt").exists()) == (1, True)
    assert "is no earlier site" in refused.stderr


def test_where_no_engine_has_worked_there_is_nothing_to_show(bare: Site, tmp_path: Path) -> None:
    refused = bare.run("site", "build", str(tmp_path / "site"), "--state", str(tmp_path / "nowhere"))
    assert refused.returncode == 1
    assert "name its state folder with --state DIR" in refused.stderr
    assert not (tmp_path / "site").exists()
