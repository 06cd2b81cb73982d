"""When there are traces, and what is said where there cannot be any."""

import sys

import pytest
from structlog.testing import capture_logs

from opsconductor import traces

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (HERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        (HERE | {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (HERE | {"OTEL_TRACES_EXPORTER": ""}, True),
        (HERE | {"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        (HERE | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (HERE | {"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_SERVICE_NAME": "ours"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_traces_are_asked_for_by_the_usual_variables(environment: dict[str, str], wanted: bool) -> None:
    assert traces.wanted(environment) is wanted


def test_a_missing_extra_is_said_and_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with capture_logs() as said:
        assert traces.begin(HERE) is None
    assert [one["hint"] for one in said] == ["pip install 'opsconductor[otel]'"]
