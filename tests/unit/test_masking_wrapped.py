"""Encoded secrets in lines and columns: no more than a few digits before a break come through, however it is cut."""

import base64
import json
import random
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.masking import MaskedStream, Masker
from runners.secretforms import forms

SECRETS = ["Tr0ub4dor-and-3x-zebra", "p4ss wörd/+'\"$x\\", "tk_" + base64.urlsafe_b64encode(bytes(range(110))).decode()]
MASKERS = {secret: Masker([secret]) for secret in SECRETS}
LINES = [base64.b64encode(bytes(range(start, start + 52))).decode() for start in (3, 60, 120)]
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "\n".join(LINES) + "\n-----END OPENSSH PRIVATE KEY-----\n"

Layout = Callable[[str], str]
Encoding = tuple[Callable[[bytes], str], int]

ENCODINGS: dict[str, Encoding] = {
    "base64": (lambda raw: base64.b64encode(raw).decode(), 6),
    "base64url": (lambda raw: base64.urlsafe_b64encode(raw).decode(), 6),
    "base32": (lambda raw: base64.b32encode(raw).decode(), 5),
    "hex": (bytes.hex, 4),
    "HEX": (lambda raw: raw.hex().upper(), 4),
}


def _lines(width: int, *, end: str = "\n", before: str = "", after: str = "") -> Layout:
    return lambda digits: end.join(f"{before}{line}{after}" for line in textwrap.wrap(digits, width))


def _columns(group: int, between: str, width: int, end: str = "\n") -> Layout:
    def laid(digits: str) -> str:
        groups = [digits[at : at + group] for at in range(0, len(digits), group)]
        return end.join(between.join(groups[at : at + width]) for at in range(0, len(groups), width))

    return laid


LAYOUTS: dict[str, Layout] = {
    "unbroken": str,
    "base64": _lines(76),
    "openssl, PEM, Windows": _lines(64, end="\r\n"),
    "xxd -p": _lines(60),
    "narrow": _lines(8),
    "in YAML": _lines(76, before=" " * 12),
    "quoted": _lines(64, before='  "', after='",'),
    "in a shell": _lines(70, end="\\\n"),
    "in JSON": lambda digits: json.dumps(_lines(76, end="\r\n")(digits)),
    "in JSON, LF": lambda digits: json.dumps(_lines(64)(digits)),
    "od -An -tx1": _columns(2, " ", 16, "\n "),
    "xxd without the rest": _columns(4, " ", 8, "  \n"),
    "openssl, colons": _columns(2, ":", 15, ":\n    "),
    "UTF-16": lambda digits: _lines(76)(digits).encode("utf-16-le").decode(),
}


def _own(before: int, secret: str, bits: int) -> range:
    """Which digits the secret alone decides."""
    return range(-(-before * 8 // bits), (before + len(secret.encode())) * 8 // bits)


def _seen(masker: Masker, data: bytes, digits: str) -> dict[int, int]:
    """Which digits are to be seen, and where."""
    hidden = {place for span in masker.spans(data) for place in range(*span)}
    places: list[int] = []
    for digit in digits.encode():
        places.append(next(at for at in range(places[-1] + 1 if places else 0, len(data)) if data[at] == digit))
    return {number: at for number, at in enumerate(places) if at not in hidden}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoded_secret_is_masked_wherever_its_lines_end(encoding: str, layout: str, secret: str) -> None:
    """Only where a line ends within its first four digits are those before it to be seen."""
    encode, bits = ENCODINGS[encoding]
    masker = MASKERS[secret]
    for before in (*range(13), *range(40, 61)):
        digits = encode(b"u" * before + secret.encode() + b"v" * 30).rstrip("=")
        data = LAYOUTS[layout](digits).encode()
        own = _own(before, secret, bits)
        seen = [number for number in _seen(masker, data, digits) if number in own]
        assert seen in ([], list(own)[: len(seen)])
        assert len(seen) <= 3
        if layout == "unbroken":
            assert not seen


@pytest.mark.parametrize(
    "command",
    [["base64"], ["base64", "-w", "20"], ["base32"], ["od", "-An", "-v", "-tx1"], ["od", "-An", "-v", "-tx1", "-w9"]],
)
def test_what_programs_print_of_a_secret_is_masked(command: list[str]) -> None:
    secret = SECRETS[0]
    for before in range(60):
        data = b"u" * before + secret.encode() + b"v" * 9
        shown = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=20).stdout
        bits = {"base64": 6, "base32": 5, "od": 4}[command[0]]
        digits = re.sub(rb"[\s=]", b"", shown).decode()
        seen = [number for number in _seen(MASKERS[secret], shown, digits) if number in _own(before, secret, bits)]
        assert len(seen) <= 3


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_line_of_a_key_is_masked_when_it_is_encoded_by_itself(encoding: str, before: int, line: str) -> None:
    encode, bits = ENCODINGS[encoding]
    digits = encode(b"u" * before + line.encode() + b"\n").rstrip("=")
    for layout in (str, LAYOUTS["xxd -p"]):
        seen = _seen(Masker([KEY]), layout(digits).encode(), digits)
        assert not [number for number in seen if number in _own(before, line, bits)][3:]


@pytest.mark.parametrize("escaped", [lambda raw: "".join(f"\\x{byte:02x}" for byte in raw), lambda raw: raw.hex("-")])
def test_each_line_of_a_key_is_masked_when_its_bytes_are_escaped(escaped: Callable[[bytes], str]) -> None:
    assert Masker([KEY]).mask(f"<{escaped(LINES[1].encode())}>") == "<***>"


# --- streams -------------------------------------------------------------------------------------------------------


def _streamed(masker: Masker, chunks: Iterable[bytes]) -> bytes:
    stream = MaskedStream(masker)
    return b"".join([*map(stream.feed, chunks), stream.finish()])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_it_is_masked_however_its_writes_are_split(encoding: str, layout: str) -> None:
    encode, _ = ENCODINGS[encoding]
    masker = MASKERS[SECRETS[0]]
    data = b"before\n" + LAYOUTS[layout](encode(b"u" * 31 + SECRETS[0].encode() + b"v" * 9)).encode() + b"\nafter\n"
    whole = masker.mask_bytes(data)
    assert b"***" in whole
    assert whole.startswith(b"before\n")
    assert whole.endswith(b"\nafter\n")
    assert _streamed(masker, (data[at : at + 1] for at in range(len(data)))) == whole
    for cut in range(len(data)):
        assert _streamed(masker, (data[:cut], data[cut:])) == whole


def test_it_is_masked_at_the_border_of_what_a_connection_gives_at_once() -> None:
    encoded = base64.encodebytes(b"user=application password=" + SECRETS[0].encode() + b" host=db.example.org port=1")
    masker = MASKERS[SECRETS[0]]
    for cut in range(len(encoded)):
        data = b"-" * (65536 - cut) + b"\n" + encoded
        assert _streamed(masker, (data[:65536], data[65536:])) == masker.mask_bytes(data)


@st.composite
def pieces_of_digits(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Encodings and parts of them, with all sorts of things between their digits, in chunks."""
    secret = draw(st.text("ab1", min_size=4, max_size=9))
    patterns = sorted(forms(secret).digits)
    parts = st.sampled_from([part for one in patterns for part in (one, one[: len(one) // 2], one[len(one) // 2 :])])
    between = st.one_of(st.text(" \n\r:,\"'\\\0n", max_size=6), st.just("\\n"), st.just(" " * 40), st.just("!"))
    split = parts.flatmap(
        lambda part: st.tuples(st.integers(0, len(part)), between).map(
            lambda cut: part[: cut[0]] + cut[1].encode() + part[cut[0] :]
        )
    )
    data = b"".join(draw(st.lists(st.one_of(split, between.map(str.encode)), max_size=10)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return secret, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(pieces_of_digits())
@settings(max_examples=150, deadline=None)
def test_a_stream_of_digits_is_masked_as_all_of_it_at_once_would_be(case: tuple[str, list[bytes]]) -> None:
    secret, chunks = case
    masker = Masker([secret])
    assert _streamed(masker, chunks) == masker.mask_bytes(b"".join(chunks))


@given(pieces_of_digits())
@settings(max_examples=100, deadline=None)
def test_what_is_found_of_digits_is_what_a_plain_search_finds(case: tuple[str, list[bytes]]) -> None:
    """Each digit after the other, from each place on."""
    secret, chunks = case
    data, known = b"".join(chunks), forms(secret)
    hidden = {
        at + inner
        for pattern in known.text
        for at in range(len(data))
        if data.startswith(pattern, at)
        for inner in range(len(pattern))
    }
    for view in (data, data.replace(b"\\r", b"\r\r").replace(b"\\n", b"\n\n")):
        for at in range(len(view)):
            ends = [end for pattern in known.digits if (end := _plainly(view, at, pattern)) is not None]
            hidden |= set(range(at, max(ends, default=at)))
    assert {place for span in Masker([secret]).spans(data) for place in range(*span)} == hidden


def _plainly(data: bytes, at: int, pattern: bytes) -> int | None:
    start = at
    for number, digit in enumerate(pattern):
        while number and at < len(data) and data[at] in b" \t\r\n\v\f\0:,\"'\\":
            if number < 4 and data[at] in b"\r\n":
                return None
            at += 1
        if at >= len(data) or data[at] != digit:
            return None
        at += 1
    return at if at - start <= 4 * len(pattern) else None


@pytest.mark.parametrize("filler", [b" ", b"\n", b" \n", b"\\n", b"\0"])
def test_what_stands_between_digits_without_end_takes_no_memory(filler: bytes) -> None:
    masker = MASKERS[SECRETS[0]]
    stream = MaskedStream(masker)
    stream.feed(base64.b64encode(SECRETS[0].encode())[:10])
    for _ in range(8):
        stream.feed(filler * 32768)
        assert len(stream._held) < masker.longest


def test_lines_are_given_out_at_once_whatever_they_end_in() -> None:
    """So that a log can be followed: a few digits at the end of a line are held back for no secret."""
    stream = MaskedStream(Masker([KEY, *SECRETS]))
    for number in range(0x21, 0x7F):
        for end in (b"\n", b"\r\n"):
            line = b"the service is up" + bytes([number]) + end
            assert stream.feed(line) == line


# --- what is no secret ---------------------------------------------------------------------------------------------


def test_ordinary_output_passes_unchanged() -> None:
    chance = random.Random(1)
    words = [re.sub(r"\W", "", line) for line in textwrap.wrap(__doc__ * 3, 9)]
    text = "".join(
        f"2026-11-22T00:{n % 60:02d}:00 INFO web-{n}: GET /items/{chance.randrange(10**9)} 200 {chance.choice(words)}\n"
        for n in range(5000)
    )
    other = chance.randbytes(60_000)
    data = text.encode() + base64.encodebytes(other) + LAYOUTS["od -An -tx1"](other.hex()).encode()
    data += LAYOUTS["xxd -p"](other.hex()).encode() + json.dumps(text).encode()
    masker = Masker([KEY, *SECRETS, "changeme", "2026", "administrator"])
    assert masker.mask_bytes(data.replace(b"2026", b"2025")) == data.replace(b"2026", b"2025")


def test_words_that_would_be_a_secret_together_are_none() -> None:
    assert Masker(["changeme"]).mask("to change me, say so\n") == "to change me, say so\n"
