//! How long an answer may be kept, by its `Cache-Control` (RFC 9111 §5.2.2).

use std::time::Duration;

/// The age that `Cache-Control` allows a cache of our own; zero if it must not keep the answer; none if it says nothing. Of two ages the
/// lesser counts, and one that cannot be read is zero, as the RFC advises.
pub(super) fn max_age(cache_control: Option<&str>) -> Option<Duration> {
    let mut least = None;
    for directive in cache_control?.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => 0,
            "max-age" => value.trim().trim_matches('"').parse::<u32>().unwrap_or(0),
            _ => continue,
        };
        let age = Duration::from_secs(seconds.into());
        least = Some(least.map_or(age, |least: Duration| least.min(age)));
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_header_says() {
        let table = [
            ("max-age=600", Some(600)),
            ("public, Max-Age = 60 , must-revalidate", Some(60)),
            ("max-age=\"5\"", Some(5)),
            ("max-age=600, no-cache", Some(0)),
            ("no-store", Some(0)),
            ("max-age=60, max-age=30", Some(30)),
            ("max-age=-1", Some(0)),
            ("max-age=99999999999999999999", Some(0)),
            ("max-age", Some(0)),
            ("public", None),
            ("s-maxage=9", None),
            ("", None),
        ];
        for (header, seconds) in table {
            assert_eq!(max_age(Some(header)), seconds.map(Duration::from_secs), "{header}");
        }
        assert_eq!(max_age(None), None);
    }
}
