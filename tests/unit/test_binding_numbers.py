"""Arithmetic: what bash computes it evaluates, so only a number may flow there, from an expression or from `env`."""

import pytest

from engine.scripts.binding import HINT, NUMBER_HINT, Bound, bind, evaluated_env, evaluated_stdin
from engine.scripts.numbers import is_number, of_params, unknown
from schemas.job import Shell

POSIX_SHELLS: tuple[Shell, ...] = ("sh", "bash")
SHELLS: tuple[Shell, ...] = (*POSIX_SHELLS, "python3")
COMPUTED = [
    "echo $(( ${{ params.x }} + 1 ))",
    'echo "$((${{ params.x }}))"',
    "if (( ${{ params.x }} > 5 )); then :; fi",
    "for ((i = 0; i < ${{ params.x }}; i++)); do :; done",
    "[[ ${{ params.x }} -gt 5 ]]",
    "[[ 5 -lt ${{ params.x }} ]]",
    "a[${{ params.x }}]=1",
    "n=${{ params.x }}\nif (( n > 5 )); then echo a; fi",
    "n=${{ params.x }}\necho $((n+1))",
    "n=${{ params.x }}\necho $(( $n + 1 ))",
    "n=a${{ params.x }}\necho $((n))",
    "n=${{ params.x }}\n[[ $n -gt 5 ]] && echo a",
    "n=${{ params.x }}\n[[ n -gt 5 ]] && echo a",
    "i=${{ params.x }}\nx=abc\necho ${x:$i:1}",
    "i=${{ params.x }}\nx=abc\necho ${x:1:i}",
    "i=${{ params.x }}\nx=abc\necho ${x: -i}",
    "i=${{ params.x }}\necho ${arr[i]}",
    "i=${{ params.x }}\necho ${arr[$i]}",
    "i=${{ params.x }}\narr[i]=1",
    "i=${{ params.x }}\narr[$i]+=1",
    'i=${{ params.x }}\nunset "arr[$i]"',
    "i=${{ params.x }}\necho ${@:i}",
    "x=${{ params.x }}\necho ${!x}",
    "x=${{ params.x }}\necho ${x@P}",
    "declare -i m\nm=${{ params.x }}",
    "declare -i m=${{ params.x }}",
    "f() { local -i m=$1; }; f ${{ params.x }}",
    "declare -n r\nr=${{ params.x }}\necho $r",
    "typeset +i x\nx=${{ params.x }}",
    "n=${{ params.x }}\nlet m=n+1",
    "n=${{ params.x }}\nm=$n\necho $((m))",
    'n=${{ params.x }}\nk=$n; m="x $k"\necho $((m))',
    "m=$(echo ${{ params.x }})\necho $((m))",
    "n=${{ params.x }}\nm=$(echo $n)\necho $((m))",
    "for i in 1 ${{ params.x }}; do echo $((i)); done",
    "for i in ${{ params.x }}; do m=$i; (( m > 1 )); done",
    "set -- ${{ params.x }}\necho $(( $1 + 1 ))",
    "f() { echo $(( $1 + 1 )); }\nf ${{ params.x }}",
    "function f { local n=$1; echo $((n)); }\nf ${{ params.x }}",
    "read -r n <<EOF\n${{ params.x }}\nEOF\necho $((n))",
    "echo ${{ params.x }} | while read -r n; do echo $((n)); done",
    "read -r n <<< ${{ params.x }}\necho $((n))",
    "x=${{ params.x }}\nread -r n <<< $x\necho $((n))",
    "export n=${{ params.x }}; echo $((n))",
    "n=1; n+=${{ params.x }}; echo $((n))",
    "{ echo ${{ params.x }}; } | while read -r n; do echo $((n)); done",
    "f() { echo ${{ params.x }}; }\nf | while read -r n; do echo $((n)); done",
    "while read -r n; do echo $((n)); done < <(echo ${{ params.x }})",
    "x=${{ params.x }}\nread -r n < <(echo $x)\necho $((n))",
    "x=${{ params.x }}\nread -r n <<EOF\n$x\nEOF\necho $((n))",
    "x=${{ params.x }}\n: ${n:=$x}\necho $((n))",
    'x=(${{ params.x }})\nfor n in "${x[@]}"; do echo $((n)); done',
    "n=${{ params.x }}\necho `echo $((n))`",
    "export n=${{ params.x }}\nbash -c 'echo $((n))'",
    "export n=${{ params.x }}\nbash <<'EOF'\necho $((n))\nEOF",
    "cat <<EOF\n$((${{ params.x }}))\nEOF",
    "n=${{ params.x }}\ncat <<EOF\n$((n))\nEOF",
    "RANDOM=${{ params.x }}",
    "OPTIND=${{ params.x }}",
    "SECONDS=${{ params.x }}",
    "let x=${{ params.x }}+1",
    'let "x = ${{ params.x }} + 1"',
    "n=${{ params.x }}\nRANDOM=$n",
    "n=${{ params.x }}\nm=$n; export OPTIND=$m",
    "n=${{ params.x }}\nSECONDS=n",
    "declare -i k; n=${{ params.x }}; k=n",
    "n=${{ params.x }}; declare -i k=n+1",
    "n=${{ params.x }}\n# case $n in *[!0-9]*) exit;; esac\necho $((n))",
    "n=${{ params.x }}\necho 'case $n in *[!0-9]*) exit;; esac'\necho $((n))",
    "n=${{ params.x }}\necho [[ $n =~ ^[0-9]+$ ]] \necho $((n))",
    "n=${{ params.x }}\ncase $n in *[!0-9]*) echo bad;; esac\necho $((n))",
    "n=${{ params.x }}\ncase $n in *[!0-9]*) ;; esac\necho $((n)); exit 1",
    "n=${{ params.x }}\ncase $n in *[!0-9]*) n=$m;; esac\necho $((n))",
    "n=${{ params.x }}\n[[ $n =~ ^[0-9]+$ ]] || echo bad\necho $((n))",
    "n=(1 ${{ params.x }})\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n[1]))",
    "n=(1 ${{ params.x }})\n[[ $n =~ ^[0-9]+$ ]] || exit 2\n((n[1]))",
    "n[1]=${{ params.x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n[1]))",
    "mapfile -t n <<< ${{ params.x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n[1]))",
    "read -ra n <<< ${{ params.x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n[1]))",
    "n=${{ params.x }}\ncoproc { true; [[ $n =~ ^[0-9]+$ ]] || exit 2; }\n((n))",
    "enable -n exit\nn=${{ params.x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n))",
]
INTEGER = of_params({"x": {"type": "integer"}})


@pytest.mark.parametrize("script", COMPUTED)
def test_a_text_is_not_computed_and_the_hint_is_a_number(script: str) -> None:
    """`env:` would be no help: `$((N + 1))` runs a command in the value of N."""
    refused = bind(script, "bash")
    assert isinstance(refused, tuple)
    assert {error.hint for error in refused} == {NUMBER_HINT}


@pytest.mark.parametrize("script", COMPUTED)
def test_a_number_may_be_computed(script: str) -> None:
    assert isinstance(bind(script, "bash", INTEGER), Bound)
    assert isinstance(bind(script.replace("params.x", "int(params.x)"), "bash"), Bound)


@pytest.mark.parametrize("script", COMPUTED[:4] + COMPUTED[7:11])
def test_sh_may_be_bash(script: str) -> None:
    assert isinstance(bind(script, "sh"), tuple)


def test_a_number_in_arithmetic_is_written_without_quotes() -> None:
    bound = bind('echo "$((${{ int(x) }} + 1))" $(( ${{ size(y) }} ))', "sh")
    assert isinstance(bound, Bound)
    assert bound.text == 'echo "$((${OC1} + 1))" $(( ${OC2} ))'


@pytest.mark.parametrize(
    "script",
    [
        "n=${{ x }}\nm=1\necho $((m + 1)) $n",
        "n=${{ x }}; m=$n; n=1; echo $(( k ))",
        "n=${{ x }}\necho '$((n))'",
        "n=${{ x }}\n# $((n))",
        'n=${{ x }}\n[ "$n" -gt 5 ]',
        "n=${{ x }}\necho ${n:-1} ${n%%.*} ${n/a/b} ${#n} ${n:1} ${n:0:3}",
        "declare -A m\nk=${{ x }}\nm[$k]=1\necho ${m[$k]}",
        "declare -i count=1\nx=${{ x }}",
        "arr=(1 2)\nx=${{ x }}\necho ${arr[0]} ${arr[@]}",
        "for h in ${{ x }}; do i=$((i + 1)); done",
        "f() { echo $((i + 1)); }\nf ${{ x }}",
        "[[ $1 -gt 3 && -n ${{ x }} ]]",
        "df | while read -r name used; do (( used > 90 )) && echo ${{ x }}; done",
        "n=${{ x }}\ncat <<'EOF'\n$m\nEOF\necho $((m))",
        "n=${{ x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\necho $((n))",
        'n=${{ x }}\ncase "$n" in (*[!0-9]*) exit 2;; esac\necho $((n))',
        "n=${{ x }}\n[[ $n =~ ^[0-9]+$ ]] || exit 2\necho $((n))",
        "n=${{ x }}\n[[ $n =~ ^[0-9]+$ ]] || { echo no >&2; exit 2; }\necho $((n))",
        "n=${{ x }}\nif [[ $n =~ ^[0-9]+$ ]]; then echo $((n)); fi",
        "n=${{ x }}\nif ! [[ $n =~ ^[0-9]+$ ]]; then exit 1; fi; echo $((n))",
        "n=${{ x }}\nif true; then case $n in *[!0-9]*) n=0;; esac; echo $((n)); fi",
        "for n in ${{ x }}; do case $n in *[!0-9]*) continue ;; esac; echo $((n)); done",
        "m=${{ x }}\necho $m; n=5; RANDOM=$n",
        "read -r n <<< ${{ x }}\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n))",
        "a=(1 2); n=${{ x }}\nsystemctl enable x\ncase $n in ''|*[!0-9]*) exit 2;; esac\n((n + a[1]))",
    ],
)
def test_what_is_not_computed_may_be_text(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("cel", ["int(x)", "size(x)", "1 + int(x)", "-int(x)", "run.attempt", "steps.a.exitCode",
                                 "x ? 1 : int(y)", "x ? 1 : null",
                                 "params.n", "params.n * 2", "double(x)"])  # fmt: skip
def test_a_number_is_known_by_its_text_and_the_schemas_of_params(cel: str) -> None:
    assert is_number(cel, of_params({"n": {"type": "integer"}}))


@pytest.mark.parametrize("cel", ["x", "string(1)", "params.s", "params.n", "params.secret", "target.vars.n", "params.m",
                                 "steps.a.stdout", "steps.a.outputs.n", "item", "x ? 1 : 'a'", "[1]", "true",
                                 "1 +", ""])  # fmt: skip
def test_what_may_be_text_is_no_number(cel: str) -> None:
    params = {
        "s": {"type": "string"},
        "secret": {"type": "integer", "secret": True},
        "m": {"type": ["integer", "string"]},
    }
    assert not is_number(cel, of_params(params))


def test_the_item_of_a_loop_may_have_the_name_of_params() -> None:
    assert not is_number("params.n", of_params({"n": {"type": "integer"}}, items=frozenset({"params"})))
    assert not is_number("params.n", unknown)


ENV = {"N": "${{ params.x }}", "M": "${{ int(params.x) }}", "K": "5", "L": {"credentialRef": "a"}}


@pytest.mark.parametrize(
    "script", ["echo $((N + 1))", "m=$N; (( m > 1 ))", "[[ $N -gt 5 ]]", "echo ${a[N]}",
               "echo $(( ${{ int(y) }} + N ))", 'echo "`$(( N ))`" "$((N))"'],
)  # fmt: skip
def test_a_variable_of_env_that_is_no_number_is_not_computed(script: str) -> None:
    for shell in POSIX_SHELLS:
        assert [one.name for one in evaluated_env(script, shell, ENV)] == ["N"]
    assert evaluated_env(script, "bash", ENV, INTEGER) == ()


@pytest.mark.parametrize(
    "script", ["echo $((M + 1)) $((K + L)) $N",
               "case $N in *[!0-9]*) exit 2;; esac; echo $((N))",
               '[ "$N" -gt 5 ]', "$((",
               "echo '$((N))'"],
)  # fmt: skip
def test_other_variables_of_env_are_left_alone(script: str) -> None:
    assert evaluated_env(script, "bash", ENV) == ()


IN_TEXT = [
    'sed -n "1,${{ params.x }}p" f',
    "sed -n 1,${{ params.x }}p f",
    'awk "NR==${{ params.x }}" f',
    'ssh h "sleep ${{ params.x }}"',
    'psql -c "select 1 where a > ${{ params.x }}"',
    "psql <<E\nselect ${{ params.x }};\nE",
    'sh -c "sleep ${{ params.x }}"',
    'echo "sleep ${{ params.x }}" | sh',
    'trap "kill ${{ params.x }}" EXIT',
    "echo ${X:-${{ params.x }}}",
    'echo "${X:-${{ params.x }}}"',
    'echo "N=${{ params.x }}" > f; . ./f',
]


@pytest.mark.parametrize("script", IN_TEXT)
def test_digits_within_a_text_are_data_to_every_program(script: str) -> None:
    for shell in POSIX_SHELLS:
        assert isinstance(bind(script, shell), tuple)
        assert isinstance(bind(script, shell, INTEGER), Bound)


@pytest.mark.parametrize(
    "script",
    ["${{ params.x }}", "sh -c ${{ params.x }}", 'psql -c "select 1-${{ params.x }}"', "echo '${{ params.x }}'",
     "echo ${${{ params.x }}}", "echo `ls ${{ params.x }}`"],
)  # fmt: skip
def test_a_number_alone_or_where_no_variable_is_read_is_refused(script: str) -> None:
    """`x --5` would be a comment in SQL."""
    assert isinstance(bind(script, "bash", INTEGER), tuple)


READ = [
    "read n; echo $((n))",
    "read -r N; ((N>1))",
    "n=$(cat); echo $((n))",
    "n=$(cat -); ((n))",
    "n=$(cat /dev/stdin); ((n))",
    "mapfile -t a; ((a[0]))",
    "while read n; do ((n)); done",
    'read x; eval "$x"',
    'eval "$(cat)"',
    "f() { read n; ((n)); }; f",
    "cat | while read n; do ((n)); done",
    "read; ((REPLY))",
    "if true; then read n; ((n)); fi",
    "{ read a; read b; }; ((b))",
    "x=$(tr -d ' '); ((x))",
    "x=$(head -n 1); [[ $x -gt 1 ]]",
    "read n\nm=$n\necho $((m))",
    'x=$(cat); sh -c "$x"',
    "read x; $x",
]
NOT_READ = [
    'read n; echo "$n"',
    "cat > f",
    "df | while read -r a b; do ((b>9)); done; cat > f",
    "while read -r a b; do ((b>9)); done < f; cat > g",
    "read n < f; ((n)); cat > g",
    "n=$(cat f); ((n)); cat > g",
    "read n; case $n in ''|*[!0-9]*) exit 2;; esac; ((n))",
    "n=$(echo a | cat); ((n)); cat",
    "read n <<E\n5\nE\n((n)); cat",
    "while read n; do ((n)); done <<E\n5\nE\ncat",
    "df | { read h; while read a b; do ((b)); done; }; tee x",
    "n=$(wc -l); ((n))",
    "jq -r .a > f; n=5; ((n))",
    'read -r p; curl -u "$p" h',
    'while read -r l; do i=$((i+1)); echo "$l"; done',
]


@pytest.mark.parametrize("script", READ)
def test_an_expression_in_stdin_is_not_computed_or_evaluated(script: str) -> None:
    """`read n; echo $((n))` runs a command in what it reads, from `stdin` as from a here-string."""
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is not None
    assert evaluated_stdin(script, "bash", "a\n${{ params.x }}") is not None
    assert evaluated_stdin(script, "bash", "${{ int(params.x) }}") is None
    assert evaluated_stdin(script, "bash", "5") is None
    assert evaluated_stdin(script, "bash", None) is None


@pytest.mark.parametrize("script", NOT_READ)
def test_what_does_not_come_from_stdin_is_left_alone(script: str) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is None


def test_a_secret_in_stdin_may_be_evaluated_and_not_computed() -> None:
    secret = "${{ secrets.a.b }}"
    assert evaluated_stdin('read x; eval "$x"', "sh", secret) is None
    found = evaluated_stdin("read n; echo $((n))", "sh", secret)
    assert found is not None
    assert found.message.startswith("the expression in 'stdin' becomes a variable, with which the script computes")


EXECUTED = [
    "BASH_ENV", "PS4", "PROMPT_COMMAND", "SHELLOPTS", "BASH_FUNC_x%%", "LD_PRELOAD", "PERL5OPT", "PYTHONSTARTUP",
    "GIT_SSH_COMMAND", "GIT_SSH", "EDITOR", "PAGER", "SSH_ASKPASS", "RSYNC_RSH",
]  # fmt: skip


@pytest.mark.parametrize("name", EXECUTED)
def test_a_variable_of_env_that_shells_execute_takes_no_value(name: str) -> None:
    """`BASH_ENV="$(reboot)"` runs before the first line of any script for bash."""
    for shell in SHELLS:
        for value in ("${{ params.x }}", "a ${{ params.x }}"):
            found = evaluated_env("true", shell, {name: value})
            assert [(one.name, one.computed) for one in found] == [(name, True)]
    assert evaluated_env("true", "bash", {name: "a"}) == ()
    assert evaluated_env("true", "bash", {name: "${{ secrets.a.b }}"}) == ()
    assert evaluated_env("true", "bash", {name: "${{ int(params.x) }}"}) == ()


@pytest.mark.parametrize(
    "name", ["PATH", "LD_LIBRARY_PATH", "ENV", "JAVA_TOOL_OPTIONS", "PYTHONPATH", "BACKUP_COMMAND"]
)
def test_a_path_or_an_option_in_env_is_a_warning(name: str) -> None:
    found = evaluated_env("true", "bash", {name: "/opt/${{ params.x }}", "NAME": "${{ params.x }}"})
    assert [(one.name, one.computed) for one in found] == [(name, False)]


def test_a_script_that_cannot_be_followed_is_searched_for_arithmetic() -> None:
    assert [one.name for one in evaluated_env("alias x=y\necho $(( (N) + 1 ))", "sh", ENV)] == ["N"]


def test_other_shells_do_not_evaluate_what_they_compute() -> None:
    assert evaluated_env("print($((N)))", "python3", ENV) == ()


def test_elsewhere_the_hint_is_env() -> None:
    refused = bind("echo '${{ x }}'", "sh")
    assert isinstance(refused, tuple)
    assert refused[0].hint == HINT
