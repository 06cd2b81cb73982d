"""What to call a command: the program that matters in it, for a name that people recognise."""

import re

_WRAPPERS = frozenset(
    {
        "chpst", "chronic", "chrt", "command", "cpulimit", "cronic", "doas", "env", "exec", "flock", "ionice", "nice",
        "nohup", "run-one", "runuser", "setsid", "stdbuf", "su", "sudo", "systemd-cat", "time", "timeout", "unbuffer",
    }
)  # fmt: skip
_INTERPRETERS = frozenset(
    {
        "bash", "dash", "java", "ksh", "node", "perl", "php", "python", "python2", "python3", "ruby", "sh", "uv", "zsh",
    }
)  # fmt: skip
_BEFORE = frozenset(
    {
        ".", ":", "[", "[[", "cd", "date", "done", "echo", "export", "fi", "set", "sleep", "source", "test", "true",
        "ulimit", "umask",
    }
)  # fmt: skip
_KEYWORDS = frozenset({"!", "(", "do", "elif", "else", "if", "then", "while", "{"})
_PARTS = re.compile(r"&&|\|\||[;|\n]")
_ENDINGS = re.compile(r"\.(sh|py|pl|php|rb|js|bash|jar)$")


def name_of(command: str) -> str:
    """A few letters for people: the program's name, without its folder and ending."""
    parts = [part.split() for part in _PARTS.split(command[:4096])]
    named = [word for words in parts if (word := _program(words))]
    chosen = next((word for word in named if word not in _BEFORE), "job")
    return chosen[:40]


def _program(words: list[str]) -> str:
    run_by = ""
    while words and words[0] in _KEYWORDS:
        words = words[1:]
    if words and words[0] in _BEFORE:
        return words[0]
    option = ""
    for word in words:
        before, option = option, word
        bare = word.strip("\"'(){}`$").rpartition("/")[2]
        if before == "-u" or "=" in word or word.startswith(("-", ">", "<", "2>", "&")) or bare.isdecimal() or not bare:
            continue
        if bare in _WRAPPERS or (bare in _INTERPRETERS and run_by not in _INTERPRETERS):
            run_by = bare
            continue
        if word.startswith(("/", "$")) and bare.endswith((".lock", ".lck", ".pid")):
            continue
        if re.fullmatch(r"\d+[smhd]?|c\d|[A-Za-z]", bare) and run_by:
            continue
        return _ENDINGS.sub("", bare)
    return run_by
