"""The POSIX bootstrap: how a step runs on a target so that it can always be ended (DEFINITIONS 3).

The command that goes into argv is fixed text. Everything else travels on standard input, whose first line is the
payload: assignments of this step's data and the text of the bootstrap itself, escaped for `printf %b`. (The text
travels too because the login shell sees the command first, and csh and fish cannot quote several lines.) From then on
standard input is only control: any further line ends the step at once (KILL), its end asks the step to end (TERM, and
KILL after ten seconds). So a runner that dies, or a connection that breaks, ends the step.

The step runs in a session of its own. `OC1 <id>` is the first line on standard output, before any output of the step;
the id is that of the session and of its process group. Its script reaches the interpreter by file descriptor.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.job import Shell

ENTRY = 'exec /bin/sh -c \'IFS= read -r l && p=$(printf %b_ "$l") && unset l && eval "${p%_}"\''
"""The whole command, for every step and every check. POSIX shells, csh and fish read it alike."""

KILL_NOW = b"now\n"
"""On standard input after the payload: end the step without asking it first."""

MARK = "OPSCONDUCTOR_STEP"
"""The variable of a step's processes that says which step of which run they belong to."""

GREETING = re.compile(rb"^OC1 ([1-9][0-9]{0,9})$")
NO_SETSID = re.compile(rb"^OC1 -$")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_RUN = r"""
oc_setsid=$(command -v setsid) || { echo 'OC1 -'; exit 127; }
oc_step() {
  oc_env
  if [ -n "$oc_dir" ]; then cd -- "$oc_dir" || exit 126; fi
  exec "$oc_setsid" /bin/sh -c '[ -z "$1" ] || export "$1:$$."; echo "OC1 $$"; exec "$0" /dev/fd/3' \
    "$oc_shell" "$oc_mark" 3<<OC_END 4<&-
$oc_script
OC_END
}
exec 4<&0 </dev/null
if [ -n "$oc_fed" ]; then
  { printf %s "$oc_stdin"; } 2>/dev/null 4<&- | oc_step &
else
  oc_step </dev/null &
fi
oc_group=$!
(
  # Ended by TERM while it only listens; from the order on it goes through with it, and the shell waits for it.
  IFS= read -r oc_line; oc_asked=$?
  trap '' TERM HUP
  if [ "$oc_asked" -ne 0 ]; then
    kill -TERM "-$oc_group"
    oc_left=100
    while [ "$oc_left" -gt 0 ] && oc_alive "$oc_group"; do oc_nap; done
  fi
  kill -KILL "-$oc_group"
  oc_kill "$oc_group"
) <&4 >/dev/null 2>&1 &
oc_watch=$!
exec 4<&- >/dev/null 2>&1
wait "$oc_group"
oc_status=$?
kill -TERM "$oc_watch"
wait "$oc_watch"
exit "$oc_status"
"""

_MEMBERS = r"""
oc_nap() {
  oc_naps=$((${oc_naps:-0} + 1))
  if [ "$oc_naps" -le 10 ] && sleep 0.1 2>/dev/null; then oc_left=$((oc_left - 1)); return; fi
  sleep 1
  oc_left=$((oc_left - 10))
}
oc_members() {
  for oc_file in /proc/[0-9]*/stat; do
    { read -r oc_stat <"$oc_file"; } 2>/dev/null || continue
    oc_pid=${oc_stat%% *}
    oc_stat=${oc_stat##*) }
    oc_state=${oc_stat%% *}
    oc_stat=${oc_stat#* * }
    oc_pgrp=${oc_stat%% *}
    oc_stat=${oc_stat#* }
    oc_session=${oc_stat%% *}
    case $oc_state in Z|X) continue;; esac
    if [ "$oc_pgrp" = "$1" ] || [ "$oc_session" = "$1" ]; then echo "$oc_pid"; fi
  done
}
oc_alive() {
  if [ -r /proc/self/stat ]; then [ -n "$(oc_members "$1")" ]; else kill -0 "-$1" 2>/dev/null; fi
}
oc_kill() {
  [ -r /proc/self/stat ] || return 0
  for oc_one in $(oc_members "$1"); do kill -KILL "$oc_one"; done 2>/dev/null
}
"""

_PROVE = r"""
if [ -n "$oc_order" ]; then kill -KILL "-$oc_group" 2>/dev/null; oc_kill "$oc_group"; fi
oc_left=${oc_patience}0
while oc_alive "$oc_group"; do
  if [ "$oc_left" -le 0 ]; then echo OC1 alive; exit 1; fi
  oc_nap
  if [ -n "$oc_order" ]; then kill -KILL "-$oc_group" 2>/dev/null; oc_kill "$oc_group"; fi
done
echo OC1 gone
exit 0
"""

_TAKE_OVER = r"""
oc_marked() {
  for oc_file in /proc/[0-9]*/environ; do
    [ -O "$oc_file" ] || continue
    {
      while IFS= read -r oc_line || [ -n "$oc_line" ]; do
        case $oc_line in *"$oc_mark:"*) ;; *) continue;; esac
        oc_of=${oc_line#*"$oc_mark:"}
        oc_of=${oc_of%%.*}
        case $oc_of in ''|*[!0-9]*) continue;; esac
        # Only of its session: what left that is not ended with a step, and by now its number may be another's.
        oc_pid=${oc_file#/proc/}
        for oc_one in $(oc_members "$oc_of"); do
          if [ "$oc_one" = "${oc_pid%/environ}" ]; then echo "$oc_of"; fi
        done
      done <"$oc_file"
    } 2>/dev/null
  done
}
oc_live() {
  for oc_group in $oc_groups; do if oc_alive "$oc_group"; then return 0; fi; done
  return 1
}
oc_wait() {
  oc_left=${1}0
  while oc_live && [ "$oc_left" -gt 0 ]; do oc_nap; done
}
if [ ! -r /proc/self/environ ]; then echo OC1 blind; exit 1; fi
oc_groups=$(oc_marked)
oc_wait "$oc_patience"
if oc_live; then
  for oc_group in $oc_groups; do if oc_alive "$oc_group"; then kill -TERM "-$oc_group"; fi; done 2>/dev/null
  oc_wait 10
  for oc_group in $oc_groups; do
    if oc_alive "$oc_group"; then kill -KILL "-$oc_group"; oc_kill "$oc_group"; fi
  done 2>/dev/null
  oc_wait 2
fi
# Both: what sudo started is of the session without the mark, and nobody but its user can end it.
if oc_live || [ -n "$(oc_marked)" ]; then echo OC1 alive; exit 1; fi
echo OC1 gone
exit 0
"""

INTERPRETERS: dict[Shell, str] = {"sh": "/bin/sh", "bash": "bash", "python3": "python3"}
"""Shells that a POSIX target has."""


class Unsendable(ValueError):  # noqa: N818 - named after the step, which is at fault
    """The step cannot be sent as it is; the message says why. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `script` is complete, its bound values included; nothing of it may be logged."""

    shell: Shell
    script: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str | None = None
    working_dir: str | None = None

    def checked(self) -> "Command":
        """Itself. Raises Unsendable for what no shell can take: NUL, a wrong name of a variable, a foreign shell."""
        if self.shell not in INTERPRETERS:
            raise Unsendable(f"shell '{self.shell}' cannot run on a POSIX host; use sh, bash or python3")
        for name in self.env:
            if not _NAME.fullmatch(name):
                raise Unsendable(f"'{name}' is not the name of an environment variable")
        named = {"the script": self.script, "stdin": self.stdin or "", "workingDir": self.working_dir or ""}
        for place, text in {**named, **{f"env {name}": value for name, value in self.env.items()}}.items():
            if "\0" in text:
                raise Unsendable(f"{place} contains a NUL character, which no shell can take")
        return self


def payload(command: Command, mark: str = "") -> bytes:
    """The first line of standard input that runs `command`. Raises Unsendable.

    `mark`, letters and digits, says which step of which run it is. Its processes carry it in their environment, with
    the number of their session: a later attempt finds them by it (see `take_over`).
    """
    command.checked()
    exports = "".join(f"export {name}={quoted(value)}\n" for name, value in command.env.items())
    # The first statement gives up the descriptor of the script, so that no process of the step inherits it.
    script = command.script if command.shell == "python3" else f"exec 3<&-; {command.script}"
    data = {
        "oc_shell": INTERPRETERS[command.shell],
        "oc_script": script,
        "oc_dir": command.working_dir or "",
        "oc_fed": "" if command.stdin is None else "1",
        "oc_stdin": command.stdin or "",
        "oc_mark": f"{MARK}={mark}" if mark else "",
    }
    assignments = "".join(f"{name}={quoted(value)}\n" for name, value in data.items())
    return line_of(f"oc_env() {{\n:\n{exports}}}\n{assignments}{_MEMBERS}{_RUN}")


def proof(group: int, *, kill: bool, patience: int = 0) -> bytes:
    """The first line of standard input that tells `OC1 gone` (exit 0) or `OC1 alive` (exit 1) of a process group.

    With `kill` its members are ended first. It looks again for `patience` seconds.
    """
    data = f"oc_group={int(group)}\noc_order={'1' if kill else ''}\noc_patience={int(patience)}\n"
    return line_of(f"{data}{_MEMBERS}{_PROVE}")


def take_over(mark: str, *, patience: int = 12) -> bytes:
    """The first line of standard input that ends what an earlier attempt with this `mark` left on the host.

    It tells `OC1 gone` (exit 0), `OC1 alive` or, of a host without /proc, where nothing can be found by its mark,
    `OC1 blind` (exit 1). For `patience` seconds it waits: where the host has seen the end of the earlier connection,
    the bootstrap there has asked the step to end and kills it after ten. What lives then belongs to a connection that
    the host takes for alive: TERM, and KILL after ten seconds.
    """
    data = f"oc_mark={quoted(f'{MARK}={mark}')}\noc_patience={int(patience)}\n"
    return line_of(f"{data}{_MEMBERS}{_TAKE_OVER}")


def quoted(text: str) -> str:
    """One word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


# printf %b: a backslash starts an escape, \0ooo is a byte. A line that is pure ASCII survives every locale.
_ESCAPES = {byte: chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\0{byte:03o}" for byte in range(256)}
_ESCAPES[0x0A] = "\\n"
_ESCAPES[0x5C] = "\\\\"


def line_of(text: str) -> bytes:
    """The line on standard input that runs this script; see ENTRY."""
    # surrogateescape: bytes that came from a file as they are go out as they are
    return "".join(map(_ESCAPES.__getitem__, text.encode("utf-8", "surrogateescape"))).encode("ascii") + b"\n"
