"""A job as Rundeck exports it: its parts, wherever older and newer versions put them, and the line of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsconductor.imports.drafts import Place
from opsconductor.imports.foreignyaml import Loaded, Path
from opsconductor.imports.naming import identifier, slug

_TRUE = ("true", "yes", "1")


@dataclass(frozen=True, slots=True)
class RundeckJob:
    """A job of Rundeck, where it stands, and what it is called here."""

    file: str
    loaded: Loaded
    path: Path
    data: Mapping[str, Any]
    name: str

    def place(self, *path: str | int) -> Place:
        return Place(self.file, self.loaded.line(*self.path, *path))

    @property
    def commands(self) -> list[tuple[Mapping[str, Any], Place]]:
        sequence = self.data.get("sequence")
        found = sequence.get("commands") if isinstance(sequence, dict) else sequence
        listed = found if isinstance(found, list) else []
        where = ("sequence", "commands") if isinstance(sequence, dict) else ("sequence",)
        return [(one if isinstance(one, dict) else {}, self.place(*where, at)) for at, one in enumerate(listed)]

    @property
    def options(self) -> list[tuple[Mapping[str, Any], Place]]:
        found = self.data.get("options")
        if isinstance(found, dict):
            return [
                ({"name": key, **value}, self.place("options", key))
                for key, value in found.items()
                if isinstance(value, dict)
            ]
        listed = found if isinstance(found, list) else []
        return [(one, self.place("options", at)) for at, one in enumerate(listed) if _is_option(one)]

    @property
    def strange(self) -> list[tuple[str, Place]]:
        """What stands where Rundeck has something of another form, and is none of what is read."""
        forms: dict[str, tuple[type, ...]] = dict.fromkeys(("schedule", "notification", "nodefilters"), (dict,))
        found = [
            (key, self.place(key))
            for key, form in (forms | {"options": (dict, list)}).items()
            if self.data.get(key) not in (None, "", []) and not isinstance(self.data[key], form)
        ]
        options = self.data.get("options")
        if isinstance(options, list):
            found += [("option", self.place("options", at)) for at, one in enumerate(options) if not _is_option(one)]
        elif isinstance(options, dict):
            found += [
                ("option", self.place("options", key)) for key, one in options.items() if not isinstance(one, dict)
            ]
        return found

    @property
    def refers(self) -> bool:
        return any("jobref" in one and is_on(one) for one, _ in self.commands)


def _is_option(one: object) -> bool:
    return isinstance(one, dict) and "name" in one


def quartz_fields(asked: Mapping[str, Any]) -> list[str]:
    """The fields of a schedule, however they are written."""
    if isinstance(text := asked.get("crontab"), str):
        return text.split()
    time = asked.get("time") if isinstance(asked.get("time"), dict) else {}
    assert isinstance(time, dict)
    of = {
        key: asked[key].get("day") if isinstance(asked[key], dict) else asked[key]
        for key in ("dayofmonth", "weekday")
        if key in asked
    }
    month = asked.get("month")
    parts = (
        time.get("seconds", "0"), time.get("minute", "0"), time.get("hour", "0"), of.get("dayofmonth", "*"),
        month if month is not None else "*", of.get("weekday", "?"), asked.get("year") or "*",
    )  # fmt: skip
    return [str(part).replace(" ", "") or "*" for part in parts]


def variable(option: str) -> str:
    """Under which scripts find an option in their environment."""
    return f"RD_OPTION_{identifier(option).upper()}"


def barred(job: RundeckJob) -> frozenset[str]:
    """Options that are not carried, since another one has their name here, or a secret their variable.

    Of two options that are called the same the first one counts, as what refers to them means it. Nor are secret ones
    of a job that refers to others: a Workflow hands no secret on to its Jobs.
    """
    params: dict[str, str] = {}
    variables: dict[str, tuple[str, bool]] = {}
    found = set()
    for option, _ in job.options:
        name, secret = str(option["name"]), is_true(option.get("secure"))
        owner, is_secret = variables.get(variable(name), (name, False))
        if params.get(identifier(name), name) != name or (owner != name and (secret or is_secret)):
            found.add(name)
        else:
            params[identifier(name)] = name
            variables.setdefault(variable(name), (name, secret))
    if job.refers:
        found |= {str(one["name"]) for one, _ in job.options if is_true(one.get("secure"))}
    return frozenset(found)


def labels_of(job: RundeckJob) -> dict[str, str]:
    group = job.data.get("group")
    return {"group": slug(str(group).replace("/", "."), "group")} if group else {}


def is_true(value: object) -> bool:
    return str(value).lower() in _TRUE


def is_on(command: Mapping[str, Any]) -> bool:
    """Whether a command of a job runs: any may be switched off."""
    return str(command.get("enabled", True)).lower() != "false"


def is_empty(value: Any) -> bool:
    """Whether nothing is in it, at any depth: Rundeck exports what nobody filled."""
    return value in (None, "", []) or (isinstance(value, dict) and all(is_empty(one) for one in value.values()))
