"""The receiver of the revocation feed: the state machine of state.py, with a thread that fetches.

`Receiver(...).start()`, then for each request: `check(token)`. What it does is specified in docs/revocation-feed.md; sections are in quotes.
"""

from __future__ import annotations

import http.client
import random
import secrets
import sys
import threading
import time
from typing import Any, Callable, Dict, Mapping, Optional, Tuple
from urllib.parse import urlencode

import transport
from keys import ES256, MAX_MESSAGE_BYTES, Key, Refused, UnknownKey, open_jws, parse_jwks
from state import Connection, State, parse
from tokens import verify

TIMEOUT_S = 3.0
POLL_WAIT_MS = 300  # twice this and two round trips must stay below the limit: `known` is when the last answer was asked for
FEED_KEYS_MS = 1000  # step 1: "at most once a second for the feed"
TOKEN_KEYS_MS = 5000  # what strangers' tokens can cause, together
KEYS_AGE_MS = 600_000
STEADY_MS = 1000  # a connection that lived that long was no failed attempt
FAILURES = (OSError, http.client.HTTPException, transport.BadAnswer)


def clock_ms() -> float:
    """The monotonic clock; on Linux the one that goes on while the machine is suspended, lest old news look fresh after a resume."""
    source = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.clock_gettime(source) if source is not None else time.monotonic()) * 1000


class NotFresh(Exception):
    """The token is good as far as is known, but too little is known to accept it."""


class Backoff:
    """"The stream": after a failed attempt 250 ms, then twice that each time, up to 5 s, with jitter."""

    def __init__(self) -> None:
        self._next = 250.0

    def reset(self) -> None:
        self._next = 250.0

    def delay(self, draw: float) -> float:
        """The next wait in ms; `draw` is from 0 to 1."""
        wait, self._next = self._next, min(self._next * 2, 5000.0)
        return wait * (0.5 + draw / 2)


class Allowance:
    """Something that may be done once per `interval`."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._last: Optional[float] = None

    def take(self, now: float) -> bool:
        if self._last is not None and now - self._last < self.interval:
            return False
        self._last = now
        return True


class Receiver:
    """One resource server's view of what is revoked."""

    def __init__(
        self, issuer: str, audience: str, client_id: str, secret: str, *, poll: bool = False, limit_ms: float = 1000,
        leeway: float = 30, clock: Callable[[], float] = clock_ms, wall: Callable[[], float] = time.time,
        on_fresh: Callable[[], None] = lambda: None,
        log: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self.issuer, self.audience, self.leeway, self.poll = issuer, audience, leeway, poll
        self.clock, self.wall, self.log = clock, wall, log
        self.state = State(issuer, frozenset({audience}), limit_ms)
        self._on_fresh, self._was_fresh = on_fresh, False
        self._authorization = transport.basic(client_id, secret)
        self._endpoints: Optional[Mapping[str, str]] = None
        self._keys: Dict[str, Key] = {}
        self._keys_at: Optional[float] = None
        self._keys_lock = threading.Lock()
        self._feed_allowance, self._token_allowance = Allowance(FEED_KEYS_MS), Allowance(TOKEN_KEYS_MS)
        self._wait = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="revocation-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    # --- What request threads ask.

    def check(self, token: str) -> Dict[str, Any]:
        """"Checking a token": its claims; or `Refused`, or `NotFresh`."""
        now = self.clock()
        fresh = self.state.fresh(now)  # before the look-up
        seconds = self.state.provider_time(now)
        seconds = self.wall() if seconds is None else seconds
        try:
            header, claims = self._verify(token, seconds)
        except UnknownKey as unknown:
            # A key with a `kid` entry is not asked for again.
            if unknown.kid in self.state.revoked_kids or not self._refetch_for_token(now):
                raise
            header, claims = self._verify(token, seconds)
        name = self.state.refusal(header, claims)
        if name is not None:  # right also when not fresh
            raise Refused("revoked", name)
        if not fresh:
            raise NotFresh()
        return claims

    def status(self) -> Dict[str, Any]:
        now = self.clock()
        age = self.state.age(now)
        return {
            "fresh": self.state.fresh(now),
            "age_ms": None if age is None else round(age, 1),
            "seq": self.state.seq,
            "entries": len(self.state.entries),
        }

    def _verify(self, token: str, now: float) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        return verify(token, self._find, self.issuer, self.audience, now, self.leeway, self.state.horizon)

    # --- Keys.

    def _find(self, kid: str) -> Optional[Key]:
        """A key of the JWKS for which no `kid` entry is known (step 1)."""
        return None if kid in self.state.revoked_kids else self._keys.get(kid)

    def _fetch_keys(self) -> None:
        """Replaces the key set: a key that the provider no longer publishes is gone."""
        assert self._endpoints is not None
        document = transport.get_json(self._endpoints["jwks_uri"], TIMEOUT_S)
        try:
            self._keys = parse_jwks(document)
        except Refused as error:
            raise transport.BadAnswer(str(error)) from None
        self._keys_at = self.clock()

    def _refetch_for_token(self, now: float) -> bool:
        with self._keys_lock:
            if self._endpoints is None or not self._token_allowance.take(now):
                return False
        try:
            self._fetch_keys()
        except FAILURES as error:
            self.log(f"key set: {error}")
            return False
        return True

    # --- The thread.

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopped.is_set():
            began, known, retry_after, dropped = self.clock(), self.state.clock, 0.0, False
            try:
                self._prepare()
                self._poll() if self.poll else self._stream()
            except Refused as error:  # a message was dropped: anew, and without a cursor
                self.log(f"message dropped: {error}")
                self.state.begin_anew()
                dropped = True
            except FAILURES as error:
                self.log(f"feed: {error!r}")
                retry_after = getattr(error, "retry_after", 0.0)
            # "Reconnect at once; after a failed attempt wait". Failed: no progress, or (of a stream) over within a second.
            steady = self.state.clock is not known and (self.poll or self.clock() - began >= STEADY_MS)
            if steady:
                backoff.reset()
            if dropped or not steady:
                # A Retry-After counts up to the longest backoff: meanwhile nothing is accepted.
                self._stopped.wait(max(backoff.delay(random.random()), min(retry_after * 1000, 5000)) / 1000)

    def _prepare(self) -> None:
        """"In short", 1; the key set again when it is old."""
        if self._endpoints is None:
            url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            self._endpoints = transport.endpoints(transport.get_json(url, TIMEOUT_S), self.issuer)
        if self._keys_at is None or self.clock() - self._keys_at > KEYS_AGE_MS:
            self._fetch_keys()

    def _open(self, connection: http.client.HTTPConnection, url: str, accept: str, **more: Any) -> Connection:
        """Sends the request on an established connection, and notes when."""
        nonce = secrets.token_urlsafe(24)  # 192 random bits
        cursor = self.state.cursor()
        query = {"nonce": nonce, **more, **({"after": cursor} if cursor else {})}
        link = self.state.open(self.clock(), nonce)
        headers = {"Authorization": self._authorization, "Accept": accept}
        connection.request("GET", transport.target(url, urlencode(query)), headers=headers)
        return link

    def _stream(self) -> None:
        """"The stream": until it ends."""
        assert self._endpoints is not None
        url = self._endpoints["revocation_stream_endpoint"]
        connection = transport.connect(url, TIMEOUT_S)
        try:
            socket = connection.sock
            link = self._open(connection, url, "text/event-stream")
            response = connection.getresponse()
            transport.expect(response, "text/event-stream")
            events = transport.Events()
            while not self._stopped.is_set():
                left = link.left(self.clock())
                if left <= 0:
                    raise TimeoutError("no progress")
                socket.settimeout(left / 1000)
                chunk = response.read1(65536)
                arrived = self.clock()
                if not chunk:
                    return
                for event, data in events.feed(chunk):
                    if event == "revocations":
                        self._message(link, data, arrived)
        finally:
            connection.close()

    def _poll(self) -> None:
        """"The long poll": one request after the other, as long as the connection stays open."""
        assert self._endpoints is not None
        url = self._endpoints["revocation_feed_endpoint"]
        connection = transport.connect(url, TIMEOUT_S)
        try:
            while not self._stopped.is_set():
                link = self._open(connection, url, "application/jwt", wait=self._wait)
                self._wait = 0
                response = connection.getresponse()
                transport.expect(response, "application/jwt")
                compact = transport.body(response).decode("ascii", "replace").strip()
                self._message(link, compact, self.clock())
                self._wait = POLL_WAIT_MS if link.at0 is not None else 0  # "If it has no `at`, ask again at once"
                if response.will_close:
                    return
        finally:
            connection.close()

    def _message(self, link: Connection, compact: str, arrived: float) -> None:
        """"What a receiver does with a message". `Refused` drops it."""
        typ = ("revocations+jwt",)
        try:
            _, payload = open_jws(compact, typ, (ES256,), self._find, MAX_MESSAGE_BYTES)
        except UnknownKey as unknown:
            if unknown.kid in self.state.revoked_kids or not self._feed_allowance.take(self.clock()):
                raise
            try:
                self._fetch_keys()
            except FAILURES:
                raise unknown from None
            _, payload = open_jws(compact, typ, (ES256,), self._find, MAX_MESSAGE_BYTES)
        self.state.apply(link, parse(payload), arrived, self.wall())
        if not self._was_fresh and self.state.fresh(self.clock()):
            self._was_fresh = True
            self._on_fresh()
