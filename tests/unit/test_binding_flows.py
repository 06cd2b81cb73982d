"""A value that a script gives to a variable, and what the script does with that: evaluated it is a command again."""

import re

import pytest

from engine.scripts.binding import Bound, bind, evaluated_env
from schemas.job import Shell
from tests.everyday_scripts import BY_VARIABLE, BY_VARIABLE_BASH, EVERYDAY, EVERYDAY_BASH

EVALUATED = [
    'x=${{ e }}; eval "$x"',
    "x=${{ e }}; eval $x",
    'x=${{ e }}; y="a $x"; eval "echo $y"',
    'x=${{ e }}; sh -c "$x"',
    'x=${{ e }}; sh -c "ls $x"',
    "x=${{ e }}; $x foo",
    "x=${{ e }}; $x",
    'x=${{ e }}; "$x" foo',
    'x=${{ e }}; sudo "$x"',
    "x=${{ e }}; A=1 $x",
    "x=${{ e }}; if $x; then :; fi",
    'x=${{ e }}; c="ls $x"; $c',
    'set -- ${{ e }}; "$@"',
    'set -- ${{ e }}; "$1" a',
    'set -- sh -c ${{ e }}; "$@"',
    'x=${{ e }}; set -- sh -c "$x"; exec "$@"',
    "export X=${{ e }}; sh -c 'eval $X'",
    "export X=${{ e }}; sh -c 'sh -c \"$X\"'",
    'export X=${{ e }}; sh -c "eval \\"\\$X\\""',
    "export X=${{ e }}; sh <<'E'\neval \"$X\"\nE",
    'x=$(echo ${{ e }}); eval "$x"',
    'x=${{ e }}; y=$(echo "$x"); eval "$y"',
    "x=${{ e }}; y=`eval $x`",
    "x=${{ e }}; echo \"`eval \\\"\\$x\\\"`\"",
    'read x <<E\n${{ e }}\nE\neval "$x"',
    'echo ${{ e }} | while read -r x; do eval "$x"; done',
    'for x in ${{ e }}; do eval "$x"; done',
    'x=${{ e }}; trap "$x" EXIT',
    "x=${{ e }}; trap 'eval \"$x\"' EXIT",
    'x=${{ e }}; ssh host "$x"',
    'x=${{ e }}; ssh "$x" uptime',
    'x=${{ e }}; echo "$x" | sh',
    'x=${{ e }}; echo "$x" | xargs sh -c',
    'x=${{ e }}; xargs "$x" < f',
    'x=${{ e }}; sh <<E\n$x\nE',
    'x=${{ e }}; sed "s/a/$x/" f',
    'x=${{ e }}; sed s/a/b/ "$x"',
    'x=${{ e }}; awk "{print $x}" f',
    'x=${{ e }}; python3 -c "print(\'$x\')"',
    'x=${{ e }}; perl -e "$x"',
    'x=${{ e }}; psql -c "select $x"',
    'x=${{ e }}; find . -exec "$x" {} +',
    'x=${{ e }}; docker exec c sh -c "ls $x"',
    'x=${{ e }}; . "$x"',
    "x=${{ e }}; PATH=$x:$PATH",
    'x=${{ e }}; GIT_SSH_COMMAND="ssh -i $x" git fetch',
    'x=${{ e }}; printf "$x"',
    'x=${{ e }}; flock l -c "$x"',
    'f() { eval "$1"; }; f ${{ e }}',
    'f() { sh -c "$2"; }; f a ${{ e }}',
    'f() { local y=$1; eval "$y"; }; f ${{ e }}',
    'f() { "$@"; }; f ${{ e }}',
    'f() { "$@"; }; f sh -c ${{ e }}',
    'f() { "$@"; }; x=${{ e }}; f "$x"',
    'f() { n=$1; shift; "$@"; }; f 3 ${{ e }}',
    'f() { n=$1; shift; "$@"; }; f 3 eval ${{ e }}',
    'f() { while [ "$1" = -v ]; do shift; done; "$@"; }; f -v ${{ e }}',
    'f() { [ "$1" = -v ] && shift; "$@"; }; f -v ${{ e }}',
    'f() { [ -n "$V" ] && { shift; }; "$@"; }; f -v ${{ e }}',
    'f() { "$@"; shift; }; f ${{ e }} a',
    'f() { "$@"; }; g() { echo "+ $*"; f "$@"; }; g ${{ e }}',
    'f() { "$@"; }; g() { shift; f "$@"; }; g a ${{ e }}',
    'f() ( "$@" ); f ${{ e }}',
    'f() { sudo -u app "$@"; }; f ${{ e }}',
    'x=${{ e }}; sh -c \'eval "$1"\' _ "$x"',
    "x=${{ e }}; sh -c 'y=$1; eval \"$y\"' _ \"$x\"",
    "sh -c 'y=$1; eval \"$y\"' _ ${{ e }}",
    'x=${{ e }}; command eval "$x"',
    'x=${{ e }}; alias a="$x"; a',
]  # fmt: skip
EVALUATED_BY_BASH = [
    'read x <<< ${{ e }}; eval "$x"',
    'x=${{ e }}; bash <<< "$x"',
    'x=${{ e }}; source <(echo "$x")',
    'x=${{ e }}; [[ -v $x ]]',
    "x=${{ e }}; [[ -v x ]]; echo $((x))",
    'x=${{ e }}; printf -v "$x" a',
    "x=${{ e }}; a=([$x]=1)",
    'a=(${{ e }} b); "${a[@]}"',
    'a=(sh -c ${{ e }}); "${a[@]}"',
    'a=(sh); a+=(-c ${{ e }}); "${a[@]}"',
    'a=(sh); x=${{ e }}; a+=(-c "$x"); sudo "${a[@]}"',
    'a=(sh -c); b=("${a[@]}" ${{ e }}); "${b[@]}"',
    'a=(ls); a=(sh -c ${{ e }}); "${a[@]}"',
    'a=(ls ${{ e }}); ssh host "${a[@]}"',
    'function f { eval "$1"; }; f ${{ e }}',
    'function f { "${@:2}"; }; f a ${{ e }}',
    'declare x=${{ e }}; eval "$x"',
    'mapfile -t x <<< ${{ e }}; eval "${x[0]}"',
    'x=${{ e }}; eval "${x:-a}"',
    'x=${{ e }}; eval "${y:-$x}"',
    'x=${{ e }}; : "${y:=$x}"; eval "$y"',
]  # fmt: skip
THROUGH_FILES = [
    'echo "A=${{ e }}" > app.env; . ./app.env',
    'x=${{ e }}; echo "A=$x" >> app.env; . ./app.env',
    "cat > app.env <<E\nA=${{ e }}\nE\nset -a; . ./app.env",
    "x=${{ e }}\ncat > app.env <<E\nA=$x\nE\n. ./app.env",
    "echo ${{ e }} | sudo tee /etc/app.env > /dev/null; . /etc/app.env",
    "cat <<E | tee f\n${{ e }}\nE\nsh f",
    "printf '%s\\n' ${{ e }} > g; sh g",
    "printf 'A=%s\\n' ${{ e }} > f; . ./f",
    "echo ${{ e }} | sort > f; sh f",
    "cat > f <<X\necho ${{ e }}\nX\nchmod +x f; ./f",
    "echo ${{ e }} > f; timeout 5 ./f",
    "echo ${{ e }} > f; sudo -u app bash f",
    'echo ${{ e }} > f; x=$(grep . f); eval "$x"',
    "echo ${{ e }} > f; x=$(grep -v '^#' < f); eval \"$x\"",
    'echo ${{ e }} > f; eval "$(sed -n 1p f)"',
    "echo ${{ e }} > f; x=$(awk 1 f); echo $((x))",
    'echo ${{ e }} > f; x=`grep . f`; eval "$x"',
    'echo ${{ e }} > f; x=$(sudo tool --file=f); eval "$x"',
    'echo ${{ e }} > f; g() { cat "$1"; }; x=$(g f); eval "$x"',
    'echo ${{ e }} > f; sh -c "$(sed s/a/b/ f)"',
    "echo ${{ e }} > f; tool f | sh",
    "echo ${{ e }} > f; dd if=f | sh",
    "echo ${{ e }} > f; grep . f | tool | sh",
    "echo ${{ e }} > f; { grep . f; } | sh",
    'echo ${{ e }} > f; grep . f | while read -r x; do eval "$x"; done',
    "echo ${{ e }} > f; tool f > g; . ./g",
    "echo ${{ e }} > f; tool < f > g; sh g",
    "echo ${{ e }} | ./tool > f; sh f",
    'echo ${{ e }} > d/f; x=$(grep -rh . d/); eval "$x"',
    'echo ${{ e }} > d/f; sh -c "$(grep -rh . d)"',
    "echo ${{ e }} > d/f; grep -rh . d | sh",
    'echo ${{ e }} > f; x=$(grep -rh A= .); eval "$x"',
    "echo ${{ e }} 1<> f; . ./f",
    "echo ${{ e }} 1<>f; sh f",
    "{ true; } > a; " * 101 + "{ echo ${{ e }}; } > f; . ./f",
    "echo ${{ e }} > f; sh -x f",
    "echo ${{ e }} > f; sh < f",
    "echo ${{ e }} > f; cat f | sh",
    "echo ${{ e }} > f; ssh h bash -s < f",
    "echo ${{ e }} > f; sudo sh -c '. ./f && x'",
    'echo ${{ e }} > f; eval "$(cat f)"',
    "echo ${{ e }} > f; crontab f",
    "echo ${{ e }} > f; at -f f now",
    "echo ${{ e }} > m; make -f m",
    "echo ${{ e }} > x.py; python3 x.py",
    "echo ${{ e }} > q.sql; psql -f q.sql",
    "{ echo a; echo ${{ e }}; } > f; sh f",
    "( echo ${{ e }} ) > f; sh f",
    "for i in 1; do echo ${{ e }}; done > f; sh f",
    "f() { echo ${{ e }} > g; }; f; . ./g",
    "echo ${{ e }} > f.tmp; mv f.tmp f; . ./f",
    "while :; do . ./f; echo ${{ e }} > f; done",
    "mkfifo p; sh < p & echo ${{ e }} > p",
]
THROUGH_FILES_IN_BASH = [
    "echo ${{ e }} > f; x=$(cat f); ((x))",
    "echo ${{ e }} > f; x=$(< f); ((x))",
    "echo ${{ e }} > f; read x < f; ((x))",
    "echo ${{ e }} > f; mapfile -t a < f; ((a[0]))",
    "echo ${{ e }} > f; while read n; do ((n)); done < f",
    "echo ${{ e }} > f; cat f | while read n; do ((n)); done",
    "printf 'A=%q\\nB=%q\\n' 1 ${{ e }} > f; . ./f; eval \"$B\"",
    'printf "A=%q\\nexport B=%q\\n" 1 ${{ e }} > f; . ./f; eval "$B"',
    "printf 'A=%q\\nPS4=%q\\n' 1 ${{ e }} > f; . ./f; set -x; true",
    "printf 'A=%q\\nBASH_ENV=%q\\n' 1 ${{ e }} > f; . ./f",
    "{ printf 'A=%q\\n' ${{ e }}; ls; } > f; . ./f",
    "echo ${{ e }} > >(bash)",
    'x=${{ e }}; echo "$x" > >(bash)',
    "cat <<E > >(bash)\n${{ e }}\nE",
    "echo ${{ e }} > >( { true; bash; } )",
    "exec > >(bash); echo ${{ e }}",
    'exec > >(bash)\nx=${{ e }}\necho "$x"',
    "exec 3> >(bash); echo ${{ e }} >&3",
    "exec > >(tee log | bash); echo ${{ e }}",
    "{ echo ${{ e }}; } > >(bash)",
    "f() { echo ${{ e }}; }; f > >(sh)",
    "echo ${{ e }} > >(while read n; do ((n)); done)",
    "exec > >(while read -r n; do echo $((n)); done); echo ${{ e }}",
    "echo ${{ e }} | tee >(bash)",
    "echo ${{ e }} | tee >(some-tool)",
]
HARMLESS_IN_BASH = [
    'exec > >(while read -r l; do echo "$l"; done); echo ${{ e }}',
    "exec > >(tee log); df | while read -r a b; do (( b > 9 )); done; echo ${{ e }}",
    "exec > >(tee log); ls | some-tool; echo ${{ e }}",
    'some-tool > >(my-filter); x=${{ e }}; echo "$x"',
    "echo ${{ e }} | tee >(gzip > f.gz) > g",
    "printf 'A=%q\\n' ${{ e }} > app.env; . ./app.env",
    "printf 'A=%q\\nB=%q\\n' 1 ${{ e }} > app.env; . ./app.env; ls \"$B\"",
    "{ printf 'A=%q\\n' ${{ e }}; echo B=1; } > app.env; . ./app.env; ls \"$A\"",
    'x=${{ e }}; echo "A=${x@Q}" > app.env; . ./app.env',
    "n=${{ e }}; case $n in ''|*[!0-9]*) exit 2;; esac; echo \"N=$n\" > f; . ./f",
    "echo ${{ e }} > f; n=$(wc -l < f); echo $((n))",
]
HARMLESS = [
    "echo ${{ e }} > f; n=$(grep -c x f); echo $((n))",
    "echo ${{ e }} > f; n=$(grep x f | wc -l); echo $((n))",
    "echo ${{ e }} > f; n=$(cat f | wc -c); echo $((n))",
    "echo ${{ e }} > f; n=$(stat -c %s f); echo $((n + 1))",
    "echo ${{ e }} > f; n=$(du -sk f | cut -f1); echo $((n + 1))",
    "echo ${{ e }} > f; n=$(df --output=avail . | tail -n 1); echo $((n))",
    "echo ${{ e }} > d/f; n=$(ls d | wc -l); echo $((n))",
    'echo ${{ e }} > f; sum=$(sha256sum f | cut -d" " -f1); [ "$sum" = "$x" ]',
    'echo ${{ e }} > f; x=$(sed -n 1p f); [ "$x" = a ] && ls',
    'echo ${{ e }} > f; x=$(jq -r .a f); curl "https://h/$x"',
    "echo ${{ e }} > d/f; tar -czf d.tgz d; sh other.sh",
    "echo ${{ e }} > f; nginx -t -c f; export $(grep -v '^#' .env)",
    'echo ${{ e }} > f; eval "$(ssh-agent -s)"; ssh-add f',
    "echo ${{ e }} > f; curl -d @f https://h | jq .",
    "echo ${{ e }} > f; docker run --env-file f img > log; tail log",
    'echo ${{ e }} > list; grep -v x list | while read -r h; do ping -c 1 "$h"; done',
    "printf 'A=%d\\n' ${{ e }} > app.env; . ./app.env",
    "echo ${{ e }} > f; . ./other.env",
    "curl -s https://h/${{ e }} > x.sh; sh x.sh",
    "git show ${{ e }}:env > app.env; . ./app.env",
    "./x.sh ${{ e }} > f; sh f",
    "{ echo ${{ e }}; } > f; { echo ls; } > g; sh g",
    "cat > run.sh <<'E'\nls\nE\nsh run.sh ${{ e }}",
    "echo start > log; sh build.sh ${{ e }} >> log",
    'x=${{ e }}; trap \'rm -f -- "$x"\' EXIT',
    "export X=${{ e }}; sh -c 'ls -- \"$X\"'",
    'x=${{ e }}; sh -c \'ls -- "$1"\' _ "$x"',
    'x=${{ int(e) }}; eval "echo $x"',
    'sqlite3 db "select $x, ${{ int(e) }}"',
    'sed -n "${{ int(e) }},${{ int(e) }}p" f',
    'x=${{ e }}; case $x in *[!0-9]*) exit 2;; esac; eval "echo $x"',
    'x=${{ e }}; y=1; eval "echo $y"',
    'x=${{ e }}; eval "$(ssh-agent -s)"; ls "$x"',
    'x=${{ e }}; ssh -- "$x" uptime',
    'x=${{ e }}; ssh -p 22 -l ops -i key "ops@$x" uptime',
    "ssh -o BatchMode=yes -p ${{ e }} ops@${{ e }} uptime",
    "sed s/a/b/ -- ${{ e }}",
    'set -- ls -l ${{ e }}; "$@"',
    'f() { "$@"; }; f ls ${{ e }}',
    'f() { n=$1; shift; "$@"; }; f ${{ e }} ls a',
    'f() { n=$1; shift; "$@" || "$@"; }; f 3 curl ${{ e }}',
    'f() { "$@"; }; g() { echo "+ $*"; f "$@"; }; g ls ${{ e }}',
    'log() { echo "$@" >&2; }; log ${{ e }}',
    "cat > run.sh <<'E'\neval \"$x\"\nE\nx=${{ e }}; ls",
]  # fmt: skip
GIVEN_BY_OPTION = [
    "docker exec -e X=${{ e }} c bash -c 'eval \"$X\"'",
    "docker run -e X=${{ e }} i bash -c 'eval \"$X\"'",
    "docker run --env X=${{ e }} i bash -c 'eval \"$X\"'",
    "docker run --env=X=${{ e }} i bash -c 'eval \"$X\"'",
    "podman run --rm -eX=${{ e }} i sh -c 'eval \"$X\"'",
    "kubectl exec p -- env X=${{ e }} sh -c 'eval \"$X\"'",
    "env X=${{ e }} sh -c 'eval \"$X\"'",
    "genv X=${{ e }} sh -c 'eval \"$X\"'",
    "sudo X=${{ e }} sh -c 'eval \"$X\"'",
    "X=${{ e }} sh -c 'eval \"$X\"'",
    "ssh h X=${{ e }} sh -c 'eval \"$X\"'",
    "docker run --entrypoint=sh -e A=${{ e }} i -c 'eval \"$A\"'",
    "sudo -E env X=${{ e }} bash -c '$X'",
    "docker exec -e BASH_ENV=${{ e }} c bash x",
    "docker compose exec -e X=${{ e }} c bash -c 'eval \"$X\"'",
    "docker compose run -e X=${{ e }} c bash -c 'eval \"$X\"'",
    "systemd-run --setenv=X=${{ e }} bash -c 'eval \"$X\"'",
    "systemd-run -E X=${{ e }} bash -c 'eval \"$X\"'",
    "docker exec -e X=${{ e }} c bash -c 'echo $((X))'",
    'docker exec -e "X=${{ e }}" c bash -c "eval \\"\\$X\\""',
    'x=${{ e }}; docker exec -e X="$x" c bash -c \'eval "$X"\'',
    "docker exec -e X=${{ e }} c python3 -c 'import os; os.system(os.environ[\"X\"])'",
    "docker exec -ie X=${{ e }} c sh -c 'sh -c \"$X\"'",
    "lxc exec c --env X=${{ e }} -- sh -c 'eval \"$X\"'",
]
GIVEN_AS_DATA = [
    "docker exec -e X=${{ e }} c bash -c 'ls -- \"$X\"'",
    "docker run --rm -e TOKEN=${{ e }} -p 80:80 nginx",
    "docker run --entrypoint=sh -e A=${{ e }} --name ${{ e }} alpine -c 'ls \"$A\"'",
    "env A=${{ e }} make",
    "docker compose run -e X=${{ e }} c ./x.sh",
    "docker build --build-arg X=${{ e }} .",
    "kubectl exec p -- env X=${{ e }} ls",
    "env X=${{ e }} sh -c 'ls \"$X\"'",
    "docker run -e X=${{ e }} i psql -c 'select 1'",
    "systemd-run --setenv=X=${{ e }} ./run.sh",
    "docker exec -e PGPASSWORD=${{ e }} db pg_dump app",
]
ENV = {"X": "${{ params.x }}", "N": "${{ int(params.x) }}", "K": "a"}


@pytest.mark.parametrize("script", GIVEN_BY_OPTION)
def test_a_variable_that_an_option_gives_to_a_program_is_followed_like_one_before_it(script: str) -> None:
    assert isinstance(bind(script, "bash"), tuple)


@pytest.mark.parametrize("script", GIVEN_AS_DATA)
def test_it_is_accepted_where_that_program_takes_it_as_data(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound), bind(script, "bash")


@pytest.mark.parametrize("script", [*EVALUATED, *THROUGH_FILES])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_value_is_refused_where_a_variable_takes_it_to_what_evaluates(script: str, shell: Shell) -> None:
    refused = bind(script, shell)
    assert isinstance(refused, tuple), refused
    assert script[refused[0].offset :].startswith("${{ e }}")


@pytest.mark.parametrize("script", [*EVALUATED_BY_BASH, *THROUGH_FILES_IN_BASH])
def test_the_same_by_words_of_bash(script: str) -> None:
    assert isinstance(bind(script, "bash"), tuple)


@pytest.mark.parametrize("script", [*HARMLESS, *BY_VARIABLE])
def test_a_variable_that_is_only_data_is_accepted(script: str) -> None:
    assert isinstance(bind(script, "sh"), Bound), bind(script, "sh")
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", BY_VARIABLE_BASH)
def test_a_variable_that_is_only_data_is_accepted_in_bash(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound), bind(script, "bash")


def test_everyday_lines_are_accepted_by_way_of_a_variable_too() -> None:
    """What may be an expression may be a variable that holds it."""
    for line in (*EVERYDAY, *EVERYDAY_BASH):
        quoted = bind(line, "bash")
        assert isinstance(quoted, Bound)
        script = f"v=${{{{ e }}}}\n{re.sub('OC[0-9]+', 'v', quoted.text)}"
        assert isinstance(bind(script, "bash"), Bound), bind(script, "bash")


def test_the_finding_names_the_variables_and_what_to_write() -> None:
    refused = bind('x=${{ params.v }}; y="a $x"; sh -c "$y"', "sh")
    assert isinstance(refused, tuple)
    assert refused[0].message == (
        "the expression 'params.v' becomes 'x', and so 'y', which stands in a command with 'sh', which may evaluate it"
    )
    assert "sh -c 'ls -- \"$1\"' _ VALUE" in refused[0].hint


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        ("sed s/a/b/ ${{ e }}", "write -- before it"),
        ("sed -i -e s/a/b/ ${{ e }}", "write -- before it"),
        ("ssh ${{ e }} uptime", "write ssh -- before it"),
        ("ssh h ${{ e }}", "read -r x"),
        ("sed s/a/${{ e }}/ f", "awk -v"),
        ("trap ${{ e }} EXIT", "single quotes"),
        ("mysql -e 'select 1' ${{ e }}", "write -D before it"),
        ("psql ${{ e }} -c 'select 1'", "write -d before it"),
        ("sqlite3 ${{ e }} 'select 1'", "as in ./VALUE"),
        ("sqlite3 f ${{ e }}", "as a parameter"),
        ("mysql -e ${{ e }}", "as a parameter"),
        ("echo ${{ e }} | mail -s x root", "sendmail -t"),
        ("echo ${{ e }} | mailx -s x root", "sendmail -t"),
        ("python3 -c ${{ e }}", "sys.argv[1]"),
    ],
)
def test_a_hint_says_what_to_write_in_its_place(script: str, hint: str) -> None:
    refused = bind(script, "sh")
    assert isinstance(refused, tuple)
    assert hint in refused[0].hint


@pytest.mark.parametrize(
    "script",
    [
        'eval "$X"',
        'y=$X; sh -c "$y"',
        'echo "$X" | sh',
        "sh -c 'eval \"$X\"'",
        "$X start",
        'ssh h "ls $X"',
        "alias a=b\neval $X",
        'f() { "$@"; }; f "$X"',
        "docker run -e X --entrypoint=sh i -c 'eval \"$X\"'",
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_variable_of_env_is_not_evaluated(script: str, shell: Shell) -> None:
    found = evaluated_env(script, shell, ENV)
    assert [(one.name, one.computed) for one in found] == [("X", False)]
    assert evaluated_env(script, shell, {"X": "${{ secrets.a.password }}"}) == ()
    assert evaluated_env(script.replace("X", "N"), shell, ENV) == ()
    assert evaluated_env(script.replace("X", "K"), shell, ENV) == ()


@pytest.mark.parametrize(
    "script",
    [
        'eval "$(printenv)"', 'eval "$(env)"', 'eval "$(env | grep ^X=)"', 'all=$(env); eval "$all"',
        'for v in $NAMES; do eval "${!v}"; done',
    ],
)  # fmt: skip
def test_each_variable_of_env_counts_where_any_is_evaluated(script: str) -> None:
    given = {**ENV, "Y": "a ${{ params.y }}", "S": "${{ secrets.a.password }}"}
    found = evaluated_env(script, "bash", given)
    assert [(one.name, one.computed) for one in found] == [("X", False), ("Y", False)]
    assert found[1].message.startswith("'env' sets 'Y', which is among all that are read there and stands in")


@pytest.mark.parametrize(
    "script",
    [
        'eval "$(ssh-agent -s)"', 'eval "$(env A=1 brew shellenv)"', 'env | sort', 'eval "$(printenv HOME)"',
        'f() { local -n r=$1; echo $((r + 1)); }; f n',
    ],
)  # fmt: skip
def test_what_evaluates_no_variable_of_env_is_left_alone(script: str) -> None:
    assert evaluated_env(script, "bash", ENV) == ()


@pytest.mark.parametrize(
    "script", ['ls -- "$X"', "sh -c 'ls -- \"$X\"'", "trap 'rm -f \"$X\"' EXIT", "cat > f <<'E'\neval $X\nE", "X=1 ls"]
)
def test_a_variable_of_env_that_is_only_data_is_left_alone(script: str) -> None:
    assert evaluated_env(script, "bash", ENV) == ()
