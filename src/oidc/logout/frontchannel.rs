//! Front-channel logout (OpenID Connect Front-Channel Logout 1.0): the page that says "signed out" loads an address of each app of the
//! session in a frame, where the app finds its own cookies. Only the browser that signs out can do it: whatever else ends a session tells
//! apps by the back channel alone.

use url::Url;

use crate::app::App;
use crate::oidc::authorize::with_query;
use crate::store::{StoreError, sessions};

/// The most frames on one page. The origin of each is in a header of it, and proxies take only so much; further apps hear by the back
/// channel alone.
const MOST_FRAMES: usize = 50;

/// A frame that signs the person out of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `frontchannel_logout_uri`, with `iss` and `sid` if the client registered that it needs them.
    pub address: String,
    /// Scheme, host and port: what the page may frame.
    pub origin: String,
}

/// The frames for a session's end, in the order in which its apps were signed in to.
pub(super) async fn frames(app: &App, session_id: &str) -> Result<Vec<Frame>, StoreError> {
    let noted = sessions::clients_of(&mut app.store.read().await?, session_id).await?;
    let mut frames = Vec::new();
    for noted in noted {
        let Some(client) = app.clients.find(&app.store, &noted.client_id, app.now()).await? else { continue };
        let Some(uri) = &client.metadata.frontchannel_logout_uri else { continue };
        // §2: both or neither.
        let address = match client.metadata.frontchannel_logout_session_required {
            true => with_query(uri, &[("iss", app.issuer.url.clone()), ("sid", session_id.to_owned())]),
            false => uri.clone(),
        };
        frames.extend(frame(address));
        if frames.len() >= MOST_FRAMES {
            break;
        }
    }
    Ok(frames)
}

/// None for what is not a web address: a page must frame nothing else, whatever a client registered once.
fn frame(address: String) -> Option<Frame> {
    let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(Frame { origin: url.origin().ascii_serialization(), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_framed() {
        let origin = |address: &str| frame(address.to_owned()).map(|frame| frame.origin);
        assert_eq!(origin("https://app.example/out?a=1&sid=x").as_deref(), Some("https://app.example"));
        assert_eq!(origin("https://app.example:8443/").as_deref(), Some("https://app.example:8443"));
        assert_eq!(origin("http://[::1]:4711/").as_deref(), Some("http://[::1]:4711"));
        for other in ["javascript:alert(1)", "data:text/html,x", "com.example.app:/out", "blob:https://app.example/x", ""] {
            assert_eq!(origin(other), None, "{other}");
        }
    }
}
