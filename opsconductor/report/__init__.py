"""Findings as people and programs read them. The facts are the same; only the display differs."""

from collections.abc import Callable
from importlib import import_module

from opsconductor.report.facts import Place, Report, as_json, finding_as_data
from opsconductor.report.text import as_text

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")

__all__ = ["FORMATS", "Place", "Report", "as_json", "as_text", "finding_as_data", "shown"]


def shown(report: Report, form: str, place: Place = "") -> str:
    """The report in one of FORMATS, findings in the same order in all of them. Raises KeyError for another name.

    `place` leads from the root of the checkout to the folder with the Project; the formats that CI reads need it.
    """
    if form not in FORMATS:
        raise KeyError(form)
    if form == "text":
        return as_text(report)
    if form == "json":
        return as_json(report)
    # Only what is asked for is loaded: `validate` starts on every commit.
    show: Callable[[Report, Place], str] = import_module(f"opsconductor.report.{form}").show
    return show(report, place)
