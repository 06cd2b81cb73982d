"""Which time zone data are used: the locked package, unless an operator says otherwise."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import tzdata

from engine.times import zones
from engine.times.zones import Source

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
from datetime import UTC, datetime
from engine.times import zones
source = zones.source()
offset = datetime(2026, 7, 1, tzinfo=UTC).astimezone(zones.zone("Europe/Chisinau")).utcoffset()
print(json.dumps([source.to_json(), offset.total_seconds(), sorted(zones.names())[0]]))
"""


def seen(path: str | None, program: str = PROGRAM) -> list[object]:
    """What a process with this PYTHONTZPATH says."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONTZPATH"}
    if path is not None:
        environment["PYTHONTZPATH"] = path
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
        cwd=ROOT,
    )
    result: list[object] = json.loads(done.stdout)
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of zones that says that Chişinău is in Tokyo."""
    here = tmp_path / "zoneinfo"
    (here / "Europe").mkdir(parents=True)
    (here / "Europe/Chisinau").write_bytes((files(tzdata) / "zoneinfo" / "Asia" / "Tokyo").read_bytes())
    (here / "tzdata.zi").write_text("# version 1999z\nR A 1\n")
    return here


def test_the_package_wins_over_the_systems_data() -> None:
    assert seen(None) == [
        {"version": tzdata.IANA_VERSION, "origin": "package", "folders": []},
        3 * 3600,
        "Africa/Abidjan",
    ]


def test_an_operators_path_wins_and_is_said(folder: Path) -> None:
    found, offset, _ = seen(str(folder))
    assert found == {"version": "1999z", "origin": "path", "folders": [str(folder)]}
    assert offset == 9 * 3600


def test_what_the_path_lacks_comes_from_the_package(folder: Path) -> None:
    program = "import json; from engine.times import zones; print(json.dumps([str(zones.zone('Asia/Tokyo'))]))"
    assert seen(str(folder), program) == ["Asia/Tokyo"]


def test_an_empty_path_is_the_package() -> None:
    found, *_ = seen("")
    assert found == {"version": tzdata.IANA_VERSION, "origin": "package", "folders": []}


def test_without_the_package_it_is_the_systems_and_said() -> None:
    """As some distributions have it: they drop the package and rely on the machine's folders."""
    program = (
        "import json, sys; sys.modules['tzdata'] = None\n"
        "from engine.times import zones\n"
        "print(json.dumps([zones.source().to_json()]))\n"
    )
    found, *_ = seen(None, program)
    assert isinstance(found, dict) and found["origin"] == "system"


def test_data_that_do_not_say_their_version_have_none(folder: Path) -> None:
    (folder / "tzdata.zi").unlink()
    found, *_ = seen(str(folder))
    assert isinstance(found, dict) and found["version"] is None


def test_each_name_of_the_list_is_a_zone() -> None:
    assert zones.source().origin == "package"
    assert {str(zones.zone(name)) for name in zones.names()} == zones.names()
    assert {"UTC", "Europe/Chisinau", "Etc/GMT+3"} <= zones.names()


def test_the_source_as_people_read_it() -> None:
    assert Source("package", "2026f").text == "2026f (package tzdata)"
    assert Source("path", None, ("/a", "/b")).text == "unknown version (PYTHONTZPATH: /a:/b)"
    assert "package tzdata is missing" in Source("system", "2025b", ("/usr/share/zoneinfo",)).text
