"""Kinds Target and TargetGroup: hosts and endpoints with their connections, and sets of them."""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.envelope import Document, Many, Model, Name
from schemas.paths import Certificate, Host, HttpUrl, Login
from schemas.rules import any_of, has, published, when
from schemas.selector import Selector

Port = int


UserName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.#][A-Za-z0-9_.@\\+-]*\$?$", max_length=256)]
"""A name as sudo takes it, or `#` and a number."""


PLUGIN_NAME = r"^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$"
PluginName = Annotated[str, Field(pattern=PLUGIN_NAME, max_length=128)]
"""What a plug-in brings has a dot in its name."""


class Become(Model):
    user: UserName = Field(description="The user to become.", examples=["root"])
    method: Literal["sudo"] = Field(default="sudo", description="How.")
    credential_ref: Name | None = Field(
        default=None, description="The password to become it with.", examples=["sudo-password"]
    )


class SshConnection(Model):
    port: Port = Field(default=22, ge=1, le=65535, description="TCP port.", examples=[22])
    user: Login | None = Field(
        default=None, description="Login name; the credential's username by default.", examples=["ops"]
    )
    credential_ref: Name | None = Field(
        default=None, description="Key or password to log in with.", examples=["web-key"]
    )
    host_keys: Many[str] = Field(
        default=(),
        description="Host keys it may show, without a host name. Required.",
        examples=[["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"]],
    )
    jump: Name | None = Field(default=None, description="A Target to connect through.", examples=["bastion"])
    become: UserName | Become | None = Field(
        default=None, description="User to become for every step.", examples=["root"]
    )


class WinrmConnection(Model):
    model_config = published(
        when(has("transport", "basic", "certificate"), {"properties": {"scheme": {"const": "https"}}})
    )

    port: Port | None = Field(default=None, ge=1, le=65535, description="TCP port.", examples=[5986])
    protocol: Literal["psrp", "winrm"] = Field(default="psrp", description="Which protocol.")
    scheme: Literal["https", "http"] = Field(default="https", description="Whether TLS is used.")
    transport: Literal["basic", "ntlm", "kerberos", "certificate"] = Field(
        default="ntlm", description="Authentication."
    )
    credential_ref: Name | None = Field(default=None, description="What to log in with.", examples=["win-admin"])
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )
    server_name: Host | None = Field(
        default=None, description="Name the certificate must have.", examples=["win-01.example.org"]
    )


class HttpConnection(Model):
    base_url: HttpUrl = Field(description="What paths are appended to.", examples=["https://api.example.org/v1"])
    credential_ref: Name | None = Field(default=None, description="What to authenticate with.", examples=["api-token"])
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )


class RdpConnection(Model):
    port: Port = Field(default=3389, ge=1, le=65535, description="TCP port.", examples=[3389])


class LocalConnection(Model):
    """Steps run on the runner's own host."""


class Connections(Model):
    ssh: SshConnection | None = Field(default=None, description="OpenSSH.")
    winrm: WinrmConnection | None = Field(default=None, description="Windows remote management.")
    http: HttpConnection | None = Field(default=None, description="An HTTP endpoint.")
    rdp: RdpConnection | None = Field(default=None, description="Remote desktop, tested only.")
    local: LocalConnection | None = Field(default=None, description="The runner's own host.")
    plugins: dict[PluginName, dict[str, Any]] = Field(
        default_factory=dict,
        description="Connections that plug-ins bring, by name, each with its settings.",
        examples=[{"sample.shell": {"folder": "/srv"}}],
    )

    @property
    def declared(self) -> tuple[str, ...]:
        """The names of those that are given, those of plug-ins last."""
        own = (name for name in type(self).model_fields if name != "plugins" and getattr(self, name) is not None)
        return (*own, *self.plugins)

    def login_by_plugin(self, name: str) -> str | None:
        """The Credential that a plug-in's connection names: `credentialRef` means that with every connection."""
        reference = self.plugins[name].get("credentialRef")
        return reference if isinstance(reference, str) else None


_TO_A_HOST = ("ssh", "winrm", "rdp")


class TargetSpec(Model):
    model_config = published(
        when({"required": ["connections"], "properties": {"connections": any_of(*_TO_A_HOST)}}, has("host")),
        # Where ssh is only used by steps that name it, the cross-checks ask for the keys.
        when(
            {
                "required": ["connections"],
                "properties": {"connections": has("ssh"), "defaultConnection": {"const": "ssh"}},
            },
            {
                "properties": {
                    "connections": {
                        "properties": {"ssh": {"required": ["hostKeys"], "properties": {"hostKeys": {"minItems": 1}}}}
                    }
                }
            },
        ),
    )

    host: Host | None = Field(default=None, description="Name or address.", examples=["web-01.example.org"])
    os: Literal["linux", "windows", "network", "other"] = Field(default="linux", description="What runs there.")
    connections: Connections = Field(default_factory=cache(Connections), description="How to reach it.")
    default_connection: Literal["ssh", "winrm", "http", "local"] | PluginName | None = Field(
        default=None, description="Which connection steps use when they name none; the only one, else ssh or winrm."
    )
    vars: dict[str, Any] = Field(
        default_factory=dict, description="Values for expressions.", examples=[{"appDir": "/srv/app"}]
    )
    facts: dict[str, Any] = Field(
        default_factory=dict, description="What is known about the host.", examples=[{"kernel": "6.1.0"}]
    )

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
    names: Many[Name] = Field(default=(), description="Targets by name.", examples=[["web-01", "web-02"]])
    selector: Selector | None = Field(default=None, description="Targets whose labels match.")
    groups: Many[Name] = Field(default=(), description="Members of other groups.", examples=[["web-eu"]])
    vars: dict[str, Any] = Field(
        default_factory=dict,
        description="Values for members; nearest group wins, then target.",
        examples=[{"appDir": "/srv/app"}],
    )


class TargetGroup(Document):
    """A named set of targets."""

    kind: Literal["TargetGroup"] = Field(description="TargetGroup.")
    spec: TargetGroupSpec = Field(default_factory=cache(TargetGroupSpec), description="Who is in it.")
