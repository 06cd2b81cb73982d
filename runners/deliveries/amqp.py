"""Channel `amqp`: the event as a CloudEvent to an exchange of RabbitMQ, for systems that keep or act on what happens.

A message is durable, and delivered once the broker has confirmed it: a queue has it on disk. One that no queue takes
comes back, and is tried again. Needs the extra `amqp`.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, unable
from runners.deliveries.plain import cut
from runners.deliveries.webhook import event_body
from runners.secrets import Opened, Sealed
from runners.steps.exchange import trusting
from runners.steps.reaching import Forbidden, Unreached, addresses_of

if TYPE_CHECKING:
    import aiormq

_MISSING = "this runner lacks the library for brokers: install it as 'opsconductor[amqp]'"
_FAREWELL = 2.0
"""Seconds that a broker has to answer that we leave."""
_PREFIX = "opsconductor."
_LONGEST_FRAME = 1024 * 1024
"""Bytes; brokers agree on 128 KiB."""
_SHORT = 255
"""Bytes of a routing key, by AMQP 0-9-1."""


def routing_key(message: Message, settings: Mapping[str, Any]) -> str:
    """The channel's; without one the name of the event, as in `run.failed`."""
    written = settings.get("routingKey") or str(message.event.get("type") or "message").removeprefix(_PREFIX)
    return str(written).encode()[:_SHORT].decode(errors="ignore")


class Amqp:
    """See Channel."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        try:
            import aiormq
        except ImportError:
            return unable(_MISSING)
        # It writes what goes wrong, with addresses and tracebacks, to whoever listens; we say it ourselves.
        logging.getLogger(aiormq.__name__).setLevel(logging.CRITICAL + 1)
        try:
            login = _login(settings, opened)
            tls = None if settings["security"] == "none" else trusting(settings.get("caCert"))
        except (Sealed, ValueError) as error:
            return unable(error)
        sending = _Sending(message, settings, login, tls)
        try:
            async with asyncio.timeout(self._limits.total):
                return await sending.sent()
        except TimeoutError:
            return Later(f"no answer within {self._limits.total:.0f} s", fate=sending.fate)


def _login(settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> tuple[str, str]:
    if settings.get("credentialRef") is None:
        return "guest", "guest"  # the broker's own, which it takes from its own host alone
    credential = opened(str(settings["credentialRef"]))
    if credential.username is None:
        raise Sealed(f"credential '{credential.name}' has no username to log in to the broker with")
    return credential.username, credential.get("password")


class _Sending:
    """One conversation with a broker. `fate` is what a break at this moment would mean."""

    def __init__(
        self, message: Message, settings: Mapping[str, Any], login: tuple[str, str], tls: ssl.SSLContext | None
    ) -> None:
        self._message = message
        self._settings = settings
        self._login = login
        self._tls = tls
        self._place = f"{settings['server']}:{settings['port']}"
        self.fate: Literal["notSent", "unknown"] = "notSent"

    async def sent(self) -> Delivery:
        from aiormq import exceptions as wrong

        try:
            addresses = await addresses_of(
                str(self._settings["server"]), int(self._settings["port"]), authored=True, networks=()
            )
            connection = await self._connected(addresses)
        except Forbidden as error:
            return unable(error)
        except wrong.AuthenticationError as error:
            return Never(f"{self._place} takes no login by name and password: {_words(error)}")
        except wrong.ProbableAuthenticationError:
            return Never(f"{self._place} refuses the login")
        except wrong.InvalidFrameError:  # where one is not opened the broker closes the connection instead of answering
            host = self._settings["virtualHost"]
            words = f"{self._place} did not open the virtual host '{host}': is there one, and may this login use it?"
            return Later(words, fate="notSent")
        except (Unreached, wrong.AMQPError, OSError, EOFError) as error:
            return Later(f"no connection to {self._place}: {_words(error)}", fate="notSent")
        try:
            return await self._published(connection)
        except wrong.PublishError:
            key = routing_key(self._message, self._settings)
            return Later(f"no queue takes messages of exchange '{self._settings['exchange']}' with the key '{key}'")
        except wrong.DeliveryError:
            return Later(f"{self._place} did not take it")
        except (wrong.ChannelAccessRefused, wrong.ChannelPreconditionFailed) as error:
            return Never(f"{self._place} says {_words(error)}")
        except wrong.ChannelClosed as error:  # no such exchange, or a queue that somebody else has to himself
            return Later(f"{self._place} says {_words(error)}")
        except (wrong.AMQPError, wrong.ChannelInvalidStateError, OSError, EOFError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            return Later(f"the connection to {self._place} broke: {_words(error)}", fate=self.fate)
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_FAREWELL):
                    await connection.close(None)

    async def _connected(self, addresses: list[str]) -> "aiormq.Connection":
        """Connected to an address that was judged; TLS asks for the name."""
        import aiormq
        from aiormq.connection import TransportFactory
        from yarl import URL

        port, server, tls = int(self._settings["port"]), str(self._settings["server"]), self._tls

        class Judged(TransportFactory):
            async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                failed: Exception = Unreached("no address")
                for address in addresses[:4]:
                    try:
                        name = server if tls is not None else None
                        opened = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
                        return _bounded(opened[0]), opened[1]
                    except OSError as error:
                        failed = error
                raise failed

        user, password = self._login
        url = URL.build(scheme="amqp", host="broker", user=user, password=password, query={"name": "opsconductor"})
        connection = aiormq.Connection(url, transport_factory=Judged())
        connection.vhost = str(self._settings["virtualHost"])
        try:
            await connection.connect()
        except BaseException:
            with contextlib.suppress(Exception):
                await connection.close(None)
            raise
        return connection

    async def _published(self, connection: "aiormq.Connection") -> Delivery:
        import aiormq

        exchange, key = str(self._settings["exchange"]), routing_key(self._message, self._settings)
        channel = await connection.channel(on_return_raises=True)
        await self._declared(channel, exchange)
        kind = str(self._message.event.get("type") or f"{_PREFIX}message")
        properties = aiormq.spec.Basic.Properties(
            content_type="application/cloudevents+json",
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=self._message.id,
            message_type=cut(kind, 200),
            app_id="opsconductor",
        )
        self.fate = "unknown"
        await channel.basic_publish(
            event_body(self._message), exchange=exchange, routing_key=key, properties=properties, mandatory=True
        )
        return Delivered()

    async def _declared(self, channel: Any, exchange: str) -> None:
        """With `queue` the channel makes sure that there is one; else the broker's owner does. Again is harmless."""
        queue, dead = self._settings.get("queue"), self._settings.get("deadLetterExchange")
        if queue is None:
            return
        arguments = {}
        if dead is not None:
            await channel.exchange_declare(exchange=dead, exchange_type="fanout", durable=True)
            await channel.queue_declare(queue=f"{queue}.dead", durable=True)
            await channel.queue_bind(queue=f"{queue}.dead", exchange=dead)
            arguments = {"x-dead-letter-exchange": dead}
        await channel.exchange_declare(exchange=exchange, exchange_type="topic", durable=True)
        await channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        await channel.queue_bind(queue=queue, exchange=exchange, routing_key="#")


def _bounded(reader: asyncio.StreamReader) -> asyncio.StreamReader:
    """The same, which reads no frame that would fill the memory: the library takes whatever length a frame says."""
    exactly = reader.readexactly

    async def readexactly(n: int) -> bytes:
        if n > _LONGEST_FRAME:
            raise ConnectionError(f"a frame of {n} bytes, of which {_LONGEST_FRAME} are the most")
        return await exactly(n)

    reader.readexactly = readexactly  # type: ignore[method-assign]  # the library asks for a reader of this class
    return reader


def _words(error: BaseException) -> str:
    said = " ".join(str(part) for part in error.args if isinstance(part, str | int)) or type(error).__name__
    return cut(" ".join("".join(letter if letter.isprintable() else " " for letter in said).split()), 250)
