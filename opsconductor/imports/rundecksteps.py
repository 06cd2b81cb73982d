"""Commands of a Rundeck job as steps: what cannot be carried becomes a step that fails, so that nobody overlooks it."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.scripts.binding import with_variables
from opsconductor.imports.drafts import Place, Remark, one_line
from opsconductor.imports.naming import identifier
from opsconductor.imports.rundeckjob import is_empty, is_on, variable
from opsconductor.imports.rundeckwords import TokenError, inlined

_INTERPRETERS = {"sh": "sh", "bash": "bash", "python3": "python3", "powershell": "powershell", "pwsh": "powershell"}
_SHEBANG = re.compile(r"#![ \t]*(\S+)(?:[ \t]+(\S+))?")
_MEANT = frozenset(
    {
        "exec", "script", "scriptfile", "scripturl", "args", "description", "errorhandler", "scriptInterpreter",
        "keepgoingOnSuccess", "enabled", "type", "nodeStep", "configuration", "jobref", "plugins",
    }
)  # fmt: skip
_HINTS = {
    "interpreterArgsQuoted": "arguments are quoted as the script's shell has it; look at the step",
    "expandTokenInScriptFile": "give the file its values by 'env'",
    "autoSecureInput": "give the step 'stdin' from a secret param, if it asks for a password",
    "passSecureInput": "give the step 'stdin' from a secret param, if it asks for a password",
    "fileExtension": "scripts go to their shell by its input, and have no file",
}
_INLINE_PLUGINS = {
    "exec-command": ("exec", "adhocRemoteString"),
    "command": ("exec", "adhocRemoteString"),
    "script-inline": ("script", "adhocLocalString"),
    "localexec": ("exec", "command"),
}
"""Step plug-ins that are what Rundeck itself has."""


@dataclass
class Steps:
    """Makes steps of one job's commands. `secrets` names its secret options, `barred` those that are not carried."""

    secrets: Sequence[str]
    barred: Collection[str] = ()
    remarks: list[Remark] = field(default_factory=list)

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def all(self, commands: Sequence[tuple[Mapping[str, Any], Place]], *, keep_going: bool) -> list[dict[str, Any]]:
        """The steps; with `keep_going` each of them lets the next begin, and the last one fails where one did."""
        made = []
        for _, place in (one for one in commands if not is_on(one[0])):
            self.remarks.append(Remark(place, "a step that is switched off", "nothing was made of it", lost=False))
        commands = [one for one in commands if is_on(one[0])]
        # a single step lets none begin: it fails by itself
        keep_going = keep_going and len(commands) > 1
        failed = []
        for number, (command, place) in enumerate(commands, 1):
            step = self.step(command, place)
            failed.append(f"steps.step_{number}.state == 'failed'")
            handler = command.get("errorhandler")
            if isinstance(handler, dict):
                makes_good = str(handler.get("keepgoingOnSuccess", False)).lower() == "true"
                step["rescue"] = [self.step(handler, place)]
                if keep_going and makes_good:
                    step["rescue"][0] = {"id": f"handler_{number}", **step["rescue"][0]}
                    failed[-1] = f"({failed[-1]} && steps.handler_{number}.state != 'succeeded')"
                elif not (keep_going or makes_good):
                    step["rescue"].append({"name": "The step had failed", "run": "exit 1"})
            if keep_going:
                step["continueOnError"] = True
            made.append(step)
        if keep_going:
            made.append({"name": "Fail where a step did", "if": f"${{{{ {' || '.join(failed)} }}}}", "run": "exit 1"})
        return made

    def step(self, command: Mapping[str, Any], place: Place) -> dict[str, Any]:
        named = command.get("description")
        step: dict[str, Any] = {"name": one_line(named, 100)} if isinstance(named, str) and named.strip() else {}
        try:
            made = self._action(_plain(command), place)
            # what is secret stands in no script: it is read from the environment, where a value may stand
            secret = {f"params.{identifier(name)}": variable(name) for name in self.secrets}
            found = with_variables(made["run"], made.get("shell", "sh"), secret)
            if isinstance(found, str):
                step |= made | {"run": found}
            else:
                self.lose(place, one_line(found[0].message, 120), found[0].hint)
                step |= _placeholder("an option, or what else Rundeck puts in, where no shell takes a value as data")
        except TokenError as error:
            self.lose(place, f"{error} stands for something that only Rundeck knows", "write the step by hand")
            step |= _placeholder(str(error))
        for key in sorted(map(str, command.keys() - _MEANT)):
            if not is_empty(command[key]) and command[key] not in (False, "false"):
                hint = _HINTS.get(key, "look at the step in Rundeck")
                self.lose(place, f"{one_line(key, 40)} of a step has no equal here", hint)
        if not isinstance(handler := command.get("errorhandler"), dict) and not is_empty(handler):
            self.lose(place, "errorhandler of a step has a form that Rundeck does not export", "write 'rescue'")
        if command.get("plugins"):
            self.lose(place, "what catches or changes the output of a step", "use 'outputs' of the step")
        return step

    def _inlined(self, text: str, *, script: bool = False) -> str:
        return inlined(text, script=script, barred=self.barred)

    def _action(self, command: Mapping[str, Any], place: Place) -> dict[str, Any]:
        interpreter = str(command.get("scriptInterpreter") or "").strip()
        if isinstance(text := command.get("exec"), str) and text.strip():
            return {"run": self._inlined(text).strip()}
        if isinstance(text := command.get("script"), str) and text.strip():
            return self._script(text, interpreter, str(command.get("args") or ""), place)
        if isinstance(path := command.get("scriptfile"), str) and path:
            what = f"scriptfile {one_line(path, 80)}: Rundeck copied it from its own machine"
            self.lose(place, what, "put it on the targets, or into the repository and use sftp.put")
            said = self._inlined(f"{path} {command.get('args') or ''}".strip())
            return {"run": f"{interpreter} {said}".strip()}
        sort = next((key for key in ("scripturl", "type", "jobref") if command.get(key)), "nothing")
        what = f"{sort} {one_line(str(command.get(sort) or ''), 80)}".strip()
        hint = "write the step by hand; there are step types for requests, files and waits"
        self.lose(place, f"a step of {what} has no equal here", hint)
        return _placeholder(what)

    def _script(self, text: str, interpreter: str, arguments: str, place: Place) -> dict[str, Any]:
        script = self._inlined(text, script=True)
        shell = _shell(interpreter) if interpreter else _shell_of(script)
        if shell is None:
            what = f"a script for {one_line(interpreter or script.splitlines()[0], 60)}"
            self.lose(place, f"{what} has no shell here", "put it into a file, and call that")
            return _placeholder(what)
        step: dict[str, Any] = {"run": script if script.endswith("\n") or "\n" not in script else f"{script}\n"}
        if shell != "sh":
            step["shell"] = shell
        if arguments.strip() and shell in ("sh", "bash"):
            given = self._inlined(arguments)
            step["run"] = f"set -- {given.strip()}\n{step['run']}"
        elif arguments.strip():
            self.lose(place, f"arguments of a script: {one_line(arguments, 80)}", "use params in the script itself")
        return step


def _plain(command: Mapping[str, Any]) -> Mapping[str, Any]:
    """A step of one of Rundeck's own plug-ins, said in the older way."""
    settings = command.get("configuration")
    known = _INLINE_PLUGINS.get(str(command.get("type")))
    if known is None or not isinstance(settings, dict) or known[1] not in settings:
        return command
    return {
        **command, known[0]: settings[known[1]], "args": settings.get("argString"),
        "scriptInterpreter": settings.get("scriptInterpreter"),
    }  # fmt: skip


def _shell(interpreter: str) -> str | None:
    words = [word.rpartition("/")[2] for word in interpreter.split()]
    words = [word for word in words if word not in ("env", "-e", "-x", "-l")]
    return _INTERPRETERS.get(words[0]) if len(words) == 1 else None


def _shell_of(script: str) -> str | None:
    """By its first line; sh where it has none."""
    found = _SHEBANG.match(script)
    return "sh" if found is None else _shell(f"{found[1]} {found[2] or ''}")


def _placeholder(what: str) -> dict[str, Any]:
    said = shlex.quote(one_line(f"not carried from Rundeck: {what}".replace("${", "$ {"), 120))
    return {"run": f"echo {said} >&2; exit 1"}
