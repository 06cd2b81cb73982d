"""The POSIX bootstrap: how a step runs on a target so that it can always be ended (DEFINITIONS 3).

The command that goes into argv is fixed text. Everything else travels on standard input, whose first line is the
payload: this step's data and the text of the bootstrap itself, as one line of a shell. (The text travels too because
the login shell sees the command first, and csh and fish cannot quote several lines; and what stands in argv would be in
every log of commands, and within the reach of a `pkill -f`.) From then on standard input is only control: any further
line ends the step at once (KILL), its end asks the step to end (TERM, and KILL after ten seconds). So a runner that
dies, or a connection that breaks, ends the step.

The step runs in a session of its own. `OC1 <id>` is the first line on standard output, before any output of the step.
This line, and every other that is said to the runner, begins with a newline: what the login has printed may have no end
(a prompt, the title of a terminal). The id is that of the process that becomes the leader of the session and of its
process group. Its script reaches the interpreter by file descriptor.

Every step pays for what stands here: beside the interpreter two programs are started (the shell and setsid) and two
processes made, one that becomes the step and one that listens. A plain command (see runners.plaincommand) pays for the
shell and the two processes alone, where the shell that sshd has started leads a session already: a fork of that shell
runs it, and the session is the shell's (ADR 0062). tests/integration/test_step_cost.py counts them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runners.plaincommand import is_plain
from schemas.job import Shell

# bash takes functions from its environment also as `sh`, and only special built-ins go before them: a login that
# exports one of these names would decide how a step ends.
_OURS = (
    "case ${BASH_VERSION-} in ?*) "
    "unset -f alias cd command echo false getopts kill printf pwd python3 read sleep test true type wait [;; esac;"
)
_NO_PDKSH = f'{_OURS} case ${{KSH_VERSION-}} in *" KSH "*) echo; echo "OC1 ksh"; exit 127;; esac;'
_BY_BYTES = 'IFS= read -r oc_l && eval "$oc_l"'

READ = f"{_NO_PDKSH} {_BY_BYTES}"
"""What a POSIX shell does with standard input: it runs the first line. A descendant of pdksh says so and ends.

It takes not a byte more, and so a system call for each: what comes next may be for another program.
"""

READ_AHEAD = (
    f'{_NO_PDKSH} if {{ [ -z "${{BASH_VERSION-}}" ] && [ /proc/self/exe -ef /bin/dash ] && '
    f"[ -p /dev/fd/0 ] && [ -r /dev/fd/0 ]; }} 2>/dev/null; then . /dev/fd/0; else {_BY_BYTES}; fi"
)
"""The same, where nothing follows the first line until what it starts has reported itself.

dash runs a file line by line and reads what there is of it at once, which saves it 0.8 ms of a processor a step; bash
would read to its end. A first line that breaks off runs no part of itself in either way (see `line_of`); one that
lacks its newline alone is whole to dash, and the end of its input ends the step.
"""

ENTRY = f"exec /bin/sh -c '{READ}'"
"""The command for every check, and where sudo comes first. POSIX shells, csh and fish read it alike. See `entry`."""

_ENTRY_AHEAD = f"exec /bin/sh -c '{READ_AHEAD}'"

KILL_NOW = b"now\n"
"""On standard input after the payload: end the step without asking it first."""

MARK = "OPSCONDUCTOR_STEP"
"""The variable of a step's processes that says which step of which run they belong to."""

GREETING = re.compile(rb"^OC1 ([2-9]|[1-9][0-9]{1,9})$")
"""Never 1: to kill the group of that number is to kill every process there is (kill(2))."""

UNFIT = {
    b"OC1 -": "the host has no 'setsid' (util-linux or busybox), without which a step cannot be ended",
    # mksh runs a program for printf: what it prints, standard input among it, stands in the arguments of a process, and
    # more than an argument can hold is lost in silence. lksh, which has its own, has hung.
    b"OC1 ksh": "the host's /bin/sh is an mksh or another descendant of pdksh, which cannot keep what a step is given "
    "to itself; make it dash, bash or busybox",
}
"""Lines instead of the greeting: why no step can run on the host."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _joined(text: str) -> str:
    """One line: a shell takes a system call for every byte that it reads of it. So these texts have no comments."""
    return " ".join(text.split())


# Standard input is control, and only who listens has it.
_BEFORE = "exec 4<&0 </dev/null;"

# Looks for setsid where it nearly always is: `command -v` costs a process.
_WITH_SETSID = _joined(r"""
if [ -x /usr/bin/setsid ]; then oc_s=/usr/bin/setsid; else oc_s=$(command -v setsid); fi ||
  { echo; echo "OC1 -"; exit 127; };
set -- "$oc_s" "$@";
""")

# True where this shell has been given the mark, and leads a session and its group. Its number is then theirs.
_LEADS = _joined(r"""
[ "$oc_m" = "{mark}" ] &&
  { read -r oc_p oc_x oc_x oc_x oc_q oc_t oc_x </proc/self/stat; } 2>/dev/null &&
  [ "$oc_p $oc_q $oc_t" = "$$ $$ $$" ]
""")

# What a program tells its whole group, this shell and who listens do not heed: they are of it. From before the fork on,
# which heeds it again; but not INT and QUIT, as nothing does that a shell begins in the background.
_DEAF = 'trap "" HUP INT QUIT PIPE ALRM TERM USR1 USR2;'
_HEEDS = "trap - HUP PIPE ALRM TERM USR1 USR2;"

# In the process that becomes the step. Nothing of ours is read by name after the step's environment was set, which may
# have any names: the positional parameters are setsid, what `_Given` has, and last the number of the process.
_STEP = _joined(r"""
oc_p=; { read -r oc_p oc_r </proc/self/stat; } 2>/dev/null;
set -- "$@" "$oc_p";
""")

# It says its number itself: a shell in between that does so as the leader would be one program more. So for a moment
# the id is that of a process which leads no session yet, and whoever looks for the session looks for it as well. Where
# there is no /proc, nobody could look for it, and it does not know its number.
_BECOME = _joined(r"""
if [ -n "{number}" ]; then
  printf "\nOC1 {number}\n"; set -- "$1" {interpreter} /dev/fd/3;
else
  set -- "$1" /bin/sh -c "echo; echo OC1 \$\$; exec \$0 /dev/fd/3" {interpreter};
fi;
exec "$@" 3<&3 4<&-;
""")

# Ended by VTALRM, which no step sends, while it only listens; from the order on it goes through with it, and the shell
# waits for it. Where the order comes first of all, there is no group yet; later a process of that number alone might be
# anybody's. In the shell's own group it ends one after another, and itself and the shell only where that is not enough:
# so it lives to see it, and the shell to tell how the step has ended.
_WATCH = r"""
how=TERM left=100;
if IFS= read -r oc_l; then how=KILL left=0; fi;
trap "" TERM HUP VTALRM;
{ read -r oc_me oc_l </proc/self/stat; } 2>/dev/null;
if [ "$oc_g" = "$$" ]; then
  [ "$how" = KILL ] || kill -TERM "-$oc_g";
else
  kill "-$how" "-$oc_g" || kill "-$how" "$oc_g";
fi;
while [ "$left" -gt 0 ] && alive "$oc_g"; do nap; done;
left=20;
while [ "$oc_g" = "$$" ]; do
  slay "$oc_g";
  alive "$oc_g" || exit;
  [ "$left" -gt 0 ] || break;
  nap;
done;
kill -KILL "-$oc_g";
slay "$oc_g";
"""

_WAIT = _joined(r"""
oc_w=$!;
exec 4<&- >/dev/null 2>&1;
wait "$oc_c";
oc_s=$?;
kill -VTALRM "$oc_w";
wait "$oc_w";
trap - EXIT;
exit "$oc_s"
""")

# `members` are those of the group or the session, and the process that is to lead them; not who asks, by its number
# `oc_me`, with what it starts for that, nor its shell. A name may have newlines (prctl), so all lines are read. `slay`
# is for those that left the group, and the leader cannot.
_MEMBERS = r"""
nap() {
  n=$((${n:-0} + 1));
  if [ "$n" -le 10 ] && sleep 0.1 2>/dev/null; then left=$((left - 1)); return; fi;
  sleep 1;
  left=$((left - 10));
};
members() {
  m=$1;
  for f in /proc/[0-9]*/stat; do
    { x=; while read -r l; do x="$x$l "; done <"$f"; } 2>/dev/null || continue;
    p=${x%% *};
    set -- ${x##*) };
    case "$1 $2:$p:" in [ZX]*|*" $oc_me:"*|*":$oc_me:"|*":$$:") continue;; esac;
    case " $p $3 $4 " in *" $m "*) echo "$p";; esac;
  done;
};
alive() {
  if [ -r /proc/self/stat ]; then [ -n "$(members "$1")" ]; else kill -0 "-$1" || kill -0 "$1"; fi 2>/dev/null;
};
slay() {
  [ -r /proc/self/stat ] || return 0;
  for p in $(members "$1"); do [ "$p" = "$1" ] || kill -KILL "$p"; done 2>/dev/null;
};
"""

_WATCHER = _joined(f"({_MEMBERS}{_WATCH}) <&4 >/dev/null 2>&1 &")

# A shell that cannot fork ends at once, with a code that is not the step's. Then nobody listens, and the step goes on.
# Ended by a signal the shell tells no code, and whether the step has ended is looked for. Not in bash, which tries for
# 15 s: who listens would inherit the trap for a moment, and run it where it is ended in that.
_OR_ELSE = "case ${BASH_VERSION-} in '') trap 'kill -KILL \"$$\"' EXIT;; esac;"

# Where /proc shows no process of others (hidepid), not listed is not gone: sudo within the step may have begun some.
# `kill -0` knows every member of a group, and getsid(2) every one of a session.
_SEES = r"""
oc_hides() { [ -r /proc/self/stat ] && [ ! -r /proc/1/stat ]; }
oc_lives() {
  if alive "$1"; then return 0; fi
  if [ -r /proc/1/stat ]; then return 1; fi
  case $(LC_ALL=C; export LC_ALL; kill -0 "-$1" 2>&1) in *"No such process"*) return 1;; esac
}
oc_sought() {
  python3 -c '
import os, sys, time
until = time.monotonic() + 5
for pid in range(1, int(open("/proc/sys/kernel/pid_max").read()) + 1):
    if not pid % 4096 and time.monotonic() > until: sys.exit(4)
    try:
        if os.getsid(pid) == int(sys.argv[1]): sys.exit(3)
    except ProcessLookupError: pass
' "$1" 2>/dev/null
}
"""

_PROVE = r"""
if [ -n "$oc_order" ]; then kill -KILL "-$oc_g" 2>/dev/null; slay "$oc_g"; fi
left=${oc_patience}0
while oc_lives "$oc_g"; do
  if [ "$left" -le 0 ]; then echo; echo OC1 alive; exit 1; fi
  nap
  if [ -n "$oc_order" ]; then kill -KILL "-$oc_g" 2>/dev/null; slay "$oc_g"; fi
done
if oc_hides; then
  oc_sought "$oc_g"
  case $? in 0) ;; 3) echo; echo OC1 alive; exit 1;; *) echo; echo OC1 blind; exit 1;; esac
fi
echo
echo OC1 gone
exit 0
"""

_TAKE_OVER = r"""
oc_marked() {
  for oc_file in /proc/[0-9]*/cmdline; do
    [ -O "$oc_file" ] || continue
    { IFS= read -r oc_l || [ -n "$oc_l" ]; } <"$oc_file" || continue
    case $oc_l in *"$oc_mark") ;; *) continue;; esac
    oc_pid=${oc_file#/proc/}
    oc_pid=${oc_pid%/cmdline}
    if alive "$oc_pid"; then echo "$oc_pid"; fi
  done 2>/dev/null
  for oc_file in /proc/[0-9]*/environ; do
    [ -O "$oc_file" ] || continue
    {
      while IFS= read -r oc_l || [ -n "$oc_l" ]; do
        case $oc_l in *"$oc_mark:"*) ;; *) continue;; esac
        oc_of=${oc_l#*"$oc_mark:"}
        oc_of=${oc_of%%.*}
        case $oc_of in ''|*[!0-9]*) continue;; esac
        # Only of its session: what left that is not ended with a step, and by now its number may be another's.
        oc_pid=${oc_file#/proc/}
        for oc_one in $(members "$oc_of"); do
          if [ "$oc_one" = "${oc_pid%/environ}" ]; then echo "$oc_of"; fi
        done
      done <"$oc_file"
    } 2>/dev/null
  done
}
oc_live() {
  for oc_g in $oc_groups; do if alive "$oc_g"; then return 0; fi; done
  return 1
}
oc_wait() {
  left=${1}0
  while oc_live && [ "$left" -gt 0 ]; do nap; done
}
if [ ! -r /proc/self/environ ]; then echo; echo OC1 blind; exit 1; fi
oc_groups=$(oc_marked)
oc_wait "$oc_patience"
if oc_live; then
  for oc_g in $oc_groups; do if alive "$oc_g"; then kill -TERM "-$oc_g"; fi; done 2>/dev/null
  oc_wait 10
  for oc_g in $oc_groups; do
    if alive "$oc_g"; then kill -KILL "-$oc_g"; slay "$oc_g"; fi
  done 2>/dev/null
  oc_wait 2
fi
# Both: what sudo started is of the session without the mark, and nobody but its user can end it.
if oc_live || [ -n "$(oc_marked)" ]; then echo; echo OC1 alive; exit 1; fi
echo
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
    given = _Given()
    # The first statement gives up the descriptor of the script, so that no process of the step inherits it.
    script = given.place(command.script if command.shell == "python3" else f"exec 3<&-; {command.script}")
    folder = given.place(command.working_dir) if command.working_dir else None
    fed = "{ printf %s " + given.place(command.stdin) + "; } 2>/dev/null 4<&- | " if command.stdin is not None else ""
    environment = [f"export {name}={given.place(value)};" for name, value in command.env.items()]
    number = f"${{{len(given.values) + 2}}}"
    marked = f'export "{MARK}={mark}:%s.";' if mark else ""
    there = f"cd -- {folder} || exit 126;" if folder else ""
    step = [
        f"exec 3<<OC_END\n{script[1:-1]}\nOC_END\n{_STEP}",
        *environment,
        f'[ -z "{number}" ] || {marked % number}' if mark else "",
        there,
        _BECOME.replace("{number}", number).replace("{interpreter}", INTERPRETERS[command.shell]),
    ]
    begin = f"{_WITH_SETSID}{fed}{{ {' '.join(step)} }} & oc_g=$!; oc_c=$oc_g;"
    if _may_be_forked(command, mark):
        here = [_HEEDS, "exec 4<&-;", *environment, marked % "$$", there, 'printf "\\nOC1 $$\\n";', f"eval {script};"]
        leads = _LEADS.replace("{mark}", f"{MARK}={mark}")
        begin = f'if {leads}; then oc_g=$$; set -- - "$@"; {_DEAF} {{ {" ".join(here)} }} & oc_c=$!; else {begin} fi;'
    return line_of(f"{_BEFORE}{begin} {_OR_ELSE} {_WATCHER} {_WAIT}", *given.values)


def entry(command: Command, mark: str = "") -> str:
    """The command that `payload` is sent to, where nobody else is to become. Control comes after the greeting only.

    It has the mark where a fork may run the step, whose processes have no environment with it: its shell began without.
    """
    return f"{_ENTRY_AHEAD} sh {MARK}={mark}" if _may_be_forked(command, mark) else _ENTRY_AHEAD


def _may_be_forked(command: Command, mark: str) -> bool:
    return bool(mark) and command.shell == "sh" and command.stdin is None and is_plain(command.script)


class _Given:
    """The values of one step, which its text has as positional parameters: no variable of the step can hide them."""

    def __init__(self) -> None:
        self.values: list[str] = []

    def place(self, value: str) -> str:
        """Where it stands from _BEFORE on."""
        self.values.append(value)
        return f'"${{{len(self.values) + 1}}}"'


def proof(group: int, *, kill: bool, patience: int = 0) -> bytes:
    """The first line of standard input that tells `OC1 gone` (exit 0) or `OC1 alive` (exit 1) of a process group.

    `OC1 blind` (exit 1) where /proc hides others' processes, and python3, which can ask for them, is not there.

    With `kill` its members are ended first. It looks again for `patience` seconds. Raises ValueError below 2.
    """
    if group < 2:
        raise ValueError(f"{group} is no group of a step")  # as a number for kill it would be everybody, or oneself
    data = f"oc_g={int(group)}\noc_order={'1' if kill else ''}\noc_patience={int(patience)}\n"
    return line_of(f"{data}{_MEMBERS}{_SEES}{_PROVE}")


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
_ESCAPES = {byte: chr(byte) if 0x20 <= byte < 0x7F and byte not in b"\\'" else f"\\0{byte:03o}" for byte in range(256)}
_ESCAPES[0x0A] = "\\n"
_ESCAPES[0x5C] = "\\\\"

_PLAIN = re.compile(r"[\t\n -~]*", re.ASCII)
# IFS is blank, tab and newline in a shell that has just started; elsewhere a process finds out what a newline is.
_NEWLINE = 'oc_n=${IFS#??};eval "false${oc_n}:" 2>/dev/null||{ oc_n=$(printf "\\n_");oc_n=${oc_n%_};IFS=" $oc_n";};'


def line_of(text: str, *values: str) -> bytes:
    """The line on standard input that runs this script, with these positional parameters; see READ.

    In braces: a shell that reads a part of it, as the connection broke, finds no end and runs nothing of it.
    """
    script = f"oc_m=${{1-}} oc_me=;set -- {' '.join(map(quoted, values))};eval {quoted(text)}"
    if _PLAIN.fullmatch(script):
        # each newline is within single quotes; no process is needed to read this
        return f"{{ {_NEWLINE}{script}; }}".replace("\n", "'\"$oc_n\"'").encode("ascii") + b"\n"
    # surrogateescape: bytes that came from a file as they are go out as they are
    escaped = "".join(map(_ESCAPES.__getitem__, script.encode("utf-8", "surrogateescape")))
    return f"{{ eval \"$(printf %b '{escaped}')\"; }}\n".encode("ascii")
