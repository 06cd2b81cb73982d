"""`import`: again and again into one checkout, next to what people edit."""

import io
from pathlib import Path

import pytest

from opsconductor.authoring.importing import Import, Into, prepared, write
from opsconductor.cli.main import call
from opsconductor.exits import UsageError
from opsconductor.imports.crontab import Settings, read
from schemas.reader import read as read_documents

LINE = "0 5 * * 1 /opt/bin/first\n"
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "opsconductor.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def crontab(checkout: Path, text: str, *options: str) -> int:
    (checkout / "crontab").write_text(text)
    return call(["import", "crontab", "--time-zone", "UTC", *options, "crontab"])


def test_a_file_that_nobody_edited_follows_its_source(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crontab(checkout, LINE)
    assert crontab(checkout, LINE.replace("5", "6")) == 0
    assert "cron: 0 6 * * 1" in (checkout / "definitions/crontab/first.yaml").read_text()
    assert "1 changed, 1 as they were" in capsys.readouterr().err


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_file_that_was_edited_stays_and_the_difference_is_shown(
    checkout: Path, capsys: pytest.CaptureFixture[str], ends: str
) -> None:
    crontab(checkout, LINE)
    file = checkout / "definitions/crontab/first.yaml"
    edited = file.read_text().replace("timeout: 1d", "timeout: 10m").replace("\n", ends).encode()
    file.write_bytes(edited)
    assert crontab(checkout, LINE.replace("5", "6")) == 1
    said = capsys.readouterr().out
    assert "definitions/crontab/first.yaml: left as it is: it was edited since; --force gives the changes up" in said
    assert "-  timeout: 10m" in said
    assert "+  timeout: 1d" in said
    assert "+  cron: 0 6 * * 1" in said
    assert file.read_bytes() == edited
    assert crontab(checkout, LINE.replace("5", "6"), "--force") == 0
    assert "timeout: 1d" in file.read_text()


def test_line_ends_that_git_changes_are_no_edit(checkout: Path) -> None:
    crontab(checkout, LINE)
    file = checkout / "definitions/crontab/first.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert crontab(checkout, LINE) == 0
    assert crontab(checkout, LINE.replace("5", "6")) == 0


def test_what_is_no_longer_there_is_named_and_removed_on_demand(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crontab(checkout, LINE + "0 6 * * * /opt/bin/second\n0 7 * * * /opt/bin/third\n")
    gone, edited = (checkout / f"definitions/crontab/{name}.yaml" for name in ("second", "third"))
    edited.write_text(edited.read_text() + "# mine\n")
    assert crontab(checkout, LINE) == 1
    assert "second.yaml: left as it is: what it came from is no longer in crontab; --prune" in capsys.readouterr().out
    assert gone.exists()
    assert crontab(checkout, LINE, "--prune") == 1
    assert (gone.exists(), edited.exists()) == (False, True)


def test_files_of_another_source_are_not_touched(checkout: Path) -> None:
    crontab(checkout, LINE)
    (checkout / "other").write_text("0 6 * * * /opt/bin/second\n")
    assert call(["import", "crontab", "--time-zone", "UTC", "--prune", "other"]) == 0
    assert (checkout / "definitions/crontab/first.yaml").exists()


def test_a_file_that_another_source_wrote_is_left_as_it_is(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alice and Bob each have a backup.sh: nobody's Job goes away without a word."""
    crontab(checkout, "0 1 * * * /opt/backup.sh\n", "--user", "alice")
    file = checkout / "definitions/crontab/backup.yaml"
    before = file.read_bytes()
    (checkout / "bob").write_text("0 2 * * * /opt/backup.sh\n")
    bobs = ["import", "crontab", "--time-zone", "UTC", "--user", "bob", "bob"]
    assert call(bobs) == 1
    said = capsys.readouterr().out
    assert 'backup.yaml: left as it is: it came from crontab "crontab", and not from "bob"; --force writes' in said
    assert file.read_bytes() == before
    assert call([*bobs, "--force"]) == 0
    assert "become: bob" in file.read_text()


def test_a_job_never_takes_the_name_of_another_where_a_line_is_added_above(checkout: Path) -> None:
    """Its history would be that of another command, and what refers to it would start that."""
    two = "0 2 * * * /opt/backup.sh web\n0 1 * * * /opt/backup.sh db\n"
    crontab(checkout, "0 1 * * * /opt/backup.sh db\n")
    assert crontab(checkout, two) == 1
    first = named_by_command(checkout)
    assert first["/opt/backup.sh db"] != first["/opt/backup.sh web"] != "backup"
    assert "run: /opt/backup.sh db" in (checkout / "definitions/crontab/backup.yaml").read_text()
    assert crontab(checkout, "0 3 * * * /opt/backup.sh mail\n" + two, "--prune") == 0
    after = named_by_command(checkout)
    assert {command: after[command] for command in first} == first
    assert "backup" not in after.values()


def named_by_command(checkout: Path) -> dict[str, str]:
    found = {}
    for path in sorted((checkout / "definitions/crontab").glob("backup*.yaml")):
        job = read_documents(path.read_bytes(), "").documents[0].document.to_json()
        if path.stem != "backup" or len(found) == 0:
            found[job["spec"]["steps"][0]["run"]] = path.stem
    return found


def from_standard_input(monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return call(["import", "crontab", "--time-zone", "UTC", *options, "-"])


def test_standard_input_is_anybodys_until_it_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`crontab -l | ...` on a second machine changes and removes nothing of the first one's."""
    file = checkout / "definitions/crontab/first.yaml"
    assert from_standard_input(monkeypatch, LINE) == 0
    before = file.read_bytes()
    assert from_standard_input(monkeypatch, LINE.replace("5", "6")) == 1
    assert "first.yaml: left as it is: it came from standard input, maybe another" in capsys.readouterr().out
    assert from_standard_input(monkeypatch, "0 6 * * * /opt/second\n") == 1
    assert "first.yaml: left as it is: what was read now does not have it; it came" in capsys.readouterr().out
    assert from_standard_input(monkeypatch, "0 6 * * * /opt/second\n", "--prune") == 2
    assert "--source NAME" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_named_source_is_followed_from_wherever_it_is_read(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = checkout / "definitions/crontab/first.yaml"
    assert from_standard_input(monkeypatch, LINE, "--source", "web-01") == 0
    assert file.read_text().startswith('# Imported from crontab "web-01", as ')
    assert from_standard_input(monkeypatch, LINE.replace("5", "6"), "--source", "web-01") == 0
    assert "cron: 0 6 * * 1" in file.read_text()
    assert crontab(checkout, "0 6 * * * /opt/second\n", "--source", "web-01", "--prune") == 0
    assert not file.exists()


def test_documents_that_a_person_moved_are_not_made_twice(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crontab(checkout, LINE)
    (checkout / "definitions/crontab/first.yaml").rename(checkout / "definitions/mine.yaml")
    assert crontab(checkout, LINE) == 0
    assert crontab(checkout, LINE.replace("5", "6")) == 1
    assert "Job/first is in definitions/mine.yaml already" in capsys.readouterr().out
    assert not (checkout / "definitions/crontab/first.yaml").exists()


def test_a_dry_run_writes_nothing(checkout: Path) -> None:
    assert crontab(checkout, LINE, "--dry-run") == 0
    assert not (checkout / "definitions").exists()


def test_nothing_is_written_through_links(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (checkout / "definitions").mkdir()
    (checkout / "definitions/crontab").symlink_to(outside)
    assert crontab(checkout, LINE) == 2
    (checkout / "definitions/crontab").unlink()
    (checkout / "definitions/crontab").mkdir()
    (checkout / "definitions/crontab/targets").symlink_to(outside)
    assert crontab(checkout, LINE) == 2
    assert list(outside.iterdir()) == []


def test_a_file_that_the_project_would_not_read_is_not_written(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would never be judged, and a second import would write over what was edited in it."""
    include = "spec: {include: ['definitions/crontab/*/*.yaml']}"
    (checkout / "opsconductor.yaml").write_text(PROJECT.replace("spec: {}", include))
    assert crontab(checkout, LINE) == 1
    assert "'include' does not read definitions/crontab/first.yaml" in capsys.readouterr().out
    assert not (checkout / "definitions/crontab/first.yaml").exists()


def test_what_was_made_meanwhile_is_not_written_over(checkout: Path) -> None:
    made = prepared_here(checkout, LINE)
    file = checkout / "definitions/crontab/first.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# precious\n")
    with pytest.raises(UsageError, match="changed meanwhile"):
        write(made)
    assert file.read_text() == "# precious\n"
    assert [path.name for path in file.parent.iterdir()] == ["first.yaml"]


def test_a_link_in_the_place_of_a_file_stays(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = checkout / "definitions/crontab/first.yaml"
    file.parent.mkdir(parents=True)
    file.symlink_to("nowhere.yaml")
    assert crontab(checkout, LINE) == 1
    assert "first.yaml: left as it is: what stands there is no file" in capsys.readouterr().out
    assert file.is_symlink()


def test_pruning_says_what_was_edited_meanwhile_and_takes_what_is_gone_as_removed(checkout: Path) -> None:
    crontab(checkout, LINE + "0 6 * * * /opt/bin/second\n")
    file = checkout / "definitions/crontab/second.yaml"
    made = prepared_here(checkout, LINE, prune=True)
    edited = file.read_text() + "# mine\n"
    file.write_text(edited)
    with pytest.raises(UsageError, match=r"second.yaml: it was changed meanwhile"):
        write(made)
    assert file.read_text() == edited
    file.unlink()
    write(made)


def prepared_here(checkout: Path, text: str, *, prune: bool = False) -> Import:
    into = Into.checkout(checkout, "definitions/crontab", "crontab")
    reading = read({"crontab": text.encode()}, Settings("UTC"))
    return prepared(into, reading, ["crontab"], force=False, prune=prune)


@pytest.mark.parametrize(
    "options",
    [
        ["--to", "../out"],
        ["--to", "/etc"],
        ["--to", "elsewhere"],
        ["--format", "xml"],
        ["--system", "--user", "paul"],
    ],
    ids=" ".join,
)
def test_a_call_that_does_not_fit_writes_nothing(checkout: Path, options: list[str]) -> None:
    assert crontab(checkout, LINE, *options) == 2
    assert not (checkout / "definitions").exists()


def test_a_zone_that_does_not_exist_is_refused(checkout: Path) -> None:
    assert crontab(checkout, LINE, "--time-zone", "Mars/Olympus") == 2


def test_a_file_that_is_too_large_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crontab(checkout, LINE * 50_000) == 2
    assert "more than 1,048,576 bytes" in capsys.readouterr().err


def test_jobs_go_to_the_targets_that_are_named(checkout: Path) -> None:
    (checkout / "definitions").mkdir()
    (checkout / "definitions/web.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: web}\nspec: {connections: {local: {}}}\n"
    )
    assert crontab(checkout, LINE, "--target", "web") == 0
    assert "- web\n" in (checkout / "definitions/crontab/first.yaml").read_text()
    assert not (checkout / "definitions/crontab/targets").exists()


def test_a_target_that_does_not_exist_is_said(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crontab(checkout, LINE, "--target", "nowhere") == 1
    assert "there is no Target 'nowhere'" in capsys.readouterr().out
    assert not (checkout / "definitions").exists()


def test_for_programs_it_is_json(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crontab(checkout, "@reboot /opt/bin/x\n", "--format", "json")
    said = capsys.readouterr().out
    assert '"path": "definitions/crontab/x.yaml",\n      "fate": "new"' in said
    assert '"line": 1,\n      "carried": false' in said


def test_lines_that_are_not_utf8_are_listed(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "crontab").write_bytes(LINE.encode() + b"0 6 * * * /opt/\xe9t\xe9\n\x00\xff\n")
    assert call(["import", "crontab", "--time-zone", "UTC", "crontab"]) == 1
    said = capsys.readouterr().out
    assert "crontab:2: not carried: the line is not UTF-8" in said
    assert (checkout / "definitions/crontab/first.yaml").exists()


@pytest.mark.parametrize("named", ["inv/hosts", "inv", "./inv/hosts"])
def test_variables_beside_an_inventory_are_read_as_ansible_reads_them(checkout: Path, named: str) -> None:
    (checkout / "inv" / "group_vars").mkdir(parents=True)
    (checkout / "inv" / "host_vars").mkdir()
    (checkout / "inv" / "hosts").write_text("[web]\nh1 ansible_connection=local\n")
    (checkout / "inv" / "group_vars" / "web.yml").write_text("site: eu\n")
    (checkout / "inv" / "host_vars" / "h1.yml").write_text("shelf: 7\n")
    assert call(["import", "ansible", named]) == 0
    written = "".join(path.read_text() for path in (checkout / "definitions").rglob("*.yaml"))
    assert "site: eu" in written and "shelf: 7" in written
