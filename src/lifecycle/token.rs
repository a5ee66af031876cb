//! One access token is taken back.

use serde_json::Map;

use super::{detail, record};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::{Actor, AuditKind};
use crate::revocation;
use crate::store::StoreError;

/// Refuses the access token with this `jti` from now on (RFC 7009 §2.1). `expires_at` is its `exp`; `client_id`, where it is known,
/// is kept in the audit; `audience` is its `aud`, where that is known, and says who must hear of it.
pub async fn revoke(
    app: &App,
    actor: &Actor,
    jti: &str,
    client_id: Option<&str>,
    expires_at: Timestamp,
    audience: Option<Vec<String>>,
) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    let detail = client_id.map_or_else(Map::new, |id| detail("client_id", id));
    record(&mut tx, actor, AuditKind::TokenRevoked, format!("token:{jti}"), detail, app.now()).await?;
    app.revocations.commit(tx, vec![revocation::token(jti, expires_at, audience)]).await
}
