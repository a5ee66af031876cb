//! Which servers this run may use, and what happens to a test whose server is missing.

use std::io::Write;

/// A PostgreSQL URL whose user may create databases.
pub const POSTGRES: Server = Server { name: "PostgreSQL", variable: "TESSERA_TEST_POSTGRES" };
/// A Redis URL.
pub const REDIS: Server = Server { name: "Redis", variable: "TESSERA_TEST_REDIS" };
/// The path of a `redis-server` that a test may start for itself, to stop and flush as it likes.
pub const REDIS_SERVER: Server = Server { name: "redis-server", variable: "TESSERA_TEST_REDIS_SERVER" };
/// The path of the program that drives Chromium.
pub const CHROMEDRIVER: Server = Server { name: "chromedriver", variable: "TESSERA_TEST_CHROMEDRIVER" };
/// The path of Chromium.
pub const CHROMIUM: Server = Server { name: "Chromium", variable: "TESSERA_TEST_CHROMIUM" };
/// The path of nginx.
pub const NGINX: Server = Server { name: "nginx", variable: "TESSERA_TEST_NGINX" };
/// The path of a Python that has what `tests/python/requirements.txt` names.
pub const PYTHON: Server = Server { name: "Python", variable: "TESSERA_TEST_PYTHON" };
/// The path of Node.js.
pub const NODE: Server = Server { name: "Node.js", variable: "TESSERA_TEST_NODE" };
/// The folder with what `tests/relying_parties/node/package-lock.json` names.
pub const NODE_MODULES: Server = Server { name: "the packages for Node.js", variable: "TESSERA_TEST_NODE_MODULES" };

/// The folder for pictures of pages.
pub const ARTEFACTS: Server = Server { name: "the folder for artefacts", variable: "TESSERA_TEST_ARTEFACTS" };

/// Something that a plain `cargo test` does not have.
pub struct Server {
    name: &'static str,
    variable: &'static str,
}

impl Server {
    /// What the environment says of this server. When it says nothing, the test is to return at once: it is left out, in words.
    /// With `TESSERA_TEST_REQUIRE=all` nothing may be left out, and the test fails.
    pub fn configured(&self) -> Option<String> {
        if let Some(value) = environment(self.variable) {
            return Some(value);
        }
        let required = environment("TESSERA_TEST_REQUIRE").is_some_and(|what| what == "all");
        assert!(!required, "{} is required and {} is not set", self.name, self.variable);
        self.say_left_out();
        None
    }

    /// Written past the test runner's capture, so that it is seen when the test counts as passed. `tests/run` counts these lines.
    fn say_left_out(&self) {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let line = format!("left out: {test}: {} is not configured (run tests/run)\n", self.name);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place where tests read the environment")]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}
