"""What strangers send as JSON is read within bounds, or refused without a word of it."""

import json

import pytest

from engine.payload import NotJson, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true, "ü"]}', {"a": [1, 2.5, None, True, "ü"]}),
        ("123456789012345678901234567890", 1.2345678901234568e29),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_json_becomes_plain_data(text: str, value: object) -> None:
    """Also at the top: an event need not be a mapping."""
    assert read(text.encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\xff\xfe", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b'"\\ud800"', b'{"\\udc00": 1}',
        b"[" * 100_000, b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, json.dumps([0] * 60_000).encode(),
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    """Nothing of it stands in the message, which goes to whoever sent it."""
    with pytest.raises(NotJson) as caught:
        read(data)
    assert len(str(caught.value)) < 80
