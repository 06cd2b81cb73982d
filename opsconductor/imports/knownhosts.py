"""Host keys of known_hosts files, by the names that the files give them, hashed or plain (sshd(8))."""

import base64
import binascii
import contextlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.checks.sshkeys import host_key_problem
from opsconductor.imports.bounds import Work
from opsconductor.imports.drafts import Place, Remark, one_line
from opsconductor.imports.sshpatterns import is_wild, matches

_HASHED = re.compile(r"\|1\|([A-Za-z0-9+/=]{1,64})\|([A-Za-z0-9+/=]{1,64})")
_MARKS = ("@cert-authority", "@revoked")


@dataclass(frozen=True, slots=True)
class _Line:
    names: str
    key: str
    """As a Target has it: type and key, with a mark for a certificate authority."""
    revoked: bool


@dataclass(frozen=True, slots=True)
class _Hashed:
    salt: bytes
    digest: bytes

    def is_of(self, name: str) -> bool:
        return hmac.compare_digest(hmac.digest(self.salt, name.encode(), "sha1"), self.digest)


@dataclass(frozen=True, slots=True)
class _Patterns:
    words: tuple[str, ...]

    def is_of(self, name: str) -> bool:
        return matches(self.words, name)


class KnownHosts:
    """What is known of whom."""

    def __init__(self, lines: Sequence[_Line] = (), work: Work | None = None) -> None:
        self._lines, self._work = lines, work or Work()
        self._named: dict[str, list[int]] = {}
        self._asked: list[tuple[int, _Hashed | _Patterns]] = []
        """Lines that only a comparison tells of whom they are."""
        for at, line in enumerate(lines):
            words = line.names.split(",")
            if (hashed := _HASHED.fullmatch(line.names)) is not None:
                with contextlib.suppress(binascii.Error):  # a line that ssh leaves out, too
                    salt, digest = (base64.b64decode(part, validate=True) for part in hashed.groups())
                    self._asked.append((at, _Hashed(salt, digest)))
            elif any(map(is_wild, words)):
                self._asked.append((at, _Patterns(tuple(words))))
            else:
                for word in words:
                    self._named.setdefault(word, []).append(at)
        self._hashed = sum(isinstance(one, _Hashed) for _, one in self._asked)
        self._patterns = sum(len(word) for _, one in self._asked if isinstance(one, _Patterns) for word in one.words)

    def keys(self, host: str, port: int) -> tuple[str, ...]:
        """The keys under which a server may answer; as ssh does, those without a port where none are for this one.

        Raises UsageError where more is compared than one import does.
        """
        named = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
        return self._of(named) or (self._of(host.lower()) if port != 22 else ())

    def _of(self, name: str) -> tuple[str, ...]:
        self._work.spend(self._hashed)
        self._work.match(self._patterns, len(name))
        places = {*self._named.get(name, ()), *(at for at, one in self._asked if one.is_of(name))}
        found = [self._lines[at] for at in sorted(places)]
        gone = {line.key for line in found if line.revoked}
        return tuple(dict.fromkeys(line.key for line in found if not line.revoked and line.key not in gone))


def read(files: Mapping[str, bytes]) -> tuple[KnownHosts, list[Remark]]:
    """Files by what to call them."""
    lines: list[_Line] = []
    remarks: list[Remark] = []
    for name, data in files.items():
        for number, raw in enumerate(data.split(b"\n"), 1):
            text = raw.decode(errors="replace").strip()
            if not text or text.startswith("#"):
                continue
            words = text.split()
            mark = words.pop(0) if words[0] in _MARKS else ""
            key = " ".join(words[1:3])
            problem = host_key_problem(key) if len(words) > 2 else "there is no key on the line"
            if problem is not None:
                what = f"{one_line(text, 60)}: {problem}"
                hint = "ssh leaves such a line out too; ask the host for its keys again: ssh-keyscan"
                remarks.append(Remark(Place(name, number), what, hint))
                continue
            kept = f"@cert-authority {key}" if mark == "@cert-authority" else key
            lines.append(_Line(words[0].lower() if "|" not in words[0] else words[0], kept, mark == "@revoked"))
    return KnownHosts(tuple(lines)), remarks
