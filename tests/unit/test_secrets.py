"""A credential opens what its document names, below one folder or among variables of one prefix, and nothing else."""

import os
from pathlib import Path
from typing import Any

import pytest

from runners.secrets import Opened, Sealed, Secrets, env, file
from schemas.credential import CredentialSpec

SECRET = "correct horse"


def spec(**given: Any) -> CredentialSpec:
    return CredentialSpec.model_validate({"type": "generic", **given})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text(SECRET)
    made = tmp_path / "secrets"
    made.mkdir()
    (made / "db").write_text(SECRET + "\n")
    (made / "sub").mkdir()
    (made / "sub" / "spaced").write_text("hunter2 \n")
    return made


@pytest.mark.parametrize(
    ("kind", "field"),
    [("generic", "value"), ("password", "password"), ("token", "token"), ("certificate", "certificate")],
)
def test_a_file_is_the_one_field_of_its_type(folder: Path, kind: str, field: str) -> None:
    opened = Secrets(folder, {}).open("db", spec(type=kind, username="ann", **{"from": {"file": "db"}}))
    assert (opened.get(field), opened.get("username"), opened.secrets) == (SECRET, "ann", (SECRET,))


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        ("password", "password", "hunter2 "),
        ("token", "token", "hunter2 "),
        ("generic", "value", "hunter2 "),
        ("certificate", "certificate", "hunter2 "),
        ("ssh", "privateKey", "hunter2 \n"),
    ],
)
def test_one_trailing_newline_belongs_to_the_file_and_nothing_else_does(
    folder: Path, kind: str, field: str, text: str
) -> None:
    """A key is kept as it is."""
    opened = Secrets(folder, {}).open("db", spec(type=kind, username="ann", **{"from": {"file": "sub/spaced"}}))
    assert (opened.get(field), opened.get("username"), opened.secrets) == (text, "ann", (text,))


def test_a_private_key_keeps_its_last_newline(folder: Path) -> None:
    opened = Secrets(folder, {}).open("key", spec(type="ssh", **{"from": {"file": "db"}}))
    assert opened.get("privateKey") == SECRET + "\n"


def test_a_field_that_it_has_not_is_refused(folder: Path) -> None:
    with pytest.raises(Sealed):
        Opened("db", None, {"value": SECRET}).get("username")
    with pytest.raises(Sealed, match="has no token"):
        Secrets(folder, {}).open("db", spec(type="password", **{"from": {"file": "db"}})).get("token")


def test_files_are_read_anew_each_time(folder: Path) -> None:
    secrets = Secrets(folder, {})
    secrets.open("db", spec(**{"from": {"file": "db"}}))
    (folder / "db").write_text("another one")
    assert secrets.open("db", spec(**{"from": {"file": "db"}})).get("value") == "another one"


@pytest.mark.parametrize(
    "name",
    [
        *("../outside", "a/../../outside", "sub/../../outside", "/etc/hostname", "/etc/passwd", ".", "", ".."),
        *("no-such", "sub", "sub/spaced/x", "db\0", "a\0b"),
    ],
)
def test_only_files_below_the_folder_can_be_named(folder: Path, name: str) -> None:
    with pytest.raises((ValueError, OSError)):
        file.read(folder, name)
    with pytest.raises(Sealed, match="db"):
        Secrets(folder, {}).open("db", spec(**{"from": {"file": name}}))


def test_links_may_lead_within_the_folder_and_not_out_of_it(folder: Path) -> None:
    """Mounted secrets are links to a folder beside them."""
    (folder / "..data").mkdir()
    (folder / "..data" / "token").write_text(SECRET)
    (folder / "token").symlink_to("..data/token")
    (folder / "leak").symlink_to("../outside")
    (folder / "far").symlink_to("/etc/passwd")
    (folder / "away").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    assert file.read(folder, "token") == SECRET
    assert Secrets(folder, {}).open("db", spec(**{"from": {"file": "token"}})).get("value") == SECRET
    for name in ("leak", "far", "away/outside", "loop"):
        with pytest.raises((ValueError, OSError)):
            file.read(folder, name)
        with pytest.raises(Sealed):
            Secrets(folder, {}).open("db", spec(**{"from": {"file": name}}))


def test_what_is_no_plain_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "sub"):
        with pytest.raises((ValueError, OSError)):
            file.read(folder, name)
    with pytest.raises(Sealed, match="not a regular file"):
        Secrets(folder, {}).open("db", spec(**{"from": {"file": "pipe"}}))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * (file.CAP + 1), "larger than 64 KiB"),
        (b"\xff\xfe secret", "not UTF-8"),
        (b"\xff\xfe\x00s3cret", "not UTF-8"),
        (b"one\0two", "NUL"),
        (b"s3\x00cret", "NUL"),
    ],
)
def test_what_is_no_text_of_bearable_size_is_refused_and_not_quoted(folder: Path, data: bytes, why: str) -> None:
    (folder / "odd").write_bytes(data)
    with pytest.raises(Sealed, match=why) as refused:
        Secrets(folder, {}).open("odd", spec(**{"from": {"file": "odd"}}))
    assert len(str(refused.value)) < 200
    assert not {"secret", "one", "xxx"} & set(str(refused.value).split())
    for told in (refused.value, refused.value.__cause__):
        assert "s3" not in str(told)
        assert "cret" not in str(told)


@pytest.mark.parametrize("how", ["itself", "link", "hard link", "system"])
def test_the_keys_of_the_engine_are_no_secret_of_a_document(folder: Path, how: str) -> None:
    """Where they lie in the secret folder, or come by the same way as secrets (systemd's credentials)."""
    from runners.secrets.sources import Host

    system = folder.parent / "system"
    system.mkdir()
    key = (system if how == "system" else folder) / "age"
    key.write_text("AGE-SECRET-KEY-1-of-the-engine")
    if how == "link":
        (folder / "other").symlink_to("age")
    elif how == "hard link":
        (folder / "other").hardlink_to(key)
    name = "other" if "link" in how else "age"
    given = spec(**{"from": {"file": name}})
    for secrets in (
        Secrets(folder, {}, host=Host(system=system), identities=(key,)),
        Secrets(folder, {}, host=Host(system=system), own=(key,)),
    ):
        with pytest.raises(Sealed, match="is the engine's own"):
            secrets.open("x", given)
    assert Secrets(folder, {}, host=Host(system=system)).open("x", given).get("value").startswith("AGE-SECRET-KEY")


def test_the_state_of_the_engine_is_no_secret_of_a_document(tmp_path: Path) -> None:
    """Where somebody names a secret folder around it. That it lies in the state, as by default, is fine."""
    state = tmp_path / "state"
    (state / "secrets").mkdir(parents=True)
    (state / "daemon.lock").write_text("4711 of the engine")
    (state / "secrets" / "db").write_text(SECRET)
    for folder, name in ((tmp_path, "state/daemon.lock"), (state, "daemon.lock"), (tmp_path, "state/secrets/db")):
        with pytest.raises(Sealed, match="is the engine's own"):
            Secrets(folder, {}, own=(state,)).open("x", spec(**{"from": {"file": name}}))
    within = Secrets(state / "secrets", {}, own=(state,)).open("x", spec(**{"from": {"file": "db"}}))
    assert within.get("value") == SECRET


def test_without_a_folder_no_file_is_read() -> None:
    with pytest.raises(Sealed, match="--secret-dir"):
        Secrets(None, {}).open("db", spec(**{"from": {"file": "db"}}))


def test_variables_have_one_prefix(folder: Path) -> None:
    environ = {"OPSCONDUCTOR_SECRET_DB": SECRET, "HOME": "/root-of-all"}
    opened = Secrets(folder, environ).open("db", spec(**{"from": {"env": "OPSCONDUCTOR_SECRET_DB"}}))
    assert opened.get("value") == SECRET
    for name in ("HOME", "XOPSCONDUCTOR_SECRET_DB", "OPSCONDUCTOR_SECRET_ELSE"):
        with pytest.raises(ValueError, match="variable"):
            env.read(environ, name)
    with pytest.raises(ValueError, match="OPSCONDUCTOR_SECRET_"):
        env.read(environ, "HOME")


@pytest.mark.parametrize(
    ("served", "opens"),
    [(None, True), ({"dmz"}, True), ({"dmz", "default"}, True), ({"default"}, False), (set(), False)],
)
def test_a_credential_opens_only_in_the_pools_that_it_names(folder: Path, served: set[str] | None, opens: bool) -> None:
    pools = None if served is None else lambda: frozenset(served)
    secrets = Secrets(folder, {}, pools)
    given = spec(pools=["dmz", "lab"], **{"from": {"file": "db"}})
    if opens:
        assert secrets.open("db", given).get("value") == SECRET
    else:
        with pytest.raises(Sealed, match="dmz, lab"):
            secrets.open("db", given)


@pytest.mark.parametrize(
    ("pool", "opens"), [("dmz", True), ("lab", True), (None, True), ("default", False), ("", False)]
)
@pytest.mark.parametrize("served", [None, {"dmz", "default"}])
def test_a_credential_opens_only_for_work_of_the_pools_that_it_names(
    pool: str | None, opens: bool, served: set[str] | None
) -> None:
    """Whatever other pools the runner serves: one process may serve all of them."""
    given = spec(pools=["dmz", "lab"], **{"from": {"env": "OPSCONDUCTOR_SECRET_DB"}})
    pools = None if served is None else lambda: frozenset(served)
    if opens:
        secrets = Secrets(None, {"OPSCONDUCTOR_SECRET_DB": SECRET}, pools)
        assert secrets.open("db", given, pool=pool).get("value") == SECRET
    else:
        with pytest.raises(Sealed, match=f"by pool '{pool}', which this is for: it names the pools dmz, lab"):
            Secrets(None, Untouched(), pools).open("db", given, pool=pool)


WEB_ONLY = {"allowedFor": {"matchLabels": {"team": "web"}}, "from": {"env": "OPSCONDUCTOR_SECRET_DB"}}


class Untouched(dict[str, str]):
    """Variables of which none may be looked at."""

    def __getitem__(self, name: str) -> str:
        raise AssertionError(f"{name} was read")

    def __contains__(self, name: object) -> bool:
        raise AssertionError(f"{name} was looked for")


@pytest.mark.parametrize(("labels", "shown"), [({}, "none"), ({"team": "db", "env": "lab"}, "env=lab, team=db")])
def test_a_job_that_it_is_not_for_is_refused_before_anything_is_read(labels: dict[str, str], shown: str) -> None:
    with pytest.raises(Sealed, match=rf"'db' is not allowed for this job: .* \({shown}\); give the job the labels"):
        Secrets(None, Untouched()).open("db", spec(**WEB_ONLY), labels=labels)


def test_a_job_that_it_is_for_may_use_it() -> None:
    secrets = Secrets(None, {"OPSCONDUCTOR_SECRET_DB": SECRET})
    assert secrets.open("db", spec(**WEB_ONLY), labels={"team": "web", "env": "lab"}).get("value") == SECRET


@pytest.mark.parametrize("text", ["", "\n", "abc\n", "a  \n", "   \n", "\n" * 6])
def test_a_secret_too_short_to_be_masked_stays_closed(folder: Path, text: str) -> None:
    (folder / "short").write_text(text)
    with pytest.raises(Sealed, match="shorter than 4 characters, too short") as refused:
        Secrets(folder, {}).open("short", spec(**{"from": {"file": "short"}}))
    assert "abc" not in str(refused.value)


def test_secrets_do_not_show_when_printed(folder: Path) -> None:
    secrets = Secrets(folder, {"OPSCONDUCTOR_SECRET_DB": SECRET})
    opened = secrets.open("db", spec(**{"from": {"file": "db"}}))
    of_variable = secrets.open("db", spec(**{"from": {"env": "OPSCONDUCTOR_SECRET_DB"}}))
    assert SECRET not in f"{secrets!r} {opened!r} {opened} {of_variable!r}"
