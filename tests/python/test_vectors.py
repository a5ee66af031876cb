"""Runs the provider's test vectors, `verifier/vectors/feed.json` and `tokens.json`; their README says what the members mean."""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any, Dict, Optional

from keys import ES256, MAX_MESSAGE_BYTES, Key, Refused, UnknownKey, open_jws, parse_jwks
from state import Connection, State, parse
from tokens import verify

VECTORS = Path(__file__).resolve().parent.parent.parent / "verifier" / "vectors"
SAME = {"shape": "malformed", "entry": "malformed", "payload": "malformed", "crit": "malformed", "kid": "malformed"}


class Scenario:
    """A receiver that knows nothing, and the steps."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self.state = State(settings["issuer"], frozenset(settings["audiences"]), settings["max_staleness_ms"])
        self.keys = parse_jwks(settings["jwks"])
        self.connection: Optional[Connection] = None

    def find(self, kid: str) -> Optional[Key]:
        return None if kid in self.state.revoked_kids else self.keys.get(kid)

    def message(self, step: Dict[str, Any]) -> str:
        assert self.connection is not None
        try:
            _, payload = open_jws(step["message"], ("revocations+jwt",), (ES256,), self.find, MAX_MESSAGE_BYTES)
            self.state.apply(self.connection, parse(payload), step["received_ms"], step["local_time"])
            return "applied"
        except UnknownKey as unknown:
            if unknown.kid not in self.state.revoked_kids:
                return "unknown_kid"
            reason = "revoked_kid"
        except Refused as refused:
            reason = SAME.get(refused.reason, refused.reason)
        self.state.begin_anew()
        return reason

    def check(self, step: Dict[str, Any]) -> Any:
        """What is, in place of what the step says that there should be."""
        if "fresh" in step:
            return {**step, "fresh": self.state.fresh(step["now_ms"])}
        if "provider_time_ms" in step:
            seconds = self.state.provider_time(step["now_ms"])
            return {**step, "provider_time_ms": None if seconds is None else round(seconds * 1000)}
        if "cursor" in step:
            return {**step, "cursor": self.state.cursor()}
        name, value = step["name"], step["value"]
        header, claims = ({"kid": value}, {}) if name == "kid" else ({}, {name: value})
        return {**step, "refused": self.state.refusal(header, {**claims, "iat": step["iat"]}) is not None}

    def run(self, step: Dict[str, Any]) -> Any:
        if step["do"] == "connect":
            self.connection = self.state.open(step["sent_ms"], step["nonce"])
        elif step["do"] == "message":
            return {**step, "outcome": self.message(step)}
        elif step["do"] == "keys":
            self.keys = parse_jwks(step["jwks"])
        elif step["do"] == "check":
            return self.check(step)
        else:
            raise AssertionError(f"unknown step {step['do']}")
        return step


class Vectors(unittest.TestCase):
    maxDiff = None

    def test_feed(self) -> None:
        settings = json.loads((VECTORS / "feed.json").read_text())
        self.assertGreater(len(settings["scenarios"]), 10)
        for given in settings["scenarios"]:
            scenario = Scenario(settings)
            for number, step in enumerate(given["steps"]):
                with self.subTest(given["name"], step=number):
                    self.assertEqual(scenario.run(step), step)

    def test_tokens(self) -> None:
        settings = json.loads((VECTORS / "tokens.json").read_text())
        self.assertGreater(len(settings["tokens"]), 100)
        find = parse_jwks(settings["jwks"]).get
        for given in settings["tokens"]:
            with self.subTest(given["name"]):
                try:
                    verify(given["token"], find, settings["issuer"], settings["audience"], settings["now"], settings["leeway"])
                    accepted, reason = True, ""
                except Refused as refused:
                    accepted, reason = False, str(refused)
                self.assertEqual(accepted, given["accept"], f"{reason} {given.get('reason')}")


if __name__ == "__main__":
    unittest.main()
