//! Logs and metrics in one place.

mod meter;

pub use meter::{Api, Meter, Outcome, Totals};
