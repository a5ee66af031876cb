"""The receiver of the revocation feed as a pure state machine: no I/O, no clock, no thread of its own.

The words in quotes are sections of docs/revocation-feed.md. Every `now`, `sent` and `arrived` is the receiver's monotonic clock in milliseconds.

One thread calls `open`, `apply` and `begin_anew`; any thread may ask `fresh`, `age`, `provider_time` and `refusal`: entries are put in place
before `known` moves, and what belongs together is replaced as one object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Set, Tuple

from keys import Refused

NAMES = ("jti", "sid", "sub", "client_id", "kid")
NARROWED = ("sub", "client_id")  # the entries whose `iat_before` means something
STALLED_MS = 3000  # "A connection after none of whose messages the receiver was fresh, for 3 seconds, is to be closed"
MAX_LEEWAY_S = 60
MAX_ENTRIES = 10_000
SWEEP_MS = 30_000


class Entry(NamedTuple):
    """What refuses tokens. `iat_before` None: whatever their `iat`."""

    exp: float
    iat_before: Optional[float]


class Message(NamedTuple):
    """The payload of a message, its shape checked ("A message")."""

    iss: str
    aud: FrozenSet[str]
    log: str
    start: int  # `from`
    seq: int
    at: Optional[int]
    clock: Optional[str]
    nonce: Optional[str]
    entries: List[Tuple[Tuple[str, str], Entry]]
    unknown: float  # the greatest `exp` of the entries with none of the five names; 0 if there is none


class Known(NamedTuple):
    """Complete as of `known`; and `at`, the provider's time of the message that arrived at `arrived`."""

    known: float
    at: int
    arrived: float


@dataclass
class Connection:
    """One request: a stream, or one answer of the feed."""

    sent: float
    nonce: str
    progress: float  # after which message the receiver was fresh
    at0: Optional[int] = None
    clock: Optional[str] = None
    last_at: int = 0

    def left(self, now: float) -> float:
        """How many milliseconds it has until it is to be closed for want of progress."""
        return self.progress + STALLED_MS - now


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """A JSON number of a sane size: NumericDate may have a fraction (RFC 7519 section 2); 1e999 becomes infinity, which is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -(2**63) < value < 2**63


def parse(payload: Mapping[str, Any]) -> Message:
    """"A message" and "Entries". Members that are not known are ignored."""
    iss, aud, log = payload.get("iss"), payload.get("aud"), payload.get("log")
    start: Any = payload.get("from")
    seq: Any = payload.get("seq")
    at, nonce = payload.get("at"), payload.get("nonce")
    listed = payload.get("entries", [])
    if not isinstance(aud, list) or not all(isinstance(one, str) for one in aud):
        raise Refused("shape", "aud")
    if not isinstance(iss, str) or not isinstance(log, str) or not log or not is_integer(start) or not is_integer(seq):
        raise Refused("shape", "iss, log, from or seq")
    if ("at" in payload and not is_integer(at)) or ("nonce" in payload and not isinstance(nonce, str)):
        raise Refused("shape", "at or nonce")
    clock = payload.get("clock")
    if (clock is not None or at is not None) and not isinstance(clock, str):
        raise Refused("shape", "clock")
    if not isinstance(listed, list) or len(listed) > MAX_ENTRIES:
        raise Refused("shape", "entries")
    entries, unknown = [], 0.0
    for one in listed:
        entry = _parse_entry(one)
        if entry is None:
            unknown = max(unknown, one["exp"])
        else:
            entries.append(entry)
    return Message(iss, frozenset(aud), log, start, seq, at, clock, nonce, entries, unknown)


def _parse_entry(entry: Any) -> Optional[Tuple[Tuple[str, str], Entry]]:
    """None for an entry with none of the five names; `Refused` for what is no entry at all."""
    if not isinstance(entry, dict) or not is_number(entry.get("exp")):
        raise Refused("entry", "no object with exp")
    names = [name for name in NAMES if name in entry]
    if not names:
        return None
    name, value = names[0], entry[names[0]]
    before = entry.get("iat_before") if name in NARROWED else None
    if len(names) > 1 or not isinstance(value, str):
        raise Refused("entry", "its name")
    if not (before is None or is_number(before)):
        raise Refused("entry", "iat_before")
    return (name, value), Entry(entry["exp"], before)


class State:
    """What a receiver knows."""

    def __init__(self, issuer: str, audiences: FrozenSet[str], limit_ms: float = 1000) -> None:
        self.issuer = issuer
        self.audiences = audiences
        self.limit_ms = limit_ms
        self.log: Optional[str] = None
        self.seq = 0
        self._anew = True  # there is no cursor
        self.entries: Dict[Tuple[str, str], Entry] = {}
        self.revoked_kids: Set[str] = set()  # never shrinks: step 4, an attacker with the key chooses `exp` at will
        self.untaught: Optional[float] = None  # until then there is an entry that this code cannot apply
        self.horizon = 0.0  # seconds: up to here entries may have been dropped
        self.clock: Optional[Known] = None
        self._swept = -math.inf

    def open(self, sent: float, nonce: str) -> Connection:
        """"Fresh or not": note when a request is sent. The receiver stays as fresh as it was."""
        return Connection(sent, nonce, progress=sent)

    def begin_anew(self) -> None:
        """After a message was dropped: no cursor. The entries stay, and so does the freshness, which ages."""
        self._anew = True

    def cursor(self) -> Optional[str]:
        """"The stream": `log`, a colon, and `seq`."""
        return None if self._anew else f"{self.log}:{self.seq}"

    def apply(self, connection: Connection, message: Message, arrived: float, wall: float) -> None:
        """"What a receiver does with a message", from `iss` on. Raises `Refused` and changes nothing, or applies it."""
        # 2.
        if message.iss != self.issuer:
            raise Refused("iss", message.iss)
        if not self.audiences <= message.aud:
            raise Refused("aud", "not made for this receiver")
        # 3.
        if message.start > message.seq:
            raise Refused("range", "from is greater than seq")
        if message.start > 0 and message.log != self.log:
            raise Refused("log", message.log)
        if message.start > 0 and message.start > self.seq:
            raise Refused("gap", f"from {message.start} after {self.seq}")
        if message.start > 0 and message.at is not None and message.seq < self.seq:
            raise Refused("gap", f"the log ends at {message.seq}, before {self.seq}")
        # "Fresh or not", first point, before anything is changed.
        first = connection.at0 is None
        if message.at is not None and first and message.nonce != connection.nonce:
            raise Refused("nonce")
        self.log, self.seq = message.log, message.seq if message.start == 0 else max(self.seq, message.seq)
        self._anew = False
        # 4.
        for key, entry in message.entries:
            self._keep(key, entry)
        if message.unknown:
            self.untaught = max(self.untaught or 0, message.unknown)
        # 5.
        if message.at is not None:
            self._advance(connection, message.at, message.clock, arrived)
        if self._complete(arrived):
            connection.progress = arrived
        self._sweep(arrived, wall)

    def _keep(self, key: Tuple[str, str], entry: Entry) -> None:
        """Of two entries with the same name the stronger counts, and it stays as long as the longer of the two."""
        held = self.entries.get(key)
        if held is not None:
            wide = held.iat_before is None or entry.iat_before is None
            before = None if wide else max(held.iat_before, entry.iat_before)  # type: ignore[type-var]
            entry = Entry(max(held.exp, entry.exp), before)
        if key[0] == "kid":
            self.revoked_kids.add(key[1])
        self.entries[key] = entry

    def _advance(self, connection: Connection, at: int, clock: Optional[str], arrived: float) -> None:
        """"Fresh or not", the first two points."""
        if connection.at0 is None:
            connection.at0, connection.clock = at, clock
        elif at <= connection.last_at or clock != connection.clock:
            return
        known = connection.sent + (at - connection.at0)
        if known > arrived:
            connection.sent -= known - arrived
            known = arrived
        connection.last_at = at
        self.clock = Known(known, at, arrived)

    def _sweep(self, now: float, wall: float) -> None:
        """Step 4: an entry may go once `exp` has passed by both clocks. The leeway is added: a token is accepted until its `exp` plus that."""
        clock = self.clock
        if clock is None:
            return
        both = min(clock.at / 1000, wall)
        if self.untaught is not None and both > self.untaught:
            self.untaught = None
        if now - self._swept < SWEEP_MS:
            return
        self._swept = now
        self.horizon = max(self.horizon, both)  # before anything goes
        for key in [key for key, entry in self.entries.items() if entry.exp < both - MAX_LEEWAY_S]:
            del self.entries[key]

    def age(self, now: float) -> Optional[float]:
        clock = self.clock
        return None if clock is None else now - clock.known

    def fresh(self, now: float) -> bool:
        """"The receiver is fresh while now - known is at most its limit"."""
        return self._complete(now) and self.untaught is None

    def _complete(self, now: float) -> bool:
        age = self.age(now)
        return age is not None and age <= self.limit_ms

    def provider_time(self, now: float) -> Optional[float]:
        """"The time for exp, nbf and iat": seconds since 1970 by the provider's clock, while fresh."""
        clock = self.clock
        return (clock.at + now - clock.arrived) / 1000 if clock is not None and self.fresh(now) else None

    def refusal(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> Optional[str]:
        """"Checking a token", step 3: the name of an entry that refuses this token, or None."""
        for name in NAMES:
            value = header.get(name) if name == "kid" else claims.get(name)
            entry = self.entries.get((name, value)) if isinstance(value, str) else None
            if entry is not None and (entry.iat_before is None or claims["iat"] < entry.iat_before):
                return name
            if name == "kid" and value in self.revoked_kids:
                return name
        return None
