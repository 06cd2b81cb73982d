"""A name for each finding that outlives the lines above it, so that a service knows an old finding from a new one."""

import hashlib
import re
from bisect import bisect_right
from collections import Counter

from opsconductor.report.facts import Place, Report, path_of
from schemas.characters import lines_of
from schemas.diagnostic import Diagnostic

# Messages that name another place would otherwise change with every line above it.
_PLACES = re.compile(r"\b(line|column) \d+")
_KIND = re.compile(r"kind:\s*(\S+)")
_NAME = re.compile(r"(?:metadata:\s*\{.*?|\s+)\bname:\s*([^\s,}]+)")


def fingerprints(report: Report, place: Place = "") -> tuple[str, ...]:
    """One for each finding, in order: 64 hexadecimal digits, all different.

    Made of the code, the file, the document that the place lies in, the message, and a number among equal ones; not
    of lines or columns. Mending one document leaves the fingerprints of the others alone.
    """
    files: dict[str, _Identities] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    found = []
    for finding in report.findings:
        file = finding.span.file
        if file not in files:
            files[file] = _Identities(report.sources.get(file, b""))
        facts = _facts(finding, path_of(finding.span, place), files[file].at(finding.span.line))
        found.append(hashlib.sha256("\0".join((*facts, str(seen[facts]))).encode(errors="replace")).hexdigest())
        seen[facts] += 1
    return tuple(found)


def _facts(finding: Diagnostic, path: str, document: str) -> tuple[str, ...]:
    return finding.code, path, document, _PLACES.sub(r"\1", finding.message)


class _Identities:
    """Which document of a file a line belongs to, also in files that are wrong in any way: by its look alone."""

    def __init__(self, data: bytes) -> None:
        self._starts = [1]
        self._names = [["", ""]]
        for number, line in enumerate(lines_of(data.decode(errors="replace")), 1):
            if line.startswith(("---", "...")):
                self._starts.append(number)
                self._names.append(["", ""])
            names = self._names[-1]
            if not names[0] and (kind := _KIND.match(line)):
                names[0] = kind[1]
            if not names[1] and (name := _NAME.match(line)):
                names[1] = name[1]

    def at(self, line: int) -> str:
        return "/".join(self._names[bisect_right(self._starts, line) - 1])
