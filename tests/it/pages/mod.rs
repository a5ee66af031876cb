//! The pages, through the real router, as a browser uses them: read a page, send its form back. Numbers in comments are the lines of
//! the security checklist in `docs/security.md`.

mod account;
mod consent;
mod device;
mod forms;
mod frame;
mod select_account;
mod setup;
mod sign_in;
mod sign_out;

use axum::http::StatusCode;
use tessera::app::App;
use tessera::model::{AuditEvent, AuditKind};
use tessera::store::audit;

use crate::harness::provider::{Browser, Response};

impl Browser {
    /// Enters address and password on the page at `path`, and sends its form.
    pub async fn enter(&mut self, path: &str, email: &str, password: &str) -> Response {
        let page = self.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let (csrf, request) = (page.input("csrf"), page.input("request"));
        let mut form = vec![("csrf", csrf.as_str()), ("request", &request), ("email", email), ("password", password)];
        if page.body.contains("name=\"again\"") {
            form.push(("again", "yes"));
        }
        self.post("/login", &form).await
    }

    /// Sends the form of the page at `path` with `fields`, to `action`.
    pub async fn fill_in(&mut self, path: &str, action: &str, fields: &[(&str, &str)]) -> Response {
        let csrf = self.csrf(path).await;
        let mut form = vec![("csrf", csrf.as_str())];
        form.extend(fields);
        self.post(action, &form).await
    }

    /// Follows redirects to the provider's own pages.
    pub async fn follow(&mut self, mut response: Response) -> Response {
        for _ in 0..5 {
            if !response.location().starts_with('/') {
                return response;
            }
            let path = response.location().to_owned();
            response = self.get(&path).await;
        }
        panic!("goes round in circles: {response:?}");
    }

    /// Whether somebody is signed in here.
    pub async fn is_signed_in(&mut self) -> bool {
        self.get("/account").await.status == StatusCode::OK
    }
}

/// The audit events of a kind, the latest first.
pub async fn events(app: &App, kind: AuditKind) -> Vec<AuditEvent> {
    let all = audit::latest(&mut app.store.read().await.unwrap(), 1_000).await.unwrap();
    all.into_iter().filter(|event| event.kind == kind).collect()
}
