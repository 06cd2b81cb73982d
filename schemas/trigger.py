"""Kind Trigger: event x condition -> job or workflow."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.envelope import Condition, Document, Identifier, Many, Model, Name
from schemas.meaning import Meaning
from schemas.paths import Glob
from schemas.quantities import Period
from schemas.rules import chosen, one_of

Provider = Literal["github", "gitlab", "gitea", "generic"]
RunState = Literal["succeeded", "failed", "cancelled", "timedOut", "unknown"]
_EVENTS = ("webhook", "run", "definitions")
_STARTED = ("jobRef", "workflowRef")


class WebhookEvent(Model):
    """A request to `POST /hooks/<trigger>` whose signature the credential proves."""

    credential_ref: Name = Field(description="The secret that signs the requests.", examples=["hook-secret"])
    provider: Provider = Field(default="generic", description="How requests are signed, and what `event` looks like.")
    events: Many[str] = Field(
        default=(),
        description="The kinds of events that count, as the sender names them in its header; of all where left out.",
        examples=[["push", "release"]],
    )

    @model_validator(mode="after")
    def _names_events(self) -> "WebhookEvent":
        if self.events and self.provider == "generic":
            raise ValueError("a generic sender has no kinds of events; compare a field of 'event' under 'if'")
        return self


class RunEvent(Model):
    """A run that ended."""

    jobs: Many[Name] = Field(
        default=(),
        description="Runs of these jobs; of all jobs and workflows where neither is named.",
        examples=[["build"]],
    )
    workflows: Many[Name] = Field(default=(), description="Runs of these workflows.", examples=[["release"]])
    states: Many[RunState] = Field(
        default=("succeeded",), description="States in which it ended.", examples=[["failed", "timedOut"]]
    )


class DefinitionsEvent(Model):
    """An accepted commit."""

    paths: Many[Glob] = Field(
        default=("**",), description="Globs; a file that changed matches one of them.", examples=[["site/**"]]
    )


class Event(Model):
    """What sets the trigger off. Exactly one."""

    model_config = one_of(*_EVENTS)

    webhook: WebhookEvent | None = Field(default=None, description="A signed HTTP request.")
    run: RunEvent | None = Field(default=None, description="A run that ended.")
    definitions: DefinitionsEvent | None = Field(default=None, description="A commit that was accepted.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Event":
        if len(chosen(self, _EVENTS)) != 1:
            raise ValueError("an event is exactly one of webhook, run, definitions")
        return self


class Dedupe(Model):
    """Events with one key within the window start one run."""

    key: Annotated[str, Meaning.EXPRESSION] = Field(
        description="Expression that gives the key.", examples=["${{ event.head_commit.id }}"]
    )
    window: Period = Field(description="How long a key is remembered.", examples=["10m"])


class TriggerSpec(Model):
    model_config = one_of(*_STARTED)

    event: Event = Field(description="What sets it off.")
    if_: Condition = Field(
        default=None,
        alias="if",
        description="Expression over `event`; nothing starts when it is false.",
        examples=["${{ event.ref == 'refs/heads/main' }}"],
    )
    job_ref: Name | None = Field(default=None, description="The job to start.", examples=["deploy-web"])
    workflow_ref: Name | None = Field(default=None, description="The workflow to start.", examples=["release"])
    params: Annotated[dict[Identifier, Any], Meaning.EXPRESSION] = Field(
        default_factory=dict,
        description="Params of what is started; expressions may use `event`.",
        examples=[{"version": "${{ event.release.tag_name }}"}],
    )
    dedupe: Dedupe | None = Field(default=None, description="When two events are one.")

    @model_validator(mode="after")
    def _starts_one(self) -> "TriggerSpec":
        if len(chosen(self, _STARTED)) != 1:
            raise ValueError("a trigger names exactly one of jobRef, workflowRef")
        return self


class Trigger(Document):
    """An event and a condition that start a job or a workflow."""

    kind: Literal["Trigger"] = Field(description="Trigger.")
    spec: TriggerSpec = Field(description="What starts what.")
