"""Secrets longer than what is looked for in one: covered wherever they are cut, at the cost of the output alone."""

import base64
import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.masking import MaskedStream, Masker
from runners.patterns import LONGEST, pieces
from runners.secretforms import forms
from tests.unit.test_masking import FORMS

_CHANCE = random.Random(7)


def _key(lines: int) -> str:
    body = "\n".join(base64.b64encode(_CHANCE.randbytes(52)).decode() for _ in range(lines))
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"


KEY = _key(38)
TOKEN = "tk'\"\\ä" + base64.urlsafe_b64encode(_CHANCE.randbytes(2000)).decode()
SECRETS = {"key": KEY, "token": TOKEN, "periodic": "ab c'ab$" * 400}
MASKERS = {name: Masker([secret]) for name, secret in SECRETS.items()}
_SEEN = 12
"""Digits in a row that tell nothing: three before the end of a line, and what mixes in the neighbours."""

Encode = Callable[[bytes], str]
ENCODINGS: dict[str, tuple[Encode, int]] = {
    "base64": (lambda raw: base64.b64encode(raw).decode(), 4),
    "base64url": (lambda raw: base64.urlsafe_b64encode(raw).decode(), 4),
    "base32": (lambda raw: base64.b32encode(raw).decode(), 8),
    "hex": (bytes.hex, 2),
    "HEX": (lambda raw: raw.hex().upper(), 2),
}


def _streamed(masker: Masker, data: bytes, cuts: list[int]) -> bytes:
    stream = MaskedStream(masker)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    fed = [stream.feed(data[start:end]) for start, end in itertools.pairwise(places)]
    return b"".join([*fed, stream.finish()])


def _told(shown: bytes, whole: str) -> list[str]:
    """What of an encoded secret is to be seen, but for a few digits of it."""
    digits = shown.replace(b"\n", b"").replace(b"\r", b"").decode()
    windows = {whole[at : at + _SEEN] for at in range(len(whole) - _SEEN + 1)}
    return [digits[at : at + _SEEN] for at in range(len(digits)) if digits[at : at + _SEEN] in windows]


cuts = st.lists(st.integers(0, 20_000), max_size=8)


# by these each line of a key is masked by itself, and its frame is seen: they write line breaks in a way of their own
_WHOLE = sorted({*FORMS} - {"JSON for a page, quotes too", "C, octal"})


@given(st.sampled_from(list(SECRETS)), st.sampled_from(_WHOLE), cuts)
@settings(max_examples=60, deadline=None)
def test_no_form_of_a_long_secret_passes_however_it_is_cut(name: str, form: str, cut: list[int]) -> None:
    """Its pieces stand in a row, so it is one mask."""
    data = b"before " + FORMS[form](SECRETS[name]).encode() + b" after"
    shown = _streamed(MASKERS[name], data, cut)
    assert shown == MASKERS[name].mask_bytes(data)
    assert shown == b"before *** after"


@given(
    st.sampled_from(list(SECRETS)),
    st.sampled_from(list(ENCODINGS)),
    st.integers(0, 130),
    st.sampled_from([64, 76, 60, 20]),
    st.sampled_from(["\n", "\r\n", "\n    ", '",\n  "', "\\\n"]),
    cuts,
)
@settings(max_examples=80, deadline=None)
def test_a_long_secret_in_lines_is_masked_however_it_is_cut(
    name: str, encoding: str, before: int, width: int, between: str, cut: list[int]
) -> None:
    encode, _ = ENCODINGS[encoding]
    whole = encode(b"u" * before + SECRETS[name].encode() + b"v" * 9)
    data = between.join(whole[at : at + width] for at in range(0, len(whole), width)).encode()
    shown = _streamed(MASKERS[name], data, cut)
    assert shown == MASKERS[name].mask_bytes(data)
    assert b"***" in shown
    own = whole[before * 2 + 4 : -28]
    assert _told(shown, own) == []


@given(
    st.sampled_from(["key", "token"]),
    st.sampled_from([64, 76]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["> ", "remote: ", "web-01 | ", "2026-11-22T00:00:00Z stdout F "]),
    cuts,
)
@settings(max_examples=60, deadline=None)
def test_lines_as_base64_wraps_them_are_masked_behind_whatever_stands_before_them(
    name: str, width: int, end: str, prompt: str, cut: list[int]
) -> None:
    """What `base64` and `openssl base64` print of a file, with something before each line that ends no digits."""
    whole = base64.b64encode(SECRETS[name].encode()).decode()
    lines = [whole[at : at + width] for at in range(0, len(whole), width)]
    data = "".join(prompt + line + end for line in lines).encode()
    shown = _streamed(MASKERS[name], data, cut)
    assert shown == MASKERS[name].mask_bytes(data)
    assert not [line for line in lines if len(line) >= 20 and line[:-4].encode() in shown]


@given(st.sampled_from(["> ", "remote: ", "\t"]), st.sampled_from(["\n", "\r\n"]), cuts)
@settings(max_examples=40, deadline=None)
def test_lines_of_a_key_are_masked_behind_whatever_stands_before_them(prompt: str, end: str, cut: list[int]) -> None:
    data = "".join(prompt + line + end for line in KEY.splitlines()).encode()
    shown = _streamed(MASKERS["key"], data, cut)
    frame = (f"{prompt}{line}{end}" for line in (KEY.splitlines()[0], KEY.splitlines()[-1]))
    first, last = (line.encode() for line in frame)
    assert shown == first + f"{prompt}***{end}".encode() * 38 + last


def test_the_pieces_of_a_pattern_cover_it_and_share_what_joins_them() -> None:
    for size in (1, LONGEST, LONGEST + 1, LONGEST + 2, 2 * LONGEST - 16, 5000, 65536):
        pattern = _CHANCE.randbytes(size)
        found = list(pieces(pattern))
        places = [pattern.index(piece) for piece in found]
        ends = [at + len(piece) for at, piece in zip(places, found, strict=True)]
        assert places[0] == 0
        assert ends[-1] == size
        assert all(min(size, LONGEST) == len(piece) for piece in found)
        assert all(start + 16 <= end for end, start in zip(ends, places[1:], strict=False))


# --- what it costs -------------------------------------------------------------------------------------------------


def _calls(masker: Masker, data: bytes, chunk: int = 4096) -> int:
    """How many functions were called to mask it. None of them is given more than a chunk and what is held back."""
    count = 0

    def called(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        # what the garbage collector calls in between is not of this
        count += event in ("call", "c_call") and Path(frame.f_code.co_filename).parent.name == "runners"

    stream = MaskedStream(masker)
    stream.feed(data[:chunk])  # tables are made with the first
    before = sys.getprofile()
    sys.setprofile(called)
    try:
        for at in range(0, len(data), chunk):
            stream.feed(data[at : at + chunk])
    finally:
        sys.setprofile(before)
    assert len(stream._held) < masker.longest <= 4 * LONGEST
    return count


_SMALL, _LARGE = Masker([_key(8)]), Masker([_key(200)])
_LOG = b"2026-11-22T00:00:00 INFO web-01 nginx: GET /api/v1/items 200\n" * 600
_RUNS = {
    "dashes": b"-",
    "dashes in base64": b"LS0t",
    "lines of dashes": b"-" * 79 + b"\n",
    "the frame of a key": b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "its beginning": b"-----BEGIN OPENSSH",
    "escapes": b"\\u00",
    "references": b"&#45;",
    "line breaks of JSON": b"\\n",
    "zeros": b"A",
    "spaces": b" ",
}


@pytest.mark.parametrize("run", ["dashes", "dashes in base64", "lines of dashes", "line breaks of JSON", "spaces"])
def test_what_many_patterns_begin_with_is_masked_in_as_few_steps_as_a_log(run: str) -> None:
    data = _RUNS[run] * (len(_LOG) // len(_RUNS[run]))
    for masker in (_SMALL, _LARGE):
        assert _calls(masker, data) <= 2 * _calls(masker, _LOG)


@pytest.mark.parametrize("run", _RUNS)
def test_masking_takes_steps_in_proportion_to_the_output_whatever_it_says(run: str) -> None:
    """And however long secrets are."""
    data = _RUNS[run] * (len(_LOG) // len(_RUNS[run]))
    once = _calls(_LARGE, data)
    assert once <= 4 * len(data)
    assert _calls(_LARGE, data * 2) <= 2.1 * once
    assert once <= 2 * _calls(_SMALL, data) + 1000


def test_so_it_does_where_a_secret_repeats_itself() -> None:
    masker = MASKERS["periodic"]
    data = b"ab c'" * 6_000
    assert _calls(masker, data * 2) <= 2.1 * _calls(masker, data)


def test_no_form_is_longer_than_what_is_looked_for_in_one() -> None:
    for secret in SECRETS.values():
        assert max(map(len, forms(secret).all)) <= LONGEST
