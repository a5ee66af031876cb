//! A resource server with axum. Start it with the client that the provider knows it by:
//!
//! `cargo run -p tessera-verifier --features axum --example axum -- ISSUER AUDIENCE CLIENT_ID SECRET`

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tessera_verifier::axum::{RequireScope, Scope};
use tessera_verifier::{RequireToken, Token, Verifier, WhenStale};

struct WriteOrders;
impl Scope for WriteOrders {
    const NAME: &'static str = "orders:write";
}

async fn whoami(token: Token) -> Json<Value> {
    Json(json!({"sub": token.sub(), "client_id": token.client_id(), "roles": token.roles()}))
}

async fn order(RequireScope { token, .. }: RequireScope<WriteOrders>) -> String {
    format!("ordered by {}\n", token.sub())
}

async fn health(State(verifier): State<Verifier>) -> StatusCode {
    if verifier.status().ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, audience, client_id, secret] = &arguments[..] else { return Err("ISSUER AUDIENCE CLIENT_ID SECRET".into()) };
    let verifier = Verifier::builder(issuer).audience(audience).credentials(client_id, secret).build().await?;

    // A stale feed closes the one route, and makes the other slower.
    let careful = Router::new().route("/orders", post(order)).layer(RequireToken::new(verifier.clone()));
    let lenient = RequireToken::new(verifier.clone()).when_stale(WhenStale::Introspect);
    let app = Router::new().route("/whoami", get(whoami)).layer(lenient).merge(careful);
    let app = app.route("/health", get(health)).with_state(verifier);
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8081").await?, app).await?;
    Ok(())
}
