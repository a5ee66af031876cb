//! Web apps on openid-client (Node.js) and on Authlib (Python), in `tests/relying_parties`: processes of their own, beside the real
//! `tessera serve`. The test is the person at the browser.

use serde_json::Value;
use tessera::model::{Algorithm, ClientMetadata, ScopeSet};
use tokio::process::Command;
use url::Url;

use crate::harness::engines::TestDatabase;
use crate::harness::live::Live;
use crate::harness::process::Process;
use crate::harness::provider::{PASSWORD, new_email};
use crate::harness::redis::free_port;
use crate::harness::servers::{NODE, NODE_MODULES, PYTHON};
use crate::harness::visitor::{Shown, Visitor};

const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relying_parties");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_on_node_signs_in_refreshes_and_leaves() {
    let (Some(node), Some(modules)) = (NODE.configured(), NODE_MODULES.configured()) else { return };
    let mut command = Command::new(node);
    command.current_dir(format!("{APPS}/node")).arg("app.cjs").env("NODE_PATH", modules);
    sign_in_refresh_and_leave("openid-client", Algorithm::Rs256, command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_in_python_signs_in_refreshes_and_leaves() {
    let Some(python) = PYTHON.configured() else { return };
    let mut command = Command::new(python);
    command.current_dir(format!("{APPS}/python")).args(["-B", "app.py"]);
    sign_in_refresh_and_leave("authlib", Algorithm::Es256, command).await;
}

async fn sign_in_refresh_and_leave(id: &str, alg: Algorithm, mut command: Command) {
    let live = Live::start(TestDatabase::sqlite().await).await;
    let email = new_email();
    let (user, _) = live.signed_in(&email).await;
    let port = free_port();
    let home = format!("http://127.0.0.1:{port}");
    let client = live
        .client(id, |metadata: &mut ClientMetadata| {
            metadata.redirect_uris = vec![format!("{home}/callback")];
            metadata.post_logout_redirect_uris = vec![format!("{home}/signed-out")];
            metadata.id_token_signed_response_alg = alg;
            metadata.skip_consent = false;
            metadata.scope = ScopeSet::from("openid email profile".to_owned());
        })
        .await;
    command.args(["--issuer", &live.issuer, "--port", &port.to_string()]);
    command.env("CLIENT_ID", &client.id).env("CLIENT_SECRET", client.secret.as_ref().unwrap());
    let app = Process::spawn(command);
    app.line_with("listening").await;

    let visitor = Visitor::new(&live.issuer, &[&home]);
    let open = async |path: &str| visitor.open(Url::parse(&format!("{home}{path}")).unwrap()).await;
    let page = open("/login").await;
    let page = visitor.submit(&page, &[("email", &email), ("password", PASSWORD)]).await;
    assert!(page.body.contains("id=\"allow\""), "consent is asked for: {}", page.body);
    let claims = json(visitor.submit(&page, &[("decision", "allow")]).await);
    assert_eq!((&claims["sub"], &claims["aud"]), (&user.id.as_str().into(), &client.id.as_str().into()), "{claims}");

    let about = json(open("/userinfo").await);
    assert_eq!((&about["sub"], &about["email"], &about["name"]), (&claims["sub"], &email.into(), &"Ada Lovelace".into()));

    for _ in 0..2 {
        let renewed = json(open("/refresh").await);
        assert_eq!((&renewed["sub"], &renewed["auth_time"]), (&claims["sub"], &claims["auth_time"]));
        assert_eq!(renewed["rotated"], true);
    }

    assert_eq!(json(open("/logout").await)["signed_out"], true);
    let page = open("/login").await;
    assert!(page.body.contains("name=\"password\""), "the person is signed out: {}", page.body);
    let refused = open("/refresh").await;
    assert!(
        (400..500).contains(&refused.status) && refused.body.contains("invalid_grant"),
        "{} {}",
        refused.status,
        refused.body
    );

    // A code that the app did not ask for: its own library refuses to go on.
    let forged = open("/callback?code=forged&state=forged").await;
    assert!(forged.status >= 400, "{}", forged.body);
}

fn json(shown: Shown) -> Value {
    assert_eq!(shown.status, 200, "{}", shown.body);
    serde_json::from_str(&shown.body).unwrap_or_else(|_| panic!("not JSON: {}", shown.body))
}
