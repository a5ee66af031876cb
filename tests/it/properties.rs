//! Whatever is sent to an endpoint, it answers in the protocol's own terms; and a browser is only ever sent where its client is
//! registered to be.

mod anything;
mod redirects;

use std::future::Future;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::Provider;

/// Holds `check` against `cases` values of `strategy`, with what `scene` makes of a provider. Does nothing without a database.
fn hold<S: Strategy, T>(
    database: impl Future<Output = Option<TestDatabase>>,
    cases: u32,
    strategy: S,
    scene: impl AsyncFnOnce(Provider) -> T,
    check: impl AsyncFn(&T, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = Runtime::new().unwrap();
    let Some(db) = runtime.block_on(database) else { return };
    let scene = runtime.block_on(async { scene(Provider::new(db).await).await });
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&strategy, |value| runtime.block_on(check(&scene, value)));
    // Its connections end before the runtime that they belong to.
    runtime.block_on(async { drop(scene) });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Makes two tests, `<name>::sqlite` and `<name>::postgres`, of one property.
macro_rules! property {
    ($(#[$attribute:meta])* $name:ident, $cases:expr, $strategy:expr, $scene:expr, $check:expr) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            #[test]
            fn sqlite() {
                let database = async { Some($crate::harness::engines::TestDatabase::sqlite().await) };
                $crate::properties::hold(database, $cases, $strategy, $scene, $check);
            }

            #[test]
            fn postgres() {
                $crate::properties::hold($crate::harness::engines::TestDatabase::postgres(), $cases, $strategy, $scene, $check);
            }
        }
    };
}

pub(crate) use property;
