//! Klaviyo's fixed windows: a hard cap at the full limit, an even pace at our share of it.
//!
//! Governor paces, the padded log of send times caps (governor alone overshoots a fixed window),
//! the daily ledger counts, and what the vendor's headers say overrules them all.

use super::{Answer, ApiError, Call, Class, Exchange, Fault, Limits, patience};
use crate::clock::Clock;
use crate::model::Moment;
use crate::pace::{Ceiling, DayCount, DayLedger, Hold, PAD, Window};
use crate::telemetry::Meter;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What must outlive a restart: days partly spent, classes told to wait long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetMemory {
    /// Requests of the day, by endpoint class with a daily cap.
    pub days: BTreeMap<String, DayCount>,
    /// Until when a class must not be asked.
    pub parked: BTreeMap<String, Moment>,
}

/// Lets a call through to the layer below when its class has budget.
#[derive(Debug)]
pub struct WindowBudget<E> {
    inner: E,
    clock: Clock,
    meter: Meter,
    share: f64,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    classes: BTreeMap<&'static str, ClassBudget>,
    ledger: DayLedger,
    parked: BTreeMap<String, Moment>,
    // The server's clock with the monotonic time of its reading: midnight is the server's.
    server: Option<(Moment, Duration)>,
}

#[derive(Debug)]
struct ClassBudget {
    burst: Window,
    steady: Window,
    ceiling: Ceiling,
    hold: Hold,
    pacer: Pacer,
    daily: Option<u32>,
    limits: Limits,
}

type Pacer = RateLimiter<NotKeyed, InMemoryState, PacerClock, NoOpMiddleware<Duration>>;

/// Our clock as governor's, so that virtual time paces too.
#[derive(Clone, Debug)]
struct PacerClock(Clock);

impl governor::clock::Clock for PacerClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

impl<E> WindowBudget<E> {
    /// Uses at most `share` of each limit, in (0, 1]; waits for budget up to `patience`.
    pub fn new(inner: E, share: f64, patience: Duration, clock: Clock, meter: Meter) -> Self {
        Self {
            inner,
            clock,
            meter,
            share,
            patience,
            state: Mutex::default(),
        }
    }

    /// What the caller must keep over a restart, and hand to [`WindowBudget::recall`].
    pub fn memory(&self) -> BudgetMemory {
        let state = self.lock();
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        let mut parked = state.parked.clone();
        for (name, class) in &state.classes {
            let wait = class.hold.wait(now);
            if wait > MINUTE {
                parked.insert((*name).to_owned(), wall.plus(wait));
            }
        }
        parked.retain(|_, until| *until > wall);
        BudgetMemory {
            days: state.ledger.counts().clone(),
            parked,
        }
    }

    /// Takes up what was spent and parked before a restart.
    pub fn recall(&self, memory: BudgetMemory) {
        let mut state = self.lock();
        state.ledger.restore(memory.days);
        state.parked.extend(memory.parked);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the call may leave; its send is counted by then.
    async fn acquire(&self, call: &Call) -> Result<(), ApiError> {
        let mut waited = Duration::ZERO;
        loop {
            let wait = self.claim(call);
            if wait.is_zero() {
                break;
            }
            if waited + wait > self.patience {
                let until = self.clock.now().plus(wait);
                return Err(ApiError::new(call.class, Fault::Parked { until }));
            }
            patience::wait(&self.clock, &self.meter, wait).await;
            waited += wait;
        }
        if !waited.is_zero() {
            self.meter.waited(call.class.api, call.class.name, waited);
        }
        Ok(())
    }

    /// Claims a send in every class of the call, or says how long until it is worth asking again.
    fn claim(&self, call: &Call) -> Duration {
        let mut state = self.lock();
        let state = &mut *state;
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        let day = state
            .server
            .map_or(wall, |(date, read)| date.plus(now.saturating_sub(read)));
        // The scarce class first: a token that governor hands out cannot be given back.
        let classes = || call.surcharge.into_iter().chain([call.class]);
        for class in classes() {
            if let Some(limits) = class.limits {
                let fresh = || ClassBudget::new(limits, self.share, &self.clock);
                let budget = state.classes.entry(class.name).or_insert_with(fresh);
                let parked = state.parked.get(class.name);
                let parked = parked.map_or(Duration::ZERO, |until| until.since(wall));
                let today = budget.daily.map_or(Duration::ZERO, |cap| {
                    state.ledger.wait(class.name, cap, day)
                });
                let wait = budget.wait(now).max(parked).max(today);
                if !wait.is_zero() {
                    return wait;
                }
            }
        }
        for class in classes() {
            if let Some(budget) = state.classes.get_mut(class.name)
                && let Err(early) = budget.pacer.check()
            {
                // Never zero, or a loop on a clock that stands still would not end.
                return early.wait_time_from(now).max(Duration::from_millis(1));
            }
        }
        for class in classes() {
            if let Some(budget) = state.classes.get_mut(class.name) {
                budget.burst.record(now);
                budget.steady.record(now);
                if budget.daily.is_some() {
                    state.ledger.record(class.name, day);
                }
            }
        }
        Duration::ZERO
    }

    /// Reads what the answer says about the limits.
    fn observe(&self, class: &'static Class, answer: &Answer) {
        let mut state = self.lock();
        let now = self.clock.monotonic();
        if let Some(date) = answer.headers.date {
            state.server = Some((date, now));
        }
        let Some(budget) = state.classes.get_mut(class.name) else {
            return;
        };
        if answer.status == 429 {
            let wait = answer.headers.retry_after.unwrap_or(MINUTE);
            budget.hold.extend(now, wait.max(SECOND) + PAD);
        } else if let Some(headers) = answer.headers.rate {
            budget.hold.observe(now, headers, MINUTE);
            if let Some(limit) = budget.ceiling.observe(headers.limit, now) {
                budget.limits.steady = limit;
                budget.steady.set_limit(limit);
                budget.pacer = pacer(budget.limits, self.share, &self.clock);
            }
        }
    }
}

impl ClassBudget {
    fn new(limits: Limits, share: f64, clock: &Clock) -> Self {
        Self {
            burst: Window::new(limits.burst, SECOND),
            steady: Window::new(limits.steady, MINUTE),
            ceiling: Ceiling::new(limits.steady),
            hold: Hold::default(),
            pacer: pacer(limits, share, clock),
            daily: limits.daily.map(|cap| part(cap, share)),
            limits,
        }
    }

    fn wait(&self, now: Duration) -> Duration {
        let windows = self.burst.wait(now).max(self.steady.wait(now));
        windows.max(self.hold.wait(now))
    }
}

/// An even pace at `share` of the tighter window, after a burst of a tenth of it.
fn pacer(limits: Limits, share: f64, clock: &Clock) -> Pacer {
    let rate = (f64::from(limits.burst) / SECOND.as_secs_f64())
        .min(f64::from(limits.steady) / MINUTE.as_secs_f64());
    let period = Duration::from_secs_f64(1.0 / (rate * share.clamp(0.01, 1.0)).max(1e-4));
    let tenth = part(limits.burst.min(limits.steady), 0.1);
    let burst = NonZeroU32::new(tenth).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(period).expect("a period of at least a nanosecond is a quota");
    RateLimiter::direct_with_clock(quota.allow_burst(burst), PacerClock(clock.clone()))
}

/// A share of a limit, at least one.
fn part(limit: u32, share: f64) -> u32 {
    // In range by construction: a share of at most 1 of a u32.
    (f64::from(limit) * share.clamp(0.0, 1.0)).floor().max(1.0) as u32
}

impl<E: Exchange> Exchange for WindowBudget<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        self.acquire(call).await?;
        let answer = self.inner.exchange(call).await?;
        self.observe(call.class, &answer);
        if let Some(class) = call.surcharge.filter(|_| answer.status == 429) {
            // Which of the two windows was hit is not said.
            self.observe(class, &answer);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
