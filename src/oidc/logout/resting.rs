//! Clients to whom nothing could even be begun (the database takes no writes, the keys cannot be confirmed): each is left alone for some
//! looks at the queue, and for longer each time. Not for clients that do not answer: the queue has their next attempt.

use std::collections::HashMap;

/// The longest rest, in looks.
const LONGEST: u64 = 64;

/// Who rests, and until which look.
#[derive(Debug, Default)]
pub(super) struct Resting {
    look: u64,
    clients: HashMap<String, Rest>,
}

#[derive(Debug)]
struct Rest {
    until: u64,
    length: u64,
}

impl Resting {
    /// The queue is looked at by the clock. Who has long rested enough and was not heard of is forgotten.
    pub fn look(&mut self) {
        self.look += 1;
        let look = self.look;
        self.clients.retain(|_, rest| look <= rest.until + LONGEST);
    }

    /// Leaves the client alone until the next look; twice as many looks as the last time, if that was in vain too. `true` if it was the
    /// first time.
    pub fn rest(&mut self, client_id: &str) -> bool {
        let length = self.clients.get(client_id).map_or(1, |rest| (rest.length * 2).min(LONGEST));
        self.clients.insert(client_id.to_owned(), Rest { until: self.look + length, length }).is_none()
    }

    /// Something could be done for this client.
    pub fn rise(&mut self, client_id: &str) {
        self.clients.remove(client_id);
    }

    pub fn rests(&self, client_id: &str) -> bool {
        self.clients.get(client_id).is_some_and(|rest| self.look < rest.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_until_something_could_be_done() {
        let mut resting = Resting::default();
        assert!(!resting.rests("app"));
        for (round, length) in [1, 2, 4, 8, 16, 32, 64, 64].into_iter().enumerate() {
            assert_eq!(resting.rest("app"), round == 0);
            for _ in 0..length {
                assert!(resting.rests("app") && !resting.rests("other"), "{length}");
                resting.look();
            }
            assert!(!resting.rests("app"), "{length}");
        }
        resting.rise("app");
        assert!(resting.rest("app"));
        for _ in 0..=LONGEST + 1 {
            resting.look();
        }
        assert!(resting.clients.is_empty(), "a client that was deleted meanwhile is forgotten");
    }
}
