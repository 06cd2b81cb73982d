"""The libraries that the product brings: read like any other, sound, and shown by examples that fit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

import step_libraries
from engine.builtin import BUILT_IN, library
from engine.compile import compile_files
from engine.vendored import Vendored, digest, file_of
from schemas.diagnostic import Diagnostic
from schemas.library import LibraryStep
from schemas.reader import read
from tests.catalogs import PROJECT
from tests.libraries import catalog

STEPS = [(name, step) for name in sorted(BUILT_IN) for step in sorted(library(name).steps)]  # type: ignore[union-attr]
FOLDER = Path(step_libraries.__file__).parent


def step_of(name: str, step: str) -> LibraryStep:
    found = library(name)
    assert found is not None
    of_step = found.step(step)
    assert of_step is not None
    return of_step


def findings(name: str) -> tuple[Diagnostic, ...]:
    """What `validate` says of a library that is vendored as it is."""
    files = tuple(file_of(f"libraries/{name}/{path}", data) for path, data in step_libraries.contents(name).items())
    known = library(name)
    assert known is not None
    held = Vendored(files, {name: {"digest": known.digest}})
    return compile_files("c" * 40, [read(PROJECT.encode(), "opsconductor.yaml")], libraries=held).findings


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_library_is_sound_by_the_checks_of_those_that_users_write(name: str) -> None:
    found = library(name)
    assert found is not None and found.document is not None
    assert findings(name) == ()
    assert found.document.spec.description
    assert found.document.spec.version.startswith("1.")


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_step_says_what_it_is_and_takes_and_shows_it(name: str, step: str) -> None:
    document = step_of(name, step)

    assert document.metadata.description
    assert document.spec.examples
    assert document.spec.platforms or name == "web-http"
    for of_input in (*document.spec.inputs.values(), *document.spec.outputs.values()):
        assert of_input.get("description")
    assert all("value" in one for one in document.spec.outputs.values())


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*/steps/*.sh")), ids=lambda path: "/".join(path.parts[-3:]))
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_a_script_is_read_by_the_shells_of_all_systems(script: Path, shell: str) -> None:
    assert shutil.which(shell.split(maxsplit=1)[0])
    subprocess.run([*shell.split(), "-n", str(script)], check=True, capture_output=True)


def test_scripts_that_replace_a_file_do_it_by_the_same_text() -> None:
    """A step is one script, so the text is repeated; what is mended in one is mended in all."""
    scripts = {path.name: path.read_text() for path in FOLDER.glob("*/steps/*.sh")}
    begin, end = "# --- beside a file", "# --- end of it ---\n"
    of = {name: text[text.index(begin) : text.index(end)] for name, text in scripts.items() if begin in text}

    assert set(of) == {*("backup.sh", "file.sh", "line.sh", "mysql-dump.sh", "postgresql-dump.sh", "sqlite-dump.sh")}
    assert len(set(of.values())) == 1
    assert [name for name, text in scripts.items() if re.search(r"\$\$|\.part\b|\.new\b", text)] == []


def test_every_script_belongs_to_a_step() -> None:
    named = {f"{name}/{step_of(name, step).spec.script}" for name, step in STEPS}
    there = {f"{path.parts[-3]}/{path.name}" for path in FOLDER.glob("*/steps/*") if path.suffix != ".yaml"}
    assert there == named - {f"{name}/None" for name in BUILT_IN}


def test_the_digest_is_that_of_the_files_by_the_shell() -> None:
    found = library("linux-core")
    assert found is not None
    command = "sha256sum library.yaml steps/* | LC_ALL=C sort -k 2 | sha256sum"
    said = subprocess.run(
        ["sh", "-c", command], cwd=FOLDER / "linux-core", check=True, capture_output=True, text=True
    ).stdout
    assert found.digest == f"sha256:{said.split()[0]}"
    assert digest([]) != found.digest


def test_the_library_of_the_guide_is_sound() -> None:
    """docs/how-to/write-a-library.md"""
    page = (Path(__file__).parents[2] / "docs/how-to/write-a-library.md").read_text()
    blocks = [block for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if block.startswith("apiVersion")]
    names = ["library.yaml", "steps/deploy.yaml", "steps/free-port.yaml"]
    files = {f"libraries/web/{name}": text for name, text in zip(names, blocks, strict=True)}
    files["libraries/web/steps/free-port.sh"] = "echo '{\"port\": 8000}'\n"

    catalog(files)


POWERSHELL = tree_sitter.Language(tree_sitter_powershell.language())


def unread(node: tree_sitter.Node) -> list[str]:
    """Where a PowerShell grammar cannot read a script."""
    own = [f"{node.start_point.row + 1}:{node.start_point.column + 1}"] if node.is_error or node.is_missing else []
    return own + [place for child in node.children if child.has_error for place in unread(child)]


@pytest.mark.parametrize("step", [step for name, step in STEPS if name == "windows-core"])
def test_a_script_for_windows_is_powershell(step: str) -> None:
    """None of them runs here: that they can be read is all that is tried."""
    spec = step_of("windows-core", step).spec
    texts = [one.run for one in spec.steps or () if one.run is not None]
    texts += [(FOLDER / "windows-core/steps" / spec.script).read_text()] if spec.script is not None else []

    assert texts
    for text in texts:
        assert unread(tree_sitter.Parser(POWERSHELL).parse(text.encode()).root_node) == []


def test_the_grammar_finds_what_is_no_powershell() -> None:
    assert unread(tree_sitter.Parser(POWERSHELL).parse(b"if ($a { 1 }\n").root_node)
