//! What was measured of "take it back", one finding for each way, and how the page says it.

use std::time::Duration;

use super::history::Went;
use super::report;
use super::tight_loop::{Measured, PATIENCE};
use crate::clock::Timestamp;

/// Longer than a measurement takes, whatever goes wrong.
const LONGEST: Duration = Duration::from_secs(40);

/// What takes the token back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    RevokeToken,
    ChangePassword,
    SignOutEverywhere,
    DisableClient,
    RevokeKey,
}

/// The newest measurement of each deed, and whether one is under way.
#[derive(Clone, Default)]
pub struct Experiments {
    done: Vec<Finding>,
    newest: Option<Deed>,
    /// Why the last one came to nothing.
    pub failure: Option<String>,
    /// Until when at the latest something is being measured.
    busy_until: Option<Timestamp>,
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Finding {
    pub deed: Deed,
    pub measured: Measured,
}

impl Deed {
    pub const ALL: [Deed; 5] =
        [Deed::RevokeToken, Deed::ChangePassword, Deed::SignOutEverywhere, Deed::DisableClient, Deed::RevokeKey];

    /// As the form says it.
    pub fn name(self) -> &'static str {
        match self {
            Deed::RevokeToken => "revoke",
            Deed::ChangePassword => "change-password",
            Deed::SignOutEverywhere => "sign-out-everywhere",
            Deed::DisableClient => "disable-client",
            Deed::RevokeKey => "revoke-key",
        }
    }

    /// As the button says it.
    pub fn title(self) -> &'static str {
        match self {
            Deed::RevokeToken => "Revoke the token",
            Deed::ChangePassword => "Change the password",
            Deed::SignOutEverywhere => "Sign out everywhere",
            Deed::DisableClient => "Disable the client",
            Deed::RevokeKey => "Revoke the key",
        }
    }

    /// Who does it, and what comes of it.
    pub fn what(self) -> &'static str {
        match self {
            Deed::RevokeToken => "This app gives the access token back.",
            Deed::ChangePassword => "You, at your account. The same password again: keep using it.",
            Deed::SignOutEverywhere => "You, at your account.",
            Deed::DisableClient => "An operator locks this app out, and lets it in again. New tokens then take some seconds.",
            Deed::RevokeKey => "An operator, as if the signing key had been stolen.",
        }
    }

    /// Whether the refresh token is dead too.
    pub fn ends_sign_in(self) -> bool {
        matches!(self, Deed::ChangePassword | Deed::SignOutEverywhere)
    }
}

impl Experiments {
    /// The newest measurement of `deed`.
    pub fn of(&self, deed: Deed) -> Option<&Finding> {
        self.done.iter().find(|finding| finding.deed == deed)
    }

    /// The newest of all.
    pub fn newest(&self) -> Option<&Finding> {
        self.of(self.newest?)
    }

    /// Whether something is being measured.
    pub fn is_busy(&self, now: Timestamp) -> bool {
        self.busy_until.is_some_and(|until| now < until)
    }

    /// Notes that something is being measured, unless something is already: a form may be sent twice.
    pub fn begin(&mut self, now: Timestamp) -> bool {
        let free = !self.is_busy(now);
        if free {
            self.busy_until = Some(now + LONGEST);
        }
        free
    }

    pub fn end(&mut self, outcome: Result<Finding, String>) {
        self.busy_until = None;
        self.failure = None;
        match outcome {
            Ok(finding) => {
                self.newest = Some(finding.deed);
                self.done.retain(|other| other.deed != finding.deed);
                self.done.push(finding);
            }
            Err(reason) => self.failure = Some(reason),
        }
    }
}

impl Finding {
    /// "43 ms", or that it was never refused.
    pub fn time(&self) -> String {
        match self.measured.refused_after {
            Some(after) => format!("{} ms", after.as_millis()),
            None => "never".to_owned(),
        }
    }

    /// Whether the promise was kept.
    pub fn is_good(&self) -> bool {
        self.measured.refused_after.is_some() && self.measured.accepted_later == 0
    }

    /// What refused it: the part of the token that the feed's entry names, or a check.
    pub fn by(&self) -> &str {
        let why = &self.measured.why;
        match &why.revoked_by {
            Some(name) => report::entry_words(name),
            None if why.asked => "Tessera, when asked",
            None => report::check_name(&why.check),
        }
    }

    /// One line.
    pub fn headline(&self) -> String {
        match self.measured.refused_after {
            Some(after) => format!("{}: refused {} ms after Tessera answered", self.deed.title(), after.as_millis()),
            None => format!("{}: still accepted after {} seconds", self.deed.title(), PATIENCE.as_secs()),
        }
    }

    /// How many calls went which way.
    pub fn counts(&self) -> String {
        let Measured { refused_after, accepted_between, refused_later, accepted_later, .. } = self.measured;
        let between = match (accepted_between, refused_after) {
            (0, Some(after)) if after.is_zero() => "It was refused before that answer was back.".to_owned(),
            (0, _) => "No call was accepted in between.".to_owned(),
            (1, _) => "1 call was accepted in between.".to_owned(),
            (count, _) => format!("{count} calls were accepted in between."),
        };
        match (refused_after, accepted_later) {
            (None, _) => format!("{between} The app gave up waiting."),
            (_, 0) => format!("{between} After that nothing was accepted, in {refused_later} more calls."),
            (_, again) => format!("{between} But later calls were accepted again, {again} of them: that must not be."),
        }
    }

    /// For the list of what happened.
    pub fn went(&self) -> Went {
        if self.is_good() { Went::Ended } else { Went::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tight_loop::Why;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn finding(refused_after: Option<u64>, [accepted_between, refused_later, accepted_later]: [usize; 3]) -> Finding {
        let refused_after = refused_after.map(Duration::from_millis);
        let why = Why { check: "signature".to_owned(), revoked_by: Some("kid".to_owned()), asked: false };
        let measured = Measured { refused_after, accepted_between, refused_later, accepted_later, why };
        Finding { deed: Deed::RevokeKey, measured }
    }

    #[test]
    fn findings_in_words() {
        let table = [
            (finding(Some(43), [61, 400, 0]), true, "refused 43 ms", "61 calls were accepted in between. After that nothing"),
            (finding(Some(0), [0, 9, 0]), true, "refused 0 ms", "refused before that answer was back"),
            (finding(Some(7), [1, 9, 2]), false, "refused 7 ms", "accepted again, 2 of them"),
            (finding(None, [5000, 0, 0]), false, "still accepted after 3 seconds", "gave up"),
        ];
        for (finding, good, headline, counts) in table {
            assert_eq!(finding.is_good(), good, "{headline}");
            assert!(finding.headline().contains(headline), "{}", finding.headline());
            assert!(finding.counts().contains(counts), "{}", finding.counts());
        }
        let mut finding = finding(None, [0; 3]);
        assert_eq!(finding.by(), "its key (kid)");
        finding.measured.why = Why { check: "not_revoked".to_owned(), revoked_by: None, asked: true };
        assert_eq!(finding.by(), "Tessera, when asked");
        finding.measured.why.asked = false;
        assert_eq!(finding.by(), "Not taken back");
    }

    #[test]
    fn one_at_a_time_and_the_newest_of_each_is_kept() {
        let mut experiments = Experiments::default();
        assert!(experiments.begin(NOW) && !experiments.begin(NOW));
        experiments.end(Ok(finding(Some(1), [0; 3])));
        assert!(experiments.begin(NOW));
        experiments.end(Ok(finding(Some(2), [0; 3])));
        assert_eq!(experiments.of(Deed::RevokeKey).map(Finding::time).as_deref(), Some("2 ms"));
        assert!(experiments.begin(NOW));
        experiments.end(Err("no".to_owned()));
        assert!(experiments.failure.is_some() && experiments.newest().is_some(), "a failure leaves what was measured before");
        assert!(experiments.begin(NOW) && experiments.is_busy(NOW));
        assert!(experiments.begin(NOW + LONGEST), "one that never came back does not block for ever");
    }
}
