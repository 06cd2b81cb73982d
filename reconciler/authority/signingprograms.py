"""ssh-keygen and gpg, which check and make signatures: started with fixed arguments and an empty environment."""

import os
import shutil
import subprocess
from pathlib import Path

_LIMIT = 20.0
"""Seconds that one may take."""


class TrustUnavailable(Exception):  # noqa: N818 - named after what is the case
    """The trust file, or a program that is needed, cannot be used: nothing is believed. The message says what to do."""


def run(program: str, *arguments: str, data: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """One program, `data` on its stdin; any exit code is an answer. Times without a zone are UTC to it.

    Raises TrustUnavailable where it is not there, or does not end.
    """
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent"}
    found = shutil.which(program)
    if found is None:
        package = "the OpenSSH client" if program == "ssh-keygen" else "GnuPG"
        raise TrustUnavailable(f"{program} was not found, which signatures need; install {package}")
    try:
        with (data or Path(os.devnull)).open("rb") as given:
            return subprocess.run(
                [found, *arguments],
                stdin=given,
                capture_output=True,
                check=False,
                timeout=_LIMIT,
                env=environment,
                text=True,
                errors="replace",
                start_new_session=True,
            )
    except subprocess.TimeoutExpired as error:
        raise TrustUnavailable(f"{program} took longer than {_LIMIT:.0f} s and was stopped") from error
    except OSError as error:
        raise TrustUnavailable(f"{program} could not be started: {error.strerror}") from error


def gpg(home: Path, *arguments: str, data: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """gpg with a home of its own: no options, no agent, no network, and no keys but those in it."""
    return run(
        "gpg", "--homedir", str(home), "--no-options", "--batch", "--no-tty", "--no-autostart", "--disable-dirmngr",
        "--no-auto-key-retrieve", "--no-auto-check-trustdb", "--trust-model", "always", *arguments,
        data=data,
    )  # fmt: skip
