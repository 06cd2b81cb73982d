"""Credentials encrypted in place, in the format of SOPS 3 with age recipients: read, and written.

What is encrypted is `data`, each value by AES-256-GCM with its keys as authenticated data; the MAC is over all values
of the document in their order. Only runners open documents, and whoever asks for it with a key at hand
(`opsconductor credential`); what can be seen without a key is the matter of `engine.checks.encrypted`.
The format: github.com/getsops/sops, `aes/cipher.go` and `sops.go`, as of 3.13.
"""

import base64
import hashlib
import hmac
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runners.secrets import agekeys
from runners.secrets.agekeys import Identities, NoKey
from runners.secrets.plainyaml import Leaf, Unreadable, Value, instant, leaves, printed

REGEX = "^data$"
"""What a credential's `encrypted_regex` is: the value of every key `data`, and nothing else."""
VERSION = "3.11.0"
"""The version of the format that we write."""
_LEAF = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/]+={0,2}),iv:([A-Za-z0-9+/]+={0,2}),tag:([A-Za-z0-9+/]+={0,2}),type:(\w+)\]"
)
_TOP = re.compile(r"^(?:([A-Za-z]\w*):|\"|'|\{)", re.ASCII)
_FALSE = Value("bool", "False")
_IV = 32
_TAG = 16
_OTHER_RULES = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)


class NotOpened(ValueError):  # noqa: N818 - named after what happened
    """It cannot be opened; the message says why, and holds nothing of any secret."""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What was encrypted, by field. Never logged, never written."""

    fields: Mapping[str, str] = field(repr=False)


def unseal(text: str, identities: Identities) -> Unsealed:
    """Open a document and prove it whole: every value, its place, and the MAC. Raises NotOpened."""
    try:
        found = leaves(text)
        opened = _prove(found, _data_key(_about(found), identities))
    except (Unreadable, NoKey) as error:
        raise NotOpened(str(error)) from None
    return Unsealed({leaf.path[1]: shown(leaf.value) for leaf in opened if leaf.path[0] == "data"})


def seal(text: str, fields: Mapping[str, str], recipients: Iterable[str], now: datetime) -> str:
    """The document with these fields encrypted for the recipients alone, by a new data key.

    `text` is the document with or without `data` and `sops`; all else in it stays as it is, comments within those two
    are lost. Raises NotOpened for what is no document that can be encrypted.
    """
    key = os.urandom(32)
    try:
        data = {name: _encrypted(value, key, f"data:{name}:") for name, value in fields.items()}
        at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wrapped = {one: agekeys.wrap(key, one) for one in recipients}
        unsigned = _composed(text, data, wrapped, at, "")
        hidden: dict[tuple[str, ...], Value] = {("data", name): Value("str", value) for name, value in fields.items()}
        revealed = (Leaf(leaf.path, hidden.get(leaf.path, leaf.value)) for leaf in leaves(unsigned))
        mac = _encrypted(_mac(leaf for leaf in revealed if leaf.path[0] != "sops"), key, at)
        sealed = _composed(text, data, wrapped, at, mac)
        _prove(leaves(sealed), key)
    except (Unreadable, NoKey) as error:
        raise NotOpened(str(error)) from None
    return sealed


def recipients_of(text: str) -> tuple[str, ...]:
    """For whom a document is encrypted, as it says itself. Raises NotOpened."""
    try:
        return tuple(entry.get("recipient", "") for entry in _about(leaves(text)).entries)
    except Unreadable as error:
        raise NotOpened(str(error)) from None


# --- what sops says beside the data ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _About:
    """The branch `sops`: its own values, and its entries for age."""

    values: Mapping[str, Value]
    entries: tuple[Mapping[str, str], ...]


def _about(found: Iterable[Leaf]) -> _About:
    """Raises Unreadable for what sops did not encrypt, and for what proves too little."""
    within = [leaf for leaf in found if leaf.path[0] == "sops"]
    values = {leaf.path[1]: leaf.value for leaf in within if len(leaf.path) == 2}
    if not within:
        raise Unreadable("it is not encrypted by sops")
    if values.get("mac_only_encrypted", _FALSE) != _FALSE:
        raise Unreadable("its MAC is over 'data' alone, so anybody could have changed the rest")
    if values.get("encrypted_regex") != Value("str", REGEX) or any(values.get(one) for one in _OTHER_RULES):
        raise Unreadable(f"it is not encrypted with --encrypted-regex '{REGEX}'")
    if any(leaf.path[1:2] == ("key_groups",) for leaf in within):
        raise Unreadable("it is encrypted for groups of keys; encrypt it for age recipients alone")
    return _About(values, tuple(_entries(within)))


def _entries(within: Iterable[Leaf]) -> Iterator[Mapping[str, str]]:
    entry: dict[str, str] = {}
    for leaf in within:
        if leaf.path[1:2] != ("age",) or len(leaf.path) != 3:
            continue
        if leaf.path[2] in entry:
            yield entry
            entry = {}
        entry[leaf.path[2]] = leaf.value.text
    yield entry


def _data_key(about: _About, identities: Identities) -> bytes:
    if not identities:
        raise NoKey("no age key is at hand here; name the file of one with --identity")
    own = set(identities.recipients)
    for entry in sorted(about.entries, key=lambda entry: entry.get("recipient") not in own):
        key = identities.unwrap(entry.get("enc", ""))
        if key is not None:
            if len(key) != 32:
                raise NoKey("its data key has not 256 bits")
            return key
    raise NoKey(f"none of the keys here ({', '.join(sorted(own))}) is among its recipients; encrypt it for this pool")


# --- values ----------------------------------------------------------------------------------------------------------


def _opened(leaf: Leaf, key: bytes) -> Leaf:
    """The leaf with its value decrypted, where the document's rule says that it is encrypted."""
    if "data" not in leaf.path:
        return leaf
    if leaf.path[0] != "data" or "data" in leaf.path[1:]:
        raise Unreadable("a key other than the document's 'data' is called data, and sops encrypts that too; rename it")
    if len(leaf.path) != 2:
        raise Unreadable(f"'{leaf.path[1][:80]}' is not one text" if leaf.path[1:] else "'data' has no fields")
    if leaf.value.type != "str" or not leaf.value.text.startswith("ENC["):
        raise Unreadable(f"'{leaf.path[1][:80]}' is not encrypted")
    kind, text = _decrypted(leaf.value.text, key, "".join(f"{part}:" for part in leaf.path))
    return Leaf(leaf.path, _typed(kind, text))


def _encrypted(text: str, key: bytes, place: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    iv = os.urandom(_IV)
    whole = AESGCM(key).encrypt(iv, text.encode(), place.encode())
    parts = (base64.b64encode(part).decode() for part in (whole[:-_TAG], iv, whole[-_TAG:]))
    return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]".format(*parts)


def _decrypted(text: str, key: bytes, place: str) -> tuple[str, str]:
    """Its type and its text. Raises Unreadable."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    found = _LEAF.fullmatch(text)
    if found is None:
        raise Unreadable("a value is not in the form of sops")
    try:
        data, iv, tag = (base64.b64decode(part, validate=True) for part in found.group(1, 2, 3))
        return found[4], AESGCM(key).decrypt(iv, data + tag, place.encode()).decode()
    except (InvalidTag, ValueError):
        # without a cause: that of a decoding would quote the bytes
        raise Unreadable("a value was changed after it was encrypted, or stands in another place") from None


def _typed(kind: str, text: str) -> Value:
    """As `Cipher.Decrypt` of sops makes values of what it wrote."""
    makers: Mapping[str, Callable[[], Value]] = {
        "str": lambda: Value("str", text),
        "bytes": lambda: Value("str", text),
        "int": lambda: Value("int", str(int(text))),
        "float": lambda: Value("float", printed(float(text))),
        "bool": lambda: Value("bool", {"true": "True", "false": "False"}[text.lower()]),
        "time": lambda: Value("time", instant(text) or text),
    }
    if kind not in makers:
        raise Unreadable(f"a value is of type {kind[:20]}, which has no text")
    try:
        return makers[kind]()
    except (ValueError, KeyError):
        raise Unreadable(f"a value is no {kind}") from None


def shown(value: Value) -> str:
    """The text that a program is given: the one that `sops decrypt --extract` prints."""
    match value.type:
        case "bool":
            return value.text.lower()
        case "float":
            return _shortest(float(value.text))
        case _:
            return value.text


def _shortest(number: float) -> str:
    """As Go prints a float with the format 'g', which YAML is written with: 1e+06, and 100000."""
    if not math.isfinite(number):
        return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"
    digits, _, exponent = f"{number:.17e}".partition("e") if not number else _scientific(number)
    power = int(exponent)
    if not number or -4 <= power < 6:
        return printed(number)
    return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _scientific(number: float) -> tuple[str, str, str]:
    mantissa = next(text for places in range(18) if float(text := f"{number:.{places}e}") == number)
    return mantissa.partition("e")


# --- the MAC ---------------------------------------------------------------------------------------------------------


def _mac(found: Iterable[Leaf]) -> str:
    digest = hashlib.sha512()
    for leaf in found:
        digest.update(leaf.value.text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest().upper()


def _prove(found: tuple[Leaf, ...], key: bytes) -> tuple[Leaf, ...]:
    """What `sops` does not keep for itself, opened. Raises Unreadable where it is not what was encrypted."""
    about = _about(found)
    opened = tuple(_opened(leaf, key) for leaf in found if leaf.path[0] != "sops")
    at, mac = about.values.get("lastmodified"), about.values.get("mac")
    moment = instant(at.text) if at is not None and at.type == "str" and "T" in at.text else None
    if moment is None or mac is None or not mac.text:
        raise Unreadable("it has no MAC")
    whole_second = re.sub(r"\.\d+", "", moment)
    try:
        _, said = _decrypted(mac.text, key, whole_second)
    except Unreadable:
        raise Unreadable("its MAC is not the one that was written: the document was changed") from None
    if not hmac.compare_digest(said.encode(), _mac(opened).encode()):
        raise Unreadable("its MAC does not fit: the document was changed after it was encrypted")
    return opened


# --- writing ---------------------------------------------------------------------------------------------------------


def _composed(text: str, data: Mapping[str, str], wrapped: Mapping[str, str], at: str, mac: str) -> str:
    """The document's own lines, with `data` and `sops` at its end, as sops writes them."""
    lines = ["data:", *(f"    {name}: {value}" for name, value in data.items()), "sops:", "    age:"]
    for recipient, enc in wrapped.items():
        lines += [f"        - recipient: {recipient}", "          enc: |"]
        lines += [f"            {line}" for line in enc.splitlines()]
    lines += [f'    lastmodified: "{at}"', f"    mac: {mac or chr(34) * 2}"]
    lines += [f"    encrypted_regex: {REGEX}", f"    version: {VERSION}"]
    kept = list(_without(text, ("data", "sops")))
    return "\n".join([*kept, *lines]) + "\n"


def _without(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """The lines of the text without those of these top-level keys."""
    skipping = False
    for line in text.rstrip().splitlines():
        top = _TOP.match(line)
        if top is not None and top[1] is None:
            raise Unreadable("its keys do not each stand at the beginning of a line; write it in block style")
        if top is not None:
            skipping = top[1] in names
        elif line.startswith("#"):
            skipping = False
        elif line.startswith(("...", "---", "-")) and skipping:
            raise Unreadable("there is more than one document in the file")
        if not skipping:
            yield line
