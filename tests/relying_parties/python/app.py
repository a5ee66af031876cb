"""A relying party as its developer would write it: Flask and Authlib's own integration, one account at a time. Only what Authlib leaves
to the app is done here.

    python app.py --issuer URL --port PORT      CLIENT_ID and CLIENT_SECRET in the environment
"""

import argparse
import json
import os

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, url_for
from werkzeug.serving import make_server

arguments = argparse.ArgumentParser()
arguments.add_argument("--issuer", required=True)
arguments.add_argument("--port", type=int, required=True)
options = arguments.parse_args()

app = Flask(__name__)
app.secret_key = os.urandom(32)
# Beside a provider on the same host: cookies do not know ports.
app.config["SESSION_COOKIE_NAME"] = "relying_party"
oauth = OAuth(app)
provider = oauth.register(
    "provider",
    server_metadata_url=f"{options.issuer}/.well-known/openid-configuration",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
)
# The cookie is too small for tokens.
tokens = {}


@app.get("/login")
def login():
    return provider.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    # Checks state, exchanges the code with its verifier, and verifies the ID token with the provider's keys and our nonce.
    tokens.update(provider.authorize_access_token())
    return tokens["userinfo"]


@app.get("/refresh")
def refresh():
    renewed = provider.fetch_access_token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    # OpenID Connect Core §12.2: no nonce in a refreshed ID token.
    claims = provider.parse_id_token(renewed, nonce=None)
    rotated = renewed["refresh_token"] != tokens["refresh_token"]
    tokens.update(renewed)
    return {"sub": claims["sub"], "auth_time": claims["auth_time"], "rotated": rotated}


@app.get("/userinfo")
def userinfo():
    return provider.userinfo(token=tokens)


@app.get("/logout")
def logout():
    return provider.logout_redirect(url_for("signed_out", _external=True), id_token_hint=tokens["id_token"])


@app.get("/signed-out")
def signed_out():
    provider.validate_logout_response()
    return {"signed_out": True}


@app.errorhandler(OAuthError)
def refused(error):
    return {"error": error.error, "message": error.description}, 400


server = make_server("127.0.0.1", options.port, app)
print(json.dumps({"listening": options.port}), flush=True)
server.serve_forever()
