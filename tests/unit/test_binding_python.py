"""Variables of a script for Python, and of `env` in Python and PowerShell: what the script does with their values."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest

from engine.scripts.binding import Bound, bind, evaluated_env
from engine.scripts.python_flows import reached
from engine.scripts.python_held import Held
from engine.scripts.python_implicit import connect
from engine.scripts.python_renamed import named
from engine.scripts.python_statements import followed, in_order
from engine.scripts.python_tree import walked
from tests.python_scripts import DATA, EVALUATED, NAMED, RUN

ENV = {"X": "${{ params.x }}", "N": "${{ int(params.x) }}", "K": "a"}
EVALUATED_BY_POWERSHELL = [
    "iex $env:X",
    'Invoke-Expression "ls $env:X"',
    "$x = $env:X\niex $x",
    '$x = "ls $env:X"; $y = $x\niex $y',
    "& $env:X",
    "$env:X | iex",
    '& "$env:X" a',
    'cmd /c "dir $env:X"',
    "cmd.exe /c dir $env:X",
    'powershell -NoProfile -Command "ls $env:X"',
    "pwsh -c $env:X",
    "[scriptblock]::Create($env:X)",
    "foreach ($x in $env:X) { iex $x }",
    "if ($true) { $x = $env:X; iex $x }",
    "iex ${env:X}",
    ". $env:X",
    '& ("$env:X")',
    "i`ex $env:X",
    "$x = $env:X\n& $x",
]
DATA_OF_POWERSHELL = [
    "Get-Item $env:X",
    "$x = $env:X; Write-Host $x",
    "iex 'ls $env:X'",
    "Invoke-Command -ScriptBlock { Get-Item $using:y }; Get-Item $env:X",
    "& 'C:\\x.exe' $env:X",
    "& $exe $env:Y; Write-Host $env:X",
    "iex $y; $z = $env:X",
    "# iex $env:X\nGet-Item $env:X",
    'git commit -m "$env:X & more"',
    "Start-Process notepad $env:X",
    "& { Get-Item $env:X }",
    "$x = $env:X; $x | ForEach-Object { $_ }",
    "$x=1; iex $x\nWrite-Host $env:X",
    "& $exe --name $env:X",
    '& "C:\\a\\$v\\x.exe" $env:X',
    "powershell -File x.ps1 $env:X",
]


@pytest.mark.parametrize("script", [*RUN, *NAMED, *EVALUATED])
def test_a_value_is_refused_where_a_variable_takes_it_to_what_evaluates(script: str) -> None:
    refused = bind(script, "python3")
    assert isinstance(refused, tuple), refused
    assert script[refused[0].offset :].startswith("${{ e }}")


@pytest.mark.parametrize("script", DATA)
def test_a_variable_that_is_only_data_is_accepted(script: str) -> None:
    assert isinstance(bind(script, "python3"), Bound), bind(script, "python3")
    compile(bind(script, "python3").text, "script", "exec")  # type: ignore[union-attr]


@pytest.mark.parametrize("script", [*RUN, *EVALUATED])
def test_a_variable_of_env_that_python_evaluates_gives_a_warning(script: str) -> None:
    for read in ("os.environ['X']", "os.environ.get('X', '')", "os.getenv('X')"):
        written = script.replace("${{ e }}", read)
        assert [(one.name, one.computed) for one in evaluated_env(written, "python3", ENV)] == [("X", False)]
    written = script.replace("${{ e }}", "os.environ['X']")
    assert evaluated_env(written, "python3", {"X": "${{ secrets.a.password }}"}) == ()
    assert evaluated_env(written.replace("'X'", "'N'"), "python3", ENV) == ()
    assert evaluated_env(written.replace("'X'", "'K'"), "python3", ENV) == ()


@pytest.mark.parametrize("script", DATA)
def test_a_variable_of_env_that_is_only_data_is_left_alone(script: str) -> None:
    for read in ("os.environ['X']", "os.environ.get('X', '')", "os.getenv('X')"):
        assert evaluated_env(script.replace("${{ e }}", read), "python3", ENV) == ()


@pytest.mark.parametrize(
    "script",
    [
        "import os\nos.system('ls %(X)s' % os.environ)",
        "import os\nos.system('ls {X}'.format(**os.environ))",
        "import os\nos.system('ls {X}'.format_map(os.environ))",
        "import os, string\nos.system(string.Template('ls $X').substitute(os.environ))",
        "import os\nfor k, v in os.environ.items():\n    if k == 'X':\n        os.system(v)",
        "from os import environ\nx = [v for v in environ.values()]\neval(x[0])  # X",
    ],
)
def test_a_variable_of_env_among_all_of_them_gives_a_warning(script: str) -> None:
    assert [(one.name, one.computed) for one in evaluated_env(script, "python3", ENV)] == [("X", False)]


@pytest.mark.parametrize(
    "script",
    [
        "import os\nfor k, v in os.environ.items():\n    print(k, v)  # X",
        "import os, subprocess\nsubprocess.run(['ls', '%(X)s' % os.environ])",
        "import os\nprint('{X}'.format(**os.environ))\nos.system('ls')",
        "import os, subprocess\nsubprocess.run(['ls'], env={**os.environ, 'Y': os.environ['X']})",
    ],
)
def test_all_variables_of_env_as_data_are_left_alone(script: str) -> None:
    assert evaluated_env(script, "python3", ENV) == ()


@pytest.mark.parametrize("script", EVALUATED_BY_POWERSHELL)
def test_a_variable_of_env_that_powershell_evaluates_gives_a_warning(script: str) -> None:
    assert [(one.name, one.computed) for one in evaluated_env(script, "powershell", ENV)] == [("X", False)]
    assert evaluated_env(script, "powershell", {"X": "${{ secrets.a.password }}"}) == ()
    assert evaluated_env(script.replace("X", "N"), "powershell", ENV) == ()


@pytest.mark.parametrize("script", DATA_OF_POWERSHELL)
def test_a_variable_of_env_that_is_only_data_in_powershell_is_left_alone(script: str) -> None:
    assert evaluated_env(script, "powershell", ENV) == ()


def test_an_expression_beside_the_variable_of_env_changes_nothing() -> None:
    script = "import os\nprint(${{ params.y }})\nos.system(os.environ['X'])"
    assert [one.name for one in evaluated_env(script, "python3", ENV)] == ["X"]
    assert evaluated_env("os.system(os.environ['X']", "python3", ENV) == ()


def test_the_finding_names_the_variables_and_what_to_write() -> None:
    script = "import os\nx = ${{ params.v }}\ny = f'ls {x}'\nos.system(y)\nprint(${{ params.w }})"
    refused = bind(script, "python3")
    assert isinstance(refused, tuple)
    assert [one.message for one in refused] == [
        "the expression 'params.v' becomes 'x', and so 'y', which stands in a call that may evaluate it"
    ]
    assert "subprocess.run(['ls', '--', x])" in refused[0].hint


RETURNED = "import os\ndef name(): return ${{ e }}\np = '/srv/' + name()\nos.system('ls ' + p)"
HANDED_ON = "import os\ndef go(*c): os.system(c[0])\nxs = [${{ e }}]\ngo(*xs)\nlist(map(lambda a: os.system(a), xs))"
SAID = [
    (RETURNED, "becomes what 'name' returns, and so 'p', which stands in a call that may evaluate it"),
    (
        "import os\ndef name(): return ${{ e }}\nos.system('ls ' + name())",
        "becomes what 'name' returns, which stands in a call that may evaluate it",
    ),
    (
        "import os\nf = lambda: ${{ e }}\nos.system(f())",
        "becomes what a lambda returns, which stands in a call that may evaluate it",
    ),
    (
        "import os\ndef go(c): os.system(c)\ngo(**${{ e }})",
        "becomes an argument of 'go', and so 'c', which stands in a call that may evaluate it",
    ),
]


@pytest.mark.parametrize(("script", "said"), SAID)
def test_a_finding_says_which_function_takes_the_value(script: str, said: str) -> None:
    refused = bind(script, "python3")
    assert isinstance(refused, tuple)
    assert [one.message for one in refused] == [f"the expression 'e' {said}"]


def test_the_same_script_gives_the_same_findings_in_every_process() -> None:
    """A finding is known again by its text: it may hold no address of memory, and nothing by the order of a set."""
    many = "import os\n" + "".join(f"a{i} = ${{{{ e }}}}\n" for i in range(9)) + "a0 += a1 + a2 + a3\nos.system(a0)"
    asked = (
        "import json, sys; from engine.scripts.binding import bind, evaluated_env\n"
        "for one in json.load(sys.stdin):\n"
        "    print(bind(one, 'python3'))\n"
        "    env = {name: '${{ e }}' for name in ('X', 'Y', 'Z')}\n"
        '    one = one.replace(\'${{ e }}\', \'os.environ["X"] + os.environ["Y"] + os.environ["Z"]\')\n'
        "    print(evaluated_env(one, 'python3', env))\n"
    )
    told = {_told(asked, json.dumps([RETURNED, HANDED_ON, many]), seed) for seed in ("1", "2", "3")}
    assert len(told) == 1
    assert "what 'name' returns" in told.pop()


def _told(program: str, text: str, seed: str) -> str:
    env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", program], input=text, env=env, capture_output=True, check=True, text=True
    )
    return found.stdout


def test_a_number_may_go_anywhere() -> None:
    script = "import os\nx = ${{ int(e) }}\nos.system(f'kill {x}')"
    assert bind(script, "python3") == Bound("import os\nx = OC1\nos.system(f'kill {x}')", ("int(e)",))


@pytest.mark.parametrize(
    "script",
    [
        "import os\nos.system('kill ' + str(${{ int(e) }}))",
        "import os\nos.system('kill %s' % ${{ int(e) }})",
        "import os\nos.system('ls; ' + ${{ int(e) }})",
        "import subprocess\nsubprocess.run(['sh', '-c', 'sleep ' + ${{ int(e) }}])",
        "print(eval(${{ int(e) }}))",
    ],
)
def test_a_number_may_go_there_at_once_as_by_a_variable(script: str) -> None:
    assert isinstance(bind(script, "python3"), Bound)
    assert isinstance(bind(script.replace("int(e)", "e"), "python3"), tuple)


GROWING = {
    "copies": lambda n: "v0 = OC1\n" + "".join(f"v{i + 1} = v{i}\n" for i in range(n)),
    "appends": lambda n: "c = ['ls']\nx = OC1\n" + "c.append(x)\n" * n + "run(c)\n",
    "lists": lambda n: "x = OC1\nc = ['ls', 'a', 'b']\n" + "run(c + [x])\n" * n,
    "calls": lambda n: "def f(*a): run(a)\nx = OC1\n" + "f('ls', x)\n" * n,
    "parameters": lambda n: f"def f({','.join(f'a{i}' for i in range(n))}): 1\nx = OC1\n" + "f(*x, a1=x, **x)\n" * n,
    "functions-of-a-name": lambda n: "x = OC1\n" + "def f(a): os.system(a)\n" * n + "f(x)\n" * n,
    "functions-that-are-handed-on": lambda n: "def f(a, b): run(a)\nx = OC1\n" + "map(f, x, y, z)\n" * n,
    "lambdas": lambda n: "x = OC1\n" + "map(lambda a: a, x)\n" * n,
    "one-from-many": lambda n: "x = OC1\n" + "".join(f"v{i} = x\nx = v{i}\n" for i in range(n)),
    "calls-in-calls": lambda n: "def f(a): 1\nx = OC1\n" + "os.system(" + "f(" * 90 + "x, " * n + ")" * 91,
    "dataclasses": lambda n: "x = OC1\n" + "@dataclass\nclass A:\n b: str\n" * n + "A(x).b\n" * n,
    "classes-that-inherit": lambda n: (
        "x = OC1\n@dataclass\nclass A0:\n b0: str\n"
        + "".join(f"class A{i + 1}(A{i}):\n b{i + 1}: str\n" for i in range(n))
        + f"A{n}(x)\n" * n
    ),
    "fields-of-many": lambda n: "x = OC1\na.b = x\n" + "".join(f"v{i} = x\nos.system(v{i}.b)\n" for i in range(n)),
    "exceptions": lambda n: "x = OC1\n" + "try:\n raise A(x)\nexcept A as e:\n os.system(e)\n" * n,
    "decorators": lambda n: "x = OC1\ndef d(f):\n" + " def g(a): 1\n" * n + "@d\ndef f(a): 1\n" * n + "f(x)\n" * n,
    "methods-of-many": lambda n: f"x = OC1\n({','.join(f'a{i}' for i in range(n))}).foo({'x,' * n})\n",
    "all-variables": lambda n: "x = OC1\n" + "".join(f"a{i} = x\nprint(locals())\n" for i in range(n)),
    "any-variable": lambda n: "x = OC1\n" + "".join(f"setattr(o, k, x)\nfoo(a{i})\n" for i in range(n)),
    "functions-by-another-name": lambda n: (
        "x = OC1\n" + "".join(f"def f{i}(a, b): 1\ng = f{i}\ng(x, x)\n" for i in range(n))
    ),
    "objects-that-are-read": lambda n: (
        "x = OC1\n"
        + "".join(
            f"class A{i}:\n def __iter__(self): yield x\n def __add__(self, o): o\nA{i}() + x\n" for i in range(n)
        )
    ),
    "two-names-of-many": lambda n: "x = OC1\n" + "".join(f"a{i + 1} = a{i}\na{i}.append(x)\n" for i in range(n)),
    "two-names-by-calls": lambda n: "x = OC1\ndef f(a): a.append(x)\n" + "".join(f"f(a{i})\n" for i in range(n)),
    "generators": lambda n: "x = OC1\n" + "def g():\n c = yield from x\n os.system((yield))\ng().send(x)\n" * n,
    "attributes": lambda n: "x = OC1\n" + "a.b = x\nx = a.b\n" * n,
}


@pytest.mark.parametrize("shape", GROWING)
def test_what_flows_is_linear_in_the_script(shape: str) -> None:
    """Counted, and not in seconds: what is put down of a script of four times the length is four times as much."""
    assert _said(GROWING[shape](400)) <= 4.5 * _said(GROWING[shape](100))


def _said(script: str) -> int:
    tree = ast.parse(script)
    names = named(tree, walked(tree), frozenset({"OC1"}), frozenset())
    nodes, saying = in_order(tree)
    flows = followed(saying, names)
    connect(flows, names, nodes, ["OC1"])
    edges = sum(len(to) for to in flows.edges.values())
    words = sum(len(one.elts) for one in Held(flows).commands()) + sum(len(one.elts) for one in flows.joined)
    return edges + words + sum(len(found) for found in reached(flows, ["OC1"]).states.values())


TAKEN_FOR_NUMBERS = [
    "'%d' % ${{ int(e) }}",
    "'%s %5.2f' % ('a', ${{ e }})",
    "'%s%% %x' % ('a', ${{ e }})",
    "${{ e }} + 1",
    "2.5 - ${{ e }}",
    "${{ e }} / 2",
    "${{ e }} >= 3",
    "3 < ${{ e }}",
    "range(${{ e }})",
    "range(1, ${{ e }})",
]
TAKEN_FOR_TEXTS = [
    "'%s' % ${{ e }}",
    "'%d %s' % (1, ${{ e }})",
    "'%d%% %s' % (1, ${{ e }})",
    "${{ e }} + 'a'",
    "3 * ${{ e }}",
    "${{ e }} == '3'",
    "'%*d %s' % (3, 1, ${{ e }})",
]


@pytest.mark.parametrize("script", TAKEN_FOR_NUMBERS)
def test_a_value_is_refused_where_the_script_would_end_since_it_is_a_text(script: str) -> None:
    found = bind(f"x = {script}", "python3")
    assert isinstance(found, tuple)
    assert "is a text in Python" in found[0].message
    assert "int(...)" in found[0].hint
    with pytest.raises(TypeError):
        eval(re.sub(r"\$\{\{.*?\}\}", "OC1", script), {"OC1": "5"})
    assert isinstance(bind(re.sub(r"(\$\{\{.*?\}\})", r"int(\1)", f"x = {script}"), "python3"), Bound)


@pytest.mark.parametrize("script", TAKEN_FOR_TEXTS)
def test_a_value_may_stand_in_python_where_a_text_may(script: str) -> None:
    assert isinstance(bind(f"x = {script}", "python3"), Bound)
    eval(script.replace("${{ e }}", "OC1"), {"OC1": "5"})
