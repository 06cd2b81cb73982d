"""Kinds NotificationChannel and NotificationRule: where to; which events of which objects, when, in what words."""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas import patterns
from schemas.envelope import Document, Many, Model, Name
from schemas.meaning import Meaning
from schemas.paths import Certificate, Host, HttpUrl
from schemas.quantities import Duration, Period, Positive
from schemas.rules import any_of, chosen, has, none_of, one_of, published, when
from schemas.selector import Selector
from schemas.target import PluginName

EventName = Literal[
    "run.started", "run.succeeded", "run.failed", "run.recovered", "run.late", "run.missed", "run.unknown",
    "run.cancelled", "run.timedOut", "run.noTargets", "run.waitingApproval", "target.unreachable", "target.recovered",
    "sync.failed", "sync.recovered", "credential.expiring", "discovery.changed", "runner.lost", "notification.dead",
]  # fmt: skip
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Port = Annotated[int, Field(ge=1, le=65535)]
_TYPE = "Which sort of channel: email, slack, teams, webhook, amqp or apprise; plugin for one that a plug-in brings."
_ADDRESSES = ("url", "credentialRef")


class _Channel(Model):
    pool: Name | None = Field(
        default=None, description="Whose runners deliver; the project's default pool by default.", examples=["default"]
    )


class _UrlChannel(_Channel):
    """Reached by a URL, which may itself be the secret."""

    model_config = one_of(*_ADDRESSES)

    credential_ref: Name | None = Field(
        default=None, description="A token that is the URL, where the URL itself is a secret.", examples=["chat-url"]
    )
    url: HttpUrl | None = Field(
        default=None, description="Where messages are posted.", examples=["https://chat.example.org/hooks/ops"]
    )

    @model_validator(mode="after")
    def _has_one_address(self) -> "_UrlChannel":
        if len(chosen(self, _ADDRESSES)) != 1:
            raise ValueError("the channel has exactly one of url, credentialRef")
        return self


class EmailChannel(_Channel):
    """Mail by SMTP."""

    model_config = published(when(has("security", "none"), none_of("credentialRef", "caCert")))

    type: Literal["email"] = Field(description=_TYPE)
    credential_ref: Name | None = Field(default=None, description="Login of the mail server.", examples=["smtp-login"])
    to: Many[Address] = Field(min_length=1, description="Who gets it.", examples=[["oncall@example.org"]])
    from_: Address = Field(alias="from", description="Whom it comes from.", examples=["ops@example.org"])
    server: Host = Field(description="Host of the mail server.", examples=["mail.example.org"])
    port: Port = Field(default=587, description="TCP port.", examples=[465])
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is protected; none takes no login."
    )
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )

    @model_validator(mode="after")
    def _no_login_in_clear(self) -> "EmailChannel":
        if self.security == "none" and self.credential_ref is not None:
            raise ValueError("'credentialRef' needs security starttls or tls: no login is sent in clear text")
        if self.security == "none" and self.ca_cert is not None:
            raise ValueError("'caCert' needs security starttls or tls: nothing is shown without")
        return self


class SlackChannel(_UrlChannel):
    """An incoming webhook of Slack."""

    type: Literal["slack"] = Field(description=_TYPE)


class TeamsChannel(_UrlChannel):
    """A workflow of Microsoft Teams that posts cards."""

    type: Literal["teams"] = Field(description=_TYPE)


class AppriseChannel(_UrlChannel):
    """Whatever Apprise can reach."""

    type: Literal["apprise"] = Field(description=_TYPE)
    url: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*://[^\s]+$", max_length=2048)] | None = Field(
        default=None, description="An Apprise URL.", examples=["ntfy://ntfy.example.org/ops"]
    )


class WebhookChannel(_Channel):
    """CloudEvents as JSON by HTTP."""

    type: Literal["webhook"] = Field(description=_TYPE)
    credential_ref: Name | None = Field(default=None, description="Key that signs each request.", examples=["hook-key"])
    url: HttpUrl = Field(description="Where events are posted.", examples=["https://events.example.org/ops"])
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )


class AmqpChannel(_Channel):
    """CloudEvents to an exchange of RabbitMQ."""

    model_config = published(
        when(has("security", "none"), none_of("credentialRef", "caCert")), when(has("deadLetterExchange"), has("queue"))
    )

    type: Literal["amqp"] = Field(description=_TYPE)
    credential_ref: Name | None = Field(default=None, description="Login of the broker.", examples=["rabbit-login"])
    server: Host = Field(description="Host of the broker.", examples=["mq.example.org"])
    port: Port = Field(default=5671, description="TCP port.", examples=[5671])
    security: Literal["tls", "none"] = Field(default="tls", description="How the connection is protected.")
    virtual_host: str = Field(default="/", max_length=255, description="Virtual host of the broker.", examples=["/"])
    exchange: str = Field(min_length=1, max_length=255, description="Exchange to publish to.", examples=["ops.events"])
    routing_key: str = Field(
        default="", max_length=255, description="Routing key; the event's name by default.", examples=["ops.run"]
    )
    ca_cert: Certificate | None = Field(
        default=None, description="PEM text or path of the trusted certificate.", examples=["certs/site-ca.pem"]
    )
    queue: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="A durable queue that the channel declares and binds to all of the exchange, a durable topic.",
        examples=["ops.audit"],
    )
    dead_letter_exchange: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Where the queue puts what its consumers reject; declared with a queue '<queue>.dead'.",
        examples=["ops.dead"],
    )

    @model_validator(mode="after")
    def _no_login_in_clear(self) -> "AmqpChannel":
        if self.security == "none" and self.credential_ref is not None:
            raise ValueError("'credentialRef' needs security tls: no login is sent in clear text")
        if self.security == "none" and self.ca_cert is not None:
            raise ValueError("'caCert' needs security tls: nothing is shown without")
        return self

    @model_validator(mode="after")
    def _dead_letters_of_a_queue(self) -> "AmqpChannel":
        if self.dead_letter_exchange is not None and self.queue is None:
            raise ValueError("'deadLetterExchange' is that of a queue; name one in 'queue'")
        return self


class PluginChannel(_Channel):
    """A channel that a plug-in brings."""

    type: Literal["plugin"] = Field(description=_TYPE)
    credential_ref: Name | None = Field(
        default=None, description="What it logs in or signs with.", examples=["pager-token"]
    )
    name: PluginName = Field(description="The channel's name.", examples=["sample.spool"])
    with_: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="Its settings; they are no secret.",
        examples=[{"folder": "/var/spool/messages"}],
    )


ChannelSpec = Annotated[
    EmailChannel | SlackChannel | TeamsChannel | WebhookChannel | AmqpChannel | AppriseChannel | PluginChannel,
    Field(discriminator="type"),
]


class NotificationChannel(Document):
    """Where notifications go."""

    kind: Literal["NotificationChannel"] = Field(description="NotificationChannel.")
    spec: ChannelSpec = Field(description="Its type, and that type's settings.")


class ObjectSelection(Model):
    """Objects whose events count; every field that is given must match."""

    kinds: Many[Literal["Job", "Workflow", "Schedule", "Target", "Credential", "Discovery"]] = Field(
        default=(), description="Kinds of objects.", examples=[["Job"]]
    )
    selector: Selector | None = Field(default=None, description="Objects whose labels match.")
    names: Many[Name] = Field(default=(), description="Objects by name.", examples=[["backup"]])


class When(Model):
    """Which of the events are told."""

    consecutive_failures: Positive | None = Field(
        default=None, description="Only from this many failures in a row on.", examples=[3]
    )
    recovered: bool = Field(default=False, description="Also the first success after a failure that was told.")
    every_nth: Positive | None = Field(default=None, description="Only every nth event.", examples=[10])
    longer_than: Duration | None = Field(
        default=None, description="Only runs that took longer than this.", examples=["30m"]
    )


class Quiet(Model):
    """Hours in which nothing is sent; it is sent when they end."""

    cron: str = Field(
        max_length=256,
        description="When they begin, in local time.",
        examples=["0 22 * * *"],
        json_schema_extra={"pattern": patterns.CRON},
    )
    duration: Period = Field(description="How long they last.", examples=["8h"])
    time_zone: str = Field(max_length=64, description="IANA name.", examples=["Europe/Chisinau"])


class Grouping(Model):
    """Events that make one message."""

    by: Many[Literal["job", "target", "schedule", "event"]] = Field(
        default=(), description="What they have in common.", examples=[["job"]]
    )
    wait: Duration = Field(description="How long events are collected.", examples=["2m"])


class Template(Model):
    """The words: Jinja over `event`, `run`, `job`, `targets` and `links`."""

    subject: Annotated[str | None, Meaning.TEMPLATE] = Field(
        default=None, max_length=4096, description="Subject or title.", examples=["{{ job.name }} {{ run.state }}"]
    )
    body: Annotated[str | None, Meaning.TEMPLATE] = Field(
        default=None, max_length=65536, description="The message.", examples=["{{ run.id }} ended: {{ run.state }}"]
    )
    format: Literal["text", "html", "markdown"] = Field(default="text", description="What the body is.")


class NotificationRuleSpec(Model):
    model_config = published(any_of("channels", "users"))

    events: Many[EventName] = Field(min_length=1, description="Events it is about.", examples=[["run.failed"]])
    select: ObjectSelection = Field(default_factory=cache(ObjectSelection), description="Objects whose events count.")
    when: When = Field(default_factory=cache(When), description="Which of the events are told.")
    quiet: Quiet | None = Field(default=None, description="Hours in which nothing is sent.")
    group: Grouping | None = Field(default=None, description="Events that make one message.")
    channels: Many[Name] = Field(default=(), description="NotificationChannels.", examples=[["web-oncall"]])
    users: Many[Name] = Field(default=(), description="Users, by the channels they prefer.", examples=[["ana"]])
    template: Template = Field(default_factory=cache(Template), description="The words.")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "NotificationRuleSpec":
        if not self.channels and not self.users:
            raise ValueError("a rule needs at least one of channels, users")
        return self


class NotificationRule(Document):
    """Which events are told to whom, when, and in what words."""

    kind: Literal["NotificationRule"] = Field(description="NotificationRule.")
    spec: NotificationRuleSpec = Field(description="What is told to whom.")
