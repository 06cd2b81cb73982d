"""A value that a program writes to a file by itself, or that stands in `<( ... )`, and what is run of it."""

import re
import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind

RUN = {
    "install -m 755 /dev/stdin ./x <<EOF\n${{ e }}\nEOF\n./x",
    "cp /dev/stdin f <<EOF\n${{ e }}\nEOF\nsh f",
    "dd of=f <<EOF\n${{ e }}\nEOF\nsh f",
    "cat <<EOF | dd of=f\n${{ e }}\nEOF\nsh f",
    "echo ${{ e }} | dd of=f status=none; . ./f",
    'x=${{ e }}; echo "$x" | dd of=f; sh f',
    "printf '%s\\n' ${{ e }} | install -m 755 /dev/stdin f; ./f",
    "x=${{ e }}; printf '%s\\n' \"$x\" | cp /dev/stdin f; sh f",
    "cp /dev/fd/3 f 3<<< ${{ e }}; sh f",
    "install -D /dev/stdin d/f <<< ${{ e }}; sh d/f",
    "cp <(echo ${{ e }}) f; sh f",
    'x=${{ e }}; cp <(echo "$x") f; sh f',
    "cp <(cat <(echo ${{ e }})) f; sh f",
    "install -m 755 <(echo ${{ e }}) f; sh f",
    "cat <(echo ${{ e }}) > f; sh f",
    'x=${{ e }}; sort <(echo "$x") > f; sh f',
    "sed s/a/a/ <(echo ${{ e }}) > f; sh f",
    "echo ${{ e }} | tee >(cat > f) > g; sleep 0.2; sh f",
    'sudo() { "$@"; }; echo ${{ e }} | sudo dd of=f; sh f',
    "echo ${{ e }} | sed -n 's/^/: ;/w f'; sh f",
    "echo ${{ e }} | sed -n 'w f'; sh f",
    "echo ${{ e }} | awk '{ print > \"f\" }'; sh f",
    "echo ${{ e }} | split --filter=sh",
    "echo ${{ e }} | split -l 1 --filter 'sh -s' -",
    "python3 <(echo \"import os; os.system('${{ e }}')\")",
    "export A='system(q(touch MADE))'${{ e }}; echo a | perl -pe 's/a/$ENV{A}/ee'",
    "export A='system(q(touch MADE))'${{ e }}; echo a | perl -pe 's{a}{$ENV{A}}gee'",
}
"""With `touch MADE` as the value bash makes the file; with nothing, where the script says it."""
REFUSED = (
    "crontab <(crontab -l; echo '* * * * *' ${{ e }})",
    'x=${{ e }}; crontab <(echo "* * * * * ls $x")',
    "sudo crontab -u bob <(echo ${{ e }})",
    "echo ${{ e }} | sudo dd of=/etc/x; sudo crontab /etc/x",
    "export A=${{ e }}; envsubst < t > s.sh; sh s.sh",
    "A=${{ e }} envsubst < t > s.sh; sh s.sh",
    "export A=${{ e }}; envsubst < t | tee s.sh; sh s.sh",
    "export A=${{ e }}; env > f; . ./f",
    "echo ${{ e }} | sort --compress-program=sh",
    'echo ${{ e }} | split --filter="$f"',
    "echo ${{ e }} | sponge f; sh f",
    "echo ${{ e }} | xargs -I{} sudo {}",
    "echo ${{ e }} | xargs -I % nice %/run",
    "echo ${{ e }} | xargs -0rI{} {} -x",
    "echo ${{ e }} | xargs -i nice {}",
)
DATA = (
    "install -m 644 /dev/stdin /etc/x.conf <<EOF\na=${{ e }}\nEOF\n",
    "install -m 755 /dev/stdin /usr/local/bin/x <<'EOF'\nls\nEOF\n/usr/local/bin/x ${{ e }}",
    "cat <<EOF | sudo dd of=/etc/x.conf\na=${{ e }}\nEOF\n",
    "echo ${{ e }} | dd of=f; cat f",
    "dd if=${{ e }} of=/dev/null bs=1M count=1",
    "dd if=/dev/zero of=/swap bs=1M count=10; ls ${{ e }}",
    "cp <(echo ${{ e }}) f; cat f",
    "diff <(echo ${{ e }}) <(cat f)",
    "comm -12 <(sort a) <(printf '%s\\n' ${{ e }})",
    'kubectl apply -f <(echo "a: ${{ e }}")',
    "./x.sh <(echo ${{ e }})",
    "crontab <(crontab -l; echo '* * * * * ls'); ls ${{ e }}",
    "echo ${{ e }} | sed -n 's/^/a /w f'; cat f",
    "echo ${{ e }} | awk '{ print > \"f\" }'; cat f",
    "export A=${{ e }}; envsubst < t > x.conf; nginx -t",
    "export A=${{ e }}; envsubst < t | kubectl apply -f -",
    "echo ${{ e }} | split -b 1M - x",
    "echo ${{ e }} | split --filter='gzip > $FILE.gz'",
    "echo ${{ e }} | sort --compress-program=gzip",
    "echo ${{ e }} | xargs -I{} sudo cp {} {}.old",
    "echo ${{ e }} | xargs -n 1 -I % mv % /srv",
    "export A=${{ e }}; perl -pe 's/tree/$ENV{A}/g; # agreed' f",
)


@pytest.mark.parametrize("script", sorted(RUN))
def test_what_is_run_of_such_a_file_is_refused(script: str, tmp_path: Path) -> None:
    bound = re.sub(r"(?m)^\$\{\{ e \}\}$|(?<=')\$\{\{ e \}\}(?=')", "${OC1}", script)
    bound = bound.replace("${{ e }}", '"${OC1}"')
    value = "" if "touch MADE" in script else "touch MADE"
    environment = {"PATH": "/usr/bin:/bin", "OC1": value, "HOME": str(tmp_path)}
    subprocess.run(["bash", "-c", bound], env=environment, cwd=tmp_path, capture_output=True, timeout=20, check=False)
    assert (tmp_path / "MADE").exists()
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", REFUSED)
def test_so_is_what_no_test_runs(script: str) -> None:
    """It would change the machine, or wait for more input than a test has."""
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", DATA)
def test_a_file_that_nobody_runs_is_written(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)
