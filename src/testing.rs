//! What unit tests share: which servers there are.

use std::io::Write;

/// The value of an environment variable that names a server for tests; without it the test says that it left something out, or
/// fails where `tests/run` demands all of them.
#[allow(clippy::disallowed_methods, reason = "tests/run says by the environment which servers there are")]
pub(crate) fn test_server(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        assert_ne!(std::env::var("TESSERA_TEST_REQUIRE").as_deref(), Ok("all"), "{variable} is not set");
        // Not eprintln: the harness would hide it.
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(std::io::stderr(), "left out: {name}: {variable} is not set");
    }
    value
}
