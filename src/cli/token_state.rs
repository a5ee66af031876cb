//! What `token inspect` finds out about a token. Nothing in the token is believed: it is shown, and then checked.

use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::failure::not_found;
use super::output::{self, moment};
use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring::{ClaimRules, MAX_TOKEN_BYTES, Verified, VerifyError, check_claims};
use crate::model::{RefreshToken, Secret, TokenFamily};
use crate::oidc::mint::{ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE};
use crate::revocation::{TokenFacts, Verdict};
use crate::store::{clients, sessions, signing_keys, token_families, users};

/// A token in three parts, decoded and not verified.
pub(super) struct Jwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Jwt {
    /// Takes a compact JWS apart; none if it is not one.
    pub(super) fn decode(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let object = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self { header: object(header)?, claims: object(claims)? })
    }

    fn header(&self, name: &str) -> &str {
        self.header.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What it says that it is.
    pub(super) fn kind(&self) -> &'static str {
        match self.header("typ").to_ascii_lowercase().trim_start_matches("application/") {
            "at+jwt" => "access_token",
            "jwt" => "id_token",
            _ => "unknown",
        }
    }

    /// Verifies the signature by our keys.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn verify(&self, app: &App, token: &str) -> Result<Verified, VerifyError> {
        let typ = if self.kind() == "access_token" { ACCESS_TOKEN_TYPE } else { ID_TOKEN_TYPE };
        app.keyring.current().verify(token, typ)
    }
}

/// Prints what is known about a JWT.
pub(super) async fn show_jwt(app: &App, token: &str, jwt: &Jwt, as_json: bool) -> anyhow::Result<()> {
    if token.len() > MAX_TOKEN_BYTES {
        bail!("the token has more than {MAX_TOKEN_BYTES} bytes");
    }
    let verified = jwt.verify(app, token);
    let mut problems = Vec::new();
    let mut revoked_by = None;
    match &verified {
        Ok(verified) => {
            let rules = ClaimRules { issuer: &app.issuer.url, audience: None, now: app.now(), leeway: app.leeway() };
            if let Err(problem) = check_claims(&verified.claims, &rules) {
                problems.push(problem.to_string());
            }
            if jwt.kind() == "access_token" {
                revoked_by = revocation(app, verified).await?;
            }
        }
        Err(problem) => {
            problems.push(problem.to_string());
            let keys = signing_keys::all(&mut app.store.read().await?).await?;
            if let Some(at) = keys.iter().find(|key| key.kid == jwt.header("kid")).and_then(|key| key.revoked_at) {
                problems.push(format!("its key was revoked at {}", at.rfc3339()));
                revoked_by = Some("key");
            }
        }
    }
    problems.extend(revoked_by.map(|kind| format!("revoked by its {kind}")));
    let active = problems.is_empty();
    let date = |name: &str| jwt.claims.get(name).and_then(Value::as_i64).map(Timestamp::from_seconds);
    if as_json {
        return output::json(&json!({
            "kind": jwt.kind(), "header": jwt.header, "claims": jwt.claims, "signature_valid": verified.is_ok(),
            "issued_at": moment(date("iat")), "expires_at": moment(date("exp")), "revoked_by": revoked_by, "problems": problems,
            "active": active,
        }));
    }
    let signature = if verified.is_ok() { "valid, by this provider's key" } else { "NOT valid: nothing below is proven" };
    let fields = [
        ("kind", jwt.kind().replace('_', " ")),
        ("signature", signature.to_owned()),
        ("issued", date("iat").map_or_else(String::new, Timestamp::rfc3339)),
        ("expires", date("exp").map_or_else(String::new, Timestamp::rfc3339)),
        ("accepted", if active { "yes".to_owned() } else { format!("no: {}", problems.join("; ")) }),
    ];
    output::print(&output::fields(&fields))?;
    let claims = format!("\nheader {:#}\nclaims {:#}", Value::from(jwt.header.clone()), Value::from(jwt.claims.clone()));
    // Line by line, since its own line ends are meant.
    claims.lines().try_for_each(|line| output::line(&output::printable(line)))
}

/// By what a verified access token is refused.
async fn revocation(app: &App, verified: &Verified) -> anyhow::Result<Option<&'static str>> {
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str);
    let facts = TokenFacts {
        jti: text("jti").unwrap_or_default(),
        sid: text("sid"),
        sub: text("sub"),
        client_id: text("client_id").unwrap_or_default(),
        kid: &verified.kid,
        iat: verified.claims.get("iat").and_then(Value::as_i64).unwrap_or_default(),
    };
    Ok(match app.revocations.check(&facts).await? {
        Verdict::Refused(kind) => Some(kind.as_str()),
        Verdict::Accepted => None,
    })
}

/// Prints what is known about a refresh token, which is opaque: only the database tells.
pub(super) async fn show_refresh_token(app: &App, secret: &Secret, as_json: bool) -> anyhow::Result<()> {
    let mut conn = app.store.read().await?;
    let found = match token_families::find_token(&mut conn, &secret.hash()).await? {
        Some(token) => token_families::find(&mut conn, &token.family_id).await?.map(|family| (token, family)),
        None => None,
    };
    drop(conn);
    let Some((token, family)) = found else {
        return Err(not_found("this is neither a JWT nor a refresh token that is known here"));
    };
    let problems = refresh_token_problems(app, &token, &family).await?;
    let email = users::find(&mut app.store.read().await?, &family.user_id).await?.map(|user| user.email);
    if as_json {
        return output::json(&json!({
            "kind": "refresh_token", "family": family.id, "client_id": family.client_id, "user_id": family.user_id, "email": email,
            "scope": family.scope, "resource": family.resource, "offline": family.offline, "authorized_at": moment(Some(family.created_at)),
            "issued_at": moment(Some(token.created_at)), "expires_at": moment(Some(token.expires_at.min(family.expires_at))),
            "rotated_at": moment(token.rotated_at), "revoked_at": moment(family.revoked_at), "problems": problems,
            "active": problems.is_empty(),
        }));
    }
    let accepted = if problems.is_empty() { "yes".to_owned() } else { format!("no: {}", problems.join("; ")) };
    output::print(&output::fields(&[
        ("kind", "refresh token".to_owned()),
        ("accepted", accepted),
        ("family", family.id.clone()),
        ("client", family.client_id.clone()),
        ("user", format!("{} ({})", email.unwrap_or_default(), family.user_id)),
        ("scope", family.scope.to_string()),
        ("authorized", family.created_at.rfc3339()),
        ("issued", token.created_at.rfc3339()),
        ("expires", token.expires_at.min(family.expires_at).rfc3339()),
    ]))
}

/// Every reason for which the token endpoint refuses the refresh token.
async fn refresh_token_problems(app: &App, token: &RefreshToken, family: &TokenFamily) -> anyhow::Result<Vec<String>> {
    let now = app.now();
    let mut conn = app.store.read().await?;
    let user = users::find(&mut conn, &family.user_id).await?;
    let client = clients::find(&mut conn, &family.client_id).await?;
    let session = sessions::find(&mut conn, &family.session_id).await?;
    let session_lives = session.is_some_and(|session| session.ended_at.is_none() && now < session.expires_at);
    let cut_off = |user: &crate::model::User| family.created_at < user.password_changed_at;
    let reasons = [
        (family.revoked_at.is_some(), "its family was revoked"),
        (token.rotated_at.is_some(), "it was exchanged for its successor"),
        (now >= token.expires_at.min(family.expires_at), "it has expired"),
        (!family.offline && !session_lives, "its session has ended"),
        (user.as_ref().is_some_and(|user| user.disabled_at.is_some()), "the account is disabled"),
        (user.as_ref().is_some_and(cut_off), "the password was changed, or everything signed out, after it was authorized"),
        (client.is_some_and(|client| client.disabled_at.is_some()), "the client is disabled"),
    ];
    Ok(reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_told_from_an_opaque_token() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |typ: &str| format!("{}.{}.c2ln", part(&format!(r#"{{"typ":"{typ}"}}"#)), part(r#"{"sub":"a"}"#));
        for (typ, kind) in
            [("at+jwt", "access_token"), ("application/AT+JWT", "access_token"), ("JWT", "id_token"), ("x", "unknown")]
        {
            assert_eq!(Jwt::decode(&token(typ)).unwrap().kind(), kind);
        }
        for opaque in ["", "a.b.c", Secret::random().expose(), &format!("{}.x", token("JWT"))] {
            assert!(Jwt::decode(opaque).is_none(), "{opaque}");
        }
    }
}
