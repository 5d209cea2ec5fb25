"""Spans of the line's stages reach a collector that speaks OTLP over HTTP, in the trace of the caller."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.journeys.service import EXAMPLES, Service
from tests.serving import serve

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        self.server.spans += [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def collector():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.spans = []
    serve(server)
    yield server
    server.shutdown()
    server.server_close()


def test_every_stage_is_a_span_of_the_caller_s_trace(collector, tmp_path):
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
    service = Service(tmp_path / "home", GOVERNANCE_OTLP_ENDPOINT=endpoint).start()
    try:
        with service.client("service") as client:
            headers = {"traceparent": f"00-{trace}-{parent}-01"}
            assert client.post("/v1/decisions", json=CALL, headers=headers).status_code == 200
        wanted = {"governance.request", "governance.enrich", "governance.decide", "governance.record"}

        def ours() -> dict[str, object]:
            return {span.name: span for span in collector.spans if span.trace_id.hex() == trace}

        service.wait_until(lambda: wanted <= set(ours()), 30)
        spans = ours()
        assert spans["governance.request"].parent_span_id.hex() == parent
        request = spans["governance.request"].span_id
        assert all(spans[name].parent_span_id == request for name in wanted - {"governance.request"})
    finally:
        service.stop()
