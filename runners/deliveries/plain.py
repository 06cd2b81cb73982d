"""The words of a message without markup, and shortened, for channels that take no more."""

from html.parser import HTMLParser

from runners.deliveries import Message

_BREAKS = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre"})
_UNSEEN = frozenset({"script", "style", "head", "title"})


def plain(message: Message) -> str:
    """The text as it is; of HTML its words."""
    if message.format != "html":
        return message.text
    reader = _Words()
    reader.feed(message.text)
    reader.close()
    return "\n".join(line.strip() for line in "".join(reader.words).strip().split("\n"))


def cut(text: str, most: int) -> str:
    """At most so many characters, and said where some are missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BREAKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if tag in _BREAKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(data)
