"""Step types as data: what `uses` may name, its inputs and outputs. Read without importing what runs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class StepType:
    """Inputs as JSON Schema properties, outputs by name; `runner_side` ones need no target."""

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    runner_side: bool = False
    over: str | None = None
    """The connection it always uses."""

    @property
    def is_script(self) -> bool:
        """Whether its input `run` is a script: expressions in it are bound as variables, as in a step's own `run`."""
        return "run" in self.inputs


_SCRIPT = {
    "run": {"type": "string", "description": "The script. Expressions in it are bound as variables, never spliced."},
    "shell": {"enum": ["sh", "bash", "powershell", "python3", "cmd"], "description": "What interprets it."},
}

_TYPES = (
    StepType(
        "dummy",
        inputs={
            "sleep": {"type": "string", "description": "How long to wait, as a duration."},
            "exit": {"type": "integer", "description": "Exit code to end with; 0 by default."},
            "stdout": {"type": "string", "description": "What to print."},
            "stderr": {"type": "string", "description": "What to print as an error."},
            "die": {"type": "boolean", "description": "Take the whole runner along."},
            "hang": {"type": "boolean", "description": "Never end; heed no order to end, either."},
        },
        runner_side=True,
    ),
    StepType("script", inputs=_SCRIPT, required=frozenset({"run"})),
    StepType("ssh.exec", inputs=_SCRIPT, required=frozenset({"run"}), over="ssh"),
    StepType("local.exec", inputs=_SCRIPT, required=frozenset({"run"}), over="local"),
    StepType(
        "assert",
        inputs={
            "that": {"type": "boolean", "description": "An expression; the step fails when it is false."},
            "message": {"type": "string", "description": "What to say then."},
        },
        required=frozenset({"that"}),
        runner_side=True,
    ),
)

STEP_TYPES: Mapping[str, StepType] = MappingProxyType({found.name: found for found in _TYPES})

PLANNED_TYPES = frozenset(
    {"http", "webhook", "notify", "mcp", "wait", "winrm.exec", "sftp.put", "sftp.get", "template"}
)
"""Step types of the language that this version refuses with "not supported yet"."""
