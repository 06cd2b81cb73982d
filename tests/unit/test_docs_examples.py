"""Every `yaml` block of the documentation is made of whole documents, and valid on top of the sample `hello`."""

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from opsconductor.checking.validation import validate_paths

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_SEPARATOR = re.compile(r"^---\n", re.MULTILINE)


def written_by_hand() -> list[Path]:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for folder in ("how-to", "explanation", "adr"):
        pages += (ROOT / "docs" / folder).glob("*.md")
    return sorted(page for page in pages if _BLOCK.search(page.read_text()))


def documents(text: str) -> dict[str, str]:
    """Each document of a file by its identity."""
    found = {}
    for part in _SEPARATOR.split(text):
        data = yaml.safe_load(part)
        found[f"{data['kind']}-{data['metadata']['name']}"] = part
    return found


def sample() -> dict[str, str]:
    folder = ROOT / "definitions" / "hello" / "definitions"
    return {name: part for file in folder.rglob("*.yaml") for name, part in documents(file.read_text()).items()}


@pytest.mark.parametrize("page", written_by_hand(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_documents_of_a_page_are_valid(page: Path, tmp_path: Path) -> None:
    """Documents of the page take the place of those of the sample that have the same name."""
    blocks = [textwrap.dedent(body) for _, body in _BLOCK.findall(page.read_text())]
    all_documents = sample()
    for block in blocks:
        all_documents |= documents(block)
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_bytes((ROOT / "definitions/hello/opsconductor.yaml").read_bytes())
    for name, text in all_documents.items():
        (tmp_path / "definitions" / f"{name}.yaml").write_text(text)

    report = validate_paths(tmp_path)

    # OC902: a page may tell of what this version checks and does not act on yet. OC509: its files lie elsewhere.
    told = [one for one in report.findings if one.code not in ("OC509", "OC902")]
    assert [f"{one.span}: {one.code} {one.message}" for one in told] == []
    assert report.documents == len(all_documents) + 1
