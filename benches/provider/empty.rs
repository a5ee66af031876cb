//! The measure of all endpoints: axum with one that does nothing, in a process of its own, on the provider's own sockets. Another
//! does nothing but sign: under load a signature costs more than in a loop, and no token endpoint can be cheaper than that.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera::config::Tls;
use tessera::server::{self, Server};

use crate::process::{Process, free_address};
use crate::raw::{Signer, Signers};

/// The first argument that makes the benchmark be this server.
pub const ARGUMENT: &str = "empty-server";

/// Bytes of an access token of `client_credentials`, without its signature.
const SIGNING_INPUT: usize = 430;

/// Starts it.
pub fn start(log: &Path) -> Result<Process> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ARGUMENT, &address.to_string()]).env_clear();
    Process::start(command, address, "/empty", log)
}

/// Is it, until SIGTERM.
pub fn serve(address: SocketAddr) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let stop = server::stop_on_signals()?;
        let signer = Signers::generate()?.es256;
        let router = Router::new()
            .route("/empty", get(nothing).post(read_form))
            .route("/sign", post(async move |body: Bytes| sign(&signer, &body)));
        Server::bind(address, &Tls::default()).await?.serve(router, stop, Duration::ZERO).await
    })
}

async fn nothing() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], r#"{"empty":true}"#)
}

/// Waits for the whole body, as every endpoint with a form must.
async fn read_form(body: Bytes) -> impl IntoResponse {
    let parameters = form_urlencoded::parse(&body).count();
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], format!(r#"{{"parameters":{parameters}}}"#))
}

/// Signs the form, padded to the size of a token, and answers with as much text as a token has.
fn sign(signer: &Signer, form: &[u8]) -> impl IntoResponse + use<> {
    let mut input = form.to_vec();
    input.resize(SIGNING_INPUT, b'.');
    let signature = signer.sign(&input).unwrap_or_default();
    let token = format!("{}{}", "t".repeat(SIGNING_INPUT), URL_SAFE_NO_PAD.encode(signature));
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], format!(r#"{{"access_token":"{token}"}}"#))
}
