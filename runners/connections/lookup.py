"""The addresses of hosts, and a TCP connection to the first of them that takes one.

A name that no server answers for keeps its thread for as long as the resolver of the system tries, and nothing can end
that. So lookups have threads of their own: they hold up nothing else that a thread is needed for, and another target
only where a great many are at it.
"""

import asyncio
import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

MOST_ADDRESSES = 4
"""So many addresses of a name are tried."""
_MOST_LOOKUPS = 512
"""So many lookups go on at once; their threads cost memory."""
_HEAD_START = 0.25
"""Seconds until the next address is tried beside one that has not answered (RFC 8305)."""
Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As `socket.getaddrinfo` gives them; the last is the address."""


class Unanswered(TimeoutError):  # noqa: N818 - named after the name
    """The time was over before the addresses of a name were known. The message is whole, and says what took it."""


def _ask(host: str, port: int) -> Sequence[Found]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    host: str
    port: int
    answer: "Future[Sequence[Found]]" = field(default_factory=Future)


class Lookups:
    """Asks for the addresses of names, of so many at once; of any more in turn, the first first.

    To be called from any thread and event loop. A thread takes one question after the other, and ends when there is
    none: a question that is given up while it waits keeps no place, and one that is being asked keeps it until `ask` is
    over. `ask` raises OSError or UnicodeError.
    """

    def __init__(self, most: int, ask: Callable[[str, int], Sequence[Found]] = _ask) -> None:
        self._most = most
        self._ask = ask
        self._lock = threading.Lock()
        self._waiting: deque[_Question] = deque()
        self._at_work = 0

    async def of(self, host: str, port: int, within: float) -> Sequence[Found]:
        """Where a host can be reached over TCP. Raises OSError, Unanswered after `within` seconds, and UnicodeError."""
        answer = self._put(_Question(host, port))
        try:
            async with asyncio.timeout(within):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            if not answer.cancel():
                raise Unanswered(f"the addresses of {host} were not found within {within:g} s") from None
            others = f"other names were being looked up, {self._at_work} at once"
            raise Unanswered(f"the addresses of {host} could not be asked for within {within:g} s: {others}") from None

    def _put(self, question: _Question) -> "Future[Sequence[Found]]":
        with self._lock:
            self._waiting.append(question)
            if self._at_work < self._most:
                self._start(question)
        return question.answer

    def _start(self, question: _Question) -> None:
        try:
            threading.Thread(target=self._work, name=f"lookup {question.host[:40]}", daemon=True).start()
        except RuntimeError as error:  # this host has no more threads: those at work come to the question in its turn
            if not self._at_work:
                self._waiting.remove(question)
                raise OSError(errno.EAGAIN, f"no thread to look {question.host} up: {error}") from error
            return
        self._at_work += 1

    def _work(self) -> None:
        while (question := self._next()) is not None:
            try:
                found = self._ask(question.host, question.port)
            except Exception as error:  # noqa: BLE001 - who asked is told whatever it is, and the next has its turn
                question.answer.set_exception(error)
            else:
                question.answer.set_result(found)

    def _next(self) -> _Question | None:
        with self._lock:
            while self._waiting:
                question = self._waiting.popleft()
                if question.answer.set_running_or_notify_cancel():
                    return question
            self._at_work -= 1
            return None


_lookups = Lookups(_MOST_LOOKUPS)


async def looked_up(host: str, port: int, within: float) -> Sequence[Found]:
    """Where a host can be reached over TCP. An address is given back at once, whatever else is looked up.

    Raises OSError, of it Unanswered when that is not known after `within` seconds, and UnicodeError for what cannot be
    a name.
    """
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return await _lookups.of(host, port, within)


async def connected(host: str, port: int, within: float) -> socket.socket:
    """A socket connected to the first address of the host that takes a connection.

    An address that is silent delays the next by a quarter of a second, and one that refuses by nothing. Raises as
    `looked_up` does, and TimeoutError when none has taken it after `within` seconds, those of the lookup among them.
    """
    until = asyncio.get_running_loop().time() + within
    found = await looked_up(host, port, within)
    async with asyncio.timeout_at(until):
        return await _first(list(found)[:MOST_ADDRESSES])


async def _first(waiting: list[Found]) -> socket.socket:
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
