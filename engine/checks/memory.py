"""Answers that stay true while the documents they are about do: parsed files live longer than one commit.

A commit that changes one file of ten thousand checks the others again only where something they depend on changed.
What is remembered is a pure function of its arguments, so remembering changes no answer.
"""

from collections.abc import Callable
from typing import TypeVar

from schemas.reader import Authored

T = TypeVar("T")


def remembered(authored: Authored, question: str, facts: tuple[object, ...], answer: Callable[[], T]) -> T:
    """What `answer` gives, asked once for a document and the facts it depends on (compared by identity or equality)."""
    held = authored.answers.get(question)
    if held is None or held[0] != facts:
        held = authored.answers[question] = (facts, answer())
    return held[1]  # type: ignore[return-value]  # stored above under this question
