"""From `become` as it was written to the user and the password that sudo is given."""

from collections.abc import Callable

from runners.connections.become import Becoming
from runners.secrets import Opened
from schemas.target import Become


def chosen(by_step: Become | None, by_connection: str | Become | None) -> str | Become | None:
    """Whom a step becomes on a connection: its own word wins.

    Where both name one user, the credential that the connection has for that user is for the step too: without a word
    of its own it would be used as well.
    """
    match by_step, by_connection:
        case None, _:
            return by_connection
        case Become(user=user, credential_ref=None), Become(user=same) if user == same:
            return by_connection
        case _:
            return by_step


def becoming(become: str | Become | None, opened: Callable[[str], Opened]) -> Becoming | None:
    """None where the step runs as who has logged in. Raises runners.secrets.Sealed."""
    match become:
        case None:
            return None
        case str() as user:
            return Becoming(user)
        case Become(user=user, credential_ref=None):
            return Becoming(user)
        case Become(user=user, credential_ref=str() as name):
            return Becoming(user, opened(name).get("password"))
        case _:
            raise AssertionError(become)
