"""The libraries that the product brings, told by themselves: `explain linux-core/logrotate`, and a page of each."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import yaml

from engine.builtin import BUILT_IN, library
from schemas.library import Example, LibraryStep


def explain_library(what: str) -> str | None:
    """A library, or a step of one (`linux-core/logrotate`, with or without its version); None for anything else."""
    name, slash, step = what.lower().partition("/")
    found = library(name)
    if found is None or found.document is None:
        return None
    spec, version = found.document.spec, f"@{found.document.spec.version.partition('.')[0]}"
    if slash:
        known = found.step(step.partition("@")[0])
        return None if known is None else "\n".join(_told(name, known, version))
    steps = {one: step_of for one in sorted(found.steps) if (step_of := found.step(one)) is not None}
    width = max(map(len, steps), default=0)
    lines = [f"library {name} {spec.version} ({found.digest})", f"  {spec.description}", ""]
    lines += [f"  {one:<{width}}  {known.metadata.description or ''}" for one, known in steps.items()]
    return "\n".join([*lines, "", f"  see one: opsconductor explain {name}/{next(iter(steps), 'STEP')}"])


def near(what: str) -> str | None:
    """What was meant by the name of a library, or of a step of one, that there is not."""
    name, slash, step = what.lower().partition("/")
    meant = name if name in BUILT_IN else next(iter(get_close_matches(name, BUILT_IN, n=1)), None)
    found = library(meant) if meant is not None else None
    if found is None or not slash:
        return meant
    steps = get_close_matches(step.partition("@")[0], found.steps, n=1, cutoff=0.4)
    return f"{meant}/{steps[0]}" if steps else meant


def library_pages() -> dict[str, str]:
    """A page of Markdown for each library, by file name."""
    return {f"{name}.md": "\n".join(_page(name)).rstrip() + "\n" for name in sorted(BUILT_IN)}


def _told(name: str, step: LibraryStep, version: str) -> Iterator[str]:
    spec = step.spec
    yield f"uses: {name}/{step.name}{version}"
    yield f"  {step.metadata.description or ''}"
    yield f"  runs on: {', '.join(spec.platforms) or 'every system'}"
    for example in spec.examples:
        yield f"  for example: with: {_written(example.with_)}"
    for title, schemas in (("with", spec.inputs), ("outputs", spec.results)):
        if schemas:
            width = max(map(len, schemas))
            yield f"\n  {title}:"
            for key, schema in schemas.items():
                yield f"    {key:<{width}}  {_kind(schema)}\n    {'':<{width}}  {schema.get('description', '')}"


def _page(name: str) -> Iterator[str]:
    found = library(name)
    assert found is not None
    assert found.document is not None
    spec = found.document.spec
    yield f"# {name}\n"
    yield "<!-- Written by `make docs` from the library. -->\n"
    how = "[use steps of a library](../../how-to/use-a-library.md)"
    yield f"{spec.description} Version {spec.version}; how to use it: {how}.\n"
    for one in sorted(found.steps):
        step = found.step(one)
        assert step is not None
        yield f"## {one}\n"
        yield f"{step.metadata.description or ''} Runs on: {', '.join(step.spec.platforms) or 'every system'}.\n"
        for title, schemas in (("input", step.spec.inputs), ("output", step.spec.results)):
            if schemas:
                yield f"| {title} | type | what it is |\n|---|---|---|"
                for key, schema in schemas.items():
                    yield f"| `{key}` | {_cell(_kind(schema))} | {_cell(str(schema.get('description', '')))} |"
                yield ""
        for example in step.spec.examples:
            yield from _example(f"{name}/{one}@{spec.version.partition('.')[0]}", example)


def _example(uses: str, example: Example) -> Iterator[str]:
    if example.description:
        yield f"{example.description}\n"
    given = f"with: {_written(example.with_)}\n" if example.with_ else ""
    yield f"```yaml\nuses: {uses}\n{given}```\n"


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type") or (" or ".join(map(str, schema["enum"])) if "enum" in schema else "any value")
    kind = f"list of {schema['items'].get('type', 'values')}" if kind == "array" and "items" in schema else str(kind)
    if schema.get("secret") is True:
        kind = f"secret {kind}"
    if "default" in schema:
        return f"{kind}, default {_written(schema['default'])}"
    return f"{kind}, required" if schema.get("required") is True else kind


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _written(value: Any) -> str:
    text: str = yaml.dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()
