"""Pages from facts: templates of our own, every value escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from opsconductor.dashboard.assets import asset_address
from opsconductor.dashboard.celldrawing import bar
from opsconductor.dashboard.graphdrawing import drawing
from opsconductor.dashboard.stacking import stackable
from opsconductor.dashboard.values import STATES, amount, data, moment, quoted, took, visible


class _Pages(Environment):
    """Of the plain data that pages are made of, `one.name` is the key: a miss for an attribute costs as much again."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj and attribute not in _METHODS:
            return obj[attribute]
        return super().getattr(obj, attribute)


_METHODS = frozenset(dir(dict))
"""What a template calls of a mapping, whatever keys somebody's labels have."""


@cache
def _environment() -> Environment:
    environment = _Pages(
        loader=PackageLoader("opsconductor.dashboard"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        auto_reload=False,  # an upgrade under a running engine: its pages stay those that its facts are for
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "took": took,
        "bytes": amount,
        "moment": moment,
        "short": lambda commit: str(commit or "")[:12],
        "data": data,
        "quoted": quoted,
    }
    environment.globals |= {
        "shapes": STATES,
        "drawing": drawing,
        "bar": bar,
        "numbers": _numbers,
        "asset": asset_address,
    }
    return environment


def _numbers(count: int) -> range:
    return range(1, count + 1)


def page(template: str, **facts: Any) -> str:
    """A page of the dashboard as HTML."""
    return stackable(_environment().get_template(f"{template}.html").render(**facts))
