"""Scripts of plain commands are not followed, and get the verdicts that they would get if they were."""

import random

import pytest

from engine.scripts.posix_shell import plain, scan
from engine.scripts.posix_shell.pieces import HOLE, Dialect
from engine.scripts.posix_shell.table import PROGRAMS
from engine.scripts.posix_shell.variables import COMPUTED_NAMES, STDIN
from tests.unit.test_binding import BASH, POSIX, REFUSED_BASH, REFUSED_POSIX

PLAIN = (
    "echo X",
    'set -eu\nif [ -d "$x" ] && [ "$y" = "X" ]; then\n  cp -r "$x" X  # X\nfi\n',
    'for a in X b "$c"; do echo "$a" >> "/var/log/X.log" 2>&1; done',
    'name=X; export NAME="$name"; printf \'%s\\n\' "$NAME" | grep -v "a b" | sed s/a/b/ > f',
    'curl -fsS "https://example.com/X" -o "$(basename a | tr a b)"',
    'rsync -a --delete "$from/" "X:/backup/"',
    "ps aux | awk '{print $2}' \\\n  | xargs kill",
    'while read -r line; do echo "$line" X; done < list\n',
    'tool --file "$x" X || exit 1',
)
FOLLOWED = (
    "eval X",
    "echo X | sh",
    "echo X | tool",
    "sed X",
    "[ -v X ]",
    'printf "$x" X',
    "tool -c X",
    "$x X",
    "PATH=X ls",
    "n=X; echo $((n))",
    "read '$x'; echo X",
    "x[1]=X",
    "echo '$(' X ')'",
    "echo \\$X",
    "f() { echo X; }",
    "cat <<E\nX\nE",
    "COLUMNS=$x; echo X",
)
HEADS = (
    *PROGRAMS, *("tool", "./x.sh", "python3.11", "/usr/bin/env") * 4,
    *("echo", "printf", "[", "test", "sed", "for") * 8,
    *("if", "then", "fi", "while", "do", "done", "!", "x=1", 'x="$y"', "PS4=", "LINES=a") * 4,
)  # fmt: skip
PIECES = (
    HOLE, f'"{HOLE}"', "$x", '"$x"', '"${x%.gz}"', "$(date)", '"$(basename "$x")"', "'a $b'", "a", "b.txt", "-c", "-e",
    "-v", "-n", "-S", "-", "--", "--file=", "-exec", ";", "s/a/b/e", "=", "RANDOM", "x[1]", '"["', "]", "eval", "sh",
    "'system(1)'", "'{print | x}'", "user@h:", 'ev"al"', 'e$x"val"', "# c", "\\ ", '"\\$"', "\\$", "2>&1", '> "$x"',
    f"< {HOLE}", "| cat", f"| grep {HOLE}",
)  # fmt: skip


def script(text: str) -> str:
    return text.replace("X", HOLE)


def agrees(text: str, dialect: Dialect) -> bool:
    """Whether the script is plain. If it is, both say the same of it; of its input only who follows it is asked."""
    quick = plain.readings(text)
    if quick is None:
        return False
    followed = scan.readings(text, [at for at, char in enumerate(text) if char == HOLE], dialect)
    assert [*quick] == [*followed.values()], text
    assert scan.sinks(text, dialect).keys() - {STDIN} == COMPUTED_NAMES, text
    return True


@pytest.mark.parametrize("text", PLAIN)
def test_a_script_of_plain_commands_is_not_followed(text: str) -> None:
    assert agrees(script(text), "sh")


@pytest.mark.parametrize("text", FOLLOWED)
def test_any_other_script_is_followed(text: str) -> None:
    assert plain.readings(script(text)) is None


@pytest.mark.parametrize("text", [*POSIX, *BASH])
def test_what_both_take_they_read_in_the_same_way(text: str) -> None:
    agrees(text.replace("${{ e }}", HOLE), "bash")


@pytest.mark.parametrize("text", [*REFUSED_POSIX, *REFUSED_BASH])
def test_what_is_refused_is_never_plain(text: str) -> None:
    assert plain.readings(text.replace("${{ e }}", HOLE)) is None


@pytest.mark.parametrize("seed", range(4))
def test_what_is_plain_would_be_read_in_the_same_way_if_it_were_followed(seed: int) -> None:
    chance = random.Random(seed)
    commands = (
        " ".join((chance.choice(HEADS), *chance.choices(PIECES, k=chance.randrange(5))))
        + chance.choice(("\n", "; ", " && ", " | ", " & "))
        for _ in range(2_000)
    )
    texts = ("".join(one) + chance.choice(HEADS) for one in zip(*[commands] * 2, strict=True))
    assert sum(agrees(text, chance.choice(("sh", "bash"))) for text in texts) > 50


LINES = (
    "echo X", 'echo "$x" X 7', "cp a b", 'cp "$x" /srv/31', "fi", "done", "if [ -f X ]; then", "then",
    "for a in 1 2; do", "# c X", "", "  ls  # X", "x=X", "PS4=5", "tool X", "sleep 10", "tar -xf X", 'echo "a', 'b"',
    "echo 'a", "b' X", "tool \\", "-c X", "echo X |", "| cat", "cat", "sh", "grep a ||", "true &&", "cat <<E", "E",
    "x=$(cat", ")", "{", "}", "f() {", "sed s/1/2/e", "(", "echo X | grep 3", "echo `a`", 'echo "${x', '}"', "wait 3",
    "exec 3< X", "read 5 < X",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_long_script_whose_lines_are_alike_would_be_read_in_the_same_way(seed: int) -> None:
    """Lines are read once, in whatever order they stand: also where one begins what another ends."""
    chance = random.Random(seed)
    plain_ones = 0
    for _ in range(150):
        some = chance.choices(LINES, k=chance.randrange(1, 5))
        lines = [f"echo {number} X" for number in range(60)] + chance.choices(some, k=10)
        chance.shuffle(lines)
        plain_ones += agrees(script("\n".join(lines)), "bash")
    assert plain_ones > 20


@pytest.mark.parametrize(
    "joined", ['echo "a\nb" X', "tool \\\n-c X", "echo X |\nsh", "cat <<E\nX\nE", "x=$(cat\n) X", "f() {\neval X\n}"]
)
def test_lines_that_belong_together_are_not_read_apart(joined: str) -> None:
    many = "".join(f"echo {number} X\n" for number in range(60))
    alone = plain.readings(script(joined))
    together = plain.readings(script(f"{many}{joined}\n{many}{joined}\n"))
    assert (alone is None) == (together is None)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("echo 1 X", "echo 2345 X", True),
        ('curl "https://10.2.3.4:8443/9" -o X', 'curl "https://10.7.7.7:1/1" -o X', True),
        ("echo X > /dev/fd/1", "echo X > /dev/fd/0", False),
        ("echo X | m4", "echo X | m5", False),
        ("echo $10", "echo $1", False),
        ("echo sqlite3 X", "echo sqlite0 X", False),
    ],
)
def test_which_number_it_is_says_nothing_but_in_names(one: str, other: str, alike: bool) -> None:
    assert (plain._NUMBER.sub("1", one) == plain._NUMBER.sub("1", other)) is alike
