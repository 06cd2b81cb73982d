"""Findings as JUnit XML: a suite for each file, a case for each finding, for every CI that shows test results."""

from collections import Counter
from xml.etree import ElementTree as Xml

from opsconductor.report.facts import Place, Report, message_of, path_of, printable
from schemas.diagnostic import Diagnostic
from schemas.span import start_of


def show(report: Report, place: Place = "") -> str:
    """Errors are failures; a warning is a case that passes and says so; a file without findings is a case that passes.

    Names of cases hold no lines: a service compares them with those of the run before.
    """
    root = Xml.Element("testsuites", name="opsconductor validate")
    suites: dict[str, list[Diagnostic]] = {}
    for finding in report.findings:
        suites.setdefault(path_of(finding.span, place), []).append(finding)
    for file in sorted({authored.file for authored in report.compiled.definitions}):
        suites.setdefault(path_of(start_of(file), place), [])
    for path, findings in suites.items():
        failures = sum(finding.severity == "error" for finding in findings)
        counts = {"tests": str(len(findings) or 1), "failures": str(failures), "errors": "0", "skipped": "0"}
        suite = Xml.SubElement(root, "testsuite", {"name": path, **counts})
        if not findings:
            Xml.SubElement(suite, "testcase", _case("valid", path))
        seen: Counter[str] = Counter()
        for finding in findings:
            _finding(suite, finding, path, seen)
        if findings and printable(findings[0].span.file) in report.truncated:
            Xml.SubElement(suite, "system-err").text = report.more
    for count in ("tests", "failures"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _finding(suite: Xml.Element, finding: Diagnostic, path: str, seen: Counter[str]) -> None:
    name = f"{finding.code} {message_of(finding).partition(chr(10))[0]}"
    seen[name] += 1
    case = Xml.SubElement(suite, "testcase", _case(name if seen[name] == 1 else f"{name} ({seen[name]})", path))
    span = finding.span
    where = f"{path}:{span.line}:{span.column}: {finding.code} {message_of(finding)}"
    if finding.severity == "error":
        failure = {"message": message_of(finding).partition("\n")[0], "type": finding.code}
        Xml.SubElement(case, "failure", failure).text = where
    else:
        Xml.SubElement(case, "system-out").text = f"warning: {where}"


def _case(name: str, path: str) -> dict[str, str]:
    return {"name": name, "classname": path, "file": path, "time": "0"}
