"""The provider's key set, and the opening of a JWS under it, by joserfc.

Used for both kinds of JWS: the messages of the feed ("What a receiver does with a message", steps 1 and 2 of docs/revocation-feed.md) and
access tokens ("Checking a token", step 1). RFC 8725: the algorithm comes from the key, never from the header; `typ` is always checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Container, Dict, Optional, Tuple

from joserfc import jwk, jws

ES256 = "ES256"
RS256 = "RS256"
# Step "Sizes": 10,000 entries of about 95 bytes, times 4/3 for base64url. The library's own limit, 128,000, is too small for that.
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
    for member in members:
        key = _parse_key(member)
        if key is not None:
            found.setdefault(key.kid, key)
    return found


def _parse_key(member: Any) -> Optional[Key]:
    if not isinstance(member, dict) or not isinstance(member.get("kid"), str) or member.get("use", "sig") != "sig":
        return None
    kind = (member.get("kty"), member.get("crv"))
    alg = RS256 if kind == ("RSA", None) else ES256 if kind == ("EC", "P-256") else None
    # RFC 8725 section 3.1: a key is used with one algorithm. A JWK without `alg` gets the one of its type.
    if alg is None or member.get("alg", alg) != alg:
        return None
    public = {name: member[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in member}
    try:
        imported: Any = jwk.import_key(public)
        size = imported.raw_value.key_size
    except Exception:  # whatever the library makes of a broken key: the others still count
        return None
    if alg == RS256 and size < 2048:  # RFC 7518 section 3.3
        return None
    return Key(member["kid"], alg, imported)


def open_jws(
    compact: str, typ: Container[str], algs: Container[str], find: Callable[[str], Optional[Key]], max_bytes: int = 128_000
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The header and the payload of a compact JWS whose `typ`, `alg`, `kid` and signature are right; else `Refused`."""
    # RFC 7515 section 4: members of the header that are not understood are ignored, unless `crit` names them.
    registry = jws.JWSRegistry(algorithms=[ES256, RS256], strict_check_header=False)
    registry.max_payload_length = max_bytes
    try:
        unverified = jws.extract_compact(compact.encode("ascii"), registry=registry)
        header = unverified.protected
        named, alg, kid = header.get("typ"), header.get("alg"), header.get("kid")
    except Exception as error:  # hostile input: the library's errors, ValueError, RecursionError
        raise Refused("malformed", type(error).__name__) from None
    if "crit" in header:
        raise Refused("crit", "no extension is understood here")
    if not isinstance(named, str) or named not in typ:
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
        payload = json.loads(unverified.payload, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused("payload", "not JSON") from None
    if not isinstance(payload, dict):
        raise Refused("payload", "no object")
    return header, payload


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
