//! Many figures in few.

use serde_json::{Value, json};

/// Median, 99th percentile and the greatest.
#[derive(Clone, Copy)]
pub struct Spread {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// Of an even number the median is the upper of the two; of less than a hundred the 99th percentile is the greatest.
pub fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Spread { count: values.len(), p50: at(0.5), p99: at(0.99), max: values.last().copied().unwrap_or(f64::NAN) }
}

impl Spread {
    pub fn json(&self) -> Value {
        json!({ "count": self.count, "p50": self.p50, "p99": self.p99, "max": self.max })
    }
}
