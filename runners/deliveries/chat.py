"""Channels `slack` and `teams`: incoming webhooks that post a message.

The text is of whoever wrote the job, and of what its steps printed: it may not call everybody in a channel, nor become
a link that says something else. So what a text means to the chat is taken from it, unless it is markdown.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from runners.deliveries import Delivery, Limits, Message
from runners.deliveries.plain import cut, plain
from runners.deliveries.posting import place_of, posted, sealed
from runners.secrets import Opened, Sealed

T = TypeVar("T")

_SLACK = 35_000
"""Characters of a text as it is sent: Slack cuts at 40,000, also in the middle of what stands for one character."""
_TEAMS = 25_000
"""Bytes of a card: what is larger than 28 KB Teams refuses for good, and nobody would read it."""
_LINE, _LINES = 20_000, 200
_TITLE = 500
_TYPE = (("Content-Type", "application/json"),)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def slack_body(message: Message) -> dict[str, Any]:
    """What an incoming webhook of Slack takes. `<!channel>` and `<url|words>` lose their meaning in any case."""
    formatted = message.format == "markdown"
    text = f"{message.subject}\n{plain(message)}" if message.subject else plain(message)
    written = [_ENTITIES.get(letter, letter) for letter in text]
    if sum(map(len, written)) > _SLACK:
        written = [*_within(_SLACK - 1, written, len), "…"]
    return {
        "text": "".join(written),
        "mrkdwn": formatted,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def teams_body(message: Message) -> dict[str, Any]:
    """An adaptive card, as the workflow "when a webhook request is received" takes it."""
    title = {
        "type": "TextBlock",
        "text": _unmarked(cut(message.subject, _TITLE)),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
    }
    text = plain(message)
    body = [_marked(text)] if message.format == "markdown" else _lines(text)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *body] if message.subject else body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _marked(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _cut(text, _TEAMS), "wrap": True}


def _lines(text: str) -> list[dict[str, Any]]:
    """A run of text has no markup, and no line breaks: each line is a block of its own."""
    every = text.split("\n")
    shown = list(_within(_TEAMS, (_line(_cut(line, _LINE)) for line in every[:_LINES]), _size))
    more = len(every) - len(shown)
    return [*shown, _line(f"… and {more} more line{'s' * (more > 1)}")] if more else shown


def _line(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text or " "}]}


def _cut(text: str, most: int) -> str:
    """At most so many bytes of JSON, and said where some are missing."""
    if len(text) * 6 <= most or _size(text) <= most:
        return text
    return "".join(_within(most - 100, text, lambda letter: _size(letter) - 2)) + "…"


def _within(most: int, parts: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """The first ones that have so much room."""
    for part in parts:
        most -= size(part)
        if most < 0:
            return
        yield part


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _unmarked(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_[]()#<>~|" else letter for letter in text)


class _Chat:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def body(self, message: Message) -> dict[str, Any]:
        raise NotImplementedError

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        try:
            place = place_of(settings, opened)
        except Sealed as error:
            return sealed(error)
        body = json.dumps(self.body(message), ensure_ascii=False).encode("utf-8", "replace")
        return await posted(place, body, (*_TYPE, ("Idempotency-Key", message.id)), self._limits)


class Slack(_Chat):
    """See Channel."""

    def body(self, message: Message) -> dict[str, Any]:
        return slack_body(message)


class Teams(_Chat):
    """See Channel."""

    def body(self, message: Message) -> dict[str, Any]:
        return teams_body(message)
