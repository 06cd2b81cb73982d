"""The trust file of an engine: who signs, which keys are a forge's, what is revoked. Pure: text to values.

Its lines are those of OpenSSH's allowed signers (ssh-keygen(1), ALLOWED SIGNERS), so a file of git's own will do, and
five more:

    ana@example.org namespaces="git",valid-before="20271231" ssh-ed25519 AAAA…
    *@example.org cert-authority ssh-ed25519 AAAA…
    bob@example.org openpgp:0123456789ABCDEF0123456789ABCDEF01234567
    @forge github openpgp:968479A1AFF927E37D1A566BB5690EEEBB952194
    @revoked ssh-ed25519 AAAA…
    @revoked-keys FILE         a KRL, or a list of public keys
    @openpgp-keys FILE         exported public keys
    @engine ssh-ed25519 AAAA…  signed the status branch before the key of --sign-key did

Files are looked for beside the trust file. A line that is not understood makes the whole file useless: to skip it could
be to believe a key that it meant to forbid.
"""

import base64
import hashlib
import re
import shlex
from dataclasses import dataclass

from engine.checks.sshkeys import public_key_problem

_OPENPGP = re.compile(r"(?:openpgp|gpg):([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})")
_OPTION = re.compile(
    r"cert-authority|namespaces=\"[^\"]*\"|valid-(?:after|before)=\"?[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z?\"?"
)
_KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+")
_LONGEST = 16 * 1024


class TrustFileError(ValueError):
    """A line of the trust file is not understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A person's SSH key. `options` are as OpenSSH reads them, "" for none."""

    principals: tuple[str, ...]
    options: str
    key: str


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Who certifies keys of the people that the patterns match."""

    patterns: str
    options: str
    key: str


@dataclass(frozen=True, slots=True)
class OpenPgpSigner:
    """A person's OpenPGP key, by the fingerprint of its primary key in upper case."""

    principals: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Forge:
    """A key with which a forge signs what people do in its pages: an SSH key, or an OpenPGP fingerprint."""

    name: str
    key: str | None
    fingerprint: str | None
    options: str = ""


@dataclass(frozen=True, slots=True)
class FormerEngine:
    """A key that signed the status branch before. It signs no definitions and no acts."""

    key: str


@dataclass(frozen=True, slots=True)
class TrustFile:
    """What the file says."""

    signers: tuple[Signer, ...] = ()
    authorities: tuple[CertificateAuthority, ...] = ()
    openpgp: tuple[OpenPgpSigner, ...] = ()
    forges: tuple[Forge, ...] = ()
    engines: tuple[FormerEngine, ...] = ()
    revoked: frozenset[str] = frozenset()
    """SSH keys."""
    revoked_openpgp: frozenset[str] = frozenset()
    revocation_files: tuple[str, ...] = ()
    openpgp_files: tuple[str, ...] = ()


def parse(text: str) -> TrustFile:
    """Read the file. Raises TrustFileError, which names the line, where any of it is not understood."""
    found: list[object] = []
    revoked: set[str] = set()
    revoked_openpgp: set[str] = set()
    files: dict[str, list[str]] = {"@revoked-keys": [], "@openpgp-keys": []}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if len(line) > _LONGEST:
                raise TrustFileError("it is far too long")
            if words[0] in files:
                files[words[0]].append(_named(line))
            elif words[0] == "@revoked":
                (revoked_openpgp if _OPENPGP.fullmatch(words[1] if words[1:] else "") else revoked).add(
                    _revoked(words[1:])
                )
            elif words[0] == "@engine":
                found.append(FormerEngine(key_of(words[1:])))
            elif words[0].startswith("@"):
                found.append(_forge(words))
            else:
                found.append(_signer(line))
        except TrustFileError as error:
            raise TrustFileError(f"line {number}: {error}") from error
    _no_two_people(found)
    return TrustFile(
        signers=tuple(one for one in found if isinstance(one, Signer)),
        authorities=tuple(one for one in found if isinstance(one, CertificateAuthority)),
        openpgp=tuple(one for one in found if isinstance(one, OpenPgpSigner)),
        forges=tuple(one for one in found if isinstance(one, Forge)),
        engines=tuple(one for one in found if isinstance(one, FormerEngine)),
        revoked=frozenset(revoked),
        revoked_openpgp=frozenset(revoked_openpgp),
        revocation_files=tuple(files["@revoked-keys"]),
        openpgp_files=tuple(files["@openpgp-keys"]),
    )


def key_of(words: list[str]) -> str:
    """Type and base64 of a public key, without its comment. Raises TrustFileError where it is none."""
    problem = public_key_problem(" ".join(words[:2]))
    if problem is not None:
        raise TrustFileError(problem)
    return f"{words[0]} {words[1]}"


def blob_of(key: str) -> bytes:
    """The bytes of a key as `key_of` gives it."""
    return base64.b64decode(key.split()[1])


def fingerprint_of(key: str) -> str:
    """`SHA256:…` of a key as `key_of` gives it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob_of(key)).digest()).decode().rstrip("=")


def _named(line: str) -> str:
    words = shlex.split(line)
    if len(words) != 2:
        raise TrustFileError(f"'{words[0]}' is followed by one file")
    return words[1]


def _revoked(words: list[str]) -> str:
    if words and (fingerprint := _OPENPGP.fullmatch(words[0])):
        return fingerprint[1].upper()
    return key_of(words)


def _forge(words: list[str]) -> Forge:
    if words[0] != "@forge":
        raise TrustFileError(
            f"'{words[0][:40]}' is not a mark that is known; there are @forge, @revoked, @revoked-keys, @openpgp-keys, "
            "@engine"
        )
    if len(words) < 3:
        raise TrustFileError("'@forge' is followed by a name and a key")
    if fingerprint := _OPENPGP.fullmatch(words[2]):
        return Forge(words[1], None, fingerprint[1].upper())
    options, key = _options(words[2:])
    if "cert-authority" in options:
        raise TrustFileError("a forge is known by its key, not by a certificate")
    return Forge(words[1], key_of(key), None, options)


def _signer(line: str) -> Signer | CertificateAuthority | OpenPgpSigner:
    words = line.split()
    if line.startswith('"'):
        raise TrustFileError("principals with quotes are not read; write them with commas and no spaces")
    if len(words) < 2:
        raise TrustFileError("a person is followed by a key")
    principals = tuple(part for part in words[0].split(",") if part)
    if fingerprint := _OPENPGP.fullmatch(words[1]):
        return OpenPgpSigner(_concrete(principals), fingerprint[1].upper())
    options, key = _options(words[1:])
    if "cert-authority" in options:
        return CertificateAuthority(words[0], options, key_of(key))
    return Signer(_concrete(principals), options, key_of(key))


def _options(words: list[str]) -> tuple[str, list[str]]:
    """The options before a key, which OpenSSH is left to heed, and the words of the key."""
    if _KEY_TYPE.fullmatch(words[0]):
        return "", words
    parts = re.findall(r'(?:[^,"]|"[^"]*")+', words[0])
    for part in parts:
        if not _OPTION.fullmatch(part):
            raise TrustFileError(f"'{part[:60]}' is not an option that is known, or not written as one")
    if ",".join(parts) != words[0]:
        raise TrustFileError(f"'{words[0][:60]}' is not a list of options")
    return words[0], words[1:]


def _concrete(principals: tuple[str, ...]) -> tuple[str, ...]:
    if not principals or any(set(one) & set("*?!") for one in principals):
        raise TrustFileError("a key belongs to one person: write the name or address, without '*', '?' and '!'")
    return principals


def _no_two_people(found: list[object]) -> None:
    owners: dict[str, str] = {}
    for one in found:
        match one:
            case Signer(principals=principals, key=key):
                owner = principals[0]
            case OpenPgpSigner(principals=principals, fingerprint=key):
                owner = principals[0]
            case Forge(name=name, key=ssh, fingerprint=fingerprint):
                owner, key = f"@forge {name}", ssh or fingerprint or ""
            case FormerEngine(key=key):
                owner = "@engine"
            case _:
                continue
        if owners.setdefault(key, owner) != owner:
            raise TrustFileError(f"one key is given to two: {owners[key]} and {owner}")
