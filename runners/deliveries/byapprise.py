"""Channel `apprise`: whatever the library Apprise can reach, by one of its URLs.

The library makes its connections itself: no address that it reaches is judged, and proxy variables count. So a
restricted runner refuses it, and with it URLs that do something on this host are refused on every runner.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.plain import cut
from runners.deliveries.posting import place_of, sealed
from runners.secrets import Opened, Sealed

_HERE = frozenset({"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog"})
"""What Apprise would do on this host itself."""
_LONGEST = 65_536


def refused(url: str, limits: Limits) -> str | None:
    """Why a URL is not used. Holds nothing of it but its scheme."""
    scheme = url.partition("://")[0].lower()
    if limits.restricted:
        return "this runner is restricted: Apprise reaches addresses that nobody judges"
    if scheme in _HERE:
        return f"'{scheme}://' does something on the runner's own host, and is refused"
    return None


class ByApprise:
    """See Channel."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        try:
            place = place_of(settings, opened)
        except Sealed as error:
            return sealed(error)
        if (why := refused(place.url, self._limits)) is not None:
            return Never(why)
        work = asyncio.ensure_future(asyncio.to_thread(_notified, place.url, message))
        done, _ = await asyncio.wait({work}, timeout=self._limits.total)
        if not done:  # the thread goes on: the library has limits of its own
            return Later(
                f"no answer within {self._limits.total:.0f} s; whether it arrived is not known", fate="unknown"
            )
        return work.result()


def _notified(url: str, message: Message) -> Delivery:
    import apprise

    # It logs what it sends, its URLs included.
    logging.getLogger("apprise").disabled = True
    made = apprise.Apprise()
    if not made.add(url):
        return Never("Apprise does not know this kind of URL")
    kind = {"text": apprise.NotifyFormat.TEXT, "html": apprise.NotifyFormat.HTML}
    body_format = kind.get(message.format, apprise.NotifyFormat.MARKDOWN)
    if made.notify(body=cut(message.text, _LONGEST), title=message.subject, body_format=body_format):
        return Delivered()
    return Later("Apprise could not deliver it; it does not say why, nor whether a part of it arrived", fate="unknown")
