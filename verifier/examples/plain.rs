//! One token, without a web framework: says who it is for, or why it is refused, and again whenever that changes.
//!
//! `cargo run -p tessera-verifier --example plain -- ISSUER AUDIENCE CLIENT_ID SECRET TOKEN`

use std::time::Duration;

use tessera_verifier::Verifier;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, audience, client_id, secret, token] = &arguments[..] else {
        return Err("ISSUER AUDIENCE CLIENT_ID SECRET TOKEN".into());
    };
    let builder = Verifier::builder(issuer).audience(audience).credentials(client_id, secret);
    let verifier = builder.build_ready(Duration::from_secs(10)).await?;
    let mut last = String::new();
    loop {
        let now = match verifier.verify(token) {
            Ok(token) => format!("accepted: {} by {}, until {}", token.sub(), token.client_id(), token.expires_at()),
            Err(refused) => format!("refused: {refused}"),
        };
        if now != last {
            println!("{now}");
            last = now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
