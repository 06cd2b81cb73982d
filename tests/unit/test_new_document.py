"""Templates say everything that a kind has, nothing that it has not, and go where documents are read."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.canonical import canonical
from opsconductor.authoring.libraries import Libraries
from opsconductor.authoring.newdocument import drafted, filled, left_to_do, printed, template, write
from opsconductor.checking.validation import validate_paths
from opsconductor.exits import UsageError
from schemas.kinds import MODELS
from schemas.notification import EmailChannel
from schemas.reader import read

HELLO = Path(__file__).parents[2] / "definitions" / "hello"
PROJECT = b"apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {defaults: {timeZone: Asia/Tokyo}}\n"
TOLD = {"OC305", "OC902"}
"""What a template cannot know: documents of the repository, and whether the engine verifies who signs."""

ALTERNATIVES = {"OC108", "OC209"}
"""A field that stands there already, and a rule between fields: what a comment offers may be instead of another."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "opsconductor.yaml").write_bytes(PROJECT)
    return tmp_path


def named(kind: str) -> str:
    return "tools/a-step" if kind == "Step" else "mine"


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_template_is_a_document_in_the_canonical_form(kind: str) -> None:
    made = filled(kind, "mine")
    parsed = read(made, "x.yaml")
    assert [(one.document.kind, one.document.name) for one in parsed.documents] == [(kind, "mine")]
    assert [found for found in parsed.findings if found.severity == "error" and found.code not in TOLD] == []
    assert canonical(made) == made
    assert "<" not in made.decode().replace("<<", "")


def test_nothing_is_added_to_a_file_that_is_encrypted_in_place(checkout: Path) -> None:
    """Its form allows one document, and its seal covers the whole file."""
    place = checkout / "definitions/enc.yaml"
    place.parent.mkdir()
    place.write_text(ENCRYPTED)
    with pytest.raises(UsageError, match="encrypted in place"):
        drafted(checkout, "Target", "mine", "definitions/enc.yaml")
    assert place.read_text() == ENCRYPTED


ENCRYPTED = """apiVersion: opsconductor/v1
kind: Credential
metadata: {name: k}
spec: {type: token}
data: {token: "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]"}
sops: {mac: x, version: "3"}
"""


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_template_mentions_every_field_of_its_kind(kind: str) -> None:
    spec: Any = EmailChannel if kind == "NotificationChannel" else MODELS[kind].model_fields["spec"].annotation
    fields = spec.model_fields
    said = set(re.findall(r"^(?:  # |  )([a-zA-Z]+):", template(kind).split("\nspec:\n")[1], re.MULTILINE))
    assert {field.alias or name for name, field in fields.items()} - said == set()
    assert said - {field.alias or name for name, field in fields.items()} == set()


def lines_in_comments(kind: str) -> list[tuple[str, int]]:
    """Each line of a template that is a field in a comment: uncommented, and its number."""
    lines = template(kind).split("\n")
    return [
        (re.sub(r"# (?=[a-zA-Z-])", "", line, count=1), number)
        for number, line in enumerate(lines)
        if re.match(r"^ +# (- )?\{?[a-zA-Z]+:", line)
    ]


@pytest.mark.parametrize(
    ("kind", "number", "line"),
    [(kind, number, line) for kind in sorted(MODELS) for line, number in lines_in_comments(kind)],
)
def test_what_a_template_offers_in_a_comment_may_be_written(kind: str, number: int, line: str) -> None:
    lines = template(kind).split("\n")
    depth = len(line) - len(line.lstrip())
    lines[number] = line
    following = number + 1  # the rest of a field of several lines
    while following < len(lines) and re.match(rf" {{{depth}}}#   ", lines[following]):
        lines[following] = lines[following].replace("# ", "", 1)
        following += 1
    text = re.sub(r"<([A-Z]\w+)>", "other", "\n".join(lines).replace("<name>", "mine").replace("<zone>", "UTC"))
    parsed = read(text.encode(), "x.yaml")
    wrong = [found for found in parsed.findings if found.severity == "error" and found.code not in TOLD | ALTERNATIVES]
    assert wrong == []


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"Project"}))
def test_a_new_document_is_read_and_lacks_only_what_nobody_could_know(checkout: Path, kind: str) -> None:
    if kind == "Step":
        write(drafted(checkout, "StepLibrary", "tools"))
    draft = drafted(checkout, kind, named(kind))
    write(draft)
    found = validate_paths(checkout).findings
    assert {one.code for one in found} <= TOLD, [one.message for one in found]
    assert set(left_to_do(draft)) <= set(found)
    with pytest.raises(UsageError, match=r"exists|already"):
        drafted(checkout, kind, named(kind))


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"Project"}))
def test_in_a_repository_of_init_every_new_document_is_valid(tmp_path: Path, kind: str) -> None:
    checkout = tmp_path / "hello"
    shutil.copytree(HELLO, checkout)
    assert validate_paths(checkout).findings == ()
    if kind == "Step":
        write(drafted(checkout, "StepLibrary", "tools"))
    write(drafted(checkout, kind, named(kind)))
    assert [one.message for one in validate_paths(checkout).findings if one.code != "OC902"] == []


def test_a_webhook_is_offered_a_credential_that_fits(checkout: Path) -> None:
    for name, sort in (("a-key", "ssh"), ("b-token", "token")):
        draft = drafted(checkout, "Credential", name)
        write(replace(draft, text=draft.text.replace(b"type: ssh", f"type: {sort}".encode())))
    trigger, target = (drafted(checkout, kind, "mine").text.decode() for kind in ("Trigger", "Target"))
    assert "webhook: {provider: github, credentialRef: b-token}" in trigger
    assert "credentialRef: a-key" in target


def test_a_step_is_locked_with_a_library_of_ones_own_and_with_no_other(checkout: Path) -> None:
    write(drafted(checkout, "StepLibrary", "tools"))
    write(drafted(checkout, "Step", "tools/one"))
    lock = (checkout / "opsconductor.lock").read_text()
    assert Libraries(checkout).held()[0].state == "locked"
    (checkout / "opsconductor.lock").write_text(lock.replace("    digest", "    source: ../tools\n    digest"))
    write(drafted(checkout, "Step", "tools/two"))
    assert Libraries(checkout).held()[0].state == "changed"


def test_a_project_begins_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="new project NAME"):
        drafted(tmp_path, "Job", "greet")
    write(drafted(tmp_path, "Project", "mine"))
    assert validate_paths(tmp_path).findings[0].code == "OC307"
    write(drafted(tmp_path, "Target", "web-01"))
    with pytest.raises(UsageError, match=r"opsconductor\.yaml exists"):
        drafted(tmp_path, "Project", "other")


def test_it_names_what_is_there_and_the_zone_of_the_project(checkout: Path) -> None:
    write(drafted(checkout, "Job", "vacuum"))
    write(drafted(checkout / "definitions", "Schedule", "nightly"))
    text = (checkout / "definitions" / "schedules" / "nightly.yaml").read_text()
    assert "jobRef: vacuum\n" in text and "timeZone: Asia/Tokyo\n" in text


def test_it_goes_to_the_end_of_a_file_that_exists(checkout: Path) -> None:
    write(drafted(checkout, "Job", "vacuum", "definitions/db.yaml"))
    draft = drafted(checkout, "Schedule", "nightly", "definitions/db.yaml")
    write(draft)
    text = (checkout / "definitions" / "db.yaml").read_bytes()
    assert [one.identity for one in read(text, "db.yaml").documents] == ["Job/vacuum", "Schedule/nightly"]
    assert canonical(text) == text
    assert text.split(b"\n")[draft.begins_at - 1] == b"---"
    with pytest.raises(UsageError, match="changed meanwhile"):
        write(draft)


@pytest.mark.parametrize("name", ["on", "1", "1e3", "0o7", "2026-01-01", "null"])
def test_a_name_that_yaml_would_read_as_something_else_has_quotes(name: str) -> None:
    for kind in MODELS:
        assert [one.document.name for one in read(filled(kind, name), "x.yaml").documents] == [name]


@pytest.mark.parametrize("name", ["", "Web", "a/b", "../x", "a b", "x" * 64, "-x", "a\n", "<job>"])
def test_a_name_that_no_document_may_have_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a name is lower-case"):
        drafted(checkout, "Job", name)
    with pytest.raises(UsageError, match="a name is lower-case"):
        printed("Job", name)
    assert [one.name for one in checkout.iterdir()] == ["opsconductor.yaml"]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("../x.yaml", "a file of the repository"),
        ("/x.yaml", "a file of the repository"),
        ("else/x.yaml", "does not read it"),
        ("definitions/x.txt", "does not read it"),
        ("definitions/out/x.yaml", "symbolic link"),
        ("definitions/link.yaml", "symbolic link"),
        ("definitions/folder.yaml", "not a file of documents"),
    ],
)
def test_nothing_is_written_where_it_would_not_be_read(checkout: Path, tmp_path: Path, file: str, why: str) -> None:
    (checkout / "definitions" / "folder.yaml").mkdir(parents=True)
    (checkout / "definitions" / "out").symlink_to("/tmp")
    (checkout / "definitions" / "link.yaml").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match=why):
        drafted(checkout, "Job", "greet", file)


def test_a_document_whose_name_is_taken_elsewhere_is_refused_with_its_place(checkout: Path) -> None:
    write(drafted(checkout, "Job", "vacuum", "definitions/db.yaml"))
    with pytest.raises(UsageError, match=r"there is Job 'vacuum' already, in definitions/db\.yaml"):
        drafted(checkout, "Job", "vacuum")
