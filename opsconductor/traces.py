"""Traces for OpenTelemetry: a span for each run, target, step and pass, to where the OTEL_* variables say.

Off unless they name an endpoint, and without the extra `opsconductor[otel]`. No span holds what a step printed.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import structlog

from journal import spans
from journal.spans import Ended, Facts

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_NAMED = {"run": "job", "target": "target", "step": "step", "git": "operation"}
"""The fact that tells spans of one kind apart by their names."""
_TOLD = frozenset({"run", "target", "step", "reconcile", "git"})
_BAD = frozenset({"failed", "timedOut", "unknown", "unreachable"})


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces, as the specification of OpenTelemetry reads them."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    # An empty variable is as none, and there may be a list of exporters, of which we have one.
    exporters = [one.strip() for one in (environment.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    return "otlp" in exporters and any(map(environment.get, ENDPOINTS))


def begin(environment: Mapping[str, str]) -> Callable[[], None] | None:
    """Trace from now on; gives what sends the rest and ends it, which may take some seconds. None: no traces."""
    if not wanted(environment):
        return None
    protocol = next(filter(None, map(environment.get, _PROTOCOLS)), _PROTOCOL)
    if protocol != _PROTOCOL:
        log.warning("there are no traces: this exporter speaks another protocol", asked=protocol, speaks=_PROTOCOL)
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("there are no traces: the extra is not installed", hint="pip install 'opsconductor[otel]'")
        return None
    known = {"service.version": version("opsconductor")}
    if not environment.get("OTEL_SERVICE_NAME") and "service.name" not in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        known["service.name"] = "opsconductor"
    provider = TracerProvider(resource=Resource.create(known), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    unwatch = spans.watch(_watcher(provider.get_tracer("opsconductor", known["service.version"])))
    endpoint = environment.get(ENDPOINTS[1]) or environment.get(ENDPOINTS[0])
    log.info("traces are sent", to=urlsplit(endpoint or "").hostname)  # a URL may hold a password

    def end() -> None:
        unwatch()
        provider.shutdown()

    return end


def _watcher(tracer: Any) -> Callable[[str, Facts], Ended]:
    from opentelemetry import context, trace

    def watch(name: str, facts: Facts) -> Ended:
        if name not in _TOLD or facts.get("operation") == "poll":  # that goes on all the time
            return _untold
        own = tracer.start_span(_title(name, facts), attributes=_attributes(facts))
        # A span begins and ends in one task, so what it is in is that task's alone.
        token = context.attach(trace.set_span_in_context(own))

        def ended(error: BaseException | None, noted: Facts) -> None:
            context.detach(token)
            own.set_attributes(_attributes(noted))
            if error is not None or noted.get("state") in _BAD:
                said = type(error).__name__ if error is not None else noted["state"]
                own.set_status(trace.StatusCode.ERROR, said)
            own.end()

        return ended

    return watch


def _untold(_: BaseException | None, __: Facts) -> None:
    """Of a span that is not traced."""


def _title(name: str, facts: Facts) -> str:
    told = facts.get(_NAMED.get(name, ""))
    return f"{name} {told}" if told else name


def _attributes(facts: Facts) -> dict[str, Any]:
    return {f"opsconductor.{key}": value for key, value in facts.items() if value is not None}
