"""Signatures of commits: whose they are, and which prove nothing. By real keys, made by real git."""

import base64
import bz2
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.authority import keyfiles
from reconciler.authority.keyfiles import KeyFiles
from tests.signing import Gpg, ran
from tests.trustground import JOB, Ground, at, by, user, why

# --- signed, and by whom ----------------------------------------------------------------------------------------------


def test_a_commit_that_a_user_signed_is_trusted(ground: Ground) -> None:
    root = ground.root()
    head = ground.commit("a", root, by=ground.ana)
    followed = ground.follow(head, root)
    assert followed.stopped is None
    assert (at(followed), by(followed)) == (head, "ana")


def test_a_signer_of_the_trust_file_is_known_as_the_user_of_that_address(ground: Ground) -> None:
    ground.lines = [f"bob@example.org {ground.bob.public}"]
    root = ground.root(user("bob"))
    followed = ground.follow(ground.commit("a", root, by=ground.bob), root)
    assert by(followed) == "bob"


def test_an_unsigned_commit_stops_the_chain(ground: Ground) -> None:
    root = ground.root()
    head = ground.commit("a", root)
    followed = ground.follow(head, root)
    assert at(followed) == root
    assert followed.stopped is not None
    assert (followed.stopped.commit, followed.stopped.reason) == (head, "Unsigned")


def test_a_key_that_nobody_has_is_not_trusted_and_named(ground: Ground) -> None:
    root = ground.root()
    followed = ground.follow(ground.commit("a", root, by=ground.eve), root)
    shown = ran("ssh-keygen", "-lf", f"{ground.eve.path}.pub").decode().split()[1]
    assert shown in why(followed)
    assert "signingKeys" in why(followed)


def test_a_revoked_key_is_not_trusted_also_where_a_user_has_it(ground: Ground) -> None:
    ground.lines = [f"@revoked {ground.ana.public}"]
    root = ground.root()
    assert "revoked" in why(ground.follow(ground.commit("a", root, by=ground.ana), root))


@pytest.mark.parametrize("binary", [True, False])
def test_a_list_of_revoked_keys_is_heeded_as_openssh_writes_it(ground: Ground, binary: bool) -> None:
    ground.lines = ["@revoked-keys gone"]
    if binary:
        ran("ssh-keygen", "-q", "-k", "-f", ground.folder / "gone", f"{ground.ana.path}.pub")
    else:
        (ground.folder / "gone").write_text(f"{ground.ana.public}\n")
    root = ground.root(user("bob", ground.bob))
    assert "revoked" in why(ground.follow(ground.commit("a", root, by=ground.ana), root))
    assert by(ground.follow(ground.commit("a", root, by=ground.bob), root)) == "bob"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('valid-before="20261122"', "expired"),
        ('valid-after="20261123"', "not valid yet"),
        ('namespaces="file,email"', "does not allow 'git'"),
    ],
)
def test_a_line_of_the_trust_file_says_when_and_for_what(ground: Ground, options: str, said: str) -> None:
    ground.lines = [f"bob@example.org {options} {ground.bob.public}"]
    root = ground.root()
    assert said in why(ground.follow(ground.commit("a", root, by=ground.bob), root))


def test_no_user_can_lift_what_the_trust_file_says_of_a_key(ground: Ground) -> None:
    ground.lines = [f'bob@example.org valid-before="20261101" {ground.bob.public}']
    root = ground.root(user("bob", ground.bob))
    assert "expired" in why(ground.follow(ground.commit("a", root, by=ground.bob), root))


def test_an_expired_key_cannot_back_date_a_commit(ground: Ground) -> None:
    """What counts is when the commit arrived: what the committer says of the time is worth nothing."""
    ground.lines = [f'bob@example.org valid-before="20261101" {ground.bob.public}']
    root = ground.root()
    head = ground.commit("a", root, by=ground.bob, at="2026-10-01T00:00:00Z")
    assert "expired" in why(ground.follow(head, root))
    assert ground.follow(head, root, now=datetime(2026, 10, 31, tzinfo=UTC)).stopped is None


def test_a_committer_that_is_not_the_signer_counts_for_nothing(ground: Ground) -> None:
    root = ground.root(user("bob", ground.bob))
    head = ground.repository.commit({JOB: "# a\n"}, root, by=ground.bob, who="ana@example.org")
    assert by(ground.follow(head, root)) == "bob"


def test_two_users_with_one_key_answer_for_nothing(ground: Ground) -> None:
    root = ground.root(user("bob", ground.ana))
    assert "several people" in why(ground.follow(ground.commit("a", root, by=ground.ana), root))


@pytest.mark.parametrize("address", ["bob@example.org", "BOB@Example.org", "\uff42ob@example.org"])
def test_two_users_with_one_address_answer_for_nothing(ground: Ground, address: str) -> None:
    """Also where the letters only look the same: a User who gives himself another's address is not taken for him."""
    ground.lines = [f"bob@example.org {ground.bob.public}"]
    twin = "apiVersion: opsconductor/v1\nkind: User\nmetadata: {name: rob}\n"
    root = ground.root(user("bob"), {"definitions/rob.yaml": f'{twin}spec: {{email: "{address}"}}\n'})
    followed = ground.follow(ground.commit("a", root, by=ground.bob), root)
    assert by(followed) is None


def test_a_signature_for_another_purpose_is_none(ground: Ground) -> None:
    """A key that signs files must not sign commits by accident: the namespace tells them apart."""
    root = ground.root()
    unsigned = ground.repository.raw(ground.commit("a", root))
    (ground.folder / "file").write_bytes(unsigned)
    ran("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", ground.ana.path, ground.folder / "file")
    head = ground.repository.stored(_with(unsigned, (ground.folder / "file.sig").read_bytes()))
    assert "made for 'file'" in why(ground.follow(head, root))


# --- certificates -----------------------------------------------------------------------------------------------------


def test_a_certificate_of_a_trusted_authority_names_its_person(ground: Ground) -> None:
    authority = ground.keys.ssh("authority")
    ground.lines = [f"*@example.org cert-authority {authority.public}"]
    root = ground.root(user("bob"))
    certificate = ground.keys.certified("bob", authority, "bob@example.org")
    followed = ground.follow(ground.commit("a", root, by=certificate), root)
    assert by(followed) == "bob"


@pytest.mark.parametrize(
    ("principals", "validity", "said"),
    [
        ("bob@elsewhere.net", "20200101:20400101", "nobody of its names"),
        ("bob@example.org", "20200101:20210101", "not valid when"),
        ("bob@example.org,ana@example.org", "20200101:20400101", "several names"),
    ],
)
def test_a_certificate_is_good_for_one_person_for_its_time(
    ground: Ground, principals: str, validity: str, said: str
) -> None:
    authority = ground.keys.ssh("authority")
    ground.lines = [f"*@example.org cert-authority {authority.public}"]
    root = ground.root()
    certificate = ground.keys.certified("bob", authority, principals, validity)
    assert said in why(ground.follow(ground.commit("a", root, by=certificate), root))


@pytest.mark.parametrize("which", ["authority", "bob"])
def test_a_certificate_falls_with_its_key_and_with_its_authority(ground: Ground, which: str) -> None:
    authority = ground.keys.ssh("authority")
    ground.lines = [f"*@example.org cert-authority {authority.public}", f"@revoked {ground.keys.ssh(which).public}"]
    root = ground.root()
    certificate = ground.keys.certified("bob", authority, "bob@example.org")
    assert "revoked" in why(ground.follow(ground.commit("a", root, by=certificate), root))


def test_a_certificate_by_a_stranger_is_nobody_s(ground: Ground) -> None:
    ground.lines = [f"*@example.org cert-authority {ground.keys.ssh('authority').public}"]
    root = ground.root()
    certificate = ground.keys.certified("eve", ground.keys.ssh("stranger"), "ana@example.org")
    assert ground.follow(ground.commit("a", root, by=certificate), root).stopped is not None


# --- OpenPGP ----------------------------------------------------------------------------------------------------------


def test_an_openpgp_key_of_the_trust_file_is_trusted(ground: Ground, gpg: Gpg) -> None:
    key = gpg.key("bob@example.org")
    ground.lines = [f"bob@example.org openpgp:{key}", "@openpgp-keys keys.asc"]
    gpg.exported(ground.folder / "keys.asc")
    root = ground.root(user("bob"))
    head = ground.repository.commit({JOB: "# a\n"}, root, by=key, gnupg=gpg)
    assert by(ground.follow(head, root)) == "bob"
    ground.lines.append(f"@revoked openpgp:{key}")
    assert "revoked" in why(ground.follow(head, root))


def test_an_openpgp_key_that_only_lies_in_the_keyring_is_nobody_s(ground: Ground, gpg: Gpg) -> None:
    key, other = gpg.key("bob@example.org"), gpg.key("eve@example.org")
    ground.lines = [f"bob@example.org openpgp:{key}", "@openpgp-keys keys.asc"]
    gpg.exported(ground.folder / "keys.asc")
    root = ground.root()
    head = ground.repository.commit({JOB: "# a\n"}, root, by=other, gnupg=gpg)
    assert "to nobody" in why(ground.follow(head, root))


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "after a signature"])
def test_what_gpg_would_unpack_is_no_signature(ground: Ground, gpg: Gpg, beside: bool) -> None:
    """It reads compressed packets within one, as deep as they go: 300 bytes keep it busy for longer than it may be."""
    key = gpg.key("bob@example.org")
    ground.lines = [f"bob@example.org openpgp:{key}", "@openpgp-keys keys.asc"]
    gpg.exported(ground.folder / "keys.asc")
    root = ground.root(user("bob"))
    raw = ground.repository.raw(ground.commit("a", root))
    signature = gpg.call("--detach-sign", "-u", key, data=raw) if beside else b""
    packed = b"\xa3\x03" + bz2.compress(b"\xaf" + b"b\0\0\0\0\0" + bytes(1 << 20))
    armored = b"-----BEGIN PGP SIGNATURE-----\n\n%s-----END PGP SIGNATURE-----\n"
    for packets, said in ((signature + packed, "no signature"), (signature, "" if beside else "as gpg writes")):
        odd = _with(raw, armored % (base64.encodebytes(packets) or b"\n"))
        followed = ground.follow(ground.repository.stored(odd), root)
        assert by(followed) == "bob" if not said else said in why(followed)


def test_an_openpgp_key_that_has_expired_signs_nothing_more(ground: Ground, gpg: Gpg) -> None:
    key = gpg.key("bob@example.org", at="20200101T000000", lives="20210101T000000")
    ground.lines = [f"bob@example.org openpgp:{key}", "@openpgp-keys keys.asc"]
    gpg.exported(ground.folder / "keys.asc")
    root = ground.root()
    raw = ground.repository.raw(ground.repository.commit({JOB: "# a\n"}, root, at="2020-06-01T00:00:00Z"))
    faked = ("--faked-system-time", "20200601T000000", "--armor", "--detach-sign", "--local-user", key)
    head = ground.repository.stored(_with(raw, gpg.call(*faked, data=raw)))
    assert "expired" in why(ground.follow(head, root))


def test_keys_that_were_read_before_are_of_use_as_long_as_somebody_holds_them(ground: Ground, gpg: Gpg) -> None:
    """Another thread may ask gpg by them while the trust file is written and read again."""
    ground.file.write_text(f"bob@example.org openpgp:{gpg.key('bob@example.org')}\n@openpgp-keys keys.asc\n")
    gpg.exported(ground.folder / "keys.asc")
    files = KeyFiles(ground.file, ground.folder / "private")
    before = files.keys()
    ground.file.write_text(f"{ground.file.read_text()}# again\n")
    after = files.keys()
    assert before.openpgp_home is not None
    assert after.openpgp_home is not None
    assert before.openpgp_home != after.openpgp_home
    assert (before.openpgp_home / "import-0").exists()
    assert files.keys() is after


@pytest.mark.parametrize("written", ["trust", "krl"])
def test_a_file_that_is_written_while_it_is_read_is_read_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """Else a key that was revoked in that moment would be trusted until the next change."""
    (ground.folder / "krl").write_text("")
    ground.file.write_text(f"bob@example.org {ground.bob.public}\n@revoked-keys krl\n")
    files, content = KeyFiles(ground.file, ground.folder / "private"), keyfiles._content
    read: list[str] = []

    def meanwhile(path: Path) -> bytes:
        found = content(path)
        read.append(path.name)
        if path.name == written and read.count(written) == 1:
            with path.open("a") as opened:
                opened.write(f"# {ground.ana.public}\n")
        return found

    monkeypatch.setattr(keyfiles, "_content", meanwhile)
    first = files.keys()
    again = files.keys()
    assert again is not first
    assert read.count(written) == 2
    assert files.keys() is again


# --- odd and tampered objects -----------------------------------------------------------------------------------------


def test_a_signature_of_another_commit_proves_nothing(ground: Ground) -> None:
    root = ground.root()
    signed = ground.repository.raw(ground.commit("a", root, by=ground.ana))
    tree = ground.repository.tree({JOB: "# evil\n"}, root)
    tampered = signed.replace(signed.split(b"\n")[0], f"tree {tree}".encode())
    assert "did not sign this" in why(ground.follow(ground.repository.stored(tampered), root))


def test_a_commit_with_two_signatures_is_odd(ground: Ground) -> None:
    root = ground.root()
    signed = ground.repository.raw(ground.commit("a", root, by=ground.ana))
    header = signed[signed.index(b"gpgsig ") : signed.index(b"\n\n") + 1]
    twice = signed.replace(header, header + header)
    assert "two signatures" in why(ground.follow(ground.repository.stored(twice), root))


@pytest.mark.parametrize(
    "signature",
    [
        b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n" % base64.b64encode(b"SSHSIG\0\0\0\1\0"),
        b"-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n",
        b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        b"nonsense\n",
    ],
)  # fmt: skip
def test_what_is_no_signature_is_not_believed(ground: Ground, signature: bytes) -> None:
    root = ground.root()
    raw = ground.repository.raw(ground.commit("a", root))
    followed = ground.follow(ground.repository.stored(_with(raw, signature)), root)
    assert followed.stopped is not None
    assert followed.stopped.reason == "Untrusted"


def test_headers_in_another_order_are_odd(ground: Ground) -> None:
    """Another reader may see another commit in them than the one that was signed."""
    root = ground.root()
    lines = ground.repository.raw(ground.commit("a", root, by=ground.ana)).split(b"\n")
    assert lines[3].startswith(b"committer")
    odd = b"\n".join([*lines[:4], b"note x", *lines[4:]])
    assert "order" in why(ground.follow(ground.repository.stored(odd), root))


def _with(raw: bytes, signature: bytes) -> bytes:
    """A commit object that carries this signature."""
    head, _, message = raw.partition(b"\n\n")
    return head + b"\ngpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n\n" + message
