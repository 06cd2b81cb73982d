"""Kinds Target and TargetGroup: hosts and endpoints with their connections, and sets of them."""

from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from schemas.envelope import Document, Many, Model, Name
from schemas.selector import Selector

Port = int


class Become(Model):
    user: str = Field(description="The user to become.")
    method: Literal["sudo"] = Field(default="sudo", description="How.")
    credential_ref: Name | None = Field(default=None, description="The password to become it with.")


class SshConnection(Model):
    port: Port = Field(default=22, ge=1, le=65535, description="TCP port.")
    user: str | None = Field(default=None, description="Login name; the credential's username by default.")
    credential_ref: Name | None = Field(default=None, description="Key or password to log in with.")
    host_keys: Many[str] = Field(default=(), description="Host keys it may show, without a host name. Required.")
    jump: Name | None = Field(default=None, description="A Target to connect through.")
    become: str | Become | None = Field(default=None, description="User to become for every step.")


class WinrmConnection(Model):
    port: Port | None = Field(default=None, ge=1, le=65535, description="TCP port.")
    protocol: Literal["psrp", "winrm"] = Field(default="psrp", description="Which protocol.")
    scheme: Literal["https", "http"] = Field(default="https", description="Whether TLS is used.")
    transport: Literal["basic", "ntlm", "kerberos", "certificate"] = Field(
        default="ntlm", description="Authentication."
    )
    credential_ref: Name | None = Field(default=None, description="What to log in with.")
    ca_cert: str | None = Field(default=None, description="PEM text or path of the trusted certificate.")
    server_name: str | None = Field(default=None, description="Name the certificate must have.")


class HttpConnection(Model):
    base_url: str = Field(description="What paths are appended to.")
    credential_ref: Name | None = Field(default=None, description="What to authenticate with.")
    ca_cert: str | None = Field(default=None, description="PEM text or path of the trusted certificate.")


class RdpConnection(Model):
    port: Port = Field(default=3389, ge=1, le=65535, description="TCP port.")


class LocalConnection(Model):
    """Steps run on the runner's own host."""


class Connections(Model):
    ssh: SshConnection | None = Field(default=None, description="OpenSSH.")
    winrm: WinrmConnection | None = Field(default=None, description="Windows remote management.")
    http: HttpConnection | None = Field(default=None, description="An HTTP endpoint.")
    rdp: RdpConnection | None = Field(default=None, description="Remote desktop, tested only.")
    local: LocalConnection | None = Field(default=None, description="The runner's own host.")


class TargetSpec(Model):
    host: str | None = Field(default=None, min_length=1, max_length=253, description="Name or address.")
    os: Literal["linux", "windows", "network", "other"] = Field(default="linux", description="What runs there.")
    connections: Connections = Field(default_factory=cache(Connections), description="How to reach it.")
    default_connection: Literal["ssh", "winrm", "http", "local"] | None = Field(
        default=None, description="Which connection steps use when they name none; the only one, else ssh or winrm."
    )
    vars: dict[str, Any] = Field(default_factory=dict, description="Values for expressions.")
    facts: dict[str, Any] = Field(default_factory=dict, description="What is known about the host.")

    @model_validator(mode="after")
    def _host_where_needed(self) -> "TargetSpec":
        if self.host is None and (self.connections.ssh or self.connections.winrm or self.connections.rdp):
            raise ValueError("'host' is required with ssh, winrm and rdp")
        return self


class Target(Document):
    """A host or endpoint with its connections."""

    kind: Literal["Target"] = Field(description="Target.")
    spec: TargetSpec = Field(description="Where it is and how to reach it.")


class TargetGroupSpec(Model):
    names: Many[Name] = Field(default=(), description="Targets by name.")
    selector: Selector | None = Field(default=None, description="Targets whose labels match.")
    groups: Many[Name] = Field(default=(), description="Members of other groups.")
    vars: dict[str, Any] = Field(
        default_factory=dict, description="Values for members; nearest group wins, then target."
    )


class TargetGroup(Document):
    """A named set of targets."""

    kind: Literal["TargetGroup"] = Field(description="TargetGroup.")
    spec: TargetGroupSpec = Field(default_factory=cache(TargetGroupSpec), description="Who is in it.")
