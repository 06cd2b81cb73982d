"""Prefect 3, measured beside our steps."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.performance.peers import Missing, environment, last_line, run

# Prefect asks for any FastAPI below 1.0; from 0.140 on an argument is gone that Prefect 3 uses.
REQUIREMENTS = ("prefect>=3,<4", "fastapi<0.140")
_TASKS, _ROUNDS = 80, 5


@dataclass(frozen=True, slots=True)
class Added:
    """Seconds that Prefect adds to a task: until the flow goes on, and until its server has the task's record."""

    version: str
    returned: float
    recorded: float


async def measured(folder: Path) -> Added | Missing:
    """Install Prefect where it is not, and measure it with its default settings, on a server of its own."""
    programs = await environment("prefect", *REQUIREMENTS)
    if isinstance(programs, Missing):
        return programs
    program = Path(__file__).with_name("prefect_tasks.py")
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # on a busy machine it takes long
    }
    code, said, complained = await run(
        str(programs / "python"), str(program), str(_TASKS), str(_ROUNDS), extra=settings
    )
    figures = next((json.loads(line) for line in said.splitlines() if line.startswith('{"version"')), None)
    if figures is None:
        return Missing(f"it ended with code {code}: {last_line(complained)}")
    return Added(figures["version"], median(figures["returned"]), median(figures["recorded"]))
