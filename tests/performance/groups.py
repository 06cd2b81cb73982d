"""How soon the next run of a concurrency group starts when a place becomes free: a line of runs of one group."""

from itertools import pairwise
from pathlib import Path

from tests.catalogs import HEAD, PROJECT, job, local_target
from tests.performance.installed_engine import MAIN, REQUESTS, Source, up
from tests.performance.measuring import milliseconds, percentile
from tests.performance.table import Row, Verdict

_IN_LINE = 40
_GOAL = 0.050
_QUEUED = "  targets: {names: [here]}\n  concurrency: {onConflict: queue}\n"
_ENDED = (
    "SELECT started_at / 1e6, finished_at / 1e6 FROM runs"
    f" WHERE (SELECT count(*) FROM runs WHERE finished_at IS NOT NULL) = {_IN_LINE} ORDER BY started_at"
)


async def rows(folder: Path) -> list[Row]:
    source = Source(folder / "source.git")
    documents = {"here": local_target("here"), "empty": job("empty", ":", _QUEUED)}
    texts = {f"definitions/{name}.yaml": HEAD + it for name, it in documents.items()}
    source.push(MAIN, source.commit(MAIN, {"opsconductor.yaml": PROJECT, **texts}))
    asked = {
        f"requests/ask-{number}.yaml": f"{HEAD}kind: RunRequest\nmetadata: {{name: ask-{number}}}\n"
        "spec: {jobRef: empty}\n"
        for number in range(_IN_LINE)
    }
    async with up(source, folder / "state") as engine:
        source.push(REQUESTS, source.commit(REQUESTS, asked))
        ran = await engine.asked(_ENDED)
    gaps = [float(str(after[0])) - float(str(before[1])) for before, after in pairwise(ran)]
    half, most = percentile(gaps, 50), percentile(gaps, 95)
    return [
        Row(
            f"from the end of a run to the start of the next of its group ({len(gaps)})",
            f"p50 {milliseconds(half)}, p95 {milliseconds(most)}",
            goal=f"p95 {milliseconds(_GOAL)}",
            verdict=Verdict.of(most <= _GOAL),
        )
    ]
