//! Shopify's query cost: a request leaves when the bucket holds its price, and it is its turn.

use crate::api::budget::lane::{Lane, Waiting};
use crate::api::{Answer, ApiError, Call, Exchange, Fault, patience};
use crate::clock::Clock;
use crate::pace::{CostBucket, Hold};
use crate::telemetry::Meter;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a plain 429 is heeded that does not say how long.
const UNSAID: Duration = Duration::from_secs(60);

/// Lets a call through to the layer below when the bucket holds its price.
#[derive(Debug)]
pub struct CostBudget<E> {
    inner: E,
    clock: Clock,
    meter: Meter,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: CostBucket,
    /// What a plain 429 asked for.
    hold: Hold,
    lane: Lane,
    /// What Shopify said each class costs; better than our estimate.
    known: BTreeMap<&'static str, f64>,
}

impl<E> CostBudget<E> {
    /// Starts with the smallest plan's bucket; the first reply corrects it.
    pub fn new(inner: E, patience: Duration, clock: Clock, meter: Meter) -> Self {
        let bucket = CostBucket::new(clock.monotonic());
        let known = BTreeMap::new();
        Self {
            inner,
            clock,
            meter,
            patience,
            state: Mutex::new(State {
                bucket,
                hold: Hold::default(),
                lane: Lane::default(),
                known,
            }),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the price out of the bucket and gives zero, or says how long until it is there; `None` when
    /// it is another one's turn.
    fn claim(&self, id: u64, price: f64) -> Option<Duration> {
        const ALL: fn(&Waiting) -> bool = |_| true;
        let mut state = self.lock();
        let now = self.clock.monotonic();
        let (first, _) = state.lane.first(ALL)?;
        if first != id {
            return None;
        }
        let wait = state.bucket.wait(price, now).max(state.hold.wait(now));
        if wait.is_zero() {
            state.bucket.spend(price, now);
            state.lane.serve(ALL);
            state.lane.call_first();
        }
        Some(wait)
    }

    async fn acquire(&self, call: &Call, price: f64) -> Result<(), ApiError> {
        // Rounded up, so that nothing is free.
        let points = price.clamp(1.0, 1e6).ceil() as u64;
        let (id, called) = self.lock().lane.join("", call, points);
        let place = Place { budget: self, id };
        let mut held = Duration::ZERO;
        loop {
            match self.claim(place.id, price) {
                None => patience::until_called(&self.meter, &called).await,
                Some(wait) if wait.is_zero() => break,
                Some(wait) if held + wait > self.patience => {
                    let until = self.clock.now().plus(wait);
                    return Err(ApiError::new(call.class, Fault::Parked { until }));
                }
                Some(wait) => {
                    patience::wait(&self.clock, &self.meter, wait).await;
                    held += wait;
                }
            }
        }
        // Of those who wait together only the first: time is to be counted once.
        if !held.is_zero() {
            self.meter.waited(call.class.api, call.class.name, held);
        }
        Ok(())
    }
}

/// A place in the lane, given up when whoever waits is.
struct Place<'a, E> {
    budget: &'a CostBudget<E>,
    id: u64,
}

impl<E> Drop for Place<'_, E> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if state.lane.leave(self.id) {
            state.lane.call_first();
        }
    }
}

impl<E: Exchange> Exchange for CostBudget<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let Some(estimate) = call.cost else {
            return self.inner.exchange(call).await;
        };
        let known = self.lock().known.get(call.class.name).copied();
        let price = known.unwrap_or(estimate);
        self.acquire(call, price).await?;
        let result = self.inner.exchange(call).await;
        let said = result.as_ref().ok().and_then(|a| a.envelope.as_ref());
        let cost = said.map(|envelope| envelope.cost()).unwrap_or_default();
        let mut state = self.lock();
        let now = self.clock.monotonic();
        state.bucket.settle(price, cost.level, now);
        if let Some(refusal) = result.as_ref().ok().filter(|answer| answer.status == 429) {
            let wait = refusal.headers.retry_after.unwrap_or(UNSAID);
            state.hold.extend(now, wait);
        }
        if let Some(requested) = cost.requested.filter(|cost| cost.is_finite()) {
            state.known.insert(call.class.name, requested);
        }
        drop(state);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, answer, body, call};
    use crate::api::shopify::Opened;
    use crate::model::Moment;

    fn reply(requested: u32, available: u32) -> Answer {
        body(&format!(
            r#"{{"data":{{}},"extensions":{{"cost":{{"requestedQueryCost":{requested},"actualQueryCost":1,
            "throttleStatus":{{"maximumAvailable":2000.0,"currentlyAvailable":{available},"restoreRate":100.0}}}}}}}}"#
        ))
    }

    fn budget(fake: &Fake) -> (CostBudget<Opened<&Fake>>, Clock) {
        let clock = Clock::manual(Moment::from_secs(1_000));
        let patience = Duration::from_secs(900);
        let budget = CostBudget::new(Opened(fake), patience, clock.clone(), Meter::default());
        (budget, clock)
    }

    #[tokio::test]
    async fn a_request_waits_for_the_price_the_vendor_named() {
        let fake = Fake::new([reply(300, 100), reply(300, 100)]);
        let (budget, clock) = budget(&fake);
        let mut priced = call();
        priced.cost = Some(10.0);
        budget.exchange(&priced).await.unwrap();
        let before = clock.now();
        budget.exchange(&priced).await.unwrap();
        assert_eq!(clock.now().since(before), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_plain_refusal_holds_everything_for_as_long_as_it_asks() {
        let mut refusal = answer(429);
        refusal.headers.retry_after = Some(Duration::from_secs(30));
        let fake = Fake::new([refusal, reply(10, 2000)]);
        let (budget, clock) = budget(&fake);
        let mut priced = call();
        priced.cost = Some(10.0);
        let before = clock.now();
        // It is no GraphQL reply, and no error of this layer's.
        let _ = budget.exchange(&priced).await;
        budget.exchange(&priced).await.unwrap();
        assert_eq!(clock.now().since(before), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn an_unpriced_call_neither_waits_nor_pays() {
        let fake = Fake::new([reply(300, 0), reply(300, 0), reply(300, 0)]);
        let (budget, clock) = budget(&fake);
        let mut priced = call();
        priced.cost = Some(10.0);
        budget.exchange(&priced).await.unwrap();
        let before = clock.now();
        budget.exchange(&call()).await.unwrap();
        assert_eq!(clock.now(), before);
    }
}
