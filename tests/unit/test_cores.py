"""A function over many items on several cores: the same results as in turn, whatever becomes of a child."""

import os

import pytest

from opsconductor.checking import cores
from opsconductor.checking.cores import WORTH_A_PROCESS, on_all_cores

MANY = list(range(3 * WORTH_A_PROCESS + 7))
HERE = os.getpid()


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_cores", lambda: 3)


def children() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] + 1
    except ChildProcessError:
        return 0


def test_the_results_are_those_of_one_core_in_the_order_of_the_items() -> None:
    found = on_all_cores(lambda number: (number * number, os.getpid()), MANY)

    assert [square for square, _ in found] == [number * number for number in MANY]
    assert len({pid for _, pid in found}) == 3
    assert children() == 0


def test_few_items_are_not_worth_a_process() -> None:
    assert set(on_all_cores(lambda _: os.getpid(), MANY[:WORTH_A_PROCESS])) == {HERE}


def test_what_a_child_that_dies_could_not_answer_is_answered_here() -> None:
    def fatal_elsewhere(number: int) -> int:
        if os.getpid() != HERE and number > WORTH_A_PROCESS:
            os._exit(9)
        return -number

    assert on_all_cores(fatal_elsewhere, MANY) == [-number for number in MANY]
    assert children() == 0


@pytest.mark.parametrize("bad", [0, 40, 1000])  # in this process's share, and in those of two children
def test_an_error_is_the_same_as_on_one_core(bad: int) -> None:
    def refused(number: int) -> int:
        return 1 // (number - bad)

    with pytest.raises(ZeroDivisionError):
        on_all_cores(refused, MANY)
    assert children() == 0


def test_results_that_cannot_travel_are_made_here() -> None:
    assert [found() for found in on_all_cores(lambda number: lambda: number, MANY)] == MANY
