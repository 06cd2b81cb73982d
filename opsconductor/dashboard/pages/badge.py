"""A job's or workflow's state as a small picture, for pages elsewhere."""

from html import escape

from engine.states import RunState
from engine.status.views import JobView
from journal import history
from opsconductor.dashboard.pages.page import Asked, File
from opsconductor.dashboard.sources import Sources
from opsconductor.dashboard.values import visible

_STATE_WIDTH = 92
"""The same for all states: who can only measure the picture learns nothing."""
_COLOURS = {"succeeded": "#1a6b34", "no run yet": "#57606a", "cancelled": "#8a4600", "unknown job": "#57606a"}
_BAD = "#b42318"
_LONGEST = 40


async def load(sources: Sources, asked: Asked) -> str:
    """Of what is not defined it says so: whoever shows the picture sees a mistyped name."""
    name, catalog = asked.path["job"], sources.engine.catalog
    if catalog is not None and (job := catalog.job_now(name)) is not None:
        past = await sources.journal.read(lambda conn: history.job(conn, job.name))
    elif catalog is not None and (workflow := catalog.workflow_now(name)) is not None:
        past = await sources.journal.read(lambda conn: history.workflow(conn, workflow.name))
    else:
        return badge(name, "unknown job")
    return badge(past.name, _state(past))


BADGE = File("/badge/{job}.svg", "image/svg+xml", load, elsewhere=True)


def _state(past: JobView) -> str:
    if past.last is None:
        return "no run yet"
    return "timed out" if past.last.state is RunState.TIMED_OUT else str(past.last.state)


def badge(name: str, state: str) -> str:
    """The picture, with its words for who does not see it."""
    shown = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    left = 16 + 7 * len(shown)
    whole, colour = left + _STATE_WIDTH, _COLOURS.get(state, _BAD)
    said, label = escape(str(visible(f"{name}: {state}"))), escape(str(visible(shown)))
    style = 'fill="#fff" font-family="system-ui,sans-serif" font-size="12" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="22" role="img" aria-label="{said}">'
        f'<title>{said}</title><rect width="{left}" height="22" fill="#3a424c"/>'
        f'<rect x="{left}" width="{_STATE_WIDTH}" height="22" fill="{colour}"/><g {style}>'
        f'<text x="{left / 2:g}" y="15" textLength="{left - 16}" lengthAdjust="spacingAndGlyphs">{label}</text>'
        f'<text x="{left + _STATE_WIDTH / 2:g}" y="15">{escape(state)}</text></g></svg>\n'
    )
