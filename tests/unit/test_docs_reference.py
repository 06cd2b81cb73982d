"""The committed reference is what the models say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date(tmp_path: Path) -> None:
    """`make docs` writes it; whoever changes a model commits the page."""
    subprocess.run([sys.executable, "-m", "opsconductor.reference", str(tmp_path)], check=True, timeout=60)
    written = {page.relative_to(tmp_path): page.read_text() for page in tmp_path.rglob("*") if page.is_file()}
    committed = {name: (ROOT / "docs" / "reference" / name).read_text() for name in written}
    assert committed == written
