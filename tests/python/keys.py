"""The provider's key set, and the opening of a JWS under it, by joserfc.

Used for both kinds of JWS: the messages of the feed ("What a receiver does with a message", steps 1 and 2 of docs/revocation-feed.md) and
access tokens ("Checking a token", step 1). RFC 8725: the algorithm comes from the key, never from the header; `typ` is always checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Container, Dict, List, Optional, Set, Tuple

from joserfc import jwk, jws
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

ES256 = "ES256"
RS256 = "RS256"
# Step "Sizes": 10,000 entries of about 95 bytes, times 4/3 for base64url. The library's own limit, 128,000, is too small for that.
MAX_DEPTH = 32
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class Refused(Exception):
    """A JWS or its content is not acceptable; `reason` is one word, for logs and tests."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class UnknownKey(Refused):
    """The key set has no usable key of this `kid`: fetching it again may help."""

    def __init__(self, kid: str) -> None:
        super().__init__("kid", f"no usable key {kid!r}")
        self.kid = kid


@dataclass(frozen=True)
class Key:
    """A public key with the only algorithm that it may verify."""

    kid: str
    alg: str
    jwk: Any


def parse_jwks(document: Any) -> Dict[str, Key]:
    """The usable keys of a JWK Set by `kid`. RFC 7517 section 5: what is not understood is skipped."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise Refused("jwks", "no array 'keys'")
    found: Dict[str, Key] = {}
    seen: Set[str] = set()
    for member in members:
        kid = member.get("kid") if isinstance(member, dict) else None
        if not isinstance(kid, str):
            continue
        key = _parse_key(kid, member)
        if kid in seen:  # RFC 7517 section 4.5: distinct. Which of two is meant nobody knows: neither.
            found.pop(kid, None)
        elif key is not None:
            found[kid] = key
        seen.add(kid)
    return found


def _parse_key(kid: str, member: Dict[str, Any]) -> Optional[Key]:
    if member.get("use", "sig") != "sig" or "verify" not in member.get("key_ops", ["verify"]):
        return None
    kind = (member.get("kty"), member.get("crv"))
    alg = RS256 if kind == ("RSA", None) else ES256 if kind == ("EC", "P-256") else None
    # RFC 8725 section 3.1: a key is used with one algorithm. A JWK without `alg` gets the one of its type.
    if alg is None or member.get("alg", alg) != alg:
        return None
    public: Dict[str, Any] = {name: member[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in member}
    try:
        imported: Any = jwk.import_key(public)
        size = imported.raw_value.key_size
    except Exception:  # whatever the library makes of a broken key: the others still count
        return None
    if alg == RS256 and size < 2048:  # RFC 7518 section 3.3
        return None
    return Key(kid, alg, imported)


def open_jws(
    compact: str, typ: Container[str], algs: Container[str], find: Callable[[str], Optional[Key]], max_bytes: int = 128_000
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The header and the payload of a compact JWS whose `typ` (lower case), `alg`, `kid` and signature are right; else `Refused`."""
    # RFC 7515 section 4: members of the header that are not understood are ignored, unless `crit` names them.
    registry = jws.JWSRegistry(algorithms=[ES256, RS256], strict_check_header=False)
    registry.max_payload_length = max_bytes
    try:
        for segment in compact.encode("ascii").split(b"."):
            _strict(segment)
        unverified = jws.extract_compact(compact.encode("ascii"), registry=registry)
        header = _object(urlsafe_b64decode(unverified.segments["header"]))
        named, alg, kid = header.get("typ"), header.get("alg"), header.get("kid")
    except Exception as error:  # hostile input: the library's errors, ValueError, RecursionError
        raise Refused("malformed", type(error).__name__) from None
    if "crit" in header:
        raise Refused("crit", "no extension is understood here")
    if not isinstance(named, str) or named.lower() not in typ:  # RFC 7515 section 4.1.9: a media type
        raise Refused("typ", repr(named))
    if not isinstance(alg, str) or alg not in algs:
        raise Refused("alg", repr(alg))
    if not isinstance(kid, str):
        raise Refused("kid", "no kid")
    key = find(kid)
    if key is None:
        raise UnknownKey(kid)
    if key.alg != alg:
        raise Refused("alg", f"{alg} under a key for {key.alg}")
    try:
        good = jws.validate_compact(unverified, key.jwk, registry=registry)
    except Exception as error:
        raise Refused("signature", type(error).__name__) from None
    if not good:
        raise Refused("signature")
    try:
        return header, _object(unverified.payload or b"")
    except (ValueError, RecursionError) as error:
        raise Refused("payload", str(error)) from None


def _strict(segment: bytes) -> None:
    """Base64url without padding and without stray bits (RFC 7515 section 2): else ValueError. The library takes more."""
    if urlsafe_b64encode(urlsafe_b64decode(segment)) != segment:
        raise ValueError("not strict base64url")


def _object(data: bytes) -> Dict[str, Any]:
    """A JSON object in UTF-8, read as every parser reads it (RFC 8725 section 2.4, RFC 8259 section 8): else ValueError."""
    text = data.decode("utf-8")  # `json.loads` of bytes would take UTF-16, too
    value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    if not isinstance(value, dict):
        raise ValueError("no object")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be encoded
    depth, level = 0, list(value.values())
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        nested = [one for one in level if isinstance(one, (dict, list))]
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members
