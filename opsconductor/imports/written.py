"""Drafts as files in the canonical form, with a first line by which a file that nobody edited is known."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import yaml

from engine.canonical import canonical
from engine.commented import NotFormatted
from opsconductor.authoring.writtenyaml import as_yaml
from opsconductor.imports.drafts import Draft, one_line
from schemas.characters import look
from schemas.guard import load
from schemas.reader import read

_MARK = re.compile(
    rb"# Imported from (?P<tool>[a-z-]+) (?P<source>\".*\"), as (?P<digest>[0-9a-f]{16})\. "
    rb"Edit it: it is yours, and is left alone\.\n"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Who wrote a file, and whether it is still as it was written."""

    tool: str
    source: str
    unedited: bool


def rendered(draft: Draft, tool: str, source: str) -> bytes:
    """The file. Raises NotFormatted where no file can say what the draft says."""
    said = _body(draft)
    try:
        body = canonical(said)
    except NotFormatted as error:
        found = next((one.message for one in read(said, draft.path).findings if one.severity == "error"), None)
        raise NotFormatted(found or str(error)) from error
    mark = f"# Imported from {tool} {_quoted(source)}, as {_digest(body)}. Edit it: it is yours, and is left alone.\n"
    data = mark.encode() + body
    # a comment or a text of the other tool's file must never become a document that nobody was told of
    read_back = load(data, draft.path)
    if read_back.findings:
        raise NotFormatted(read_back.findings[0].message)
    if read_back.documents != tuple(_plain(draft)):
        raise NotFormatted("the file would say something else than was read; this is a bug of ours")
    return data


def mark_of(data: bytes) -> Mark | None:
    """What the first line says; None where no import wrote the file. Line ends of Windows make no difference."""
    data = data.replace(b"\r\n", b"\n")
    found = _MARK.match(data)
    if found is None:
        return None
    body = data[found.end() :]
    source = found["source"].decode(errors="replace")
    return Mark(found["tool"].decode(), source, found["digest"].decode() == _digest(body))


def source_of(text: str) -> str:
    """The source as a mark has it."""
    return _quoted(text)


def _quoted(text: str) -> str:
    return '"' + one_line(text).replace('"', "'") + '"'


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _body(draft: Draft) -> bytes:
    documents = _plain(draft)
    texts = ["".join(as_yaml(one)) for one in documents]
    if look("".join(texts).encode(), "") is not None:
        # characters that turn text round, or that no YAML takes raw: written by their numbers
        texts = [yaml.safe_dump(one, sort_keys=False, allow_unicode=False, width=1 << 20) for one in documents]
    above, below = "".join(map(_comment, draft.above)), "".join(map(_comment, draft.below))
    return (above + "---\n".join(texts) + below).encode()


def _plain(draft: Draft) -> list[Any]:
    """Its documents through JSON, so that what two places share is written at both, and not as an anchor."""
    return [json.loads(json.dumps(one)) for one in draft.documents]


def _comment(line: str) -> str:
    """The line as a comment that ends where its line ends: characters that end one for YAML stand by their numbers."""
    kept = "".join(char if char == "\t" or _is_seen(char) else f"\\u{ord(char):04x}" for char in line)
    return f"# {kept}".rstrip() + "\n"


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs") and look(char.encode(), "") is None
