"""The documents in `tests/cases/documents`, and what each of them is expected to give.

A `.yaml` case begins with one line a finding, `#= line:column code`, in the order of the report; without any it is
right. A line `#@ path` says what the file is called where that matters, `#+ path` names a case that stands
beside; files of a library are locked as they are, and so is the sample plug-in. A `.toml` file is a table of cases that
no editor would keep as they are: `text` with escapes, `hex` bytes, or `parts` (each repeated so often, `{n}` counting),
with `encoding` and `file` where they matter, and what each `expects`.

`python -m tests.document_cases FILE...` shows every finding as an author would see it; with `--write` the expected
lines are written anew. Read what it shows before you keep it.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from engine.compile import Compiled, compile_files
from engine.plugins import Plugged, plugged
from engine.vendored import LOCK_FILE, Vendored, file_of, is_vendored, libraries_of
from schemas.parts import SETTINGS_FILE
from schemas.places import Layout
from schemas.reader import ParsedFile, read
from schemas.steps.declared import FILE

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests" / "cases" / "documents"
SAMPLE = ROOT / "definitions" / "hello"
_EXPECTED = re.compile(r"^#= (\d+:\d+ OC\d{3})\n", re.MULTILINE)
_BESIDE = re.compile(r"^#\+ (\S+)$", re.MULTILINE)
_FILE = re.compile(r"^#@ (\S+)$", re.MULTILINE)
_TABLE = "[[case]]\n"


@dataclass(frozen=True, slots=True)
class Case:
    """A file as bytes, and the findings it is expected to give beside the sample `hello`."""

    name: str
    data: bytes
    expected: tuple[str, ...]
    file: str = "case.yaml"
    beside: tuple[Path, ...] = ()

    @property
    def hostile(self) -> bool:
        return self.name.startswith("hostile/")

    def parsed(self) -> ParsedFile:
        return read(self.data, self.file)

    def compiled(self) -> Compiled:
        files = {**dict(map(_placed, self.beside)), self.file: self.data}
        sample = (file for file in _sample() if file.file != self.file)
        others = [read(data, file) for file, data in files.items() if not is_vendored(file)]
        found = Vendored(tuple(file_of(file, data) for file, data in files.items() if is_vendored(file)))
        locked = {name: {"digest": library.digest} for name, library in libraries_of(found).items()}
        libraries = replace(found, locked=locked, plugins=_plugins())
        return compile_files("c0ffee", [*sample, *others], libraries=libraries)

    def found(self) -> tuple[str, ...]:
        return tuple(f"{f.span.line}:{f.span.column} {f.code}" for f in self.compiled().findings)

    def codes(self) -> tuple[frozenset[str], ...]:
        """For each document the codes of its findings.

        What is refused as a whole, and what is made of repeated parts, counts as one document.
        """
        findings = self.compiled().findings
        if not self.parsed().count or ".toml: " in self.name:
            return (frozenset(finding.code for finding in findings),)
        begins = [
            root.range[0] for root in Layout(self.data).roots if root is not None and root.range[:2] != root.range[2:]
        ]
        codes: list[set[str]] = [set() for _ in begins]
        for finding in findings:
            codes[max(0, sum(line <= finding.span.line for line in begins) - 1)].add(finding.code)
        return tuple(map(frozenset, codes))


def cases() -> tuple[Case, ...]:
    """All cases, by name."""
    return tuple(case for path in sorted(CASES.rglob("*")) for case in cases_in(path))


def cases_in(path: Path) -> Iterator[Case]:
    """The cases of a file."""
    name = path.relative_to(CASES).as_posix() if path.is_relative_to(CASES) else path.name
    if path.suffix == ".yaml":
        data = path.read_bytes()
        text = data.decode()
        file = _FILE.search(text)
        beside = tuple(path.parent / other for other in _BESIDE.findall(text))
        yield Case(name, data, tuple(_EXPECTED.findall(text)), file[1] if file else "case.yaml", beside)
    elif path.suffix == ".toml":
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            yield _of_table(name, table)


def _of_table(name: str, table: dict[str, Any]) -> Case:
    if "hex" in table:
        data = bytes.fromhex(table["hex"])
    else:
        parts = table.get("parts") or [[table["text"], 1]]
        data = "".join(_repeated(*part) for part in parts).encode(table.get("encoding", "utf-8"))
    return Case(f"{name}: {table['name']}", data, tuple(table.get("expects", ())), table.get("file", "case.yaml"))


def _repeated(text: str, times: int) -> str:
    return "".join(text.replace("{n}", str(n)) for n in range(times)) if "{n}" in text else text * times


def _placed(path: Path) -> tuple[str, bytes]:
    data = path.read_bytes()
    file = _FILE.search(data.decode())
    return (file[1] if file else path.name), data


@cache
def _sample() -> tuple[ParsedFile, ...]:
    paths = sorted(SAMPLE.rglob("*.yaml"))
    return tuple(read(path.read_bytes(), path.relative_to(SAMPLE).as_posix()) for path in paths)


@cache
def _plugins() -> Plugged:
    """The sample plug-in of the documentation, as a lock knows it."""
    package = ROOT / "docs" / "examples" / "opsconductor-sample" / "opsconductor_sample"
    steps, parts = (yaml.safe_load((package / name).read_text()) for name in (FILE, SETTINGS_FILE))
    return plugged({"opsconductor-sample": {"version": "1.0.0", "steps": steps, **parts}}, LOCK_FILE)


# --- for whoever adds a case ------------------------------------------------------------------------------------------


def _show(case: Case) -> None:
    lines = case.data.decode("utf-8", "replace").splitlines()
    print(f"--- {case.name}")
    for finding in case.compiled().findings:
        span = finding.span
        line = lines[span.line - 1] if span.line <= len(lines) else ""
        width = max(1, span.end_column - span.column) if span.end_line == span.line else 1
        print(f"{span.line}:{span.column} {finding.code} {finding.message}")
        if finding.hint:
            print(f"    hint: {finding.hint}")
        if len(line) <= 200:
            print(f"    | {line}\n    | {' ' * (span.column - 1)}{'^' * min(width, 100)}")


def _write(path: Path) -> None:
    """What the cases of a file give now, as what they are expected to give."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        head, *tables = text.split(_TABLE)
        path.write_text(head + "".join(_TABLE + _with_expected(table) for table in tables), encoding="utf-8")
        return
    body = _EXPECTED.sub("", text)
    path.write_text(body, encoding="utf-8")
    (bare,) = cases_in(path)
    findings = bare.compiled().findings
    # the lines themselves move every finding down
    above = "".join(f"#= {f.span.line + len(findings)}:{f.span.column} {f.code}\n" for f in findings)
    path.write_text(above + body, encoding="utf-8")


def _with_expected(table: str) -> str:
    table = re.sub(r"^expects = .*\n", "", table, flags=re.MULTILINE)
    found = _of_table("", tomllib.loads(table)).found()
    return f"{table.rstrip()}\nexpects = {json.dumps(list(found))}\n\n"


def main() -> int:
    paths = [Path(argument).resolve() for argument in sys.argv[1:] if argument != "--write"]
    for path in paths:
        if "--write" in sys.argv:
            _write(path)
        for case in cases_in(path):
            _show(case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
