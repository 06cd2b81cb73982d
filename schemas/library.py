"""Kinds StepLibrary and Step: a vendored, pinned set of steps, as data."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.envelope import Document, Identifier, Many, Model, OutputSchema, ParamSchemas, Some
from schemas.job import MAX_VARIABLES, Environment, Shell, Step
from schemas.meaning import Meaning
from schemas.paths import RepositoryPath
from schemas.rules import chosen, exactly_one, none_of, published, when

_BODIES = ("steps", "script")
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+){0,2}$", max_length=32)]
LibraryRef = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?@[0-9]+(\.[0-9]+){0,2}$", max_length=96)
]


class StepLibrarySpec(Model):
    version: Version = Field(description="Its version: major, minor, patch.", examples=["1.4.0"])
    description: Annotated[str, Meaning.PROSE] = Field(
        default="", max_length=4096, description="What it is for.", examples=["Log files"]
    )
    requires: Many[LibraryRef] = Field(
        default=(), description="Libraries its steps use, as name@version.", examples=[["linux-core@1"]]
    )


class StepLibrary(Document):
    """A vendored, pinned set of steps: `libraries/<name>/library.yaml`."""

    kind: Literal["StepLibrary"] = Field(description="StepLibrary.")
    spec: StepLibrarySpec = Field(description="What the library is.")


class Example(Model):
    """One use of the step, shown in the reference and checked against its inputs."""

    description: Annotated[str, Meaning.PROSE] = Field(
        default="", max_length=4096, description="What it shows.", examples=["Weekly rotation"]
    )
    with_: Annotated[dict[str, Any], Meaning.PROSE] = Field(
        default_factory=dict, alias="with", description="Inputs.", examples=[{"config": "/etc/logrotate.d/web"}]
    )


class LibraryStepSpec(Model):
    model_config = published(exactly_one(*_BODIES), when(none_of("script"), none_of("shell", "env")))

    inputs: ParamSchemas = Field(
        default_factory=dict,
        description="JSON Schema properties; also `required: true`, `secret: true` on each.",
        examples=[{"config": {"type": "string", "required": True}}],
    )
    outputs: Annotated[dict[Identifier, OutputSchema], Meaning.SCHEMAS] = Field(
        default_factory=dict,
        description="JSON Schema of each result; `value` holds the expression that gives it.",
        examples=[{"freed": {"type": "integer", "value": "${{ steps.rotate.outputs.freed }}"}}],
    )
    platforms: Many[Literal["linux", "windows", "network", "other"]] = Field(
        default=(), description="What it runs on; everything where left out.", examples=[["linux"]]
    )
    steps: Some[Step] | None = Field(default=None, description="What it does.")
    script: RepositoryPath | None = Field(default=None, description="A script file beside it.", examples=["rotate.sh"])
    shell: Shell | None = Field(default=None, description="What interprets the script.")
    env: Environment = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="Environment of the script.",
        examples=[{"CONFIG": "${{ inputs.config }}"}],
    )
    examples: Many[Example] = Field(default=(), description="Uses of the step.")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The JSON Schemas of its outputs, without the expressions that give them."""
        return {
            name: {key: one for key, one in schema.items() if key != "value"} for name, schema in self.outputs.items()
        }

    @model_validator(mode="after")
    def _one_body(self) -> "LibraryStepSpec":
        if len(chosen(self, _BODIES)) != 1:
            raise ValueError("a library step has exactly one of steps, script")
        if self.script is None and (self.shell is not None or self.env):
            raise ValueError(f"'{'shell' if self.shell else 'env'}' goes with script")
        return self


class LibraryStep(Document):
    """One step of a library: `libraries/<name>/steps/<step>.yaml`."""

    kind: Literal["Step"] = Field(description="Step.")
    spec: LibraryStepSpec = Field(description="Its inputs, its outputs, and what it does.")
