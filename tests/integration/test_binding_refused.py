"""Scripts that were accepted once, and ran a part of a value: each is refused, and would have run it."""

from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from tests.integration.test_binding_injection import CANARY, run, sprung, trap

__all__ = ["trap"]

SUBSCRIPT = f"a[$({CANARY})]"
CHECK = "case $n in ''|*[!0-9]*) exit 2;; esac"

COMPUTED = [
    # A test that did not run, or after which the script goes on.
    "n=${{ e }}; if ! [[ $n =~ ^[0-9]+$ ]]; then echo 'not a number' >&2; fi; echo $((n))",
    "n=${{ e }}; if [[ $n =~ ^[0-9]+$ ]]; then echo ok; fi; (( n > 3 ))",
    f"n=1; {CHECK}; n=${{{{ e }}}}; echo $((n))",
    f"n=1; {CHECK}; read -r n <<< ${{{{ e }}}}; echo $((n))",
    f"n=1; m=${{{{ e }}}}; {CHECK}; for i in 1 2; do echo $((n)); n=$m; done",
    f"n=1; m=${{{{ e }}}}; set_n() {{ n=$m; }}; {CHECK}; set_n; echo $((n))",
    f"n=1; m=${{{{ e }}}}; {CHECK}; f() {{ echo $((n)); }}; n=$m; f",
    f"m=${{{{ e }}}}; trap 'n=$m; echo $((n))' EXIT; n=$m; {CHECK}; echo $((n))",
    f"n=${{{{ e }}}}; ({CHECK}); echo $((n))",
    f"n=${{{{ e }}}}; {CHECK} | cat; echo $((n))",
    f"n=${{{{ e }}}}; {CHECK} & wait; echo $((n))",
    f"n=${{{{ e }}}}; false && {CHECK}; echo $((n))",
    f"n=${{{{ e }}}}; false &&\n{CHECK}; echo $((n))",
    f"n=${{{{ e }}}}; if false; then {CHECK}; fi; echo $((n))",
    f"n=${{{{ e }}}}; for i in; do {CHECK}; done; echo $((n))",
    f"n=${{{{ e }}}}; f() {{ {CHECK}; }}; echo $((n))",
    f"n=${{{{ e }}}}; x=$({CHECK}); echo $((n))",
    f"exit() {{ :; }}; n=${{{{ e }}}}; {CHECK}; echo $((n))",
    "echo() { n=$m; }; m=${{ e }}; n=1; [[ $n =~ ^[0-9]+$ ]] || { echo a; exit 1; }; echo; (( n ))",
    "is_number() { local n=$1; case $n in *[!0-9]*) return 1;; esac; }; n=${{ e }}; is_number $n; echo $((n))",
    "for n in ${{ e }}; do case $n in *[!0-9]*) continue;; esac; done; echo $((n))",
    "for n in ${{ e }}; do [[ $n =~ ^[0-9]+$ ]] || break; done; echo $((n))",
    "n=${{ e }}; case $n in *[!0-9]*) echo bad || exit 2;; esac; echo $((n))",
    'n=${{ e }}; case $n in *[!0-9]*) test -n "$STRICT" && exit 2;; esac; echo $((n))',
    "n=${{ e }}; case $n in *[!0-9]*) return 2;; esac; echo $((n))",
    "die() { :; }; n=${{ e }}; case $n in *[!0-9]*) die no;; esac; echo $((n))",
    "die() { echo a; exit 1; }; die() { :; }; n=${{ e }}; [[ $n =~ ^[0-9]+$ ]] || die; echo $((n))",
    "n=${{ e }}; [[ $n =~ ^[0-9]+$ ]] || exit 2 | cat; echo $((n))",
    "n=${{ e }}; [[ $n =~ ^[0-9]+$ ]] || { echo no; exit 2; } | cat; echo $((n))",
    # By names of bash, and by what functions print.
    "v=${{ e }}; if [[ $v =~ ^([^.]+)$ ]]; then (( BASH_REMATCH[1] < 3 )); fi",
    "[[ ${{ e }} =~ ^(.*)$ ]]; (( BASH_REMATCH ))",
    "v=${{ e }}; true $v; (( _ ))",
    "get() { echo ${{ e }}; }; n=$(get); echo $((n))",
    "get() { echo ${{ e }}; }; echo $(( $(get) ))",
    "get() { y=${{ e }}; printf %s \"$y\"; }; all() { get; }; n=`all`; echo $((n))",
    "get() { cat <<E\n${{ e }}\nE\n}; n=$(get); echo $((n))",
    # In a script within the script.
    "y=${{ e }}; eval 'echo $((y))'",
    "y=${{ e }}; eval '(( y > 3 ))'",
    'y=${{ e }}; eval "echo \\$((y))"',
    "y=${{ e }}; trap 'echo $((y))' EXIT",
    # By the name of a variable, and by subscripts.
    'y=${{ e }}; z="y+1"; (( z ))',
    "max() { (( $1 > $2 )); }; y=${{ e }}; max y 3",
    "y=${{ e }}; for k in y; do echo $((k)); done",
    "y=${{ e }}; n='arr[y]'; echo ${!n}",
    "y=${{ e }}; printf -v arr[y] x",
    "y=${{ e }}; read arr[y] <<< x",
    "y=${{ e }}; declare arr[y]=1",
    "declare -ia y=(${{ e }})",
    "y=${{ e }}; PS4='$((y))'; set -x; true",
    "f() { (( ${!#} )); }; f ${{ e }}",
    'f() { local a=("$@"); (( a[0] )); }; f ${{ e }}',
    "f() { read -r $1 <<< ${{ e }}; }; f res; (( res ))",
]  # fmt: skip
BY_OPTION = [
    "split --filter=${{ e }} f", "split --filt ${{ e }} f", "sort --compress-prog=${{ e }} f", "man -P ${{ e }} ls",
    "tcpdump -z ${{ e }}", "git rebase -x ${{ e }} main", "git rebase --exec=${{ e }}", "git difftool -y -x ${{ e }}",
    "git grep -O${{ e }} a", "git bisect run ${{ e }}", "git submodule foreach ${{ e }}",
    "git filter-branch --tree-filter ${{ e }}", "echo ${{ e }} | sed e", "echo ${{ e }} | sed 's/x/y/ge'",
]  # fmt: skip
TAKEN_AS_DATA = [
    "git cherry-pick -x ${{ e }}", "git grep ${{ e }}", "git rebase ${{ e }}", "sort -k 2 ${{ e }}",
    "split -b 1M ${{ e }}",
    "git clean -x ${{ e }}", "echo ${{ e }} | sed 's/a/e/'", "echo ${{ e }} | sed -e 's/e/a/g'",
]  # fmt: skip
RUN = [
    'y=${{ e }}; [[ $y =~ ^(.*)$ ]]; eval "${BASH_REMATCH[1]}"',
    "y=${{ e }}; [[ $y =~ .* ]]; $BASH_REMATCH",
    "true ${{ e }}; $_",
    'get() { echo ${{ e }}; }; eval "$(get)"',
    "get() { y=${{ e }}; printf %s \"$y\"; }; x=$(get); $x",
    'get() { echo ${{ e }}; }; sh -c "$(get)"',
    "get() { echo ${{ e }}; }; get | sh",
    'y=${{ e }}; w=y; ${!w}',
]  # fmt: skip
OPTION = f"-v a[$({CANARY})]"
SPLIT = [
    *((f"y=${{{{ e }}}}; {test}", value) for test in
      ("[ $y = prod ]", "[ prod = $y ]", "[ -n $y ]", "[ $y -gt 3 ]", "test $y -gt 3", "[ x$y = x ]", "[ ${y} = a ]")
      for value in (f"x -o {OPTION} -o x",)),
    ("y=${{ e }}; [ $y ]", OPTION),
    ("f() { [ $1 = a ]; }; f ${{ e }}", f"x -o {OPTION} -o x"),
    ("[ $(echo ${{ e }}) = a ]", f"x -o {OPTION} -o x"),
    ("y=${{ e }}; find . -maxdepth 0 -name $y", f"x -o -exec {CANARY} ;"),
    (
        "for f in ${{ e }}; do tar cf /dev/null $f; done",
        f"/etc/hostname --checkpoint=1 --checkpoint-action=exec={CANARY}",
    ),
]  # fmt: skip
ACCEPTED = [
    f"n=${{{{ e }}}}; {CHECK}; echo $((n))",
    f"n=${{{{ e }}}}; {CHECK}; f() {{ echo $((n)); }}; for i in 1 2; do f; done",
    "n=${{ e }}; case $n in ''|*[!0-9]*) echo no ;; *) echo $((n)) ;; esac",
    'n=${{ e }}; if [[ $n =~ ^[0-9]+$ ]]; then echo $((n)); else echo "$n"; fi',
    'die() { echo "$1" >&2; exit 1; }; n=${{ e }}; [[ $n =~ ^[0-9]+$ ]] || die "$n is no number"; echo $((n))',
    "f() { local n=$1; [[ $n =~ ^[0-9]+$ ]] || return 2; echo $((n)); }; f ${{ e }}",
    f"n=${{{{ e }}}}; {CHECK}; echo $((n)); n=0; i=$n; echo $((i + n))",
    "n=${{ e }}\nif ! [[ $n =~ ^[0-9]+$ ]]; then\n  echo \"no number: $n\" >&2\n  exit 2\nfi\necho $((n))",
    "v=${{ e }}; if [[ $v =~ ^([0-9]+)\\.([0-9]+) ]]; then (( BASH_REMATCH[1] < 3 )); fi; true",
    "log() { echo \"$1\"; }; log ${{ e }}; i=0; i=$((i + 1)); echo $((i))",
]  # fmt: skip


def _runs(script: str, value: str) -> str:
    """The script as it would be bound in spite of a refusal; in a here-document without quotes."""
    return prelude("bash", [value]) + script.replace("\n${{ e }}\n", "\n${OC1}\n").replace("${{ e }}", '"${OC1}"')


@pytest.mark.parametrize("script", COMPUTED)
def test_what_computes_a_text_is_refused_and_a_number_is_not(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    assert isinstance(bind(script.replace("${{ e }}", "${{ int(e) }}"), "bash"), Bound)
    run("bash", _runs(script, SUBSCRIPT), trap)
    assert sprung(trap)


@pytest.mark.parametrize("script", BY_OPTION)
def test_options_that_take_a_command_are_known(script: str) -> None:
    assert isinstance(bind(script, "sh"), tuple)


@pytest.mark.parametrize("script", TAKEN_AS_DATA)
def test_the_same_programs_take_data(script: str) -> None:
    assert isinstance(bind(script, "sh"), Bound), bind(script, "sh")


@pytest.mark.parametrize("script", RUN)
def test_what_runs_a_text_is_refused(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    run("bash", _runs(script, CANARY), trap)
    assert sprung(trap)


@pytest.mark.parametrize(("script", "value"), SPLIT)
def test_a_variable_without_quotes_is_refused_where_its_words_may_be_evaluated(
    script: str,
    value: str,
    trap: Path,
) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    run("bash", _runs(script, value), trap)
    assert sprung(trap)


@pytest.mark.parametrize("script", ACCEPTED)
def test_a_test_for_digits_lets_a_script_compute(script: str, trap: Path) -> None:
    bound = bind(script, "bash")
    assert isinstance(bound, Bound), bound
    for value in (SUBSCRIPT, CANARY, f"1+{SUBSCRIPT}", f"1\n{SUBSCRIPT}", "", "-1"):
        run("bash", prelude("bash", [value] * len(bound.holes)) + bound.text, trap)
        assert not sprung(trap), value
