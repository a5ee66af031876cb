//! Who may hold a stream or a wait: `limits.revocation_streams` in all, and half of them for one client, so that one resource server (or
//! whoever has its secret) cannot keep the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::app::App;
use crate::error::OAuthError;

/// When to come back after a refusal: soon, since another replica may have room.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The places that are taken.
#[derive(Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: u32,
    by_client: HashMap<String, u32>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    app: Arc<App>,
    client_id: String,
}

impl Places {
    /// How many are taken.
    pub fn taken(&self) -> usize {
        usize::try_from(self.lock().all).unwrap_or(usize::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes a place if there is one.
    fn take(&mut self, client_id: &str, limit: u32) -> Result<(), &'static str> {
        let of_client = self.by_client.get(client_id).copied().unwrap_or(0);
        if self.all >= limit {
            return Err("limits.revocation_streams are open");
        }
        if of_client >= limit.div_ceil(2) {
            return Err("half of limits.revocation_streams are open for this client alone");
        }
        self.all += 1;
        self.by_client.insert(client_id.to_owned(), of_client + 1);
        Ok(())
    }

    fn give_back(&mut self, client_id: &str) {
        self.all -= 1;
        if let Some(of_client) = self.by_client.get_mut(client_id) {
            *of_client -= 1;
            if *of_client == 0 {
                self.by_client.remove(client_id);
            }
        }
    }
}

impl Place {
    /// Takes a place for a stream or a wait of this client.
    ///
    /// # Errors
    /// `temporarily_unavailable` if none is left.
    pub fn take(app: &Arc<App>, client_id: &str) -> Result<Self, OAuthError> {
        let taken = app.feed.places.lock().take(client_id, app.config.limits.revocation_streams);
        taken.map_err(|why| OAuthError::busy(AGAIN_AFTER).because(why))?;
        Ok(Self { app: Arc::clone(app), client_id: client_id.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.feed.places.lock().give_back(&self.client_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_half_of_the_places_and_all_together_get_all() {
        let mut taken = Taken::default();
        assert_eq!(
            ["a", "a", "a", "b", "b", "c"].map(|client| taken.take(client, 4).is_ok()),
            [true, true, false, true, true, false]
        );
        taken.give_back("b");
        assert!(taken.take("a", 4).is_err() && taken.take("c", 4).is_ok());
        for client in ["a", "a", "b", "c"] {
            taken.give_back(client);
        }
        assert!(taken.all == 0 && taken.by_client.is_empty());
        assert!(taken.take("a", 1).is_ok(), "a limit of one lets one in");
    }
}
