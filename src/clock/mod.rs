//! The only reader of time, and the word that time is up.
//!
//! Everything below takes `now` as an argument. Tests hand in a manual clock on which waiting costs
//! nothing: a sleep moves the clock and returns.

mod stop;

pub use stop::{Brake, Stop};

use crate::model::Moment;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Where the time comes from. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clocks.
    #[default]
    System,
    /// Milliseconds since 1970, moved by hand and by sleeping.
    Manual(Arc<AtomicI64>),
    /// Milliseconds since 1970 plus what tokio's timers have counted since: stands still and leaps
    /// with them where a test pauses them.
    Timers(Arc<AtomicI64>, tokio::time::Instant),
}

impl Clock {
    /// A clock that stands at `start` until something sleeps or [`Clock::advance`] is called.
    pub fn manual(start: Moment) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// A clock that says `start` now and goes with tokio's timers, which a test may pause: many tasks
    /// can then wait side by side, each for its own time.
    pub fn with_timers(start: Moment) -> Self {
        let start = Arc::new(AtomicI64::new(start.0));
        Self::Timers(start, tokio::time::Instant::now())
    }

    /// Wall time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this room is the one reader of time"
    )]
    pub fn now(&self) -> Moment {
        match self {
            Self::System => jiff::Timestamp::now().into(),
            Self::Manual(millis) => Moment(millis.load(Ordering::SeqCst)),
            Self::Timers(start, origin) => {
                Moment(start.load(Ordering::SeqCst)).plus(origin.elapsed())
            }
        }
    }

    /// Time since an arbitrary start that never goes back; pacing rests on it.
    pub fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::System => START.get_or_init(Instant::now).elapsed(),
            Self::Manual(millis) => {
                let passed = u64::try_from(millis.load(Ordering::SeqCst)).unwrap_or(0);
                Duration::from_millis(passed)
            }
            Self::Timers(_, origin) => origin.elapsed(),
        }
    }

    /// Waits. On a manual clock the time passes at once, and other tasks get a turn.
    pub async fn sleep(&self, span: Duration) {
        match self {
            Self::System | Self::Timers(..) => tokio::time::sleep(span).await,
            Self::Manual(_) => {
                self.advance(span);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether those who sleep at the same time wait together. On a manual clock every sleep moves the
    /// time of all, so that work is done one after the other there.
    pub fn sleeps_overlap(&self) -> bool {
        !matches!(self, Self::Manual(_))
    }

    /// Moves a manual clock forward, and the wall time of one that goes with timers; does nothing to
    /// the machine's.
    pub fn advance(&self, span: Duration) {
        if let Self::Manual(millis) | Self::Timers(millis, _) = self {
            // Rounded up, or a wait for less than a millisecond would never end.
            let step = i64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
            millis.fetch_add(step, Ordering::SeqCst);
        }
    }

    /// Sets wall time back, as a time server may; does nothing to the machine's.
    pub fn set_back(&self, span: Duration) {
        if let Self::Manual(millis) | Self::Timers(millis, _) = self {
            let step = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_sub(step, Ordering::SeqCst);
        }
    }
}
