"""The guardian: a small process that ends a runner's local steps when the runner died without ending them.

Run as a program of its own, with nothing but the standard library. It holds the lock on a file in the state folder
(handed over by the runner) until no local step is left, and the next runner waits for that lock before it claims.

Descriptors, as arguments: LIFE (its end of input says that the runner is gone) and NEWS (lines `+<group>` written by a
step's own shell before it does anything, and `-<group>` by the runner when a group ended).
"""

import contextlib
import os
import select
import signal
import sys
import time

TERM_TO_KILL = 10.0
_GIVE_UP = 20.0
_SEARCH = 5.0
"""Seconds that every process number may be asked for, where /proc does not list them all."""


def members(group: int) -> list[int]:
    """Living processes of this group or session, zombies apart."""
    try:
        # without pathlib, whose import would take longer than all of this
        entries = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return _asked(group)
    if not entries:
        return _asked(group)
    found = []
    for name in entries:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields and fields[0] not in (b"Z", b"X") and group in (int(fields[2]), int(fields[3])):
            found.append(int(name))
    # with hidepid those of other users are not listed
    return found if found or os.access("/proc/1/stat", os.R_OK) else _asked(group)


def _asked(group: int) -> list[int]:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    return [group]


def alive(group: int) -> bool:
    """Whether a process of the group or session lives, or may: where /proc hides those of other users, as with hidepid,
    and they cannot be asked for within five seconds, nobody can tell."""
    return bool(members(group)) or _may_hide({group})


def _may_hide(sessions: set[int]) -> bool:
    """getsid(2) knows the session of every process, also of those that sudo has begun, which are not listed."""
    if os.access("/proc/1/stat", os.R_OK):
        return False
    until = time.monotonic() + _SEARCH
    for pid in range(1, _last() + 1):
        if not pid % 4096 and time.monotonic() > until:
            return True
        try:
            found = os.getsid(pid)
        except ProcessLookupError:
            continue
        except PermissionError:
            return True
        if found in sessions and not os.access(f"/proc/{pid}/stat", os.R_OK):  # else it was judged by what it shows
            return True
    return False


def _last() -> int:
    """The highest number that a process may have."""
    try:
        with open("/proc/sys/kernel/pid_max", "rb") as file:  # noqa: PTH123
            return int(file.read())
    except OSError:
        return 1 << 22


def send(group: int, number: int) -> None:
    """A signal to the group; KILL also to members of the session that changed their group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    if number == signal.SIGKILL:
        for pid in members(group):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def end(groups: set[int]) -> None:
    """TERM, ten seconds, KILL, for all at once."""
    for group in groups:
        send(group, signal.SIGTERM)
    started = time.monotonic()
    # what /proc hides is asked for at the end alone, once for all of them: it takes seconds, and KILL has its time
    left = {group for group in groups if members(group)}
    while left and time.monotonic() - started < _GIVE_UP:
        time.sleep(0.05)
        if time.monotonic() - started >= TERM_TO_KILL:
            for group in left:
                send(group, signal.SIGKILL)
        left = {group for group in left if members(group)}
    while groups and not left and _may_hide(groups) and time.monotonic() - started < _GIVE_UP:
        time.sleep(0.05)


def watch(life: int, news: int) -> set[int]:
    """Follow the news until the runner is gone; the groups it left behind."""
    groups: set[int] = set()
    rest = b""
    gone = False
    os.set_blocking(news, False)
    while not gone:
        ready, _, _ = select.select([life, news], [], [])
        gone = life in ready and not os.read(life, 1)
        rest = _take(news, rest, groups)
    # A shell that was started and had not registered yet still may, for a moment. Later it finds nobody at the other
    # end, and its first act, which is to register, ends it.
    deadline = time.monotonic() + 0.5
    while (pause := deadline - time.monotonic()) > 0:
        if select.select([news], [], [], pause)[0]:
            rest = _take(news, rest, groups)
    os.close(news)
    return groups


def _take(news: int, rest: bytes, groups: set[int]) -> bytes:
    while True:
        try:
            data = os.read(news, 65536)
        except BlockingIOError:
            return rest
        if not data:
            return rest
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line[:1] == b"+" and line[1:].isdigit() and int(line[1:]) > 1:
                groups.add(int(line[1:]))
            elif line[:1] == b"-" and line[1:].isdigit():
                groups.discard(int(line[1:]))


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"ready\n")
    end(watch(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
