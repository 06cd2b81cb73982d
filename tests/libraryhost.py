"""Steps of the product's libraries on a Linux host over SSH, as runs do them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from engine.runs.planned_steps import planned_steps
from engine.states import StepState
from engine.status.views import StepView
from schemas.credential import CredentialSpec
from schemas.job import JobSpec, Step
from tests.catalogs import catalog
from tests.linuxhost import host, said, target_of
from tests.openssh import OpenSsh
from tests.running import Bench

__all__ = ["Steps", "host", "steps"]
_PATIENCE = 120.0
"""Seconds for a step: some work through ten thousand names, and the machine may be busy."""


@dataclass
class Steps:
    """Runs one library step after another on the host, and looks there."""

    server: OpenSsh
    folder: Path
    used: list[Bench] = field(default_factory=list)

    async def run(self, uses: str, *, secrets: Mapping[str, str] | None = None, **inputs: Any) -> StepView:
        """One step on the host; `secrets` are credentials of type token by name."""
        self.folder.joinpath(str(len(self.used))).mkdir()
        bench = Bench(self.folder / str(len(self.used)))
        self.used.append(bench)
        (bench.secrets / "web-key").write_text(self.server.private_key)
        credentials = {"web-key": CredentialSpec.model_validate({"type": "ssh", "from": {"file": "web-key"}})}
        for name, text in (secrets or {}).items():
            (bench.secrets / name).write_text(text)
            credentials[name] = CredentialSpec.model_validate({"type": "token", "from": {"file": name}})
        given = {"id": "it", "uses": uses, "with": inputs}
        job = JobSpec.model_construct(steps=(Step.model_validate(given),))
        plan = planned_steps(job, [], {}, catalog().library)
        done = await bench.execute(
            *plan, targets=(target_of(self.server),), credentials=credentials, patience=_PATIENCE
        )
        await bench.drain(timedelta(0))
        return done.steps()["it"]

    async def outputs(self, uses: str, **inputs: Any) -> Mapping[str, Any]:
        """What a step that succeeds puts out."""
        step = await self.run(uses, **inputs)
        assert step.state is StepState.SUCCEEDED, f"{step.error}\n{step.stderr_tail}"
        return step.outputs

    async def changes(self, uses: str, **inputs: Any) -> None:
        """A step that changes something, and nothing when it is done again."""
        assert (await self.outputs(uses, **inputs))["changed"] is True
        assert (await self.outputs(uses, **inputs))["changed"] is False

    async def refuses(self, uses: str, **inputs: Any) -> str:
        """What a step that fails says."""
        step = await self.run(uses, **inputs)
        assert step.state is StepState.FAILED, step
        return (step.stderr_tail or step.error or "").strip()

    def see(self, command: str, *, check: bool = True) -> str:
        """What a command prints there."""
        return said(self.server, command, check=check)


@pytest_asyncio.fixture
async def steps(host: OpenSsh, tmp_path: Path) -> AsyncIterator[Steps]:
    made = Steps(host, tmp_path)
    yield made
    for bench in made.used:
        await bench.close()
