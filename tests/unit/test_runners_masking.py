"""No known secret leaves a runner, in whatever form and in whatever pieces it comes."""

import base64
import json
import shlex
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.masking import MASK, SEAL, MaskedStream, Masker, TooShort, forms, sealed_text, visible

CANARY = "s3cr3t 'it\"s' $HOME/ä"
KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes(range(start, start + 52))).decode() for start in (3, 60, 120))
    + "\n-----END OPENSSH PRIVATE KEY-----\n"
)

_RAW = CANARY.encode()
FORMS = {
    "raw": _RAW,
    "hex": _RAW.hex().encode(),
    "HEX": _RAW.hex().upper().encode(),
    "url": quote(CANARY, safe="").encode(),
    "url, slashes kept": quote(CANARY).encode(),
    "form": quote_plus(CANARY).encode(),
    "url, lower case": quote(CANARY, safe="").replace("%24", "%24").lower().encode() if CANARY.islower() else b"",
    "json": json.dumps(CANARY)[1:-1].encode(),
    "json, not only ASCII": json.dumps(CANARY, ensure_ascii=False)[1:-1].encode(),
    "shell": shlex.quote(CANARY).encode(),
    "shell, closed and opened again": CANARY.replace("'", "'\\''").encode(),
    "utf-16": CANARY.encode("utf-16-le"),
    **{
        f"{name}, {before} bytes before": encode(b"\xfe" * before + _RAW + b"\xfe" * after)
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode))
        for before in range(4)
        for after in (0, 1)
    },
}


@pytest.mark.parametrize("form", [name for name, data in FORMS.items() if data])
def test_every_usual_form_is_masked(form: str) -> None:
    masked = Masker([CANARY]).mask_bytes(b"before " + FORMS[form] + b" after")
    assert MASK.encode() in masked
    assert masked.startswith(b"before ")
    assert masked.endswith(b" after")
    # what is left around the mask says at most a character or two of an encoding
    assert len(masked) <= len(b"before  after") + len(MASK) + 10


@pytest.mark.parametrize("line", KEY.splitlines()[1:-1])
def test_each_line_of_a_key_is_masked(line: str) -> None:
    assert Masker([KEY]).mask(f"  {line}\r\n") == f"  {MASK}\r\n"


def test_the_frame_of_a_key_is_no_secret() -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    assert Masker([KEY]).mask(text) == text


@pytest.mark.parametrize("width", [64, 76])
def test_a_key_in_wrapped_base64_is_masked(width: int) -> None:
    whole = base64.b64encode(KEY.encode()).decode()
    wrapped = "\n".join(whole[at : at + width] for at in range(0, len(whole), width))
    masked = Masker([KEY]).mask(wrapped)
    assert not any(whole[at : at + 16] in masked for at in range(0, len(whole) - 32))


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_what_is_too_short_to_be_masked_is_refused(secret: str) -> None:
    with pytest.raises(TooShort):
        forms(secret)


def test_a_secret_that_overlaps_itself_is_masked_to_its_end() -> None:
    assert Masker(["aXaXa"]).mask("-aXaXaXaXa-") == f"-{MASK}-"


def test_text_without_secrets_is_not_touched() -> None:
    assert Masker([CANARY, KEY]).mask("nothing to see") == "nothing to see"


_SECRETS = st.lists(st.text("ab:/=", min_size=4, max_size=12), min_size=1, max_size=3)


@st.composite
def _streams(draw: st.DrawFn) -> tuple[list[str], list[bytes]]:
    secrets = draw(_SECRETS)
    pieces = [*secrets, *(secret[: len(secret) // 2] for secret in secrets), "a", "b", "\n", " "]
    data = "".join(draw(st.lists(st.sampled_from(pieces), max_size=12))).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    borders = [0, *cuts, len(data)]
    return secrets, [data[a:b] for a, b in pairwise(borders)]


@given(_streams())
@settings(max_examples=400, deadline=None)
def test_borders_of_chunks_hide_no_secret(case: tuple[list[str], list[bytes]]) -> None:
    """However a stream is cut: no secret comes through, and what is none comes through unchanged."""
    secrets, chunks = case
    masker = Masker(secrets)
    stream = MaskedStream(masker)
    out = b"".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()])
    assert not masker.spans(out.replace(MASK.encode(), b"\0"))
    whole = b"".join(chunks)
    if not masker.spans(whole):
        assert out == whole


def test_only_the_possible_start_of_a_secret_is_held_back() -> None:
    """So that a log can be followed while the step writes it."""
    stream = MaskedStream(Masker(["hunter2-long"]))
    assert stream.feed(b"working...\n") == b"working...\n"
    assert stream.feed(b"wait hunt") == b"wait "
    assert stream.feed(b"ing season\n") == b"hunting season\n"


def test_the_kept_end_of_a_stream_does_not_begin_with_the_rest_of_a_secret() -> None:
    data = b"x" * 10 + b"hunter2-long" + b" tail"
    text = sealed_text(Masker(["hunter2-long"]), data, skip=15)
    assert visible(text) == f"{MASK} tail"


def test_a_value_made_from_masked_text_is_noticed() -> None:
    masker = Masker(["hunter2-long"])
    text = sealed_text(masker, b"password: hunter2-long\n")
    assert SEAL in text
    assert masker.holds_secret({"rows": [1, None, {"line": text}]})
    assert masker.holds_secret(["the hunter2-long itself"])
    assert masker.holds_secret({base64.b64encode(b"hunter2-long").decode(): True})
    assert not masker.holds_secret({"rows": [1, 2.5, None, True, "***"]})


def test_output_cannot_forge_or_carry_the_seal() -> None:
    assert sealed_text(Masker(), f"a{SEAL}b\0c".encode()) == "a\ufffdb\ufffdc"
