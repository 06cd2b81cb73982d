"""Python and PowerShell: where a value may stand, and where it would be evaluated."""

import pytest

from engine.binding import Bound, bind

PYTHON = [
    "print(${{ e }})",
    "x = {'a': [${{ e }}, 1], 'b': (${{ e }},)}\nprint(x[${{ e }}])",
    "import subprocess\nsubprocess.run(['ls', '-l', ${{ e }}], check=True, cwd=${{ e }})",
    "import subprocess\nsubprocess.run(['grep', 'x'], input=${{ e }}, text=True)",
    "import subprocess\nsubprocess.run(['sudo', 'systemctl', 'restart', ${{ e }}], shell=False)",
    "import subprocess\nsubprocess.check_output(['docker', 'build', '-t', ${{ e }}, '.'])",
    "import os\nos.execvp('ls', ['ls', ${{ e }}])",
    "import os\nos.makedirs(os.path.join('/srv', ${{ e }}), exist_ok=True)",
    "import os, platform\nprint(platform.system(), os.environ.get(${{ e }}))",
    "import re\nprint(re.compile(${{ e }}).search('a'))",
    "import json\nprint(json.loads(${{ e }})['a'])",
    "import yaml\nprint(yaml.safe_load(${{ e }}), yaml.load(${{ e }}, Loader=yaml.SafeLoader))",
    "import asyncio\nasync def main(x):\n    print(x)\nasyncio.run(main(${{ e }}))",
    "import sqlite3\nc = sqlite3.connect('x')\nc.execute('select ?', (${{ e }},))",
    "import urllib.request\nprint(urllib.request.urlopen('https://' + ${{ e }}).read())",
    "from pathlib import Path\nPath(${{ e }}).write_text('x')",
    "print('{} {}'.format(1, ${{ e }}), '%s' % ${{ e }})",
    "def f(a, b=${{ e }}):\n    return a == b\nprint(f(b=${{ e }}, a=1))",
    "for x in [${{ e }}]:\n    print(x)",
    "match ${{ e }}:\n    case 'a':\n        print(1)",
    "print(int(${{ e }}) + 1)",
    "x = 'text' + ${{ e }}\nprint(x)",
    "# ${{ e }}\nprint('é', ${{ e }})  # ü ${{ e }}",
    "if True:\n\tprint('''a\nb''', ${{ e }})",
]
PYTHON_REFUSED = [
    "import subprocess\nsubprocess.run(['sh', '-c', ${{ e }}])",
    "import subprocess\nsubprocess.run(['bash', '-lc', 'ls ' + ${{ e }}])",
    "import subprocess\nsubprocess.run(['sh', '-c', str(${{ e }})])",
    "import subprocess\nsubprocess.run(['sh', '-c', 'ls %s' % ${{ e }}])",
    "import subprocess\nsubprocess.run(['/bin/sh', '-c'] + [${{ e }}])",
    "import subprocess\nsubprocess.run(['sh', '-c', *[${{ e }}]])",
    "import subprocess\nsubprocess.run(args=['sh', '-c', ${{ e }}])",
    "import subprocess\nsubprocess.run(['sh'], input=${{ e }})",
    "import subprocess\nsubprocess.run(['ssh', 'h', ${{ e }}])",
    "import subprocess\nsubprocess.run(['sudo', ${{ e }}])",
    "import subprocess\nsubprocess.run(${{ e }})",
    "import subprocess\nsubprocess.run([${{ e }}, 'x'])",
    "import subprocess\nsubprocess.run('ls ' + ${{ e }})",
    "import subprocess\nsubprocess.run(['x'], executable=${{ e }})",
    "import subprocess\nsubprocess.run(['x', ${{ e }}], shell=True)",
    "import subprocess\nsubprocess.run(['x', ${{ e }}], **{'shell': True})",
    "cmd = ['sh', '-c', ${{ e }}]\nrun_it(cmd)",
    "import os\nos.execlp('sh', 'sh', '-c', ${{ e }})",
    "import os\nos.execvp('sh', ['sh', '-c', ${{ e }}])",
    "import os\nos.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', ${{ e }})",
    "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', ${{ e }}], {})",
    "import os\nos.popen(cmd=${{ e }})",
    "import pty\npty.spawn(['sh', '-c', ${{ e }}])",
    "client.exec_command(${{ e }})",
    "Connection('h').run(${{ e }})",
    "Connection('h').sudo('ls ' + ${{ e }})",
    "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec('sh', '-c', ${{ e }})",
    "import sh\nsh.bash('-c', ${{ e }})",
    "(exec)(${{ e }})",
    "eval\\\n(${{ e }})",
    "__builtins__.eval(${{ e }})",
    "globals()['eval'](${{ e }})",
    "getattr(os, 'system')(${{ e }})",
    "f = eval\nf(${{ e }})",
    "import os\nf = os.system\nf(${{ e }})",
    "from os import system as s\ns(${{ e }})",
    "import pickle as p\np.loads(${{ e }})",
    "import pickle\npickle.loads(${{ e }}.encode())",
    "import yaml\nyaml.load(${{ e }}, Loader=yaml.Loader)",
    "import timeit\ntimeit.timeit(${{ e }})",
    "import runpy\nrunpy.run_path(${{ e }})",
    "compile(${{ e }}, 'a', 'exec')",
    "c.execute('select ' + ${{ e }})",
    "${{ e }}.format(os)",
    "${{ e }}()",
    "${{ e }} = 1",
    "${{ e }} += 'a'",
    "(x := 1, ${{ e }} := 2)",
    "for ${{ e }} in a: pass",
    "[1 for ${{ e }} in a]",
    "with a as ${{ e }}: pass",
    "import ${{ e }}",
    "import a as ${{ e }}",
    "from ${{ e }} import a",
    "del ${{ e }}",
    "global ${{ e }}",
    "def f(${{ e }}): pass",
    "def ${{ e }}(): pass",
    "class ${{ e }}: pass",
    "lambda ${{ e }}: 1",
    "f(${{ e }}=1)",
    "x.${{ e }}",
    "match 1:\n  case ${{ e }}: pass",
    "match 1:\n  case [*${{ e }}]: pass",
    "try: pass\nexcept E as ${{ e }}: pass",
    "print('a' ${{ e }})",
    "print('a${{ e }}')",
    "print(f'{${{ e }}}')",
    "x${{ e }}",
    "print(${{ e }}",
    "(" * 500 + "${{ e }}",
    "x = " + "-" * 5_000 + "${{ e }}",
    "x = 1" + " + 1" * 5_000 + " + ${{ e }}",
]
POWERSHELL = [
    "Write-Host ${{ e }}",
    'Write-Host "a ${{ e }}" -ForegroundColor Red',
    "$x = ${{ e }}; Get-Service -Name $x",
    "Restart-Service -Name ${{ e }}",
    "if (${{ e }} -eq 'a') { Write-Host ${{ e }} }",
    "Get-ChildItem ${{ e }} | Where-Object { $_.Length -gt 5 }",
    "Copy-Item -Path ${{ e }} -Destination 'C:\\x'",
    "$h = @{ name = ${{ e }}; size = 1 }",
    "& 'C:\\tools\\x.exe' --name ${{ e }}",
    "docker build -t ${{ e }} .",
    "git checkout ${{ e }} -- .",
    "ping -n 1 ${{ e }}",
    "Write-Host 'a # b' ${{ e }} # ${{ e }}",
    "Invoke-RestMethod -Uri ${{ e }}",
    "msiexec /i ${{ e }} /qn",
]
POWERSHELL_REFUSED = [
    'ssh h "rm ${{ e }}"',
    "$r = ssh h ${{ e }}",
    "(ssh h ${{ e }})",
    "plink h ${{ e }}",
    "python -c \"print('${{ e }}')\"",
    'python.exe -c "${{ e }}"',
    'perl -e "${{ e }}"',
    'node -e "${{ e }}"',
    'docker exec c zsh -c "${{ e }}"',
    'wmic process call create "${{ e }}"',
    '& "${{ e }}"',
    "& (${{ e }})",
    '& ("${{ e }}")',
    '&"${{ e }}" -a',
    '. "${{ e }}"',
    ". (${{ e }})",
    "ForEach-Object ${{ e }}",
    "Get-Process | % ${{ e }}",
    "Get-Process | ForEach-Object ${{ e }}",
    "Start-Job { x } -Arg ${{ e }}",
    "Set-Alias x ${{ e }}",
    "sal x ${{ e }}",
    "start ${{ e }}",
    "ii ${{ e }}",
    "Import-Module ${{ e }}",
    "sc.exe create x binPath= ${{ e }}",
    "[System.Diagnostics.Process]::Start(${{ e }})",
    "(New-Object -ComObject WScript.Shell).Run(${{ e }})",
    'schtasks /create /tr "${{ e }}"',
    'git -c core.sshCommand="${{ e }}" fetch',
    "$a.${{ e }}()",
    '$a."${{ e }}"()',
    "$a.(${{ e }})()",
    "echo a#'\n${{ e }}\n'b",
    "echo \"a\"#'\n${{ e }}\n'b",
]


@pytest.mark.parametrize("script", PYTHON)
def test_a_value_may_stand_where_python_takes_a_text(script: str) -> None:
    bound = bind(script, "python3")
    assert isinstance(bound, Bound), bound
    compile(bound.text, "script", "exec")


@pytest.mark.parametrize("script", PYTHON_REFUSED, ids=lambda script: script[:60])
def test_a_value_is_refused_where_python_would_evaluate_it_or_takes_none(script: str) -> None:
    refused = bind(script, "python3")
    assert isinstance(refused, tuple), refused
    assert script[refused[0].offset :].startswith("${{ e }}")


@pytest.mark.parametrize("script", POWERSHELL)
def test_a_value_may_stand_in_words_of_powershell(script: str) -> None:
    bound = bind(script, "powershell")
    assert isinstance(bound, Bound), bound


@pytest.mark.parametrize("script", POWERSHELL_REFUSED)
def test_a_value_is_refused_where_powershell_or_what_it_starts_would_evaluate_it(script: str) -> None:
    assert isinstance(bind(script, "powershell"), tuple)
