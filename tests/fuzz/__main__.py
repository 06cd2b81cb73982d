"""`python -m tests.fuzz TARGET [--long SECONDS] [--count N] [--seed N]`."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.mutations import CORPUS, TOKENS, corpus, mutated

CASES = Path(__file__).parents[1] / "cases"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TOKENS))
    parser.add_argument("--long", type=int, metavar="SECONDS", help="fuzz with atheris for so long")
    parser.add_argument("--count", type=int, default=5_000, help="mutations in the ordinary mode")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    return (
        long(chosen.target, chosen.long, chosen.seed)
        if chosen.long
        else short(chosen.target, chosen.seed, chosen.count)
    )


def short(name: str, seed: int, count: int) -> int:
    from tests.fuzz.targets import TARGETS

    for data in (*corpus(name), *mutated(name, seed, count)):
        try:
            TARGETS[name](data)
        except Exception:
            print(f"python -m tests.fuzz {name} failed with {data!r}", file=sys.stderr)
            raise
    print(f"{name}: the corpus and {count} mutations of it, seed {seed}")
    return 0


def long(name: str, seconds: int, seed: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["schemas", "engine"]):
        from tests.fuzz.targets import TARGETS

    with TemporaryDirectory() as folder:
        words = Path(folder, "words")
        words.write_text("\n".join(f'"{_escaped(word)}"' for word in TOKENS[name]) + "\n")
        found = Path(folder, "found")
        found.mkdir()
        options = (
            f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-dict={words}", "-max_len=4096", "-timeout=20",
            "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={CORPUS / name}/found-",
        )  # fmt: skip
        atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / name)], TARGETS[name])
        atheris.Fuzz()
    return 0


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    sys.exit(main())
