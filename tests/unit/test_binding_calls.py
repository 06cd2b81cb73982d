"""A function may compute with an argument that every call writes out as a number, whatever it is given besides."""

import pytest

from engine.scripts.binding import Bound, bind

_LOOP = 'until "$@"; do n=$((n - 1)); [ "$n" -gt 0 ] || return 1; sleep 1; done; }\n'
RETRY = f"retry() {{ local n=$1; shift; {_LOOP}"


@pytest.mark.parametrize(
    "calls",
    [
        "retry 5 ls ${{ e }}",
        'v=${{ e }}; retry 5 ls "$v"; if ! retry "3" ls "$v"; then exit 1; fi',
        "trap 'rm -f x' EXIT\nretry 5 ls ${{ e }}",
        "# retry is defined above\n\nretry 5 ls ${{ e }}".replace("retry is", "it is"),
        'retry 5 ls ${{ e }} || { echo "retry failed" >&2; exit 1; }',
    ],
)
def test_what_follows_a_number_is_not_computed(calls: str) -> None:
    assert isinstance(bind(RETRY + calls, "bash"), Bound), bind(RETRY + calls, "bash")


@pytest.mark.parametrize(
    "calls",
    [
        # Not every call gives a number.
        "retry ${{ e }} ls",
        "retry 3 ls; retry ${{ e }}",
        "n=${{ e }}; retry $n ls",
        'set -- ${{ e }}; retry "$@"',
        "retry $x 5 ls ${{ e }}",
        "retry {1,2} ls ${{ e }}",
        "retry; retry 5 ls ${{ e }}",
        # It is called in other ways.
        'retry 5 ls ${{ e }}; run() { "$@"; }; run retry ${{ e }}',
        'v=${{ e }}; retry 5 ls; c=retry; $c "$v"',
        'v=${{ e }}; retry 5 ls; "retry" "$v"',
        'v=${{ e }}; retry 5 ls; re"try" "$v"',
        'v=${{ e }}; retry 5 ls; X=1 retry "$v"',
        'v=${{ e }}; retry 5 ls; $(echo retry) "$v"',
        'v=${{ e }}; retry 5 ls; echo retry | while read -r c; do $c "$v"; done',
        'v=${{ e }}; retry 5 ls; $(echo `echo retry`) "$v"',
        'retry 5 ls ${{ e }}; echo "`retry x`"',
        'g() { retry "$@"; }; retry 5 ls; g ${{ e }}',
        ". ./lib.sh; retry 5 ls ${{ e }}",
        f"{RETRY}retry 5 ls ${{{{ e }}}}",
    ],
)
def test_a_call_that_nobody_can_follow_may_give_anything(calls: str) -> None:
    assert isinstance(bind(RETRY + calls, "bash"), tuple)


@pytest.mark.parametrize(
    "begin",
    [
        "shift; local n=$1",
        "while x; do local n=$1; shift; done",
        "if x; then shift; fi; local n=$1; shift",
        "set -- $2; local n=$1",
        "eval shift; local n=$1",
        "local n=$2; shift",
        "local n=$1$2; shift",
        "local n=${1:-$2}; shift",
        "local n=$*; shift",
        'local n="$@"; shift',
        "local n=$1; n=$2; shift",
        "local n=$1; shift; n+=$1",
    ],
)
def test_another_argument_than_the_one_that_is_written_may_be_anything(begin: str) -> None:
    assert isinstance(bind(f"retry() {{ {begin}; {_LOOP}retry 5 ${{{{ e }}}} ls", "bash"), tuple)
