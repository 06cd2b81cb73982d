"""Traces of a running engine, as a receiver of OTLP gets them."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.acceptance.site import Site, job

PAIR = job("pair", "- {id: talk, run: echo a word that no span holds}\n- {id: fall, run: exit 3}")


@dataclass
class Collector:
    """What came, in whatever order."""

    url: str
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    bodies: bytes = b""

    def took(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies += body
        for resource in request.resource_spans:
            self.services |= {
                one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
            }
            self.spans += [one for scope in resource.scope_spans for one in scope.spans]

    def named(self, name: str) -> Span:
        (found,) = [one for one in self.spans if one.name == name]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            found.took(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_run_is_a_trace_of_its_targets_and_steps(site: Any, collector: Collector) -> None:
    made: Site = site({"pair.yaml": PAIR})
    engine = made.up("--log-format", "json", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    made.asked("first", "jobRef: pair")
    assert engine.stop() == 0

    run, target = collector.named("run pair"), collector.named("target here")
    talk, fall = collector.named("step talk"), collector.named("step fall")
    assert (target.parent_span_id, talk.parent_span_id) == (run.span_id, target.span_id)
    assert {one.trace_id for one in (run, target, talk, fall)} == {run.trace_id}
    (known,) = made.runs("pair")
    found = attributes(run)
    assert found["opsconductor.run"] == known["metadata"]["name"]
    assert (found["opsconductor.commit"], found["opsconductor.state"]) == (made.head("main"), "failed")
    assert (talk.status.code, fall.status.code) == (Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR)
    assert run.start_time_unix_nano <= talk.start_time_unix_nano <= talk.end_time_unix_nano <= fall.start_time_unix_nano
    assert any(one.name == "reconcile" for one in collector.spans)
    assert collector.services == {"opsconductor"}
    assert b"no span holds" not in collector.bodies
    for line in engine.stderr.splitlines():
        json.loads(line)


def test_a_receiver_that_is_away_holds_nothing_up(site: Any) -> None:
    made: Site = site({"pair.yaml": PAIR})
    engine = made.up(
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:password@127.0.0.1:9", "OTEL_SERVICE_NAME": "ours"}
    )
    made.asked("first", "jobRef: pair")
    assert engine.stop() == 0
    assert "Traceback" not in engine.stderr and "password" not in engine.stderr


def test_without_a_word_there_are_no_traces(site: Any, collector: Collector) -> None:
    made: Site = site({"pair.yaml": PAIR})
    for told in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true"}):
        engine = made.up(env=told)
        assert engine.stop() == 0
        assert "traces are sent" not in engine.stderr
    engine = made.up(env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert engine.stop() == 0
    assert "there are no traces" in engine.stderr
    assert collector.spans == []
