//! The protocol, through the real router. Numbers in comments are the lines of the security checklist in `docs/security.md`.

mod access_token;
mod authorize;
mod backchannel_logout;
mod claims_parameter;
mod client_auth;
mod client_document;
mod client_keys;
mod client_secret_jwt;
mod code;
pub mod device;
mod encryption;
mod frontchannel_logout;
mod initiate_login;
mod mcp;
mod metadata;
mod offline_access;
mod pairwise;
mod par;
mod readable_secret;
mod refresh;
mod registration;
mod request_objects;
mod request_uri;
mod response_types;
mod revocation;
mod revocation_feed;
mod rp_initiated_logout;
mod status_list;
mod step_up;
mod token_exchange;

use crate::harness::provider::{Browser, Response};

impl Browser {
    /// Allows what the consent page asks, to which `asked` leads, and gives the answer that the app gets.
    pub async fn allow(&mut self, asked: &Response) -> Response {
        assert!(asked.location().starts_with("/consent?request="), "{asked:?}");
        let request = self.get(asked.location()).await.input("request");
        let response = self.fill_in(asked.location(), "/consent", &[("request", &request), ("decision", "allow")]).await;
        self.follow(response).await
    }
}
