"""Bound scripts in real shells: no part of a value is ever executed, and every value arrives as it is."""

import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from schemas.job import Shell
from tests.everyday_scripts import EVERYDAY, EVERYDAY_BASH, NUMERIC, NUMERIC_BASH
from tests.python_scripts import NAMED, RUN
from tests.scripts_by_chance import Scripts, bindable
from tests.scripts_that_run import EVALUATED_BY_BASH, RUN_BY_VARIABLE, RUN_BY_VARIABLE_IN_BASH

CANARY = "pwned"
"""A program on the PATH of every script here; when it runs, it leaves a file behind."""

COMMANDS = [
    f"$({CANARY})",
    f"`{CANARY}`",
    f"; {CANARY}",
    f"& {CANARY} &",
    f"| {CANARY}",
    f"|| {CANARY}",
    f"\n{CANARY}\n",
    f"\r\n{CANARY}\r\n",
    f'"; {CANARY}; "',
    f"'; {CANARY}; '",
    f"'\\''; {CANARY}; '\\''",
    f'\\"; {CANARY} #',
    f"\\'; {CANARY} #",
    f"\\\n{CANARY}",
    f") ; {CANARY} #",
    f"}}; {CANARY} #",
    f";; esac; {CANARY} #",
    f"fi; {CANARY}; if true; then",
    f"EOF\n{CANARY}\n",
    f"\nEOF\n{CANARY}\ncat <<EOF\n",
    f"\tEOF\n{CANARY}",
    f"${{x:-$({CANARY})}}",
    f"$(({CANARY}[$({CANARY})]))",
    f"a[$({CANARY})]",
    f"a[$({CANARY})]=1",
    f"<({CANARY})",
    f"$'\\x24({CANARY})'",
    f"() {{ :; }}; {CANARY}",
    f"#\n{CANARY}",
    f"!{CANARY}",
    f"%({CANARY})",
    f"\\$({CANARY})",
    f"\\\\$({CANARY})",
    f"OC1=$({CANARY})",
    f"'+__import__('os').system('{CANARY}')+'",
    f'"+__import__("os").system("{CANARY}")+"',
    f"'''\n__import__('os').system('{CANARY}')\n'''",
    f"{{__import__('os').system('{CANARY}')}}",
    CANARY,
]
ODD = [
    "",
    " ",
    "  two  spaces  ",
    "\n",
    "\n\n",
    "end\n",
    "\ttab\t",
    "\r",
    "a\r\nb",
    "*",
    "?",
    "[a-z]",
    "~",
    "~root",
    "{a,b}",
    "-n",
    "-e",
    "--",
    "-",
    "=",
    "a=b",
    "#",
    "!",
    "!!",
    "\\",
    "\\\\",
    "\\n",
    "\\0",
    "\\c",
    "%s%n%d",
    "$",
    "$$",
    "$1",
    "${OC1}",
    "$OC1",
    "${{ e }}",
    "'",
    "''",
    '"',
    "'\"'\"'",
    "`",
    "é ü 漢字 \U0001f600",
    "\u2028\u2029\u0085\u00a0",
    "\ufeff",
    "\x01\x02\x7f\x1b[31m",
    "\x7f\x01\x7f",
    "EOF",
    "EOF\n",
    "NaN",
    "True",
    "x" * 65_536,
    "'" * 2_000,
    "\n" * 500,
]
VALUES = COMMANDS + ODD

NASTY = (
    CANARY,
    f"$({CANARY})",
    f"; {CANARY} #",
    f"a[$({CANARY})]",
    f"/; s/.*/{CANARY}/e; s/a/",
    f'system("{CANARY}")',
    f"__import__('os').system('{CANARY}')",
    f"'; {CANARY} #'",
)

# Each script writes what it read to standard output; the second part says what that is for a value.
POSIX = {
    "bare": ("printf '%s' ${{ e }}", "{}"),
    "mid-word": ("printf '%s' pre${{ e }}post", "pre{}post"),
    "twice": ("printf '%s|%s' ${{ e }} ${{ e }}", "{}|{}"),
    "touching": ("printf '%s' ${{ e }}${{ e }}", "{}{}"),
    "double-quoted": ("printf '%s' \"${{ e }}\"", "{}"),
    "double-quoted-among-quotes": ("printf '%s' \"'${{ e }}' \\\"${{ e }}\\\"\"", "'{}' \"{}\""),
    "between-quoted": ("printf '%s' 'a'${{ e }}\"b\"", "a{}b"),
    "here-document": ("cat <<EOF\n${{ e }}\nEOF\n", "{}\n"),
    "here-document-with-text": ("cat <<EOF\na '${{ e }}' \"${{ e }}\" b\nEOF\n", "a '{}' \"{}\" b\n"),
    "here-document-of-two": ("cat <<A; cat <<B\n${{ e }}\nA\n${{ e }}\nB\n", "{}\n{}\n"),
    "here-document-with-tabs": ("cat <<-EOF\n\tx${{ e }}\n\tEOF\n", "x{}\n"),
    "comment": ("# ${{ e }}\nprintf ok # ${{ e }}\n", "ok"),
    "after-dashes": ("printf -- '%s' ${{ e }}", "{}"),
    "option": ("printf '%s' --name=${{ e }}", "--name={}"),
    "assignment": ("x=${{ e }}; printf '%s' \"$x\"", "{}"),
    "assignment-before-command": ("X=${{ e }} printenv X", "{}\n"),
    "export": ("export X=${{ e }}; printenv X", "{}\n"),
    "for": ("for x in a ${{ e }}; do printf '%s;' \"$x\"; done", "a;{};"),
    "case": ("case ${{ e }} in ${{ e }}) printf same ;; *) printf other ;; esac", "same"),
    "case-quoted": ('case x${{ e }} in x"${{ e }}") printf same ;; *) printf other ;; esac', "same"),
    "test": ("[ x${{ e }} = x${{ e }} ] && printf same", "same"),
    "if": ("if test x${{ e }} = y; then printf no; else printf '%s' ${{ e }}; fi", "{}"),
    "function": ("f() { printf '%s' \"$1\"; }; f ${{ e }}", "{}"),
    "subshell": ("( printf '%s' ${{ e }} )", "{}"),
    "braces": ("{ printf '%s' ${{ e }}; }", "{}"),
    "pipe": ("printf '%s' ${{ e }} | cat", "{}"),
    "substitution": ("x=$(printf '%s.' ${{ e }}); printf '%s' \"$x\"", "{}."),
    "quoted-substitution": ("printf '%s' \"$(printf '%s.' \"${{ e }}\")\"", "{}."),
    "here-document-in-substitution": ("x=$(cat <<EOF\n${{ e }}.\nEOF\n)\nprintf '%s' \"$x\"", "{}."),
    "set": ("set -- ${{ e }} b; printf '%s' \"$1\"", "{}"),
    "given-to-sh": ("sh -c 'printf %s \"$1\"' _ ${{ e }}", "{}"),
    "given-to-bash": ('bash -euo pipefail -c \'printf "%s|%s" "$1" $#\' _ ${{ e }}', "{}|1"),
    "given-to-input": ("sh -s -- ${{ e }} <<'E'\nprintf '%s' \"$1\"\nE\n", "{}"),
    "given-by-find": ("find . -maxdepth 0 -exec sh -c 'printf %s \"$1\"' _ ${{ e }} ';'", "{}"),
    "given-to-perl": ("perl -e 'print $ARGV[0]' -- ${{ e }}", "{}"),
    "command-v": ("command -v ${{ e }} > /dev/null; printf ok", "ok"),
    "strict": ("set -eu\nprintf '%s' ${{ e }}", "{}"),
    "after-everything": (
        "x=$((1 + 2)); y=${x:-a}; z=`echo b`; cat <<'E' >/dev/null\n' \" $( `\nE\nprintf '%s' ${{ e }} # '\n",
        "{}",
    ),
}
BASH = {
    "array": ("a=(x ${{ e }}); printf '%s' \"${a[1]}\"", "{}"),
    "array-append": ("a=(); a+=(${{ e }}); printf '%s' \"${a[0]}\"", "{}"),
    "conditional": ("[[ ${{ e }} == ${{ e }} ]] && printf same", "same"),
    "conditional-matching": ("[[ x${{ e }} =~ ^x ]] && printf same", "same"),
    "here-string": ("cat <<< ${{ e }}", "{}\n"),
    "local": ("f() { local x=${{ e }}; printf '%s' \"$x\"; }; f", "{}"),
    "process-substitution": ("cat <(printf '%s' ${{ e }})", "{}"),
    "arithmetic-for": ("for ((i = 0; i < 1; i++)); do printf '%s' ${{ e }}; done", "{}"),
}
PYTHON = {
    "argument": ("import sys\nsys.stdout.buffer.write((${{ e }}).encode())", "{}"),
    "joined": ("import sys\nsys.stdout.buffer.write(('a' + ${{ e }} + \"b\").encode())", "a{}b"),
    "in-a-block": ("import sys\nfor x in [${{ e }}]:\n    sys.stdout.buffer.write(x.encode())", "{}"),
    "in-a-dict": ("import sys\nd = {'k': ${{ e }}}\nsys.stdout.buffer.write(d['k'].encode())", "{}"),
    "comment": ("# ${{ e }}\nprint('ok', end='')  # ${{ e }}", "ok"),
}

PROGRAMS: list[tuple[tuple[str, ...], Shell]] = [
    (("dash",), "sh"),
    (("busybox", "sh"), "sh"),
    (("bash",), "sh"),
    (("bash", "--posix"), "sh"),
    (("bash",), "bash"),
    (("python3",), "python3"),
]
"""What reads a script, and the shell that the step names."""
POSITIONS: dict[Shell, dict[str, tuple[str, str]]] = {"sh": POSIX, "bash": POSIX | BASH, "python3": PYTHON}
CASES = [
    pytest.param(program, shell, *case, id=f"{'-'.join(program)}-for-{shell}-{name}")
    for program, shell in PROGRAMS
    for name, case in POSITIONS[shell].items()
]
NEXT = "@@next@@"
"""Stands in the output after the script of each value, with its exit code."""


def batched(scripts: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(scripts[at : at + size]) for at in range(0, len(scripts), size))


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder to run in, with the canary one level up on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    canary = programs / CANARY
    canary.write_text('#!/bin/sh\n: > "$TRAP/sprung"\n')
    canary.chmod(0o755)
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def run(
    program: str | tuple[str, ...], script: str, trap: Path, *, programs: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """As a runner does: the script on standard input, in a clean environment; or one with no program but the canary."""
    name, *options = (program,) if isinstance(program, str) else program
    found = shutil.which(name)
    assert found is not None, f"{name} is needed for this test"
    path = f"{trap.parent / 'bin'}:/usr/bin:/bin" if programs else str(trap.parent / "bin")
    environment = {"PATH": path, "TRAP": str(trap.parent), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [found, *options],
        input=script.encode(),
        cwd=trap,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def sprung(trap: Path) -> bool:
    return (trap.parent / "sprung").exists()


def one_after_another(bound: Bound, shell: Shell, values: Sequence[str]) -> str:
    """A script that runs the bound one once for each value, in a process of its own where the shell has those."""
    runs = [f"{prelude(shell, [value] * len(bound.holes))}{bound.text}" for value in values]
    if shell == "python3":
        end = f"import sys; sys.stdout.flush(); sys.stdout.buffer.write(b'0{NEXT}'); sys.stdout.flush()"
        return "".join(f"{one}\n{end}\n" for one in runs)
    return "".join(f"(\n{one}\n)\nprintf '%s' \"$?{NEXT}\"\n" for one in runs)


def test_the_canary_sings(trap: Path) -> None:
    """Spliced instead of bound, a value would be noticed."""
    run("dash", f"echo $({CANARY})", trap)
    assert sprung(trap)


@pytest.mark.parametrize(("program", "shell", "script", "expected"), CASES)
def test_a_value_arrives_whole_and_nothing_of_it_runs(
    program: tuple[str, ...], shell: Shell, script: str, expected: str, trap: Path
) -> None:
    bound = bind(script, shell)
    assert isinstance(bound, Bound), bound
    # One variable of the environment and its name are at most 128 KiB on Linux, and on others less.
    values = [value for value in VALUES if "printenv" not in script or len(value) < 65_000]
    done = run(program, one_after_another(bound, shell, values), trap)
    outputs = done.stdout.split(NEXT.encode())
    assert len(outputs) == len(values) + 1, (outputs[-1][-200:], done.stderr[-500:])
    for value, output in zip(values, outputs, strict=False):
        assert output == f"{expected.replace('{}', value)}0".encode(), (value[:80], done.stderr[-300:])
    assert not sprung(trap)
    assert list(trap.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("program", "shell", "script", "expected"), CASES)
def test_a_value_arrives_whole_in_a_shell_of_its_own(
    program: tuple[str, ...], shell: Shell, script: str, expected: str, trap: Path
) -> None:
    """As scripts run: one process, one script, one set of values."""
    bound = bind(script, shell)
    assert isinstance(bound, Bound), bound
    for value in VALUES:
        if "printenv" in script and len(value) > 65_000:
            continue
        done = run(program, prelude(shell, [value] * len(bound.holes)) + bound.text, trap)
        assert done.stdout == expected.replace("{}", value).encode(), (value[:80], done.stderr[-300:])
        assert done.returncode == 0, value[:80]
        assert not sprung(trap), value[:80]


EVERYDAY_CASES = [
    pytest.param(program, shell, script, id=f"{program}-{shell}-{number}")
    for program, shell, scripts in (
        ("dash", "sh", EVERYDAY),
        ("busybox sh", "sh", EVERYDAY),
        ("bash", "sh", EVERYDAY),
        ("bash", "bash", EVERYDAY + EVERYDAY_BASH),
    )
    for number, script in enumerate(batched(scripts, 12))
]


@pytest.mark.parametrize(("program", "shell", "scripts"), EVERYDAY_CASES)
def test_everyday_lines_run_nothing_of_their_values(
    program: str, shell: Shell, scripts: tuple[str, ...], trap: Path
) -> None:
    """No program is found here, so the lines are harmless: what a shell makes of the words is what counts."""
    for number, line in enumerate(scripts):
        bound = bind(line, shell)
        assert isinstance(bound, Bound), line
        done = run(
            tuple(program.split()), one_after_another(bound, shell, COMMANDS[number % 3 :: 3]), trap, programs=False
        )
        assert done.stdout.count(NEXT.encode()) == len(COMMANDS[number % 3 :: 3]), (line, done.stderr[-300:])
        assert not sprung(trap), line


HOSTILE = f"a[$({CANARY})]"


def named_so(trap: Path) -> list[str]:
    """Folders and files whose names are commands or options, and those names."""
    folders = [trap / f"x\n{HOSTILE}", trap / HOSTILE, trap / "-r", trap / f"--printf={HOSTILE}"]
    for folder in folders:
        folder.mkdir()
        (folder / HOSTILE).write_text(f"{HOSTILE} {HOSTILE}\nERROR {HOSTILE}\n")
    (trap / f"{HOSTILE}.log").write_text("ERROR\n")
    return [name for folder in folders for name in (folder.name, f"{folder.name}/{HOSTILE}")]


OPTIONS = ("-r", "-H", "-n", "--help", "--version", "-c%n", f"-c{HOSTILE}", f"--printf={HOSTILE}", "--output=target")


@pytest.mark.parametrize("script", (*NUMERIC, *NUMERIC_BASH))
def test_what_commands_print_of_a_value_runs_nothing(script: str, trap: Path) -> None:
    """With the real programs, values that are their options, and files with such names."""
    bound = bind(script, "bash")
    assert isinstance(bound, Bound)
    for value in (HOSTILE, *named_so(trap), *OPTIONS, ".", "-", ""):
        run("bash", prelude("bash", [value] * len(bound.holes)) + bound.text, trap)
        assert not sprung(trap), value


@pytest.mark.parametrize(
    "command",
    [
        "wc -l ${{ e }} | cut -d' ' -f2",
        "du -s ${{ e }} | cut -f1",
        "grep -c x ${{ e }}",
        "stat -c %s . ${{ e }}",
        "stat -c %n ${{ e }}",
        "grep -c x -- ${{ e }} .",
        "cat ${{ e }} | tr -d 0-9",
    ],
)
def test_what_commands_print_would_have_run_where_it_is_refused(command: str, trap: Path) -> None:
    script = f"n=$({command}); echo $((n))"
    assert isinstance(bind(script, "bash"), tuple)
    for value in (HOSTILE, *named_so(trap), *OPTIONS):
        run("bash", prelude("bash", [value]) + script.replace("${{ e }}", '"${OC1}"'), trap)
    assert sprung(trap)


@pytest.mark.parametrize("script", EVALUATED_BY_BASH)
def test_what_is_refused_would_have_run(script: str, trap: Path) -> None:
    """The rules against arithmetic are no caution: bash runs these, and none of them says `eval`."""
    assert isinstance(bind(script, "bash"), tuple)
    sprang = False
    for value in (f"a[$({CANARY})]", f"$({CANARY})", CANARY):
        run("bash", prelude("bash", [value]) + script.replace("${{ e }}", '"${OC1}"'), trap)
        sprang = sprang or sprung(trap)
    assert sprang


@pytest.mark.parametrize(
    ("program", "shell", "script"),
    [
        *((program, "sh", one) for program in ("dash", "busybox sh", "bash") for one in RUN_BY_VARIABLE),
        *(("bash", "bash", one) for one in RUN_BY_VARIABLE_IN_BASH),
        *(("python3", "python3", one) for one in (*RUN, *NAMED)),
    ],
)
def test_what_is_refused_by_way_of_a_variable_would_have_run(
    program: str, shell: Shell, script: str, trap: Path
) -> None:
    """No caution either: a script that hands a value on to `eval` and the like runs what is in it."""
    assert isinstance(bind(script, shell), tuple)
    written = "OC1" if shell == "python3" else '"${OC1}"'
    bare = re.sub(r"(?<=[\n])\$\{\{ e \}\}(?=\n)", "${OC1}", script)  # a line of a here-document
    for value in NASTY:
        run(tuple(program.split()), prelude(shell, [value]) + bare.replace("${{ e }}", written), trap)
        if sprung(trap):
            return
    pytest.fail("none of the values ran")


@pytest.mark.parametrize("script", [one for one in EVALUATED_BY_BASH if "=${{ e }}\n" in one])
def test_a_number_in_its_place_runs_nothing(script: str, trap: Path) -> None:
    bound = bind(script.replace("${{ e }}", "${{ int(e) }}"), "bash")
    if isinstance(bound, tuple):
        return  # a program evaluates the whole of it
    for value in ("0", "1", "-1", "9223372036854775807", ""):
        run("bash", prelude("bash", [value]) + bound.text, trap)
    assert not sprung(trap)


def test_a_value_may_be_the_name_of_a_file(trap: Path) -> None:
    bound = bind("printf x > ${{ e }}; cat < ${{ e }}", "sh")
    assert isinstance(bound, Bound)
    for value in (f"$({CANARY})", "a b", "*", "a\nb", "-n", "'", "é"):
        for program in ("dash", "bash"):
            done = run(program, prelude("sh", [value, value]) + bound.text, trap)
            assert done.stdout == b"x"
            assert [path.name for path in trap.iterdir()] == [value]
            (trap / value).unlink()
    assert not sprung(trap)


@pytest.mark.parametrize("seed", range(8))
def test_scripts_made_by_chance_execute_nothing_of_their_values(seed: int, trap: Path) -> None:
    """Whatever the scanner accepts, however odd, is harmless in the shell it was accepted for."""
    by_chance(random.Random(seed), 40, trap)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 48))
def test_many_scripts_made_by_chance_execute_nothing_of_their_values(seed: int, trap: Path) -> None:
    by_chance(random.Random(seed), 100, trap)


@pytest.mark.parametrize("seed", range(8))
def test_values_that_flow_by_chance_are_not_computed(seed: int, trap: Path) -> None:
    """Assignments, loops, pipes and arithmetic over three variables, in any order."""
    chance = random.Random(seed)
    for _ in range(60):
        scripts = Scripts(chance, "bash")
        bound = bindable("\n".join(scripts.variable(0) for _ in range(7)), "bash")
        if bound is not None:
            script = prelude("bash", [f"a[$({CANARY})]"] * len(bound.holes)) + bound.text
            run("bash", script, trap)
            assert not sprung(trap), bound.text


def by_chance(chance: random.Random, wanted: int, trap: Path) -> None:
    accepted = 0
    while accepted < wanted:
        shell: Shell = chance.choice(("sh", "bash"))
        script = Scripts(chance, shell).script()
        bound = bindable(script, shell)
        if bound is None:
            continue
        accepted += 1
        for program in ("dash", "bash") if shell == "sh" else ("bash",):
            value = chance.choice((f"a[$({CANARY})]", chance.choice(COMMANDS)))
            try:
                run(program, prelude(shell, [value] * len(bound.holes)) + bound.text, trap)
            except subprocess.TimeoutExpired:
                continue
            assert not sprung(trap), (program, bound.text, value)
