#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hostile mirror: passes a registry on, and changes one bit of one blob.

Usage: flip.py REGISTRY DIGEST; prints its own address on the first line.
"""
import http.client
import http.server
import sys

registry, digest = sys.argv[1:]
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Mirror(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        upstream = http.client.HTTPConnection(registry, timeout=20)
        upstream.request(self.command, self.path, headers=dict(self.headers))
        answer = upstream.getresponse()
        body = bytearray(answer.read())
        if self.path.endswith(f"/blobs/{digest}") and body:
            body[len(body) // 2] ^= 1
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        length = answer.getheader("content-length") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(body)
            except ConnectionError:  # who has seen enough hangs up
                self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
print(f"127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
