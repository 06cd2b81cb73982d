"""The addresses of hosts, and a TCP connection to the first of them that takes one.

A name that no server answers for keeps its thread for as long as the resolver of the system tries, and nothing can end
that. So each lookup has a thread of its own: it holds up no other target, and nothing else that a thread is needed for.
"""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

MOST_ADDRESSES = 4
"""So many addresses of a name are tried."""
_MOST_LOOKUPS = 512
"""So many lookups go on at once; their threads cost memory."""
_HEAD_START = 0.25
"""Seconds until the next address is tried beside one that has not answered (RFC 8305)."""
Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As `socket.getaddrinfo` gives them; the last is the address."""
_places = threading.BoundedSemaphore(_MOST_LOOKUPS)


async def looked_up(host: str, port: int) -> Sequence[Found]:
    """Where a host can be reached over TCP. Raises OSError, and UnicodeError for what cannot be a name.

    An address is given back at once, whatever else is looked up.
    """
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    if not _places.acquire(blocking=False):
        raise OSError(errno.EAGAIN, f"{_MOST_LOOKUPS} names are being looked up, and no name server answers")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Found]] = loop.create_future()

    def tell(told: Callable[[], None]) -> None:
        if not answer.done():
            told()

    def look() -> None:
        told: Callable[[], None]
        try:
            told = partial(answer.set_result, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            told = partial(answer.set_exception, error)
        _places.release()
        with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits
            loop.call_soon_threadsafe(tell, told)

    threading.Thread(target=look, name=f"lookup {host[:40]}", daemon=True).start()
    return await answer


async def connected(host: str, port: int) -> socket.socket:
    """A socket connected to the first address of the host that takes a connection. Raises as `looked_up` does.

    An address that is silent delays the next by a quarter of a second, and one that refuses by nothing.
    """
    waiting = list(await looked_up(host, port))[:MOST_ADDRESSES]
    trying: set[asyncio.Task[socket.socket]] = set()
    trouble: BaseException = OSError(errno.EADDRNOTAVAIL, "it has no address")
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(_connected(waiting.pop(0))))
            pause = _HEAD_START if waiting else None
            done, trying = await asyncio.wait(trying, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            good = [one for one in done if one.exception() is None]
            for late in good[1:]:
                late.result().close()
            if good:
                return good[0].result()
            trouble = next((one.exception() or trouble for one in done), trouble)
        raise trouble
    finally:
        await _let_go(trying)


async def _connected(found: Found) -> socket.socket:
    family, kind, protocol, _, address = found
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


async def _let_go(trying: set[asyncio.Task[socket.socket]]) -> None:
    for one in trying:
        one.cancel()
    for left in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(left, socket.socket):
            left.close()
