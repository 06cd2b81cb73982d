"""Whose key signed a commit: asked of ssh-keygen and gpg, about the raw object, with nothing of the repository's in it.

Not `git verify-commit`: it takes the committer's word for when something was signed, and heeds configuration. What
these programs see is written here: the payload, the signature, and the lines of allowed signers that name the key.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from engine.authority import signedcommit
from engine.authority.signedcommit import OddError, Signed, SshKey
from engine.authority.trust import Reason, SignedBy, Unsigned, Untrusted
from engine.authority.trustfile import Forge, Signer
from reconciler.authority.keyfiles import KeyFiles, Keys
from reconciler.authority.signingprograms import TrustUnavailable, gpg, run
from schemas.policy import User, folded

_NAMESPACE = "git"
_IDENTITY = "signer"
"""What ssh-keygen is told to call whoever has the key: which person that is, we know from the line we took."""


@dataclass(frozen=True, slots=True)
class SignedByForge:
    """Signed with a key that the trust file marks as a forge's."""

    forge: str
    key: str


OneSignature = SignedBy | SignedByForge | Unsigned | Untrusted


class Signatures:
    """Checks signatures. Its calls may overlap, in any thread."""

    def __init__(self, files: KeyFiles) -> None:
        self.files = files

    def check(self, raw: bytes, commit: str, users: Mapping[str, User], at: datetime) -> OneSignature:
        """Who signed a commit object, by the trust file and these Users' own keys; `at` decides what has expired."""
        try:
            found = signedcommit.signed(raw, commit)
            if found is None:
                return Unsigned()
            keys = self.files.keys()
            match signedcommit.kind_of(found.signature):
                case "ssh":
                    return self._ssh(found, keys, users, at)
                case "openpgp":
                    return self._openpgp(found, keys, users)
                case "other":
                    return Untrusted("unsupported", "it is neither an SSH nor an OpenPGP signature; sign with one")
        except OddError as error:
            return Untrusted("oddObject", f"{error}; make the commit again, with git itself")
        except TrustUnavailable as error:
            return Untrusted("unverifiable", str(error))

    # --- SSH ----------------------------------------------------------------------------------------------------

    def _ssh(self, found: Signed, keys: Keys, users: Mapping[str, User], at: datetime) -> OneSignature:
        key = signedcommit.ssh_key(found.signature)
        if key.namespace != _NAMESPACE:
            return Untrusted("notForGit", f"it was made for '{key.namespace[:40]}', not for git")
        if key.is_certificate:
            return self._certified(found, key, keys, users, at)
        if key.text in keys.file.revoked:
            return _revoked(f"the key {key.fingerprint}")
        entries: Sequence[Signer | Forge] = keys.by_ssh_key.get(key.text, ())
        # A key that the trust file names is judged by the trust file alone: no User may lift what it says.
        entries = entries or [Signer((name,), f'namespaces="{_NAMESPACE}"', key.text) for name in _has(key, users)]
        if not entries:
            return Untrusted(
                "unknownKey",
                f"nobody here has the key {key.fingerprint}; add it to 'signingKeys' of its User, or to the trust file",
            )
        if len({_of(entry) for entry in entries}) > 1:
            return Untrusted("ambiguous", f"several people have the key {key.fingerprint}; each has keys of their own")
        lines = "".join(f"{_IDENTITY} {entry.options} {entry.key}\n" for entry in entries)
        with self._written(found, lines) as place:
            proven = _verified(place, _IDENTITY, keys.revocations, at, f"the key {key.fingerprint}")
        if isinstance(proven, Untrusted):
            return proven
        entry = entries[0]
        if isinstance(entry, Forge):
            return SignedByForge(entry.name, key.fingerprint)
        return SignedBy(entry.principals[0], _user(entry.principals, users), key.fingerprint)

    def _certified(
        self, found: Signed, key: SshKey, keys: Keys, users: Mapping[str, User], at: datetime
    ) -> OneSignature:
        if not keys.file.authorities:
            return Untrusted("unknownKey", "it is by a certificate, and the trust file names no 'cert-authority'")
        lines = "".join(f"{one.patterns} {one.options} {one.key}\n" for one in keys.file.authorities)
        with self._written(found, lines) as place:
            named = run("ssh-keygen", "-Y", "find-principals", *_files(place), _time(at))
            principals = tuple(dict.fromkeys(named.stdout.splitlines())) if named.returncode == 0 else ()
            if not principals:
                return _untrusted(named.stderr, "the certificate", "unknownKey")
            if len(principals) > 1 or set(principals[0]) & set("*?!,"):
                return Untrusted("ambiguous", "the certificate is valid for several names; make it for one person")
            revocations = (*keys.revocations, *_list_of(keys, place))
            proven = _verified(place, principals[0], revocations, at, "the certificate")
        return proven if isinstance(proven, Untrusted) else SignedBy(principals[0], _user(principals, users), proven)

    # --- OpenPGP ------------------------------------------------------------------------------------------------

    def _openpgp(self, found: Signed, keys: Keys, users: Mapping[str, User]) -> OneSignature:
        if keys.openpgp_home is None:
            return Untrusted("unknownKey", "it is an OpenPGP signature, and the trust file names no OpenPGP keys")
        packets = signedcommit.openpgp_packets(found.signature)
        with self._written(replace(found, signature=packets), "") as place:
            ask = ("--status-fd", "1", "--verify", str(place / "signature"), "-")
            said = gpg(keys.openpgp_home, *ask, data=place / "payload")
        proven = _fingerprint(said.returncode, said.stdout)
        if isinstance(proven, Untrusted):
            return proven
        shown = f"openpgp:{proven}"
        if proven in keys.file.revoked_openpgp:
            return _revoked(f"the key {shown}")
        for forge in keys.file.forges:
            if forge.fingerprint == proven:
                return SignedByForge(forge.name, shown)
        for signer in keys.file.openpgp:
            if signer.fingerprint == proven:
                return SignedBy(signer.principals[0], _user(signer.principals, users), shown)
        return Untrusted("unknownKey", f"the trust file gives the key {shown} to nobody")

    @contextmanager
    def _written(self, found: Signed, lines: str) -> Iterator[Path]:
        """A folder with what a program is shown."""
        with self.files.room() as name:
            place = Path(name)
            try:
                (place / "payload").write_bytes(found.payload)
                (place / "signature").write_bytes(found.signature)
                (place / "signers").write_text(lines)
            except OSError as error:
                raise TrustUnavailable(f"{place.parent} cannot be written: {error.strerror}") from error
            yield place


def _of(entry: Signer | Forge) -> tuple[str, ...]:
    return ("@forge", entry.name) if isinstance(entry, Forge) else entry.principals


def _has(key: SshKey, users: Mapping[str, User]) -> Iterator[str]:
    for name, user in users.items():
        if any(" ".join(text.split()[:2]) == key.text for text in user.spec.signing_keys):
            yield name


def _user(principals: Sequence[str], users: Mapping[str, User]) -> str | None:
    """The one User that has the name or the address; None where it is nobody, or not one."""
    wanted = {folded(one) for one in principals}
    found = {
        name
        for name, user in users.items()
        if name in principals or (user.spec.email is not None and folded(user.spec.email) in wanted)
    }
    return found.pop() if len(found) == 1 else None


def _files(place: Path) -> tuple[str, ...]:
    return ("-f", str(place / "signers"), "-n", _NAMESPACE, "-s", str(place / "signature"))


def _time(at: datetime) -> str:
    return f"-Overify-time={at.astimezone(UTC):%Y%m%d%H%M%S}"  # a trailing Z is read by newer versions only


def _list_of(keys: Keys, place: Path) -> tuple[Path, ...]:
    """The `@revoked` keys as a file: a certificate is of a key, and by one, and ssh-keygen knows which."""
    if not keys.file.revoked:
        return ()
    path = place / "revoked"
    path.write_text("".join(f"{key}\n" for key in sorted(keys.file.revoked)))
    return (path,)


def _verified(place: Path, identity: str, revocations: Sequence[Path], at: datetime, what: str) -> Untrusted | str:
    """The fingerprint of the key, where ssh-keygen finds the signature good."""
    ask = ("ssh-keygen", "-Y", "verify", *_files(place), "-I", identity, _time(at))
    done = run(*ask, data=place / "payload")
    shown = re.search(r" key (SHA256:\S+)", done.stdout)
    if done.returncode != 0 or shown is None:
        return _untrusted(done.stderr, what, "badSignature")
    for path in revocations:
        if run(*ask, "-r", str(path), data=place / "payload").returncode != 0:
            return _revoked(what)
    return shown[1]


_WHY: tuple[tuple[str, Reason, str], ...] = (
    (r"key has expired|certificate .*expired", "expired", "it had expired when the commit arrived"),
    (r"not yet valid", "expired", "it was not valid yet when the commit arrived"),
    (r"not permitted for use in signature namespace", "notForGit", "its line in the trust file does not allow 'git'"),
    (r"incorrect signature", "badSignature", "it did not sign this content"),
    (
        r"no principal matched|no valid principals",
        "unknownKey",
        "the trust file has nobody of its names, or it was not valid when the commit arrived",
    ),
    (r"unknown option|unsupported operation|invalid .*option", "unverifiable", "ssh-keygen is older than OpenSSH 8.9"),
)


def _untrusted(stderr: str, what: str, otherwise: Reason) -> Untrusted:
    said = stderr.lower()
    for pattern, reason, words in _WHY:
        if re.search(pattern, said):
            return Untrusted(reason, f"{what}: {words}")
    return Untrusted(otherwise, f"{what}: ssh-keygen does not find it good")


def _revoked(what: str) -> Untrusted:
    return Untrusted("revoked", f"{what}: it is revoked")


_OPENPGP_REFUSALS: Mapping[str, tuple[Reason, str]] = {
    "REVKEYSIG": ("revoked", "its OpenPGP key is revoked"),
    "EXPKEYSIG": ("expired", "its OpenPGP key has expired"),
    "EXPSIG": ("expired", "it has expired"),
    "BADSIG": ("badSignature", "it is of another content"),
    "NO_PUBKEY": ("unknownKey", "its OpenPGP key is not among those of the trust file"),
    "ERRSIG": ("badSignature", "gpg cannot check it"),
}


def _fingerprint(code: int, said: str) -> Untrusted | str:
    """The fingerprint of the primary key in what gpg says of a good signature (GnuPG's doc/DETAILS)."""
    status = [line.split()[1:] for line in said.splitlines() if line.startswith("[GNUPG:] ")]
    named = [line[0] for line in status if line]
    for refusal, (reason, words) in _OPENPGP_REFUSALS.items():
        if refusal in named:
            return Untrusted(reason, words)
    valid = [line for line in status if line and line[0] == "VALIDSIG"]
    if code != 0 or named.count("GOODSIG") != 1 or named.count("NEWSIG") > 1 or len(valid) != 1:
        return Untrusted("badSignature", "gpg does not find it good")
    return valid[0][-1].upper()
