"""Python and PowerShell: where a value may stand, and where it would be evaluated."""

import pytest

from engine.scripts.binding import Bound, bind
from schemas.job import Shell

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
    "Get-Service -Name ${{ e }}\nInvoke-Command -ScriptBlock { Get-Date }",
    "Invoke-Command -ScriptBlock { Get-Date }; $x = ${{ e }}\nRestart-Service $x",
    "# cmd\nGet-Item ${{ e }}",
    "& { Get-Item ${{ e }} }",
    "& $exe /quiet\nGet-Item ${{ e }}",
    'Write-Host "now $((Get-Date).Year) $(Get-Location)" ${{ e }}',
    "git pull && npm install ${{ e }}",
    "Copy-Item . $to -Filter ${{ e }}",
    "Get-Item `\n  ${{ e }}",
    "Get-Content C:\\x.bat; Get-Item ${{ e }}",
    "Copy-Item ${{ e }} C:\\x.bat",
    "if ($config.bat) { Get-Item ${{ e }} }",
    "./x.bat a\nGet-Item ${{ e }}",
]
POWERSHELL_BY_FILE = [
    "Set-Content config.json ${{ e }}; .\\deploy.ps1",
    ".\\build.ps1 ${{ e }} >> log.txt",
    "Get-Date > log.txt; .\\build.ps1 ${{ e }} >> log.txt",
    '"${{ e }}" | Out-File x.txt; python x.py',
    "python build.py config.json; Set-Content config.json ${{ e }}",
    "Set-Content config.json ${{ e }}; python build.py config.json",
    "Copy-Item \\\\share\\x.ps1 .; Add-Content log.txt ${{ e }}; .\\x.ps1",
    'Invoke-WebRequest -OutFile setup.exe "https://h/${{ e }}"; .\\setup.exe /quiet',
    "Set-Content x.ps1 'ls'; .\\x.ps1 ${{ e }}",
    "Set-Content a.txt ${{ e }}; Get-Content a.txt | Select-String x",
    "Set-Content -Path C:\\app\\app.config -Value ${{ e }}; Restart-Service app",
    'foreach ($x in 1..3) { .\\build.ps1 ${{ e }} | Out-File "log-$x.txt" }',
    "if ($x -gt 5) { Add-Content log.txt ${{ e }} }; .\\x.ps1",
    "Set-Content notes.txt ${{ e }}; .\\report.ps1 notes.txt",
    "Set-Content a.txt ${{ e }}; iex (Get-Content fixed.ps1 -Raw)",
    "[IO.File]::WriteAllText('a.txt', ${{ e }}); iex ([IO.File]::ReadAllText('fixed.txt'))",
    "Set-Content app.conf ${{ e }}; Start-Process app.exe -ArgumentList '-c app.conf'",
    "Remove-Item x.ps1; Set-Content x.txt ${{ e }}; Write-Host 'x.ps1 is gone'",
    "Copy-Item ${{ e }} x.txt; if (Test-Path C:\\t\\x.ps1) { Get-FileHash C:\\t\\x.ps1 }",
    "mysqldump ${{ e }} > dump.sql; 7z a dump.zip dump.sql",
    "Set-Content x.ps1 ${{ e }}; icacls x.ps1 /grant ops:R; Get-FileHash x.ps1",
    "schtasks /create /tn a /tr C:\\t\\fixed.bat; Add-Content log.txt ${{ e }}",
]
POWERSHELL_BY_FILE_REFUSED = [
    "Set-Content x.ps1 ${{ e }}; .\\x.ps1",
    "${{ e }} | Out-File x.ps1; & .\\x.ps1",
    'Add-Content -Path C:\\t\\x.ps1 -Value "${{ e }}"; & "C:\\t\\x.ps1"',
    '"${{ e }}" > x.ps1; . ./x.ps1',
    "${{ e }} >> x.ps1; ./x.ps1",
    "${{ e }} | Tee-Object x.ps1; .\\x.ps1",
    "$x = ${{ e }}; Set-Content x.ps1 $x; .\\x.ps1",
    "if ($true) { Set-Content x.ps1 ${{ e }}; .\\x.ps1 }",
    "Set-Content x.ps1 ${{ e }}; powershell -ExecutionPolicy Bypass -File x.ps1",
    "Set-Content x.ps1 ${{ e }}; pwsh ./x.ps1",
    "Set-Content x.py ${{ e }}; python x.py",
    "Set-Content a.txt ${{ e }}; Rename-Item a.txt x.ps1; .\\x.ps1",
    "Set-Content a.txt ${{ e }}; Copy-Item a.txt -Destination x.ps1; .\\x.ps1",
    "Set-Content a.txt ${{ e }}; iex (Get-Content a.txt -Raw)",
    "Set-Content a.txt ${{ e }}; Get-Content a.txt | iex",
    "Set-Content X.PS1 ${{ e }}; .\\x.ps1",
    '[IO.File]::WriteAllText("x.ps1", ${{ e }}); .\\x.ps1',
    "Set-Content x.bat ${{ e }}; .\\x.bat",
    "Set-Content x.psm1 ${{ e }}; Import-Module ./x.psm1",
    "Set-Content x.ps1 ${{ e }}; Start-Process x.ps1",
    'Set-Content C:\\T\\x.ps1 ${{ e }}; Start-Process powershell -Verb RunAs -ArgumentList "-File C:\\T\\x.ps1"',
    'Set-Content x.ps1 ${{ e }}; Start-Process powershell -ArgumentList "-NoProfile","-File","x.ps1"',
    "Set-Content x.ps1 ${{ e }}; Invoke-Command -ComputerName h -FilePath x.ps1",
    "Set-Content x.ps1 ${{ e }}; Start-Job -Name a -FilePath x.ps1",
    'Set-Content x.ps1 ${{ e }}; $a = New-ScheduledTaskAction -Execute powershell -Argument "-File C:\\T\\x.ps1"',
    "Set-Content x.bat ${{ e }}; schtasks /create /tn a /tr C:\\T\\x.bat",
    "Set-Content x.vbs ${{ e }}; cscript //nologo x.vbs",
    "Set-Content x.msi ${{ e }}; msiexec /i x.msi",
    "Set-Content x.sql ${{ e }}; Invoke-Sqlcmd -ServerInstance db1 -InputFile x.sql",
    "if ($true) { Set-Content x.ps1 ${{ e }}; my-runner -File x.ps1 }",
    "Set-Content x.txt ${{ e }}; Copy-Item x.txt x.ps1; my-runner C:\\t\\x.ps1",
    "Set-Content x.ps1 ${{ e }}; $s = Get-Content x.ps1 -Raw; iex $s",
    "Set-Content a.txt ${{ e }}; foreach ($l in (Get-Content a.txt)) { iex $l }",
    "Set-Content a.txt ${{ e }}; $s = [IO.File]::ReadAllText('a.txt'); & ([scriptblock]::Create($s))",
    "Set-Content a.txt ${{ e }}; Copy-Item a.txt b.txt; $s = gc b.txt; iex $s",
    "Export-Csv a.csv -InputObject ${{ e }}; Import-Csv a.csv | ForEach-Object { iex $_.c }",
]
POWERSHELL_REFUSED = [
    "(Get-Date).AddDays(-${{ e }})",
    "iex (Get-It(-${{ int(e) }}))",
    "$x = [scriptblock]${{ e }}",
    "$x = [xml]${{ e }}",
    "& [string]${{ e }}",
    "$x = ${{ e }}.Invoke()",
    "$x = ${{ e }}.$y()",
    "& ${{ e }}.Trim()",
    ". ${{ e }}.Trim()",
    "${{ e }}.Trim() | iex",
    "ssh h ${{ e }}.Trim()",
    "1..3 | foreach ${{ e }}",
    "foreach (${{ e }} in x) { }",
    "foreach ($h in ${{ e }}.Split(',')) { iex $h }",
    'Write-Output "$(${{ e }})"',
    "./x.bat ${{ e }}",
    ".\\x.cmd /q ${{ e }}",
    "C:\\tools\\X.BAT ${{ e }}",
    "& 'C:\\my tools\\x.bat' ${{ e }}",
    '& "C:\\my tools\\x.cmd" ${{ e }}',
    "x.cmd ${{ e }}",
    "$r = ./x.bat ${{ e }}",
    "$x = ${{ e }}; ./x.bat $x",
    "if ($true) { ./x.bat ${{ e }} }",
    "git pull && build.cmd ${{ e }}",
    "./x`.bat ${{ e }}",
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
    'i`ex "${{ e }}"',
    'i""ex "${{ e }}"',
    '& "i`ex" "${{ e }}"',
    "& ('ie'+'x') \"${{ e }}\"",
    '& (gcm i*x) "${{ e }}"',
    '. (Get-Alias i?x) "${{ e }}"',
    '& "`u{69}ex" "${{ e }}"',
    '$c = "ie" + "x"; & $c "${{ e }}"',
    "${{ e }} | & $c",
    "$x = ${{ e }}; & $x",
    "& $x\n$x = ${{ e }}",
    "$x = ${{ e }}; $y = $x\n& { & $y }",
    "foreach ($x in ${{ e }}) { . $x }",
    "$x = ${{ e }}\nInvoke-Command -ScriptBlock { Get-Item $using:x }",
    "Invoke-Command -ScriptBlock { Get-Item ${{ e }} }",
    "Invoke-Command -ScriptBlock { param($n) Get-Item $n } -ArgumentList ${{ e }}",
    "function f($a) { iex $a }\nf ${{ e }}",
    "Set-Variable x ${{ e }}\niex $x",
    "${{ e }} |\n iex",
    "${{ e }}\n | iex",
    "${{ e }} |   # on\n" + " " * 300 + "\n iex",
    "${{ e }}\n# on\n" + "\n" * 300 + "| iex",
    "st`art ${{ e }}",
    '$a."Ru$n"(${{ e }})',
    "$a::$n(${{ e }})",
    'echo "abc ${{ e }}',
    "echo $($(${{ e }}",
    "echo ${{ e }})",
    'echo "$(echo \'"\')" ${{ e }}',
    "icacls --% ${{ e }}",
    'icacls --% | % "\n${{ e }} "',
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


def test_a_batch_file_is_named_in_the_finding() -> None:
    """Windows has cmd read the arguments of a batch file again: `a&calc` starts calc (CVE-2024-24576)."""
    for name in ("./x.bat", "x.cmd"):
        refused = bind(f"{name} ${{{{ e }}}}", "powershell")
        assert isinstance(refused, tuple)
        assert f"'{name}', a batch file" in refused[0].message
        assert "EnableDelayedExpansion" in refused[0].hint


@pytest.mark.parametrize("script", POWERSHELL_BY_FILE)
def test_a_file_that_powershell_writes_takes_a_value_where_nothing_runs_it(script: str) -> None:
    assert isinstance(bind(script, "powershell"), Bound), bind(script, "powershell")


@pytest.mark.parametrize("script", POWERSHELL_BY_FILE_REFUSED)
def test_it_takes_none_where_the_script_runs_the_file_by_any_name(script: str) -> None:
    assert isinstance(bind(script, "powershell"), tuple)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("(Get-Date).AddDays(-${{ int(e) }})", "(Get-Date).AddDays(-${OC1})"),
        ("$x = [int]${{ e }} * 2", "$x = [int]$OC1 * 2"),
        (
            "foreach ($h in ${{ e }}.Split(',')) { Test-Connection $h -Count 1 }",
            "foreach ($h in $OC1.Split(',')) { Test-Connection $h -Count 1 }",
        ),
        (
            "if (${{ e }}.StartsWith('web')) { Restart-Service W3SVC }",
            "if ($OC1.StartsWith('web')) { Restart-Service W3SVC }",
        ),
    ],
)
def test_a_number_is_negated_and_a_text_is_converted_and_divided_in_powershell(script: str, text: str) -> None:
    bound = bind(script, "powershell")
    assert isinstance(bound, Bound), bound
    assert bound.text == text


@pytest.mark.parametrize(
    ("script", "shell", "hint"),
    [
        ("(Get-Date).AddDays(-${{ e }})", "powershell", "'type: integer'"),
        ('Write-Output "days: $(${{ e }})"', "powershell", "$x = ${{ ... }}"),
        ("print(f'a {${{ e }}}')", "python3", "x = ${{ ... }}"),
    ],
)
def test_the_hint_is_what_to_write(script: str, shell: Shell, hint: str) -> None:
    refused = bind(script, shell)
    assert isinstance(refused, tuple)
    assert hint in refused[0].hint


@pytest.mark.parametrize("script", POWERSHELL)
def test_a_value_may_stand_in_words_of_powershell(script: str) -> None:
    bound = bind(script, "powershell")
    assert isinstance(bound, Bound), bound


@pytest.mark.parametrize("script", POWERSHELL_REFUSED)
def test_a_value_is_refused_where_powershell_or_what_it_starts_would_evaluate_it(script: str) -> None:
    assert isinstance(bind(script, "powershell"), tuple)
