"""What a command prints is a number only where no letter of a value can be in it: bash evaluates what it computes."""

import pytest

from engine.scripts.binding import NUMBER_HINT, Bound, bind, evaluated_env
from engine.scripts.numbers import of_params

INTEGER_PARAM = of_params({"e": {"type": "integer"}})
PRINTING = [
    # They print the name of the file, or what is in it.
    "wc -l ${{ e }}",
    "wc -l -- ${{ e }}",
    "wc -l ${{ e }} | tr -d ' '",
    "du -s ${{ e }} | cut -f1",
    "du -s ${{ e }} | awk '{print $1}'",
    "cat ${{ e }}",
    "head -n 1 ${{ e }}",
    "< ${{ e }}",
    "sha256sum ${{ e }} | cut -d' ' -f1",
    "find ${{ e }} -printf '%s %p\\n'",
    "grep x -- ${{ e }}",
    "jq -r .a < ${{ e }}",
    "jq '.a # | length' < ${{ e }}",
    # A value may be an option by which they do: -r, --printf=..., -n.
    "grep -c x ${{ e }}",
    "grep -c ${{ e }} f",
    "stat -c %s ${{ e }} f",
    "stat -c %s f ${{ e }}",
    "id -u ${{ e }}",
    "pgrep -f ${{ e }}",
    "find ${{ e }} -printf '%s\\n'",
    "date +%s ${{ e }}",
    # There may be more than one file.
    "grep -c x -- ${{ e }} f",
    "grep -c x -- ${{ e }}/*.log",
    "grep -rc x -- ${{ e }}",
    "grep -Hc x -- ${{ e }}",
    "wc --files0-from=${{ e }}",
    # `-c` is the pattern here.
    "grep -e -c -- ${{ e }}",
    # Formats with letters, or of nobody knows what.
    "stat -c %n ${{ e }}",
    "stat -c '%s %n' ${{ e }}",
    "stat -c ${{ e }} f",
    "stat -c %f ${{ e }}",
    "stat -f %z ${{ e }}",
    "stat --printf=%N ${{ e }}",
    "date -d ${{ e }}",
    "date -d ${{ e }} +%b",
    "date -d ${{ e }} +%s%N",
    "date +${{ e }}",
    "id -un -- ${{ e }}",
    "pgrep -lf -- ${{ e }}",
    "ps -o comm= -p ${{ e }}",
    "ps -o rss=,comm= -p ${{ e }}",
    "ps -o rss= ${{ e }}",
    # What it says of a file that is not there names that.
    "stat -c %s ${{ e }} 2>&1",
    "stat -c %s ${{ e }} 2>&1 | tr -d ' '",
    "stat -c %s ${{ e }} 2>/dev/stdout",
    "{ stat -c %s ${{ e }}; } 2>&1",
    "exec 2>&1; stat -c %s ${{ e }}",
    # More is printed than a number.
    "wc -l < f; echo ${{ e }}",
    "wc -l < f && cat ${{ e }}",
    "if x; then wc -l < f; else echo ${{ e }}; fi",
    "echo ${{ e }} | { read -r x; echo $x; }",
    "cd ${{ e }} && ls | wc -l",
    # Filters that let letters pass, or make some.
    "cat ${{ e }} | tr -dc 0-9a-z",
    "cat ${{ e }} | tr -dc '0-z'",
    "cat ${{ e }} | tr -dc [:digit:]",
    "cat ${{ e }} | tr -d 0-9",
    "wc -l < ${{ e }} | tr 0-9 a-z",
    "wc -l < ${{ e }} | tr -s 0-9 a-z",
    "wc -l < ${{ e }} | sed s/1/a/",
    "cat ${{ e }} | awk '{s=$1} END {print s}'",
    "cat ${{ e }} | awk '{s+=$1; print} END {print s}'",
    "awk '{s+=$1} END {print s}' ${{ e }}",
    "awk -v s=${{ e }} '{s+=$1} END {print s}' f",
    "jq '.[] | length' ${{ e }} f",
    # Programs that are not those.
    "./wc -l < ${{ e }}",
    "$X wc -l < ${{ e }}",
    "ssh h wc -l < ${{ e }}",
]
USES = ("n=$({}); echo $((n + 1))", "echo $(( $({}) + 1 ))", 'm="$({})"; n=$m; k=$((n))')


@pytest.mark.parametrize("command", PRINTING)
def test_what_may_print_letters_is_not_computed(command: str) -> None:
    for use in USES:
        assert isinstance(bind(use.format(command), "sh"), tuple)
        assert isinstance(bind(use.format(command), "bash"), tuple)
    assert isinstance(bind(f"[[ $({command}) -gt 3 ]]", "bash"), tuple)
    assert isinstance(bind(f"declare -i n=$({command})", "bash"), tuple)


@pytest.mark.parametrize("command", PRINTING)
def test_nor_is_it_where_a_variable_holds_the_value(command: str) -> None:
    by_variable = command.replace("${{ e }}", '"$v"')
    for use in USES:
        assert isinstance(bind(f"v=${{{{ e }}}}\n{use.format(by_variable)}", "bash"), tuple)
        found = evaluated_env(use.format(by_variable), "bash", {"v": "${{ params.e }}"})
        assert [(one.name, one.computed) for one in found] == [("v", True)]


@pytest.mark.parametrize(
    "script",
    [
        "n=a$(wc -l < ${{ e }}); echo $((n))",  # the variable a5
        "x=a; n=$x$(wc -l < ${{ e }}); echo $((n))",
        'n=a"$(wc -l < ${{ e }})"; echo $((n))',
        "echo $(( a$(wc -l < ${{ e }}) ))",
        "n=$(wc -l < f)${{ e }}; echo $((n))",
        "n=$(wc -l < f); echo $((n + ${{ e }}))",
        "[[ $(wc -l < f)${{ e }} -gt 3 ]]",
        "wc() { cat; }; n=$(wc -l < ${{ e }}); echo $((n))",
        "n=$(wc -l < ${{ e }}); m=$(cat ${{ e }}); echo $((n + m))",
        "echo $(( $(wc -l <<< $(( $(cat ${{ e }}) ))) ))",
        "echo $(( $(echo '${{ e }}' | wc -l) ))",
        "v=${{ e }}; n=$(stat -c %s $v); echo $((n))",  # several words
        'set -- ${{ e }}; n=$(grep -c x -- "$@"); echo $((n))',
        "stat=${{ e }}; n=$(stat -c %s ${{ f }}); echo $((n))",  # which begins the text of --version
        "n=$(stat -c %s ${{ e }} |& cat); echo $((n))",
        "n=$(eval ${{ e }} | wc -l)",
        "f() { read -r k; echo $((k)); }; n=$(echo ${{ e }} | f | wc -l); echo $((n))",
        "f() { echo $((k)); }; n=$(echo ${{ e }} | { read -r k; f; } | wc -l); echo $((n))",
        "n=$(sh -c ${{ e }} | wc -l)",
        "read -r n <<< ${{ e }}; m=$(wc -l < f); echo $((n + m))",
    ],
)
def test_a_number_beside_a_value_proves_nothing(script: str) -> None:
    assert isinstance(bind(script, "bash"), tuple)


def test_a_value_that_a_command_in_arithmetic_is_given_is_written_as_everywhere() -> None:
    bound = bind('echo $(( $(stat -c %s ${{ e }}) / 1024 + $(wc -l < "/d/${{ f }}") ))', "sh")
    assert isinstance(bound, Bound)
    assert bound.text == 'echo $(( $(stat -c %s "${OC1}") / 1024 + $(wc -l < "/d/${OC2}") ))'


def test_a_number_in_a_command_in_arithmetic_is_written_as_everywhere() -> None:
    bound = bind("echo $(( $(cat ${{ e }} f) ))", "sh", of_params({}))
    assert isinstance(bound, tuple)
    bound = bind("echo $(( $(seq 1 ${{ params.e }} | tail -n 1) ))", "sh", INTEGER_PARAM)
    assert isinstance(bound, Bound)
    assert bound.text == 'echo $(( $(seq 1 "${OC1}" | tail -n 1) ))'


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("size=$(du -s ${{ e }} | cut -f1); echo $((size))", "what that prints becomes 'size'", "case $size in"),
        ("a=$(du -s ${{ e }} | cut -f1); b=$a; ((b))", "what that prints becomes 'a', and so 'b'", "case $b in"),
        ("echo $(( $(du -s ${{ e }} | cut -f1) ))", "evaluates what the command prints", "n=$(...); case $n in"),
        ("[[ $(cat ${{ e }}) -gt 3 ]]", "an operator that computes", "n=$(...); case $n in"),
    ],
)
def test_the_hint_is_to_check_what_is_computed_not_the_value(script: str, message: str, hint: str) -> None:
    """A path is no number, and need be none."""
    refused = bind(script, "bash")
    assert isinstance(refused, tuple)
    assert message in refused[0].message
    assert hint in refused[0].hint
    assert "int(" not in refused[0].hint
    checked = "n=$(du -s ${{ e }} | cut -f1); case $n in ''|*[!0-9]*) exit 2;; esac; echo $((n))"
    assert isinstance(bind(checked, "bash"), Bound)


def test_the_hint_for_a_variable_of_env_names_the_one_that_is_computed() -> None:
    found = evaluated_env('size=$(du -s "$DIR" | cut -f1); echo $((size))', "bash", {"DIR": "${{ params.e }}"})
    assert ["case $size in" in one.hint for one in found] == [True]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ('"${files[@]:${{ params.e }}}"', '"${files[@]:${OC1}}"'),
        ("echo ${s:0:${{ params.e }}}", "echo ${s:0:${OC1}}"),
        ('echo "${s: -${{ params.e }}}" "${@:${{ params.e }}:2}"', 'echo "${s: -${OC1}}" "${@:${OC2}:2}"'),
        ('rm -f -- "${files[@]:${{ params.e }}:${{ params.e }}}"', 'rm -f -- "${files[@]:${OC1}:${OC2}}"'),
    ],
)
def test_a_part_of_a_text_or_an_array_begins_at_a_number(script: str, text: str) -> None:
    refused = bind(script, "bash")
    assert isinstance(refused, tuple)
    assert {one.hint for one in refused} == {NUMBER_HINT}
    bound = bind(script, "bash", INTEGER_PARAM)
    assert isinstance(bound, Bound)
    assert bound.text == text
    assert isinstance(bind(script, "sh", INTEGER_PARAM), tuple)


@pytest.mark.parametrize(
    "script",
    [
        "echo ${a[${{ params.e }}]:0}",
        "echo ${s:0:$${{ params.e }}}",
        "echo ${s:x${{ params.e }}}",
        "echo ${!s:${{ params.e }}}",
        "echo '${s:${{ params.e }}}'",
        "echo `echo ${s:${{ params.e }}}`",
        "echo ${s/${{ params.e }}/x}",
    ],
)
def test_elsewhere_in_brackets_not_even_a_number_stands(script: str) -> None:
    assert isinstance(bind(script, "bash", INTEGER_PARAM), tuple)


@pytest.mark.parametrize("client", ["mysql", "mariadb", "psql"])
@pytest.mark.parametrize(
    "words",
    [
        "${{ e }}",
        "-N ${{ e }}",
        "-e 'select 1' ${{ e }}",
        "-uroot ${{ e }}",
        '-p"$PW" ${{ e }}',
        "--no-psqlrc ${{ e }}",
        "-h -- ${{ e }}",
        "-c ${{ e }}",
    ],
)
def test_what_may_be_an_option_of_a_client_of_databases_is_refused(client: str, words: str) -> None:
    r"""`mysql '-e\! reboot'` and `psql '-c\! reboot'` run a command."""
    assert isinstance(bind(f"{client} {words}", "sh"), tuple)


@pytest.mark.parametrize("script", ["mysql -e -- ${{ e }}", "mysql -- x -e ${{ e }}", "psql -c -- ${{ e }}"])
def test_two_dashes_after_an_option_of_a_statement_end_nothing(script: str) -> None:
    assert isinstance(bind(script, "sh"), tuple)
