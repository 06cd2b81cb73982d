"""What we call SARIF is SARIF, by the schema of the standard."""

import json
from pathlib import Path

import jsonschema
import pytest

from opsconductor.checking.validation import validate_paths
from opsconductor.report import shown
from schemas.codes import CODES
from tests import node_programs

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_findings_of_many_codes_are_sarif(tmp_path: Path) -> None:
    """The documents are the wrong examples of all code pages; the second place is that of a key given twice."""
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text("apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: x}\n")
    for code in CODES:
        wrong = (ROOT / CODES[code].page).read_text().partition("## Wrong")[2].partition("```yaml\n")[2]
        (tmp_path / "definitions" / f"{code} é.yaml").write_text(wrong.partition("```")[0])
    (tmp_path / "definitions" / "twice.yaml").write_text("a: 1\na: 2\n")
    path = node_programs.module("@microsoft/jest-sarif") / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json"
    schema = json.loads(path.read_text())
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)

    log = json.loads(shown(validate_paths(tmp_path), "sarif"))

    assert len({result["ruleId"] for result in log["runs"][0]["results"]}) > 30
    assert any("relatedLocations" in result for result in log["runs"][0]["results"])
    judge = validator(schema, format_checker=validator.FORMAT_CHECKER)
    assert [error.message for error in judge.iter_errors(log)] == []
    assert list(judge.iter_errors({**log, "version": "2.0"}))
