//! Logs and metrics in one place.
//!
//! Log lines go to stderr as text or as JSON lines and name people only by [`Pseudonyms`]. Metrics
//! never name a person at all; what a shop does is counted through its [`Meter`].

mod logs;
mod meter;
mod metrics;
mod persona;
mod progress;

pub use logs::{LogError, LogFormat, UnknownLogFormat, init};
pub use meter::{Api, Meter, OutOfReach, Outcome, Totals};
pub use metrics::{Metrics, PassEnd};
pub use persona::{PseudonymError, Pseudonyms};
pub use progress::{Progress, Step};
