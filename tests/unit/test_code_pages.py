"""Every code has a page, and the page's wrong example gives that code while the right one gives nothing."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.checks import steps
from engine.checks.scope import Scope, steps_of
from engine.prune import removed_too_much
from opsconductor.checking.validation import validate_paths
from opsconductor.report import Report
from schemas.codes import CODES
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored, read

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "definitions" / "hello"
SAID_ANYWAY = {"OC901", "OC902"}
"""That this version does not act on something yet, which is no fault of an example."""
_SECTION = re.compile(r"^## (?P<title>\w+)\n\n```(?P<language>yaml|sh)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
_DOCUMENT = re.compile(r"^---\n", re.MULTILINE)
_FILE = re.compile(r"# file: (\S+)\n")


def sections(code: str) -> dict[str, tuple[str, str]]:
    text = (ROOT / CODES[code].page).read_text()
    return {found["title"]: (found["language"], found["body"]) for found in _SECTION.finditer(text)}


def identities(text: str) -> set[str]:
    return {authored.identity for authored in read(text.encode(), "x").documents}


def repository(folder: Path, example: tuple[str, str]) -> Path:
    """The sample with the example in it; a document of the example takes the place of the sample's."""
    language, body = example
    (folder / "definitions").mkdir(parents=True)
    (folder / "opsconductor.yaml").write_bytes((SAMPLE / "opsconductor.yaml").read_bytes())
    named = identities(body) if language == "yaml" else set()
    for file in (SAMPLE / "definitions").glob("*.yaml"):
        kept = [part for part in _DOCUMENT.split(file.read_text()) if not identities(part) & named]
        (folder / "definitions" / file.name).write_text("---\n".join(kept))
    if language == "sh":
        subprocess.run(["sh", "-ec", body], cwd=folder, check=True)
        return folder
    for path, text in by_file(body):
        (folder / path).write_text(text)
    return folder


def by_file(body: str) -> Iterator[tuple[str, str]]:
    """A first document with `# file:` is alone in that file, the others are in the example's."""
    if (named := _FILE.match(body)) is not None:
        first, *others = _DOCUMENT.split(body, maxsplit=1)
        yield named[1], first
        body = others[0] if others else ""
    if body:
        yield "definitions/example.yaml", body


@pytest.fixture(autouse=True)
def a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page about a bug of ours speaks of: nothing else gives that code."""
    asked = steps.about

    def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
        if any("cannot cope" in (placed.step.run or "") for placed in steps_of(authored)):
            raise RuntimeError
        yield from asked(authored, scope)

    monkeypatch.setattr(steps, "about", about)


def codes_of(folder: Path, pages: dict[str, tuple[str, str]], title: str) -> list[str]:
    report = validate_paths(repository(folder / title, pages[title]))
    found = [finding.code for finding in report.findings]
    if "Before" in pages:
        before: Report = validate_paths(repository(folder / f"before {title}", pages["Before"]))
        assert before.compiled.catalog is not None and report.compiled.catalog is not None
        found += [finding.code for finding in removed_too_much(before.compiled.catalog, report.compiled.catalog)]
    return found


@pytest.mark.parametrize("code", CODES)
def test_the_examples_of_a_page_do_what_it_says(code: str, tmp_path: Path) -> None:
    pages = sections(code)

    assert code in codes_of(tmp_path, pages, "Wrong")
    if code != "OC340":  # what is right there is to remove less
        assert set(codes_of(tmp_path, pages, "Right")) <= SAID_ANYWAY - {code}


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_example_is_wrong_in_one_way(code: str, tmp_path: Path) -> None:
    """An example that gives several codes teaches none of them."""
    assert set(codes_of(tmp_path, sections(code), "Wrong")) - (SAID_ANYWAY - {code}) == {code}


def test_every_page_belongs_to_a_code() -> None:
    pages = {page.stem for page in (ROOT / "docs/codes").glob("OC*.md")}

    assert pages == set(CODES)


def test_every_code_in_the_program_is_listed() -> None:
    named = {
        code
        for package in ("schemas", "engine", "reconciler", "opsconductor")
        for file in (ROOT / package).rglob("*.py")
        for code in re.findall(r"[\"'](OC\d{3})[\"']", file.read_text())
    }

    assert named == set(CODES)
