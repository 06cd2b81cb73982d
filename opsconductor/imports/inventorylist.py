"""What `ansible-inventory --list` and inventory programs print, as the mapping that an inventory in YAML is."""

from collections.abc import Mapping
from typing import Any

from opsconductor.imports.foreignyaml import Loaded, Path

_NAMING = ("hosts", "children")


def is_listed(data: Mapping[str, Any]) -> bool:
    """Whether groups name their hosts and children in lists, or the variables of all hosts stand in one place."""
    return "_meta" in data or any(map(_names_in_lists, data.values()))


def as_mappings(document: Loaded) -> Loaded:
    """The same inventory with hosts as mappings to their variables, each with the line where it was."""
    meta = document.data.get("_meta")
    given = meta.get("hostvars") if isinstance(meta, dict) else None
    hostvars: Mapping[str, Any] = given if isinstance(given, dict) else {}
    lines = dict(document.lines)
    groups: dict[str, Any] = {}
    for name, content in document.data.items():
        if name == "_meta":
            continue
        group = {"hosts": content} if isinstance(content, list) else content
        where: Path = (name,) if isinstance(content, list) else (name, "hosts")
        if isinstance(group, dict):
            group = {key: _named(value) if key in _NAMING else value for key, value in group.items()}
            _hosts(group, (name, "hosts"), where, hostvars, document, lines)
        groups[name] = group
    return Loaded(groups, lines, document.comments)


def _names_in_lists(group: object) -> bool:
    return isinstance(group, dict) and any(_is_names(group.get(key)) for key in _NAMING)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) in (str, int) for one in value)


def _named(value: Any) -> Any:
    """A list of names as a mapping of nothing; anything else as it is."""
    return {str(one): None for one in value} if _is_names(value) else value


def _hosts(
    group: dict[str, Any],
    path: Path,
    where: Path,
    hostvars: Mapping[str, Any],
    document: Loaded,
    lines: dict[Path, int],
) -> None:
    if not isinstance(hosts := group.get("hosts"), dict):
        return
    lines.setdefault(path, document.line(*where))
    group["hosts"] = {host: hostvars.get(host) if own is None else own for host, own in hosts.items()}
    for at, host in enumerate(hosts):
        lines.setdefault((*path, host), document.line(*where, at))
        values = hostvars.get(host)
        for key in values if isinstance(values, dict) else ():
            lines.setdefault((*path, host, key), document.line("_meta", "hostvars", host, key))
