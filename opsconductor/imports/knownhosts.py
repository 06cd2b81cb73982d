"""Host keys of known_hosts files, by the names that the files give them, hashed or plain (sshd(8))."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.checks.sshkeys import host_key_problem
from opsconductor.imports.drafts import Place, Remark, one_line
from opsconductor.imports.sshpatterns import matches

_HASHED = re.compile(r"\|1\|([A-Za-z0-9+/=]{1,64})\|([A-Za-z0-9+/=]{1,64})")
_MARKS = ("@cert-authority", "@revoked")


@dataclass(frozen=True, slots=True)
class _Line:
    names: str
    key: str
    """As a Target has it: type and key, with a mark for a certificate authority."""
    revoked: bool

    def is_of(self, name: str) -> bool:
        found = _HASHED.fullmatch(self.names)
        if found is None:
            return matches(self.names.split(","), name)
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in found.groups())
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """What is known of whom."""

    lines: tuple[_Line, ...] = ()

    def keys(self, host: str, port: int) -> tuple[str, ...]:
        """The keys under which a server may answer; as ssh does, those without a port where none are for this one."""
        named = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
        return self._of(named) or (self._of(host.lower()) if port != 22 else ())

    def _of(self, name: str) -> tuple[str, ...]:
        found = [line for line in self.lines if line.is_of(name)]
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
