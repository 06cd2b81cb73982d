"""A systemd service as the Job that a timer starts: its commands, surroundings and limits (systemd.exec(5))."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.leaks import names_a_secret, shown, stands_for_a_secret
from opsconductor.imports import execline
from opsconductor.imports.calendarspec import duration
from opsconductor.imports.crontime import CarryError
from opsconductor.imports.drafts import Place, Remark, has_expression, literal, one_line
from opsconductor.imports.unitfile import Setting, Unit

_SYSTEM = {
    "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "T": "/tmp", "V": "/var/tmp",  # noqa: S108 - what systemd calls so
    "h": "/root", "u": "root", "U": "0", "g": "root", "G": "0",
}  # fmt: skip
"""Specifiers as the system's manager has them; that of a user asks the machine."""
_SPECIFIER = re.compile(r"%(.?)", re.DOTALL)
_NUMBER = re.compile(r"1?\d?\d|2[0-4]\d|25[0-5]", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_.#][A-Za-z0-9_.@\\+-]*\$?", re.ASCII)
_INSTEAD = "or keep the unit, and have the step start it: systemctl start --wait {unit}"
_LIMITS = "Nice|CPU.*|IO.*|OOM.*|Memory.*|Tasks.*|Slice|Limit.*|Startup.*|BlockIO.*|Numa.*|Timer.*Slack.*|Delegate.*"
_SANDBOX = (
    "Protect.*|Private.*|Restrict.*|NoNewPrivileges|Read(Only|Write).*|Inaccessible.*|Capabilit.*|Ambient.*|SystemCall.*|"
    "Lock.*|MemoryDeny.*|DynamicUser|Device.*|IPA.*|Root.*|Bind(ReadOnly)?Paths|Temporary.*|SecureBits|RemoveIPC|Keyring.*|Proc.*|UMask|Mount.*|"
    "Group|Supplementary.*|Exec(Search)?Paths|NoExecPaths|.*Namespace.*|SELinux.*|AppArmor.*|Smack.*|Personality|PAMName"
)
_LOST: tuple[tuple[str, str, str], ...] = (
    (_SANDBOX, "is part of how systemd closes the service in", "let the script see to it; " + _INSTEAD),
    (_LIMITS, "is a limit or priority of the process", "put nice, ionice or prlimit before the command; " + _INSTEAD),
    ("(Runtime|State|Cache|Logs|Configuration)Directory.*", "makes a folder", "make it in a first step, by install -d"),
    ("(Load|Set|Import)Credential.*", "hands over a secret", "make a Credential, and give it by 'env' or 'stdin'"),
    ("EnvironmentFile", "names variables on the machine", "begin the script with: set -a; . FILE; set +a"),
    ("(Pass|Unset)Environment", "changes what variables the command has", "write them in 'env' of the Job"),
    ("Standard(Input.*|Output|Error)|TTY.*", "says where input and output go", "write < and > in the script"),
    ("(Condition|Assert|RequiresMounts).*", "is a condition on the machine", "test it in the script; else exit 0"),
    ("ExecCondition", "is a command that decides whether the others run", "make it a step, and 'if' of the next one"),
    ("ExecStop", "runs when the service is stopped", "make it a step of 'finally'"),
    ("Restart.*|StartLimit.*", "says when it is started again", "give the step a 'retry' with maxAttempts and delay"),
    ("On(Failure|Success).*", "starts another unit after it", "write a NotificationRule, or a Trigger on its runs"),
    (
        "Requires|Requisite|BindsTo|PartOf|Upholds|Conflicts|Wants|Joins.*|Propagates.*",
        "says what else must be there first",
        "make a Job of that too, and a Workflow in which one needs the other",
    ),
    ("Type|RemainAfterExit|GuessMain.*|PIDFile|Bus.*|Notify.*|Watch.*", "says when it has started", _INSTEAD[3:]),
    ("Timeout.*|RuntimeRandom.*", "is a limit that no step has", "a step is given ten seconds between TERM and KILL"),
    ("WantedBy|RequiredBy|Also|Alias|DefaultInstance|UpheldBy", "starts it in other ways", "ask for a run by hand"),
)  # fmt: skip
_QUIET = {
    "Type": ("oneshot", "simple", "exec", "idle"),
    "Restart": ("no",),
    "StandardOutput": ("journal", "inherit", "syslog", "journal+console"),
    "StandardError": ("journal", "inherit", "syslog", "journal+console"),
    "StandardInput": ("null",),
    "RemainAfterExit": ("no", "false"),
}
"""What a run here does anyway."""
_OF_NO_MEANING = re.compile(
    r"Syslog.*|Log[A-Z].*|KillMode|KillSignal|SendSIGKILL|SourcePath|StopWhenUnneeded|"
    r"RefuseManual.*|AllowIsolate|DefaultDependencies|IgnoreSIGPIPE|UtmpIdentifier|ExecReload|CollectMode|RestartSec|"
    r"StartLimit.*|FailureAction|SuccessAction|Accounting|.*Accounting|OOMPolicy|RestartKillSignal"
)
_CARRIED = frozenset(
    {
        "ExecStart", "ExecStartPre", "ExecStartPost", "ExecStopPost", "Environment", "User", "WorkingDirectory",
        "TimeoutStartSec", "TimeoutSec", "RuntimeMaxSec", "SuccessExitStatus", "Description", "Documentation",
    }
)  # fmt: skip
_ORDERING = ("Wants", "After", "Before", "Requires", "BindsTo", "PartOf", "Requisite", "Conflicts")
_CODES = {
    "USAGE": 64, "DATAERR": 65, "NOINPUT": 66, "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70,
    "OSERR": 71, "OSFILE": 72, "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
}  # fmt: skip
"""Exit codes by their names, as sysexits.h has them."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The parts of a Job's spec, and what could not be carried."""

    spec: Mapping[str, Any]
    remarks: tuple[Remark, ...]


class NothingToRunError(ValueError):
    """The service has no command that a Job could run; `remark` says why."""

    def __init__(self, remark: Remark) -> None:
        super().__init__(remark.what)
        self.remark = remark


def carried(unit: Unit, longest: str, *, of_user: bool) -> Carried:
    """A service as parts of a Job. Raises NothingToRunError.

    Services of the system's manager run as root where they name nobody, those `of_user` as that one.
    """
    reader = _Reader(unit, of_user=of_user)
    steps = [step for key in ("ExecStartPre", "ExecStart", "ExecStartPost") for step in reader.steps(key)]
    if not unit.all("ExecStart"):
        what = "it has no ExecStart"
        raise NothingToRunError(Remark(unit.place, what, "nothing would run; ExecStop alone is no Job"))
    spec = {
        "timeout": reader.timeout() or longest,
        "env": reader.environment(),
        "steps": steps,
        "finally": reader.steps("ExecStopPost"),
    }
    reader.rest()
    return Carried(spec, tuple(reader.remarks))


class _Reader:
    def __init__(self, unit: Unit, *, of_user: bool) -> None:
        self.unit = unit
        self.of_user = of_user
        self.remarks: list[Remark] = []
        self.oneshot = (kind := unit.last("Type")) is not None and kind.value == "oneshot"

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def steps(self, key: str) -> list[dict[str, Any]]:
        made = []
        around = self._around()
        for one in self.unit.all(key):
            try:
                found = execline.commands(one.value, self.expand)
            except CarryError as error:
                what = f"{key}={one_line(one.value, 80)}: {error}"
                raise NothingToRunError(Remark(one.place, f"{self.unit.name}: {what}", error.hint)) from error
            if key == "ExecStartPost" and not self.oneshot:
                self.note(one.place, f"{key} ran as soon as the service was started; here it runs after that has ended")
            for command in found:
                if has_expression(command.script):
                    remark = Remark(one.place, f"{key}: ${{{{ begins an expression here", "call a script file instead")
                    raise NothingToRunError(remark)
                if command.renamed:
                    self.note(one.place, f"{key}: the name that '@' gave to the process is left out")
                made.append(self._step(command, around))
        return made

    def _step(self, command: execline.Command, around: Mapping[str, Any]) -> dict[str, Any]:
        step: dict[str, Any] = {"run": command.script, **around}
        if command.shell:
            step["shell"] = command.shell
        if command.as_root:
            step["become"] = "root"
        if command.may_fail:
            step["continueOnError"] = True
        return step

    def _around(self) -> dict[str, Any]:
        """What all steps have."""
        found: dict[str, Any] = {}
        folder = self.unit.last("WorkingDirectory")
        if folder is not None:
            text = self._expanded(folder, folder.value.removeprefix("-"))
            if text.startswith("/"):
                found["workingDir"] = literal(text)
        user = self.unit.last("User")
        name = self._expanded(user, user.value) if user is not None else "" if self.of_user else "root"
        if name and _USER.fullmatch(name):
            found["become"] = name
        codes = [word for one in self.unit.all("SuccessExitStatus") for word in one.value.split()]
        if numbers := {_CODES.get(word, word) for word in codes if word in _CODES or _NUMBER.fullmatch(word)}:
            found["okExitCodes"] = sorted({0, *map(int, numbers)})
        return found

    def environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self.unit.all("Environment"):
            try:
                for _, word in execline.words(one.value):
                    name, equals, value = self.expand(word).partition("=")
                    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
                        self.lose(one.place, f"Environment: {one_line(word, 40)!r} is no variable", "write NAME=VALUE")
                    elif _is_secret(name, value):
                        what = f"Environment: {name} looks like a secret; the Job is carried without it"
                        self.lose(one.place, what, "make it a Credential, and give it to the Job by 'env'")
                    else:
                        found[name] = literal(value)
            except CarryError as error:
                self.lose(one.place, f"Environment={one_line(one.value, 60)}: {error}", error.hint)
        return found

    def timeout(self) -> str | None:
        """For oneshot services systemd has no limit where none is given; for others it limits how long they run."""
        keys = ("TimeoutSec", "TimeoutStartSec") if self.oneshot else ("RuntimeMaxSec",)
        # TimeoutSec= sets the other one, too: of both the last line counts
        given = [one for one in self.unit.settings if one.key in keys and one.value]
        for one in given[-1:]:
            if one.value.lower() in ("infinity", "0"):
                continue
            try:
                return duration(one.value, least=1)
            except CarryError as error:
                self.lose(one.place, f"{one.key}={one_line(one.value, 40)}: {error}", error.hint)
        return None

    def expand(self, text: str) -> str:
        """Specifiers by what they stand for. Raises CarryError for those that only the machine knows."""
        return _SPECIFIER.sub(lambda found: self._specifier(found[1]), text)

    def _specifier(self, letter: str) -> str:
        unit = self.unit
        prefix = unit.stem.partition("@")[0]
        known = {
            "%": "%", "n": unit.name, "N": unit.stem, "p": prefix, "i": unit.instance or "",
            "j": prefix.rpartition("-")[2],
        }  # fmt: skip
        if not self.of_user:
            known |= _SYSTEM
        if letter in ("P", "I", "J"):
            return _unescaped(known[letter.lower()])
        if letter in known:
            return known[letter]
        raise CarryError(f"%{letter} is known to the machine only", "write in the unit what it stands for")

    def _expanded(self, one: Setting, text: str) -> str:
        try:
            return self.expand(text)
        except CarryError as error:
            self.lose(one.place, f"{one.key}={one_line(one.value, 60)}: {error}", error.hint)
            return ""

    def rest(self) -> None:
        """Everything else, each with what it was for."""
        for one in self.unit.settings:
            if one.value and not self._is_held(one):
                self._say(one)

    def _is_held(self, one: Setting) -> bool:
        match one.key:
            case "TimeoutStartSec" | "TimeoutSec":
                return self.oneshot or one.value.lower() in ("infinity", "0")
            case "RuntimeMaxSec":
                return not self.oneshot or one.value.lower() == "infinity"
            case "WorkingDirectory":
                if not one.value.removeprefix("-").startswith(("/", "%")):
                    self.lose(one.place, f"{one.key}={one.value}: the home folder", "write 'workingDir' by hand")
                elif one.value.startswith("-"):
                    self.note(one.place, f"{one.key}={one.value}: where the folder is missing, the step fails here")
                return True
            case "User":
                if one.value and "%" not in one.value and not _USER.fullmatch(one.value):
                    self.lose(one.place, f"User={one_line(one.value, 40)}: no user's name", "write 'become' by hand")
                return True
            case "SuccessExitStatus":
                if words := [word for word in one.value.split() if word not in _CODES and not _NUMBER.fullmatch(word)]:
                    self.lose(one.place, f"SuccessExitStatus: {', '.join(words)}", "okExitCodes are numbers")
                return True
        if one.key in _CARRIED or one.value.lower() in _QUIET.get(one.key, ()):
            return True
        if self._is_order(one):
            what = f"{one.key}={one_line(one.value, 60)} only orders what a machine starts"
            self.note(one.place, what, "a run starts at its time; give a step 'retry', where it may come too early")
            return True
        if self._is_no_limit(one):
            self.note(one.place, f"{one.key}={one_line(one.value, 60)} means nothing to a run here")
            return True
        return False

    def _is_order(self, one: Setting) -> bool:
        """What only says at which point of a machine's start a service may begin."""
        return one.key in ("After", "Before") or (
            one.key in _ORDERING
            and all(
                name.endswith((".target", ".timer", ".slice")) or name.startswith("network") or name == "%n"
                for name in one.value.split()
            )
        )

    def _is_no_limit(self, one: Setting) -> bool:
        ends = self.unit.last("Restart")
        again = ends is None or ends.value == "no"
        return bool(_OF_NO_MEANING.fullmatch(one.key)) and (again or not one.key.startswith(("Restart", "StartLimit")))

    def _say(self, one: Setting) -> None:
        said = f"{one.key}={one_line(one.value, 60)}"
        if one.key in _ORDERING and all(name.endswith((".mount", ".automount")) for name in one.value.split()):
            self.lose(
                one.place, f"{said} mounts a folder first", "look in the script whether it is: mountpoint -q FOLDER"
            )
            return
        for pattern, what, hint in _LOST:
            if re.fullmatch(pattern, one.key):
                self.lose(one.place, f"{said} {what}", hint.format(unit=self.unit.name))
                return
        self.lose(one.place, f"{said} has no equal here", _INSTEAD.removeprefix("or ").format(unit=self.unit.name))


def _is_secret(name: str, value: str) -> bool:
    return (names_a_secret(name) and not stands_for_a_secret(value)) or bool(shown(f"{name}={value}".encode()).leaks)


def _unescaped(text: str) -> str:
    """As `systemd-escape --unescape` has it. Raises CarryError for bytes that are no text."""
    plain = text.replace("-", "/").encode("utf-8", "surrogatepass")
    made = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), plain)
    try:
        return made.decode()
    except UnicodeDecodeError:
        raise CarryError(f"{one_line(text, 60)} stands for bytes that are no text", "write them out by hand") from None
