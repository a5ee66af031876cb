"""Tests of the receiver's state machine, message by message, in a time that the test makes.

    python3 -m unittest
"""

from __future__ import annotations

import unittest
from typing import Any, List, Optional

from fake_provider import AUDIENCE, NOW, Provider
from keys import MAX_MESSAGE_BYTES, Refused, UnknownKey, open_jws, parse_jwks
from state import MAX_LEEWAY_S, SWEEP_MS, Connection, State, parse

AT = NOW * 1000


class Machine:
    """A state with its provider; messages go through signature and parser."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.state = State(self.provider.issuer, frozenset({AUDIENCE}))
        self.connection = self.open(1000)
        self.wall: float = NOW

    def open(self, sent: float) -> Connection:
        self.connection = self.state.open(sent, f"nonce-{sent}")
        return self.connection

    def take(self, arrived: float, compact: str) -> None:
        keys = parse_jwks(self.provider.jwks())
        find = lambda kid: None if kid in self.state.revoked_kids else keys.get(kid)  # noqa: E731
        _, payload = open_jws(compact, ("revocations+jwt",), ("ES256",), find, MAX_MESSAGE_BYTES)
        self.state.apply(self.connection, parse(payload), arrived, self.wall)

    def say(self, arrived: float, start: int, seq: int, **members: Any) -> None:
        if "at" in members and self.connection.at0 is None:
            members.setdefault("nonce", self.connection.nonce)
        self.take(arrived, self.provider.message(self.provider.payload(start, seq, **members)))

    def refusal(self, kid: str = "k", **claims: Any) -> Optional[str]:
        token = {"jti": "j", "sid": "s", "sub": "u", "client_id": "c", "iat": NOW, **claims}
        return self.state.refusal({"kid": kid}, token)


class MachineTest(unittest.TestCase):
    def setUp(self) -> None:
        self.m = Machine()

    def drops(self, reason: str, arrived: float, start: int, seq: int, **members: Any) -> None:
        """The message is dropped for this reason, and nothing has changed."""
        state = self.m.state
        before = (state.log, state.seq, dict(state.entries), state.clock, state.untaught, set(state.revoked_kids))
        with self.assertRaises(Refused) as caught:
            self.m.say(arrived, start, seq, **members)
        self.assertEqual(caught.exception.reason, reason)
        after = (state.log, state.seq, dict(state.entries), state.clock, state.untaught, set(state.revoked_kids))
        self.assertEqual(before, after)


class Messages(MachineTest):
    def test_a_snapshot_and_a_batch_are_applied(self) -> None:
        self.m.say(1010, 0, 7, at=AT, entries=[{"jti": "a", "exp": NOW + 9}])
        self.m.say(1100, 7, 9, at=AT + 90, entries=[{"sid": "b", "exp": NOW + 9, "later": {"x": 1}}])
        self.assertEqual(self.m.state.cursor(), "L:9")
        self.assertEqual(self.m.refusal(jti="a"), "jti")
        self.assertEqual(self.m.refusal(sid="b"), "sid")
        self.assertIsNone(self.m.refusal())

    def test_a_snapshot_in_parts_makes_fresh_with_its_last_part_only(self) -> None:
        self.m.say(1010, 0, 5, entries=[{"jti": "a", "exp": NOW + 9}])
        self.assertFalse(self.m.state.fresh(1010))
        self.m.say(1020, 5, 9, at=AT, entries=[{"jti": "b", "exp": NOW + 9}])
        self.assertTrue(self.m.state.fresh(1020))

    def test_a_gap_and_another_log_are_dropped_but_an_overlap_is_not(self) -> None:
        self.drops("log", 1005, 3, 4, at=AT)  # no snapshot yet
        self.m.say(1010, 0, 5, at=AT)
        self.drops("gap", 1020, 6, 7, at=AT + 10, entries=[{"jti": "a", "exp": NOW + 9}])
        self.drops("log", 1020, 5, 7, at=AT + 10, log="M")
        self.drops("range", 1020, 5, 4, at=AT + 10)
        self.drops("gap", 1030, 2, 4, at=AT + 20)  # the log ends before what is known of it
        self.m.say(1030, 2, 4)
        self.assertEqual(self.m.state.seq, 5)
        self.m.say(1035, 2, 6, at=AT + 20)
        self.assertEqual(self.m.state.seq, 6)
        self.m.say(1040, 0, 2, at=AT + 30, log="M")
        self.assertEqual(self.m.state.cursor(), "M:2")

    def test_what_is_not_for_this_receiver_is_dropped(self) -> None:
        self.drops("iss", 1010, 0, 0, at=AT, iss="https://evil.example.com")
        self.drops("aud", 1010, 0, 0, at=AT, aud=["https://other.example.com"])
        self.m.say(1010, 0, 0, at=AT, aud=["https://other.example.com", AUDIENCE])

    def test_what_has_not_the_shape_is_dropped(self) -> None:
        shapes: List[Any] = [{"log": 1}, {"log": ""}, {"at": None}, {"at": 1.5}, {"at": True}, {"at": -1}, {"nonce": 1}]
        for members in shapes + [{"entries": {}}, {"clock": None}, {"aud": AUDIENCE}]:
            self.drops("shape", 1010, 0, 0, **{"at": AT, **members})
        self.drops("shape", 1010, 0, 1.0, at=AT)  # type: ignore[arg-type]
        bad: List[Any] = [1, {"later": 1}, {"jti": 1, "exp": NOW}, {"jti": "a"}, {"jti": "a", "exp": "9"}, {"jti": "a", "sid": "b", "exp": NOW}]
        for entry in bad + [{"sub": "u", "exp": NOW, "iat_before": "9"}]:
            self.drops("entry", 1010, 0, 1, at=AT, entries=[{"jti": "good", "exp": NOW + 9}, entry])

    def test_the_header_and_the_signature_are_checked(self) -> None:
        provider = self.m.provider
        provider.add("rsa", "RS256")
        payload = provider.payload(0, 0, at=AT, nonce=self.m.connection.nonce)
        other = Provider()
        hostile = {
            "typ": [provider.message(payload, typ="at+jwt"), provider.message(payload, typ="JWT")],
            "alg": [provider.message(payload, kid="rsa", alg="RS256")],
            "kid": [provider.sign(payload, {"alg": "ES256", "typ": "revocations+jwt", "kid": "?"}, provider.keys["feed-1"])],
            "signature": [other.message(payload), provider.message(payload)[:-8] + "AAAAAAAA"],
            "crit": [provider.message(payload, crit=["kid"])],
            "malformed": ["", "a.b", "a.b.c", "é.b.c", "e30.e30.", provider.message(payload) + "="],
            "payload": [provider.message([])],  # type: ignore[arg-type]
        }
        for reason, messages in hostile.items():
            for message in messages:
                with self.assertRaises(Refused) as caught:
                    self.m.take(1010, message)
                self.assertEqual(caught.exception.reason, reason)
        self.m.take(1010, provider.message(payload))

    def test_a_message_of_ten_thousand_entries_is_applied(self) -> None:
        entries = [{"jti": f"{number:022}", "exp": NOW + 600} for number in range(10_000)]
        self.m.say(1010, 0, 10_000, at=AT, entries=entries)
        self.assertEqual(self.m.refusal(jti=f"{9999:022}"), "jti")


class Entries(MachineTest):
    def test_of_two_entries_with_the_same_name_the_stronger_counts(self) -> None:
        self.m.say(1010, 0, 2, at=AT, entries=[
            {"sub": "u", "iat_before": NOW + 2, "exp": NOW + 5}, {"sub": "u", "iat_before": NOW + 1, "exp": NOW + 9}])
        self.assertEqual(self.m.refusal(iat=NOW + 1.5), "sub")
        self.assertIsNone(self.m.refusal(iat=NOW + 2))
        self.m.say(1020, 2, 3, at=AT + 10, entries=[{"sub": "u", "exp": NOW + 5}])
        self.m.say(1030, 3, 4, at=AT + 20, entries=[{"sub": "u", "iat_before": NOW, "exp": NOW + 5}])
        self.assertEqual(self.m.refusal(iat=NOW + 100), "sub")

    def test_an_entry_for_a_client_refuses_only_older_tokens(self) -> None:
        self.m.say(1010, 0, 1, at=AT, entries=[{"client_id": "c", "iat_before": NOW, "exp": NOW + 9}])
        self.assertEqual(self.m.refusal(iat=NOW - 1), "client_id")
        self.assertIsNone(self.m.refusal(iat=NOW))
        self.assertIsNone(self.m.refusal(sub="c", client_id="d", iat=NOW - 1))

    def test_an_unknown_entry_makes_not_fresh_until_it_has_expired_and_the_others_apply(self) -> None:
        self.m.say(1010, 0, 2, at=AT, entries=[{"tenant": "t", "exp": NOW + 9}, {"jti": "a", "exp": NOW + 9}])
        self.assertEqual(self.m.refusal(jti="a"), "jti")
        self.m.open(1100)
        self.m.wall = NOW + 100
        self.m.say(1110, 0, 2, at=AT + 9000)  # a snapshot that does not have it
        self.assertFalse(self.m.state.fresh(1110))
        self.assertEqual(self.m.connection.left(1110), 3000)
        self.m.say(1120, 2, 2, at=AT + 9001)
        self.assertTrue(self.m.state.fresh(1120))

    def test_a_key_entry_ends_messages_and_tokens_under_that_key(self) -> None:
        self.m.provider.add("feed-2", "ES256")
        self.m.say(1010, 0, 1, at=AT, entries=[{"kid": "feed-1", "exp": NOW + 1}])
        with self.assertRaises(UnknownKey):
            self.m.say(1020, 1, 1, at=AT + 10)
        self.assertEqual(self.m.refusal(kid="feed-1"), "kid")
        self.m.take(1030, self.m.provider.message(self.m.provider.payload(1, 1, at=AT + 20), "feed-2"))
        self.m.wall = NOW + 1e6
        later = self.m.provider.payload(1, 1, at=AT + 10**9)
        self.m.take(1040 + SWEEP_MS, self.m.provider.message(later, "feed-2"))
        self.assertEqual(self.m.refusal(kid="feed-1"), "kid")

    def test_an_entry_goes_only_when_both_clocks_and_the_leeway_have_passed_it(self) -> None:
        self.m.say(1010, 0, 1, at=AT, entries=[{"jti": "a", "exp": NOW + 10}])
        gone = 10 + MAX_LEEWAY_S + 1
        steps = [(NOW + 10**6, 5), (NOW, gone), (NOW + 10**6, 11), (NOW + gone - 2, gone)]
        arrived = 1010
        for wall, passed in steps:
            with self.subTest(wall=wall, passed=passed):
                arrived += SWEEP_MS
                self.m.open(arrived)
                self.m.wall = wall
                self.m.say(arrived, 0, 1, at=AT + passed * 1000)  # a snapshot does not drop it either
                self.assertEqual(self.m.refusal(jti="a"), "jti")
        self.m.wall = NOW + gone
        self.m.open(arrived + SWEEP_MS)
        self.m.say(arrived + SWEEP_MS, 0, 1, at=AT + gone * 1000)
        self.assertIsNone(self.m.refusal(jti="a"))
        self.assertEqual(self.m.state.horizon, NOW + gone)


class Freshness(MachineTest):
    def known(self) -> Optional[float]:
        clock = self.m.state.clock
        return None if clock is None else clock.known

    def test_the_age_counts_from_the_sending_of_the_request(self) -> None:
        self.assertFalse(self.m.state.fresh(1000))
        self.m.say(1400, 0, 0, at=AT)
        self.assertEqual(self.m.state.age(1400), 400)
        self.assertTrue(self.m.state.fresh(2000))
        self.assertFalse(self.m.state.fresh(2000.1))
        self.m.say(1600, 0, 0, at=AT + 250)
        self.assertEqual(self.known(), 1250)

    def test_the_first_message_with_at_must_carry_the_nonce(self) -> None:
        self.drops("nonce", 1010, 0, 0, at=AT, nonce="of another request", entries=[{"jti": "a", "exp": NOW + 9}])
        self.drops("nonce", 1010, 0, 0, at=AT, nonce=self.m.connection.nonce.upper())
        self.m.say(1010, 0, 0, at=AT)
        self.m.open(1100)
        with self.assertRaises(Refused):  # yesterday's, or the last connection's
            self.m.take(1110, self.m.provider.message(self.m.provider.payload(0, 0, at=AT + 500)))

    def test_known_is_never_later_than_the_arrival(self) -> None:
        self.m.say(1010, 0, 0, at=AT)
        self.m.say(1100, 0, 0, at=AT + 10_000)  # the provider's clock leapt
        self.assertEqual(self.known(), 1100)
        self.m.say(1300, 0, 0, at=AT + 10_100)
        self.assertEqual(self.known(), 1200)

    def test_a_message_with_no_greater_at_makes_nothing_fresher_but_its_entries_count(self) -> None:
        self.m.say(1010, 0, 0, at=AT)
        self.m.say(1260, 0, 0, at=AT + 250)
        for at in (AT + 250, AT + 100):
            self.m.say(1500, 0, 1, at=at, entries=[{"jti": "a", "exp": NOW + 9}])
            self.assertEqual(self.known(), 1250)
        self.assertEqual(self.m.refusal(jti="a"), "jti")

    def test_a_reconnect_leaves_it_as_fresh_as_it_was(self) -> None:
        self.m.say(1010, 0, 3, at=AT, entries=[{"jti": "a", "exp": NOW + 9}])
        self.m.open(1500)
        self.assertTrue(self.m.state.fresh(2000))
        self.m.say(1600, 3, 4)  # no `at`: nothing new is known yet
        self.assertFalse(self.m.state.fresh(2001))
        self.m.say(2100, 4, 4, at=AT - 5000)  # whatever the provider's clock says
        self.assertEqual(self.m.state.age(2100), 600)
        self.m.state.begin_anew()
        self.assertTrue(self.m.state.fresh(2100))
        self.assertEqual(self.m.refusal(jti="a"), "jti")

    def test_another_clock_makes_nothing_fresher(self) -> None:
        self.m.say(1010, 0, 0, at=AT)
        self.m.say(1260, 0, 0, at=AT + 250, clock="D")
        self.assertEqual(self.known(), 1000)
        self.m.say(1300, 0, 0, at=AT + 240)
        self.assertEqual(self.known(), 1240)

    def test_a_connection_has_three_seconds_to_make_fresh(self) -> None:
        self.m.say(1010, 0, 0, at=AT)
        self.m.say(1500, 0, 1, at=AT)
        self.assertEqual(self.m.connection.left(1500), 3000)
        self.m.say(2100, 0, 1, at=AT)
        self.assertEqual(self.m.connection.left(2100), 2400)
        self.m.say(4000, 0, 1, at=AT + 1500)  # it came too late
        self.assertEqual(self.m.connection.left(4000), 500)

    def test_the_time_is_the_providers_while_fresh(self) -> None:
        self.m.say(1010, 0, 0, at=AT + 500)
        self.assertEqual(self.m.state.provider_time(1110), NOW + 0.6)
        self.assertIsNone(self.m.state.provider_time(2001))


if __name__ == "__main__":
    unittest.main()
