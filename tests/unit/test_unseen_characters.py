"""Scripts with characters that nobody sees (OC118)."""

import pytest

from engine.compile import compile_files
from engine.status.yamltext import to_yaml
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
TARGET = f"{HEAD}kind: Target\nmetadata: {{name: t}}\nspec: {{connections: {{local: {{}}}}}}\n"


def found(script: str, name: str = "j") -> list[tuple[str, str, int, int]]:
    job = f'{HEAD}kind: Job\nmetadata: {{name: j, annotations: {{a: "{name}"}}}}\nspec:\n'
    job += "  targets: {names: [t]}\n  steps:\n"
    job += f"    - run: {script}\n"
    files = {"opsconductor.yaml": PROJECT, "definitions/t.yaml": TARGET, "definitions/j.yaml": job}
    findings = compile_files("c0ffee", [read(text.encode(), file) for file, text in files.items()]).findings
    return [(one.code, one.severity, one.span.line, one.span.column) for one in findings]


@pytest.mark.parametrize("character", "\u200b\u200d\u200e\u2060\u00ad\u061c\U000e0041")
def test_a_character_without_width_in_a_script_is_a_warning(character: str) -> None:
    assert found(f"rm a{character}b") == [("OC118", "warning", 7, 16)]
    assert found("ls", name=f"a{character}b") == []


@pytest.mark.parametrize("character", "\u202a\u202e\u2066\u2069")
def test_a_character_that_turns_text_round_is_an_error_anywhere(character: str) -> None:
    assert found(f"ls # {character}x") == [("OC118", "error", 7, 17)]
    assert [(code, severity) for code, severity, *_ in found("ls", name=character)] == [("OC118", "error")]


def test_letters_of_other_languages_are_seen() -> None:
    assert found("echo é ü 漢字 \U0001f600 עברית") == []


def test_what_we_write_ourselves_can_be_read() -> None:
    assert "\u202e" not in to_yaml({"a": "\u202ex\u2069"})
