"""The work of binding is linear in the length of a script, whatever the script holds."""

import gc
import time
from collections.abc import Callable

import pytest

from engine.expressions.syntax import find_end
from engine.scripts.binding import MAX_FOLLOWED, Bound, bind, evaluated_env
from engine.scripts.posix_shell import plain
from engine.scripts.posix_shell.pieces import HOLE
from engine.scripts.posix_shell.scan import readings
from engine.scripts.posix_shell.table import PROGRAMS
from schemas.job import Shell

ENOUGH = 9
"""Times the work for four times the script: it is linear, and measured on a machine that does other things."""
SIZE = 16_000
"""Characters of the smaller script; the larger one has four times as many."""
SHORTER = SIZE // 2
"""The same where a script of four times as many is to be read by `bind`, which refuses those that are too long."""

# Each makes a script of about n characters.
SHAPES: dict[str, Callable[[int], str]] = {
    "here-documents": lambda n: "cat <<E\n$x\nE\n" * (n // 13) + f"echo {HOLE}",
    "here-documents-of-one-line": lambda n: "cat" + " <<E" * (n // 6) + "\n" + "E\n" * (n // 6) + f"echo {HOLE}",
    "substitutions-in-here-documents": lambda n: "cat <<E\n$(echo a)\nE\n" * (n // 20) + f"echo {HOLE}",
    "nested-quotes": lambda n: ("echo " + '"$(echo ' * 15 + "x" + ')"' * 15 + "\n") * (n // 156) + f"echo {HOLE}",
    "one-long-quote": lambda n: 'echo "' + "\\a$x" * (n // 4) + f'{HOLE}"',
    "backslashes": lambda n: "echo " + "\\a" * (n // 2) + HOLE,
    "continued-lines": lambda n: "echo " + "\\\n" * (n // 2) + HOLE,
    "dollars": lambda n: "echo " + "$" * n + f" {HOLE}",
    "parentheses": lambda n: "(" * (n // 2) + f"echo {HOLE}" + ")" * (n // 2),
    "nested-parameters": lambda n: "echo " + ("${x:-" * 30 + "}" * 30) * (n // 180) + f" {HOLE}",
    "substitutions-after-a-name": lambda n: "echo " + "a" * (n // 2) + "$(x)" * (n // 8) + HOLE,
    "an-element-that-does-not-end": lambda n: "a[" + "$(x)" * (n // 4) + HOLE,
    "words": lambda n: "x " + "a " * (n // 2) + HOLE,
    "words-and-values": lambda n: "x" + (" a" * (n // 400) + f" {HOLE}") * 200,
    "runners": lambda n: "x " + "sudo -n " * (n // 8) + HOLE,
    "interpreters": lambda n: "x " + "perl -x awk find " * (n // 17) + HOLE,
    "commands-that-take-data": lambda n: "x " + "printf test [[ " * (n // 15) + HOLE,
    "readers-of-input": lambda n: f"echo {HOLE} | x " + "sh y xargs z ssh q w " * (n // 20),
    "an-option": lambda n: "x -" + "c" * n + f"1 {HOLE}",
    "commands-that-find-starts": lambda n: "find . " + "-exec sudo -u " * (n // 14) + HOLE,
    "runners-that-find-starts": lambda n: "find . " + "-exec env " * (n // 10) + HOLE,
    **{
        f"find-that-starts-{name}": lambda n, unit=f"-exec {name} ": "find . " + unit * (n // 4 // len(unit)) + HOLE
        for name, one in PROGRAMS.items()
        if one.runs
    },
    "pipes": lambda n: f"echo {HOLE} | cat" + f" | x {HOLE} | sort" * (n // 14),
    "variables-that-flow": lambda n: f"v0={HOLE}\n" + "".join(f"v{i + 1}=$v{i}\n" for i in range(n // 14)) + "((v9))",
    "variables-from-many": lambda n: f"v={HOLE}\n" + "v=$v$x$y\n" * (n // 9) + "((v))",
    "arithmetic": lambda n: f"v={HOLE}\n" + "echo $((w + ${x[1]}))\n" * (n // 21),
    "words-of-an-assignment": lambda n: f"v={HOLE}" + "$(w=$x)" * (n // 7) + "\n((w))",
    "variables-in-words": lambda n: f"v={HOLE}\nx" + ' "$v"' * (n // 5),
    **{
        f"variables-in-words-of-{name}": lambda n, name=name: f"v={HOLE}\n{name}" + " $v $w" * (n // 6)
        for name in ("sed", "git", "awk", "ssh", "wait", "sh -c", "[", "printf", "f() { f $@; }; f", "set --")
    },
    "variables-that-are-evaluated": lambda n: f"v={HOLE}\n" + 'eval "$w"\nw=$x\n' * (n // 15),
    "functions-that-run-arguments": lambda n: (
        "".join(f'f{i}() {{ f{i + 1} "$@"; }}\n' for i in range(n // 25)) + f'f{n // 25}() {{ "$@"; }}\nf0 ls {HOLE}'
    ),
    "calls-of-a-function": lambda n: f'f() {{ shift; "$@"; }}\nf a ls {HOLE}\n' + "f a ls $v\n" * (n // 10),
    "scripts-in-quotes": lambda n: f"v={HOLE}\n" + "".join(f"sh -c 'ls $w{i}'\n" for i in range(n // 18)),
    "scripts-in-backquotes": lambda n: f"v={HOLE}\n" + "".join(f"x=`ls $w{i}`\n" for i in range(n // 14)),
    "scripts-in-scripts": lambda n: (
        f"v={HOLE}\n"
        + "".join(f"sh <<'E{i}'\n" for i in range(n // 24))
        + "ls $w\n"
        + "".join(f"E{i}\n" for i in reversed(range(n // 24)))
    ),
    "arrays": lambda n: f"a=(ls {HOLE})\n" + 'a+=("$v")\n"${a[@]}"\n' * (n // 21),
    "checks": lambda n: "case $n in *[!0-9]*) ;; esac\n" * (n // 29) + f"n={HOLE}\n((n))",
    "almost-checks": lambda n: "case $n in " * (n // 11) + HOLE,
    "tests-of-many-names": lambda n: (
        f"v={HOLE}\n" + "".join(f"case $n{i} in *[!0-9]*) exit 2;; esac; m=$n{i}\n" for i in range(n // 48)) + "((m))"
    ),
    "tests-and-assignments": lambda n: f"n={HOLE}\n" + "[[ $n =~ ^[0-9]+$ ]] || exit 2\nn=$m; ((n))\n" * (n // 48),
    "uses-after-a-test": lambda n: f"n={HOLE}\ncase $n in *[!0-9]*) exit 2;; esac\n" + "((n))\n" * (n // 6),
    "an-arm-that-does-not-end": lambda n: (
        f"n={HOLE}\n[[ $n =~ ^[0-9]+$ ]] || {{ " + 'echo "$a b" c; ' * (n // 15) + "}"
    ),
    "blocks": lambda n: f"n={HOLE}\n" + "if a; then { (b); }; fi\n" * (n // 24) + "((n))",
    "blocks-in-blocks": lambda n: f"n={HOLE}\n" + "{ if a; then " * (n // 24) + "((n))" + "; fi; }" * (n // 24),
    "outputs-of-functions": lambda n: f"f() {{ echo {HOLE}; }}\n" + 'x=$(f); y="$(f)"\n' * (n // 18) + "((x))",
    "settings-of-git": lambda n: "git config " + "-c a=b " * (n // 7) + HOLE,
    "brackets-that-go-to-files": lambda n: (
        f"x={HOLE}\n" + "".join(f'{{ echo "$x"; }} > f{i}\n' for i in range(n // 22)) + "ls f1"
    ),
    "assignments-in-brackets": lambda n: (
        f"x={HOLE}\n" + "".join(f"{{ printf 'A=%q\\n' \"$x\"; }} > f{i}; . ./f{i}\n" for i in range(n // 46)) + "ls"
    ),
    "files-in-a-folder": lambda n: (
        "".join(f"echo {HOLE if i == 0 else '$x'} > d/f{i}\nx=$(grep a d)\n" for i in range(n // 31)) + "ls"
    ),
    "what-may-read-the-input": lambda n: (
        f"x={HOLE}\n" + "".join(f"{{ cat | tool{i}; }} | sh -c 'a; cat'\n" for i in range(n // 35)) + "ls"
    ),
    "numbers-that-commands-print": lambda n: (
        f"v={HOLE}\n" + 'n=$(ls "$v" | wc -l); echo $((n + $(wc -l < $v)))\n' * (n // 50) + "((n))"
    ),
    "numbers-in-one-word": lambda n: f"v={HOLE}\n" + 'x="' + " $(wc -l < $v)" * (n // 14) + '"; ((x))',
    "numbers-within-others": lambda n: (
        f"v={HOLE}\n" + ("x=" + "$(wc -l < $(" * 8 + "$v" + "))" * 8 + "\n") * (n // 120) + "((x))"
    ),
    "filters-of-numbers": lambda n: f"x=$(wc -l < {HOLE}" + " | cat" * (n // 6) + "); ((x))",
    "functions-that-are-given-numbers": lambda n: (
        f"v={HOLE}\n" + "".join(f'f{i}() {{ local n=$1; shift; ((n)); }}\nf{i} 3 "$v"\n' for i in range(n // 50))
    ),
    "calls-that-give-numbers": lambda n: (
        f"f() {{ local n=$1; shift; ((n)); }}\nv={HOLE}\n" + 'f 3 "$v" || echo "f $v"\n' * (n // 24)
    ),
    "numbers-that-arguments-set": lambda n: "f() {\nn=$1; ((n))\n" + "n=$1\n" * (n // 5) + f"}}\nf 3 {HOLE}",
    "descriptors": lambda n: "1" * (n // 2) + "x" + " >1" * (n // 6) + f" {HOLE}",
}


_LONG = frozenset({"scripts-in-quotes", "scripts-in-backquotes", "words-and-values", "calls-of-a-function", "blocks"})
"""Those that take longest are left to the slow lane."""


@pytest.mark.parametrize(
    "shape", [pytest.param(name, marks=pytest.mark.slow) if name in _LONG else name for name in SHAPES]
)
def test_the_scanner_takes_time_in_proportion_to_the_script(shape: str) -> None:
    """Four times the script is four times the work; sixteen times were a script that blocks whoever validates it."""
    small, large = SHAPES[shape](SIZE), SHAPES[shape](4 * SIZE)
    assert _ratio(lambda: _seconds(large), lambda: _seconds(small)) < ENOUGH


@pytest.mark.parametrize(
    "unit",
    [
        "a ", "a\n", "a;", "a\"a\"", "a'a'", '"$x" ', "\\\n", "# ", "if ", "if\n#\n", "x=a ", "x= ", "1", "1>f ",
        "$(a)", "$(", "$(a ", "${x:-a}", '"\\a', "-a --b", "--a-", "[ a ]\n", '[ "a" = "$x" ]; ', "printf a $x|",
        "tool $x;", "rsync $x ", "sed a | ", "a[", "'[", "read a\n", "a &&\n\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ends", [True, False])
def test_a_plain_script_is_told_from_others_in_proportion_to_its_length(unit: str, ends: bool) -> None:
    def seconds(size: int) -> float:
        script = f"echo {HOLE}\n" + unit * (size // len(unit)) + ("a" if ends else "((")
        begin = time.process_time()
        plain.readings(script)
        return time.process_time() - begin

    assert _ratio(lambda: seconds(4 * SIZE), lambda: seconds(SIZE)) < ENOUGH


@pytest.mark.parametrize(
    "unit",
    [
        "<#\n",
        '@"\n',
        "@'\n",
        '"`',
        "$(",
        "a ",
        "\n",
        "\n|",
        "$a=$b;iex $c;",
        "$a\n& $b\n",
        "&'a'",
        ". ''",
        '"$(a"',
        "--% a\n",
        ".\\x.ps1 a > y.txt\n",
        "cp a.txt x.ps1;",
        "pwsh -File a ",
        "-a\n",
    ],
)
def test_a_powershell_script_is_read_in_proportion_to_its_length(unit: str) -> None:
    assert _ratio(lambda: _seconds_to_bind(unit, 4 * SHORTER), lambda: _seconds_to_bind(unit, SHORTER)) < ENOUGH


@pytest.mark.parametrize("unit", ["$a=$env:X;", "{$a=$env:X}", "iex $a\n", "pwsh ", "& $a ", '& "'])
def test_the_env_of_a_powershell_script_is_followed_in_proportion_to_its_length(unit: str) -> None:
    def seconds(size: int) -> float:
        script = "& {" + unit * (size // len(unit)) + "\n}; iex $env:X"
        begin = time.process_time()
        evaluated_env(script, "powershell", {"X": "${{ params.x }}", str(begin): "a"})
        return time.process_time() - begin

    assert _ratio(lambda: seconds(4 * SIZE), lambda: seconds(SIZE)) < ENOUGH


@pytest.mark.parametrize(
    "unit",
    ["a[0] = a[1]\n", "a.append(b); b.append(a)\n", "a = b; b = c; c = a\n", "c = ['ls', *c]\n", "a.x.y = b\n"],
)
def test_what_is_evaluated_is_proven_in_proportion_to_the_length(unit: str) -> None:
    def script(size: int) -> str:
        begin = "import os\na = []; b = []; c = []\n"
        return f"{begin}{unit * (size // len(unit))}os.system(a[0])\na.append(${{{{ e }}}})\n"

    assert _ratio(lambda: _seconds_of(script(4 * SHORTER - 200)), lambda: _seconds_of(script(SHORTER))) < ENOUGH


@pytest.mark.parametrize("unit", ["'a', ", "f(1), ", "['a'], ", "{'a': 1}, ", "('a' + 'b'), ", "run(['a']), "])
def test_a_python_script_is_read_in_proportion_to_its_length(unit: str) -> None:
    def script(size: int) -> str:
        return f"run([${{{{ e }}}}, {unit * (size // len(unit))}])\n"

    assert _ratio(lambda: _seconds_of(script(4 * SHORTER)), lambda: _seconds_of(script(SHORTER))) < 9


@pytest.mark.parametrize(
    ("shell", "unit"),
    [("sh", "``"), ("bash", "`a`"), ("sh", "(a)\n"), ("bash", "$(a)"), ("python3", "a;"), ("powershell", "a|")],
)
def test_a_script_that_is_too_long_to_be_followed_takes_no_expression(shell: Shell, unit: str) -> None:
    start = "echo ${{ e }}\n" if shell in ("sh", "bash") else "print(${{ e }})\n"
    within = start + unit * ((MAX_FOLLOWED - 20) // len(unit))
    beyond = within + unit * 40

    assert "characters" not in str(bind(within, shell))
    refused = bind(beyond, shell)

    assert isinstance(refused, tuple)
    assert "cannot be followed for certain: it has more than 32,768 characters" in refused[0].message
    assert "env:" in refused[0].hint


def test_a_script_that_is_too_long_is_refused_at_once() -> None:
    """One of sixteen times the length takes less than one that is followed."""
    beyond, within = ("echo ${{ e }}\n" + "`a`\n" * number for number in (64_000, 4_000))

    assert _ratio(lambda: _seconds_of(beyond, "sh"), lambda: _seconds_of(within, "sh")) < 1


def test_a_long_script_of_plain_commands_takes_expressions() -> None:
    script = "echo ${{ e }}\n" + "systemctl restart nginx\n" * 5_000

    assert isinstance(bind(script, "bash"), Bound)


def test_what_a_script_evaluates_is_told_of_a_long_one_by_its_lines() -> None:
    script = "(a)\n" * 10_000 + 'eval "$X"\n'

    assert [found.name for found in evaluated_env(script, "sh", {"X": "${{ params.x }}"})] == ["X"]


def test_scripts_that_are_alike_within_a_script_are_read_once() -> None:
    alike = f"v={HOLE}\n" + "x=`ls $w`\n" * 2_000
    different = f"v={HOLE}\n" + "".join(f"x=`ls $w{number}`\n" for number in range(2_000))

    assert _ratio(lambda: _seconds(alike), lambda: _seconds(different)) < 0.7


# Each makes, of about n characters, a script within a script that puts its argument in as often.
WITHIN: dict[str, tuple[Shell, Callable[[int], str]]] = {
    "words": ("sh", lambda n: "sh -c 'ls " + '"$1" ' * (n // 5) + "' _ ${{ e }}"),
    "words of a test": ("bash", lambda n: "bash -c '[[ " + '"$1" == ' * (n // 8) + "a ]]' _ ${{ e }}"),
    "a here-document": ("sh", lambda n: "sh -c 'cat <<E\n" + "$1 " * (n // 3) + "\nE\n' _ ${{ e }}"),
    "words of another shell": ("sh", lambda n: "sh -c 'pwsh -File x " + '"$1" ' * (n // 5) + "' _ ${{ e }}"),
    "a text of python": (
        "python3",
        lambda n: f"import os, shlex\nq = shlex.quote(${{{{ e }}}})\nos.system(f'ls {'{q} ' * (n // 4)}')",
    ),
}


@pytest.mark.parametrize(("shell", "script"), WITHIN.values(), ids=WITHIN)
def test_a_script_with_many_values_within_a_script_is_followed_in_proportion_to_them(
    shell: Shell, script: Callable[[int], str]
) -> None:
    """There may be more of them than a script holds expressions."""
    small, large = script(SHORTER), script(4 * SHORTER)
    assert isinstance(bind(large, shell), Bound)
    assert _ratio(lambda: _seconds_of(large, shell), lambda: _seconds_of(small, shell)) < ENOUGH


@pytest.mark.parametrize("unit", [r"\'", r"\"", r"\'\"", r"'''\'", "{"])
def test_the_end_of_an_expression_is_found_in_proportion_to_its_length(unit: str) -> None:
    r"""A quote that does not close is looked at once: `'\'\'\'...` was read to its end from each quote."""

    def seconds(size: int) -> float:
        text = "'" + unit * (size // len(unit)) + " }}"
        begin = time.process_time()
        for _ in range(20):
            find_end(text, 0)
        return time.process_time() - begin

    assert _ratio(lambda: seconds(4_000), lambda: seconds(1_000)) < ENOUGH


def _seconds_of(script: str, shell: Shell = "python3") -> float:
    begin = time.process_time()
    bind(script, shell)
    return time.process_time() - begin


def _ratio(large: Callable[[], float], small: Callable[[], float]) -> float:
    """Of the least of several of each, and no limit in seconds: what else the machine does makes some larger, not all.
    Two of each, and more while a busy machine shows too much.

    What other tests have left in memory is not looked through meanwhile: that would count by size, too.
    """
    gc.collect()
    gc.disable()
    try:
        most, least = float("inf"), float("inf")
        for number in range(10):
            most, least = min(most, large()), min(least, small())
            if number >= 1 and most / least < ENOUGH:
                break
    finally:
        gc.enable()
    return most / least


def _seconds_to_bind(unit: str, size: int) -> float:
    script = "echo ${{ e }}\n" + unit * (size // len(unit))
    begin = time.process_time()
    bind(script, "powershell")
    return time.process_time() - begin


def _seconds(script: str) -> float:
    holes = [at for at, char in enumerate(script) if char == HOLE]
    begin = time.process_time()
    readings(script, holes, "bash")
    return time.process_time() - begin


_ITEMS = "c=(a b)\n" + "[ x ] && c+=(x y z w v u t)\n" * 15
"""Sixteen commands that one may be, of up to a hundred words."""
_BEGINS = "c=start\n" + "".join(f"[ x ] && c=s{number}\n" for number in range(15))
_USES = {"an array": (_ITEMS, '"${c[@]}"'), "a name put together": (_BEGINS, "${c}ctl")}


@pytest.mark.parametrize(("begins", "command"), _USES.values(), ids=_USES)
def test_commands_that_are_written_alike_are_judged_once(begins: str, command: str) -> None:
    uses = "".join(f'{command} "$x{number}"\n' for number in range(600))

    assert isinstance(bind(f"{begins}{uses}x1=${{{{ e }}}}", "bash"), Bound)


@pytest.mark.parametrize(("begins", "command"), _USES.values(), ids=_USES)
def test_what_commands_may_be_is_looked_into_in_proportion_to_the_script(begins: str, command: str) -> None:
    """A long script may not have as much of it as many short ones have: what is beyond that is refused."""
    few, many = ("".join(f'{command} k{number} "$x"\n' for number in range(count)) for count in (2, 600))

    assert isinstance(bind(f"{begins}{few}x=${{{{ e }}}}", "bash"), Bound)
    assert not isinstance(bind(f"{begins}{many}x=${{{{ e }}}}", "bash"), Bound)


@pytest.mark.parametrize(
    "script",
    [
        'c=(echo)\n"${c[@]}" "$x" a:\nc=(ssh h)\n"${c[@]}" "$x" a:\n',
        'c=(echo)\nf() { "${c[@]}" "$x"; }\ng() { c=(ssh h); }\ng\n"${c[@]}" "$x"\n',
        'c=(echo)\nd=(nice)\n"${d[@]}" "${c[@]}" "$x"\nc=(ssh h)\n"${d[@]}" "${c[@]}" "$x"\n',
        'c=(nice)\ny="ssh h"\n"${c[@]}" $z "$x"\n"${c[@]}" $y "$x"\n',
        'd=(sh -c)\n"${d[@]}" "$y"\n"${d[@]}" "$x"\n',
    ],
)
def test_alike_is_only_what_means_the_same_there(script: str) -> None:
    assert isinstance(
        bind(f"x=${{{{ e }}}}\n{script.replace('ssh h', 'echo').replace('sh -c', 'echo')}", "bash"), Bound
    )
    assert not isinstance(bind(f"x=${{{{ e }}}}\n{script}", "bash"), Bound)
