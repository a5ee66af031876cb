"""Decrypts what a relying party was sent: on each line of the input a JSON object with a private JWK `key` and a JWE `token`; on each line of the
output the protected header and the plain text. With a standard JOSE library, which shares no code with the provider."""

from __future__ import annotations

import json
import sys

from joserfc import jwe
from joserfc.jwk import import_key

ALGORITHMS = [
    "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128KW", "A256KW",
    "A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM",
]

for line in sys.stdin:
    asked = json.loads(line)
    found = jwe.decrypt_compact(asked["token"], import_key(asked["key"]), algorithms=ALGORITHMS)
    print(json.dumps({"header": found.protected, "plain": found.plaintext.decode()}))
