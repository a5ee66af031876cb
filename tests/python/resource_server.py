"""A resource server that refuses what the provider took back, and asks it nothing per request.

    CLIENT_SECRET=… python3 resource_server.py --issuer URL --audience A --client-id ID --port N [--poll]

`GET /` with a bearer token: 200 `{"sub":…}`, 401 (RFC 6750 section 3), or 503 while too little is known. `GET /status`: `{fresh, age_ms, seq,
entries}`. On standard output one line `listening` once bound, and one line `fresh` when fresh for the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Optional

from keys import Refused
from receiver import NotFresh, Receiver

BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750 section 2.1, RFC 9110 section 11.1


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/status":
            self._answer(200, self.server.receiver.status())
        elif self.path == "/":
            self._protected()
        else:
            self._answer(404, {"error": "not_found"})

    def _protected(self) -> None:
        given = self.headers.get_all("Authorization") or []
        match = BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        if match is None:
            self._challenge(400 if len(given) > 1 else 401, "invalid_request" if len(given) > 1 else None)
            return
        try:
            claims = self.server.receiver.check(match.group(1))
        except Refused as refused:
            self._challenge(401, "invalid_token", refused.reason)
        except NotFresh:
            self._answer(503, {"error": "temporarily_unavailable"}, {"Retry-After": "1"})
        else:
            self._answer(200, {"sub": claims["sub"]})

    def _challenge(self, status: int, error: Optional[str], reason: str = "") -> None:
        """RFC 6750 section 3: without a token no error code. `reason` is one of our own words, never the token's."""
        parameters = 'Bearer realm="resource"' + (f', error="{error}"' if error else "")
        parameters += f', error_description="{reason}"' if reason else ""
        self._answer(status, {"error": error or "unauthorized"}, {"WWW-Authenticate": parameters})

    def _answer(self, status: int, content: Dict[str, Any], headers: Optional[Dict[str, str]] = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: a token must not reach a log."""


def main() -> None:
    parser = argparse.ArgumentParser(description="A resource server that follows the revocation feed.")
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--audience", required=True)
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--poll", action="store_true", help="ask again and again instead of holding a stream")
    given = parser.parse_args()
    secret = os.environ.get("CLIENT_SECRET")
    if not secret:
        sys.exit("CLIENT_SECRET is not set")
    announce = lambda: print("fresh", flush=True)  # noqa: E731
    receiver = Receiver(given.issuer, given.audience, given.client_id, secret, poll=given.poll, on_fresh=announce)
    with Server(given.port, receiver) as server:
        print("listening", flush=True)
        receiver.start()
        server.serve_forever()


if __name__ == "__main__":
    main()
