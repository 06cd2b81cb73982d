"""What of the dashboard is read elsewhere: a feed, badges, a screen on a wall; and the keys."""

from collections.abc import Iterator
from xml.etree import ElementTree as Xml

import feedparser
import pytest

from tests.acceptance.site import HERE, Site, job, prepared
from tests.acceptance.test_dashboard import Pages, pages_of

FLAKY = job("flaky", "- {id: look, run: 'test -e \"$EFFECTS/good\"', env: {EFFECTS: EFFECTS_HERE}}")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prepared(tmp_path_factory.mktemp("elsewhere")) as site:
        flaky = FLAKY.replace("EFFECTS_HERE", str(site.effects))
        site.create({"here.yaml": HERE, "flaky.yaml": flaky, "calm.yaml": job("calm", "- {id: go, run: 'true'}")})
        site.up("--dashboard", "127.0.0.1:0", "--public-url", "https://ops.example.org/")
        site.asked("first", "jobRef: flaky")
        yield site


@pytest.fixture(scope="module")
def pages(here: Site) -> Pages:
    return pages_of(here)


def test_the_feed_tells_of_failures_and_recoveries(here: Site, pages: Pages) -> None:
    """What fails again is told again; what goes on succeeding is not."""
    status, headers, text = pages.ask("/feed.atom")
    assert (status, headers["Content-Type"]) == (200, "application/atom+xml; charset=utf-8")
    before = feedparser.parse(text)
    assert [entry.title for entry in before.entries] == ["flaky: failed"]
    assert pages.data("/api/v1/wallboard")["headline"] == "1 failing"
    assert "flaky" in pages.page("/wallboard")
    badge = pages.ask("/badge/flaky.svg")
    assert badge[0] == 200 and badge[1]["Content-Type"].startswith("image/svg+xml")
    assert badge[1].get_all("Cross-Origin-Resource-Policy") == ["cross-origin"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert Xml.fromstring(badge[2]).get("aria-label") == "flaky: failed"

    (here.effects / "good").touch()
    for name in ("second", "third"):
        here.asked(name, "jobRef: flaky")
    after = feedparser.parse(pages.ask("/feed.atom")[2])
    assert not after.bozo and after.version == "atom10"
    assert [entry.title for entry in after.entries] == ["flaky works again", "flaky: failed"]
    assert after.entries[1].id == before.entries[0].id and after.feed.id == before.feed.id
    assert after.entries[0].link.startswith("https://ops.example.org/runs/")
    assert after.entries[0].link.endswith(f"/runs/{here.runs('flaky')[1]['metadata']['name']}")
    assert after.entries[0].updated == after.feed.updated
    assert pages.data("/api/v1/wallboard")["headline"] == "All is well"
    assert Xml.fromstring(pages.ask("/badge/flaky.svg")[2]).get("aria-label") == "flaky: succeeded"


def test_a_badge_of_what_is_not_there_says_so(pages: Pages) -> None:
    told = {name: Xml.fromstring(pages.ask(f"/badge/{name}.svg")[2]).get("aria-label") for name in ("calm", "x%3Cb%3E")}
    assert told == {"calm": "calm: no run yet", "x%3Cb%3E": "x<b>: unknown job"}


def test_badges_of_one_job_are_of_one_width(pages: Pages) -> None:
    from opsconductor.dashboard.pages.badge import badge

    widths = {Xml.fromstring(badge("a", state)).get("width") for state in ("succeeded", "timed out", "no run yet")}
    assert len(widths) == 1


def test_the_keys_are_named_and_lead_to_pages(pages: Pages) -> None:
    page = pages.page("/keys")
    for one in pages.data("/api/v1/keys")["keys"]:
        assert one["does"] in page
        assert one["href"] is None or pages.ask(one["href"])[0] == 200
        if one["keys"].startswith("g "):
            assert f'data-go="{one["keys"][2:]}"' in page


def test_the_search_of_the_header_needs_no_script(pages: Pages) -> None:
    assert '<form class="find" action="/kinds" method="get"' in pages.page("/")
    assert "calm" in pages.page("/kinds?q=calm")
