"""Names of commands, and what they make of their words."""

import re

from engine.posix_shell.pieces import ASSIGNMENT

LEADING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"})
"""Words after which a command follows."""
CLOSING = frozenset({"fi", "done", "esac", "}"})
DECLARING = frozenset({"export", "readonly", "local", "declare", "typeset"})
EVALUATING = frozenset(
    {
        "eval", "let", "trap", "source", ".", "alias", "read", "unset", "getopts", "mapfile", "readarray", "bind",
        "complete", "compgen", "enable", "hash", "ssh", "rsh", "mosh", "watch", "parallel", "pdsh", "sed", "gsed", "ed",
        "ex", "vi", "vim", "nvim", "emacs", "gdb", "at", "batch", "expect", "tclsh", "m4", "make", "coproc", "su",
        "runuser", "script",
    }
)  # fmt: skip
SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "fish", "csh", "tcsh", "rbash", "busybox", "toybox",
     "pwsh", "powershell", "cmd"}
)  # fmt: skip
TAKING_DATA = frozenset(
    {
        "echo", "printf", "logger", "test", "[", "[[", "for", "select", "case", "grep", "egrep", "fgrep",
        "cat", "ls", "mkdir", "rmdir", "rm", "cp", "mv", "ln", "touch", "chmod", "chown", "chgrp", "stat",
        "date", "df", "du", "tr", "cut", "head", "tail", "tee", "wc", "basename", "dirname", "realpath",
        "readlink", "cd", "mail", "systemctl", "journalctl", "id", "kill", "true", "false", ":", "exit",
        "return", "set", "shift", "curl", "wget", "ping", "hostnamectl", "apt-get", "apt", "dnf", "yum",
        "zypper", "apk", "jq", "sleep", "seq", "expr", "uniq", "diff", "cmp", "md5sum", "sha256sum",
    }
)  # fmt: skip
"""Commands none of whose words are commands: `echo started at ...` starts nothing."""
RUNNERS = frozenset(
    {
        "sudo", "doas", "env", "nohup", "nice", "ionice", "timeout", "exec", "command", "builtin", "time", "setsid",
        "stdbuf", "chroot", "xargs", "flock", "chrt", "taskset", "unshare", "nsenter", "systemd-run", "strace",
    }
)  # fmt: skip
"""Commands whose first operand is a command."""
CLIENTS = frozenset({"psql", "mysql", "mariadb", "sqlite", "sqlite3", "mongo", "mongosh", "sqlplus"})
"""Interpreters that take options after their operands, too."""
AWKS = frozenset({"awk", "gawk", "mawk", "nawk"})
AWK_OPTIONS = frozenset({"-v", "-F", "--assign"})
"""Options whose value is the next word."""
READING_COMMANDS = AWKS | {"at", "batch", "crontab", "source", ".", "xargs", "parallel", "ssh", "rsh"}
"""Commands beside shells and interpreters that may read commands from standard input."""
COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"})
"""Operators of `[[ ]]` that evaluate what stands beside them."""

INTERPRETERS = re.compile(
    r"(python|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|Rscript|osascript|psql|mysql|mariadb|sqlite3?|mongo|mongosh"
    r"|sqlplus|bc|dc|guile|ghc|scala|groovy|jshell|R)[0-9.]*"
)
CODE_OPTION = re.compile(
    r"-[A-Za-z]*[cerpPEMC]|--(eval|execute|command|run|print|process-begin|process-end)(=.*)?", re.DOTALL
)
COMMAND_OPTION = re.compile(r"-(?=[A-Za-z]*c)[A-Za-z]+|--command(=.*)?|-[Ss]|/[ckCK]", re.DOTALL)
_STANDARD_INPUT = frozenset({"", "-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "stdin", "0"})


def interprets(name: str) -> bool:
    """Whether it is a shell or an interpreter."""
    return name in SHELLS or INTERPRETERS.fullmatch(name) is not None


def plain(name: str) -> bool:
    """Whether a word may well be the command after a runner: no option, no number, no assignment."""
    return bool(name) and not name.startswith("-") and not name[:1].isdigit() and not ASSIGNMENT.match(name)


def is_input(name: str) -> bool:
    """Whether a file's name may mean standard input."""
    return name in _STANDARD_INPUT
