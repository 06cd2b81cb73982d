"""What a large document costs: by its size, and little more than it takes libyaml to look at it."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time

import pytest
from yaml._yaml import CParser

from engine.compile import compile_files
from engine.expressions.expression import compile_text
from schemas.characters import MAX_BYTES
from schemas.reader import ParsedFile, read

PROJECT = """\
apiVersion: opsconductor/v1
kind: Project
metadata: {name: p}
---
apiVersion: opsconductor/v1
kind: Target
metadata: {name: here}
spec: {connections: {local: {}}}
"""
AT_MOST = 6
"""Times the bare scan."""
WITH_FINDINGS = 9
"""Times the bare scan, where the places of findings are looked up, which takes a second look at the file."""


def _head(kind: str) -> str:
    return f"apiVersion: opsconductor/v1\nkind: {kind}\nmetadata: {{name: large}}\nspec:\n"


def _filled(head: str, line: Callable[[int], str], size: int = MAX_BYTES) -> bytes:
    """As many lines as fit."""
    lines, left, number = [head], size - len(head), 0
    while (left := left - len(one := line(number))) >= 0:
        lines.append(one)
        number += 1
    return "".join(lines).encode()


FACTS = _head("Target") + "  connections: {local: {}}\n  facts:\n"
STEPS = _head("Job") + "  targets: {names: [here]}\n  params: {a: {type: integer}}\n  steps:\n"
TEXT = "x" * 80
SHAPES: dict[str, Callable[[], bytes]] = {
    "many small mappings": lambda: _filled(FACTS, lambda n: f"    k{n}: {{name: host-{n:06d}, note: {TEXT}}}\n"),
    "one long list": lambda: _filled(FACTS + "    all:\n", lambda n: f"      - item-{n:08d}\n"),
    "one long line": lambda: _filled(FACTS + "    all: [", lambda n: f"item-{n:08d}-{n:08d}, ") + b"]\n",
    "deep": lambda: _filled(FACTS + "    all:\n", lambda n: f"      - {'[' * 50}{TEXT * 30}{']' * 50}\n"),
    "many texts": lambda: _filled(FACTS, lambda n: f"    key-{n:06d}: the value of {n}\n"),
    "many numbers": lambda: _filled(FACTS, lambda n: f"    key-{n:012d}: {n}.5e3\n"),
    "quoted texts": lambda: _filled(FACTS, lambda n: f'    "key-{n:06d}": "the \\"value\\" of {n}"\n'),
    "long block texts": lambda: _filled(FACTS, lambda n: f"    k{n}: |\n" + f"      {TEXT}\n" * 2_900),
    "many steps": lambda: _filled(STEPS, lambda n: f"    - run: echo {TEXT} {TEXT} {TEXT} {n}\n"),
}

WRONG: dict[str, Callable[[], bytes]] = {
    "unknown names": lambda: _filled(_head("TargetGroup") + "  names:\n", lambda n: f"    - web-{n:06d}-abcdefgh\n"),
    "unknown fields": lambda: _filled(_head("RunnerPool"), lambda n: f"  field-{n:06d}: {TEXT}\n"),
    "one mistake in each line": lambda: _filled(FACTS, lambda n: f"    k{n}: 00{n}\n"),
}


def _scanned(data: bytes) -> None:
    parser = CParser(data)
    try:
        while parser.get_event() is not None:
            pass
    finally:
        parser.dispose()


def _validated(data: bytes, project: ParsedFile) -> None:
    compile_text.cache_clear()  # nobody has read these expressions before
    compile_files("c0ffee", [read(data, "large.yaml"), project])


@contextmanager
def _no_garbage() -> Iterator[None]:
    """As `validate` does it: what else this process holds does not count."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _seconds(work: Callable[[], None]) -> float:
    start = process_time()
    work()
    return process_time() - start


@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_costs_little_more_than_its_scan(shape: str) -> None:
    """A ratio within one run: a machine that is fast or busy changes nothing."""
    data, project = SHAPES[shape](), read(PROJECT.encode(), "opsconductor.yaml")
    with _no_garbage():
        ratio = _ratio(lambda: _validated(data, project), lambda: _scanned(data), AT_MOST)

    assert ratio <= AT_MOST


@pytest.mark.parametrize("shape", WRONG)
def test_a_megabyte_full_of_mistakes_costs_little_more(shape: str) -> None:
    data, project = WRONG[shape](), read(PROJECT.encode(), "opsconductor.yaml")
    with _no_garbage():
        ratio = _ratio(lambda: _validated(data, project), lambda: _scanned(data), WITH_FINDINGS)

    assert ratio <= WITH_FINDINGS


def _ratio(work: Callable[[], None], measure: Callable[[], None], enough: float) -> float:
    """Of the least times of each in turn: two rounds, and more while a busy machine shows too much."""
    ours, theirs = float("inf"), float("inf")
    for number in range(25):
        ours, theirs = min(ours, _seconds(work)), min(theirs, _seconds(measure))
        if number >= 1 and ours / theirs <= enough:
            break
    return ours / theirs


def _docs(size: int) -> bytes:
    head = "apiVersion: opsconductor/v1\nkind: RunnerPool\nmetadata: {{name: p{0}, description: {1}}}\n---\n"
    note = "-----BEGIN OPENSSH PRIVATE KEY----- " + "x" * 4_000
    return _filled("", lambda n: head.format(n, note), size)


GROWING: dict[str, Callable[[int], bytes]] = {
    "expressions in steps": lambda size: _filled(STEPS, lambda n: f"    - run: echo ${{{{ params.a + {n} }}}}\n", size),
    "conditions": lambda size: _filled(STEPS, lambda n: f"    - {{run: 'true', if: params.a > {n}}}\n", size),
    "one long script": lambda size: _filled(
        STEPS + "    - run: |\n        echo ${{ params.a }}\n", lambda n: f"        echo \"line $x\" 'of' {n}\n", size
    ),
    "expressions that never end": lambda size: _filled(
        STEPS + "    - run: |\n        ${{ \n", lambda n: "        \\'''\n", size
    ),
    "documents with keys in them": _docs,
}


@pytest.mark.parametrize("shape", GROWING)
def test_four_times_the_size_is_not_sixteen_times_the_cost(shape: str) -> None:
    """What a shell or an expression may mean takes longer than a scan, and no longer by size. Quadratic would be 16."""
    small, large = GROWING[shape](30_000), GROWING[shape](120_000)
    project = read(PROJECT.encode(), "opsconductor.yaml")
    _validated(small, project)
    with _no_garbage():
        ratio = _ratio(lambda: _validated(large, project), lambda: _validated(small, project), 5)

    assert ratio <= 5
