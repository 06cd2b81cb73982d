"""Step types that are a script."""

from schemas.steps.types import StepType, choice

_RUN = {
    "type": "string",
    "minLength": 1,
    "description": "The script. Expressions in it are bound as variables, never spliced.",
    "examples": ["df --output=pcent /var | tail -1"],
}
_SCRIPT = {"run": _RUN, "shell": choice("What interprets it.", "sh", "bash", "powershell", "python3", "cmd")}

TYPES = (
    StepType(
        "script",
        description="A script over the target's own connection; the same as `run` of a step.",
        inputs=_SCRIPT,
        required=frozenset({"run"}),
        examples=({"run": "uptime"},),
    ),
    StepType(
        "ssh.exec",
        description="A script over ssh.",
        inputs=_SCRIPT,
        required=frozenset({"run"}),
        over="ssh",
        examples=({"run": "uptime"},),
    ),
    StepType(
        "local.exec",
        description="A script on the runner's own host.",
        inputs=_SCRIPT,
        required=frozenset({"run"}),
        over="local",
        examples=({"run": "uptime"},),
    ),
    StepType(
        "winrm.exec",
        description="A script over WinRM.",
        inputs={"run": _RUN, "shell": choice("What interprets it; powershell by default.", "powershell", "cmd")},
        required=frozenset({"run"}),
        over="winrm",
        examples=({"run": "Get-Service W32Time"},),
    ),
)
