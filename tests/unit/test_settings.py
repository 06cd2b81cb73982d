"""Where an engine's source and state are."""

import hashlib
from pathlib import Path

import pytest

from opsconductor.exits import UsageError
from opsconductor.settings import database_files, default_state, own_files, parse_source
from reconciler.repository.source import Source, parse
from runners.secrets import Sealed, Secrets
from schemas.credential import CredentialSpec


@pytest.mark.parametrize(
    "text",
    [
        "https://git.example.org/ops.git",
        "ssh://git@example.org/ops",
        "git@example.org:ops/defs.git",
        "[::1]:ops.git",
        "https://ops:pa%40ss%2F@git.example.org/ops.git",
        "https://t0ken@git.example.org/ops.git",
        "https://t0ken:@git.example.org/ops.git",
    ],
)
def test_urls_stay_as_they_are(text: str) -> None:
    assert (parse_source(text).text, parse_source(text).path) == (text, None)


@pytest.mark.parametrize("given", ["my repo", "./my repo", "link", "{folder}/my repo", "{url}", "x/../my repo", "a:b"])
def test_what_the_command_line_reads_is_what_the_engine_reads(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One parser: a source that is shown, watched and given a state folder as a path is mirrored as that path."""
    folder = tmp_path / ("a:b" if given == "a:b" else "my repo")
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    found = parse_source(given.format(folder=tmp_path, url=folder.as_uri()))
    monkeypatch.chdir("/")
    assert found == parse(found.text) == Source(str(folder), path=folder)


def test_a_folder_has_one_state_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found again by later versions too: the name of the folder and a digest of its path."""
    (tmp_path / "my defs").mkdir()
    (tmp_path / "link").symlink_to("my defs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    digest = hashlib.sha256(f"{tmp_path}/my defs".encode()).hexdigest()[:8]
    for given in ("my defs", "link", str(tmp_path / "my defs"), (tmp_path / "my defs").as_uri()):
        assert default_state(parse_source(given)) == Path(f"/state/opsconductor/my-defs-{digest}")


def test_a_new_token_keeps_the_state() -> None:
    state = default_state(parse_source("https://git.example.org/x.git"))
    for login in ("t0ken", "ops:t0ken", "ops:other"):
        assert default_state(parse_source(f"https://{login}@git.example.org/x.git")) == state


def test_a_password_in_a_url_is_never_shown() -> None:
    assert parse_source("https://ops:hunter2@git.example.org/x.git").shown == "https://ops:***@git.example.org/x.git"
    assert parse_source("https://hunter2@git.example.org/x.git").shown == "https://***@git.example.org/x.git"


def test_an_option_is_not_a_source() -> None:
    with pytest.raises(UsageError, match="looks like an option"):
        parse_source("--upload-pack=touch")


@pytest.mark.parametrize("text", ["", "git://host/x", "http://host/x", "ssh://u:p@host/x", "~nobody-is-called-so/x"])
def test_what_no_engine_could_serve_is_a_wrong_call(text: str) -> None:
    """Exit code 2, before anything is made."""
    with pytest.raises(UsageError, match=r"^SOURCE: "):
        parse_source(text)


def test_what_opens_the_database_is_the_engines_own(tmp_path: Path) -> None:
    url = f"postgresql://ops@db.example.org/ops?passfile={tmp_path}/pgpass&sslkey=~/key.pem"
    named = database_files(url, {"HOME": "/home/ops", "PGPASSFILE": "/elsewhere", "PGSERVICEFILE": "/etc/pg/service"})
    assert named == (
        tmp_path / "pgpass",
        Path("~/key.pem").expanduser(),
        Path("/etc/pg/service"),
        Path("/home/ops/.pgpass"),
        Path("/home/ops/.postgresql"),
    )
    assert database_files(None, {"HOME": "/home/ops", "PGPASSFILE": "/elsewhere"}) == ()
    (tmp_path / "pgpass").write_text("db.example.org:5432:ops:ops:of-the-database")
    spec = CredentialSpec.model_validate({"type": "generic", "from": {"file": "pgpass"}})
    with pytest.raises(Sealed, match="is the engine's own"):
        Secrets(tmp_path, {}, own=named).open("x", spec)
    assert own_files({"OPSCONDUCTOR_DATABASE": url}, Path("/state"))[:2] == (Path("/state"), tmp_path / "pgpass")
    assert own_files({"OPSCONDUCTOR_DATABASE": "other"}, Path("/state"), url)[1] == tmp_path / "pgpass"
