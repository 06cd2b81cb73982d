"""Channel `apprise`: whatever the library Apprise can reach, by one of its URLs.

The library makes its connections itself, and no address that it reaches is judged. So a restricted runner refuses it,
and with it URLs that do something on this host are refused on every runner. It cannot be cancelled either: it runs in
a process of its own, which is killed, and which has nothing of the runner's environment, its proxies included.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from runners.childprocess import answer_of
from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, apprising, unable
from runners.deliveries.plain import cut
from runners.deliveries.posting import place_of, sealed
from runners.secrets import Opened, Sealed

_LONGEST = 65_536
_ENV = {"HOME": "/nonexistent"}
"""No .netrc, whose passwords would go to whom the URL names."""
_AT_ONCE = 4
"""Processes of a runner, each of some 60 MB; further messages wait for them within their time."""
_FAILED = "Apprise could not deliver it; it does not say why, nor whether a part of it arrived"


class ByApprise:
    """See Channel."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        try:
            place = place_of(settings, opened)
        except Sealed as error:
            return sealed(error)
        if self._limits.restricted:
            return unable("this runner is restricted: Apprise reaches addresses that nobody judges")
        total = self._limits.total
        asked = {"url": place.url.strip(), "title": message.subject, "body": cut(message.text, _LONGEST)}
        asked |= {"format": message.format, "seconds": str(int(total))}
        started = False
        try:
            async with asyncio.timeout(total), self._free:
                started = True
                return _meaning(await answer_of(apprising, json.dumps(asked).encode(), _ENV))
        except TimeoutError:
            if started:
                return Later(f"no answer within {total:.0f} s; whether it arrived is not known", fate="unknown")
            return Later(f"{_AT_ONCE} others were under way for {total:.0f} s", fate="notSent")
        except OSError as error:
            return Later(f"no process for it could be started: {error.strerror or error}", fate="notSent")


def _meaning(answer: bytes) -> Delivery:
    try:
        said = json.loads(answer)
    except ValueError:
        return Later(_FAILED, fate="unknown")
    if "never" in said:
        return Never(str(said["never"]))
    return Delivered() if said["delivered"] else Later(_FAILED, fate="unknown")
