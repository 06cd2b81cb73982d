"""A dry run as text: per target the steps that would run, of a workflow per node, as a Run file has them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.expressions.foreknowledge import WHILE_WELL
from engine.runs.pinned import RUNNER

_SENTENCES = {"run": "would run", "skip": "would be skipped", "fail": "would fail", "depends": "depends"}
_NODE_SENTENCES = {"gate": "would ask for approval", "wait": "would wait {}"}
_PLACE = ("connection", "user", "host", "through", "credential", "become", "shell", "timeout", "sensitive")
_WORDS = {"become": "becoming {}", "through": "through {}", "user": "as {}"}
_LATER = "known only at run time"
_RESULT = re.compile(r"\b(steps|jobs)\.([A-Za-z_][A-Za-z0-9_]*)")


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
    what = f"workflow {spec['workflow']}" if "workflow" in spec else spec["job"]
    yield f"dry run of {what} at {str(spec['commit'])[:12]}: nothing was sent, connected to or opened"
    if "workflow" in spec:
        yield from _graph(status.get("nodes") or {}, target, step)
    else:
        yield from _strategy(status.get("strategy") or {})
        yield from _places(status, target, step)


def of_place(place: Mapping[str, Any]) -> Iterator[str]:
    """What would happen in one place, as a Run file has it."""
    for one in place.get("steps") or []:
        yield from _step(one)


def _places(told: Mapping[str, Any], target: str | None, step: str | None) -> Iterator[str]:
    """What would happen on each target, or on the runner, each after an empty line."""
    places = told.get("targets") or {RUNNER: told}
    for name, place in places.items():
        if target not in (None, name):
            continue
        yield ""
        yield "on the runner" if name == RUNNER else name
        for one in place.get("steps") or []:
            if step in (None, one["id"]):
                yield from (f"  {line}" for line in _step(one))


# --- a workflow ------------------------------------------------------------------------------------------------------


def _graph(nodes: Mapping[str, Any], target: str | None, step: str | None) -> Iterator[str]:
    """The nodes, each after what it needs."""
    yield "each node that would run is taken for a success, and each gate for approved"
    left = dict(nodes)
    while left:
        ready = next((name for name, node in left.items() if left.keys().isdisjoint(node.get("needs") or ())), "")
        name = ready or next(iter(left))
        node = left.pop(name)
        yield ""
        yield _node(name, node)
        yield from (f"  {line}" if line else "" for line in _node_facts(node, target, step))


def _node(name: str, node: Mapping[str, Any]) -> str:
    job = f" (job {node['job']})" if node.get("job") else ""
    return f"{name}{job} {of_node(node)}"


def of_node(node: Mapping[str, Any]) -> str:
    """What would become of a node of a Run file, as in `would be skipped: params.keep > 9 is false`."""
    would = node.get("would") or {}
    verdict = str(would.get("verdict"))
    sentence = _NODE_SENTENCES.get(str(node.get("kind")), _SENTENCES["run"]) if verdict == "run" else ""
    sentence = sentence.format(would.get("wait")) or _SENTENCES.get(verdict, "is not told")
    after = f", after {_listed(node['needs'])}" if node.get("needs") and verdict == "run" else ""
    return f"{sentence}{after}{_because(would)}"


def of_step(would: Mapping[str, Any]) -> str:
    """What would become of a step, from its `would`."""
    return f"{_SENTENCES.get(str(would.get('verdict')), 'is not told')}{_because(would)}"


def _because(would: Mapping[str, Any]) -> str:
    because = str(would.get("because") or "")
    if not because:
        return ""
    given = would.get("verdict") == "depends" and not because.endswith(WHILE_WELL) and _givers(because)
    return f" on {given}: {because}" if given else f": {because}"


def _givers(cel: str) -> str:
    """Whose results an expression reads, as in `what steps 'a' and 'b' give`; empty where of none."""
    said = []
    for root, one, many in (("steps", "step", "steps"), ("jobs", "node", "nodes")):
        names = list(dict.fromkeys(f"'{name}'" for kind, name in _RESULT.findall(cel) if kind == root))
        if names:
            said.append(f"{one if len(names) == 1 else many} {_listed(names)}")
    return f"what {_listed(said)} {'gives' if len(said) == 1 and ' and ' not in said[0] else 'give'}" if said else ""


def _later(cel: str) -> str:
    givers = _givers(cel)
    return f"{_LATER}: {cel}{f' ({givers})' if givers else ''}"


def _node_facts(node: Mapping[str, Any], target: str | None, step: str | None) -> Iterator[str]:
    would = node.get("would") or {}
    if "asks" in would:
        yield _asks(would["asks"])
    if "wait" in would and would.get("verdict") != "run":
        yield f"it waits {would['wait']}"
    if node.get("reason") and would.get("verdict") != "fail":
        yield f"it would fail: {node['reason']}"
    for cel in would.get("knownOnlyAtRunTime") or []:
        yield _later(cel)
    if (loop := would.get("forEach")) is not None:
        yield _walked(loop)
    for one in would.get("runs") or []:
        if would.get("forEach") is not None:
            yield ""
            yield f"for {would['forEach']['as']} = {_shown(one['item'])}" if "item" in one else "for each of them"
        yield from _run(one, target, step)


def _walked(loop: Mapping[str, Any]) -> str:
    items, count = loop["items"], loop.get("count")
    how = "one after another" if loop.get("maxParallel") == 1 else f"at most {loop.get('maxParallel')} at once"
    if count is None:
        return f"once for each {loop['as']} of {_shown(items)}, {how}"
    more = f"; the first {len(items) - 1} are shown" if isinstance(items, list) and count >= len(items) > 20 else ""
    return f"{count} {'time' if count == 1 else 'times'}, once for each {loop['as']}, {how}{more}"


def _run(one: Mapping[str, Any], target: str | None, step: str | None) -> Iterator[str]:
    for key in ("params", "limit"):
        if key in one:
            yield f"{key}:"
            for name, value in one[key].items():
                yield from (line.removeprefix("    ") for line in _named(str(name), value))
    for cel in one.get("knownOnlyAtRunTime") or []:
        yield _later(cel)
    yield from _strategy(one.get("strategy") or {})
    if "targets" in one or "steps" in one:
        yield from _places(one, target, step)
    if "leftOut" in one:
        yield f"left out: {one['leftOut']}"


def _asks(asks: Mapping[str, Any]) -> str:
    who = [*(asks.get("users") or ()), *(f"team {team}" for team in asks.get("teams") or ())]
    count = "one person" if asks.get("count") == 1 else f"{asks.get('count')} people"
    of = f" of {_listed(who, 'or')}" if who else ""
    other = ", but not who asked for the run," if asks.get("notRequester") else ""
    late = "it fails" if asks.get("onTimeout") == "fail" else "it is skipped, with all that needs it"
    return f"{count}{of}{other} must approve within {asks.get('timeout')}; else {late}"


def _listed(names: Sequence[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


# --- a job -----------------------------------------------------------------------------------------------------------


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
    title = f" ({step['name']})" if step.get("name") else ""
    yield f"{phase}{step['id']}{title} {of_step(would)}"
    where = [_said(key, would[key]) for key in _PLACE if key in would]
    if where:
        yield f"    {', '.join(where)}"
    if "attempts" in would:
        yield f"    at most {would['attempts']} {_repeats(would.get('retry') or {})}"
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
        yield f"    {_later(cel)}"
    if "leftOut" in would:
        yield f"    {would['leftOut']}"


def _repeats(retry: Mapping[str, Any]) -> str:
    """Of further attempts: how many, after which pause, and when."""
    said = "attempts"
    if "delay" in retry:
        said += f", {retry['delay']} apart"
        said += f", twice as long each time up to {retry['maxDelay']}" if "backoff" in retry else ""
        said += ", each pause shortened by chance, by up to half" if retry.get("jitter") else ""
    if codes := retry.get("onExitCodes"):
        said += (
            f"; again only after exit code {_listed([str(code) for code in codes], 'or')}, or where nothing was sent"
        )
    if "if" in retry:
        shown = retry["if"] if isinstance(retry["if"], str) else str(retry["if"]).lower()
        said += f"; again only if {shown}"
    return said


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
    first, *rest = _shown(value).rstrip("\n").split("\n")
    yield f"      {name} = {first}"
    yield from (f"      | {line}" for line in rest)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
