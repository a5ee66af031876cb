"""Access tokens: "Checking a token" of docs/revocation-feed.md, by RFC 9068 section 4 and RFC 8725."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from keys import ES256, RS256, Key, Refused, open_jws
from state import MAX_LEEWAY_S, is_integer

# RFC 9068 section 4 allows both spellings of the media type.
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
MAX_TOKEN_BYTES = 16_384
LAST_SECOND = 253_402_300_799  # of the year 9999
REQUIRED_STRINGS = ("iss", "sub", "client_id", "jti")  # RFC 9068 section 2.2


def verify(
    token: str, find: Callable[[str], Optional[Key]], issuer: str, audience: str, now: float, leeway: float, horizon: float = 0
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Step 1. The header and the claims of a valid token; else `Refused`. `now` is in seconds, as `leeway` is."""
    assert 0 <= leeway <= MAX_LEEWAY_S
    if len(token) > MAX_TOKEN_BYTES:
        raise Refused("malformed", "too long")
    header, claims = open_jws(token, ACCESS_TOKEN_TYPES, (ES256, RS256), find)
    for name in REQUIRED_STRINGS:
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise Refused("claims", f"no {name}")
    if not isinstance(claims.get("sid", "-"), str) or not claims.get("sid", "-") or not isinstance(claims.get("scope", ""), str):
        raise Refused("claims", "sid or scope")
    if claims["iss"] != issuer:
        raise Refused("iss")
    aud = claims.get("aud")
    if not (aud == audience or (isinstance(aud, list) and audience in aud and all(isinstance(one, str) for one in aud))):
        raise Refused("aud")
    exp: Any = claims.get("exp")
    iat: Any = claims.get("iat")
    nbf: Any = claims.get("nbf", 0)
    if not all(is_integer(time) and time <= LAST_SECOND for time in (exp, iat, nbf)):
        raise Refused("claims", "exp, iat or nbf")
    # RFC 7519 section 4.1.4: on or after. By the horizon: what would refuse it may have been dropped.
    if max(now, horizon) >= exp + leeway:
        raise Refused("exp")
    if nbf > now + leeway:
        raise Refused("nbf")
    if iat > now + leeway:
        raise Refused("iat")
    return header, claims
