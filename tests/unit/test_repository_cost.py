"""What many documents cost together: by their size, and not by who is named times who might be."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from time import process_time

import pytest

from engine.changes.impact import impact
from engine.compile import Compiled, compile_files
from engine.expressions.expression import compile_text
from schemas.guesses import MOST_COMPARED, Guesses, Names
from schemas.reader import ParsedFile, read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {defaults: {timeZone: UTC}}\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
AT_MOST = 8
"""Times the cost, for four times the size: linear would be 4, quadratic 16."""


def _document(kind: str, name: str, spec: str, more: str = "") -> str:
    return f"apiVersion: opsconductor/v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\nspec: {spec}\n"


def _targets(count: int, more: str = "") -> Iterator[str]:
    return (_document("Target", f"a-rather-long-name-{n:05}", "{connections: {local: {}}}", more) for n in range(count))


def _all(names: Iterator[str]) -> str:
    return ", ".join(names)


def _wrong_names(size: int) -> Iterator[str]:
    yield from _targets(size * 10)
    for n in range(size):
        yield _document(
            "TargetGroup", f"g{n}", f"{{names: [{_all(f'a-rather-long-nome-{n}-{m}' for m in range(20))}]}}"
        )


def _wrong_params(size: int) -> Iterator[str]:
    count = size * 5
    declared = _all(f"parameter_{n}: {{type: string}}" for n in range(count))
    yield _document("Job", "j", f"{{params: {{{declared}}}, steps: [{{uses: dummy}}]}}")
    given = _all(f"paramater_{n}: 1" for n in range(count))
    yield _document("Schedule", "s", f"{{jobRef: j, every: 1h, params: {{{given}}}}}")


def _wrong_needs(size: int) -> Iterator[str]:
    count = size * 5
    nodes = _all(f"node_number_{n}: {{wait: 1s, needs: [noode_numbar_{n}]}}" for n in range(count))
    yield _document("Workflow", "w", f"{{jobs: {{{nodes}}}}}")


def _wrong_in_expressions(size: int) -> Iterator[str]:
    steps = _all(f"{{id: step_number_{n}, uses: dummy, if: 'steps.steb_{n}.state == \"x\"'}}" for n in range(size * 4))
    yield _document("Job", "j", f"{{steps: [{steps}]}}")


def _many_required(size: int) -> Iterator[str]:
    params = _all(f"p{n}: {{type: string}}" for n in range(size * 20))
    yield _document("Job", "j", f"{{params: {{{params}}}, steps: [{{uses: dummy}}]}}")
    for n in range(size * 5):
        yield _document("Schedule", f"s{n}", "{jobRef: j, every: 1h}")


def _outputs(size: int) -> Iterator[str]:
    count = size * 10
    outputs = _all(f"o{n}: x" for n in range(count))
    steps = _all(f"{{uses: dummy, if: 'steps.first.outputs.o{n} == \"x\"'}}" for n in range(count // 2))
    yield _document("Job", "j", f"{{steps: [{{id: first, uses: dummy, outputs: {{{outputs}}}}}, {steps}]}}")


def _former_names(size: int) -> Iterator[str]:
    for n in range(size * 2):
        former = _all(f"p{n}-{m}" for m in range(20))
        yield _document("Target", f"t{n}", "{connections: {local: {}}}", f", previousNames: [{former}]")
    for n in range(size):
        yield _document("TargetGroup", f"g{n}", f"{{names: [{_all(f'zz{m}' for m in range(20))}]}}")


def _chain_of_groups(size: int) -> Iterator[str]:
    count = size * 8
    yield from _targets(1)
    for n in range(count):
        below = f"groups: [g{n + 1}]" if n < count - 1 else "names: [a-rather-long-name-00000]"
        yield _document("TargetGroup", f"g{n}", f"{{{below}}}")
        yield _document("Job", f"j{n}", f"{{targets: {{groups: [g{n}]}}, steps: [{{uses: dummy}}]}}")


def _conditions(size: int) -> Iterator[str]:
    yield from _targets(size * 10)
    conditions = _all(f"{{key: k{n}, operator: DoesNotExist}}" for n in range(size * 20))
    chosen = f"{{selector: {{matchExpressions: [{conditions}]}}}}"
    yield _document("Job", "j", f"{{targets: {chosen}, steps: [{{run: 'true'}}]}}")


def _steps_and_targets(size: int) -> Iterator[str]:
    yield from _targets(size * 10)
    steps = _all("{run: 'true', connection: local}" for _ in range(size * 20))
    yield _document("Job", "j", f"{{targets: {{selector: {{}}}}, steps: [{steps}]}}")


def _restricted(size: int) -> Iterator[str]:
    yield _document("RunnerPool", "site", "{maxRuns: 3}")
    for n in range(size * 3):
        yield _document("Credential", f"c{n}", "{type: ssh, from: {file: k}, pools: [site]}")
        ssh = f"{{credentialRef: c{n}, hostKeys: ['{KEY}']}}"
        yield _document("Target", f"t{n}", f"{{host: x, connections: {{ssh: {ssh}}}}}")
    for n in range(size * 3):
        spec = "{runsOn: {pool: site}, targets: {selector: {}}, steps: [{run: 'true'}]}"
        yield _document("Job", f"j{n}", spec)


def _dates(size: int) -> Iterator[str]:
    days = _all(f'"{2000 + n // 300:04}-{1 + n % 12:02}-{1 + n % 25:02}"' for n in range(size * 40))
    yield _document("Calendar", "c", f"{{dates: [{days}]}}")
    yield _document("Job", "j", "{steps: [{uses: dummy}]}")
    for n in range(size * 2):
        yield _document("Schedule", f"s{n}", "{jobRef: j, cron: '0 0 30 2 *', calendars: {only: [c]}}")


def _selectors_of_jobs(size: int) -> Iterator[str]:
    for n in range(size * 4):
        yield _document("Job", f"j{n}", "{steps: [{uses: dummy}]}", ", labels: {a: b}")
        allowed = f"{{matchLabels: {{a: c{n}}}}}"
        yield _document("Credential", f"c{n}", f"{{type: ssh, from: {{file: k}}, allowedFor: {allowed}}}")


def _windows_and_limits(size: int) -> Iterator[str]:
    yield from _targets(size * 40, ", labels: {env: prod}")
    chosen = "{selector: {matchLabels: {env: prod}}}"
    for n in range(size // 2):
        clock = f"cron: '{n % 60} {n % 24} * * 0', duration: 1h"
        yield _document("Window", f"d{n}", f"{{effect: deny, {clock}, targets: {chosen}}}")
        yield _document("Window", f"a{n}", f"{{effect: allow, cron: '0 0 * * *', duration: 12h, targets: {chosen}}}")
    for n in range(size * 10):
        yield _document("Job", f"j{n}", f"{{targets: {chosen}, steps: [{{uses: dummy}}]}}")
        limit = f"{{selector: {{}}, exclude: {{names: [a-rather-long-name-{n:05}]}}}}"
        yield _document("Schedule", f"s{n}", f"{{jobRef: j{n}, cron: '{n % 60} 3 * * *', limit: {limit}}}")


GROWING: dict[str, tuple[Callable[[int], Iterator[str]], int]] = {
    "wrong names": (_wrong_names, 20),
    "wrong params": (_wrong_params, 20),
    "wrong needs": (_wrong_needs, 10),
    "wrong names in expressions": (_wrong_in_expressions, 15),
    "params that nobody must give": (_many_required, 60),
    "outputs": (_outputs, 100),
    "former names": (_former_names, 40),
    "a chain of groups": (_chain_of_groups, 40),
    "conditions and targets": (_conditions, 50),
    "steps and targets": (_steps_and_targets, 120),
    "credentials and jobs": (_restricted, 25),
    "selectors of jobs": (_selectors_of_jobs, 60),
    "schedules and dates": (_dates, 20),
    "windows, schedules and targets": (_windows_and_limits, 12),
}
"""With the size at which what would grow by its square stands out."""


def _files(documents: Iterator[str]) -> list[ParsedFile]:
    texts = list(documents)
    together = ("---\n".join(texts[start : start + 250]) for start in range(0, len(texts), 250))
    return [
        read(PROJECT.encode(), "opsconductor.yaml"),
        *(read(t.encode(), f"{n}.yaml") for n, t in enumerate(together)),
    ]


def _seconds(make: Callable[[], list[ParsedFile]]) -> float:
    files = make()
    compile_text.cache_clear()
    gc.collect()
    start = process_time()
    compile_files("c0ffee", files)
    return process_time() - start


@pytest.mark.parametrize("shape", GROWING)
def test_four_times_the_documents_are_not_sixteen_times_the_cost(shape: str) -> None:
    make, size = GROWING[shape]
    _seconds(lambda: _files(make(2)))  # what is loaded once
    small = large = float("inf")
    for number in range(12):
        small = min(small, _seconds(lambda: _files(make(size))))
        large = min(large, _seconds(lambda: _files(make(4 * size))))
        if number >= 1 and large <= AT_MOST * small:
            break

    assert large <= AT_MOST * small


def test_conditions_over_many_targets_are_not_held_as_so_many_names() -> None:
    """Conditions times targets is a bit each at the most, and not a place in a set."""

    def peak(size: int) -> int:
        files = _files(_conditions(size))
        tracemalloc.start()
        compile_files("c0ffee", files)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(80) <= AT_MOST * peak(20)


def test_who_leans_on_a_credential_is_found_among_many() -> None:
    def compiled(size: int) -> Compiled:
        documents = [_document("Credential", "c", "{type: ssh, from: {file: k}}")]
        for n in range(size):
            ssh = f"{{credentialRef: c, hostKeys: ['{KEY}']}}"
            documents.append(_document("Target", f"t{n}", f"{{host: x, connections: {{ssh: {ssh}}}}}"))
            documents.append(_document("Job", f"j{n}", f"{{targets: {{names: [t{n}]}}, steps: [{{run: 'true'}}]}}"))
            documents.append(_document("Schedule", f"s{n}", f"{{jobRef: j{n}, every: 1h, limit: {{names: [t{n}]}}}}"))
        return compile_files("c0ffee", _files(iter(documents)))

    def seconds(of: Compiled) -> float:
        assert of.catalog is not None
        start = process_time()
        found = impact(of.catalog, "Credential", "c")
        assert found is not None and len(found) == 3 * len(of.catalog.targets)
        return process_time() - start

    few, many = compiled(150), compiled(600)
    ratios = (min(seconds(many) for _ in range(3)) / min(seconds(few) for _ in range(3)) for _ in range(4))
    assert any(ratio <= AT_MOST for ratio in ratios)


# --- guesses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [3, 30, 20_000])
def test_a_guess_looks_at_few_names_however_many_are_known(known: int) -> None:
    names = Names(f"web-server-{n:05}.example" for n in range(known))

    assert len(names.like("web-sever-00002.example")) <= 16
    assert names.near("web-sever-00002.example") == "web-server-00002.example"  # a letter is missing
    assert names.near("web-server-00002.exmaple") == "web-server-00002.example"  # two have changed places
    assert names.near("nothing-like-it") is None


def test_the_hints_of_one_document_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many mistakes it has: what is compared is counted."""
    compared = 0
    ratio = SequenceMatcher.real_quick_ratio

    def counted(self: SequenceMatcher[str]) -> float:
        nonlocal compared
        compared += 1
        return ratio(self)

    monkeypatch.setattr(SequenceMatcher, "real_quick_ratio", counted)
    guesses, known = Guesses(), [f"web-{n}" for n in range(1_000)]
    hints = [guesses.hint(f"wep-{n}", known) for n in range(1_000)]

    assert compared <= MOST_COMPARED + 16
    assert hints[0] == "did you mean 'web-0'?"
    assert hints[-1] == ""


def test_a_document_has_the_same_hints_whatever_was_checked_before_it() -> None:
    names = _all(f"a-rather-{m}" for m in range(60))
    wrong = [_document("TargetGroup", f"g{n}", f"{{names: [{names}]}}") for n in range(3)]
    texts = {f"{n}.yaml": text for n, text in enumerate((*_targets(30), *wrong))}
    files = [read(text.encode(), file) for file, text in {"opsconductor.yaml": PROJECT, **texts}.items()]

    alone = compile_files("1", [*files[:-3], files[-1]])
    together = compile_files("2", files)

    mine = [found for found in together.findings if found.span.file == files[-1].file]
    assert mine == list(alone.findings)
    assert len(mine) == 60
