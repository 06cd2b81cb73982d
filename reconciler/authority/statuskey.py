"""The engine's own key: it signs what it writes to the status branch, and knows again what it signed.

Also what it signed with former keys, which the trust file names as `@engine` until nothing hangs on them any more.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.authority.trust import SignedBy
from engine.authority.trustfile import fingerprint_of
from journal.errors import Refused
from reconciler.authority.keyfiles import KeyFiles
from reconciler.authority.signatures import Signatures
from reconciler.authority.signingprograms import TrustUnavailable, run
from schemas.policy import User

_NAME = "engine"


class StatusKey:
    """An SSH key without a passphrase. Its calls may overlap, in any thread."""

    def __init__(self, path: Path, folder: Path, trust: Path | None = None) -> None:
        """`folder` is the engine's own, for what ssh-keygen is shown; `trust` the trust file.

        Raises Refused where the key cannot sign.
        """
        self.path = path
        self._files = KeyFiles(None, folder)
        self._checks = Signatures(self._files)
        self._trusted = Signatures(KeyFiles(trust, folder))
        try:
            done = run("ssh-keygen", "-y", "-P", "", "-f", str(path))
        except TrustUnavailable as error:
            raise Refused(f"--sign-key: {error}") from error
        found = re.match(r"\S+ \S+", done.stdout) if done.returncode == 0 else None
        if found is None:
            said = done.stderr.strip().splitlines()[-1:] or ["ssh-keygen does not read it"]
            raise Refused(
                f"--sign-key {path}: {said[0]}; make one without a passphrase, which only this user may read: "
                "ssh-keygen -t ed25519 -N '' -f FILE"
            )
        self.public = found[0]
        self.sign(b"")

    def sign(self, payload: bytes) -> str:
        """The signature of a commit, as in its header. Raises Refused where the key does not sign any more."""
        try:
            with self._files.room() as name:
                data = Path(name) / "payload"
                data.write_bytes(payload)
                done = run("ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(self.path), data=data)
        except TrustUnavailable as error:
            raise Refused(f"the status branch cannot be signed: {error}") from error
        if done.returncode != 0 or "BEGIN SSH SIGNATURE" not in done.stdout:
            said = done.stderr.strip().splitlines()[-1:] or ["ssh-keygen does not sign"]
            raise Refused(f"the status branch cannot be signed with {self.path}: {said[0]}")
        return done.stdout.strip()

    def wrote(self, raw: bytes, commit: str) -> bool:
        """Whether this key, or a former one, signed a commit, given the object as it is stored.

        Raises Refused where that hangs on a trust file that cannot be used.
        """
        if _signed(self._checks, raw, commit, (self.public,)):
            return True
        try:
            former = self._trusted.files.keys().file.engines
        except TrustUnavailable as error:
            raise Refused(f"the status branch is not signed by {self.path}, and {error}") from error
        return bool(former) and _signed(self._trusted, raw, commit, [one.key for one in former])


def _signed(checks: Signatures, raw: bytes, commit: str, keys: Sequence[str]) -> bool:
    """Whether one of the engine's keys signed it, and nobody else whom the trust file may know."""
    document = {"apiVersion": "opsconductor/v1", "kind": "User", "metadata": {"name": _NAME}}
    itself = {_NAME: User.model_validate({**document, "spec": {"signingKeys": list(keys)}})}
    found = checks.check(raw, commit, itself, datetime.now(UTC))  # an engine's key has no time to live
    return isinstance(found, SignedBy) and found.key in map(fingerprint_of, keys)
