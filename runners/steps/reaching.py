"""From a host to addresses that were judged, for step types in which the runner itself talks to a server."""

import re
import socket

from engine.expressions.expression import Literal, split
from engine.runs.pinned import PinnedTarget
from runners.connections.lookup import Unanswered, looked_up
from runners.steps.addresses import refusal

LOOKUP = 10.0
"""Seconds to find the addresses of a name."""
_AUTHORITY = re.compile(r"https?://[^/?#\\]+[/?#]")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:]+):")


class Unreached(Exception):  # noqa: N818 - named after the server
    """No connection came about; nothing was sent."""


class Forbidden(Exception):  # noqa: N818 - named after what was asked for
    """What was asked for is never done; nothing was sent to where it would have gone."""


async def addresses_of(
    host: str, port: int | None, *, authored: bool, networks: tuple[str, ...], public: bool = False
) -> list[str]:
    """The addresses of a host that may be connected to. Connect to these, and look nothing up again.

    `port` is None for who asks of no port in particular. Raises Unreached and Forbidden.
    """
    if port is not None and not 0 < port < 65536:
        raise Forbidden(f"there is no port {port}")
    try:
        found = await looked_up(host, port or 0, LOOKUP)
    except Unanswered as error:
        raise Unreached(str(error)) from error
    except (socket.gaierror, UnicodeError) as error:
        raise Unreached(f"{host} has no address: {error}") from error
    except OSError as error:
        raise Unreached(f"the addresses of {host} cannot be asked for: {error.strerror or error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    why = {address: refusal(address, authored=authored, networks=networks, public=public) for address in addresses}
    allowed = [address for address in addresses if why[address] is None]
    if not allowed:
        reasons = next((f": {reason}" for reason in why.values() if reason), "")
        raise Forbidden(f"{host} is refused{reasons}")
    return allowed


def writes_host(written: object, *, url: bool) -> bool:
    """Whether the host stands literally in a URL (or `host:port`) as it was written."""
    if not isinstance(written, str):
        return False
    parts = split(written)
    if all(isinstance(part, Literal) for part in parts):
        return True
    first = parts[0]
    return isinstance(first, Literal) and (_AUTHORITY if url else _HOST).match(first.text) is not None


def is_of_target(host: str, target: PinnedTarget | None) -> bool:
    """Whether a host is the one that the Target names."""
    return target is not None and target.host is not None and host.lower() == target.host.lower()
