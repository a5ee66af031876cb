"""HTTP for the receiver, by the standard library: one request at a time, no redirects, and server-sent events."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote_plus, urlsplit

MAX_BODY = 8 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class BadAnswer(Exception):
    """The provider answered with something else than what was asked for."""

    def __init__(self, text: str, retry_after: float = 0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def connect(url: str, timeout: float) -> http.client.HTTPConnection:
    """A connection that is established, TLS included: so `sent` can be noted afterwards, just before the request goes out."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    elif parts.scheme == "http" and parts.hostname in LOOPBACK:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    else:
        raise BadAnswer(f"neither https nor loopback: {url}")
    connection.connect()
    return connection


def target(url: str, query: str = "") -> str:
    """The request target of a URL, with more parameters (RFC 6749 section 3.2: the URL may have a query of its own)."""
    parts = urlsplit(url)
    both = "&".join(part for part in (parts.query, query) if part)
    return (parts.path or "/") + ("?" + both if both else "")


def basic(client_id: str, secret: str) -> str:
    """`client_secret_basic`: RFC 6749 section 2.3.1 form-encodes both halves first."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def expect(response: http.client.HTTPResponse, content_type: str) -> None:
    """Status 200 and this media type, or `BadAnswer`."""
    if response.status != 200:
        wait = response.getheader("Retry-After", "")
        raise BadAnswer(f"status {response.status}", float(wait) if wait.isascii() and wait.isdigit() else 0)
    kind = response.getheader("Content-Type", "").split(";")[0].strip().lower()
    if kind != content_type:
        raise BadAnswer(f"Content-Type {kind!r}")


def body(response: http.client.HTTPResponse) -> bytes:
    data = response.read(MAX_BODY + 1)
    if len(data) > MAX_BODY:
        raise BadAnswer("too long")
    return data


def get_json(url: str, timeout: float) -> Any:
    connection = connect(url, timeout)
    try:
        connection.request("GET", target(url), headers={"Accept": "application/json", "Cache-Control": "no-cache"})
        response = connection.getresponse()
        if response.status != 200:
            raise BadAnswer(f"status {response.status} from {url}")
        return json.loads(body(response))
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{url}: {error}") from None
    finally:
        connection.close()


def endpoints(metadata: Any, issuer: str) -> Mapping[str, str]:
    """"Endpoints", and RFC 8414 section 3.3: the metadata must be of this issuer."""
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise BadAnswer("the metadata is not this issuer's")
    if "ES256" not in (metadata.get("revocation_feed_signing_alg_values_supported") or ()):
        raise BadAnswer("no revocation feed that is signed with ES256")
    names = ("jwks_uri", "revocation_feed_endpoint", "revocation_stream_endpoint")
    found: Dict[str, str] = {name: metadata[name] for name in names if isinstance(metadata.get(name), str)}
    if len(found) != len(names):
        raise BadAnswer("the metadata lacks an endpoint")
    return found


class Events:
    """A parser of server-sent events, as far as the feed needs it: `event` and `data`."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._event = ""
        self._data: Optional[List[str]] = None

    def feed(self, chunk: bytes) -> List[Tuple[str, str]]:
        """The events that this chunk completes, as (event, data)."""
        done: List[Tuple[str, str]] = []
        self._pending += chunk
        if len(self._pending) > MAX_BODY:
            raise BadAnswer("an event is too long")
        if b"\n" not in chunk:
            return done
        *lines, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest)
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if line:
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "event":
                    self._event = value
                elif name == "data":
                    self._data = (self._data or []) + [value]
                continue
            if self._data is not None:
                done.append((self._event or "message", "\n".join(self._data)))
            self._event, self._data = "", None
        return done
