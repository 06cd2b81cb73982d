"""age keys: which a runner holds, and wrapping the data key of a document for recipients (age-encryption.org/v1)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

CAP = 64 * 1024
"""Bytes of the largest key file."""
_BEGINNING = "AGE-SECRET-KEY-1"


class NoKey(ValueError):  # noqa: N818 - named after what it means
    """There is no key that opens it, or none could be read; the message holds nothing of any key."""


class Identities:
    """The secret keys of a runner. Never shown."""

    def __init__(self, keys: Iterable[Any]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Their public halves, `age1…`."""
        return tuple(str(key.to_public()) for key in self._keys)

    def unwrap(self, wrapped: str) -> bytes | None:
        """The data key that `wrap` wrapped for one of them; None where it is for others. Raises NoKey for what is no
        age file."""
        import pyrage

        try:
            return bytes(pyrage.decrypt(wrapped.encode(), list(self._keys)))
        except pyrage.DecryptError as error:
            # only rage's own words are compared; they hold nothing of the content
            if "No matching keys" in str(error):
                return None
            raise NoKey("the data key is no age file, or was changed") from None


def read(files: Iterable[Path]) -> Identities:
    """The keys in the files, as `age-keygen` writes them. Raises NoKey, OSError."""
    return Identities([key for file in files for key in _keys_of(file)])


def _keys_of(file: Path) -> Iterable[Any]:
    import pyrage

    with file.open("rb") as stream:
        data = stream.read(CAP + 1)
    lines = [line.strip() for line in data.decode("ascii", "replace").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(data) > CAP or not found or not all(line.upper().startswith(_BEGINNING) for line in found):
        raise NoKey(f"{file} holds no age keys; 'age-keygen -o FILE' writes one (those with a passphrase are not read)")
    try:
        return [pyrage.x25519.Identity.from_str(line) for line in found]
    except pyrage.IdentityError:
        # without a cause: its text might quote the key
        raise NoKey(f"a key in {file} is damaged; its checksum does not fit") from None


def wrap(key: bytes, recipient: str) -> str:
    """The key for the recipient alone, in age's ASCII form. Raises NoKey for what is no recipient."""
    import pyrage

    try:
        return str(pyrage.encrypt(key, [pyrage.x25519.Recipient.from_str(recipient)], armored=True).decode())
    except pyrage.RecipientError as error:
        raise NoKey(f"'{recipient[:80]}' is no age recipient") from error
