"""Tests of the receiver's thread against a server on the loopback, and of the HTTP resource server. They await events and do not sleep."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple

from fake_provider import AUDIENCE, END, NOW, Provider, Server
from keys import Refused
from receiver import Allowance, Backoff, NotFresh, Receiver
from resource_server import Server as ResourceServer
from transport import BadAnswer, Events, basic, connect, target

AT = NOW * 1000
LONG = 30  # seconds that no test waits for unless it fails


class Following(unittest.TestCase):
    """A receiver that follows a fake provider; a clock that stands still unless the test moves it."""

    poll = False

    def setUp(self) -> None:
        self.provider = Provider()
        self.server = Server(self.provider)
        self.fresh = threading.Event()
        self.logged: "queue.Queue[str]" = queue.Queue()
        self.now = 1e6
        self.receiver = Receiver(
            self.provider.issuer, AUDIENCE, "api", "s e+cret", poll=self.poll, clock=lambda: self.now,
            wall=lambda: NOW, on_fresh=self.fresh.set, log=self.logged.put, limit_ms=60_000)
        self.applied: "queue.Queue[int]" = queue.Queue()
        original = self.receiver.state.apply
        self.receiver.state.apply = self.observe(original)  # type: ignore[method-assign]
        self.receiver.start()

    def observe(self, apply: Callable[..., None]) -> Callable[..., None]:
        def observed(*given: Any) -> None:
            apply(*given)
            self.applied.put(self.receiver.state.seq)
        return observed

    def tearDown(self) -> None:
        self.receiver.stop()
        self.server.close()

    def say(self, start: int, seq: int, **members: Any) -> None:
        self.server.stream.put(self.provider.payload(start, seq, **members))

    def request(self) -> Dict[str, str]:
        return self.server.requests.get(timeout=LONG)

    def verdict(self, token: str) -> str:
        try:
            return str(self.receiver.check(token)["sub"])
        except Refused as refused:
            return refused.reason
        except NotFresh:
            return "not fresh"


class Streaming(Following):
    def test_it_follows_a_stream_and_comes_back_with_its_cursor(self) -> None:
        first = self.request()
        self.assertEqual(first["path"], "/stream")
        self.assertNotIn("after", first)
        self.assertEqual(first["authorization"], basic("api", "s e+cret"))
        self.assertEqual(self.verdict(self.provider.token()), "not fresh")
        self.say(0, 3, at=AT)
        self.assertTrue(self.fresh.wait(LONG))
        self.assertEqual(self.verdict(self.provider.token()), "ada")
        self.say(3, 4, at=AT + 50, entries=[{"sid": "s1", "exp": NOW + 600}])
        self.assertEqual([self.applied.get(timeout=LONG), self.applied.get(timeout=LONG)], [3, 4])
        self.assertEqual(self.verdict(self.provider.token()), "revoked")
        self.assertEqual(self.verdict(self.provider.token(sid="s2")), "ada")
        self.server.stream.put(END)
        second = self.request()
        self.assertEqual(second["after"], "L:4")
        self.assertNotEqual(second["nonce"], first["nonce"])
        self.now += 120_000
        self.assertEqual(self.verdict(self.provider.token()), "revoked")
        self.assertEqual(self.verdict(self.provider.token(sid="s2")), "not fresh")

    def test_after_a_dropped_message_it_comes_back_without_a_cursor(self) -> None:
        self.request()
        self.say(0, 3, at=AT)
        self.say(5, 6, at=AT + 10)
        self.assertNotIn("after", self.request())
        self.assertIn("gap", self.logged.get(timeout=LONG))
        self.assertEqual(self.verdict(self.provider.token()), "ada")

    def test_a_new_key_is_fetched_once_and_a_key_that_nobody_has_at_most_once_a_second(self) -> None:
        self.request()
        self.provider.add("feed-2", "ES256")
        self.say(0, 1, at=AT, kid="feed-2")
        self.assertEqual(self.applied.get(timeout=LONG), 1)
        self.assertEqual(self.server.jwks_fetches, 2)
        self.provider.add("feed-3", "ES256")
        self.say(1, 1, at=AT + 10, kid="feed-3")
        self.assertIn("feed-3", self.logged.get(timeout=LONG))
        self.assertEqual(self.server.jwks_fetches, 2)

    def test_strangers_tokens_have_an_allowance_of_their_own(self) -> None:
        self.request()
        self.say(0, 1, at=AT)
        self.assertTrue(self.fresh.wait(LONG))
        self.provider.add("new", "ES256")
        self.assertEqual(self.verdict(self.provider.token("new")), "ada")
        stranger = Provider()
        stranger.add("stranger", "ES256")
        stranger.issuer = self.provider.issuer
        for _ in range(3):
            self.assertEqual(self.verdict(stranger.token("stranger")), "kid")
        self.assertEqual(self.server.jwks_fetches, 2)
        self.provider.add("feed-2", "ES256")
        self.say(1, 2, at=AT + 10, kid="feed-2")
        self.assertEqual([self.applied.get(timeout=LONG), self.applied.get(timeout=LONG)], [1, 2])

    def test_a_key_that_was_taken_back_is_not_asked_for_again(self) -> None:
        self.request()
        self.provider.add("leaked", "ES256")
        self.say(0, 1, at=AT, entries=[{"kid": "leaked", "exp": NOW + 1}])
        self.assertTrue(self.fresh.wait(LONG))
        self.assertEqual(self.verdict(self.provider.token("leaked")), "kid")
        self.assertEqual(self.server.jwks_fetches, 1)

    def test_the_http_server_answers_as_rfc_6750_wants(self) -> None:
        resource = ResourceServer(0, self.receiver)
        threading.Thread(target=resource.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", resource.server_address[1], timeout=LONG)

        def get(path: str, authorization: Optional[str] = None) -> Tuple[int, Any, str]:
            connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.getheader("WWW-Authenticate", "")

        try:
            token = self.provider.token()
            self.assertEqual(get("/status")[1], {"fresh": False, "age_ms": None, "seq": 0, "entries": 0})
            self.request()
            self.say(0, 0, at=AT)
            self.assertTrue(self.fresh.wait(LONG))
            self.assertEqual(get("/", f"Bearer {token}")[:2], (200, {"sub": "ada"}))
            self.assertEqual(get("/", f"bearer {token}")[0], 200)
            for absent in (None, "Basic YTpi"):
                self.assertEqual(get("/", absent)[::2], (401, 'Bearer realm="resource"'))
            status, _, challenge = get("/", "Bearer nonsense")
            self.assertEqual(status, 401)
            self.assertIn('error="invalid_token"', challenge)
            self.now += 120_000
            self.assertEqual(get("/", f"Bearer {token}")[0], 503)
            self.assertFalse(get("/status")[1]["fresh"])
        finally:
            connection.close()
            resource.shutdown()
            resource.server_close()


class Polling(Following):
    poll = True

    def test_it_asks_again_and_again(self) -> None:
        first = self.request()
        self.assertEqual((first["path"], first["wait"]), ("/feed", "0"))
        self.say(0, 2)  # the first part of a snapshot
        second = self.request()
        self.assertEqual((second["after"], second["wait"]), ("L:2", "0"))
        self.say(2, 3, at=AT, entries=[{"jti": "j1", "exp": NOW + 600}])
        third = self.request()
        self.assertEqual((third["after"], third["wait"]), ("L:3", "300"))
        self.assertEqual(len({first["nonce"], second["nonce"], third["nonce"]}), 3)
        self.assertEqual(self.verdict(self.provider.token()), "revoked")
        self.say(3, 3, at=AT + 10, nonce=second["nonce"])
        self.assertNotIn("after", self.request())
        self.assertIn("nonce", self.logged.get(timeout=LONG))


class Parts(unittest.TestCase):
    def test_events_come_out_of_whatever_chunks(self) -> None:
        text = b"retry: 250\n\n: comment\n\nid: L:1\nevent: revocations\ndata: abc\n\nevent: other\r\ndata:d\r\ndata: e\r\n\r\n"
        events = Events()
        found: List[Tuple[str, str]] = []
        for position in range(len(text)):
            found += events.feed(text[position : position + 1])
        self.assertEqual(found, [("revocations", "abc"), ("other", "d\ne")])
        self.assertEqual(Events().feed(text), found)

    def test_the_backoff_doubles_up_to_five_seconds(self) -> None:
        backoff = Backoff()
        self.assertEqual([backoff.delay(1) for _ in range(7)], [250, 500, 1000, 2000, 4000, 5000, 5000])
        backoff.reset()
        self.assertEqual(backoff.delay(0), 125)

    def test_an_allowance_is_given_once_per_interval(self) -> None:
        allowance = Allowance(1000)
        self.assertEqual([allowance.take(now) for now in (0, 999, 1000, 1001, 2000)], [True, False, True, False, True])

    def test_urls_and_credentials(self) -> None:
        self.assertEqual(target("https://a.example/feed?x=1", "nonce=n"), "/feed?x=1&nonce=n")
        self.assertEqual(basic("a:b", "c d"), "Basic YSUzQWI6Yytk")
        with self.assertRaises(BadAnswer):
            connect("http://login.example.com/", 1)


if __name__ == "__main__":
    unittest.main()
