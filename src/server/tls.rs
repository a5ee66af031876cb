//! The certificate of the listener, read again when it is renewed. TLS itself is rustls with OpenSSL's cryptography.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use axum_server::tls_rustls::RustlsConfig;
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
        // An error says that it is installed already.
        let _ = rustls_openssl::default_provider().install_default();
        let config = RustlsConfig::from_pem_file(certificate, private_key)
            .await
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("cannot use {} with {}", certificate.display(), private_key.display()))?;
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
                match self.config.reload_from_pem_file(&self.certificate, &self.private_key).await {
                    Ok(()) => tracing::info!("the certificate was read again"),
                    Err(error) => tracing::error!(%error, "the new certificate cannot be used; the old one stays"),
                }
            }
        }
    }

    fn written_at(&self) -> [Option<SystemTime>; 2] {
        let written_at = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
        [written_at(&self.certificate), written_at(&self.private_key)]
    }
}
