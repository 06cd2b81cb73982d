"""What failed and what works again, as an Atom feed (RFC 4287)."""

from uuid import UUID, uuid5
from xml.etree import ElementTree as Xml

from engine.status.views import RunBrief
from engine.status.yamltext import stamp
from journal import breakages
from opsconductor.dashboard.pages.page import Asked, File
from opsconductor.dashboard.sources import Sources
from opsconductor.dashboard.values import visible

_NAMESPACE = "http://www.w3.org/2005/Atom"
_IDS = UUID("6f5c1a5e-6d0b-5b5f-9d6b-2f6f1d9b7a10")
_MOST = 50


async def load(sources: Sources, asked: Asked) -> str:
    """The newest failures and recoveries, however many runs succeeded since."""
    found = await sources.journal.read(lambda conn: breakages.news(conn, _MOST))
    catalog = sources.engine.catalog
    name = catalog.project.name if catalog is not None else "OpsConductor"
    at = found[0][0].finished_at if found else sources.clock.now()
    feed = Xml.Element("feed", xmlns=_NAMESPACE)
    _say(feed, "id", uuid5(_IDS, name).urn)
    _say(feed, "title", f"{name}: failures and recoveries")
    _say(feed, "updated", stamp(at or sources.clock.now()))
    _say(Xml.SubElement(feed, "author"), "name", "OpsConductor")
    Xml.SubElement(feed, "link", rel="self", type="application/atom+xml", href=f"{asked.base}feed.atom")
    Xml.SubElement(feed, "link", rel="alternate", type="text/html", href=asked.base)
    for run, recovered in found:
        _entry(feed, run, asked.base, recovered=recovered)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(feed, encoding="unicode") + "\n"


FEED = File("/feed.atom", "application/atom+xml; charset=utf-8", load)


def _entry(feed: Xml.Element, run: RunBrief, base: str, *, recovered: bool) -> None:
    entry = Xml.SubElement(feed, "entry")
    ended = stamp(run.finished_at or run.queued_at)
    _say(entry, "id", uuid5(_IDS, run.id).urn)
    _say(entry, "title", f"{run.job} works again" if recovered else f"{run.job}: {run.state}")
    _say(entry, "updated", ended)
    _say(entry, "published", ended)
    Xml.SubElement(entry, "link", rel="alternate", type="text/html", href=f"{base}runs/{run.id}")
    more = f" and {run.failures - len(run.failed)} more" if run.failures > len(run.failed) else ""
    where = f" on {', '.join(run.failed)}{more}" if run.failed else ""
    why = f": {run.reason}" if run.reason else ""
    said = "It succeeded after a failure." if recovered else f"It ended as {run.state}{where}{why}."
    _say(entry, "summary", f"{said} Run {run.id}, started by {run.cause_kind} {run.cause_name}.")


def _say(parent: Xml.Element, name: str, text: str) -> None:
    Xml.SubElement(parent, name).text = str(visible(text))
