"""Channels: how a message leaves the runner, once it is rendered and masked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol

from runners.doors import Door
from runners.secrets import Opened


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told. `id` is the same in every attempt, so that who receives it can tell a repetition."""

    id: str
    subject: str
    text: str
    format: Literal["text", "html", "markdown"] = "text"
    event: Mapping[str, Any] = field(default_factory=dict)
    """The event behind it as a CloudEvent, for channels that carry data; empty where there is none."""
    reached: frozenset[str] = frozenset()
    """Of a channel with several recipients those who have it already: they are not sent it again."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """It is there, as far as the other side tells."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: it is tried again, not before `after` where that is given.

    `fate` is what became of this attempt: nothing was sent; the other side said no; ours cannot, before anything was
    sent (`unable`); or it was sent, and whether it arrived is not known.
    """

    error: str
    after: timedelta | None = None
    fate: Literal["notSent", "refused", "unable", "unknown"] = "refused"
    reached: frozenset[str] = frozenset()
    """Of several recipients all who have it by now; it is tried again for the others. Then the other side works."""


@dataclass(frozen=True, slots=True)
class Never:
    """It cannot be delivered as it is; a human must look at it. `reached` as in Later."""

    error: str
    reached: frozenset[str] = frozenset()


Delivery = Delivered | Later | Never


def unable(error: Exception | str) -> Later:
    """Our own side cannot: a secret, a certificate, the pool's networks or the host's settings are in the way.

    No message is at fault, and a commit or the host's owner can mend it: until then they wait, as when nobody answers.
    """
    return Later(str(error), fate="unable")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the owner of the runner's host says, for channels. `networks` are those of the pool; times in seconds."""

    networks: tuple[str, ...] = ()
    restricted: bool = False
    total: float = 30.0
    taking: float = 600.0
    """A mail server may take so long to say that it took a mail: who hangs up before has it sent twice (RFC 5321,
    4.5.3.2.6)."""


class Channel(Protocol):
    """Delivers messages of one type of NotificationChannel. Made once by a runner, and called for many at once.

    Nothing that it is given may be logged, and no error may hold a secret. It may be called again for a message that
    was delivered: whoever calls it may have died before it could say so.
    """

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        """`settings` are `spec` of the channel's document, of a plug-in's what its `with` holds, and `credentialRef`.

        `opened` opens a credential, and raises Sealed.
        """
        ...


DOOR: Door[Channel] = Door(
    "opsconductor.channels",
    "notification channel",
    {
        "amqp": "runners.deliveries.amqp:Amqp",
        "apprise": "runners.deliveries.byapprise:ByApprise",
        "commitStatus": "runners.deliveries.forge:CommitStatuses",
        "pullRequest": "runners.deliveries.pullrequests:PullRequests",
        "email": "runners.deliveries.email:Email",
        "slack": "runners.deliveries.chat:Slack",
        "teams": "runners.deliveries.chat:Teams",
        "webhook": "runners.deliveries.webhook:Webhook",
    },
)
"""Factories that take `Limits`."""


def deliverer(spec: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What delivers by a NotificationChannel, and the settings that it is given."""
    if spec["type"] != "plugin":
        return spec["type"], spec
    login = {"credentialRef": spec["credentialRef"]} if "credentialRef" in spec else {}
    return spec["name"], {**spec.get("with", {}), **login}


@lru_cache(maxsize=256)
def channel(kind: str, limits: Limits) -> Channel:
    """The one instance of a channel within these limits. Raises runners.doors.NoPart."""
    return DOOR.factory(kind)(limits)
