"""The contract of channels."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from opsconductor.plugins import Channel, ChannelSettings, Delivered, Later, Message, Never
from opsconductor.plugins.contract.ground import assert_declared, run, sealed
from runners.deliveries import DOOR as CHANNELS


class ChannelContract:
    """What a channel promises."""

    name: ClassVar[str]
    message = Message("0123456789", "Logs rotated", "rotate: web-01 ✓\n", event={"type": "run.succeeded"})

    def settings(self) -> Mapping[str, Any]:
        """`spec` of a NotificationChannel by which messages arrive; for a plug-in's channel what its `with` holds."""
        raise NotImplementedError

    def received(self) -> list[str]:
        """The ids of the messages that have arrived, in their order, each as often as people see it."""
        raise NotImplementedError

    def nowhere(self) -> Mapping[str, Any]:
        """Settings by which nothing can arrive, now or ever."""
        raise NotImplementedError

    def test_what_it_says_of_its_settings_fits_them(self) -> None:
        assert_declared("channels", self.name, self.settings())

    def test_a_message_arrives(self) -> None:
        assert run(self._channel().deliver(self.message, self.settings(), sealed)) == Delivered()
        assert self.message.id in self.received()

    def test_messages_may_be_sent_side_by_side(self) -> None:
        async def several() -> list[object]:
            channel, settings = self._channel(), self.settings()
            messages = [replace(self.message, id=f"side-{n}") for n in range(5)]
            return await asyncio.gather(*(channel.deliver(message, settings, sealed) for message in messages))

        assert run(several()) == [Delivered()] * 5
        assert {f"side-{n}" for n in range(5)} <= {*self.received()}

    def test_what_cannot_arrive_is_said(self) -> None:
        outcome = run(self._channel().deliver(self.message, self.nowhere(), sealed), 60.0)
        assert isinstance(outcome, Later | Never), outcome
        assert outcome.error

    def _channel(self) -> Channel:
        return CHANNELS.factory(self.name)(ChannelSettings())
