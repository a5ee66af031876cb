"""Access tokens: "Checking a token" of docs/revocation-feed.md, by RFC 9068 section 4 and RFC 8725."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from keys import ES256, RS256, Key, Refused, open_jws
from state import MAX_LEEWAY_S, is_number

# RFC 9068 section 4 allows both spellings of the media type.
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
REQUIRED_STRINGS = ("iss", "sub", "client_id", "jti")  # RFC 9068 section 2.2


def verify(
    token: str, find: Callable[[str], Optional[Key]], issuer: str, audience: str, now: float, leeway: float
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Step 1. The header and the claims of a valid token; else `Refused`. `now` is in seconds, as `leeway` is."""
    assert 0 <= leeway <= MAX_LEEWAY_S
    header, claims = open_jws(token, ACCESS_TOKEN_TYPES, (ES256, RS256), find)
    for name in REQUIRED_STRINGS:
        if not isinstance(claims.get(name), str):
            raise Refused("claims", f"no {name}")
    if not isinstance(claims.get("sid", ""), str):
        raise Refused("claims", "sid")
    if claims["iss"] != issuer:
        raise Refused("iss")
    aud = claims.get("aud")
    if not (aud == audience or (isinstance(aud, list) and audience in aud)):
        raise Refused("aud")
    exp: Any = claims.get("exp")
    iat: Any = claims.get("iat")
    nbf: Any = claims.get("nbf", 0)
    if not (is_number(exp) and is_number(iat) and is_number(nbf)):
        raise Refused("claims", "exp, iat or nbf")
    if now >= exp + leeway:  # RFC 7519 section 4.1.4: on or after
        raise Refused("exp")
    if nbf > now + leeway:
        raise Refused("nbf")
    if iat > now + leeway:
        raise Refused("iat")
    return header, claims
