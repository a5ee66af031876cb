//! `tessera client logout-failures`: which apps do not take the news that somebody has signed out, and why.

use serde_json::json;

use super::output::{List, moment};
use crate::app::App;
use crate::store::logout_deliveries;

pub(super) async fn run(app: &App, as_json: bool) -> anyhow::Result<()> {
    let failures = logout_deliveries::failures(&mut app.store.read().await?).await?;
    let mut list = List::new(as_json, &["client_id", "tried again", "given up", "oldest", "reason"]);
    list.rows(failures.into_iter().map(|(client_id, reason, retried, given_up, oldest)| {
        let value = json!({
            "client_id": client_id, "reason": reason, "tried_again": retried, "given_up": given_up, "oldest": moment(Some(oldest)),
        });
        (vec![client_id, retried.to_string(), given_up.to_string(), oldest.rfc3339(), reason], value)
    }))?;
    list.end("Every app was told of every session that ended.")
}
