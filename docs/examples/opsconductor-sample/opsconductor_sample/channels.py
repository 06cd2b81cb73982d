"""A channel: messages as files in a folder, for whoever collects them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opsconductor.plugins import ChannelSettings, Delivered, Delivery, Later, Message, Never, Opened


class Spool:
    """Writes one file a message, named after its id: who sends it twice has written it once."""

    def __init__(self, limits: ChannelSettings) -> None:
        self._restricted = limits.restricted

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        if self._restricted:
            return Never("this runner is restricted: it writes no files")
        folder = settings.get("folder")
        if not isinstance(folder, str):
            return Never("the channel has no 'folder'")
        try:
            await asyncio.to_thread(_write, Path(folder), message)
        except OSError as error:
            return Later(f"cannot write to {folder}: {error.strerror}")
        return Delivered()


def _write(folder: Path, message: Message) -> None:
    text = json.dumps({"id": message.id, "subject": message.subject, "text": message.text})
    new = folder / f".{message.id}.new"
    new.write_text(text)
    new.rename(folder / f"{message.id}.json")
