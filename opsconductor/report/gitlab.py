"""Findings as a Code Quality report: GitLab shows them in the merge request's widget and beside its lines."""

import json

from opsconductor.report.facts import Place, Report, message_of, path_of
from opsconductor.report.fingerprints import fingerprints
from schemas.diagnostic import Diagnostic


def show(report: Report, place: Place = "") -> str:
    """A JSON array, one entry a finding."""
    names = fingerprints(report, place)
    entries = [
        {
            "description": message_of(finding),
            "check_name": finding.code,
            "fingerprint": name,
            "severity": _severity(finding),
            "location": {
                "path": path_of(finding.span, place),
                "lines": {"begin": finding.span.line, "end": finding.span.end_line},
            },
        }
        for finding, name in zip(report.findings, names, strict=True)
    ]
    return json.dumps(entries, indent=1, ensure_ascii=False)


def _severity(finding: Diagnostic) -> str:
    """One of GitLab's info, minor, major, critical, blocker. Codes 6xx are about security."""
    if finding.severity == "warning":
        return "minor"
    return "critical" if finding.code.startswith("OC6") else "major"
