"""Judging an attempt: from what happened to what is recorded of it. Exit codes, declared outputs, and masked text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.expressions.bounds import TOO_LARGE
from engine.expressions.expression import ExpressionError, condition, render
from engine.runs.outcome import Failed, Outcome, Output, Succeeded, error_of, output_of, state_of
from engine.runs.pinned import PlannedStep
from engine.runs.progress import FORGIVABLE, StepRecord
from engine.runs.retrying import repeats
from engine.states import StepState
from journal.steps import StepEnd
from runners.connections import Why
from runners.limits import TAIL, last_bytes
from runners.logs import LogFile
from runners.masking import Masker, visible
from runners.prepare import Place, is_ok

MOST_SAID = 4096
"""Characters of an error that are recorded."""


DOUBT = "its earlier attempt, whose runner was lost, may still run"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an attempt besides its outcome.

    `by_run`: the whole run is being ended. `repeatable`: another attempt could follow. `earlier`: one whose runner was
    lost has not been taken over, and may still run.
    """

    attempt: int
    duration: float
    file: LogFile | None = None
    stopped: Why | None = None
    by_run: bool = False
    repeatable: bool = False
    earlier: bool = False

    @property
    def seconds(self) -> float:
        return round(self.duration, 3)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the attempts of one step at one place. `env` is the step's environment as expressions may see it."""

    step: PlannedStep
    place: Place
    masker: Masker
    env: Mapping[str, Any]

    def judged(self, outcome: Outcome, facts: Facts) -> StepEnd:
        """What is recorded of an outcome: exit codes and declared outputs judged, all text masked."""
        step = self.step
        outcome, declared = self._with_outputs(outcome, facts)
        outputs = {**self.masker.masked(dict(output_of(outcome).values)), **declared}
        state, output = state_of(outcome), output_of(outcome)
        again, why_not = self._again(outcome, facts)
        # Of this attempt nothing was sent. Of the other nobody knows, and what comes next must not take it for ended.
        doubt = DOUBT if facts.earlier and not again and state is not StepState.UNKNOWN else None
        state = StepState.UNKNOWN if doubt else state
        notes = [text for text in (error_of(outcome), facts.file.note if facts.file else None, why_not, doubt) if text]
        shown = state is not StepState.SUCCEEDED and not step.sensitive
        kept = step.keeps_output and not step.sensitive
        return StepEnd(
            state=state,
            exit_code=output.exit_code,
            duration=facts.seconds,
            outputs=outputs,
            stdout=as_data(output) if kept else None,
            stderr=visible(output.stderr) if kept else None,
            stdout_tail=last_bytes(visible(output.stdout), TAIL) or None if shown else None,
            stderr_tail=last_bytes(visible(output.stderr), TAIL) or None if shown else None,
            error=bounded(visible(self.masker.mask("; ".join(notes)))) or None,
            log=facts.file.name if facts.file else None,
            continued=step.continue_on_error and state in FORGIVABLE and not (facts.stopped and facts.by_run),
            again=again,
        )

    def _again(self, outcome: Outcome, facts: Facts) -> tuple[bool, str | None]:
        """Whether the author wants another attempt; or why that cannot be said."""
        retry = self.step.retry
        if retry is None or not facts.repeatable or not repeats(retry, outcome, facts.attempt):
            return False, None
        context = self.place.context(self.env, self._own(outcome, facts))
        try:
            return condition(retry.if_, context, status=self.place.status), None
        except ExpressionError as error:
            return False, f"retry.if: {error.message}"

    def _own(self, outcome: Outcome, facts: Facts) -> StepRecord:
        """The step's own result, as its expressions see it."""
        step, output = self.step, output_of(outcome)
        return StepRecord(
            step.phase,
            step.id,
            state_of(outcome),
            facts.attempt,
            output.exit_code,
            facts.seconds,
            stdout=TOO_LARGE if output.cut else output.stdout,
            stderr=output.stderr,
        )

    def _with_outputs(self, outcome: Outcome, facts: Facts) -> tuple[Outcome, dict[str, Any]]:
        if not isinstance(outcome, Succeeded | Failed):
            return outcome, {}
        step, output = self.step, outcome.output
        if isinstance(outcome, Failed) and not outcome.ran:
            return outcome, dict.fromkeys(step.outputs)
        own = self._own(outcome, facts)
        try:
            by_itself = not (isinstance(outcome, Failed) and outcome.ended)  # also where an order came after its end
            if by_itself and output.exit_code is not None and step.ok_exit_codes != (0,):
                good = is_ok(step, output.exit_code, self.place.context(self.env, own), self.place.status)
                outcome = Succeeded(output) if good else Failed(f"exit code {output.exit_code}", output)
                own = replace(own, state=state_of(outcome))
        except ExpressionError as error:
            return Failed(f"okExitCodes: {error.message}", output), {}
        if not step.outputs:
            return outcome, {}
        return self._declared(own, outcome)

    def _declared(self, own: StepRecord, outcome: Succeeded | Failed) -> tuple[Outcome, dict[str, Any]]:
        context = self.place.context(self.env, own)
        found: dict[str, Any] = {}
        for name, value in self.step.outputs.items():
            try:
                made = render(value, context, status=self.place.status)
            except ExpressionError as error:
                if isinstance(outcome, Succeeded):
                    return Failed(f"output '{name}': {error.message}", outcome.output), {}
                made = None
            if self.masker.holds_secret(made):
                return Failed(f"output '{name}' contains a secret; it is not kept", outcome.output), {}
            found[name] = made
        return outcome, found


def bounded(error: str) -> str:
    """What a target or a plug-in says of an error may have any length; people read the beginning."""
    return error if len(error) <= MOST_SAID else f"{error[:MOST_SAID]} ... ({len(error) - MOST_SAID} characters more)"


def as_data(output: Output) -> str:
    """stdout as later steps read it: all of it, or the mark that it was too large."""
    return TOO_LARGE if output.cut else visible(output.stdout)


def target_outputs(outputs: Mapping[str, Any], place: Place, masker: Masker) -> dict[str, Any]:
    """The job's outputs on one target. One whose expression fails (its step did not run) is null."""
    context = place.context({})
    found: dict[str, Any] = {}
    for key, value in outputs.items():
        try:
            made = render(value, context, status=place.status)
        except ExpressionError:
            made = None
        found[key] = None if masker.holds_secret(made) else made
    return found


def record_of(
    step: PlannedStep, attempt: int, ended: StepEnd, output: Output, ended_at: datetime | None = None
) -> StepRecord:
    """What the next steps see: the same that a resumed run would read in the journal, plus unkept output."""
    return StepRecord(
        phase=step.phase,
        id=step.id,
        state=ended.state,
        attempt=attempt,
        exit_code=ended.exit_code,
        duration=ended.duration,
        outputs=ended.outputs,
        stdout=as_data(output),
        stderr=visible(output.stderr),
        error=ended.error,
        continued=ended.continued,
        again=ended.again,
        ended_at=ended_at,
    )
