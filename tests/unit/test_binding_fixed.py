"""What a script for Python evaluates or starts as a command line is proven its own, as soon as it has a value."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from tests.python_fixed import FIXED, TAINTED, UNPROVEN


@pytest.mark.parametrize("script", FIXED)
def test_a_script_whose_commands_are_its_own_takes_a_value_as_data(script: str) -> None:
    bound = bind(script, "python3")
    assert isinstance(bound, Bound), bound
    compile(bound.text, "script", "exec")


@pytest.mark.parametrize("script", UNPROVEN)
def test_what_is_evaluated_is_proven_to_be_the_scripts_own(script: str) -> None:
    refused = bind(script, "python3")
    assert isinstance(refused, tuple), refused
    assert script[refused[0].offset :].startswith("${{ e }}")


def test_the_finding_names_the_line_and_says_what_to_do() -> None:
    refused = bind("import os\na = []\ng = a.append\ng(${{ e }})\nos.system(a[0])", "python3")
    assert isinstance(refused, tuple)
    assert "gives 'system' in line 5 what is not certainly its own text" in refused[0].message
    assert "os.environ" in refused[0].hint
    assert "subprocess.run([" in refused[0].hint


def test_without_an_expression_a_script_may_evaluate_what_it_likes() -> None:
    assert isinstance(bind("import os, sys\nos.system(sys.argv[1])", "python3"), Bound)


@pytest.mark.parametrize("index", [0, 3, 7, 24])
def test_such_a_script_does_run_what_is_in_the_value(index: int, tmp_path: Path) -> None:
    """The refusals are no fear of ours: Python itself starts a program that the value names."""
    script = TAINTED[index].replace("${{ e }}", "OC1")
    run = [sys.executable, "-c", prelude("python3", ["touch ran"]) + script]
    subprocess.run(run, cwd=tmp_path, check=False, capture_output=True)
    assert (tmp_path / "ran").exists()


def test_a_number_in_a_command_asks_nothing_of_the_other_values() -> None:
    begin = "import os\nn = ${{ int(e) }}\n"
    assert isinstance(bind(begin + "os.system(f'sleep {n}')\nprint(${{ f }})", "python3"), Bound)
    refused = bind(begin + "a = []\ng = a.append\ng(${{ f }})\nos.system(f'sleep {n}; {a[0]}')", "python3")
    assert isinstance(refused, tuple)
    assert ["'f'" in one.message for one in refused] == [True]
