//! What the provider tells of itself: log lines and metrics. There are no spans and no tracing of requests across services here;
//! a log line carries the number of the request that it belongs to.

mod logging;
mod metrics;
mod ready;
mod requests;

pub use logging::init_logging;
pub use metrics::{Metrics, metrics_router};
pub use ready::ready;
pub use requests::count_requests;
