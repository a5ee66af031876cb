"""A provider for the tests: keys, signed messages and tokens, and a loopback server that says what a test puts in its queues."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Optional
from urllib.parse import parse_qs, urlsplit

from joserfc import jwk, jws

AUDIENCE = "https://api.example.com"
NOW = 1_767_225_600  # seconds, the provider's time at the start of every test
END = None  # in `Provider.stream`: end the connection


class Provider:
    """Signs. `issuer` is replaced by that of the server, if there is one."""

    def __init__(self) -> None:
        self.issuer = "https://login.example.com"
        self.keys: Dict[str, Any] = {}
        self.algs: Dict[str, str] = {}
        self.published: List[str] = []
        self.add("feed-1", "ES256")

    def add(self, kid: str, alg: str) -> None:
        self.keys[kid] = jwk.generate_key("EC", "P-256") if alg == "ES256" else jwk.generate_key("RSA", 2048)
        self.algs[kid] = alg
        self.published.append(kid)

    def jwks(self) -> Dict[str, Any]:
        public = [(kid, self.keys[kid].as_dict(private=False)) for kid in self.published]
        return {"keys": [{**key, "kid": kid, "alg": self.algs[kid], "use": "sig"} for kid, key in public]}

    def sign(self, payload: Dict[str, Any], header: Dict[str, Any], key: Any = None) -> str:
        key = self.keys[header["kid"]] if key is None else key
        registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jws.serialize_compact(header, json.dumps(payload).encode(), key, registry=registry)

    def payload(self, start: int, seq: int, **members: Any) -> Dict[str, Any]:
        clock = {"clock": "C"} if "at" in members else {}
        return {"iss": self.issuer, "aud": [AUDIENCE], "iat": NOW, "log": "L", "from": start, "seq": seq, **clock, **members}

    def message(self, payload: Dict[str, Any], kid: str = "feed-1", **header: Any) -> str:
        return self.sign(payload, {"alg": "ES256", "typ": "revocations+jwt", "kid": kid, **header})

    def token(self, kid: str = "feed-1", typ: str = "at+jwt", leave_out: str = "", **claims: Any) -> str:
        payload = {
            "iss": self.issuer, "sub": "ada", "aud": [AUDIENCE], "exp": NOW + 600, "iat": NOW - 5, "nbf": NOW - 5, "jti": "j1",
            "client_id": "shop", "sid": "s1", **claims,
        }
        payload.pop(leave_out, None)
        return self.sign(payload, {"alg": self.algs[kid], "typ": typ, "kid": kid})


class Server:
    """The provider on a port of its own. A test puts payloads into `stream` (or `END`) and `polls`; requests come out of `requests`."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.stream: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue()
        self.requests: "queue.Queue[Dict[str, str]]" = queue.Queue()
        self.jwks_fetches = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        provider.issuer = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.stream.put(END)
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        issuer = self.provider.issuer
        if parts.path == "/.well-known/openid-configuration":
            self._send(request, "application/json", json.dumps({
                "issuer": issuer, "jwks_uri": issuer + "/jwks", "revocation_feed_signing_alg_values_supported": ["ES256"],
                "revocation_feed_endpoint": issuer + "/feed", "revocation_stream_endpoint": issuer + "/stream",
            }))
        elif parts.path == "/jwks":
            self.jwks_fetches += 1
            self._send(request, "application/json", json.dumps(self.provider.jwks()))
        else:
            self.requests.put({**query, "path": parts.path, "authorization": request.headers["Authorization"]})
            self._feed(request, query["nonce"], parts.path == "/stream")

    def _feed(self, request: BaseHTTPRequestHandler, nonce: str, is_stream: bool) -> None:
        first = True
        if is_stream:
            request.close_connection = True
            request.send_response(200)
            request.send_header("Content-Type", "text/event-stream")
            request.end_headers()
            request.wfile.write(b"retry: 250\n\n")
        while True:
            payload = self.stream.get()
            if payload is None:
                request.close_connection = True
                return
            kid = payload.pop("kid", "feed-1")
            members = {**payload, "iss": self.provider.issuer}
            if first and "at" in payload:
                members.setdefault("nonce", nonce)
                first = False
            compact = self.provider.message(members, kid)
            if not is_stream:
                self._send(request, "application/jwt", compact)
                return
            request.wfile.write(f"id: L:{payload['seq']}\nevent: revocations\ndata: {compact}\n\n".encode())

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, kind: str, text: str) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())
