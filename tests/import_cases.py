"""Samples of other tools' files, each with all that an import makes of it. Written by `python -m tests.import_cases`.

A sample is one file: words on what it shows, the words of the call, the files that are read, the files that are
written, what is said, and the exit code. Parts begin with a line `-- name --`; a part with `\\` before line ends
(`-- name (crlf) --`) has the line ends of Windows.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsconductor.cli.main import call

CASES = Path(__file__).parent / "cases" / "imports"
_PART = re.compile(r"^-- (.+?) --\n", re.MULTILINE)
_CHECKOUT = "checkout"
_PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata:\n  name: sample\nspec: {}\n"


@dataclass(frozen=True)
class Case:
    words: str
    arguments: tuple[str, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    said: str
    code: int

    def text(self) -> str:
        parts = [self.words, f"-- call --\n{shlex.join(self.arguments)}\n"]
        parts += [f"-- read {name} --\n{text}" for name, text in self.inputs.items()]
        parts += [f"-- written {name} --\n{text}" for name, text in self.outputs.items()]
        parts += [f"-- said --\n{self.said}", f"-- exit --\n{self.code}\n"]
        return "".join(parts)


def parsed(text: str) -> Case:
    words, *rest = _PART.split(text)
    parts = dict(zip(rest[::2], rest[1::2], strict=True))
    return Case(
        words,
        tuple(shlex.split(parts.pop("call"))),
        {name.removeprefix("read "): body for name, body in parts.items() if name.startswith("read ")},
        {name.removeprefix("written "): body for name, body in parts.items() if name.startswith("written ")},
        parts.get("said", ""),
        int(parts.get("exit", "0")),
    )


def cases(tool: str) -> list[Path]:
    return sorted((CASES / tool).glob("*.txt"))


def laid_out(case: Case, folder: Path) -> Path:
    """The files that a case reads, and a checkout to write to; gives the checkout."""
    checkout = folder / _CHECKOUT
    checkout.mkdir(parents=True)
    (checkout / "opsconductor.yaml").write_text(_PROJECT)
    for name, text in case.inputs.items():
        crlf = name.endswith(" (crlf)")
        place = folder / name.removesuffix(" (crlf)")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((text.replace("\n", "\r\n") if crlf else text).encode())
    return checkout


def imported(tool: str, case: Case, folder: Path) -> tuple[str, int]:
    """What a call says, and its exit code; `folder` is the current one meanwhile."""
    said = io.StringIO()
    with _in(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as chatter:
        code = call(["import", tool, *case.arguments, "-C", _CHECKOUT])
    return said.getvalue() if code != 2 else chatter.getvalue(), code


def written(checkout: Path) -> dict[str, str]:
    """The files that an import left in the checkout."""
    names = sorted(path for path in (checkout / "definitions").rglob("*") if path.is_file())
    return {str(path.relative_to(checkout)): path.read_text() for path in names}


def afresh(tool: str, case: Case, folder: Path) -> Case:
    """The case with what the program does now."""
    checkout = laid_out(case, folder)
    said, code = imported(tool, case, folder)
    before = {name for name in case.inputs if name.startswith(f"{_CHECKOUT}/")}
    outputs = {name: text for name, text in written(checkout).items() if f"{_CHECKOUT}/{name}" not in before}
    return Case(case.words, case.arguments, case.inputs, outputs, said, code)


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main(paths: list[str]) -> None:
    for path in map(Path, paths):
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(afresh(path.parent.name, parsed(path.read_text()), Path(folder).resolve()).text())


if __name__ == "__main__":
    main(sys.argv[1:])
