"""How fast a step's output is masked, by processor time: what a log, base64 and a dump look like, and what begins many
forms of a key, with the secrets that runs have."""

import base64
import random
import re
import time
from pathlib import Path

from runners.masking import MaskedStream, Masker
from runners.secretforms import forms
from tests.performance.measuring import Taken, alternating, times
from tests.performance.table import Row, Verdict

_CHUNK = 64 * 1024
_SIZE = 8_000_000
_BESIDE = 100_000
"""Bytes for the pattern of alternatives, which is slow."""
_ROUNDS = 7
_GOAL = 50


def _log(chance: random.Random) -> bytes:
    lines = (
        f"2026-11-22T00:00:{number % 60:02d} INFO web-01 nginx: GET /api/v1/items/{chance.randrange(10**6)} 200 "
        f'0.{chance.randrange(1000):03d} referer="https://example.org/{chance.randbytes(6).hex()}"\n'
        for number in range(_SIZE // 110)
    )
    return "".join(lines).encode()


def _key(chance: random.Random) -> str:
    """As long as an RSA key of 3,072 bits in a file of OpenSSH."""
    lines = "\n".join(base64.b64encode(chance.randbytes(52)).decode() for _ in range(38))
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}\n-----END OPENSSH PRIVATE KEY-----\n"


async def rows(folder: Path) -> list[Row]:
    chance = random.Random(1)
    key, password = _key(chance), "p4ss wörd/+'\"$x\\"
    many = [f"pass{number}-{chance.randbytes(8).hex()}" for number in range(20)]
    log, encoded = _log(chance), base64.encodebytes(chance.randbytes(_SIZE * 3 // 4))
    repeated = (log[:200] + password.encode() + b"\n") * (_SIZE // 220)
    hexadecimal = repeated[: _SIZE // 3].hex(" ")
    dump = "\n ".join(hexadecimal[at : at + 47] for at in range(0, len(hexadecimal), 48)).encode()
    dashes = (b"-" * 79 + b"\n") * (_SIZE // 80)
    return [
        await _row("a log is masked, with a key and a password known", log, [key, password], beside=True),
        await _row("the same, with 20 passwords more", log, [key, password, *many]),
        await _row("base64 is masked, with a key and a password known", encoded, [key, password]),
        await _row("a log with a password in each line is masked", repeated, [key, password]),
        await _row("a hexadecimal dump of that log is masked", dump, [key, password]),
        await _row("lines of dashes are masked, with a key known", dashes, [key]),
        await _row("dashes in base64 are masked, with a key known", b"LS0t" * (_SIZE // 4), [key]),
    ]


async def _row(what: str, data: bytes, secrets: list[str], *, beside: bool = False) -> Row:
    masker = Masker(secrets)

    async def ours() -> float:
        began = time.process_time()
        stream = MaskedStream(masker)
        for at in range(0, len(data), _CHUNK):
            stream.feed(data[at : at + _CHUNK])
        stream.finish()
        return (time.process_time() - began) / len(data)

    patterns = sorted({form for secret in secrets for form in forms(secret).all}, key=len, reverse=True)
    alternatives = re.compile(b"|".join(map(re.escape, patterns)))

    async def expression() -> float:
        began = time.process_time()
        alternatives.sub(b"***", data[:_BESIDE])
        return (time.process_time() - began) / _BESIDE

    contestants = {"ours": ours, "expression": expression} if beside else {"ours": ours}
    taken = await alternating(_ROUNDS, contestants)
    return Row(
        f"{what} ({len(patterns)} patterns)", f"{_rate(taken, 'ours'):.0f} MB/s",
        f"one regular expression {_rate(taken, 'expression'):.1f} MB/s" if beside else "",
        f"{times(taken.ratio('expression', 'ours'))} faster" if beside else "",
        f"at least {_GOAL} MB/s", Verdict.of(_rate(taken, "ours") >= _GOAL),
    )  # fmt: skip


def _rate(taken: Taken, name: str) -> float:
    return 1e-6 / taken.of(name)
