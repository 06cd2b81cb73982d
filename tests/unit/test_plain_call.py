"""`validate` reads its plain form without the command line parser, which must read the same."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconductor.cli.application import answer
from opsconductor.cli.main import call
from opsconductor.cli.verdict import Asked, give, plainly_asked
from opsconductor.exits import UsageError
from tests.catalogs import HEAD, PROJECT

PLAIN = [
    ["validate"],
    ["validate", "."],
    ["validate", "deep/er"],
    ["validate", "--format", "json"],
    ["validate", "--format=json", "."],
    ["validate", ".", "--format", "github", "--format", "json"],
    ["validate", "--rev", "HEAD", "--format=json"],
    ["validate", "--rev=HEAD"],
    ["validate", "--rev", "no-such"],
    ["validate", "--format", "prose"],
    ["validate", "missing"],
]
OTHER = [
    [],
    ["plan"],
    ["validate", "-h"],
    ["validate", "--help"],
    ["validate", "--form", "json"],
    ["validate", "--format"],
    ["validate", "--format="],
    ["validate", "--rev", "--format"],
    ["validate", "one", "two"],
    ["validate", "--", "-x"],
    ["validate", ""],
    ["--version", "validate"],
]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    (tmp_path / "definitions" / "x.yaml").write_text(f"{HEAD}kind: Job\nmetadata: {{name: x}}\nspec: {{}}\n")
    monkeypatch.chdir(tmp_path)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=n@e", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], check=True)
    yield


@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_the_parser_reads_the_plain_form_in_the_same_way(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def said(ask: object, of: list[str]) -> tuple[object, str, str]:
        try:
            code = ask(of)  # type: ignore[operator]
        except UsageError as error:
            code = str(error)
        return (code, *capsys.readouterr())

    asked = plainly_asked(arguments)
    assert asked is not None
    assert said(lambda _: give(asked), arguments) == said(answer, arguments)


@pytest.mark.parametrize("arguments", OTHER, ids=" ".join)
def test_every_other_call_is_left_to_the_parser(arguments: list[str]) -> None:
    assert plainly_asked(arguments) is None


def test_a_plain_call_is_what_it_says() -> None:
    assert plainly_asked(["validate", "x", "--rev=HEAD"]) == Asked(Path("x"), "HEAD", "text")


def test_what_the_parser_refuses_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["validate", "--form", "json"]) == 2
    assert "--help" in capsys.readouterr().err
