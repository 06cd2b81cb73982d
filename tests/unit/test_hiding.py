"""What looks like a secret is in no finding and in no line that is shown: logs of checks are read by many people."""

import json
from pathlib import Path
from time import process_time

import pytest

from engine.hiding import Hidden, masked, without_secrets
from opsconductor.checking.validation import validate_paths
from opsconductor.cli.main import call
from opsconductor.dashboard.documentlines import masked as on_pages
from opsconductor.report import FORMATS, shown
from schemas.diagnostic import Diagnostic
from schemas.span import Span

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: x}}\n"
BODY = "MC4CAQAwBQYDK2VwBCIEIOm6NMVWkIF5EgjSnUlgLaOKU5lNeoFbDAKz4VewXnmc"
KEY = rf"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"
LINES = f"-----BEGIN PRIVATE KEY-----\n        {BODY}\n        -----END PRIVATE KEY-----"
TOKEN = "ghp_q7wE8rT9yU0iO1pA2sD3fG4hJ5kL6zX7cV8b"
SAID = "Hun7er2Hun7er"

DOCUMENTS = {
    "a key on one line": rf'- {{run: cat, stdin: "{KEY}"}}',
    "a key after an escape": rf'- {{run: cat, stdin: "the key:\n{KEY}"}}',
    "a key beside a mistake": rf'- {{run: "true", bogus: 1, stdin: "{KEY}"}}',
    "a key in JSON": json.dumps({"run": "true", "bogus": 1, "stdin": KEY.replace(r"\n", "\n")}),
    "a key without its end": rf'- {{run: "true", bogus: 1, stdin: "-----BEGIN PRIVATE KEY-----\n{BODY}\n"}}',
    "a mistake in a line of a key": f"- run: cat\n      stdin: |\n        {LINES}".replace(
        f"{BODY}\n", f"{BODY} ${{{{ params.no }}}}\n"
    ),
    "a mistake in an open key": f"- run: |\n       -----BEGIN RSA PRIVATE KEY-----\n       {BODY}\n       ${{{{ x }}}}",
    "a token as a value": f"- {{run: ls, shell: {TOKEN}}}",
    "a token after an escape": rf'- {{run: "ls\n{TOKEN}", shell: no}}',
    "a token as a step type": f"- uses: {TOKEN}",
    "a token as a param": f"- run: echo ${{{{ params.{TOKEN} }}}}",
    "a token as a key": f"- {{run: ls, {TOKEN}: 1}}",
    "the rest of a password in quotes": rf"""- run: echo ${{{{ params.no }}}} PASSWORD="ab1cde\${SAID}" """,
    "the rest of a password with a comma": f"- run: echo ${{{{ params.no }}}} --password=ab1cde,{SAID}",
    "the rest of a password in two quotes": f"- run: echo ${{{{ params.no }}}} --password 'ab1cde'\\''{SAID}'",
    "the rest of a password in a URL": f'- {{run: "curl http://u:ab1cde@{SAID}@host/", shell: no}}',
    "a value of the wrong type": f"- {{run: ls, bogus: 1, env: {{PASSWORD: {SAID}}}}}",
    "a value that is no YAML": f"- {{run: ls, env: {{PASSWORD: {SAID}: x}}}}",
    "a quote that is not closed": f'- {{run: ls, env: {{PASSWORD: "{SAID}}}}}',
    "an alias": f"- {{run: ls, env: {{PASSWORD: *{SAID} }}}}",
    "an alias on its own line": f"- run: ls\n      env:\n        PASSWORD:\n          *{SAID}",
    "an anchor": f"- {{run: ls, env: {{PASSWORD: &{SAID} x}}}}",
    "a list of the wrong type": f"- {{run: ls, env: {{PASSWORD: [ab, {SAID}]}}}}",
    "a mapping of the wrong type": f"- {{run: ls, env: {{PASSWORD: {{x: {{y: [{SAID}]}}}}}}}}",
    "a list in a list": f"- run: ls\n      bogus: 1\n      env:\n        PASSWORD:\n          - - {SAID}",
    "a list that is no YAML": f"- {{run: ls, env: {{PASSWORD: [ab, {SAID}: x: y]}}}}",
    "a mapping that is no YAML": f"- {{run: ls, env: {{PASSWORD: {{x: ab, y: {SAID}: x}}}}}}",
    "a tag within a mapping": f"- run: ls\n      env:\n        PASSWORD:\n          x: !x {SAID}",
    "an input that is a list": f"- {{uses: http.request, with: {{url: no, password: [{SAID}]}}}}",
    "a tag": f"- {{run: ls, env: {{PASSWORD: !x {SAID}}}}}",
}


def validated(folder: Path, steps: str, params: str = "{}") -> Path:
    (folder / "definitions").mkdir()
    (folder / "opsconductor.yaml").write_text(PROJECT)
    text = f"{HEAD}kind: Job\nmetadata: {{name: j}}\nspec:\n  params: {params}\n  steps:\n    {steps}\n"
    if steps.startswith("{"):
        head = '{"apiVersion": "opsconductor/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"steps": ['
        text = f"{head}{steps}]}}}}"
    (folder / "definitions" / "j.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("steps", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_no_format_repeats_a_secret(tmp_path: Path, steps: str) -> None:
    checked = validate_paths(validated(tmp_path, steps))

    assert checked.findings
    for form in FORMATS:
        told = shown(checked, form)
        assert not [secret for secret in (BODY[:12], BODY[-12:], TOKEN, SAID) if secret in told], form


def test_a_key_after_an_escape_is_found(tmp_path: Path) -> None:
    r"""Between double quotes `\n` ends a line: the key begins a word, although a letter stands before it."""
    for number, name in enumerate(("a key after an escape", "a token after an escape")):
        (tmp_path / str(number)).mkdir()
        assert "OC605" in {
            one.code for one in validate_paths(validated(tmp_path / str(number), DOCUMENTS[name])).findings
        }


def test_a_default_that_does_not_fit_is_not_repeated(tmp_path: Path) -> None:
    params = f'{{token: {{type: string, pattern: "^a$", default: {SAID}}}}}'
    checked = validate_paths(validated(tmp_path, "- {run: ls}", params))

    assert "the default of param 'token': *** does not match ^a$" in {one.message for one in checked.findings}
    assert SAID not in "".join(shown(checked, form) for form in FORMATS)


def test_no_hint_names_a_secret_in_another_case(tmp_path: Path) -> None:
    """The name that may be meant is like the one at fault, which is not repeated."""
    steps = f"- run: 'deploy --token {SAID} ${{{{ params.{SAID} }}}}'"
    checked = validate_paths(validated(tmp_path, steps, f"{{{SAID.lower()}: {{type: string, default: a}}}}"))

    assert ("there is no param '***' in 'params'", "did you mean '***'?") in {
        (one.message, one.hint) for one in checked.findings
    }


def test_no_line_shows_what_is_a_secret_elsewhere_in_the_file(tmp_path: Path) -> None:
    steps = f"- {{run: ls, env: {{PASSWORD: {SAID}}}}}\n    - {{run: 'echo {SAID}, {SAID}x', bogus: 1}}"
    told = shown(validate_paths(validated(tmp_path, steps)), "text")

    stars = "*" * len(SAID)
    assert f"- {{run: 'echo {stars}, {SAID}x', bogus: 1}}" in told


@pytest.mark.parametrize("value", ["changeme", "postgres", "20261123"])
def test_a_word_of_a_language_is_a_secret_only_where_it_stands(value: str) -> None:
    text = f'password: "{value}"\nother: {value}\n'
    assert Hidden.of(text.encode(), ()).starred().endswith(f"other: {value}\n")


def test_what_describes_a_secret_is_no_secret() -> None:
    schema = {"type": "string", "minLength": 12, "default": "ab"}
    shown = {
        "token": {"url": "https://x.example", "value": SAID, "old": [SAID], "scopes": ["read"]},
        "password": schema,
    }
    hidden = {"url": "https://x.example", "value": "•••", "old": ["•••"], "scopes": ["read"]}

    assert on_pages(shown) == {"token": hidden, "password": schema}
    for text in ("password: {type: string: x}", "token: {credentialRef: a: b}", "password:\n  minLength: !x 8"):
        fault = Diagnostic(Span("x", text.count("\n") + 1, 1, text.count("\n") + 1, 2), "OC101", "no YAML")
        assert Hidden.of(text.encode(), [fault]).spans == ()


def test_many_secrets_are_hidden_all(tmp_path: Path) -> None:
    """More than are told."""
    secrets = [f"ghp_{number:03}wE8rT9yU0iO1pA2sD3fG4hJ5kL6zX7cV8b" for number in range(150)]
    lines = "\n    ".join(f"- {{run: ls, bogus: 1, stdin: {secret}}}" for secret in secrets)
    checked = validate_paths(validated(tmp_path, lines))

    assert len(checked.findings) > 90
    assert "wE8rT9" not in "".join(shown(checked, form) for form in FORMATS)


def test_what_is_no_secret_is_quoted(tmp_path: Path) -> None:
    """A line that only speaks of secrets is worth reading."""
    steps = "- {run: ls, bogus: 1, outputs: {token: '${{ stdot }}'}, env: {API_TOKEN: '${{ secrets.k.token }}'}}"
    told = shown(validate_paths(validated(tmp_path, steps)), "text")

    assert steps in told
    assert "***" not in told
    assert "'stdot'" in told


def test_differences_of_layout_show_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = validated(tmp_path, rf'-   {{run: cat,   stdin: "{KEY}"}}') / "definitions" / "j.yaml"

    assert call(["fmt", "--diff", str(file)]) == 0
    told = capsys.readouterr().out
    assert "stdin" in told
    assert BODY[:12] not in told


def test_pages_show_no_body_of_a_key() -> None:
    assert on_pages({"stdin": KEY.replace(r"\n", "\n") + "after"}) == {"stdin": "•••\nafter"}
    assert (
        masked(f"x -----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{BODY}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----.")
        == "x ***."
    )


def test_lines_keep_their_length() -> None:
    text = f"a: 1\r\n-----BEGIN PRIVATE KEY-----\r\n{BODY}\r\n-----END PRIVATE KEY-----\r\nb: 1\n"
    starred = Hidden.of(text.encode(), ()).starred()
    assert [len(line) for line in starred.split("\n")] == [len(line) for line in text.split("\n")]
    assert starred.startswith("a: 1\r\n*****")
    assert starred.endswith("*\r\nb: 1\n")


HOSTILE = {
    "keys without an end": "-----BEGIN A PRIVATE KEY-----\n",
    "keys and ends": "-----BEGIN A PRIVATE KEY----- -----END A PRIVATE KEY-----",
    "ends": "-----END A PRIVATE KEY-----",
    "assignments": "PASSWORD='abc1def' ",
    "open quotes": "PASSWORD=\"abc1def\\",
    "addresses": "://a:b1cd@e@",
    "assignments in one word": "PASSWORD=abc1def,",
    "blank lines after a key": "-----BEGIN A PRIVATE KEY-----\n" + " \n" * 40,
}  # fmt: skip


def _seconds(text: str) -> float:
    best = 1e9
    for _ in range(3):
        began = process_time()
        masked(text)
        best = min(best, process_time() - began)
    return best


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_size_only(text: str) -> None:
    few = 60_000 // len(text)
    assert _seconds(text * few * 4) < 9 * _seconds(text * few) + 0.01


# --- findings beside a secret -----------------------------------------------------------------------------------------


def _beside(secret: str, *messages: str) -> list[str]:
    """What is said of a line that holds a password and something else."""
    line = f'{{"other": 1, "password": "{secret}"}}'
    at = [Diagnostic(Span("f", 1, 3, 1, 8), "OC203", message) for message in messages]
    return [one.message for one in without_secrets(at, {"f": line.encode()})]


def test_lines_of_a_secret_are_hidden_also_where_they_are_cut_short() -> None:
    secret = r"first-line-of-it\nsecond-line-of-it\nabcdefgh-1\nabcdefgh-22\nshort"
    assert _beside(
        secret,
        "'first-line-of-it'",
        "'second-line…'",
        "'second-' 'short'",
        "abcdefgh-22 abcdefgh-1 abcdefgh-3",
        "first-line-of-itsecond-line-of-it",
    ) == ["'***'", "'***…'", "'second-' 'short'", "*** *** ***3", "***"]


def test_words_that_overlap_are_hidden_whole() -> None:
    assert _beside(r"abcdefgh-ij\nfgh-ijklmnop", "x abcdefgh-ijklmnop y") == ["x *** y"]


def test_a_short_secret_is_hidden_only_in_what_is_said_of_itself() -> None:
    line = b'{"other": 1, "password": "hunt", "apiToken": "prey"}'
    at = line.index(b'"hunt"') + 1
    of_it = Diagnostic(Span("f", 1, at, 1, at + 6), "OC203", "hunt, prey")
    beside = Diagnostic(Span("f", 1, 3, 1, 8), "OC203", "hunt, prey")
    assert [one.message for one in without_secrets([of_it, beside], {"f": line})] == ["***, prey", "hunt, prey"]


MANY_LINES = {
    "one line": lambda size: '{"a": 1, "password": "' + "".join(f"s3cr3t-{n}x\\n" for n in range(size)) + '"}',
    "lines that begin alike": lambda size: (
        '{"a": 1, "password": "' + "".join(f"s3cr3t-s3cr3t-{n}x\\n" for n in range(size)) + '"}'
    ),
    "one that is there again": lambda size: '{"password": "ab1-ab1-ab1", "b": "' + "ab1-ab1-ab1 ab1-" * size + '"}',
    "many secrets": lambda size: "{" + ", ".join(f'"password{n}": "s3cr3t-{n}x"' for n in range(size)) + "}",
}


@pytest.mark.parametrize("shape", MANY_LINES)
def test_many_findings_beside_a_long_secret_cost_what_both_cost_alone(shape: str) -> None:
    def seconds(size: int) -> float:
        text = MANY_LINES[shape](size * 40).encode()
        about = [Diagnostic(Span("f", 1, 3, 1, 4), "OC203", f"s3cr3t-s3cr3t-{n} is no field") for n in range(size)]
        began = process_time()
        assert len(without_secrets(about, {"f": text})) == size
        return process_time() - began

    ratios = (min(seconds(800) for _ in range(2)) / min(seconds(200) for _ in range(2)) for _ in range(4))
    assert any(ratio <= 9 for ratio in ratios)
