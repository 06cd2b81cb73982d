"""What a model has at the places of a document: fields, their descriptions and examples, and what a key may mean."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.guesses import Names

Path = tuple[str | int, ...]

_MEANT = {
    **dict.fromkeys(("command", "cmd", "script", "exec"), "run"),
    **dict.fromkeys(("module", "action", "plugin", "use"), "uses"),
    **dict.fromkeys(("args", "arguments", "inputs"), "with"),
    **dict.fromkeys(("when", "condition", "only"), "if"),
    **dict.fromkeys(("loop", "with_items", "matrix"), "forEach"),
    **dict.fromkeys(("environment", "environ"), "env"),
    **dict.fromkeys(("cwd", "dir", "chdir", "directory"), "workingDir"),
    **dict.fromkeys(("retries", "attempts"), "retry"),
    **dict.fromkeys(("ignoreErrors", "ignore_errors", "allowFailure", "allow_failure"), "continueOnError"),
    **dict.fromkeys(("onFailure", "onError", "except", "catch"), "rescue"),
    **dict.fromkeys(("always", "cleanup", "post"), "finally"),
    **dict.fromkeys(("password", "secret", "token", "privateKey", "identityFile", "credentials"), "credentialRef"),
    **dict.fromkeys(("hosts", "nodes", "members"), "names"),
    **dict.fromkeys(("dependsOn", "depends_on", "after", "requires"), "needs"),
    **dict.fromkeys(("tz", "zone"), "timeZone"),
    **dict.fromkeys(("on", "source"), "event"),
    **dict.fromkeys(("exclude",), "except"),
    **dict.fromkeys(("variables",), "vars"),
    **dict.fromkeys(("tags",), "labels"),
    **dict.fromkeys(("capacity", "concurrency", "slots"), "maxRuns"),
    **dict.fromkeys(("days",), "dates"),
    **dict.fromkeys(("schedule", "crontab"), "cron"),
    **dict.fromkeys(("interval", "period"), "every"),
    **dict.fromkeys(("become_user", "sudo"), "become"),
    **dict.fromkeys(("vhost",), "virtualHost"),
    **dict.fromkeys(("url",), "baseUrl"),
}
"""What other programs call it; a hint only where the mapping has the field."""


class Fields:
    """The fields of the mappings in one document, as its model has them. `value` is looked at where models are many."""

    def __init__(self, model: type[BaseModel], value: Any) -> None:
        self.model = model
        self._value = value

    def of(self, path: Path) -> frozenset[str]:
        """The camelCase fields of what stands at a path."""
        return frozenset(info.alias or name for name, info in self._infos(path))

    def info(self, path: Path) -> FieldInfo | None:
        """The field that a path ends in; None for items of lists, and for keys that the author chooses."""
        if not path or not isinstance(path[-1], str):
            return None
        return next((info for name, info in self._infos(path[:-1]) if (info.alias or name) == path[-1]), None)

    def description(self, path: Path) -> str:
        """What the field at a path is for."""
        info = self.info(path)
        return (info.description or "") if info is not None else ""

    def meant(self, key: str, owner: Path) -> str:
        """The field of the same mapping that an unknown one probably is; "" where none is like it."""
        fields = sorted(self.of(owner))
        meant = _MEANT.get(key, "")
        return near(key, fields, 0.8) or (meant if meant in fields else near(key, fields))

    def elsewhere(self, key: str, owner: Path) -> Path | None:
        """Whose field it is, of those around and right below: what a wrong indentation looks like."""
        around = [owner[:end] for end in range(len(owner) - 1, -1, -1)]
        below = [(*owner, field) for field in sorted(self.of(owner))]
        places = (*around, ("spec",), ("metadata",), *below)
        return next((place for place in places if place != owner and key in self.of(place)), None)

    def example(self, path: Path) -> Any:
        """A value that may stand at a path, a copy of its own; None where none is known."""
        owner = path
        while owner and self.info(owner) is None:
            owner = owner[:-1]
        info = self.info(owner)
        found = _example(info) if info is not None else None
        for _ in path[len(owner) :]:
            inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
            found = next(iter(inner), None)
        return deepcopy(found)

    def options(self, path: Path) -> tuple[str, ...]:
        """The values of a field that takes one of a few texts."""
        infos = (info for name, info in self._infos(path[:-1]) if (info.alias or name) == path[-1])
        alternatives = (found for info in infos for found in _alternatives(info.annotation))
        return tuple(option for found in alternatives if get_origin(found) is Literal for option in get_args(found))

    def at(self, path: Path) -> Any:
        """The value at a path; None where there is none."""
        value = self._value
        try:
            for step in path:
                value = value[step]
        except (LookupError, TypeError):
            return None
        return value

    def _infos(self, path: Path) -> Iterator[tuple[str, FieldInfo]]:
        for model in _of_type(models_at(self.model, path), self.at(path)):
            yield from model.model_fields.items()


def _example(info: FieldInfo) -> Any:
    return info.examples[0] if info.examples else _sample(info.annotation)


def _sample(annotation: Any) -> Any:
    """The least that a type takes, but for what the validators of models ask for."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)[0]
    for found in _unwrapped(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel):
            required = ((info.alias or name, info) for name, info in found.model_fields.items() if info.is_required())
            return {name: _example(info) for name, info in required}
        if get_origin(found) in (tuple, list):
            return [_sample(get_args(found)[0])]
        if found is bool:
            return False
    return None


def near(word: str, options: Iterable[str], cutoff: float = 0.65) -> str:
    folded = {option.lower().replace("_", ""): option for option in options}
    found = Names(folded).near(word.lower().replace("_", "").replace("-", ""), cutoff)
    return folded[found] if found is not None else ""


def _of_type(models: tuple[type[BaseModel], ...], value: object) -> tuple[type[BaseModel], ...]:
    """Those of the models that the value means by its `type`; all of them where it names none."""
    named = value.get("type") if isinstance(value, dict) else None
    meant = tuple(
        model for model in models if "type" in model.model_fields
        and named in get_args(model.model_fields["type"].annotation)
    )  # fmt: skip
    return meant or models


def models_at(model: type[BaseModel], path: Path) -> tuple[type[BaseModel], ...]:
    here: list[Any] = [model]
    for step in path:
        here = [below for annotation in here for below in _below(annotation, step)]
    return tuple(dict.fromkeys(found for annotation in here for found in _models_in(annotation)))


def _below(annotation: Any, step: str | int) -> Iterator[Any]:
    for found in _unwrapped(annotation):
        origin = get_origin(found)
        if isinstance(found, type) and issubclass(found, BaseModel):
            for name, info in found.model_fields.items():
                if (info.alias or name) == step:
                    yield info.annotation
        elif origin in (tuple, list):
            yield get_args(found)[0]
        elif origin is dict:
            yield get_args(found)[1]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for found in _unwrapped(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel):
            yield found


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, those apart that are plain words."""
    return (found for found in _alternatives(annotation) if get_origin(found) is not Literal)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without Annotated, Optional and Union around them."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _alternatives(annotation.__origin__)
    else:
        yield annotation


@dataclass(frozen=True, slots=True)
class _Slot:
    """What may stand in a field: documents of models, lists of slots, mappings of slots by keys of the author's own."""

    optional: bool
    models: tuple[type[BaseModel], ...]
    items: "tuple[_Slot, ...]"
    values: "tuple[_Slot, ...]"


def nothings(value: dict[str, Any], model: type[BaseModel]) -> Iterator[Path]:
    """The places of a document where a field that may be left out is there without a value, in no special order.

    What authors fill freely is not looked into: there a null is data. Time and memory are linear in the document.
    """
    waiting: list[tuple[Path, Any, tuple[_Slot, ...]]] = [((), value, (_Slot(False, (model,), (), ()),))]
    while waiting:
        path, here, slots = waiting.pop()
        if isinstance(here, list):
            if items := tuple(item for slot in slots for item in slot.items):
                waiting += [((*path, index), below, items) for index, below in enumerate(here)]
        elif isinstance(here, dict):
            models = _of_type(tuple(found for slot in slots for found in slot.models), here)
            values = tuple(found for slot in slots for found in slot.values)
            for key, below in here.items():
                known = tuple(slot for found in models if (slot := _slots(found).get(key)) is not None)
                if below is None and any(slot.optional for slot in known):
                    yield *path, key
                elif isinstance(below, dict | list) and (known or values):
                    waiting.append(((*path, key), below, known or values))


@lru_cache(maxsize=256)
def _slots(model: type[BaseModel]) -> Mapping[str, _Slot]:
    """The fields of a model by the names that authors write."""
    return {info.alias or name: _slot(info.annotation) for name, info in model.model_fields.items()}


def _slot(annotation: Any) -> _Slot:
    found = tuple(_alternatives(annotation))
    return _Slot(
        type(None) in found,
        tuple(model for one in found for model in _models_in(one)),
        tuple(_slot(get_args(one)[0]) for one in found if get_origin(one) in (tuple, list)),
        tuple(_slot(get_args(one)[1]) for one in found if get_origin(one) is dict),
    )
