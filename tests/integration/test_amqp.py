"""Events to an exchange, against a real RabbitMQ: durable, confirmed, never thought to be there when they are not."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiormq
import pytest

from opsconductor.plugins.contract import ChannelContract
from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never
from runners.deliveries.amqp import Amqp
from runners.secrets import Opened
from tests.rabbitmq import Broker, broker

pytestmark = pytest.mark.slow

MESSAGE = Message(
    "0123456789abcdef",
    "Logs rotated",
    "web-01 ✓\n",
    event={"type": "opsconductor.run.failed", "source": "/jobs/rotate", "data": {"run": "rotate-1"}},
)
DECLARED = {"queue": "ops.audit", "deadLetterExchange": "ops.dead"}


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("rabbit")) as made:
        yield made


def channel(rabbit: Broker, **more: Any) -> dict[str, Any]:
    base = {"type": "amqp", "server": "127.0.0.1", "port": rabbit.tls, "security": "tls", "caCert": rabbit.ca}
    return {**base, "virtualHost": "/", "exchange": "ops.events", "credentialRef": "rabbit", **more}


async def tell(
    settings: Mapping[str, Any], message: Message = MESSAGE, *, password: str = "guest", total: float = 30.0
) -> Delivery:
    login = Opened("rabbit", "guest", {"password": password})
    return await Amqp(Limits(total=total)).deliver(message, settings, lambda _: login)


@asynccontextmanager
async def consuming(rabbit: Broker) -> AsyncIterator[Any]:
    connection = await aiormq.connect(f"amqp://guest:guest@127.0.0.1:{rabbit.port}//")
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def there(got: Any) -> bool:
    """Whether the queue gave a message."""
    return isinstance(got.delivery, aiormq.spec.Basic.GetOk)


class TestAmqpChannel(ChannelContract):
    name = "amqp"

    @pytest.fixture(autouse=True)
    def _served(self, rabbit: Broker) -> None:
        self.broker = rabbit

    def settings(self) -> Mapping[str, Any]:
        base = {key: one for key, one in channel(self.broker).items() if key not in ("credentialRef", "caCert")}
        return {**base, "port": self.broker.port, "security": "none", "exchange": "contract", "queue": "contract"}

    def received(self) -> list[str]:
        async def all_of_them() -> list[str]:
            found: list[str] = []
            async with consuming(self.broker) as reader:
                while there(got := await reader.basic_get("contract", no_ack=True)):
                    found.append(got.header.properties.message_id)
            return found

        return asyncio.run(all_of_them())

    def nowhere(self) -> Mapping[str, Any]:
        return {**self.settings(), "port": 1}


async def taken(rabbit: Broker, queue: str) -> Any:
    """The next message of a queue, acknowledged."""
    async with consuming(rabbit) as reader:
        got = await reader.basic_get(queue)
        if there(got):
            await reader.basic_ack(got.delivery.delivery_tag)
        return got


async def test_an_event_arrives_durable_with_its_id_in_every_attempt(rabbit: Broker) -> None:
    settings = channel(rabbit, **DECLARED)
    assert [await tell(settings), await tell(settings)] == [Delivered(), Delivered()]
    first, second = await taken(rabbit, "ops.audit"), await taken(rabbit, "ops.audit")
    properties = first.header.properties
    assert (properties.message_id, properties.delivery_mode) == (MESSAGE.id, 2)
    assert properties.content_type == "application/cloudevents+json"
    assert first.delivery.routing_key == "run.failed"
    event = json.loads(first.body)
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", MESSAGE.id, "opsconductor.run.failed")
    assert event["data"]["message"]["subject"] == "Logs rotated"
    assert second.body == first.body


async def test_what_a_consumer_rejects_goes_to_the_dead_letter_exchange(rabbit: Broker) -> None:
    assert await tell(channel(rabbit, **DECLARED), replace(MESSAGE, id="rejected")) == Delivered()
    async with consuming(rabbit) as reader:
        got = await reader.basic_get("ops.audit")
        await reader.basic_reject(got.delivery.delivery_tag, requeue=False)
        for _ in range(200):
            dead = await reader.basic_get("ops.audit.dead")
            if there(dead):
                break
            await asyncio.sleep(0.05)
    assert json.loads(dead.body)["id"] == "rejected"


async def test_what_no_queue_takes_is_not_thought_to_be_delivered(rabbit: Broker) -> None:
    async with consuming(rabbit) as owner:
        await owner.exchange_declare(exchange="lonely", exchange_type="topic", durable=True)
    unrouted = await tell(channel(rabbit, exchange="lonely", routingKey="ops.run"))
    assert unrouted == Later("no queue takes messages of exchange 'lonely' with the key 'ops.run'")
    missing = await tell(channel(rabbit, exchange="nowhere"))
    assert isinstance(missing, Later) and "nowhere" in missing.error


async def test_what_a_broker_refuses_is_said_without_the_secret(rabbit: Broker) -> None:
    wrong = await tell(channel(rabbit), password="geheim-4711")
    assert wrong == Never(f"127.0.0.1:{rabbit.tls} refuses the login")
    unknown = await tell(channel(rabbit, virtualHost="/nowhere"))
    assert isinstance(unknown, Later) and "/nowhere" in unknown.error and unknown.fate == "notSent"
    assert isinstance(await tell(channel(rabbit, queue="ops.once")), Delivered)
    clash = await tell(channel(rabbit, queue="ops.once", deadLetterExchange="another"))
    assert isinstance(clash, Never) and "inequivalent" in clash.error


async def test_a_broker_that_cannot_be_trusted_gets_nothing(rabbit: Broker) -> None:
    told = await tell({key: one for key, one in channel(rabbit).items() if key != "caCert"})
    assert isinstance(told, Later) and told.fate == "notSent"
    assert "certificate" in told.error


async def test_no_connection_is_nothing_sent(rabbit: Broker) -> None:
    told = await tell(channel(rabbit, port=1))
    assert isinstance(told, Later) and told.fate == "notSent"


async def test_a_broker_that_hangs_holds_nobody_up(rabbit: Broker) -> None:
    """A listener that says nothing, as a frozen broker."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told = await tell(channel(rabbit, port=port, security="none"), total=0.5)
    assert isinstance(told, Later) and told.fate == "notSent"
    server.close()


async def test_messages_outlive_the_broker(tmp_path: Path) -> None:
    """What it has confirmed is there after a kill."""
    with broker(tmp_path) as first:
        assert await tell(channel(first, **DECLARED)) == Delivered()
        os.killpg(first.process, signal.SIGKILL)
    with broker(tmp_path) as again:
        assert (await taken(again, "ops.audit")).header.properties.message_id == MESSAGE.id
