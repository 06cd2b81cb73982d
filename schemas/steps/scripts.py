"""Step types that are a script."""

from schemas.steps.types import REPOSITORY_FILE, StepType, choice

_RUN = {
    "type": "string",
    "minLength": 1,
    "description": "The script. Expressions in it are bound as variables, never spliced.",
    "examples": ["df --output=pcent /var | tail -1"],
}
_FILE = {
    **REPOSITORY_FILE,
    "description": "A script of the repository, as its path from the root. Nothing in it is an expression: values"
    " reach it by `env`.",
    "examples": ["scripts/rotate.sh"],
}
_SCRIPT = {
    "run": _RUN,
    "file": _FILE,
    "shell": choice("What interprets it.", "sh", "bash", "powershell", "python3", "cmd"),
}
_ONE_TEXT = (("run", "file"),)

TYPES = (
    StepType(
        "script",
        description="A script over the target's own connection; the same as `run` of a step.",
        inputs=_SCRIPT,
        one_of=_ONE_TEXT,
        files=frozenset({"file"}),
        examples=({"run": "uptime"}, {"file": "scripts/rotate.sh", "shell": "bash"}),
    ),
    StepType(
        "ssh.exec",
        description="A script over ssh.",
        inputs=_SCRIPT,
        one_of=_ONE_TEXT,
        files=frozenset({"file"}),
        over="ssh",
        examples=({"run": "uptime"},),
    ),
    StepType(
        "local.exec",
        description="A script on the runner's own host.",
        inputs=_SCRIPT,
        one_of=_ONE_TEXT,
        files=frozenset({"file"}),
        over="local",
        examples=({"run": "uptime"},),
    ),
    StepType(
        "winrm.exec",
        description="A script over WinRM.",
        inputs={
            "run": _RUN,
            "file": _FILE,
            "shell": choice("What interprets it; powershell by default.", "powershell", "cmd"),
        },
        one_of=_ONE_TEXT,
        files=frozenset({"file"}),
        over="winrm",
        examples=({"run": "Get-Service W32Time"},),
    ),
)
