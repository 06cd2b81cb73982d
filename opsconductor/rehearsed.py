"""A dry run as text: per target the steps that would run, as a Run file of the status branch has them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.pinned import RUNNER

_SENTENCES = {"run": "would run", "skip": "would be skipped", "fail": "would fail", "depends": "depends"}
_PLACE = ("connection", "user", "host", "through", "credential", "become", "shell", "timeout", "attempts", "sensitive")
_WORDS = {"attempts": "at most {} attempts", "become": "becoming {}", "through": "through {}", "user": "as {}"}
_LATER = "known only at run time"


def is_dry(run: Mapping[str, Any]) -> bool:
    """Whether a Run file is of a dry run."""
    return run.get("spec", {}).get("dryRun") is True


def standing(run: Mapping[str, Any]) -> str:
    """How it stands with a run, in a word or two: a dry run has done nothing that could have succeeded."""
    state = str(run["status"]["state"])
    return state if not is_dry(run) else "dry run" if state == "succeeded" else f"dry run, {state}"


def lines(run: Mapping[str, Any], target: str | None = None, step: str | None = None) -> Iterator[str]:
    """What would happen, of all targets and steps or of one."""
    spec, status = run["spec"], run["status"]
    yield f"dry run of {spec['job']} at {str(spec['commit'])[:12]}: nothing was sent, connected to or opened"
    yield from _strategy(status.get("strategy") or {})
    places = status.get("targets") or {RUNNER: status}
    for name, place in places.items():
        if target not in (None, name):
            continue
        yield ""
        yield "on the runner" if name == RUNNER else name
        for one in place.get("steps") or []:
            if step in (None, one["id"]):
                yield from (f"  {line}" for line in _step(one))


def _strategy(strategy: Mapping[str, Any]) -> Iterator[str]:
    batches = strategy.get("batches") or []
    if len(batches) > 1:
        for number, batch in enumerate(batches, start=1):
            more = f" and {len(batch) - 5} more" if len(batch) > 5 else ""
            yield f"batch {number}: {', '.join(map(str, batch[:5]))}{more}"
    if batches:
        facts = [f"{strategy.get('order')}, at most {strategy.get('maxParallel')} at once"]
        facts += [f"{strategy['pauseBetween']} between batches"] if "pauseBetween" in strategy else []
        facts += [f"it stops beyond {strategy['maxFailures']} failed"] if "maxFailures" in strategy else []
        yield "; ".join(facts)


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    would = step.get("would") or {}
    phase = f"{step['phase']}/" if step.get("phase") else ""
    sentence = _SENTENCES.get(str(would.get("verdict")), "is not told")
    because = f": {would['because']}" if would.get("because") else ""
    title = f" ({step['name']})" if step.get("name") else ""
    yield f"{phase}{step['id']}{title} {sentence}{because}"
    where = [_said(key, would[key]) for key in _PLACE if key in would]
    if where:
        yield f"    {', '.join(where)}"
    if "uses" in would:
        yield f"    uses {would['uses']}"
    if "forEach" in would:
        yield from _mapped("for each", would["forEach"])
    for key, title in (("file", "file"), ("run", "run"), ("values", "values"), ("with", "with"), ("env", "env")):
        if key in would:
            yield from _mapped(title, would[key])
    for key in ("workingDir", "stdin"):
        if key in would:
            yield from _mapped(key, would[key])
    if "secretsOf" in would:
        yield f"    secrets of {', '.join(map(str, would['secretsOf']))}, opened by the runner alone"
    for cel in would.get("knownOnlyAtRunTime") or []:
        yield f"    {_LATER}: {cel}"
    if "leftOut" in would:
        yield f"    {would['leftOut']}"


def _said(key: str, value: Any) -> str:
    if value is True:
        return key
    return _WORDS.get(key, f"{key} {{}}").format(value)


def _mapped(title: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"    {title}:"
        for key, one in value.items():
            yield from _named(str(key), one)
    else:
        first, *rest = str(value).rstrip("\n").split("\n")
        yield f"    {title}: {first}" if not rest else f"    {title}:"
        yield from (f"      | {line}" for line in ([first, *rest] if rest else []))


def _named(name: str, value: Any) -> Iterator[str]:
    shown = value if isinstance(value, str) else _json(value)
    first, *rest = shown.rstrip("\n").split("\n")
    yield f"      {name} = {first}"
    yield from (f"      | {line}" for line in rest)


def _json(value: Any) -> str:

    return json.dumps(value, ensure_ascii=False, default=str)
