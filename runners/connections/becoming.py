"""From `become` as it was written to the user and the password that sudo is given."""

from collections.abc import Callable

from runners.connections.become import Becoming
from runners.secrets import Opened
from schemas.target import Become


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
