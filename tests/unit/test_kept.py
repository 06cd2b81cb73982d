"""What a process keeps of the texts that it is asked about: bounded, however long they are and however many."""

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from engine import leaks, patterns, secretref, userschema
from engine.checks import reading, templates
from engine.kept import OfLong, OfShort
from engine.scripts import binding
from engine.status import yamltext

LENGTH = 64 * 1024
"""Characters of each text."""
MANY = 32


def _asked(text: str) -> object:
    return secretref.secret_of(f"{text} ${{{{ secrets.a.value }}}}")


def _schema(text: str) -> object:
    return userschema.faults_of({"not": {"enum": [text]}, "description": text}, "x")


ASKED: dict[str, Callable[[str], object]] = {
    "expressions": lambda text: reading.found_in(f"{text} ${{{{ a }}}}", condition=False),
    "templates": lambda text: templates._problems(f"{text} {{{{ a }}}}".encode()),
    "unknown names of templates": lambda text: templates._problems(f"{{{{ {text} }}}}".encode()),
    "schemas": _schema,
    "wrong schemas": lambda text: userschema.problems_of({text: 1}),
    "patterns": lambda text: (patterns.is_usable(text), patterns.size_of(text)),
    "status": lambda text: yamltext.to_yaml({"a": text}),
    "scripts": lambda text: binding.evaluated_env(f"eval $A # {text}", "sh", {"A": "${{ a }}"}),
    "secrets of a file": lambda text: leaks.shown(f"password: {text}".encode()),
    "secret values": _asked,
}


@pytest.mark.parametrize("what", ASKED)
def test_no_long_text_is_held_for_the_life_of_the_process(what: str) -> None:
    ask = ASKED[what]
    ask("warm")
    tracemalloc.start()
    try:
        ask("b" * LENGTH)  # what is imported for the first long one
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(MANY):
            ask(f"{'a' * (LENGTH + number)}")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 2 * LENGTH


def test_an_answer_about_a_short_text_is_found_once() -> None:
    asked: list[str] = []
    length = OfShort(lambda text: asked.append(text) or len(text), 2, short=3)

    assert [length("abc"), length("abc"), length("abcd"), length("abcd")] == [3, 3, 4, 4]
    assert asked == ["abc", "abcd", "abcd"]


def test_a_small_answer_about_a_long_text_is_found_once() -> None:
    asked: list[int] = []

    def find(answer: int) -> int:
        asked.append(answer)
        return answer

    kept = OfLong[int](2, small=lambda answer: answer < 10)

    small = [kept.answer(b"a", lambda: find(1)) for _ in range(2)]
    large = [kept.answer(b"b", lambda: find(10)) for _ in range(2)]

    assert (small, large, asked) == ([1, 1], [10, 10], [1, 10, 10])
