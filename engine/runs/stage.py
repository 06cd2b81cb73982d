"""One place of a dry run: its steps are gone through, and of each is told what it would do. Pure.

Every step that would run is taken for a success without results, so what reads those stays open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from engine.expressions import contexts
from engine.expressions.contexts import Inside, RunFacts
from engine.expressions.expression import ExpressionError, compile_text, condition_text, to_text
from engine.expressions.foreknowledge import Depends, Foreknowledge, Runs, Skipped, Verdict
from engine.runs.librarycalls import unfit
from engine.runs.pinned import (
    RUNNER,
    LibraryCall,
    PinnedSpec,
    PinnedTarget,
    PlannedStep,
    Script,
    Use,
    for_item,
    named,
    within,
)
from engine.runs.progress import StepRecord
from engine.runs.retrying import told
from engine.scripts.binding import UnbindableValue, prelude
from engine.secretref import SecretRef, secret_of
from engine.states import StepState
from engine.status.views import StepView, TargetView
from engine.status.yamltext import plain, to_yaml
from schemas.quantities import format_duration
from schemas.target import Become

MOST_TEXT = 2048
"""Characters shown of one text."""
MOST_ITEMS = 20
"""Items of a loop, and entries of a list, that are shown."""
MOST_OF_A_STEP = 8 * 1024
"""Bytes of the details of one step."""

Facts = dict[str, Any]
_OF_HOSTS = ("winrm", "http")


@dataclass
class Room:
    """How many bytes of details are left."""

    left: int
    full: bool = False
    """Something had to be left out, since there was no room for it."""

    def takes(self, facts: Facts) -> bool:
        size = len(to_yaml(facts).encode())
        fits = size <= min(self.left, MOST_OF_A_STEP)
        self.left -= size if fits else 0
        self.full = self.full or (size > self.left and not fits)
        return fits


@dataclass
class Stage:
    """One target while its steps are gone through. `records` are of steps that are known to have ended, and grow."""

    spec: PinnedSpec
    target: PinnedTarget | None
    params: Mapping[str, Any]
    run: RunFacts
    records: list[StepRecord]
    room: Room
    items: Mapping[str, Any] = field(default_factory=dict)
    steps: list[StepView] = field(default_factory=list)
    inside: Inside | None = None
    """The library's step whose steps are gone through, with the inputs that are known."""
    open_params: frozenset[str] = frozenset()
    """Those whose values only the run will tell."""
    stopped: str | None = None
    """Why no further ordinary step would start: one before it is known to fail."""

    def played(self) -> TargetView:
        inherited = {(record.phase, record.id) for record in self.records}
        for step in self.spec.steps:
            if (step.phase, step.id) in inherited:
                self._inherit(step)
            else:
                self._step(step, self._standing(step))
        failed = any(step.state is StepState.FAILED for step in self.steps)
        name = self.target.name if self.target is not None else RUNNER
        return TargetView(name, StepState.FAILED if failed else StepState.SKIPPED, steps=tuple(self.steps))

    def _standing(self, step: PlannedStep) -> Verdict | None:
        """What is decided of a step before its own condition is asked."""
        if step.phase == "rescue" and self.stopped is None:
            return Depends("it runs after a step has failed")
        if step.phase == "steps" and self.stopped is not None:
            return Skipped(self.stopped)
        return None

    def _inherit(self, step: PlannedStep) -> None:
        would = {"verdict": "skip", "because": "its result is taken over from the run that is repeated"}
        self.steps.append(StepView(step.id, StepState.SKIPPED, step.phase, step.name, inherited=True, would=would))

    def _step(self, step: PlannedStep, standing: Verdict | None) -> None:
        if step.loop is not None:
            self._loop(step, standing)
            return
        fore = self._foreknowledge()
        try:
            verdict = self._verdict(step, standing, fore)
            facts = {} if isinstance(verdict, Skipped) else self._facts(step, fore) | self._open(fore, verdict)
        except (ExpressionError, UnbindableValue) as error:
            self._fails(step, error)
            return
        self._add(step, verdict, facts)
        if isinstance(step.action, LibraryCall) and not isinstance(verdict, Skipped):
            self._within(step, step.action, verdict)
        for one in step.rescue:
            self._step(
                one, standing if isinstance(verdict, Skipped) else Depends(f"it runs after '{step.id}' has failed")
            )

    def _verdict(self, step: PlannedStep, standing: Verdict | None, fore: Foreknowledge) -> Verdict:
        own = standing if isinstance(standing, Skipped) else fore.verdict(step.condition)
        return standing if isinstance(standing, Depends) and not isinstance(own, Skipped) else own

    def _add(self, step: PlannedStep, verdict: Verdict, facts: Facts) -> None:
        word = {Runs: "run", Skipped: "skip", Depends: "depends"}[type(verdict)]
        because = verdict.on if isinstance(verdict, Depends) else verdict.because
        would: Facts = {"verdict": word, **({"because": short(because)} if because else {})}
        whole = plain(would | facts)
        would = whole if self.room.takes(whole) else would | {"leftOut": "the details: there is no room for more"}
        self.steps.append(StepView(step.id, StepState.SKIPPED, step.phase, step.name, would=would))
        if isinstance(verdict, Skipped):
            self.records.append(StepRecord(step.phase, step.id, StepState.SKIPPED))

    def _fails(self, step: PlannedStep, error: ExpressionError | UnbindableValue) -> None:
        said = error.message if isinstance(error, ExpressionError) else str(error)
        would = {"verdict": "fail", "because": short(said)}
        self.steps.append(StepView(step.id, StepState.FAILED, step.phase, step.name, error=short(said), would=would))
        if step.phase == "steps" and not step.continue_on_error and not step.rescue:
            self.stopped = f"step '{step.id}' before it is known to fail"
        for one in step.rescue:
            self._step(one, None)

    # --- a library's step --------------------------------------------------------------------------------------------

    def _within(self, step: PlannedStep, call: LibraryCall, verdict: Verdict) -> None:
        """Go through the steps that it consists of, which know its inputs and nothing else of the job."""
        own = verdict if isinstance(verdict, Depends) else None
        inside = Inside(call.steps, self._inputs(call))
        inner = replace(self, records=[], items={}, steps=[], inside=inside, stopped=None)
        for one in call.steps:
            inner._step(one, Skipped(inner.stopped) if inner.stopped is not None else own)
        self.steps += [replace(one, id=f"{within(step.id)}{one.id}") for one in inner.steps]
        if step.phase == "steps" and not step.continue_on_error and not step.rescue:
            self.stopped = self.stopped or inner.stopped

    def _inputs(self, call: LibraryCall) -> Facts:
        """Those of a library's step that are known now."""
        known: Facts = {}
        for name, value in call.inputs.items():
            fore = self._foreknowledge()
            found = fore.rendered(value)
            if not fore.missing and not fore.secrets:
                known[name] = found
        return known

    # --- a loop ------------------------------------------------------------------------------------------------------

    def _loop(self, step: PlannedStep, standing: Verdict | None) -> None:
        assert step.loop is not None
        loop, fore = step.loop, self._foreknowledge()
        asks_for_item = isinstance(step.condition, str) and any(
            path[0] == loop.as_ for path in compile_text(condition_text(step.condition)).references
        )
        try:
            verdict = self._verdict(replace(step, condition=None) if asks_for_item else step, standing, fore)
            found = fore.rendered(loop.items)
        except ExpressionError as error:
            self._fails(step, error)
            return
        known = isinstance(found, list)
        facts = {"forEach": {"items": bounded(found), "as": loop.as_, "maxParallel": loop.max_parallel}}
        if known:
            facts["forEach"]["count"] = len(found)
        self._add(step, verdict, facts | self._open(fore, verdict))
        if isinstance(verdict, Skipped):
            return
        own = verdict if isinstance(verdict, Depends) else None
        inner = replace(self, items={**self.items, loop.as_: None}, steps=[], stopped=None, records=list(self.records))
        if not known:
            inner.items = {name: one for name, one in inner.items.items() if name != loop.as_}
            inner._step(replace(step, loop=None), own or Depends(f"it runs once for each {loop.as_} there is"))
            # of an item that is not known yet: what it does is told once, under the loop's own name with no number
            self.steps += [replace(one, id=one.id.replace(step.id, f"{step.id}[]", 1)) for one in inner.steps]
            return
        for index, value in enumerate(islice(found, MOST_ITEMS)):
            inner.items = {**self.items, loop.as_: value}
            inner._step(replace(for_item(step, index), condition=step.condition if asks_for_item else None), own)
        self.steps += inner.steps
        if not step.continue_on_error:
            self.stopped = self.stopped or inner.stopped

    # --- facts of a step ---------------------------------------------------------------------------------------------

    def _foreknowledge(self) -> Foreknowledge:
        context = contexts.for_step(
            self.spec, self.target, self.params, self.run, self.records, {}, None, self.items, self.inside
        )
        steps = self.spec.steps if self.inside is None else self.inside.steps
        ended = frozenset(step.called for step in named(steps) if self._has_ended(step))
        return Foreknowledge(context, ended, open_params=self.open_params)

    def _has_ended(self, step: PlannedStep) -> bool:
        return any((record.phase, record.id) == (step.phase, step.id) for record in self.records)

    def _facts(self, step: PlannedStep, fore: Foreknowledge) -> Facts:
        """What the step would do. Raises ExpressionError and UnbindableValue."""
        env = self._env(step, fore)
        facts = self._where(step)
        match step.action:
            case Script() as written:
                script = written.on(self.target.os if self.target is not None else None)
                facts |= {"shell": script.shell}
                facts |= {"run": short(script.text)} if script.file is None else {"file": fore.rendered(script.file)}
                values = [to_text(fore.valued(hole, otherwise=f"${{{{ {hole} }}}}")) for hole in script.holes]
                prelude(script.shell, values)
                facts |= {"values": {f"OC{number}": short(one) for number, one in enumerate(values, start=1)}}
            case Use() as use:
                facts |= {"uses": use.type, "with": bounded(fore.rendered(use.inputs))}
            case LibraryCall() as call:
                if (fault := unfit(call, self.target, self._inputs(call))) is not None:
                    raise ExpressionError(fault, 0, 0)
                given = {name: value for name, value in fore.rendered(call.inputs).items() if value is not None}
                facts |= {"uses": call.uses, "with": bounded(given)}
        facts |= {
            "env": bounded(env),
            "workingDir": None if step.working_dir is None else bounded(fore.rendered(step.working_dir)),
            "stdin": None if step.stdin is None else bounded(fore.rendered(step.stdin)),
            "timeout": None if step.timeout is None else format_duration(step.timeout),
            "attempts": None if step.retry is None else step.retry.max_attempts,
            "retry": None if step.retry is None else bounded(told(step.retry)),
            "sensitive": step.sensitive,
        }
        return {key: value for key, value in facts.items() if value not in (None, {}, False)}

    def _open(self, fore: Foreknowledge, verdict: Verdict) -> Facts:
        """What only the run, and only a runner, can know."""
        facts: Facts = {}
        if left := fore.left_open(verdict.on if isinstance(verdict, Depends) else ""):
            facts["knownOnlyAtRunTime"] = [short(cel) for cel in left]
        if fore.secrets:
            facts["secretsOf"] = list(fore.secrets)
        return facts

    def _env(self, step: PlannedStep, fore: Foreknowledge) -> Facts:
        """As `engine.expressions.contexts.environment`: each entry sees those before it."""
        seen: Facts = {}
        found: Facts = {}
        bare = fore.context
        for name, value in step.env.items():
            before = len(fore.missing)
            fore.context, fore.names = {**bare, "env": seen}, frozenset(seen)
            found[name] = fore.rendered(value)
            if secret_of(value) is None and not isinstance(value, SecretRef) and len(fore.missing) == before:
                seen[name] = found[name]
        fore.context, fore.names = {**bare, "env": seen}, frozenset(seen)
        return found

    def _where(self, step: PlannedStep) -> Facts:
        """By which connection, as whom."""
        known = step.action.known if isinstance(step.action, Use) else None
        if known is not None and known.runner_side and known.over is None:
            return {"connection": "runner"}
        connection = step.connection or (self.target.default_connection if self.target is not None else None) or "local"
        facts: Facts = {"connection": connection}
        become = step.become
        ssh = self.target.connections.ssh if self.target is not None else None
        if connection == "ssh" and ssh is not None and self.target is not None:
            facts |= {
                "user": ssh.user or self._username(ssh.credential_ref),
                "host": f"{self.target.host}:{ssh.port}",
                "credential": ssh.credential_ref,
                "through": ssh.jump,
            }
            become = become or (Become(user=ssh.become) if isinstance(ssh.become, str) else ssh.become)
        elif self.target is not None and connection in _OF_HOSTS:
            settings = getattr(self.target.connections, connection)
            facts |= {"host": self.target.host, "credential": getattr(settings, "credential_ref", None)}
        return facts | {"become": become.user if become is not None else None}

    def _username(self, credential: str | None) -> str | None:
        spec = self.spec.credentials.get(credential or "")
        return spec.username if spec is not None else None


# --- within bounds ---------------------------------------------------------------------------------------------------


def short(text: str) -> str:
    """The text, or its beginning with how much is left out."""
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text) - MOST_TEXT} characters more)"


def bounded(value: Any) -> Any:
    """The value with long texts and lists cut."""
    match value:
        case str():
            return short(value)
        case Mapping():
            return {key: bounded(one) for key, one in islice(value.items(), MOST_ITEMS * 5)}
        case list() | tuple():
            more = [f"… ({len(value) - MOST_ITEMS} more)"] if len(value) > MOST_ITEMS else []
            return [bounded(one) for one in value[:MOST_ITEMS]] + more
        case _:
            return value
