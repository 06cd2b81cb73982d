"""The corpus, and seeded mutations of it, against every target. `python -m tests.fuzz` goes on from here."""

import pytest

from tests.fuzz.mutations import TOKENS, corpus, mutated
from tests.fuzz.targets import TARGETS

MUTATIONS = 2_000


def test_every_target_has_words_and_a_corpus() -> None:
    assert set(TOKENS) == set(TARGETS)
    assert all(corpus(name) for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_what_once_broke_a_promise_does_no_more(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_made_by_chance_break_no_promise(name: str) -> None:
    """The seed is fixed: a run that fails here fails everywhere."""
    for data in mutated(name, 1, MUTATIONS):
        try:
            TARGETS[name](data)
        except Exception as problem:
            raise AssertionError(f"{name} broke its promise on {data!r}") from problem
