//! `tessera healthcheck`: asks the provider of this configuration whether it is ready. For containers, which have no curl.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::Globals;
use crate::app::Issuer;

const TIMEOUT: Duration = Duration::from_secs(2);

/// More than any status line has.
const HEAD_BYTES: u64 = 1024;

pub(super) fn run(globals: &Globals) -> anyhow::Result<()> {
    let config = globals.load()?.config;
    let address = reachable(config.listen);
    let path = Issuer::new(&config.issuer).path;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("nobody answers on {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET {path}/readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = match config.tls.certificate {
        Some(_) => ask(StreamOwned::new(tls_client(address)?, stream), &request)?,
        None => ask(stream, &request)?,
    };
    match answer.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        Some(status) => bail!("the provider on {address} is not ready: it answers {status}"),
        None => bail!("what listens on {address} does not speak HTTP"),
    }
}

fn ask(mut stream: impl Read + Write, request: &str) -> anyhow::Result<String> {
    stream.write_all(request.as_bytes()).context("the provider does not take a request")?;
    let mut head = Vec::new();
    // How it ends is of no interest once the status line is here.
    let read = stream.take(HEAD_BYTES).read_to_end(&mut head);
    if head.is_empty() {
        read.context("the provider does not answer")?;
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Where a listener on "every address" is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn tls_client(address: SocketAddr) -> anyhow::Result<ClientConnection> {
    let provider = Arc::new(rustls_openssl::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.ip().into()))?)
}

/// Accepts any certificate: it is made out to the public name, not to this machine's address, and nothing secret is sent or believed.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_by_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("127.0.0.1:9", "127.0.0.1:9"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
