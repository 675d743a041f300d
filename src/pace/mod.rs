//! When may I send, when should I wake.
//!
//! Pure: time comes in as a value on the monotonic clock, decisions go out as waits.

mod backoff;
mod ceiling;
mod circuit;
mod cost;
mod fair;
mod hold;
mod ledger;
mod schedule;
mod window;

pub use backoff::full_jitter;
pub use ceiling::Ceiling;
pub use circuit::{Circuit, Gate, RetryBudget};
pub use cost::{CostBucket, Throttle};
pub use fair::{FairQueue, Ticket};
pub use hold::{Hold, RateHeaders};
pub use ledger::{DayCount, DayLedger};
pub use schedule::{Schedule, ScheduleError, parse_span};
pub use window::{PAD, Window};
