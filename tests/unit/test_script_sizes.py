"""Scripts of a commit are followed within a bound, which is worked out before."""

import time

import pytest

from engine.checks import scriptsizes
from engine.compile import Compiled, compile_files
from engine.scripts.binding import following
from schemas.job import Shell
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: ops}\n"
LONG = "import os\n" + "print(1)\n" * 3_000


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is soon reached."""
    monkeypatch.setattr(scriptsizes, "MAX_FOLLOWED_TOGETHER", 300_000)


def job(name: str, script: str, *, shell: str = "python3", env: str = "", alike: bool = False) -> str:
    """A job of fifteen steps with the script, which is another one each time unless they are `alike`."""
    lines = "".join(f"          {line}\n" for line in script.splitlines())
    start = f"    - shell: {shell}\n{env}      run: |\n"
    steps = (f"{start}          #{'' if alike else f' {name} {number}'}\n{lines}" for number in range(15))
    head = f"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}  params: {{a: {{type: string}}}}\n  steps:\n{''.join(steps)}"


def commit(*texts: str) -> Compiled:
    files = [read(text.encode(), f"jobs/{number:03}.yaml") for number, text in enumerate(texts)]
    return compile_files("c" * 40, [read(PROJECT.encode(), "opsconductor.yaml"), *files])


def many(script: str, *, shell: str = "python3", env: str = "", alike: bool = False) -> list[str]:
    """Scripts of a tenth more than the bound together."""
    jobs = int(1.1 * scriptsizes.MAX_FOLLOWED_TOGETHER) // len(script) // 15 + 1
    return [job(f"j{number}", script, shell=shell, env=env, alike=alike) for number in range(jobs)]


@pytest.mark.parametrize(
    ("script", "env"),
    [
        (f"x = ${{{{ params.a }}}}\n{LONG}", ""),
        (f"print(os.environ['X'])\n{LONG}", "      env: {X: '${{ params.a }}'}\n"),
    ],
)
def test_many_scripts_that_have_to_be_followed_are_refused_before_that(script: str, env: str) -> None:
    texts = many(script, env=env)
    files = [read(text.encode(), f"jobs/{number:03}.yaml") for number, text in enumerate(texts)]
    begun = time.process_time()
    found = compile_files("c" * 40, [read(PROJECT.encode(), "opsconductor.yaml"), *files])
    assert time.process_time() - begun < 5
    (large,) = found.findings
    assert (large.code, found.catalog) == ("OC126", None)
    assert "8 MiB" in large.message and "expressions" in large.hint
    assert large.span.file in {f"jobs/{number:03}.yaml" for number in range(len(texts) - len(texts) // 5, len(texts))}


def test_an_expression_that_is_written_by_an_escape_counts() -> None:
    def text(number: int) -> str:
        steps = "".join(
            f'    - {{shell: python3, run: "x = \\x24{{{{ 1 }}}} # {number} {n}{"; 1" * 9_000}"}}\n' for n in range(20)
        )
        head = f"apiVersion: opsconductor/v1\nkind: Job\nmetadata: {{name: j{number}}}\nspec:\n  steps:\n"
        return head + steps

    assert "OC126" in {one.code for one in commit(*map(text, range(18))).findings}


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(
    ("script", "shell"), [(LONG, "python3"), ("echo ${{ params.a }}\n" + "systemctl restart nginx\n" * 1_000, "sh")]
)
def test_scripts_that_need_not_be_followed_do_not_count(script: str, shell: Shell) -> None:
    assert not [one for one in commit(*many(script, shell=shell)).findings if one.code == "OC126"]


def test_a_short_script_counts_for_each_set_of_names_in_its_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it makes of each is another question; of a name that it does not have there is none."""
    monkeypatch.setattr(scriptsizes, "MAX_FOLLOWED_TOGETHER", 10_000)
    script = "print(1)\n" * 400 + "print(X0, X1, X2, X3, X4)\n"

    def said(*names: str) -> bool:
        env = (f"      env: {{{name}: '${{{{ params.a }}}}'}}\n" for name in names)
        jobs = (job(f"j{number}", script, env=one, alike=True) for number, one in enumerate(env))
        return "OC126" in {one.code for one in commit(*jobs).findings}

    assert not said("X0", "X0", "X0", "X0", "X0")
    assert not said("Y0", "Y1", "Y2", "Y3", "Y4")
    assert said("X0", "X1", "X2", "X3", "X4")


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("alike", [True, False])
def test_a_short_script_that_many_steps_have_counts_once(alike: bool) -> None:
    texts = many("x = ${{ params.a }}\n" + "print(1)\n" * 400, alike=alike)
    said = [one.code for one in commit(*texts).findings if one.code == "OC126"]
    assert said == ([] if alike else ["OC126"])


@pytest.mark.parametrize(
    ("script", "shell", "of_env", "counts"),
    [
        ("print(${{ a }})", "python3", False, True),
        ("print(1)", "python3", False, False),
        ("print(1)", "python3", True, True),
        ("echo ${{ a }}", "sh", False, False),
        ("f() { echo ${{ a }}; }; f", "sh", False, True),
        ("f() { echo $X; }; f", "bash", True, True),
        ("echo ${{ a", "sh", False, False),
        ("f() { :; }; f " + "x" * 40_000 + " ${{ a }}", "sh", False, False),
        ("Write-Output ${{ a }}", "powershell", False, True),
        ("echo ${{ a }}", "cmd", True, False),
    ],
)
def test_what_is_followed(script: str, shell: Shell, of_env: bool, counts: bool) -> None:
    assert following(script, shell, of_env=of_env) == (len(script) if counts else 0)
