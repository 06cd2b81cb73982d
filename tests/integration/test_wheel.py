"""The wheel holds what the program reads at run time, and nothing but the program."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from opsconductor.ci import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_wheel_holds_samples_and_code_pages(tmp_path: Path) -> None:
    """Built with the locked backend, without a network."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("opsconductor-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    samples = {str(path.relative_to(ROOT)) for path in (ROOT / "definitions").rglob("*.yaml")}
    pages = {f"opsconductor/pages/codes/{path.name}" for path in (ROOT / "docs" / "codes").glob("OC*.md")}
    assert samples and samples <= names
    assert pages and pages <= names
    assert {f"opsconductor/ci/{provider}.yaml" for provider in PROVIDERS} <= names
    assert not [name for name in names if name.startswith(("tests/", "tools/", "docs/", "."))]
