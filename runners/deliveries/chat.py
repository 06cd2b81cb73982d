"""Channels `slack` and `teams`: incoming webhooks that post a message.

The text is of whoever wrote the job, and of what its steps printed: it may not call everybody in a channel, nor become
a link that says something else. So what a text means to the chat is taken from it, unless it is markdown.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from runners.deliveries import Delivery, Limits, Message
from runners.deliveries.plain import cut, plain
from runners.deliveries.posting import place_of, posted, sealed
from runners.secrets import Opened, Sealed

_SLACK, _TEAMS = 35_000, 20_000
"""Characters of a message: Slack cuts at 40,000, a card of Teams may have 28 KiB."""
_TYPE = (("Content-Type", "application/json"),)


def slack_body(message: Message) -> dict[str, Any]:
    """What an incoming webhook of Slack takes. `<!channel>` and `<url|words>` lose their meaning in any case."""
    formatted = message.format == "markdown"
    text = f"{message.subject}\n{plain(message)}" if message.subject else plain(message)
    escaped = cut(text, _SLACK).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "mrkdwn": formatted, "link_names": False, "unfurl_links": False, "unfurl_media": False}


def teams_body(message: Message) -> dict[str, Any]:
    """An adaptive card, as the workflow "when a webhook request is received" takes it."""
    title = {
        "type": "TextBlock",
        "text": _unmarked(message.subject),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
    }
    text = cut(plain(message), _TEAMS)
    if message.format == "markdown":
        body: list[dict[str, Any]] = [{"type": "TextBlock", "text": text, "wrap": True}]
    else:
        # a run of text has no markup, and no line breaks
        body = [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line or " "}]}
            for line in text.split("\n")[:200]
        ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *body] if message.subject else body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


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
