//! What the provider tells of itself: log lines and metrics. There are no spans and no tracing of requests across services here;
//! a log line carries the number of the request that it belongs to.

mod logging;
mod metrics;
mod requests;

pub use logging::init_logging;
pub use metrics::{Metrics, metrics_router};
pub use requests::count_requests;
