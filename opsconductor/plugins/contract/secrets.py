"""The contract of sources of secrets."""

from collections.abc import Mapping
from typing import Any, ClassVar

from opsconductor.plugins import SecretSettings, SecretSource
from opsconductor.plugins.contract.ground import assert_declared
from runners.secrets.sources import DOOR as SECRETS


class SecretContract:
    """What a source of secrets promises."""

    name: ClassVar[str]

    def settings(self) -> SecretSettings:
        """A runner's, by which the references below lead somewhere."""
        raise NotImplementedError

    def known(self) -> tuple[Any, str | Mapping[str, str]]:
        """A reference, and what it must give."""
        raise NotImplementedError

    def unknown(self) -> tuple[Any, ...]:
        """References to nothing, or to what may not be read."""
        raise NotImplementedError

    def test_what_it_says_of_its_settings_fits_them(self) -> None:
        assert_declared("secrets", self.name, self.known()[0])

    def test_it_reads_what_a_reference_names(self) -> None:
        reference, secret = self.known()
        assert self._source().read(reference) == secret

    def test_it_reads_anew_each_time(self) -> None:
        reference, secret = self.known()
        source = self._source()
        assert [source.read(reference) for _ in range(3)] == [secret] * 3

    def test_what_cannot_be_read_is_said_without_any_secret(self) -> None:
        _, secret = self.known()
        texts = (secret,) if isinstance(secret, str) else tuple(secret.values())
        for reference in self.unknown():
            try:
                found = self._source().read(reference)
            except (ValueError, OSError) as error:
                assert str(error)
                assert not [text for text in texts if text.strip() in str(error)]
            else:
                raise AssertionError(f"{reference!r} gave {type(found).__name__}")

    def _source(self) -> SecretSource:
        return SECRETS.factory(self.name)(self.settings())
