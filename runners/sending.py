"""One attempt to deliver one message by a channel, with what only the runner may open."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from engine.notifications.channels import PinnedChannel
from engine.runs.pinned import PinnedSpec
from runners.certificates import certificate
from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, channel, deliverer, unable
from runners.doors import NoPart
from runners.keyring import Keyring
from runners.masking import Masker
from runners.repository import NoFile, Read
from runners.secrets import Opened, Sealed, Secrets

LONGEST = 60.0
"""Seconds that a channel may take; ours end themselves before that. A mail server has more, as Limits say."""


async def sent(
    message: Message,
    pinned: PinnedChannel,
    secrets: Secrets,
    read: Read,
    *,
    restricted: bool,
    used: Callable[[str], None] = lambda _: None,
) -> Delivery:
    """Hand it over. Nothing that is said of it holds a secret. `read` gives the files of the channel's commit; `used`
    is told the name of each credential that the channel is given."""
    if pinned.refused is not None:
        return unable(pinned.refused)
    masker = Masker()
    keys = Keyring(secrets, masker)
    credentials, sealed = dict(pinned.credentials), dict(pinned.sealed)
    plan = PinnedSpec(job="notification", commit="", steps=(), credentials=credentials, sealed=sealed)

    def opened(name: str) -> Opened:
        if name in pinned.credentials and pinned.credentials[name].allowed_for is not None:
            raise Sealed(f"credential '{name}' is for the steps of jobs (allowedFor): name another in the channel")
        found = keys.get(name)
        used(name)
        return found

    kind, _ = deliverer(pinned.spec)
    limits = Limits(pinned.networks, restricted)
    longest = LONGEST + (limits.taking if kind == "email" else 0)
    try:
        async with asyncio.timeout(longest):
            await asyncio.to_thread(keys.open_all, plan, pinned.pool)
            spec = pinned.spec
            if isinstance(ca := spec.get("caCert"), str):
                spec = {**spec, "caCert": await asyncio.to_thread(certificate, ca, read)}
            _, settings = deliverer(spec)
            by = channel(kind, limits)
            return _masked(await by.deliver(message, settings, opened), masker)
    except (NoPart, NoFile) as error:
        return unable(masker.mask(str(error)))
    except TimeoutError:
        return Later(f"no answer within {longest:.0f} s", fate="unknown")
    except Exception as error:  # noqa: BLE001 - a plug-in's channel: what it does not foresee must lose no message
        return Later(masker.mask(f"the channel failed: {type(error).__name__}: {error}"), fate="unknown")


def _masked(delivery: Delivery, masker: Masker) -> Delivery:
    match delivery:
        case Delivered():
            return delivery
        case Later(error=error) | Never(error=error):
            return replace(delivery, error=masker.mask(error))
        case _:
            assert_never(delivery)
