"""`credential set`, `rotate`, `check`: a way for people to secrets in the repository, and no plain text on disk."""

import io
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from opsconductor.cli.application import answer
from opsconductor.exits import UsageError
from tests.sops import Key, decrypted

POOL = "apiVersion: opsconductor/v1\nkind: RunnerPool\nmetadata: {name: NAME}\nspec: {recipients: [KEYS]}\n"
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: shop}\n"


class Checkout:
    """A repository with the pools `default` and `far`, and the program called in it."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._patch, self._capsys = root / "shop", patch, capsys
        (self.root / "definitions").mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "-b", "main", self.root], check=True)
        (self.root / "opsconductor.yaml").write_text(PROJECT)
        (root / "keys").mkdir()
        self.keys = {name: Key.made(root / "keys", name) for name in ("default", "far", "new")}
        for name in ("default", "far"):
            self.pool(name, self.keys[name])

    def pool(self, name: str, *keys: Key) -> None:
        recipients = ", ".join(key.recipient for key in keys)
        text = POOL.replace("NAME", name).replace("KEYS", recipients)
        (self.root / "definitions" / f"pool-{name}.yaml").write_text(text)

    def __call__(self, *words: str | Path, given: str = "") -> SimpleNamespace:
        stream = io.TextIOWrapper(io.BytesIO(given.encode()))
        self._patch.setattr("sys.stdin", stream)
        try:
            code, raised = answer(["credential", *map(str, words), "-C", str(self.root)]), ""
        except UsageError as error:
            code, raised = 2, str(error)
        out, err = self._capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err + raised)

    def text(self, name: str = "db") -> str:
        return (self.root / "definitions" / f"{name}.yaml").read_text()

    def holds(self, name: str, key: str) -> Any:
        return yaml.safe_load(decrypted(self.text(name), self.keys[key]))["data"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Checkout:
    return Checkout(tmp_path, monkeypatch, capsys)


def test_a_new_credential_is_written_encrypted_for_its_pools(checkout: Checkout) -> None:
    made = checkout("set", "db", "--type", "password", "--username", "app", "--pool", "far", given="correct horse\n")
    assert (made.code, made.out) == (0, "")
    assert checkout.holds("db", "far") == {"password": "correct horse"}
    for key in ("default", "new"):
        with pytest.raises(subprocess.CalledProcessError):
            decrypted(checkout.text(), checkout.keys[key])
    every = checkout("set", "all", "--type", "token", given="open sesame")
    assert every.code == 0
    assert checkout.holds("all", "far") == checkout.holds("all", "default") == {"token": "open sesame"}
    left = [path for path in checkout.root.rglob("*") if path.is_file()]
    assert not [path for path in left if b"horse" in path.read_bytes() or b"sesame" in path.read_bytes()]
    assert len(list((checkout.root / "definitions").iterdir())) == 4, "no other file is left"
    found = json.loads(checkout("check", "-o", "json").out)["credentials"]
    assert [(one["name"], one["opens"], one["problems"]) for one in found] == [("all", None, []), ("db", None, [])]


def test_another_secret_keeps_the_rest_only_where_a_key_opens_it(checkout: Checkout) -> None:
    checkout("set", "db", "--type", "password", "--pool", "far", given="correct horse")
    (checkout.root / "definitions" / "db.yaml").write_text("# ours\n" + checkout.text())
    assert checkout("set", "db", given="battery staple").code == 0
    assert checkout.text().startswith("# ours\n")
    refused = checkout("set", "db", "--field", "username", given="ann")
    assert (refused.code, "--alone" in refused.err) == (2, True)
    key = checkout.keys["far"].file
    assert checkout("set", "db", "--field", "username", "--identity", key, given="ann").code == 0
    assert checkout.holds("db", "far") == {"password": "battery staple", "username": "ann"}
    assert checkout("set", "db", "--alone", given="a third one").code == 0
    assert checkout.holds("db", "far") == {"password": "a third one"}


@pytest.mark.parametrize(
    ("words", "given", "why"),
    [
        (("set", "db"), "correct horse", "--type makes one"),
        (("set", "db", "--type", "thing"), "correct horse", "--type thing"),
        (("set", "db", "--type", "token", "--field", "password"), "correct horse", "has token"),
        (("set", "db", "--type", "token", "--pool", "none"), "correct horse", "RunnerPool 'none'"),
        (("set", "db", "--type", "token"), "abc", "at least 4 characters"),
        (("set", "db", "--type", "token"), "", "at least 4 characters"),
        (("set", "db", "--type", "token"), "a\0bcd", "NUL"),
        (("set", "db", "--type", "token"), "x" * 70_000, "64 KiB"),
        (("set", "Not a name", "--type", "token"), "correct horse", "no file|no Credential"),
        (("set", "db", "--type", "token", "--file", "elsewhere/db.yaml"), "correct horse", "include"),
        (("set", "db", "--type", "token", "--file", "definitions/pool-far.yaml"), "correct horse", "exists already"),
        (("set", "ref"), "correct horse", "by reference"),
        (("rotate", "ref"), "", "by reference"),
        (("rotate", "none"), "", "no Credential 'none'"),
        (("set", "db", "--type", "token", "--identity", "none"), "correct horse", "--identity"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    checkout: Checkout, words: tuple[str, ...], given: str, why: str
) -> None:
    reference = "apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {name: ref}\n"
    (checkout.root / "definitions" / "ref.yaml").write_text(reference + "spec: {type: token, from: {file: x}}\n")
    before = sorted(path.read_bytes() for path in (checkout.root / "definitions").iterdir())
    refused = checkout(*words, given=given)
    assert refused.code in (1, 2)
    assert any(one in refused.err for one in why.split("|")), refused.err
    assert "horse" not in refused.err
    assert sorted(path.read_bytes() for path in (checkout.root / "definitions").iterdir()) == before


def test_new_recipients_are_found_and_rotated_to(checkout: Checkout) -> None:
    checkout("set", "db", "--type", "password", "--pool", "far", given="correct horse")
    checkout("set", "other", "--type", "token", "--pool", "default", given="open sesame")
    assert checkout("check").code == 0
    checkout.pool("far", checkout.keys["new"])
    found = checkout("check", "-o", "json")
    states = {one["name"]: one["problems"] for one in json.loads(found.out)["credentials"]}
    assert (found.code, states["other"]) == (1, [])
    assert [text.split()[0] for text in states["db"]] == ["OC611", "OC611"]
    before = checkout.text("other")
    half = checkout("rotate", "--identity", checkout.keys["far"].file)
    assert (half.code, "1 of 2" in half.err) == (1, True)
    assert checkout.text("other") == before
    assert checkout.holds("db", "new") == {"password": "correct horse"}
    with pytest.raises(subprocess.CalledProcessError):
        decrypted(checkout.text(), checkout.keys["far"])
    assert checkout("check").code == 0


REFERENCE = "apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {name: ref}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (REFERENCE + "spec:\n  type: token\n   from: {file: x}\n", "OC104 not YAML"),
        (REFERENCE + "spec: {type: token}\n", "OC204"),
        (REFERENCE.replace("name: ref", "nam: ref") + "spec: {type: token, from: {file: x}}\n", "OC"),
        (REFERENCE + "spec: {type: token, from: {file: x}, colour: red}\n", "OC203 'colour'"),
        (REFERENCE + "spec: {type: token, from: {file: x}}\ndata: {token: plain-text}\n", "OC"),
        (REFERENCE + "spec: {type: token, from: {file: x}}\nkind: Credential\n", "OC108"),
    ],
    ids=["no YAML", "no source", "no name", "an unknown field", "plain text", "a key twice"],
)
def test_a_credential_that_cannot_be_read_is_not_in_order(checkout: Checkout, text: str, why: str) -> None:
    (checkout.root / "definitions" / "ref.yaml").write_text(text)
    found = checkout("check")
    assert found.code == 1
    assert why in found.out + found.err
    assert "there is no Credential" not in found.err
    assert "plain-text" not in found.out + found.err
    data = checkout("check", "-o", "json")
    answer = json.loads(data.out)
    said = [*answer["unread"], *(problem for one in answer["credentials"] for problem in one["problems"])]
    assert (data.code, bool(said)) == (1, True)


def test_what_else_cannot_be_read_hides_no_credential(checkout: Checkout) -> None:
    job = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: j}\nspec: {step: []}\n"
    (checkout.root / "definitions" / "j.yaml").write_text(job)
    found = checkout("check")
    assert (found.code, found.out, found.err.strip()) == (0, "", "there is no Credential")
    checkout("set", "db", "--type", "password", "--pool", "far", given="correct horse")
    (checkout.root / "definitions" / "broken.yaml").write_text("kind: Credential\n\tx\n")
    assert checkout("check", "db").code == 0, "nobody asked for another"
    every = checkout("check")
    assert (every.code, "definitions/broken.yaml:2:" in every.err, "db" in every.out) == (1, True, True)
    with_name = checkout("check", "other")
    assert (with_name.code, "broken.yaml" in with_name.err, "there is no Credential 'other'" in with_name.err) == (
        2, True, True,
    )  # fmt: skip


def test_check_opens_what_a_runner_here_would(checkout: Checkout) -> None:
    checkout("set", "db", "--type", "password", "--pool", "far", given="correct horse")
    opened = checkout("check", "--open", "--identity", checkout.keys["far"].file, "-o", "json")
    assert (opened.code, json.loads(opened.out)["credentials"][0]["opens"]) == (0, True)
    closed = checkout("check", "--open", "--identity", checkout.keys["new"].file, "-o", "json")
    found = json.loads(closed.out)["credentials"][0]
    assert (closed.code, found["opens"], "none of the keys" in found["problems"][0]) == (1, False, True)
    assert "horse" not in opened.out + closed.out + opened.err + closed.err


def test_check_opens_nothing_that_is_the_engine_s_own(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull request may name it, and whoever tries that out must not hand it on."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("sign-key", "token", "plain"):
        (secrets / name).write_text(f"the text of {name}\n")
        (checkout.root / "definitions" / f"{name}.yaml").write_text(
            f"apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {{name: {name}}}\n"
            f"spec: {{type: token, from: {{file: {name}}}}}\n"
        )
    monkeypatch.setenv("OPSCONDUCTOR_SIGN_KEY", str(secrets / "sign-key"))
    monkeypatch.setenv("OPSCONDUCTOR_TOKEN", str(secrets / "token"))
    found = checkout("check", "--open", "--secret-dir", secrets, "-o", "json")
    by_name = {one["name"]: one for one in json.loads(found.out)["credentials"]}
    assert {name: one["opens"] for name, one in by_name.items()} == {"sign-key": False, "token": False, "plain": True}
    assert "the engine's own" in by_name["token"]["problems"][0]


def test_dates_are_told(checkout: Checkout) -> None:
    reference = "apiVersion: opsconductor/v1\nkind: Credential\nmetadata: {name: ref}\n"
    spec = "spec: {type: token, from: {file: x}, expiresAt: 2020-01-01T00:00:00Z}\n"
    (checkout.root / "definitions" / "ref.yaml").write_text(reference + spec)
    found = checkout("check", "ref")
    assert (found.code, "it ended at 2020-01-01T00:00:00Z" in found.out) == (1, True)
