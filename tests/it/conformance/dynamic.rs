//! Dynamic OP: `oidcc-dynamic-certification-test-plan`.

use super::modules;
use super::plan;
use super::suite::{Suite, Variant};

plan! {
    Variant::DYNAMIC;
    oidcc_server
    oidcc_refresh_token
    oidcc_ensure_client_assertion_with_iss_aud_succeeds
    assertions_for_the_token_endpoint_are_taken
}

/// The suite needs the switch; without it, RFC 10070 holds.
#[tokio::test]
async fn assertions_for_the_token_endpoint_are_refused_by_default() {
    let defaults = tessera::config::Config::default().oauth.legacy_client_assertion_audience;
    let mut suite = Suite::configured(Variant::DYNAMIC, |config| config.oauth.legacy_client_assertion_audience = defaults).await;
    modules::assertions_for_the_token_endpoint_are_refused(&mut suite).await;
}
