"""A state folder that is not the default is known to the commands beside the engine, and to no clone."""

from collections.abc import Callable, Mapping

import pytest

from tests.acceptance.site import Site, job

NOT_TOLD = {"OPSCONDUCTOR_STATE": ""}


@pytest.mark.slow
def test_logs_find_the_state_folder_that_the_engine_was_started_with(
    site: Callable[[Mapping[str, str]], Site],
) -> None:
    here = site({"greet.yaml": job("greet", "- {id: greet, run: echo hello}")})
    here.once()
    here.request("greet", "jobRef: greet")
    assert here.once().returncode == 0
    shown = here.run("logs", "greet", cwd=here.source, env=NOT_TOLD)
    assert (shown.returncode, shown.stdout) == (0, "hello\n"), shown.stderr
    assert here.git("config", "--local", "opsconductor.state") == str(here.state)
    here.git("config", "--unset", "opsconductor.state")
    lost = here.run("logs", "greet", cwd=here.source, env=NOT_TOLD)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "--state names the engine's state folder" in lost.stderr


def test_init_remembers_the_state_folder_and_commits_nothing_of_it(bare: Site) -> None:
    fleet, state = bare.root / "fleet", bare.root / "elsewhere"
    assert bare.run("init", str(fleet), "--state", str(state)).returncode == 0
    assert bare._git(fleet, "config", "--local", "opsconductor.state").decode().strip() == str(state)
    copy = bare.root / "copy"
    bare._git(None, "clone", "--quiet", str(fleet), str(copy))
    assert bare._git(copy, "config", "--local", "opsconductor.state", check=False) == b""
