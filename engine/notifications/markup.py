"""What is markup in a message, and text that none of its readers takes for any. Pure.

`runners.renderer` does the same to what fills a template; it imports nothing of this product.
"""

import html
import re
from typing import Literal, assert_never

Format = Literal["text", "html", "markdown"]
Markup = Literal["html", "markdown"]
_MARKDOWN = re.compile(r"[\\`*_\[\]()#<>~|!]")


def markup_for(form: Format, channel: str) -> Markup | None:
    """The markup in which a channel of this type reads a text of the format, as far as text can be kept out of it."""
    if form == "text" or (form == "markdown" and channel == "slack"):
        return None  # Slack has no way to escape within its own markup; what calls people or links is taken from it
    return form


def unmarked(text: str, markup: Markup) -> str:
    """The text for a place in this markup: it is read there as it stands."""
    match markup:
        case "html":
            return html.escape(text)
        case "markdown":
            return _MARKDOWN.sub(r"\\\g<0>", text)
        case _:
            assert_never(markup)
