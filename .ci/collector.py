# SPDX-License-Identifier: Apache-2.0
"""A collector of traces: takes OTLP over HTTP, and writes one line of JSON per span.

usage: collector.py FILE       prints the port it listens on
"""
import http.server
import json
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces", self.path
        assert self.headers["Content-Type"] == "application/x-protobuf", self.headers
        request = ExportTraceServiceRequest.FromString(body)
        with open(sys.argv[1], "a") as file:
            for resource in request.resource_spans:
                service = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        value = lambda one: getattr(one, one.WhichOneof("value"))
                        print(json.dumps({
                            "service": service["service.name"],
                            "trace": span.trace_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "name": span.name,
                            **{one.key: str(value(one.value)) for one in span.attributes},
                        }), file=file, flush=True)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
