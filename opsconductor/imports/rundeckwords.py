"""Tokens, node filters and time limits in Rundeck's jobs, as expressions, selections and durations of ours."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconductor.imports.drafts import has_expression
from opsconductor.imports.naming import identifier, slug

_INLINE = re.compile(r"\$\{(option|unquotedoption|node|job|globals|data|execution)\.([^}\s$]{1,200})\}")
_QUOTED = re.compile(r"'(\$\{(?:option|unquotedoption|node|job)\.[^}\s'$]{1,200}\})'")
_AT = re.compile(r"@(option|unquotedoption|node|job|globals|data|execution)\.([^@\s]{1,200})@")
_KNOWN = {
    ("node", "name"): "target.name",
    ("node", "hostname"): "target.host",
    ("job", "name"): "job.name",
    ("job", "execid"): "run.id",
    ("job", "id"): "job.name",
}
_CONDITION = re.compile(r"(!?)([A-Za-z][A-Za-z0-9_.-]{0,99}):\s*", re.ASCII)
_LIMIT = re.compile(r"\s*(\d{1,8})\s*([dhms]?)", re.ASCII)
_WILD = re.compile(r"[*+?\\\[\](){}|^$/]")
_SYSTEMS = {"unix": "linux", "linux": "linux", "windows": "windows"}


class TokenError(ValueError):
    """A token stands for something that nothing here gives."""


def inlined(text: str, *, script: bool, barred: Collection[str] = ()) -> str:
    """A command (`${option.x}`) or script (`@option.x@`) with expressions. Raises TokenError.

    Options in `barred` have no param: another option has theirs.
    """
    if has_expression(text):
        raise TokenError("${{, which begins an expression here")

    def replaced(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if kind in ("option", "unquotedoption") and name not in barred:
            return f"${{{{ params.{identifier(name)} }}}}"
        if (kind, name) in _KNOWN:
            return f"${{{{ {_KNOWN[kind, name]} }}}}"
        raise TokenError(found[0])

    if not script:
        # quotes around the whole of it are Rundeck's own business; a value stands in double ones here
        text = _QUOTED.sub(r"\1", text)
    return (_AT if script else _INLINE).sub(replaced, text)


def limit(text: str) -> str | None:
    """A time limit, such as `120` seconds or `6h 30m`; None where it is none."""
    at, parts = 0, []
    while at < len(text.rstrip()):
        found = _LIMIT.match(text, at)
        if found is None:
            return None
        parts.append((found[2] or "s", int(found[1])))
        at = found.end()
    units = dict(parts)
    if len(units) != len(parts) or not any(units.values()):
        return None
    return "".join(f"{units[unit]}{unit}" for unit in "dhms" if units.get(unit))


@dataclass
class Filter:
    """A filter of nodes: what of it chooses here, and what labels it needs."""

    selection: dict[str, Any] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def selected(text: str) -> Filter:
    """`tags: web name: a,b !os-family: windows`; conditions must all hold, of the values of one any."""
    made = Filter()
    wanted, unwanted = _Side(), _Side()
    for negated, key, value in _conditions(text):
        _condition(made, unwanted if negated else wanted, key.lower(), value, text)
    made.selection = wanted.selection(made)
    if unwanted.labels or unwanted.expressions or unwanted.names:
        made.selection["exclude"] = unwanted.selection(made)
    return made


@dataclass
class _Side:
    names: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    expressions: list[dict[str, Any]] = field(default_factory=list)

    def selection(self, made: Filter) -> dict[str, Any]:
        found: dict[str, Any] = {"names": self.names} if self.names else {}
        if self.labels or self.expressions:
            selector = {"matchLabels": self.labels} if self.labels else {}
            found["selector"] = selector | ({"matchExpressions": self.expressions} if self.expressions else {})
            if self.names:
                made.lost.append("names together with other conditions choose all of both")
        return found or {"selector": {}}


def _conditions(text: str) -> list[tuple[bool, str, str]]:
    found = list(_CONDITION.finditer(text))
    first = text[: found[0].start()].strip() if found else text.strip()
    made = [(False, "name", first)] if first else []
    ends = [*(other.start() for other in found[1:]), len(text)]
    for one, after in zip(found, ends, strict=False):
        made.append((bool(one[1]), one[2], text[one.end() : after].strip()))
    return made


def _condition(made: Filter, side: _Side, key: str, value: str, text: str) -> None:
    if key in ("name", "nodename", "hostname") and value in (".*", "*"):
        return
    values = [part.strip() for part in value.split(",") if part.strip()]
    if key == "tags":
        for part in value.split("+"):
            names = [slug(one.strip(), "tag") for one in part.split(",") if one.strip()]
            made.labels += [f"tag-{name}: 'true'" for name in names]
            if len(names) == 1:
                side.labels[f"tag-{names[0]}"] = "true"
            else:
                label = f"tag-{'-or-'.join(names)}"
                made.labels[-len(names) :] = [f"{label}: 'true'"]
                side.labels[label[:63]] = "true"
    elif key in ("name", "nodename") and not any(_WILD.search(one) for one in values):
        side.names += [slug(one, "host") for one in values]
    elif key in ("os-family", "osfamily") and values and values[0].lower() in _SYSTEMS:
        made.labels.append(f"os-family: {values[0].lower()}")
        side.labels["os-family"] = values[0].lower()
    else:
        label = slug(f"{key}-{value}", "nodes")
        made.labels.append(f"rundeck-{label}: 'true'"[:80])
        side.labels[f"rundeck-{label}"[:63].rstrip("-.")] = "true"


def arguments(text: str) -> Mapping[str, str]:
    """Arguments of a job reference, `-name value -other "two words"`."""
    words = re.findall(r"\"([^\"]*)\"|'([^']*)'|(\S+)", text)
    flat = [next((part for part in word if part), "") for word in words]
    found: dict[str, str] = {}
    at = 0
    while at < len(flat):
        if flat[at].startswith("-") and len(flat[at]) > 1:
            value = flat[at + 1] if at + 1 < len(flat) else ""
            found[flat[at][1:]] = value
            at += 2
        else:
            at += 1
    return found
