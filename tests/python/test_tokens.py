"""Tests of what becomes of an access token."""

from __future__ import annotations

import unittest
from typing import Any, Callable

from fake_provider import AUDIENCE, NOW, Provider
from keys import Refused, parse_jwks
from tokens import verify


class Tokens(unittest.TestCase):
    provider: Provider

    @classmethod
    def setUpClass(cls) -> None:
        cls.provider = Provider()
        cls.provider.add("rsa", "RS256")

    def verdict(self, token: str, now: float = NOW, leeway: float = 30) -> str:
        try:
            verify(token, parse_jwks(self.provider.jwks()).get, self.provider.issuer, AUDIENCE, now, leeway)
        except Refused as refused:
            return refused.reason
        return "accepted"

    def test_good_tokens_are_accepted(self) -> None:
        token = self.provider.token
        others = [token(aud=AUDIENCE), token(leave_out="nbf"), token(leave_out="sid")]
        for good in [token(), token("rsa"), token(typ="application/at+jwt")] + others:
            self.assertEqual(self.verdict(good), "accepted")

    def test_times_have_the_leeway_and_no_more(self) -> None:
        token = self.provider.token
        self.assertEqual(self.verdict(token(exp=NOW), NOW + 29.9), "accepted")
        self.assertEqual(self.verdict(token(exp=NOW), NOW + 30), "exp")
        self.assertEqual(self.verdict(token(nbf=NOW + 30)), "accepted")
        self.assertEqual(self.verdict(token(nbf=NOW + 31)), "nbf")
        self.assertEqual(self.verdict(token(iat=NOW + 31)), "iat")
        find = parse_jwks(self.provider.jwks()).get
        with self.assertRaises(Refused):
            verify(token(exp=NOW), find, self.provider.issuer, AUDIENCE, NOW - 100, 30, horizon=NOW + 30)

    def test_what_is_missing_or_of_another_type_is_refused(self) -> None:
        token = self.provider.token
        for name in ("iss", "sub", "client_id", "jti", "exp", "iat"):
            self.assertEqual(self.verdict(token(leave_out=name)), "claims", name)
        bad: Any
        for name, bad in (("jti", 1), ("sid", 1), ("exp", "9"), ("exp", True), ("exp", None), ("iat", [NOW]), ("nbf", "0"), ("exp", 10**400)):
            self.assertIn(self.verdict(token(**{name: bad})), ("claims", "payload"), name)
        self.assertEqual(self.verdict(token(leave_out="aud")), "aud")
        self.assertEqual(self.verdict(token(aud=AUDIENCE + "/")), "aud")
        self.assertEqual(self.verdict(token(aud={AUDIENCE: 1})), "aud")
        self.assertEqual(self.verdict(token(iss="https://evil.example.com")), "iss")

    def test_the_header_is_not_believed(self) -> None:
        sign: Callable[..., str] = self.provider.sign
        claims = {"iss": self.provider.issuer, "aud": AUDIENCE, "sub": "a", "client_id": "c", "jti": "j", "exp": NOW + 9, "iat": NOW}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "feed-1"}
        self.assertEqual(self.verdict(sign(claims, header)), "accepted")
        self.assertEqual(self.verdict(sign(claims, {**header, "typ": "JWT"})), "typ")
        self.assertEqual(self.verdict(sign(claims, {**header, "typ": "revocations+jwt"})), "typ")
        self.assertEqual(self.verdict(sign(claims, {**header, "alg": "RS256"}, self.provider.keys["rsa"])), "alg")
        self.assertEqual(self.verdict(sign(claims, {**header, "alg": "PS256", "kid": "rsa"})), "alg")
        own = Provider().keys["feed-1"]
        embedded = {**header, "jwk": own.as_dict(private=False)}
        self.assertEqual(self.verdict(sign(claims, embedded, own)), "signature")
        self.assertEqual(self.verdict(sign(claims, {**header, "crit": ["typ"]})), "crit")
        self.assertEqual(self.verdict(sign(claims, header)[:-6]), "signature")
        self.assertEqual(self.verdict(sign(claims, header) + "="), "malformed")
        none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + sign(claims, header).split(".")[1] + "."
        self.assertEqual(self.verdict(none), "alg")

    def test_of_a_key_set_only_what_can_be_used_is_taken(self) -> None:
        keys = self.provider.jwks()["keys"]
        good = keys[0]
        wrong: Any = [1, {}, {**good, "kid": None}, {**good, "kid": "a", "use": "enc"}, {**good, "kid": "b", "alg": "RS256"}]
        wrong += [{**good, "kid": "c", "x": "AAAA"}, {"kid": "d", "kty": "oct", "k": "AAAA"}, {**good, "kid": "e", "crv": "P-384"}]
        self.assertEqual(list(parse_jwks({"keys": wrong + keys})), ["feed-1", "rsa"])
        self.assertEqual(parse_jwks({"keys": [{name: value for name, value in good.items() if name != "alg"}]})["feed-1"].alg, "ES256")
        with self.assertRaises(Refused):
            parse_jwks([])


if __name__ == "__main__":
    unittest.main()
