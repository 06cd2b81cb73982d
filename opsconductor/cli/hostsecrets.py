"""The secrets of this host, for a command that opens them as a runner here would."""

import os
from collections.abc import Iterable
from pathlib import Path

from opsconductor.settings import StateFolder, identities, own_files, secret_host, secret_variables
from runners.secrets import Secrets


def secrets_here(
    engine: StateFolder, *, folder: Path | None, restricted: bool, identity: Iterable[Path], database: str | None = None
) -> Secrets:
    """`folder` and `identity` are what `--secret-dir` and `--identity` say. Raises UsageError.

    What is the engine's own is never given out: its state, its key and token, and what opens its database, which
    `database` names where the environment does not.
    """
    return Secrets(
        (folder or engine.secrets).resolve(),
        secret_variables(os.environ),
        restricted=restricted,
        host=secret_host(os.environ),
        identities=identities(identity),
        own=own_files(os.environ, engine.root, database),
    )
