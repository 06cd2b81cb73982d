"""The reference of the language, told by its own models: `python -m opsconductor.reference FOLDER` writes it."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from opsconductor.authoring.libraryreference import library_pages
from opsconductor.metrics.page import metrics_page
from schemas.codes import CODES
from schemas.kinds import MODELS, NOT_ACTED_ON
from schemas.publish import schema
from schemas.quantities import format_duration
from schemas.status import NOT_WRITTEN, STATUS_MODELS
from schemas.steps import STEP_TYPES, StepType, every_step_type

_EVERY_KIND: Mapping[str, type[BaseModel]] = {**MODELS, **STATUS_MODELS}
_TEXTS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping", list: "list"}


def explain_code(code: str) -> str | None:
    """The page of a code; None for a code that does not exist."""
    if code not in CODES:
        return None
    page = files("opsconductor") / "pages" / "codes" / f"{code}.md"
    source = Path(__file__).resolve().parents[1] / CODES[code].page
    text = page.read_text("utf-8") if page.is_file() else source.read_text("utf-8")
    return text.rstrip()


def explain_step_type(what: str) -> str | None:
    """What a step type takes; None where there is none of that name."""
    found = STEP_TYPES.get(what.lower())
    if found is None:
        return None
    called = f" (also: {', '.join(found.aliases)})" if found.aliases else ""
    lines = [f"uses: {found.name}{called}", f"  {found.description}"]
    lines += ["  This version checks it, and does not run it yet."] if found.planned else []
    lines += [f"  for example: with: {_written(dict(shown))}" for shown in found.examples]
    width = max(map(len, found.inputs), default=0)
    for name, taken in found.inputs.items():
        needed = ", required" if name in found.required else ""
        lines += ["", f"  {name:<{width}}  {_input_type(taken)}{needed}", f"  {'':<{width}}  {taken['description']}"]
    return "\n".join([*lines, *(f"  {rule}" for rule in ("", *_input_rules(found)))])


def explain_kind(what: str) -> str | None:
    """A kind, or a field of it by its path (`Job.spec.steps`), in whatever case; None where there is no such thing.

    Which item of a list is meant does not matter: `Job.spec.steps[0].run` and `Job.spec.steps.0.run` are the same.
    """
    first, *path = _steps_of(what)
    kind = next((name for name in _EVERY_KIND if name.lower() == first.lower()), None)
    if kind is None:
        return None
    models: tuple[type[BaseModel], ...] = (_EVERY_KIND[kind],)
    lines = [f"{kind}: {_doc(_EVERY_KIND[kind])}"]
    lines += ["  The engine writes it to the status branch."] if kind in STATUS_MODELS else []
    lines += [f"  This version does not write it yet: {NOT_WRITTEN[kind]}."] if kind in NOT_WRITTEN else []
    said = kind
    for step in path:
        found = _field(models, step)
        if found is None:
            return None
        name, info = found
        said = f"{said}.{name}"
        lines = [f"{said}: {_type(info.annotation, info)}{_default(info)}", f"  {info.description or ''}".rstrip()]
        lines += [f"  for example: {name}: {_written(shown)}" for shown in info.examples or ()]
        models = tuple(_models(info.annotation))
    rows = [row for model in models for row in _rows(model)]
    width = max((len(name) for name, *_ in rows), default=0)
    below = [f"  {name:<{width}}  {kind_of}{default}\n  {'':<{width}}  {text}" for name, kind_of, default, text in rows]
    return "\n".join([*lines, *(["", *below] if below else [])])


_OF_STATUS = """\
Only the engine writes these. A later version may add keys to them and drops none, so a program that reads them passes
over keys that it does not know.
"""


def kinds_page() -> str:
    """All kinds with their fields, as one page of Markdown."""
    parts = [
        "# Kinds\n",
        "<!-- Written by `make docs` from the models. -->\n",
        "Every field of every document this version reads. `opsconductor explain KIND.path` shows the same in a",
        "terminal, `opsconductor schema` as JSON Schema for editors.\n",
        *([f"Checked, and not acted on yet: {', '.join(NOT_ACTED_ON)}.\n"] if NOT_ACTED_ON else []),
    ]
    for kind, model in MODELS.items():
        parts += [f"## {kind}\n", f"{_doc(model)}\n", *_tables(model, kind)]
    parts += ["## Step types\n", "What `uses` of a step may name.\n", *_step_types()]
    parts += ["## Kinds of the status branch\n", _OF_STATUS]
    parts += [f"Not written yet: {', '.join(NOT_WRITTEN)}.\n"] if NOT_WRITTEN else []
    for kind, written in STATUS_MODELS.items():
        parts += [f"## {kind}\n", f"{_doc(written)}\n", *_tables(written, kind)]
    return "\n".join(parts).rstrip() + "\n"


def schema_files() -> dict[str, str]:
    """The published JSON Schemas by file name: one for any document that people write, and one for each kind."""
    published = {"opsconductor": schema(), **{kind: schema(kind) for kind in _EVERY_KIND}}
    return {f"{name}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n" for name, one in published.items()}


def codes_page() -> str:
    """All codes with their titles."""
    rows = [f"| [{code}](../codes/{code}.md) | {CODES[code].title} |" for code in CODES]
    head = ["# Codes\n", "<!-- Written by `make docs` from the list of codes. -->\n", "| code | what |", "|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _tables(root: type[BaseModel], title: str) -> Iterator[str]:
    """A table for each model, where it is first met."""
    seen: set[type[BaseModel]] = set()
    waiting: list[tuple[str, type[BaseModel]]] = [(title, root)]
    while waiting:
        path, model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        if path != title:
            yield f"### {path}\n"
            if model.__doc__ and not model.__doc__.startswith("!!!"):
                yield f"{_doc(model)}\n"
        rows = list(_rows(model))
        if rows:
            yield "| field | type | default | what it is |\n|---|---|---|---|"
            yield "\n".join(
                f"| `{name}` | {_cell(kind)} | {_cell(re.sub('^, (default )?', '', default))} | {_cell(text)} |"
                for name, kind, default, text in rows
            )
            yield ""
        else:
            yield "It has no fields.\n"
        for name, info in model.model_fields.items():
            waiting += [(f"{path}.{info.alias or name}", below) for below in _models(info.annotation)]


def _step_types() -> Iterator[str]:
    for step_type in every_step_type():
        yield f"### {step_type.name}\n"
        called = f" Also called {', '.join(f'`{name}`' for name in step_type.aliases)}." if step_type.aliases else ""
        planned = " Checked, and not run yet." if step_type.planned else ""
        yield f"{step_type.description}{called}{planned}\n"
        yield "| input | type | what it is |\n|---|---|---|"
        for name, taken in step_type.inputs.items():
            needed = " Required." if name in step_type.required else ""
            yield f"| `{name}` | {_cell(_input_type(taken))} | {_cell(taken.get('description', ''))}{needed} |"
        yield ""
        yield from (f"{rule}\n" for rule in _input_rules(step_type))
        yield from (
            f"```yaml\nuses: {step_type.name}\nwith: {_written(dict(one))}\n```\n" for one in step_type.examples
        )


def _input_type(taken: Mapping[str, Any]) -> str:
    return str(taken.get("type") or ", ".join(map(str, taken.get("enum", ()))) or "any value")


def _input_rules(step_type: StepType) -> Iterator[str]:
    """What holds between inputs, in words."""
    yield from (f"Exactly one of {', '.join(f'`{name}`' for name in group)}." for group in step_type.one_of)
    yield from (f"At most one of {', '.join(f'`{name}`' for name in group)}." for group in step_type.at_most_one_of)
    yield from (f"`{name}` needs `{other}`." for name, other in step_type.together)
    if step_type.secret:
        yield f"A secret may be the whole of {' or '.join(f'`{name}`' for name in sorted(step_type.secret))}."


def _rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    for name, info in model.model_fields.items():
        yield info.alias or name, _type(info.annotation, info), _default(info), info.description or ""


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _steps_of(what: str) -> list[str]:
    first, *path = re.sub(r"\[[^\]]*\]", "", what).split(".")
    return [first, *(step for step in path if not step.isdigit())]


def nearest_field(what: str) -> str | None:
    """The path that one which leads nowhere may mean, as far as its first wrong step; None where none is like it."""
    first, *path = _steps_of(what)
    kind = next((name for name in _EVERY_KIND if name.lower() == first.lower()), None)
    models: tuple[type[BaseModel], ...] = (_EVERY_KIND[kind],) if kind is not None else ()
    said = [kind or ""]
    for step in path:
        found = _field(models, step)
        if found is None:
            fields = {
                (info.alias or name).lower(): info.alias or name
                for m in models
                for name, info in m.model_fields.items()
            }
            near = get_close_matches(step.lower(), fields, n=1)
            return ".".join([*said, fields[near[0]]]) if near else None
        said.append(found[0])
        models = tuple(_models(found[1].annotation))
    return None


def _field(models: tuple[type[BaseModel], ...], step: str) -> tuple[str, FieldInfo] | None:
    # Of a field that several have the first is shown: a run, and not a slice of a large one.
    fields = {info.alias or name: info for model in reversed(models) for name, info in model.model_fields.items()}
    folded = {name.lower(): name for name in fields}
    name = folded.get(step.lower()) or next(iter(get_close_matches(step, fields, n=1, cutoff=0.9)), None)
    return (name, fields[name]) if name is not None else None


def _type(annotation: Any, info: FieldInfo | None = None) -> str:
    schema = next((part for part in info.metadata if hasattr(part, "json_schema")), None) if info else None
    if schema is not None and (told := _of_schema(schema.json_schema or {})):
        return told
    kinds = dict.fromkeys(_kind(part) for part in _unwrapped(annotation) if part is not type(None))
    # A list of this or that, or something else: the comma says where the list ends.
    joint = ", or " if any(" of " in kind for kind in kinds) else " or "
    return joint.join(kinds)


def _kind(annotation: Any) -> str:
    if hasattr(annotation, "__metadata__"):
        schema = next((part.json_schema for part in annotation.__metadata__ if hasattr(part, "json_schema")), None)
        return _of_schema(schema or {}) or _type(annotation.__origin__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (tuple, list):
        return f"list of {_plural(_type(arguments[0]))}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if annotation is timedelta:
        return "duration"
    if annotation is datetime:
        return "instant"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return _TEXTS.get(annotation, "any value")


_MANY = {
    "text": "texts",
    "whole number": "whole numbers",
    "number": "numbers",
    "percentage": "percentages",
    "mapping": "mappings",
    "duration": "durations",
    "instant": "instants",
    "kind": "kinds",
    "any value": "any values",
}


def _plural(kind: str) -> str:
    return " or ".join(_MANY.get(one, one) for one in kind.split(" or ")) if " of " not in kind else kind


_NAMED = {"ParamSchema": "JSON Schema", "OutputSchema": "JSON Schema", "KindName": "kind"}
"""What fields take that name a definition of the published schemas."""


def _of_schema(schema: Mapping[str, Any]) -> str:
    """What a published schema says of a value where its type does not say it; empty where it does not either."""
    if named := _NAMED.get(schema.get("$comment", "")):
        return named
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_alternative(part) for part in schema["anyOf"]))
    return ""


def _alternative(schema: dict[str, Any]) -> str:
    if schema.get("type") == "string":
        return "percentage" if "%" in schema.get("pattern", "") else "text"
    return {"integer": "whole number", "number": "number"}.get(str(schema.get("type")), "any value")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return ", required"
    value = info.get_default(call_default_factory=True) if info.default_factory is None else None
    if value is None or value is PydanticUndefined or value in ((), ""):
        return ""
    if isinstance(value, BaseModel):
        return ""
    return f", default `{_shown(value)}`"


def _written(value: Any) -> str:
    """A value as an author writes it, on one line."""
    text: str = yaml.dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case timedelta():
            return format_duration(value)
        case tuple() | list():
            return f"[{', '.join(_shown(one) for one in value)}]"
        case _:
            return str(value)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for part in _unwrapped(annotation):
        if hasattr(part, "__metadata__"):
            yield from _models(part.__origin__)
        elif isinstance(part, type) and issubclass(part, BaseModel):
            yield part
        elif get_origin(part) in (tuple, list):
            yield from _models(get_args(part)[0])
        elif get_origin(part) is dict:
            yield from _models(get_args(part)[1])


def _unwrapped(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _unwrapped(part)
    else:
        yield annotation


def write(folder: Path) -> None:
    """Write the generated pages of the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kinds.md").write_text(kinds_page(), "utf-8")
    (folder / "codes.md").write_text(codes_page(), "utf-8")
    (folder / "metrics.md").write_text(metrics_page(), "utf-8")
    for name, text in schema_files().items():
        (folder / "schemas").mkdir(exist_ok=True)
        (folder / "schemas" / name).write_text(text, "utf-8")
    (folder / "libraries").mkdir(exist_ok=True)
    for name, text in library_pages().items():
        (folder / "libraries" / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
