"""Lines of programs that take data are passed over in a script that is followed, and change no verdict."""

import random
import time

import pytest

from engine.scripts.posix_shell.pieces import HOLE, Dialect, Unsure
from engine.scripts.posix_shell.scan import Scan

QUIET = (
    'echo "$x"', "echo $v", 'cat a "b $n"', "mkdir -p /a/5", "grep x y", "ls 'a b'", 'rm -f "$f"', "# c", "", "cd $d",
    'echo "$_"', "echo awk '{system($1)}' $x", "echo sh -c $x", "kill 5",
)  # fmt: skip
OTHERS = (
    "x=X", "n=X", "v=X", "f=$(f)", "x=$n", "((n))", "echo $((x))", 'eval "$v"', 'f() { echo "$x"; }', "f() {", "}",
    'echo() { eval "$@"; }', "f X", 'f "$x"', "y=$(f); ((y))", "case $n in *[!0-9]*) exit 2;; esac", "cat <<E", "E",
    "[[ $n =~ ^[0-9]+$ ]] || exit 2", "$x", "sh <<E", "echo X |", "| sh", "| cat", "sh", "x=$_; ((x))", "((_))", "then",
    'if [ "$n" ]; then', "fi", "for n in X a; do", "done", "done | sh", "while read n; do", "{ echo X", "} | sh",
    'sh -c "ls $x"', "a=(X)", '"${a[@]}"', "a[n]=1", "read x", "exec > >(sh)", "(", ")", "tool X", "sed X", "a &&",
    'trap "rm $x" EXIT', "case X in", "a) echo b", "esac", ";;", 'test "$x"', "PS4=$x", "declare -i n=X", "mapfile x",
)  # fmt: skip


def judged(text: str, dialect: Dialect, *, passes: bool) -> tuple[object, bool]:
    """All that is said of a script, and whether anything in it was passed over."""
    scan = Scan(text, dialect, passes=passes)
    holes = [at for at, char in enumerate(text) if char == HOLE]
    try:
        scan = scan.read()
    except Unsure as unsure:
        return (unsure.reason, [scan.found.get(hole) for hole in holes]), False
    return ([scan.verdict(hole) for hole in holes], scan.sinks), bool(scan.passed)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_passed_over_changes_no_verdict(seed: int) -> None:
    chance, passed = random.Random(seed), 0
    for _ in range(150):
        lines = (chance.choice(QUIET if chance.random() < 0.5 else OTHERS) for _ in range(chance.randrange(3, 14)))
        text = "\n".join((*lines, "")).replace("X", HOLE)
        dialect: Dialect = chance.choice(("sh", "bash"))

        quick, has_passed = judged(text, dialect, passes=True)

        assert quick == judged(text, dialect, passes=False)[0], text
        passed += has_passed
    assert passed > 10


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('f() {{ ls; }}\n{0}f "X"\n', True),
        ("cat <<E\nX\nE\n{0}", True),
        ('echo() {{ eval "$@"; }}\n{0}ls X\n', False),
        ("x=X\ncd a\n{0}y=$_\n((y))\n", False),
        ("f() {{ ls; }}\ncd a\n{0}f X | cat\n", False),
        ("f() {{\ncd a\n{0}}}\nf X\n", False),
        ("x=$(cd a\n{0}); f() {{ ls; }}\nls X", False),
    ],
)
def test_it_is_passed_over_only_where_it_stands_by_itself(script: str, expected: bool) -> None:
    """Not where a function may have its name, where its last word is read, or where it goes through a pipe."""
    text = script.format('echo "a $b" c\n' * 3).replace("X", HOLE)

    quick, passed = judged(text, "bash", passes=True)

    assert passed is expected
    assert quick == judged(text, "bash", passes=False)[0]


def test_a_long_script_with_one_function_costs_little_more_than_one_without() -> None:
    def seconds(*, passes: bool) -> float:
        text = f"f() {{ ls; }}\nf {HOLE}\n" + "".join(f'echo "line $x" {number}\n' for number in range(1_000))
        began = time.process_time()
        judged(text, "bash", passes=passes)
        return time.process_time() - began

    assert min(seconds(passes=True) for _ in range(3)) * 5 < seconds(passes=False)
