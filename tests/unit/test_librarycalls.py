"""What a library's step is given, against what it takes."""

import pytest

from engine.runs.librarycalls import misfit, unfit
from engine.runs.pinned import LibraryCall, PinnedTarget


def call(*platforms: str) -> LibraryCall:
    takes = {"n": {"type": "integer", "required": True}, "name": {"type": "string"}}
    gives = {"done": {"type": "boolean"}}
    return LibraryCall("web/deploy@1", "sha256:0", (), takes=takes, gives=gives, platforms=platforms)


@pytest.mark.parametrize(
    ("platforms", "os", "fits"),
    [
        (("linux",), "linux", True),
        (("linux",), "windows", False),
        (("windows",), "linux", False),
        (("linux", "windows"), "windows", True),
        ((), "windows", True),
    ],
)
def test_a_step_runs_on_its_platforms_only(platforms: tuple[str, ...], os: str, fits: bool) -> None:
    said = unfit(call(*platforms), PinnedTarget("web-01", "web.example", os=os), {"n": 1})

    if fits:
        assert said is None
    else:
        assert said == f"web/deploy@1: it runs on {platforms[0]}, and target 'web-01' is {os}; nothing was sent"


def test_a_run_without_a_target_has_no_platform_to_be_wrong() -> None:
    assert unfit(call("windows"), None, {"n": 1}) is None


def test_an_input_that_does_not_fit_is_named_and_one_left_out_is_not() -> None:
    assert unfit(call(), None, {"n": 1, "name": None}) is None
    for inputs, name in (({"n": "one"}, "n"), ({"n": None}, "n"), ({"n": 1, "name": 2}, "name")):
        assert (unfit(call(), None, inputs) or "").startswith(f"web/deploy@1: input '{name}': ")


def test_an_output_is_held_to_what_was_promised() -> None:
    assert misfit(call(), "done", True) is None
    assert (misfit(call(), "done", "yes") or "").startswith("web/deploy@1: output 'done': ")
