"""What plug-ins say about their connections, secret sources and channels: data, copied into the lock.

It says what documents may write below `spec.connections.plugins.<name>` of a Target, `spec.from.plugin.with` of a
Credential and `spec.with` of a NotificationChannel, so that it is checked without the plug-in.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from schemas.credential import CredentialType
from schemas.steps.declared import InputName, said

SETTINGS_FILE = "settings.yaml"
"""The file beside a plug-in's modules that declares the settings of its parts: by kind of part, and by name."""

Kind = Literal["connections", "secrets", "channels"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Part(BaseModel):
    """One connection, secret source or channel of a plug-in. It is read without importing any code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    description: str = Field(min_length=1, max_length=1024, description="What it is, in a sentence.")
    settings: dict[InputName, dict[str, Any]] = Field(
        default_factory=dict, description="JSON Schemas of what documents write for it, by name."
    )
    required: list[InputName] = Field(default_factory=list, description="Settings that must be given.")
    credentials: list[CredentialType] = Field(
        default_factory=list, description="Types of Credentials that `credentialRef` may name; any where left out."
    )
    becomes: bool = Field(
        default=False, description="Of a connection: whether its steps can become another user of the host (`become`)."
    )

    @model_validator(mode="after")
    def _of_settings(self) -> "Part":
        if unknown := sorted(set(self.required) - self.settings.keys()):
            raise ValueError(f"'required' names '{unknown[0]}', which is none of the settings")
        return self


Parts = Mapping[Kind, Mapping[str, Part]]


def part(data: Mapping[str, Any]) -> Part:
    """Raises ValueError, with every fault in one message for people."""
    try:
        return Part.model_validate(data)
    except ValidationError as error:
        raise ValueError(said(error)) from error
