"""Programs that evaluate their words, their options or their variables; and the many that do not."""

import gc
import sys

import pytest

from engine.scripts.binding import Bound, bind
from engine.scripts.posix_shell import scan
from tests.everyday_scripts import EVERYDAY, EVERYDAY_BASH

EVALUATED = [
    # what a script within the script makes of its arguments
    """bash -s -- "${{ e }}" <<'E'\necho $(( $1 ))\nE""",
    """bash -s -- "${{ e }}" <<'E'\nn=$1\necho $((n))\nE""",
    """bash -s -- "${{ e }}" <<'E'\neval "$1"\nE""",
    """bash -s "${{ e }}" <<'E'\necho "$1"\nE""",
    """bash -s -- "${{ e }}" < f.txt""",
    """sh -c 'eval "$1"' _ ${{ e }}""",
    """sh -c '"$@"' _ ${{ e }}""",
    """sh -c '$0' ${{ e }}""",
    """sh -c "ls \\"\\$1\\"" _ ${{ e }}""",
    """sh -c "$code" _ ${{ e }}""",
    """sh $options -c 'ls' _ ${{ e }}""",
    """sh -c 'shift; "$@"' _ ${{ e }}""",
    """bash -c 'echo ${1@P}' _ ${{ e }}""",
    """bash -c 'for a; do echo $((a)); done' _ ${{ e }}""",
    """bash -c 'declare -i n=$1' _ ${{ e }}""",
    """bash -c 'while getopts a: o; do echo $((OPTARG)); done' _ ${{ e }}""",
    """bash -c 'unset "a[$1]"' _ ${{ e }}""",
    """ksh -c '[ "$1" -eq 0 ]' _ ${{ e }}""",
    """ssh h sh -c 'ls "$1"' _ ${{ e }}""",
    """some-tool sh -c 'ls "$1"' _ ${{ e }}""",
    """su -c 'sh -c "ls"' ${{ e }}""",
    "python3 -c ${{ e }}",
    "python3 -c $code ${{ e }}",
    "python3 ${{ e }} -",
    "perl -ne 'print' -- ${{ e }}",
    "perl -e 'print' ${{ e }}",
    "perl -e $code -- ${{ e }}",
    "node -e 'x' ${{ e }}",
    "git ${{ e }}",
    "git -C repo ${{ e }}",
    "git ${{ e }} ${{ e }} ${{ e }}",
    "zip -TT ${{ e }} a.zip b",
    "less ${{ e }}",
    # options that take a command
    "flock l -c ${{ e }}",
    'flock l -c "ls ${{ e }}"',
    'timeout 5 flock -n l -c "echo ${{ e }}"',
    "command flock l -c ${{ e }}",
    "sg docker -c ${{ e }}",
    'sg g -c "docker rm ${{ e }}"',
    'vagrant ssh -c "ls ${{ e }}"',
    'gcloud compute ssh vm --command="ls ${{ e }}"',
    'xterm -e "${{ e }}"',
    "gnome-terminal -e ${{ e }}",
    'rsync -e "ssh -p ${{ e }}" a b:',
    'rsync --rsync-path="sudo ${{ e }}" a b:',
    'ansible all -m shell -a "ls ${{ e }}"',
    "ansible-playbook -e name=${{ e }} site.yml",
    "tar cf x.tar --checkpoint=1 --checkpoint-action=exec=${{ e }} a",
    "tar -I ${{ e }} -cf x.tar a",
    "certbot renew --deploy-hook ${{ e }}",
    'certbot renew --post-hook="x ${{ e }}"',
    "scp -o ProxyCommand=${{ e }} a b:",
    "scp -S ${{ e }} a b:",
    "systemd-run -p ExecStartPre=${{ e }} ls",
    "nc -e ${{ e }} h 1",
    "wine-like -c ${{ e }}",
    "some-tool --command ${{ e }}",
    "$SHELL -lc ${{ e }}",
    "./run.sh sh -c ${{ e }}",
    "./run.sh ssh h ${{ e }}",
    "bash -o pipefail -c ${{ e }}",
    "bash --rcfile x.sh -c ${{ e }}",
    "bash /dev/stdin.sh -c ${{ e }}",
    "python3 -c ${{ e }} x.py",
    "$x.sh -c ${{ e }}",
    "sed -i s/a/b/ ${{ e }}",
    "sed -i -e a -e ${{ e }}",
    "sed -i -e a -e x${{ e }}",
    "sed x${{ e }} f",
    "sed -n x -f x${{ e }}",
    "sed --expression=${{ e }} f",
    "sed -l 5 x${{ e }} f",
    "sed -i '' s/a/${{ e }}/ f",
    "sed -i .bak s/a/${{ e }}/ f",
    "docker exec c sed a sh -c x${{ e }}",
    "some-tool --exec=${{ e }}",
    "some-tool -e${{ e }}",
    "git -c core.sshCommand=${{ e }} fetch",
    "git -c ${{ e }} fetch",
    "git config alias.x ${{ e }}",
    "git config --global core.editor ${{ e }}",
    "git config ${{ e }} x",
    "git clone --upload-pack ${{ e }} a",
    "git clone --config=core.pager=${{ e }} a",
    "printf 2>&1 ${{ e }}",
    "git clone -u ${{ e }} a",
    "git clone -qu ${{ e }} a",
    "git clone -u${{ e }} a",
    'git clone --upload-pack="x ${{ e }}" a',
    "git push --receive-pack ${{ e }} a",
    "dpkg --pre-invoke=${{ e }} -i x",
    'sudo dpkg --post-invoke="x ${{ e }}" -i x',
    "apt-get -o DPkg::Pre-Invoke::=${{ e }} install x",
    "apt-get -oDPkg::Pre-Invoke::=${{ e }} install x",
    "apt-get -o ${{ e }} install x",
    "python3 -m timeit ${{ e }}",
    "python3 -O -m timeit -n 5 ${{ e }}",
    "python3 -mtimeit ${{ e }}",
    "sudo python3 -Im timeit -s x ${{ e }}",
    'pwsh -NoProfile -Command "echo ${{ e }}"',
    'pwsh -COM "echo ${{ e }}"',
    "pwsh -Command echo ${{ e }}",
    'powershell.exe -NoLogo -C "echo ${{ e }}"',
    "pwsh -enc ${{ e }}",
    "fd . -x ${{ e }}",
    "fd . -X ${{ e }}",
    "fd . -x sh -c ${{ e }}",
    "fdfind . --exec-batch=${{ e }}",
    "rg --pre ${{ e }} x",
    "rg --pre=${{ e }} x",
    "mysql --pager=${{ e }} db",
    'mysql --pager="less ${{ e }}" db',
    "docker run --entrypoint ${{ e }} alpine",
    "docker run --rm --entrypoint=${{ e }} alpine",
    "docker run --entrypoint sh alpine -c ${{ e }}",
    "aptitude -o DPkg::Pre-Invoke::=${{ e }} update",
    "apt-cache -o APT::Update::Post-Invoke::=${{ e }} x",
    "apt-get -o Dpkg::Options::=--pre-invoke=${{ e }} install x",
    "apt-get -o Dpkg::Options::=${{ e }} install x",
    "pypy3 -m timeit ${{ e }}",
    "pypy3 -c ${{ e }}",
    "powershell ls ${{ e }}",
    "powershell.exe -NoProfile ls ${{ e }}",
    'x=5-; sqlite3 db "select $x${{ int(e) }}, secret"',
    'sqlite3 db "select ${x}${{ int(e) }}"',
    'sqlite3 db "select $(cat x)"${{ int(e) }}',
    "docker run --rm --entrypoint=/bin/sh alpine -c ${{ e }}",
    "docker run --entrypoint=bash -v a:b alpine -lc ${{ e }}",
    "docker run --entrypoint=python3 alpine -c ${{ e }}",
    "docker run --entrypoint=env alpine ${{ e }}",
    'docker run --entrypoint "" alpine ${{ e }}',
    "docker create --entrypoint=sh alpine -c ${{ e }}",
    'docker compose run --entrypoint "sh -c" web ${{ e }}',
    'podman run --entrypoint \'["sh", "-c"]\' alpine ${{ e }}',
    "sudo docker run --entrypoint=sh alpine -c 'eval \"$1\"' _ ${{ e }}",
    'docker run --entrypoint=sh alpine -c "ls $1" _ ${{ e }}',
    "docker run --entrypoint=zsh alpine -c 'ls \"$1\"' _ ${{ e }}",
    "docker run --entrypoint=sh alpine -s ${{ e }}",
    'podman run --entrypoint \'["sh", "-c", "eval $1"]\' alpine _ ${{ e }}',
    'podman run --entrypoint \'["sh", "-c"]\' alpine \'eval "$1"\' _ ${{ e }}',
    'gfind . -exec ${{ e }} ";"',
    "/opt/homebrew/bin/gfind . -execdir sh -c ${{ e }} ';'",
    "ls | gxargs -I{} ${{ e }}",
    "gsed -n ${{ e }} f",
    "gnice -n 5 gtimeout 5 ${{ e }}",
    "genv -S ${{ e }}",
    "genv BASH_ENV=${{ e }} ls",
    "gtest -v ${{ e }}",
    "gsort --compress-program=${{ e }} f",
    "gtar -I ${{ e }} -cf x y",
    "gmake ${{ e }}",
    "greadlink x | gxargs sh -c ${{ e }}",
    'x=${{ e }}; docker run --entrypoint=sh alpine -c "$x"',
    "erl -noshell -eval ${{ e }}",
    "swipl -g ${{ e }}",
    'command_not_found_handle() { eval "$2"; }; nosuchcmd ${{ e }}',
    "x=${{ e }}; for v in ${!OC*}; do ls; done",
    # runners of commands, and what else runs one
    "linux32 ${{ e }}",
    "linux64 sh -c ${{ e }}",
    "setarch x86_64 -R ${{ e }}",
    "setarch -R ${{ e }}",
    "busybox timeout 5 ${{ e }}",
    "busybox nice ${{ e }}",
    "busybox sh -c ${{ e }}",
    "busybox awk ${{ e }} f",
    "toybox nohup ${{ e }}",
    "proot -r /x ${{ e }}",
    "proot -r /x sh -c ${{ e }}",
    "xvfb-run -a ${{ e }}",
    "ssh-agent -t 5 ${{ e }}",
    "runcon -t x ${{ e }}",
    "runcon u:r:t:s0 ${{ e }}",
    "lxc-attach -n c -- ${{ e }}",
    "lxc-attach -n c -- sh -c ${{ e }}",
    "k3s kubectl exec p -- ${{ e }}",
    "k3s kubectl exec p -- sh -c ${{ e }}",
    "microk8s kubectl exec p -- ${{ e }}",
    "docker run --rm -v a:b -e A=b alpine ${{ e }}",
    "docker run --rm alpine sh -c ${{ e }}",
    "podman run -it alpine ${{ e }}",
    "docker compose run --rm web ${{ e }}",
    "docker-compose run -T web ${{ e }}",
    "nerdctl run --net host alpine timeout 5 ${{ e }}",
    "kubectl run x --image=y -- ${{ e }}",
    "wget --use-askpass=${{ e }} h",
    "wget --use-askpass ${{ e }} h",
    "wget -e use_askpass=${{ e }} h",
    "hg --config alias.x=${{ e }} x",
    "hg --config alias.x='!${{ e }}' x",
    "hg --config=hooks.update=${{ e }} update",
    "hyperfine 'ls ${{ e }}'",
    "hyperfine -p ${{ e }} ls",
    # options of the shell's own `time`
    "time -p ${{ e }}",
    "time -- ${{ e }}",
    "time -p -- ${{ e }}",
    "time \\\n -p ${{ e }}",
    "time -f %e ${{ e }}",
    # names of commands that are put together
    "x=ev; ${x}al ${{ e }}",
    'x=ev; "${x}al" "${{ e }}"',
    'x=ev; y=${{ e }}; ${x}al "$y"',
    "${x}al ${{ e }}",
    "x=$(cat f); e$x ${{ e }}",
    "x=eva; sudo ${x}l ${{ e }}",
    "x=bas; timeout 5 ${x}h -c ${{ e }}",
    # programs all of whose words may be code
    "tmux new-session -d ${{ e }}",
    'tmux send-keys -t a "${{ e }}" Enter',
    "screen -dm ${{ e }}",
    'autossh h "ls ${{ e }}"',
    'plink h "ls ${{ e }}"',
    'clush -w a "ls ${{ e }}"',
    'salt "*" cmd.run "ls ${{ e }}"',
    'sshpass -p x ssh h "ls ${{ e }}"',
    'cmd.exe /c "${{ e }}"',
    'winexe -U a //h "cmd ${{ e }}"',
    "docker exec c ssh h ${{ e }}",
    'docker exec c sh -c "echo ${{ e }}"',
    'kubectl exec p -- sh -c "echo ${{ e }}"',
    "docker exec c sed ${{ e }} f",
    'ip netns exec x sh -c "${{ e }}"',
    'entr sh -c "${{ e }}"',
    'sqlite3 db "select ${{ e }}"',
    "sqlite3 db ${{ e }}",
    'sqlcmd -Q "select ${{ e }}"',
    'psql -c "select ${{ e }}" db',
    "psql -c a ${{ e }}",
    "perl -pi -e s/a/b/ ${{ e }}",
    "sftp -b - h <<EOF\nput ${{ e }}\nEOF",
    "ftp h <<EOF\n!${{ e }}\nEOF",
    'scp "host:${{ e }}" b',
    'rsync -a "host:/srv/${{ e }}" b',
    "awk -f ${{ e }} f",
    # the place of the command, after runners and their options
    "${{ e }}",
    "sudo -n -u root ${{ e }}",
    "sudo -- ${{ e }}",
    "sudo ${{ e }} ls",
    "sudo -u root timeout 5 ${{ e }}",
    "timeout -k 5 30 ${{ e }}",
    "flock -n l ${{ e }}",
    "nice -n 10 ${{ e }}",
    "env -u A B=1 ${{ e }}",
    "env ${{ e }} ls",
    "xargs -n 1 ${{ e }}",
    "npx ${{ e }}",
    "npm exec -c ${{ e }}",
    "rpm --eval ${{ e }}",
    "sort --compress-program=${{ e }} f",
    "chroot /x ${{ e }}",
    "docker exec -u root c ${{ e }}",
    "kubectl exec -n a p -- ${{ e }}",
    "ip netns exec x ${{ e }}",
    "bundle exec ${{ e }}",
    "find /srv -name x -exec ${{ e }} {} +",
    "find /srv -exec sh -c ${{ e }} {} +",
    "find /srv -exec true ';' -ok ${{ e }} ';'",
    # commands that evaluate, where a command stands
    "sudo . ${{ e }}",
    "command . ${{ e }}",
    "builtin enable -f ${{ e }} x",
    "hash -p ${{ e }} x",
    "sudo watch ${{ e }}",
    "sudo at ${{ e }}",
    "env make ${{ e }}",
    # env -S splits its text into words
    'env -S "ls ${{ e }}"',
    "env -S ${{ e }} ls",
    'env -i -S "a" ${{ e }}',
    'env -vS "sh x" ${{ e }}',
    'env --split-string="ls ${{ e }}"',
]
EVALUATED_BASH = [
    '{sh,-c} "${{ e }}"',
    "sudo {sh,-c} ${{ e }}",
    # arrays that are commands
    'a=(bash -c); "${a[@]}" ${{ e }}',
    'SSH=(ssh host); "${SSH[@]}" ${{ e }}',
    'SSH=(ssh host); sudo "${SSH[@]}" ls ${{ e }}',
    'SSH=(ssh host); x=${{ e }}; "${SSH[@]}" ls "$x"',
    'mapfile -t C < f; "${C[@]}" ${{ e }}',
    '"${C[@]}" ls ${{ e }}',
    'a=(bash -c); b=("${a[@]}"); "${b[@]}" ${{ e }}',
    'a=("${a[@]}" x); "${a[@]}" ${{ e }}',
    'a=(bash); a+=(-c); "${a[@]}" ${{ e }}',
    'a=(); a+=(bash -c); "${a[@]}" ${{ e }}',
    'a=(); "${a[@]}" ${{ e }}; a+=(ls)',
    'a=(ls); a[0]=eval; "${a[@]}" ${{ e }}',
    'if x; then a=(ls); else a=(ssh h); fi; "${a[@]}" ${{ e }}',
    'a=(bash -c); "${a[0]}" "${a[1]}" ${{ e }}',
    'a=(bash -c); f() { "${a[@]}" "$1"; }; f ${{ e }}',
    'f() { local a=(bash -c); "${a[@]}" ${{ e }}; }; f',
    'a=(bash -c); retry() { "$@"; }; retry "${a[@]}" ${{ e }}',
    # the file that xargs reads in place of its input
    "xargs -a <(echo ${{ e }}) -I{} sh -c {}",
    "xargs -a <(echo ${{ e }}) bash -c",
    "xargs -r --arg-file <(echo ${{ e }}) sudo sh -c",
    'x=${{ e }}; xargs -a <(echo "$x") bash -c',
    "op=-v; [ $op ${{ e }} ]",
    'op=-v; [ "$op" ${{ e }} ]',
    "x=-v; test $x ${{ e }}",
    "test ${x} ${{ e }}",
    "test ${{ e }} ${{ e }}",
    'test "-$x" ${{ e }}',
    '[ -n a -a "-"v ${{ e }} ]',
    "declare -a a; declare x=${{ e }}",
    "f() { local -a a; local x=${{ e }}; }",
    "cat <&${{ e }}",
    "exec 3<&${{ e }}",
    "a[$(echo ${{ e }})]=1",
    "a[$(${{ e }})]=1",
    "wait -n -p a[$(echo ${{ e }})]",
    "read a[$(echo ${{ e }})]",
    "unset a[$(echo ${{ e }})]",
]
NAMES = [
    "GIT_SSH_COMMAND", "GIT_SSH", "ENV", "BASH_ENV", "PS1", "PS4", "PROMPT_COMMAND", "EDITOR", "VISUAL", "GIT_EDITOR",
    "PAGER", "GIT_PAGER", "SSH_ASKPASS", "SUDO_ASKPASS", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONSTARTUP", "PYTHONPATH",
    "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "IFS", "PATH", "SHELL", "LESSOPEN", "RSYNC_RSH",
    "BASH_FUNC_x", "TAR_OPTIONS", "MAKEFLAGS",
]  # fmt: skip


@pytest.mark.parametrize("name", ["--entrypoint sh", "--entrypoint=sh"])
@pytest.mark.parametrize("option", ["-v ${{ e }}:/x", "--name ${{ e }}"])
def test_an_option_beside_an_entry_point_is_none_of_its_words(name: str, option: str) -> None:
    assert isinstance(bind(f"docker run {name} {option} alpine -c ls", "sh"), Bound)
    assert isinstance(bind(f"docker run {option} {name} alpine -c ls", "sh"), Bound)
    assert not isinstance(bind(f"docker run {name} {option} alpine ${{{{ e }}}}", "sh"), Bound)


def test_no_long_script_is_held_for_the_life_of_the_process() -> None:
    long = "".join(f'ls -- "$1" {n}\n' for n in range(1_000))
    before = sys.getrefcount(long)
    assert scan.is_harmless(long, "sh")
    assert not scan.is_harmless(f"{long}eval $1", "sh")
    gc.collect()  # what was known of it goes in circles
    assert sys.getrefcount(long) == before


@pytest.mark.parametrize("script", EVALUATED)
def test_a_value_is_refused_where_a_program_evaluates_it(script: str) -> None:
    for shell in ("sh", "bash"):
        assert isinstance(bind(script, shell), tuple)  # type: ignore[arg-type]


@pytest.mark.parametrize("script", EVALUATED_BASH)
def test_a_value_is_refused_where_bash_may_compute_it(script: str) -> None:
    assert isinstance(bind(script, "bash"), tuple)


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_that_programs_evaluate_takes_no_value(name: str) -> None:
    """`GIT_SSH_COMMAND="ssh -i ${{ e }}" git fetch` runs what is in the value."""
    for script in ("{}=${{ e }} x", '{}="a ${{ e }}"', "export {}=${{ e }}", "env {}=${{ e }} x", "sudo {}=${{ e }} x"):
        refused = bind(script.replace("{}", name), "bash")
        assert isinstance(refused, tuple), script
        assert name in refused[0].message
        assert "env:" not in refused[0].hint
    assert isinstance(bind(f"{name}=x y ${{{{ e }}}}", "bash"), Bound)


@pytest.mark.parametrize("script", EVERYDAY)
def test_everyday_lines_are_accepted(script: str) -> None:
    assert isinstance(bind(script, "sh"), Bound)
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", EVERYDAY_BASH)
def test_everyday_lines_for_bash_are_accepted(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


def test_a_here_document_whose_last_line_is_continued_is_refused() -> None:
    """Its end mark would be a part of that line."""
    assert isinstance(bind("cat <<E\n${{ e }} a\\\nE\nE", "sh"), tuple)
    assert isinstance(bind("cat <<E\na\\\nE\necho ${{ e }}", "sh"), tuple)
    assert isinstance(bind("cat <<E\n${{ e }} a\\\\\n\nE", "sh"), Bound)


@pytest.mark.parametrize(
    "script",
    [
        "OC1=2; echo ${{ e }}",
        "read OC1; echo ${{ e }}",
        "unset OC7; echo ${{ e }}",
        "echo ${OC1} ${{ e }}",
        "f OC12 ${{ e }}",
    ],
)
def test_a_script_does_not_name_the_variables_of_values(script: str) -> None:
    """`OC1=2; echo ${{ e }}` printed 2."""
    for shell in ("sh", "bash", "powershell", "python3"):
        refused = bind(script, shell)  # type: ignore[arg-type]
        assert isinstance(refused, tuple)
        assert "OC" in refused[0].message
    assert isinstance(bind("FOC1=2; OC1A=3; OCX=4; echo ${{ e }}", "sh"), Bound)
