"""Which scripts a fork of any shell may run as a shell of its own would."""

import pytest

from engine.scripts.binding import prelude
from runners.plaincommand import is_plain


@pytest.mark.parametrize(
    "script",
    [
        "echo ok",
        "  systemctl restart nginx\n",
        "/opt/backup.sh --full --to=/srv/x:y,z",
        'grep -c "$WORD" "${FILE}.log" /etc/h?sts',
        "sh -c 'kill $$; exec ls | cat; trap x EXIT'",
        "exit 3",
        'pkill -f "a b"',
        "true",
        prelude("sh", ["it's", "'", "", "two\nlines $(id)"]) + 'printf %s "$OC1" "$OC2"',
    ],
)
def test_one_program_and_its_words_are_plain(script: str) -> None:
    """What stands in single quotes is for the program: its own shell has its own number."""
    assert is_plain(script)


@pytest.mark.parametrize(
    "script",
    [
        "echo $$",
        'echo "$$"',
        "echo ${$}",
        'echo "$PPID"',
        'echo "${PPID}"',
        'echo "$BASHPID"',
        'echo "$1" "$@" "$!" "$-"',
        "kill 0",
        "exec ls",
        "eval ls",
        ". ./lib.sh",
        "source lib.sh",
        "trap 'kill -- -1' EXIT",
        "command exec ls",
        "wait",
        "set -m",
        "if true",
        "time ls",
        "! ls",
        "ls; ls",
        "ls\nls",
        "ls &",
        "ls && ls",
        "ls | cat",
        "ls > file",
        "cat < file",
        "cat <<X",
        "(ls)",
        "{ ls",
        "f() ls",
        "A=1 ls",
        "A=1",
        '"$X" y',
        "$X y",
        "ls $X",
        "'exec' ls",
        "ex\\ec ls",
        "ls `id`",
        'ls "`id`"',
        "ls $(id)",
        'ls "$(id)"',
        'ls "\\$"',
        "ls # x",
        "ls {a,b}",
        "",
        " \n",
        "OC1='x'\n",
        "PATH='x'\nls",
    ],
)
def test_what_may_look_into_its_shell_or_goes_on_after_a_command_is_not(script: str) -> None:
    assert not is_plain(script)


def test_a_long_script_is_judged_in_passing() -> None:
    for script in ("echo " + "a" * 200_000, "echo " + "a " * 100_000 + ";", "'" * 200_001, 'x "' + "$" * 200_000):
        is_plain(script)
