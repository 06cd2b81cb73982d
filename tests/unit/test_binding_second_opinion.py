"""The grammars of tree-sitter agree with our scanners: where a value is let in, they see data."""

import random
import re
from collections.abc import Iterator
from functools import cache

import pytest
import tree_sitter
import tree_sitter_bash
import tree_sitter_powershell

from engine.scripts.binding import Bound, bind, prelude
from schemas.job import Shell
from tests import everyday_scripts
from tests.everyday_scripts import EVERYDAY, EVERYDAY_BASH
from tests.integration.test_binding_injection import BASH, POSIX, VALUES
from tests.scripts_by_chance import Scripts, bindable
from tests.unit.test_binding_languages import POWERSHELL

_OWN = re.compile(r"\bOC[0-9]+\b")
DATA = frozenset({"string", "heredoc_body"})
"""What a value's expansion stands right in."""
CODE = frozenset({"raw_string", "ansi_c_string", "translated_string", "arithmetic_expansion", "subscript", "expansion"})
"""What it stands in nowhere, however far out."""
WORDS: list[tuple[str, Shell]] = [
    *((script, "sh") for script in EVERYDAY),
    *((script, "bash") for script in (*EVERYDAY, *EVERYDAY_BASH)),
    *((script, "bash") for script, _ in (*POSIX.values(), *BASH.values())),
]


NUMERIC = frozenset((*everyday_scripts.NUMERIC, *everyday_scripts.NUMERIC_BASH))
UNREADABLE = {POSIX["here-document-of-two"][0], POSIX["after-everything"][0]}
UNREADABLE_POWERSHELL = {"git checkout ${{ e }} -- .", "./x.bat a\nGet-Item ${{ e }}"}
"""Right scripts that a grammar takes for wrong."""


@cache
def _parser(language: str) -> tree_sitter.Parser:
    grammar = {"bash": tree_sitter_bash, "powershell": tree_sitter_powershell}[language]
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))


def _ways(text: str, language: str) -> Iterator[tuple[str, ...]] | None:
    """For each variable of ours the kinds of nodes from it outwards; None where the grammar cannot read the script."""
    tree = _parser(language).parse(text.encode())
    return None if tree.root_node.has_error else _outwards(text, tree)


def _outwards(text: str, tree: tree_sitter.Tree) -> Iterator[tuple[str, ...]]:
    for found in _OWN.finditer(text):
        at = len(text[: found.start()].encode())
        node = tree.root_node.descendant_for_byte_range(at, at + len(found[0]))
        kinds = []
        while node is not None:
            kinds.append(node.type)
            node = node.parent
        yield tuple(kinds)


def _is_data(way: tuple[str, ...]) -> bool:
    """In a comment, or an expansion in a double-quoted text or a here-document, and in nothing that evaluates it."""
    if way[0] == "comment" or way[:2] == ("heredoc_content", "heredoc_body"):
        return True
    return way[:2] == ("variable_name", "expansion") and way[2] in DATA and not CODE.intersection(way[2:])


def test_everyday_scripts_hold_values_as_data() -> None:
    unread = set()
    for script, shell in WORDS:
        bound = bind(script, shell)
        assert isinstance(bound, Bound), script
        ways = _ways(bound.text, "bash")
        if ways is None:
            unread.add(script)
        for way in ways or ():
            if script in NUMERIC and "command_substitution" in way:  # a number, as grammars do not know
                way = way[: way.index("command_substitution")]
            assert _is_data(way), (bound.text, way)
            assert "command_name" not in way[: way.index("command") if "command" in way else 0], bound.text
    assert unread == UNREADABLE


@pytest.mark.parametrize("seed", range(4))
def test_scripts_by_chance_hold_values_as_data(seed: int) -> None:
    chance = random.Random(seed)
    read = unread = 0
    while read < 150:
        shell: Shell = chance.choice(("sh", "bash"))
        bound = bindable(Scripts(chance, shell).script(), shell)
        if bound is None:
            continue
        ways = _ways(bound.text, "bash")
        if ways is None:
            unread += 1
            continue
        read += 1
        for way in ways:
            assert _is_data(way), (bound.text, way)
    assert unread < read / 4


def test_the_grammar_would_tell() -> None:
    """The same scripts with a value where none may stand."""
    for script in ("echo '${OC1}'", "echo $((${OC1} + 1))", "echo ${x:-${OC1}}", "a[${OC1}]=1", "echo $'${OC1}'"):
        ways = _ways(script, "bash")
        assert ways is not None and not all(map(_is_data, ways)), script


# --- PowerShell ---


@pytest.mark.parametrize("script", POWERSHELL)
def test_the_grammar_sees_variables_in_scripts_of_powershell(script: str) -> None:
    bound = bind(script, "powershell")
    assert isinstance(bound, Bound)
    text = prelude("powershell", VALUES[: len(bound.holes)]) + bound.text
    ways = _ways(text, "powershell")
    assert (ways is None) is (script in UNREADABLE_POWERSHELL), text
    for way in ways or ():
        assert way[0] in ("comment", "variable", "braced_variable"), (text, way)


def test_nothing_of_a_value_stands_outside_the_base64_text() -> None:
    """The lines before a script for PowerShell are the same for every value, but for what is in one plain string."""
    for value in VALUES:
        lines = prelude("powershell", [value])
        tree = _parser("powershell").parse(lines.encode())
        assert not tree.root_node.has_error
        (literal,) = _of_kind(tree.root_node, "string_literal")
        assert literal.text is not None
        assert re.fullmatch(rb"'[A-Za-z0-9+/]*={0,2}'", literal.text)
        outside = lines.encode()[: literal.start_byte] + lines.encode()[literal.end_byte :]
        assert outside == (b"$OC1 = [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String())\n"), (
            value[:80]
        )


def _of_kind(node: tree_sitter.Node, kind: str) -> list[tree_sitter.Node]:
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        if one.type == kind:
            found.append(one)
        waiting += one.children
    return found
