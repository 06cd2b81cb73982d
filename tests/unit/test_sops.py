"""What the real sops writes is read here, and what is written here it reads; whatever was changed stays closed."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from runners.secrets import Sealed, Secrets
from runners.secrets.agekeys import NoKey, read
from runners.secrets.sops import NotOpened, recipients_of, seal, unseal
from schemas.credential import Credential
from tests.sops import Key, decrypted, encrypted, sops

NOW = datetime(2026, 11, 22, 1, 2, 3, 456, tzinfo=UTC)
PLAIN = """\
apiVersion: opsconductor/v1
kind: Credential
metadata:
  name: db   # of the shop
  labels: {team: web}
spec:
  type: password
  pools: [default]
  rotateAfter: 90d
  expiresAt: 2027-12-01T00:00:00Z
  allowedFor: {matchLabels: {team: web}}
# the secret
data:
  # not shown
  password: "correct: horse\\nbattery"
  username: ünal
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return Key.made(folder, "one"), Key.made(folder, "two"), Key.made(folder, "stranger")


@pytest.fixture(scope="module")
def document(keys: tuple[Key, Key, Key]) -> str:
    return encrypted(PLAIN, *keys[:2])


def test_each_recipient_opens_what_sops_wrote(document: str, keys: tuple[Key, Key, Key]) -> None:
    for key in keys[:2]:
        assert unseal(document, read([key.file])).fields == {"password": "correct: horse\nbattery", "username": "ünal"}
    assert recipients_of(document) == tuple(key.recipient for key in keys[:2])


def test_a_stranger_does_not_and_neither_does_nobody(document: str, keys: tuple[Key, Key, Key]) -> None:
    with pytest.raises(NotOpened, match="none of the keys here"):
        unseal(document, read([keys[2].file]))
    with pytest.raises(NotOpened, match="--identity"):
        unseal(document, read([]))
    assert unseal(document, read([keys[2].file, keys[1].file])).fields


def test_sops_opens_what_is_written_here(keys: tuple[Key, Key, Key]) -> None:
    fields = {"password": " a: #b\n\"'\\\n\n", "username": "ünal 🔑"}
    written = seal(PLAIN, fields, [key.recipient for key in keys[:2]], NOW)
    for key in keys[:2]:
        assert yaml.safe_load(decrypted(written, key))["data"] == fields
        assert unseal(written, read([key.file])).fields == fields
    assert written.startswith(PLAIN.partition("data:")[0])
    assert 'lastmodified: "2026-11-22T01:02:03Z"' in written


def test_what_is_sealed_again_has_a_new_key_and_nothing_of_the_old(document: str, keys: tuple[Key, Key, Key]) -> None:
    again = seal(document, {"password": "another one"}, [keys[2].recipient], NOW)
    assert recipients_of(again) == (keys[2].recipient,)
    with pytest.raises(NotOpened):
        unseal(again, read([keys[0].file]))
    assert unseal(again, read([keys[2].file])).fields == {"password": "another one"}
    assert yaml.safe_load(decrypted(again, keys[2]))["data"] == {"password": "another one"}
    assert not set(re.findall(r"ENC\[.*", document)) & set(re.findall(r"ENC\[.*", again))


SCALARS = [
    *("abc", "1_000", "1e3", "1234567.0", "1000000.5", "0.00001", "1.50", ".5", "017", "08", "0o17", "0x1F", "0b101"),
    *("-0b11", "+5", "true", "True", "FALSE", "yes", "2027-12-01T00:00:00Z", "2027-1-2", "2027-12-01 01:02:03.450"),
    *("2027-12-01T01:02:03.1+02:00", "2027-12-01T01:02:03+00:00", "12:30", "1e400", "9223372036854775807", "123456.7"),
    *("1e21", "'1'", "0.1", "100000.0", "99999999999999999999", "2027-02-30", ".1e999", "1.", "+.5", "0_7", "-017"),
    *("-0o17", "1e-7", "0001-01-01T00:00:00Z", "-.5", "3.", "1.7976931348623157e308", "-1", "1__0", "0.1e1", "NULL2"),
]


def test_numbers_and_types_are_as_sops_has_them(keys: tuple[Key, Key, Key]) -> None:
    """In the plain part, which the MAC is over, and in what is encrypted: the text that sops would give back."""
    lines = "".join(f"  k{number}: {one}\n" for number, one in enumerate(SCALARS))
    odd = "  list: [a, 1_0, {b: 3.0, c: ~}]\n  empty: ''\n  none: null\n"
    odd += "  block: |\n    x\n\n    y\n  folded: >-\n    a\n    b\n"
    document = encrypted(f"spec:\n{lines}{odd}data:\n{lines}", keys[0])
    fields = unseal(document, read([keys[0].file])).fields
    printed = decrypted(document, keys[0]).partition("\ndata:")[2]
    shown = {name: text.strip("\"'") for name, text in re.findall(r"^ +(k\d+): (.*)$", printed, re.MULTILINE)}
    assert dict(fields) == shown


def changed(document: str) -> dict[str, str]:
    cipher, name = re.search(r"password: (ENC.*)", document), re.search(r"username: (ENC.*)", document)
    assert cipher and name
    swapped = document.replace(cipher[1], "@").replace(name[1], cipher[1]).replace("@", name[1])
    moved = document.replace("    type: password\n", "").replace("90d\n", "90d\n    type: password\n")
    return {
        "a plain value": document.replace("- default", "- other"),
        "the name": document.replace("name: db", "name: dc"),
        "a value more": document.replace("spec:\n", "spec:\n    username: root\n", 1),
        "a value less": document.replace("    rotateAfter: 90d\n", ""),
        "the order": moved,
        "a cipher text": document.replace(cipher[1], name[1]),
        "two that were swapped": swapped,
        "its type": document.replace(cipher[1], cipher[1].replace("type:str", "type:int")),
        "a bit": document.replace(cipher[1], cipher[1].replace("data:", "data:A", 1)),
        "a secret in plain text": document.replace(cipher[1], "hunter2hunter2"),
        "the time": re.sub(r'lastmodified: "20', 'lastmodified: "19', document),
        "the MAC": re.sub(r"mac: ENC.*", f"mac: {cipher[1]}", document),
        "no MAC": re.sub(r"mac: ENC.*", 'mac: ""', document),
        "a MAC over less": document.replace("encrypted_regex", "mac_only_encrypted: true\n    encrypted_regex"),
        "another rule": document.replace("^data$", "^(data|spec)$"),
        "two rules": document.replace("encrypted_regex", "unencrypted_suffix: _x\n    encrypted_regex"),
        "no sops": document.partition("sops:")[0],
        "a second document": document + "---\na: b\n",
        "an anchor": document.replace("type: password", "type: &a password"),
        "directives": "%TAG !a! x\n" * 9 + f"---\n{document}",
        "a data key": re.sub(r"(-----BEGIN[^-]*-----\n\s+)\w{4}", r"\1AAAA", document),
    }


WHAT = (
    *("a plain value", "the name", "a value more", "a value less", "the order", "a cipher text", "its type", "a bit"),
    *("two that were swapped", "a secret in plain text", "the time", "the MAC", "no MAC", "a MAC over less"),
    *("another rule", "two rules", "no sops", "a second document", "an anchor", "directives", "a data key"),
)


@pytest.mark.parametrize("what", WHAT)
def test_what_was_changed_stays_closed(document: str, keys: tuple[Key, Key, Key], what: str) -> None:
    tampered = changed(document)[what]
    assert tampered != document
    with pytest.raises(NotOpened) as refused:
        unseal(tampered, read([keys[0].file]))
    for secret in ("horse", "ünal", "hunter2", "AGE-SECRET"):
        assert secret not in repr(refused.value)
        assert secret not in repr(refused.value.__cause__)


def test_a_mac_over_the_data_alone_is_refused_as_sops_writes_it(tmp_path: Path, keys: tuple[Key, Key, Key]) -> None:
    (tmp_path / "sops.yaml").write_text(
        f"creation_rules: [{{age: {keys[0].recipient}, encrypted_regex: ^data$, mac_only_encrypted: true}}]"
    )
    rule = ("--config", tmp_path / "sops.yaml", "encrypt", "--filename-override", "credential.yaml")
    document = sops(*rule, given=PLAIN)
    assert "mac_only_encrypted: true" in document
    with pytest.raises(NotOpened, match="anybody could have changed the rest"):
        unseal(document, read([keys[0].file]))


def test_sops_refuses_what_is_refused_here(document: str, keys: tuple[Key, Key, Key]) -> None:
    """The proof is theirs too: what it says of a changed plain value."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        decrypted(changed(document)["a plain value"], keys[0])
    assert "MAC mismatch" in refused.value.stderr


# --- through the door of a runner ---


def opened(document: str, key: Key, *, pools: set[str] | None = None, labels: dict[str, str] | None = None) -> str:
    spec = Credential.model_validate(yaml.safe_load(document)).spec
    served = (lambda: frozenset(pools)) if pools is not None else None
    secrets = Secrets(None, {}, served, identities=(key.file,))
    return secrets.open("db", spec, labels={"team": "web"} if labels is None else labels, sealed=document).get(
        "password"
    )


def test_a_runner_opens_it_for_its_pool_and_job(document: str, keys: tuple[Key, Key, Key]) -> None:
    assert opened(document, keys[0], pools={"default"}) == "correct: horse\nbattery"
    with pytest.raises(Sealed, match="names the pools default"):
        opened(document, keys[0], pools={"other"})
    with pytest.raises(Sealed, match="allowedFor does not match"):
        opened(document, keys[0], labels={"team": "db"})
    with pytest.raises(Sealed, match="none of the keys here"):
        opened(document, keys[2])


def test_a_plan_cannot_say_more_than_the_document(document: str, keys: tuple[Key, Key, Key]) -> None:
    """Who can write into the journal cannot widen what the MAC proves, nor give one document for another."""
    wide = Credential.model_validate(yaml.safe_load(document)).spec.model_copy(
        update={"allowed_for": None, "pools": ()}
    )
    secrets = Secrets(None, {}, lambda: frozenset({"default"}), identities=(keys[0].file,))
    with pytest.raises(Sealed, match="allowedFor"):
        secrets.open("db", wide, labels={"team": "db"}, sealed=document)
    with pytest.raises(Sealed, match="another document"):
        secrets.open("other", wide, labels={"team": "web"}, sealed=document)


@pytest.mark.parametrize("text", ["", "# nothing\n", "ssh-ed25519 AAAA\n", "AGE-SECRET-KEY-1QQQQ\n", "\xff"])
def test_a_file_without_keys_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(NoKey) as refused:
        read([tmp_path / "key"])
    assert "QQQQ" not in repr(refused.value)
