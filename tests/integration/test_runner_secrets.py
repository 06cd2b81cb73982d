"""What a runner opens for a run, whatever the plan says that it was given."""

import pytest
from structlog.testing import capture_logs

from engine.states import RunState
from journal import uses
from schemas.credential import CredentialSpec
from tests.running import Bench, bench, script

__all__ = ["bench"]

SECRET = "correct-horse-battery"
READS = {"env": {"TOKEN": '${{ secrets["api"].token }}'}}


def credential(**more: object) -> dict[str, CredentialSpec]:
    return {"api": CredentialSpec.model_validate({"type": "token", "from": {"file": "api"}, **more})}


@pytest.fixture(autouse=True)
def _written(bench: Bench) -> None:
    (bench.secrets / "api").write_text(SECRET)


@pytest.mark.parametrize(
    ("narrowed", "why"),
    [
        ({"pools": ["dmz"]}, "may not be opened by pool 'default'"),
        ({"allowedFor": {"matchLabels": {"team": "web"}}}, "is not allowed for this job"),
    ],
)
async def test_a_plan_that_reaches_for_another_s_credential_fails_in_the_runner_too(
    bench: Bench, narrowed: dict[str, object], why: str
) -> None:
    """Planning refuses it; a plan that was made in spite of that, or written by somebody else, opens nothing."""
    ran = await bench.execute(
        script('printf %s "$TOKEN"', **READS), credentials=credential(**narrowed), labels={"team": "db"}
    )
    assert ran.state is RunState.FAILED
    assert why in (ran.steps()["only"].error or "")
    assert ran.steps()["only"].exit_code is None, "nothing was started"


async def test_a_credential_that_the_plan_does_not_have_is_not_opened(bench: Bench) -> None:
    ran = await bench.execute(script(":", **READS))
    assert ran.state is RunState.FAILED
    assert "credential 'api' is not in the run's plan" in (ran.steps()["only"].error or "")


async def test_what_the_run_s_pool_and_job_may_have_is_opened(bench: Bench) -> None:
    wanted = credential(pools=["default"], allowedFor={"matchLabels": {"team": "web"}})
    ran = await bench.execute(script(f'test "$TOKEN" = {SECRET}', **READS), credentials=wanted, labels={"team": "web"})
    assert ran.state is RunState.SUCCEEDED


async def test_an_expired_credential_is_used_and_said_to_be(bench: Bench) -> None:
    """Its document may be out of date: what it opens decides. But nobody should have to guess why that says no."""
    later = credential(expiresAt="2999-01-01T00:00:00Z")["api"]
    wanted = {**credential(expiresAt="2020-01-01T00:00:00Z"), "spare": later}
    with capture_logs() as logs:
        ran = await bench.execute(script(f'test "$TOKEN" = {SECRET}', **READS), credentials=wanted)
    assert ran.state is RunState.SUCCEEDED
    [said] = [line for line in logs if line["event"] == "an expired credential is used"]
    assert (said["credential"], said["run"], said["log_level"]) == ("api", ran.view.id, "warning")


async def test_each_use_is_recorded_by_its_name_alone(bench: Bench) -> None:
    """Which run, where and by whom; a credential of the plan that nothing was done with is none that was used."""
    wanted = {**credential(), "spare": credential()["api"]}
    (bench.secrets / "spare").write_text("another secret")
    ran = await bench.execute(script(f'test "$TOKEN" = {SECRET}', **READS), credentials=wanted)
    assert ran.state is RunState.SUCCEEDED
    (use,) = await bench.journal.read(lambda conn: uses.of_credential(conn, "api"))
    assert (use.run, use.credential, bool(use.runner)) == (ran.view.id, "api", True)
    assert await bench.journal.read(lambda conn: uses.of_run(conn, ran.view.id)) == (use,)
