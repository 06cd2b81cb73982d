"""Kind Credential: a secret, encrypted in place or by reference, and who may use it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from schemas import patterns
from schemas.envelope import Document, Many, Model, Name
from schemas.paths import Login
from schemas.quantities import Instant, Period
from schemas.rules import chosen, has, none_of, one_of, published, when
from schemas.selector import Selector
from schemas.target import PluginName

CredentialType = Literal["ssh", "password", "token", "certificate", "generic"]

FIELDS = {
    "ssh": frozenset({"username", "password", "privateKey", "passphrase", "certificate"}),
    "password": frozenset({"username", "password"}),
    "token": frozenset({"token"}),
    "certificate": frozenset({"certificate", "key", "passphrase"}),
    "generic": frozenset({"value"}),
}
"""Which fields `secrets.<credential>.<field>` may name, by type."""


_SOURCES = ("file", "env", "vault", "command", "plugin")


class Vault(Model):
    path: str = Field(min_length=1, description="Path of the secret.", examples=["secret/data/web"])
    field: str | None = Field(default=None, min_length=1, description="Key within the secret.", examples=["password"])


class PluginSource(Model):
    name: PluginName = Field(description="The source's name.", examples=["sample.netrc"])
    with_: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="What it is given; it is no secret.",
        examples=[{"machine": "db-01"}],
    )


class Source(Model):
    """Where the secret is. Exactly one."""

    model_config = one_of(*_SOURCES)

    file: str | None = Field(
        default=None,
        description="File in the runner's secret folder; for ssh it holds the private key.",
        json_schema_extra={"minLength": 1, "pattern": patterns.PATH},  # where it lies is a check of its own
        examples=["keys/web"],
    )
    env: str | None = Field(
        default=None,
        pattern=r"^OPSCONDUCTOR_SECRET_[A-Z0-9_]+$",
        description="Variable of the runner, OPSCONDUCTOR_SECRET_*.",
        examples=["OPSCONDUCTOR_SECRET_API"],
    )
    vault: Vault | None = Field(default=None, description="A HashiCorp Vault or OpenBao secret.")
    command: Many[str] | None = Field(
        default=None, description="A program of the runner that prints it.", examples=[["pass", "show", "web"]]
    )

    plugin: PluginSource | None = Field(default=None, description="A source that a plug-in brings.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        if len(chosen(self, _SOURCES)) != 1:
            raise ValueError("'from' names exactly one of file, env, vault, command, plugin")
        return self


class CredentialSpec(Model):
    type: CredentialType = Field(description="What kind of secret it is.")
    username: Login | None = Field(default=None, description="Login name that goes with it.", examples=["ops"])
    pools: Many[Name] = Field(
        default=(), description="Pools whose runners may open it; all where left out.", examples=[["default"]]
    )
    allowed_for: Selector | None = Field(default=None, description="Jobs that may use it; all where left out.")
    rotate_after: Period | None = Field(default=None, description="Age at which to warn.", examples=["90d"])
    expires_at: Instant | None = Field(
        default=None, description="When it stops working.", examples=["2027-12-01T00:00:00Z"]
    )
    from_: Source | None = Field(default=None, alias="from", description="Where the secret is.")


class Credential(Document):
    """A secret, encrypted in place (`data` and `sops`) or by reference (`spec.from`), and who may use it."""

    model_config = published(
        {"dependentRequired": {"data": ["sops"], "sops": ["data"]}},
        when(has("data"), {"properties": {"spec": none_of("from")}}, {"properties": {"spec": has("from")}}),
    )

    kind: Literal["Credential"] = Field(description="Credential.")
    spec: CredentialSpec = Field(
        description="What it is and where it comes from.", examples=[{"type": "ssh", "from": {"file": "keys/web"}}]
    )
    data: dict[str, Any] | None = Field(
        default=None,
        description="The secret's fields, encrypted by sops.",
        examples=[{"password": "ENC[AES256_GCM,data:cGFzcw==,iv:aXY=,tag:dGFn,type:str]"}],
    )
    sops: dict[str, Any] | None = Field(
        default=None,
        description="What sops writes beside it; its own to change.",
        examples=[{"encrypted_regex": "^data$", "mac": "ENC[AES256_GCM,data:bWFj,iv:aXY=,tag:dGFn,type:str]"}],
    )

    @model_validator(mode="after")
    def _here_or_elsewhere(self) -> "Credential":
        if (self.data is None) != (self.sops is None):
            raise ValueError("'data' and 'sops' go together: encrypt the file with sops")
        if self.data is not None and self.spec.from_ is not None:
            raise ValueError("a credential has either spec.from, or data encrypted by sops")
        return self
