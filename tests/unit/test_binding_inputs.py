"""Standard input: a value goes to a program that takes data there, and to no other."""

import pytest

from engine.scripts.binding import Bound, bind
from engine.scripts.posix_shell.table import GNU, PROGRAMS, name_of

READERS = (
    "mail -s x root", "mailx x",
    "su root", "su - bob", "sudo su -", "su", "sudo -i", "sudo -s", "sudo -u app -s", "sudo -su app", "doas -s",
    "chroot /mnt", "sudo chroot /mnt", "unshare -r", "nsenter -t 1", "pkexec", "fakeroot", "firejail",
    "systemd-run -S", "newgrp docker", "machinectl shell", "machinectl shell web", "login -f bob", "script",
    "runuser bob", "sg docker", "tclsh", "expect", "m4", "gnuplot", "vim -s -", "sed -f -", "sed -nf - f",
    "sed --file=- f", "make -f -", "make -sf -", "make --file=/dev/stdin", "ssh h", "ssh -p 22 h", "ssh -o A=b h",
    "ssh h sudo bash", "sudo ssh -t h", "ssh h 'sudo bash'", "ssh h 'cd /x && sh'", "ssh h tclsh", "ssh h ssh i",
    "ssh h $x", "sh -c 'cd /x && bash'", "docker run -i alpine", "docker attach x", "docker exec -i x sh",
    "docker exec -i x gnuplot", "virsh", "fdisk /dev/x", "kubectl run -i x", "kubectl debug -i x", "nft -f -",
    "curl -K -", "psql -p 5432 db", "mysql db", "perl -c", "xargs sudo", "xargs -n 1 env", "xargs timeout 5",
    "xargs docker exec", "xargs awk", "some-tool", "/opt/tool -x", '"$tool"', "sudo some-tool", "bash -o pipefail",
    "python3 -i -c 'x'", "exec", "env gnuplot", "crontab", "crontab -", "env -S 'sh' x", "env -S sh",
    "env -iS 'bash -s' cat", "find . -exec sh ';' -exec cat {} ';'", "find . -exec sudo -s ';' -exec cat {} ';'",
    "sudo --new-option cat sh", "docker exec -i --new-option cat x sh", "gcloud compute ssh vm",
    "docker compose run x sh", "consul exec -", "parallel", "lxc-attach -n x",
)  # fmt: skip
TAKERS = (
    "cat", "sudo tee /x", "tee -a x", "grep x", "ssh h cat", "ssh -p 22 h 'cat > /x'", "ssh h sudo tee /x", "jq .a",
    "curl -d @- https://h", "logger", "sort -u", "docker login --password-stdin", "ssh h -- tee x",
    "docker exec -i x tee /x", "kubectl apply -f -", "kubectl create -f -", "git commit -F -", "git apply", "wc -l",
    "while read -r x; do some-tool; done", "{ cat; }", "(sort)", "gpg -e -r x", "openssl dgst", "sha256sum", "nc h 1",
    "awk '{print}'", "sed s/a/b/", "sed -f x.sed", "./import.sh -v", "python3 x.py", "sudo bash /opt/x.sh",
    "xargs rm", "python3 -c 'import sys'", "python3 -m json.tool", "perl -ne 'print'", "sh -c 'cat > x'",
    "xargs -n 1 echo", "xargs -I{} mv {} x", "xargs docker rm", "psql -c 'copy t from stdin'", "chpasswd", "xargs",
    "base64 -d", "tr a b", "sudo chpasswd", "tar -xf -", "column -t", "timeout 5 cat", "flock l tee x",
    "mapfile -t x", "sendmail -t", "dd of=x",
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_value_is_not_given_to_a_program_that_may_run_its_input(reader: str) -> None:
    """`su root`, `chroot /mnt` and `sudo -s` are shells without a shell's name."""
    for script in (
        f"{reader} <<EOF\necho hello ${{{{ e }}}}\nEOF",
        f"echo ${{{{ e }}}} | {reader}",
        f"echo ${{{{ e }}}} | cat | {reader} | tee x",
        f"cat <<EOF | {reader}\n${{{{ e }}}}\nEOF",
        f"{{ echo a; echo ${{{{ e }}}}; }} | {reader}",
        f"f() {{ echo ${{{{ e }}}}; }}; f | {reader}",
        f"echo $(echo ${{{{ e }}}}) | {reader}",
    ):
        assert isinstance(bind(script, "sh"), tuple), script
    for script in (f"{reader} <<< ${{{{ e }}}}", f"{reader} < <(echo ${{{{ e }}}})"):
        assert isinstance(bind(script, "bash"), tuple), script


@pytest.mark.parametrize("taker", TAKERS)
def test_a_value_is_given_to_a_program_that_takes_data(taker: str) -> None:
    assert isinstance(bind(f"echo ${{{{ e }}}} | {taker}", "bash"), Bound)
    assert isinstance(bind(f"cat <<EOF | {taker}\n${{{{ e }}}}\nEOF", "bash"), Bound)
    assert isinstance(bind(f"{taker} <<EOF\n${{{{ e }}}}\nEOF", "bash"), Bound)


@pytest.mark.parametrize("runner", [name for name, one in PROGRAMS.items() if one.runs and one.input == "commands"])
def test_a_runner_without_a_command_is_a_shell(runner: str) -> None:
    runs = PROGRAMS[runner].runs
    operands = " x" * (runs.operands if runs else 0)
    assert isinstance(bind(f"echo ${{{{ e }}}} | {runner}{operands}", "sh"), tuple)


def test_a_script_that_only_calls_such_a_program_is_left_alone() -> None:
    for script in (
        "some-tool | tee x; echo ${{ e }}",
        "some-tool a | other-tool; echo ${{ e }} | tee x",
        "su - app -c 'ls'; echo ${{ e }} | tee x",
        "sudo -v; echo ${{ e }} | tee x",
        "( flock 9; echo ${{ e }} | tee x ) 9> lock",
        "some-tool > ${{ e }}",
        'curl -sf "$url" | tee x; echo ${{ e }} | tr a b',
    ):
        assert isinstance(bind(script, "sh"), Bound), script


@pytest.mark.parametrize(
    "script",
    [
        "bash /opt/x.sh ${{ e }} | tee -a log",
        "python3 /opt/x.py ${{ e }} | tail -1",
        "bash -c 'echo \"$1\"' _ ${{ e }} | tee log",
        "psql -At -h ${{ e }} -c 'select 1' | awk '{print $1}'",
        "mysql -h ${{ e }} -N -e 'select 1' | sort | head -1",
        "redis-cli -h ${{ e }} ping | grep -q PONG",
        "n=$(psql -At -d ${{ e }} -c 'select 1'); echo \"$n\" | grep -q 1",
        "python3 /opt/x.py | tee log\ncurl -sf ${{ e }} | jq .a",
    ],
)
def test_an_interpreter_that_stands_before_a_pipe_reads_nothing_of_it(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize(
    "fed",
    [
        "bash", "cat | bash", "{ read -r x; bash; }", "(bash -s)", "while read -r x; do sh; done",
        "if true; then sh; fi", "cat \"$(sh)\"", "grep x `sh`", "f", "sudo env bash -s", "tee >(sh)",
        "case a in a) sh ;; esac", "for i in 1; do sh; done", "select i in 1; do sh; done",
        "! sh", "time sh", "x=1 sh", "> log sh", "until sh; do :; done",
    ],
)  # fmt: skip
def test_an_interpreter_that_a_pipe_reaches_gets_no_value(fed: str) -> None:
    """Also where it is not the first that the pipe leads to."""
    for script in (f"echo ${{{{ e }}}} | {fed}", f"printf '%s' ${{{{ e }}}} |\n  {fed} | wc -l"):
        assert isinstance(bind(f"f() {{ sh; }}\n{script}", "bash"), tuple), script


def test_no_program_that_interprets_takes_data() -> None:
    assert not [name for name, one in PROGRAMS.items() if one.interprets and one.input == "data"]
    # Their code is in their words, or with `-f`.
    assert {"sed", "gsed"} == {name for name, one in PROGRAMS.items() if one.words == "carried" and one.input == "data"}


@pytest.mark.parametrize("elsewhere", sorted(GNU))
def test_what_a_program_of_gnu_is_called_beside_another_system_s_own_changes_nothing(elsewhere: str) -> None:
    assert name_of(f"/opt/homebrew/bin/{elsewhere}") == name_of(GNU[elsewhere]) == GNU[elsewhere]
    assert PROGRAMS.get(elsewhere) == PROGRAMS.get(GNU[elsewhere])


@pytest.mark.parametrize(
    "script",
    [
        "sh < ${{ e }}",
        "sh -s < ${{ e }}",
        "sh < ${{ e }} > log",
        "sh 0<> ${{ e }}",
        "python3 < ${{ e }}",
        "python3 - < ${{ e }}",
        "python3 -i -c 'x' < ${{ e }}",
        "perl < ${{ e }}",
        "psql -d app < ${{ e }}",
        "mysql app < ${{ e }}",
        "awk -f - f < ${{ e }}",
        "awk -f /dev/stdin f < ${{ e }}",
        "awk '{system($0)}' < ${{ e }}",
        "bash -c 'sh' < ${{ e }}",
        "sh -c '. /dev/stdin' < ${{ e }}",
        "docker exec -i db psql < ${{ e }}",
        "python3 -c 'exec(open(0).read())' < ${{ e }}",
        "echo x > ${{ e }}.sh; sh ${{ e }}.sh",
        "python3 x.py > >(sh -c ${{ e }})",
    ],
)
def test_a_value_does_not_name_the_file_that_an_interpreter_runs(script: str) -> None:
    """Where its code stands elsewhere, or where it writes, it may."""
    assert isinstance(bind(script, "bash"), tuple)
