//! Klaviyo's fixed windows: a hard cap at the full limit, an even pace at our share of it.
//!
//! Governor paces, the padded log of send times caps (governor alone overshoots a fixed window),
//! the daily ledger counts, and what the vendor's headers say overrules them all. Shops of one account
//! draw on one [`Quota`], in turns.

mod class;
pub(super) mod lane;
mod memory;
mod quota;

pub use memory::{BudgetMemory, Keeper};
pub use quota::Budgets;

use super::{Answer, ApiError, Call, Class, Exchange, Fault, patience};
use crate::clock::Clock;
use crate::telemetry::Meter;
use quota::{Quota, Turn};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Lets a call through to the layer below when its class has budget and it is its shop's turn.
#[derive(Debug)]
pub struct WindowBudget<E> {
    inner: E,
    clock: Clock,
    meter: Meter,
    patience: Duration,
    shop: Box<str>,
    quota: Arc<Quota>,
    /// Where this shop keeps the quota's memory, as the quota numbers it.
    seat: Mutex<Option<u64>>,
}

/// Which quota is drawn on, by whom, and how much of it may be used.
#[derive(Clone, Debug)]
pub struct Drawer<'a> {
    /// All quotas of the process.
    pub budgets: &'a Budgets,
    /// Names the quota: whoever draws on the same has the same name.
    pub quota: String,
    /// The share of each limit that may be used, in (0, 1].
    pub share: f64,
    /// Whether there are limits at all.
    pub limits: bool,
    /// The shop that draws.
    pub shop: &'a str,
}

impl<E> WindowBudget<E> {
    /// Draws on a quota; waits for budget up to `patience`.
    pub fn new(
        inner: E,
        drawer: &Drawer<'_>,
        patience: Duration,
        clock: Clock,
        meter: Meter,
    ) -> Self {
        let quota = drawer
            .budgets
            .quota(&drawer.quota, drawer.share, drawer.limits, &clock);
        Self {
            inner,
            clock,
            meter,
            patience,
            shop: drawer.shop.into(),
            quota,
            seat: Mutex::default(),
        }
    }

    /// Takes up what an earlier process left, and hands what is to outlive this one to `keeper`: counts
    /// of a day before the request that they count, waits as soon as they are known.
    pub fn remember(&self, past: BudgetMemory, keeper: Keeper) {
        self.quota.recall(past);
        let mut seat = self.seat();
        if let Some(old) = seat.replace(self.quota.sit(keeper)) {
            self.quota.rise(old);
        }
        for (class, until) in self.quota.memory().parked {
            self.meter.held(&class, until);
        }
    }

    fn seat(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the call may leave; its send is counted by then. Whether it is a probe.
    async fn acquire(&self, call: &Call) -> Result<bool, ApiError> {
        let (id, called) = self.quota.join(&self.shop, call);
        let place = Place {
            quota: &self.quota,
            class: call.class,
            id,
        };
        let mut held = Duration::ZERO;
        loop {
            let turn = self.quota.turn(call, place.id);
            let turn = turn.map_err(|_| ApiError::new(call.class, Fault::Uncounted))?;
            match turn {
                Turn::Go { probes } => {
                    // Of those who wait together only the first: time is to be counted once.
                    if !held.is_zero() {
                        self.meter.waited(call.class.api, call.class.name, held);
                    }
                    return Ok(probes);
                }
                Turn::In(wait) => held = self.sit_out(call.class, wait, held).await?,
                Turn::Queued => patience::until_called(&self.meter, &called).await,
            }
        }
    }

    /// Waits, unless it takes too long together with what was waited before; the sum of both.
    async fn sit_out(
        &self,
        class: &'static Class,
        wait: Duration,
        before: Duration,
    ) -> Result<Duration, ApiError> {
        let until = self.clock.now().plus(wait);
        if wait > MINUTE {
            self.meter.held(class.name, until);
        }
        if before + wait > self.patience {
            return Err(ApiError::new(class, Fault::Parked { until }));
        }
        patience::wait(&self.clock, &self.meter, wait).await;
        Ok(before + wait)
    }

    /// Reads what the answer says about the limits.
    fn observe(&self, class: &'static Class, answer: &Answer) {
        let observed = self.quota.observe(class, answer);
        if let Some(wait) = observed.parked {
            if answer.headers.retry_after.is_none() {
                tracing::warn!(class = class.name, "told to wait, but not how long");
            }
            if wait > MINUTE {
                let until = self.clock.now().plus(wait);
                tracing::warn!(class = class.name, %until, "parked by the vendor");
                self.meter.held(class.name, until);
            }
        }
        if observed.over_limit {
            tracing::error!(
                class = class.name,
                "refused twice with nobody else on the key"
            );
            self.meter.over_limit(class.api);
        }
        if observed.untold {
            self.meter.untold(class.api);
        }
    }
}

impl<E> Drop for WindowBudget<E> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat().take() {
            self.quota.rise(seat);
        }
    }
}

/// A place in a lane, given up when whoever waits is.
struct Place<'a> {
    quota: &'a Quota,
    class: &'static Class,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.quota.leave(self.class, self.id);
    }
}

/// A probe on its way; when it is given up, somebody else probes.
struct Probe<'a> {
    quota: &'a Quota,
    class: &'static Class,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.quota.probed(self.class, false);
    }
}

impl<E: Exchange> Exchange for WindowBudget<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let probes = self.acquire(call).await?;
        let classes = || call.surcharge.into_iter().chain([call.class]);
        let quota = &*self.quota;
        let probes = probes.then(|| classes().map(|class| Probe { quota, class }));
        let _probes: Vec<_> = probes.into_iter().flatten().collect();
        let answer = self.inner.exchange(call).await?;
        self.observe(call.class, &answer);
        match call.surcharge {
            // Which of the two windows was hit is not said.
            Some(class) if answer.status == 429 => self.observe(class, &answer),
            Some(class) => quota.probed(class, true),
            None => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
