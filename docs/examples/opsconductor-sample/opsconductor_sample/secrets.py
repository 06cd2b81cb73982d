"""A source of secrets: the file `netrc` in the runner's secret folder."""

from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from typing import Any

from opsconductor.plugins import SecretSettings


class Netrc:
    """Gives the login and the password of a machine, for a Credential of type password."""

    def __init__(self, settings: SecretSettings) -> None:
        self._folder = settings.folder

    def read(self, reference: Any) -> Mapping[str, str]:
        machine = reference.get("machine") if isinstance(reference, dict) else None
        if not isinstance(machine, str):
            raise ValueError("sample.netrc needs 'machine'")
        if self._folder is None:
            raise ValueError("this runner has no secret folder; start it with --secret-dir")
        try:
            found = netrc(self._folder / "netrc").authenticators(machine)
        except NetrcParseError as error:
            # without its text, which quotes the line
            raise ValueError(f"the file netrc cannot be read: line {error.lineno}") from None
        if found is None:
            raise ValueError(f"the file netrc has no machine '{machine}'")
        login, _, password = found
        return {"username": login, "password": password}
