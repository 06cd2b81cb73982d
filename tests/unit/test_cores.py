"""A function over many items on several cores: the same results as in turn, whatever becomes of a child."""

import errno
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from multiprocessing import Barrier

import pytest

from engine.plugins import knowing
from opsconductor.checking import cores
from opsconductor.checking.cores import WORTH_A_PROCESS, on_all_cores
from schemas.reader import Authored, ParsedFile, read
from schemas.steps import StepType
from tests.document_cases import cases

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


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


class Together:
    """Holds each of three processes at its first item until all have one: none can be too late to take part."""

    def __init__(self) -> None:
        self._barrier = Barrier(3)
        self._began: set[int] = set()

    def here(self) -> int:
        if (pid := os.getpid()) not in self._began:
            self._began.add(pid)
            self._barrier.wait(timeout=60)
        return pid


def test_the_results_are_those_of_one_core_in_the_order_of_the_items() -> None:
    together = Together()
    found = on_all_cores(lambda number: (number * number, together.here()), MANY)

    assert [square for square, _ in found] == [number * number for number in MANY]
    assert len({pid for _, pid in found}) == 3
    assert children() == 0


def test_few_items_are_not_worth_a_process() -> None:
    assert set(on_all_cores(lambda _: os.getpid(), MANY[:WORTH_A_PROCESS])) == {HERE}


def test_what_a_child_that_dies_could_not_answer_is_answered_here() -> None:
    together = Together()

    def fatal_elsewhere(number: int) -> int:
        if together.here() != HERE:
            os._exit(9)
        return -number

    assert on_all_cores(fatal_elsewhere, MANY) == [-number for number in MANY]
    assert children() == 0


@pytest.mark.parametrize("given", [0, 1])
def test_a_system_without_another_process_has_those_that_there_are(given: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of processes is reached sooner on a busy machine; the answer is the same, and nothing is left open."""
    fork, left = os.fork, iter(range(given))

    def refused_from_then_on() -> int:
        if next(left, None) is None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", refused_from_then_on)
    before = open_files()

    assert on_all_cores(lambda number: -number, MANY) == [-number for number in MANY]
    assert children() == 0
    assert open_files() == before


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_process_that_may_open_no_more_files_does_without(given: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, left = os.pipe, iter(range(given))

    def refused_from_then_on() -> tuple[int, int]:
        if next(left, None) is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipe()

    monkeypatch.setattr(os, "pipe", refused_from_then_on)
    before = open_files()

    assert on_all_cores(lambda number: -number, MANY) == [-number for number in MANY]
    assert children() == 0
    assert open_files() == before


ENDED = """
import os
from opsconductor.checking import cores
cores._cores = lambda: 3
begun = set()
def held_up(number):
    here = os.getpid()
    os.write(1, b"%d\\n" % here)
    if here not in begun:
        begun.add(here)
        os.read(0, 1)
cores.on_all_cores(held_up, range(1200))
"""
"""Each of the three processes says its number with each item, and waits at its first until nobody holds the input."""


def test_children_of_a_process_that_was_killed_end_too() -> None:
    """At most with the portion that each is at: a pull-request check that is taken back leaves no load behind."""
    parent = subprocess.Popen([sys.executable, "-c", ENDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None and parent.stdout is not None
    with parent.stdout as said:
        begun = {said.readline() for _ in range(3)}
        parent.kill()
        parent.wait()
        parent.stdin.close()
        answered = said.readlines()

    assert len(begun) == 3
    assert len(answered) <= 2 * 31


@pytest.mark.parametrize("bad", [0, 40, 1000])  # in this process's share, and in those of two children
def test_an_error_is_the_same_as_on_one_core(bad: int) -> None:
    def refused(number: int) -> int:
        return 1 // (number - bad)

    with pytest.raises(ZeroDivisionError):
        on_all_cores(refused, MANY)
    assert children() == 0


def test_results_that_cannot_travel_are_made_here() -> None:
    assert [found() for found in on_all_cores(lambda number: lambda: number, MANY)] == MANY


def test_one_process_with_hard_items_does_not_keep_the_others_waiting() -> None:
    """Whoever is free takes what is left: a process that is held up with one item has no others to answer."""
    together, ended = Together(), Barrier(2)

    def held_up(number: int) -> int:
        pid = together.here()
        if number == MANY[-1]:
            ended.wait(timeout=60)  # for the process that has the first item, which only then goes on
        if number == 0:
            ended.wait(timeout=60)
        return pid

    found = on_all_cores(held_up, MANY)

    assert found.count(found[0]) < WORTH_A_PROCESS


def test_what_files_are_read_into_travels_as_it_is() -> None:
    """Else each process would read all of them, and nobody would see it but by the clock."""
    for case in cases():
        parsed = case.parsed()
        travelled = pickle.loads(pickle.dumps(parsed))

        assert _without_documents(travelled) == _without_documents(parsed)
        assert [*map(_told, _documents(travelled))] == [*map(_told, _documents(parsed))]


def test_step_types_of_plug_ins_travel_with_the_documents_that_may_use_them() -> None:
    greeting = StepType("sample.greet", inputs={})
    project = read(b"{apiVersion: opsconductor/v1, kind: Project, metadata: {name: p}}", "opsconductor.yaml")
    [document] = knowing(project.documents, {"sample.greet": greeting})

    assert pickle.loads(pickle.dumps(document)).plugged == {"sample.greet": greeting}


def _documents(parsed: ParsedFile) -> tuple[Authored, ...]:
    return (*parsed.documents, *parsed.mended)


def _without_documents(parsed: ParsedFile) -> ParsedFile:
    return replace(parsed, documents=(), mended=())


def _told(authored: Authored) -> tuple[object, ...]:
    places = (authored.places.layout.data, authored.places.index)
    return authored.document, authored.file, authored.index, places, repr(authored.holes), authored.plugged
