//! The certificate of the listener, read again when it is renewed. TLS itself is rustls with OpenSSL's cryptography.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Tls;

/// A renewed certificate is noticed within this time; SIGHUP makes it at once.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A certificate in use, and the files that it came from.
pub(super) struct Certificate {
    config: RustlsConfig,
    certificate: PathBuf,
    private_key: PathBuf,
}

impl Certificate {
    /// Reads the certificate that `tls` names; none if it names none.
    ///
    /// # Errors
    /// If the files cannot be read, or are not a certificate and its key.
    pub(super) async fn read(tls: &Tls) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(private_key)) = (&tls.certificate, &tls.private_key) else { return Ok(None) };
        let config = RustlsConfig::from_config(Arc::new(read_pem(certificate, private_key)?));
        Ok(Some(Self { config, certificate: certificate.clone(), private_key: private_key.clone() }))
    }

    /// What the listener uses; a certificate that is read again is used for the next connection.
    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Reads the files again on SIGHUP and when they change. One that cannot be used is logged, and the old one stays. Never ends.
    pub(super) async fn reload_when_changed(self) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be handled: a renewed certificate is used after a restart");
            return;
        };
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.written_at();
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                _ = hangup.recv() => true,
            };
            let now = self.written_at();
            if asked || now != seen {
                seen = now;
                match read_pem(&self.certificate, &self.private_key) {
                    Ok(config) => {
                        self.config.reload_from_config(Arc::new(config));
                        tracing::info!("the certificate was read again");
                    }
                    Err(error) => {
                        tracing::error!(error = %format!("{error:#}"), "the new certificate cannot be used; the old one stays")
                    }
                }
            }
        }
    }

    fn written_at(&self) -> [Option<SystemTime>; 2] {
        let written_at = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
        [written_at(&self.certificate), written_at(&self.private_key)]
    }
}

/// The rustls configuration for a certificate chain and its key. It offers HTTP/1.1 alone, as the listener speaks.
fn read_pem(certificate: &Path, private_key: &Path) -> anyhow::Result<ServerConfig> {
    let read = || -> anyhow::Result<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(private_key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    };
    read().with_context(|| format!("cannot use {} with {}", certificate.display(), private_key.display()))
}
