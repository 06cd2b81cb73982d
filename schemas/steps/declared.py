"""What the step types of plug-ins say about themselves: data in a file of their package, copied into the lock."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from schemas.credential import CredentialType
from schemas.steps.types import Needs, StepType

NAME = r"^[a-z][a-z0-9-]{0,62}(\.[a-z][a-z0-9-]{0,62}){1,3}$"
"""Names of plug-ins' step types have a dot in them: `sample.greet`."""
FILE = "step_types.yaml"
"""The file beside a plug-in's modules that declares its step types, by their names."""

InputName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9]{0,62}$")]


class Declared(BaseModel):
    """One step type of a plug-in. It is read without importing any code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    description: str = Field(min_length=1, max_length=1024, description="What it does, in a sentence.")
    inputs: dict[InputName, dict[str, Any]] = Field(
        default_factory=dict, description="JSON Schemas of what `with` takes, by name."
    )
    required: list[InputName] = Field(default_factory=list, description="Inputs that must be given.")
    outputs: dict[InputName, dict[str, Any]] = Field(
        default_factory=dict, description="JSON Schemas of what later steps read in `steps.<id>.outputs`, by name."
    )
    needs: Needs = Field(
        default="commands", description="What it does where it runs; `nothing` is for what the runner does itself."
    )
    over: str | None = Field(default=None, description="The connection that it always uses; else the target's own.")
    one_of: list[list[InputName]] = Field(default_factory=list, description="Of each group exactly one is given.")
    at_most_one_of: list[list[InputName]] = Field(default_factory=list, description="Of each group one may be given.")
    together: list[list[InputName]] = Field(
        default_factory=list, description="Of each pair the first needs the second."
    )
    secret: list[InputName] = Field(default_factory=list, description="Inputs that a secret may be the whole of.")
    credentials: list[CredentialType] = Field(
        default_factory=list, description="Types of Credentials that the input `credentialRef` may name."
    )
    examples: list[dict[str, Any]] = Field(default_factory=list, description="Values of `with` that work.")

    @model_validator(mode="after")
    def _of_inputs(self) -> "Declared":
        for field, names in self._named():
            if unknown := sorted(set(names) - self.inputs.keys()):
                raise ValueError(f"'{field}' names '{unknown[0]}', which is none of the inputs")
        if self.credentials and "credentialRef" not in self.inputs:
            raise ValueError("'credentials' is for a type with an input 'credentialRef'")
        if any(len(pair) != 2 for pair in self.together):
            raise ValueError("'together' holds pairs")
        if self.needs == "nothing" and self.over is not None:
            raise ValueError("a type that needs nothing is over no connection")
        if "run" in self.inputs:
            raise ValueError("'run' is for scripts; give the input another name")
        return self

    def _named(self) -> Iterator[tuple[str, list[str]]]:
        yield "required", self.required
        yield "secret", self.secret
        for field, groups in (
            ("oneOf", self.one_of),
            ("atMostOneOf", self.at_most_one_of),
            ("together", self.together),
        ):
            for group in groups:
                yield field, group

    def step_type(self, name: str) -> StepType:
        return StepType(
            name,
            inputs=self.inputs,
            required=frozenset(self.required),
            results=self.outputs,
            needs=self.needs,
            over=self.over,
            description=self.description,
            one_of=tuple(tuple(group) for group in self.one_of),
            at_most_one_of=tuple(tuple(group) for group in self.at_most_one_of),
            together=tuple((first, second) for first, second in self.together),
            secret=frozenset(self.secret),
            credentials=tuple(self.credentials),
            examples=tuple(self.examples),
        )


def declared(data: Mapping[str, Any]) -> Declared:
    """Raises ValueError, with every fault in one message for people."""
    try:
        return Declared.model_validate(data)
    except ValidationError as error:
        raise ValueError(said(error)) from error


def said(error: ValidationError) -> str:
    """Every fault in one line for people."""
    return "; ".join(_said(dict(one)) for one in error.errors())


def _said(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


NONE: Mapping[str, StepType] = MappingProxyType({})
