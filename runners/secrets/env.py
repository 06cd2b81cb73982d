"""Secrets from variables of the runner whose names begin with OPSCONDUCTOR_SECRET_, and from no other."""

from collections.abc import Mapping

from runners.secrets.sources import Settings

PREFIX = "OPSCONDUCTOR_SECRET_"


def read(environ: Mapping[str, str], name: str) -> str:
    """The variable's text. Raises ValueError."""
    if not name.startswith(PREFIX):
        raise ValueError(f"only variables named {PREFIX}* can be read, not '{name}'")
    if name not in environ:
        raise ValueError(f"the runner has no variable {name}")
    return environ[name]


class Variables:
    """The source `env`. See SecretSource."""

    def __init__(self, settings: Settings) -> None:
        self._environ = settings.environ

    def read(self, reference: str) -> str:
        return read(self._environ, reference)
