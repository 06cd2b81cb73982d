"""OpenPGP signatures as commits hold them: what is in the armor, and nothing but signatures."""

import base64

import pytest

from engine.authority.signedcommit import OddError, openpgp_packets

SHORT = bytes(10)
LONG = bytes(300)
HUGE = bytes(70_000)


def armored(blob: bytes, *, headers: bytes = b"", crc: bytes = b"") -> bytes:
    body = base64.encodebytes(blob)
    return b"-----BEGIN PGP SIGNATURE-----\n%s\n%s%s-----END PGP SIGNATURE-----\n" % (headers, body, crc)


@pytest.mark.parametrize(
    "packet",
    [
        b"\x88\x0a" + SHORT,
        b"\x89\x01\x2c" + LONG,
        b"\x8a\x00\x01\x11\x70" + HUGE,
        b"\xc2\x0a" + SHORT,
        b"\xc2\xc0\x6c" + LONG,
        b"\xc2\xff\x00\x01\x11\x70" + HUGE,
    ],
    ids=["one", "two", "four", "new one", "new two", "new five"],
)
def test_a_packet_is_read_by_each_way_to_write_its_length(packet: bytes) -> None:
    assert openpgp_packets(armored(packet)) == packet
    assert openpgp_packets(armored(packet * 2, headers=b"Comment: x: y\n", crc=b"=abcd\n")) == packet * 2
    for cut in (packet[:-1], packet[:1], packet + b"\0"):
        with pytest.raises(OddError):
            openpgp_packets(armored(cut))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xa3\x03x",
        b"\xa0\x01x",
        b"\xc8\x01x",
        b"\x8b" + SHORT,
        b"\xc2\xe1xx",
        b"\xaf" + SHORT,
        b"\x02\x01x",
        b"\x88\x01x\xa0\x01x",
    ],
    ids=["empty", "compressed", "with a length", "new", "no end", "in parts", "text", "no packet", "after one"],
)
def test_all_else_is_odd(blob: bytes) -> None:
    with pytest.raises(OddError):
        openpgp_packets(armored(blob))


@pytest.mark.parametrize("body", [b"iAE=x\n", b"iA\n=E=\n", b"i A E\n", b"iAE\n", b"=abcd\n"])
def test_armor_that_another_reader_may_read_otherwise_is_odd(body: bytes) -> None:
    with pytest.raises(OddError):
        openpgp_packets(b"-----BEGIN PGP SIGNATURE-----\n\n%s-----END PGP SIGNATURE-----\n" % body)
