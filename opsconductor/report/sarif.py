"""Findings as SARIF 2.1.0 (OASIS): for code scanning and for the viewers of many editors."""

import json
import re
from typing import Any
from urllib.parse import quote

from opsconductor import __version__
from opsconductor.reference import explain_code
from opsconductor.report.facts import Place, Report, message_of, path_of, printable, title_of
from opsconductor.report.fingerprints import fingerprints
from schemas.diagnostic import Diagnostic, foremost
from schemas.span import Span

MOST = 25_000
"""So many results may one run have at GitHub, which refuses a file with more as a whole."""
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_WORD = re.compile(r"[A-Za-z0-9]+")


def show(report: Report, place: Place = "") -> str:
    """One log with one run. Rules are the codes that were found, with their pages as help."""
    rules = {code: index for index, code in enumerate(sorted({finding.code for finding in report.findings}))}
    shown = frozenset(foremost(report.findings, MOST))
    named = [one for one in zip(report.findings, fingerprints(report, place), strict=True) if one[0] in shown]
    run = {
        "tool": {
            "driver": {
                "name": "OpsConductor",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(code) for code in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": [_result(finding, name, rules[finding.code], place) for finding, name in named],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    title, page = title_of(code), explain_code(code) or code
    return {
        "id": code,
        "name": "".join(word[0].upper() + word[1:] for word in _WORD.findall(title) if word not in ("A", "An", "The")),
        "shortDescription": {"text": title},
        "fullDescription": {"text": _first_paragraph(page) or title},
        "help": {"text": page, "markdown": page},
        "properties": {"tags": ["security" if code.startswith("OC6") else "correctness"]},
    }


def _first_paragraph(page: str) -> str:
    body = page.partition("\n")[2].strip()
    return " ".join(body.partition("\n\n")[0].split())


def _invocation(report: Report) -> dict[str, Any]:
    more = len(report.findings) - MOST
    notes = [report.more] if report.more else []
    notes += [f"{more:,} more findings are not in this file"] if more > 0 else []
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if notes:
        told = [{"level": "warning", "message": {"text": _plain(note)}} for note in notes]
        invocation["toolExecutionNotifications"] = told
    return invocation


def _result(finding: Diagnostic, fingerprint: str, rule: int, place: Place) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": _plain(message_of(finding))},
        "locations": [_location(path_of(finding.span, place), finding.span)],
        "partialFingerprints": {"opsconductorFinding/v1": fingerprint},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(path_of(other.span, place), other.span),
             "message": {"text": _plain(printable(other.message))}}
            for number, other in enumerate(finding.related, 1)
        ]  # fmt: skip
    return result


def _location(path: str, span: Span) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path, errors="replace"), "uriBaseId": "%SRCROOT%"},
            "region": {
                "startLine": span.line,
                "startColumn": span.column,
                "endLine": span.end_line,
                "endColumn": span.end_column,
            },
        }
    }


def _plain(text: str) -> str:
    """Text in which a viewer finds no link (SARIF 3.11.6): a document must not put one into somebody's report."""
    return re.sub(r"[\[\]\\]", r"\\\g<0>", text) if "](" in text else text
