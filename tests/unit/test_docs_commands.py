"""The hand-written reference names what the program has, no more and no less."""

import re
from pathlib import Path

import typer
import typer.core

from opsconductor.cli.application import COMMANDS, application

DOCS = Path(__file__).resolve().parents[2] / "docs"


def program() -> typer.core.TyperGroup:
    command = typer.main.get_command(application())
    assert isinstance(command, typer.core.TyperGroup)
    return command


def test_every_command_has_a_line_and_every_line_a_command() -> None:
    listed = set(re.findall(r"^\| `([a-z]+)\b", (DOCS / "commands.md").read_text(), re.MULTILINE))
    assert listed == set(program().commands)


def test_a_command_that_is_asked_for_is_loaded_without_the_others() -> None:
    assert [command for commands in COMMANDS.values() for command in commands] == list(program().commands)
    for commands in COMMANDS.values():
        for command in commands:
            alone = typer.main.get_command(application(command))
            assert isinstance(alone, typer.core.TyperGroup)
            assert tuple(alone.commands) == commands


def test_every_setting_of_up_is_listed_with_its_variable() -> None:
    page = (DOCS / "settings.md").read_text()
    for parameter in program().commands["up"].params:
        if isinstance(parameter, typer.core.TyperOption) and "--help" not in parameter.opts:
            long = next(option for option in parameter.opts if option.startswith("--"))
            row = next((line for line in page.splitlines() if line.startswith(f"| `{long}")), None)
            assert row is not None, f"{long} is missing in docs/settings.md"
            variable = parameter.envvar if isinstance(parameter.envvar, str) else None
            assert variable is None or f"`{variable}`" in row


def test_every_option_that_the_pages_use_exists() -> None:
    """Shell examples are run elsewhere; here every `opsconductor COMMAND --option` of any page is looked up."""
    unknown = []
    for page in [DOCS.parent / "README.md", *DOCS.rglob("*.md")]:
        for name, rest in re.findall(r"^ *opsconductor ([a-z]+)\b(.*)$", page.read_text(), re.MULTILINE):
            command = program().commands.get(name)
            if isinstance(command, typer.core.TyperGroup):
                command = command.commands.get(rest.split()[0] if rest.split() else "")
            known = {option for parameter in command.params for option in parameter.opts} if command else set()
            ours = rest.partition(" -- ")[0].partition("#")[0]
            unknown += [
                f"{page.name}: {name} {option}" for option in re.findall(r" (--[a-z-]+)", ours) if option not in known
            ]
            if command is None:
                unknown.append(f"{page.name}: {name}")
    assert unknown == []
