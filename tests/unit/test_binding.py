"""Where a value may stand in a script: a table for each shell, and the words with which the rest is refused."""

import pytest

from engine.scripts.binding import HINT, BindError, Bound, UnbindableValue, bind, prelude
from schemas.job import Shell

POSIX = [
    "echo ${{ e }}",
    "echo a${{ e }}b",
    'echo "x ${{ e }} y"',
    "cat <<EOF\nv ${{ e }}\nEOF\n",
    "cat <<-EOF\n\tv ${{ e }}\n\tEOF\necho ${{ e }}",
    "# c ${{ e }}\necho",
    "rm -- ${{ e }}",
    "x=${{ e }}; echo $x",
    "x=${{ e }} env",
    "if [ ${{ e }} = a ]; then echo ${{ e }}; else echo n; fi",
    "case ${{ e }} in a) echo ${{ e }};; ${{ e }}|b) echo;; (*) echo z;; esac; echo ${{ e }}",
    "for i in a ${{ e }}; do echo $i; done",
    "echo $(echo ${{ e }})",
    'echo "$(echo "${{ e }}")"',
    "(cd /tmp && echo ${{ e }})",
    "f() { echo ${{ e }}; }; f",
    "echo ${{ e }} > ${{ e }}",
    "echo 2>${{ e }}",
    "echo $((1+2)) ${{ e }}",
    "echo ${x:-a} ${{ e }} ${y##*/}",
    "echo `date` ${{ e }}",
    "echo 'a b' ${{ e }}",
    "export A=${{ e }}",
    "echo ${{ e }} | tr a b",
    "echo ${{ e }} && echo ${{ e }} || echo ${{ e }} &",
    "while read -r l; do echo $l; done; echo ${{ e }}",
    "echo a \\\n ${{ e }}",
    "x=$(case a in a) echo ${{ e }};; esac)",
    "a=$(cat <<EOF\n${{ e }}\nEOF\n)\necho ${{ e }}",
    "echo --x=${{ e }}",
    "sudo systemctl restart ${{ e }}",
    "awk -v x=${{ e }} '{print x}'",
    "awk '{print}' ${{ e }}",
    "python3 script.py ${{ e }}",
    "grep -c ${{ e }} f",
    "{ echo ${{ e }}; } > /dev/null",
    "! grep ${{ e }} f",
    'echo "$x${{ e }}"',
    "test -n ${{ e }}",
    "echo $# ${{ e }}",
    "echo a#b ${{ e }}",
    "find ${{ e }} -name x",
    "find . -name x -exec echo ${{ e }} ';'",
    "bash script.sh ${{ e }}",
    "printf '%s\\n' ${{ e }}",
    'printf -- "${{ e }}\\n"',
    "sleep 9 & wait -- ${{ e }}",
    "tr -dc 0-9 <<EOF | wc\n${{ e }}\nEOF\n",
    "mail -s ${{ e }} root",
    "timeout 5 cp ${{ e }} /tmp",
    "echo \"a'${{ e }}'b\"",
    "echo z ${{ e }}",
    "echo started at ${{ e }}",
    "echo read sed awk ${{ e }}",
    "$SUDO systemctl restart ${{ e }}",
    "psql -h ${{ e }} -U ops",
    'x=$(cat <<E\n${{ e }}\nE\n)\necho "$x"',
    "git log -n 1 -- ${{ e }}",
    'for f in sh bash ${{ e }}; do echo "$f"; done',
]
BASH = [
    "[[ ${{ e }} == a ]] && echo ${{ e }}",
    "[[ -n ${{ e }} && ( $x < ${{ e }} ) ]]",
    "a=(x ${{ e }} y); echo ${{ e }}",
    "cat <<< ${{ e }}",
    "diff <(echo ${{ e }}) <(echo b)",
    "while read -r l; do echo $l; done < <(grep ${{ e }} f)",
    "a+=(${{ e }})",
    "[[ $x =~ ^(a|b)$ ]]; echo ${{ e }}",
    "echo &>${{ e }}",
    "local x=${{ e }}",
    "function f { echo ${{ e }}; }",
    "function f() { echo ${{ e }}; }",
    "for ((i=0;i<3;i++)); do echo ${{ e }}; done",
    "echo $'a\\'b' ${{ e }}",
    "echo {a,${{ e }}}",
]
REFUSED_POSIX = [
    "echo '${{ e }}'",
    "cat <<'EOF'\n${{ e }}\nEOF\n",
    "cat <<\\EOF\n${{ e }}\nEOF\n",
    "echo $((${{ e }}+1))",
    "echo `echo ${{ e }}`",
    "eval ${{ e }}",
    "sh -c ${{ e }}",
    'bash -lc "echo ${{ e }}"',
    "${{ e }} a",
    "ssh h ${{ e }}",
    "echo ${x:-${{ e }}}",
    "echo \\${{ e }}",
    "echo $${{ e }}",
    "echo ${{ e }} | sh",
    "sh <<EOF\n${{ e }}\nEOF\n",
    'echo "unterminated ${{ e }}',
    "cat <<EOF\n${{ e }}\n",
    "sed s/a/${{ e }}/ f",
    'awk "${{ e }}" f',
    "awk ${{ e }} f",
    "python3 -c \"print('${{ e }}')\"",
    "python3 <<EOF\n${{ e }}\nEOF\n",
    "trap ${{ e }} EXIT",
    "command eval ${{ e }}",
    "xargs sh -c $x ${{ e }}",
    "echo ${{ e }} | xargs sh -c",
    "sudo ${{ e }}",
    "env X=1 ${{ e }}",
    "$SHELL -c ${{ e }}",
    "((x=${{ e }}))",
    "echo ${{ e }} )",
    "( echo ${{ e }}",
    "cat <<${{ e }}\na\n${{ e }}\n",
    "$((a); (b ${{ e }}))",
    "x[${{ e }}]=1",
    'echo "$(( ${{ e }} ))"',
    "/bin/sh -c ${{ e }}",
    '"sh" -c ${{ e }}',
    "s'h' -c ${{ e }}",
    "read ${{ e }}",
    "unset ${{ e }}",
    "cat <<EOF\n`echo ${{ e }}`\nEOF\n",
    "cat <<EOF\n$(echo ${{ e }})\nEOF\n",
    "cat <<EOF\n\\${{ e }}\nEOF\n",
    "su - x -c ${{ e }}",
    ". ${{ e }}",
    "perl -e ${{ e }}",
    "perl -e'print' ${{ e }}",
    'psql -c "select ${{ e }}"',
    "echo ${{ e }}|{ sh; }",
    "alias x=y; echo ${{ e }}",
    "find /srv -exec ${{ e }} ';'",
    "find /srv -name x -execdir sudo ${{ e }} ';'",
    "x=${{ e }} && declare -i x && x=1",
    "echo $'${{ e }}'",
    'echo $"${{ e }}"',
    "watch ${{ e }}",
    "echo <(${{ e }})",
    'eval "$(echo ${{ e }})"',
    "$(echo ${{ e }}) arg",
    'sh -c "$(cat ${{ e }})"',
    "bash ${{ e }}",
    "python3 ${{ e }}",
    "$x ${{ e }}",
    "${x}eval ${{ e }}",
    "if true; then echo ${{ e }}; fi | sh",
    "su ${{ e }}",
    "mysql ${{ e }}",
    "echo $(cat <<E\nx\nE\necho a; echo ${{ e }})",
    "x=$(cat <<E\n`echo ${{ e }}`\nE\n)",
    'echo "`echo ${{ e }}`"',
]
REFUSED_BASH = [
    "[[ ${{ e }} -eq 1 ]]",
    "[[ -v ${{ e }} ]]",
    "test -v ${{ e }}",
    "printf -v ${{ e }} x",
    "printf ${{ e }} foo",
    'printf "${{ e }}\\n"',
    "command printf ${{ e }}",
    "builtin printf ${{ e }} x",
    "\\printf ${{ e }} x",
    "wait -p ${{ e }} $!",
    "wait ${{ e }}",
    "jobs -x ${{ e }} x",
    "bash <<< ${{ e }}",
    "declare ${{ e }}",
    "let ${{ e }}",
    "mapfile ${{ e }}",
    "[ -v ${{ e }} ]",
    "for ((i=0;i<${{ e }};i++)); do :; done",
    "a=([${{ e }}]=1)",
    "function f { eval ${{ e }}; }",
    "f() (eval ${{ e }})",
    "coproc ${{ e }}",
    "a[${{ e }}]=1",
    "[[ ${{ e }} == a",
    "echo $[${{ e }}]",
    "declare -A a; a[${{ e }}]=1",
    "if eval ${{ e }}; then :; fi",
    "while ${{ e }}; do :; done",
    "! ${{ e }}",
    "time ${{ e }}",
    "exec ${{ e }}",
    "a=$(sh -c ${{ e }})",
    "case x in a) eval ${{ e }};; esac",
    "echo a | while read l; do eval ${{ e }}; done",
    "a[$(echo ${{ e }})]=1",
    "source <(echo ${{ e }})",
    "bash < <(echo ${{ e }})",
    "bash <(echo ${{ e }})",
    "a=(${{ e }})x",
    "builtin printf -v ${{ e }} x",
]


@pytest.mark.parametrize("script", POSIX)
def test_a_value_may_stand_where_both_shells_read_it_as_one_word(script: str) -> None:
    assert isinstance(bind(script, "sh"), Bound)
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", BASH)
def test_a_value_may_stand_in_words_that_bash_alone_has(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", REFUSED_POSIX)
def test_a_value_is_refused_where_it_would_be_evaluated_or_the_scanner_is_unsure(script: str) -> None:
    for shell in ("sh", "bash"):
        refused = bind(script, shell)  # type: ignore[arg-type]
        assert isinstance(refused, tuple), refused
        assert refused[0].hint
        assert script[refused[0].offset :].startswith("${{ e }}")


@pytest.mark.parametrize("script", REFUSED_BASH)
def test_a_value_is_refused_where_bash_would_evaluate_it(script: str) -> None:
    assert isinstance(bind(script, "bash"), tuple)


@pytest.mark.parametrize("script", ["cat <<< ${{ e }}", "a=(${{ e }})", "diff <(echo ${{ e }}) x"])
def test_words_of_bash_are_refused_in_sh(script: str) -> None:
    assert isinstance(bind(script, "sh"), tuple)


WRITTEN: list[tuple[Shell, str, str]] = [
    ("sh", "echo ${{ a }} ${{ b }}", 'echo "${OC1}" "${OC2}"'),
    ("sh", 'echo "x ${{ a }}"', 'echo "x ${OC1}"'),
    ("sh", "echo x${{ a }}y", 'echo x"${OC1}"y'),
    ("sh", "cat <<E\n${{ a }}\nE\n", "cat <<E\n${OC1}\nE\n"),
    ("sh", "# ${{ a }}\necho", "# ${OC1}\necho"),
    ("bash", "a=(${{ a }})", 'a=("${OC1}")'),
    ("python3", "print(${{ a }})\n# ${{ b }}", "print(OC1)\n# OC2"),
    ("python3", "if ${{ a }} == 'x':\n    f(y, ${{ b }})", "if OC1 == 'x':\n    f(y, OC2)"),
    ("powershell", "Write-Host ${{ a }}", "Write-Host $OC1"),
    ("powershell", 'Write-Host "a ${{ a }}"', 'Write-Host "a ${OC1}"'),
    ("powershell", '@"\n${{ a }}\n"@', '@"\n${OC1}\n"@'),
    ("powershell", "@\"\n\"@; @'\n'@; Write-Host ${{ a }}", "@\"\n\"@; @'\n'@; Write-Host $OC1"),
]


@pytest.mark.parametrize(("shell", "script", "text"), WRITTEN)
def test_a_hole_reads_its_variable_as_its_place_demands(shell: Shell, script: str, text: str) -> None:
    bound = bind(script, shell)
    assert isinstance(bound, Bound)
    assert bound.text == text
    assert bound.holes == tuple("ab")[: len(bound.holes)]


REFUSED: list[tuple[Shell, str]] = [
    ("python3", "print('${{ e }}')"),
    ("python3", "print(f'{${{ e }}}')"),
    ("python3", 'print("""\n${{ e }}""")'),
    ("python3", "eval(${{ e }})"),
    ("python3", "exec('x' + f(${{ e }}))"),
    ("python3", "os.system(${{ e }})"),
    ("python3", "subprocess.run(${{ e }}, shell=True)"),
    ("python3", "subprocess.run(shell=True, args=${{ e }})"),
    ("python3", "x${{ e }} = 1"),
    ("python3", "x.${{ e }}"),
    ("python3", "print(${{ e }}"),
    ("python3", "from __future__ import annotations\nprint(${{ e }})"),
    ("powershell", "Write-Host '${{ e }}'"),
    ("powershell", "& ${{ e }}"),
    ("powershell", "iex ${{ e }}"),
    ("powershell", "x${{ e }}"),
    ("powershell", "@'\n${{ e }}\n'@"),
    ("powershell", 'Write-Host "$(${{ e }})"'),
    ("powershell", "Write-Host \u201c${{ e }}\u201d"),
    ("powershell", "<# Write-Host ${{ e }}"),
    ("powershell", '@"\n${{ e }}'),
    ("cmd", "echo ${{ e }}"),
]


@pytest.mark.parametrize(("shell", "script"), REFUSED)
def test_other_shells_refuse_too(shell: Shell, script: str) -> None:
    refused = bind(script, shell)
    assert isinstance(refused, tuple)
    assert script[refused[0].offset : refused[0].offset + refused[0].length] == "${{ e }}"


@pytest.mark.parametrize("shell", ["sh", "bash", "python3", "powershell", "cmd"])
@pytest.mark.parametrize("script", ["echo 'it''s", "", "\0", "\ue000 $((", "print('"])
def test_a_script_without_expressions_is_left_alone(shell: Shell, script: str) -> None:
    assert bind(script, shell) == Bound(script, ())
    assert prelude(shell, ()) == ""


def test_all_places_are_reported_at_once() -> None:
    assert bind("echo '${{ a }}' ${{ b }} `${{ c }}`", "sh") == (
        BindError(6, 8, "the expression 'a' stands in single quotes", HINT),
        BindError(26, 8, "the expression 'c' stands in backquotes", HINT),
    )


def test_an_expression_that_does_not_end_is_an_error() -> None:
    refused = bind("echo ${{ a", "sh")
    assert isinstance(refused, tuple)
    assert refused[0].offset == 5


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_values_that_no_script_can_hold_are_refused(value: str) -> None:
    for shell in ("sh", "bash", "python3", "powershell"):
        with pytest.raises(UnbindableValue):
            prelude(shell, [value])  # type: ignore[arg-type]


def test_powershell_gets_its_values_as_base64() -> None:
    line = prelude("powershell", ["2026-01-01T00:00:00Z'"])
    assert "2026" not in line
    assert line.startswith("$OC1 = ")


def test_a_deep_script_is_refused_and_not_a_crash() -> None:
    assert isinstance(bind("$(" * 5000 + "${{ e }}", "sh"), tuple)
    assert isinstance(bind("${x:-" * 200 + "${{ e }}" + "}" * 200, "bash"), tuple)
    assert isinstance(bind("(" * 5000 + "${{ e }}", "sh"), tuple)
