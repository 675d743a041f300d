//! When may I send, when should I wake.
//!
//! Pure: time comes in as a value on the monotonic clock, decisions go out as waits.

mod schedule;

pub use schedule::{Schedule, ScheduleError, parse_span};
