"""What may go wrong between us and a host."""


class Broken(Exception):  # noqa: N818 - named after the connection
    """The connection broke, or the host fell silent. Whether the last message arrived is not known."""


class Garbled(Exception):  # noqa: N818 - named after the answer
    """An answer that cannot be trusted or understood. It was dropped, and the connection with it."""


class NoLogin(Exception):  # noqa: N818 - named after what it means
    """The host asks for another login, or refused this one. Nothing of the message was acted on."""
