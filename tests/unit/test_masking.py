"""What a known secret looks like in output, and that no such form gets through, however the output is cut."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.limits import KEPT, Capture
from runners.masking import SEAL, MaskedStream, Masker, sealed_text, visible
from runners.secretforms import TooShort, forms

SECRETS = ["p4ss wörd/+'\"$x\\", "s3cr3t 'it\"s' $HOME/ä", 'C4n4ry"s3cr$t\\é%/+x y&<>']
KEY = "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END KEY-----\n"
LONG_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes(range(start, start + 52))).decode() for start in (3, 60, 120))
    + "\n-----END OPENSSH PRIVATE KEY-----\n"
)

FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "URL": lambda text: quote(text, safe=""),
    "URL, small digits": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "URL path": quote,
    "URL form": quote_plus,
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, large": lambda text: text.encode().hex().upper(),
    "hexadecimal, as od has it": lambda text: text.encode().hex(" "),
    "hexadecimal, with colons": lambda text: text.encode().hex(":").upper(),
    "hexadecimal, as xxd has it": lambda text: text.encode().hex(" ", -2),
    "hexadecimal, as xxd has it from an odd place": lambda text: text.encode().hex(" ", 2 if len(text) % 2 else -2),
    "URL, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "C, every byte": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "XML, every byte": lambda text: "".join(f"&#{byte};" for byte in text.encode()),
    "HTML, every letter": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "shell": lambda text: shlex.quote(text)[1:-1],
    "shell, closed and opened again": lambda text: text.replace("'", "'\\''"),
    "JSON for a page": lambda text: _numbered("[&<>]", "\\u{:04x}", json.dumps(text, ensure_ascii=False)[1:-1]),
    "JSON for a page, quotes too": lambda text: _numbered("[\"'&<>+]", "\\u{:04X}", text.replace("\\", "\\\\")),
    "JSON with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "HTML": html.escape,
    "HTML within an element": lambda text: html.escape(text, quote=False),
    "HTML, quotes by number": lambda text: html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "HTML, ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "XML": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "XML by number": lambda text: _numbered("[^A-Za-z0-9]", "&#x{:X};", text),
    "Python": lambda text: repr(text)[1:-1],
    "Python, ASCII": lambda text: ascii(text)[1:-1],
    "Python bytes": lambda text: repr(text.encode())[2:-1],
    "C": lambda text: re.sub(r'[\\"]', r"\\\g<0>", text),
    "C, single quotes": lambda text: re.sub(r"[\\']", r"\\\g<0>", text),
    "C, octal": lambda text: re.sub(
        "[^ -~]", lambda one: "".join(f"\\{byte:03o}" for byte in one[0].encode()), re.sub(r'[\\"]', r"\\\g<0>", text)
    ),
}


def _numbered(what: str, form: str, text: str) -> str:
    return re.sub(what, lambda found: form.format(ord(found[0])), text)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_usual_forms_of_a_secret_are_masked(form: str, secret: str) -> None:
    masker = Masker([secret])
    assert masker.mask(f"<{FORMS[form](secret)}>") == "<***>"
    assert masker.mask(f"before {FORMS[form](secret)} after") == "before *** after"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_quoted_for_a_shell_is_masked_within_its_quotes(secret: str) -> None:
    assert Masker([secret]).mask(f"before {shlex.quote(secret)} after") == "before '***' after"


@pytest.mark.parametrize("secret", ["correct horse battery", *SECRETS])
@pytest.mark.parametrize("around", [(b"u", b"v"), (b"\xfe", b"\xfe")], ids=["letters", "bytes"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(3))
def test_base64_is_masked_wherever_the_secret_stands_in_it(
    encode: Callable[[bytes], bytes], before: int, after: int, around: tuple[bytes, bytes], secret: str
) -> None:
    """What is left are characters that mix in its neighbours: fewer than two of its own."""
    encoded = encode(around[0] * before + secret.encode() + around[1] * after)
    shown = Masker([secret]).mask_bytes(b"before " + encoded + b" after")
    assert b"***" in shown
    assert shown.startswith(b"before ")
    assert shown.endswith(b" after")
    left = shown.removeprefix(b"before ").removesuffix(b" after").replace(b"***", b"")
    assert len(left) <= 4 + 4 + 2


@pytest.mark.parametrize("secret", ["correct horse battery", *SECRETS])
@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", range(5))
def test_base32_is_masked_wherever_the_secret_stands_in_it(before: int, after: int, secret: str) -> None:
    """What is left are characters that mix in its neighbours."""
    shown = Masker([secret]).mask_bytes(base64.b32encode(b"u" * before + secret.encode() + b"v" * after))
    head, mask, tail = shown.partition(b"***")
    assert mask
    assert len(head) <= -(-before * 8 // 5)
    assert len(tail.rstrip(b"=")) <= -(-after * 8 // 5) + 1


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("secret", ["".join(chr(0x21 + number % 90) for number in range(300)), LONG_KEY])
def test_wrapped_base64_of_a_long_secret_is_masked(secret: str, width: int) -> None:
    whole = base64.b64encode(secret.encode()).decode()
    wrapped = [whole[at : at + width] for at in range(0, len(whole), width)]
    shown = Masker([secret]).mask("\n".join(wrapped))
    assert not [line for line in wrapped if len(line) >= 16 and line in shown]
    assert not any(whole[at : at + 16] in shown for at in range(0, len(whole) - 32))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_masked(secret: str, coding: str) -> None:
    assert Masker([secret]).mask_bytes(b"<" + secret.encode(coding) + b">") == b"<***>"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "$", "$p='", "Connect -Password '"])
def test_a_command_that_powershell_was_given_in_base64_is_masked(secret: str, before: str) -> None:
    """`powershell -EncodedCommand` takes base64 of UTF-16."""
    encoded = base64.b64encode(f"{before}{secret}'".encode("utf-16-le")).decode()
    head, mask, tail = Masker([secret]).mask(encoded).partition("***")
    assert mask
    assert len(head) <= -(-len(before) * 16 // 6)
    assert len(tail) <= 8


def test_every_line_of_a_secret_of_several_lines_is_masked() -> None:
    """The frame of a PEM file is no secret."""
    shown = Masker([KEY]).mask("one abcdefghijkl\ntwo mnopqrstuvwx\n-----BEGIN KEY-----\n")
    assert shown == "one ***\ntwo ***\n-----BEGIN KEY-----\n"
    frame = LONG_KEY.splitlines(keepends=True)[0]
    assert Masker([LONG_KEY]).mask(frame) == frame


@pytest.mark.parametrize("line", LONG_KEY.splitlines()[1:-1])
def test_each_line_of_a_key_is_masked_with_whatever_ends_it(line: str) -> None:
    assert Masker([LONG_KEY]).mask(f"  {line}\r\n") == "  ***\r\n"


@pytest.mark.parametrize("secret", ["", "a", "abc", "äöü"])
def test_a_secret_too_short_to_be_masked_is_refused(secret: str) -> None:
    with pytest.raises(TooShort, match="fewer than 4"):
        Masker([secret])
    with pytest.raises(TooShort):
        forms(secret)


def test_the_refusal_does_not_show_the_secret() -> None:
    with pytest.raises(TooShort) as refused:
        Masker(["xyz"])
    assert "xyz" not in str(refused.value)


def test_secrets_that_overlap_leave_nothing_of_either() -> None:
    assert Masker(["abcdef", "defghi"]).mask("<abcdefghi>") == "<***>"
    assert Masker(["aaaa"]).mask("<aaaaaaa>") == "<***>"
    assert Masker(["aXaXa"]).mask("-aXaXaXaXa-") == "-***-"
    assert Masker(["token", "token-long"]).mask("token-long token") == "*** ***"


def test_without_secrets_nothing_changes() -> None:
    stream = MaskedStream(Masker())
    assert stream.feed(b"ab\xff\x00") + stream.finish() == b"ab\xff\x00"
    assert Masker([SECRETS[1], LONG_KEY]).mask("nothing to see") == "nothing to see"


# --- streams -------------------------------------------------------------------------------------------------------

secrets = st.lists(st.text(alphabet="ab1é", min_size=4, max_size=12), min_size=1, max_size=3)
noise = st.text(alphabet="ab1é\n ", max_size=12)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[str], bytes, list[bytes]]:
    """Secrets, an output that has them in some form, and the same output in chunks."""
    known = draw(secrets)
    shown = [
        part
        for secret in draw(st.lists(st.sampled_from(known), max_size=6))
        for part in (draw(noise), draw(st.sampled_from(list(FORMS.values())))(secret))
    ]
    data = "".join([*shown, draw(noise)]).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=10)))
    return known, data, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(deadline=None)
@given(outputs())
def test_no_form_of_a_secret_passes_a_stream_however_it_is_cut(drawn: tuple[list[str], bytes, list[bytes]]) -> None:
    known, _, chunks = drawn
    masker = Masker(known)
    stream = MaskedStream(masker)
    # the mask is put between what is left over: joined anew across it, letters are not a secret that was there
    parts = b"".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()]).split(b"***")
    leaked = {form for secret in known for form in forms(secret).all for part in parts if form in part}
    assert leaked == set()


@settings(deadline=None)
@given(outputs())
def test_what_is_no_secret_passes_unchanged(drawn: tuple[list[str], bytes, list[bytes]]) -> None:
    _, data, chunks = drawn
    stream = MaskedStream(Masker(["ZZZZ-never"]))
    assert b"".join([*map(stream.feed, chunks), stream.finish()]) == data


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"se", b"cr", b"et", b"secret", b"x", b"\n"]), max_size=30))
def test_a_stream_masks_what_the_whole_would(chunks: list[bytes]) -> None:
    masker = Masker(["secret"])
    stream = MaskedStream(masker)
    assert b"".join([*map(stream.feed, chunks), stream.finish()]) == masker.mask_bytes(b"".join(chunks))


@st.composite
def tight_streams(draw: st.DrawFn) -> tuple[list[str], list[bytes]]:
    """Secrets of few letters, so that they overlap, and their halves, in chunks."""
    known = draw(st.lists(st.text("ab:/=", min_size=4, max_size=12), min_size=1, max_size=3))
    pieces = [*known, *(secret[: len(secret) // 2] for secret in known), "a", "b", "\n", " "]
    data = "".join(draw(st.lists(st.sampled_from(pieces), max_size=12))).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return known, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(tight_streams())
@settings(max_examples=400, deadline=None)
def test_borders_of_chunks_hide_no_secret(case: tuple[list[str], list[bytes]]) -> None:
    """However a stream is cut: no secret comes through, and what is none comes through unchanged."""
    known, chunks = case
    masker = Masker(known)
    stream = MaskedStream(masker)
    out = b"".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()])
    assert not masker.spans(out.replace(b"***", b"\0"))
    whole = b"".join(chunks)
    if not masker.spans(whole):
        assert out == whole


@given(tight_streams())
@settings(max_examples=400, deadline=None)
def test_a_stream_is_masked_as_all_of_it_at_once_would_be(case: tuple[list[str], list[bytes]]) -> None:
    known, chunks = case
    masker = Masker(known)
    stream = MaskedStream(masker)
    assert b"".join([*map(stream.feed, chunks), stream.finish()]) == masker.mask_bytes(b"".join(chunks))


@given(tight_streams())
@settings(deadline=None)
def test_what_is_found_is_what_a_plain_search_finds(case: tuple[list[str], list[bytes]]) -> None:
    """Each pattern looked for by itself, at each place: what Aho-Corasick is to be as good as."""
    known, chunks = case
    data = b"".join(chunks)
    hidden = {
        at + inner
        for pattern in {form for secret in known for form in forms(secret).all}
        for at in range(len(data))
        if data.startswith(pattern, at)
        for inner in range(len(pattern))
    }
    assert {place for span in Masker(known).spans(data) for place in range(*span)} == hidden


@pytest.mark.parametrize("secret", ["aaaa", "hunter2h", "abcabc" * 40])
def test_output_that_repeats_a_secret_without_end_takes_no_memory(secret: str) -> None:
    """A host that was given a secret which ends as it begins could otherwise make the runner hold all that it says."""
    stream = MaskedStream(Masker([secret]))
    chunk = (secret[:-1] * 4096).encode()[:65536]
    shown = b"".join(stream.feed(chunk) for _ in range(64))
    assert len(stream._held) < stream._masker.longest
    assert secret.encode() not in shown


def test_a_secret_is_given_out_as_soon_as_it_is_complete() -> None:
    stream = MaskedStream(Masker(["secret"]))
    assert stream.feed(b"a secr") == b"a "
    assert stream.feed(b"et b") == b"*** b"


@pytest.mark.parametrize("added", ["the-second-one", "se"])
def test_a_secret_that_came_up_on_the_way_counts_from_then_on(added: str) -> None:
    masker = Masker(["the-first-one"])
    stream = MaskedStream(masker)
    before = stream.feed(b"the-second-one the-fir")
    if len(added) < 4:
        with pytest.raises(TooShort):
            masker.add(added)
        return
    masker.add(added)
    assert before + stream.feed(b"st-one the-second-one\n") == b"the-second-one *** ***\n"


def test_a_stream_holds_back_only_the_start_of_a_secret() -> None:
    """So that a log can be followed while the step writes it."""
    stream = MaskedStream(Masker(["secret"]))
    assert stream.feed(b"a line\nand a sec") == b"a line\nand a "
    assert stream.feed(b"ond\n") == b"second\n"
    stream = MaskedStream(Masker(["hunter2-long"]))
    assert stream.feed(b"working...\n") == b"working...\n"
    assert stream.feed(b"wait hunt") == b"wait "
    assert stream.feed(b"ing season\n") == b"hunting season\n"


# --- what expressions see ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(len("secret-value")))
def test_a_secret_at_the_border_of_what_is_kept_is_masked_whole(cut: int) -> None:
    """The end of a stream is kept; no end of a secret may be its beginning."""
    capture = Capture(Masker(["secret-value"]))
    capture.feed("stdout", b"-" * 100 + b"secret-value" + b"x" * (KEPT - cut))
    capture.close()
    text = visible(capture.output(0).stdout)
    assert text.lstrip("*").strip("x") == ""
    assert len(text.encode()) <= KEPT


def test_the_kept_end_of_a_stream_does_not_begin_with_the_rest_of_a_secret() -> None:
    data = b"x" * 10 + b"hunter2-long" + b" tail"
    assert visible(sealed_text(Masker(["hunter2-long"]), data, skip=15)) == "*** tail"


def test_the_end_of_each_stream_is_kept_and_said_to_be_cut() -> None:
    capture = Capture(Masker())
    for _ in range(KEPT):
        capture.feed("stdout", b"ab")
    capture.feed("stderr", b"short")
    output = capture.output(0)
    assert (len(output.stdout), output.stderr, output.cut) == (KEPT, "short", True)


def test_nested_values_made_from_secrets_are_recognised() -> None:
    masker = Masker(["secret", "12345678"])
    assert masker.holds_secret({"a": [1, {"secret": None}]})
    assert masker.holds_secret(12345678)
    assert masker.holds_secret(sealed_text(masker, b"the secret\n"))
    assert not masker.holds_secret({"a": [1, 2.5, True, None, "***"]})


def test_a_value_made_from_masked_text_is_noticed() -> None:
    masker = Masker(["hunter2-long"])
    text = sealed_text(masker, b"password: hunter2-long\n")
    assert SEAL in text
    assert masker.holds_secret({"rows": [1, None, {"line": text}]})
    assert masker.holds_secret(["the hunter2-long itself"])
    assert masker.holds_secret({base64.b64encode(b"hunter2-long").decode(): True})
    assert not masker.holds_secret({"rows": [1, 2.5, None, True, "***"]})


def test_a_program_cannot_forge_the_seal() -> None:
    masker = Masker(["secret"])
    assert not masker.holds_secret(sealed_text(masker, f"{SEAL}***".encode()))
    assert sealed_text(Masker(), f"a{SEAL}b\0c".encode()) == "a\ufffdb\ufffdc"


_KNOWN = ["s3cr3t-api-key-value", "48213907", "271828182845904"]
_parts = st.one_of(
    st.sampled_from(_KNOWN),
    st.sampled_from([48213907, 148213907, -48213907, 48213907.5, 271828182845904, 3, 2.5, True, None]),
    st.text(max_size=8),
    st.tuples(st.text(max_size=4), st.sampled_from(_KNOWN), st.text(max_size=4)).map("".join),
)
_keys = st.one_of(
    st.sampled_from(_KNOWN), st.text(max_size=4), st.sampled_from(_KNOWN).map(lambda key: f"x-{key}"), st.just("***")
)
_data = st.recursive(
    _parts,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=4)),
    max_leaves=12,
)


def _size(value: object) -> int:
    match value:
        case dict():
            return 1 + sum(map(_size, value.values()))
        case list():
            return 1 + sum(map(_size, value))
        case _:
            return 1


@settings(deadline=None)
@given(_data)
def test_of_data_nothing_known_is_left_and_no_entry_is_lost(value: object) -> None:
    masker = Masker(_KNOWN)

    found = masker.masked(value)

    assert not masker.holds_secret(found)
    assert _size(found) == _size(value)
    if not masker.holds_secret(value):
        assert found == value


def test_keys_that_are_the_same_once_they_are_masked_stay_apart() -> None:
    secrets = ("s3cr3t-api-key-value", "an0ther-api-key-value")
    found = Masker(secrets).masked({**dict.fromkeys(secrets, 1), "pin": 5})

    assert found == {"***": 1, "*** (2)": 1, "pin": 5}
