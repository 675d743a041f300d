//! When may I send, when should I wake.
//!
//! Pure: time comes in as a value on the monotonic clock, decisions go out as waits.

mod backoff;
mod ceiling;
mod cost;
mod hold;
mod ledger;
mod schedule;
mod window;

pub use backoff::full_jitter;
pub use ceiling::Ceiling;
pub use cost::{CostBucket, Throttle};
pub use hold::{Hold, RateHeaders};
pub use ledger::{DayCount, DayLedger};
pub use schedule::{Schedule, ScheduleError, parse_span};
pub use window::{PAD, Window};
