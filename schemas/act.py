"""Kind RunRequest: an act, judged once, by its name."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.envelope import Document, Identifier, Many, Model, Name
from schemas.job import Step
from schemas.quantities import Instant
from schemas.rules import chosen, exactly_one, has, none_of, published, when
from schemas.selector import Selection


class InlineJob(Model):
    steps: Many[Step] = Field(min_length=1, description="What to do.")
    targets: Selection | None = Field(default=None, description="Where.")


_STARTED = ("jobRef", "workflowRef", "discoveryRef", "job")
_OF_A_RUN = has("action", "cancel", "rerun", "resume")
_ONLY_FOR = {
    "failedOnly": ("rerun",),
    "at": ("rerun",),
    "fromStep": ("rerun", "resume"),
    "params": ("start", "rerun"),
    "limit": ("start", "rerun", "resume"),
    "dryRun": ("start", "rerun", "resume"),
    "priority": ("start", "rerun", "resume"),
    "notBefore": ("start", "rerun", "resume"),
}
"""Which action each of these fields says something about; the others go with all of them."""


def _fits(actions: tuple[str, ...]) -> dict[str, Any]:
    """The action is one of these; left out, it is a start."""
    return has("action", *actions) if "start" not in actions else {"properties": {"action": {"enum": list(actions)}}}


_RERUN_AS_IT_WAS = {
    "properties": {"action": {"enum": ["rerun"]}, "at": {"enum": ["original"]}},
    "required": ["action"],
}


class RunRequestSpec(Model):
    model_config = published(
        when(
            _OF_A_RUN,
            {**has("run"), **none_of(*_STARTED)},
            {**exactly_one(*_STARTED), **none_of("run")},
        ),
        *(when(has(field), _fits(actions)) for field, actions in _ONLY_FOR.items()),
        when(has("params"), {"not": _RERUN_AS_IT_WAS}),
    )

    action: Literal["start", "cancel", "rerun", "resume"] = Field(default="start", description="What is asked for.")
    job_ref: Name | None = Field(default=None, description="The job to start.", examples=["rotate-web-logs"])
    workflow_ref: Name | None = Field(default=None, description="The workflow to start.", examples=["release"])
    discovery_ref: Name | None = Field(default=None, description="The discovery to start.", examples=["lab"])
    job: InlineJob | None = Field(default=None, description="Steps to run once, without a Job document.")
    run: str | None = Field(
        default=None,
        max_length=100,
        description="The run to cancel, repeat or resume.",
        examples=["rotate-web-logs-20261121T001500Z-9f31c2a07b"],
    )
    params: dict[Identifier, Any] = Field(
        default_factory=dict, description="The job's params.", examples=[{"keepDays": 30}]
    )
    limit: Selection | None = Field(default=None, description="Narrows the targets.")
    failed_only: bool = Field(
        default=False, description="Repeat only targets that failed, timed out or were unreachable."
    )
    from_step: Identifier | None = Field(default=None, description="Repeat from this step on.", examples=["rotate"])
    at: Literal["original", "current"] = Field(default="original", description="Which commit a repetition runs from.")
    dry_run: bool = Field(default=False, description="Record for each target what would run, and run nothing.")
    not_before: Instant | None = Field(default=None, description="Earliest start.", examples=["2026-12-01T00:00:00Z"])
    expires_at: Instant | None = Field(
        default=None,
        description="Refused after this; an hour after it was first seen by default.",
        examples=["2026-12-01T02:00:00Z"],
    )
    reason: str = Field(
        default="", max_length=4096, description="Why, for the record.", examples=["disk is filling up"]
    )
    priority: int | None = Field(default=None, ge=-1000, le=1000, description="Over the job's.", examples=[10])

    @model_validator(mode="after")
    def _fits_its_action(self) -> "RunRequestSpec":
        named = chosen(self, _STARTED)
        if self.action == "start" and (len(named) != 1 or self.run is not None):
            raise ValueError("a start names exactly one of jobRef, workflowRef, discoveryRef, job")
        if self.action != "start" and (named or self.run is None):
            raise ValueError(f"a {self.action} names a 'run' and nothing to start")
        given = {info.alias or name for name, info in type(self).model_fields.items() if name in self.model_fields_set}
        for field, actions in _ONLY_FOR.items():
            if field in given and self.action not in actions:
                raise ValueError(f"'{field}' goes with action: {' or '.join(actions)}")
        if self.action == "rerun" and self.at == "original" and self.params:
            raise ValueError("a rerun at: original keeps the run's own params; other ones go with at: current")
        if self.not_before is not None and self.expires_at is not None and self.expires_at <= self.not_before:
            raise ValueError("'expiresAt' is not later than notBefore: it could never start")
        return self


class RunRequest(Document):
    """Ask for a run, or for a run's end."""

    kind: Literal["RunRequest"] = Field(description="RunRequest.")
    spec: RunRequestSpec = Field(description="What is asked for.")


class ApprovalSpec(Model):
    gate: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] = Field(
        description="Digest of the gate, as the status branch shows it.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    decision: Literal["approve", "reject"] = Field(description="Yes or no.")
    reason: str = Field(default="", max_length=4096, description="Why, for the record.", examples=["checked the plan"])


class Approval(Document):
    """A person's yes or no to a gate. Who that is, the commit's signature says."""

    kind: Literal["Approval"] = Field(description="Approval.")
    spec: ApprovalSpec = Field(description="Which gate, and what is decided.")
