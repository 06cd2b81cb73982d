"""The bars of the grid, which no template writes: what is text in them stays text."""

from typing import Any
from xml.etree import ElementTree as Xml

from markupsafe import Markup

from opsconductor.dashboard.celldrawing import bar


def cell(**more: Any) -> dict[str, Any]:
    return {
        "run": "rotate-20261121T001500Z-9f31c2a07b", "state": "succeeded", "began": "2026-11-21T00:15:00Z",
        "seconds": 3.25, "reason": None, "commit": "0123456789abcdef", "changed": False, "x": 12.5, "height": 9.0,
    } | more  # fmt: skip


def read(made: Markup) -> Xml.Element:
    return Xml.fromstring(f"<svg>{made}</svg>")


def test_a_bar_leads_to_its_run_and_says_what_became_of_it() -> None:
    (link,) = read(bar(cell()))
    assert link.get("href") == "/runs/rotate-20261121T001500Z-9f31c2a07b" and link.get("class") == "succeeded"
    title, rect = link
    assert title.text == "succeeded, 2026-11-21 00:15:00 UTC, 3.2s"
    assert (rect.get("x"), rect.get("y"), rect.get("height")) == ("12.5%", "19.0", "9.0")


def test_what_did_not_succeed_has_a_sign_and_its_reason() -> None:
    title, _, sign = read(bar(cell(state="dry run", seconds=None, reason="queueTimeout")))[0]
    assert (title.text, sign.text) == ("dry run, 2026-11-21 00:15:00 UTC: queueTimeout", "≈")


def test_a_commit_that_changed_the_job_is_marked() -> None:
    line, _ = read(bar(cell(changed=True)))
    assert (line.get("class"), line[0].text) == ("changed", "commit 0123456789ab changed what it does")


def test_what_others_have_written_is_no_markup_and_hides_nothing() -> None:
    nasty = "</title><script>alert(1)</script>\"'& \u202etxt\x1b[2J"
    made = bar(cell(run=f"x{nasty}", state=f"failed{nasty}", reason=nasty, commit=nasty, changed=True))
    assert "<script" not in made and "\u202e" not in made and "\x1b" not in made
    line, link = read(made)
    assert line[0].text is not None and "<script" not in made
    assert link[0].text is not None and link[0].text.endswith("</title><script>alert(1)</script>\"'& �txt�[2J")
    assert {part.tag for part in link} == {"title", "rect", "text"}
