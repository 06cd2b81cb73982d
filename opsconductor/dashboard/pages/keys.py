"""The keys that a reader may press, where scripts are allowed."""

from engine.status.yamltext import stamp
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Sources

GO = {
    "n": ("/", "Now"),
    "g": ("/grid", "Grid"),
    "s": ("/schedule", "Schedule"),
    "t": ("/targets", "Targets"),
    "c": ("/sync", "Changes"),
    "h": ("/health", "Health"),
    "d": ("/kinds", "Definitions"),
    "w": ("/wallboard", "Wallboard"),
}
"""After a `g`, where each key leads."""


async def load(sources: Sources, _: Asked) -> Data:
    """Every key, and what it does."""
    keys: list[Data] = [{"keys": f"g {key}", "does": f"go to {name}", "href": to} for key, (to, name) in GO.items()]
    keys += [
        {"keys": "/", "does": "search the definitions", "href": None},
        {"keys": "?", "does": "show these keys", "href": "/keys"},
    ]
    return {"at": stamp(sources.clock.now()), "keys": keys}


PAGE = Page("/keys", "keys", load, gives=("keys",))
