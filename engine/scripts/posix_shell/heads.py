"""The words of a command where a command stands: the first, and those that runners such as sudo and find start."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from engine.scripts.posix_shell.options import LONG_WITH_VALUE
from engine.scripts.posix_shell.pieces import ASSIGNMENT
from engine.scripts.posix_shell.programs import program

_FIND_STARTS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})

_RUNNING = frozenset({"docker", "docker-compose", "podman", "nerdctl", "kubectl", "oc"})
"""Their word `run` starts a command in a new container."""
_RUN_FLAGS = frozenset(
    {
        "--rm", "--init", "--privileged", "--read-only", "--detach", "--interactive", "--tty", "--publish-all",
        "--no-healthcheck", "--oom-kill-disable", "--quiet", "--replace", "--no-hosts", "--rmi", "--env-host",
        "--no-deps", "--service-ports", "--build", "--use-aliases", "--quiet-pull", "--remove-orphans", "--no-TTY",
    }
)  # fmt: skip
"""Options of `docker run` and `docker compose run` that take no value; all others do."""
_RUN_VALUED = "aceuhlmpvw"


def heads(names: Sequence[str], texts: Sequence[str], first: int) -> tuple[int, ...]:
    """Places of words, in order. `names` are the words without folders and expansions, `texts` with a mark for those.

    `sudo -u x timeout 5 cp a b` has sudo, timeout and cp; `docker exec x ls` has docker and ls. An option that is not
    known is taken to have no value.
    """
    found, _ = _walk(names, texts, first)
    if found and names[found[-1]] == "find":
        found += _started_by_find(names, texts, found[-1] + 2)
    elif found and (operands := program(names[found[-1]]).executes) is not None:
        words = ("exec", "run") if names[found[-1]] in _RUNNING else ("exec",)
        place = next((at for at in range(found[-1] + 1, len(names)) if texts[at] in words), len(names))
        if "run" in texts[place : place + 1]:
            begin = _after_image(texts, place + 1, after_dashes=names[found[-1]] in ("kubectl", "oc"))
        else:
            begin = after_options(texts, place + 1, operands, "euwnc")
        found += _walk(names, texts, begin)[0]
    return tuple(found)


def _started_by_find(names: Sequence[str], texts: Sequence[str], at: int) -> Iterator[int]:
    end = at
    while at < len(names):
        if texts[at - 1] in _FIND_STARTS:
            if end <= at:
                end = next((place for place in range(at, len(texts)) if texts[place] == ";"), len(texts))
            walked, at = _walk(names, texts, at, end)
            yield from walked
        at += 1


def _walk(names: Sequence[str], texts: Sequence[str], at: int, end: int | None = None) -> tuple[list[int], int]:
    """The places, and the word at which the walk ended: who goes on from there reads no word twice."""
    found = []
    end = len(names) if end is None else end
    while at < end:
        found.append(at)
        runs = program(names[at]).runs
        if runs is None or (names[at] == "command" and _only_tells(texts, at + 1)):
            return found, at
        begins_with_option = texts[at + 1 : at + 2] and texts[at + 1].startswith("-")
        operands = 0 if runs.at_once and begins_with_option else runs.operands
        at = after_options(texts, at + 1, operands, runs.valued, end)
    return found, at


def _after_image(texts: Sequence[str], at: int, *, after_dashes: bool) -> int:
    """The command in `docker run IMAGE COMMAND`; with `--entrypoint` the image has one, and takes arguments."""
    if after_dashes:
        return next((place + 1 for place in range(at, len(texts)) if texts[place] == "--"), len(texts))
    entry, after = _entrypoint_and_rest(texts, at)
    return len(texts) if entry is not None else after


def entrypoint(names: Sequence[str], texts: Sequence[str], head: int) -> tuple[str, int] | None:
    """What `docker run --entrypoint` names, and the first word after the image, which is its first argument."""
    if names[head] not in _RUNNING:
        return None
    place = next((at for at in range(head + 1, len(texts)) if texts[at] in ("run", "create")), len(texts))
    entry, after = _entrypoint_and_rest(texts, place + 1)
    return None if entry is None else (entry, after)


def _entrypoint_and_rest(texts: Sequence[str], at: int) -> tuple[str | None, int]:
    entry = None
    while at < len(texts):
        text = texts[at]
        if not text.startswith("-"):
            return entry, at + 1
        if text.startswith("--"):
            if text.startswith("--entrypoint"):
                entry = text.partition("=")[2] if "=" in text else "".join(texts[at + 1 : at + 2])
            at += "=" not in text and text not in _RUN_FLAGS
        else:
            letter = next((place for place, char in enumerate(text) if char in _RUN_VALUED), None)
            at += letter == len(text) - 1
        at += 1
    return entry, at


def _only_tells(texts: Sequence[str], at: int) -> bool:
    """`command -v x` says where x is, and starts nothing."""
    options = takewhile(lambda text: text.startswith("-") and text != "--", texts[at:])
    return any("v" in option.lower() for option in options)


def after_options(texts: Sequence[str], at: int, operands: int, valued: str, end: int | None = None) -> int:
    """The word after so many operands and all options; `valued` are short options that take the next word."""
    options = True
    end = len(texts) if end is None else end
    while at < end:
        text = texts[at]
        if options and text == "--":
            options = False
        elif options and text.startswith("-") and len(text) > 1:
            at += _takes_next(text, valued)
        elif ASSIGNMENT.match(text):
            pass
        elif operands:
            operands -= 1
        else:
            return at
        at += 1
    return at


def _takes_next(option: str, valued: str) -> bool:
    """Whether an option's value is the next word: `-u root`, but not `-uroot` and `--user=root`."""
    if option.startswith("--"):
        return option in LONG_WITH_VALUE
    letter = next((at for at, char in enumerate(option[1:], start=1) if char in valued), None)
    return letter == len(option) - 1
