//! Knocks again when that can help. Every knock passes the budget below anew.

use super::{Answer, ApiError, Call, Class, Exchange, Fault, Verdict, patience};
use crate::clock::Clock;
use crate::pace::{Circuit, Gate, RetryBudget, full_jitter};
use crate::telemetry::Meter;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What an unexplained throttling waits: the longest window but the daily ones.
const ONE_WINDOW: Duration = Duration::from_secs(60);

/// How stubborn a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Longest wait for one request before it is given back as parked.
    pub patience: Duration,
    /// Attempts at a request that fails for the vendor's or the network's fault.
    pub tries: u32,
    /// Seeds the jitter.
    pub seed: u64,
}

impl Default for Conduct {
    /// 15 minutes, 5 attempts.
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(900),
            tries: 5,
            seed: 0,
        }
    }
}

/// Reads a vendor's verdict out of an answer of any status.
pub type Judge = fn(&Call, Answer) -> Result<Answer, ApiError>;

/// Judges each answer of the layer below, and asks again where that can help: not more often than a
/// tenth of all requests, and not at all while the vendor is down.
#[derive(Debug)]
pub struct Retry<E> {
    inner: E,
    judge: Judge,
    conduct: Conduct,
    clock: Clock,
    meter: Meter,
    random: Mutex<fastrand::Rng>,
    health: Mutex<BTreeMap<&'static str, Health>>,
}

/// How an endpoint class fares.
#[derive(Debug, Default)]
struct Health {
    circuit: Circuit,
    repeats: RetryBudget,
}

impl<E> Retry<E> {
    /// Wraps `inner`.
    pub fn new(inner: E, judge: Judge, conduct: Conduct, clock: Clock, meter: Meter) -> Self {
        Self {
            inner,
            judge,
            conduct,
            clock,
            meter,
            random: Mutex::new(fastrand::Rng::with_seed(conduct.seed)),
            health: Mutex::default(),
        }
    }

    /// The layer below.
    pub fn inner(&self) -> &E {
        &self.inner
    }

    fn jitter<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn health<T>(&self, class: &Class, look: impl FnOnce(&mut Health, Duration) -> T) -> T {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        look(
            health.entry(class.name).or_default(),
            self.clock.monotonic(),
        )
    }

    /// Whether the vendor is well enough to be asked.
    fn check_gate(&self, class: &Class) -> Result<(), ApiError> {
        match self.health(class, |health, now| health.circuit.gate(now)) {
            Gate::Open => Ok(()),
            Gate::Shut(rest) => {
                let until = self.clock.now().plus(rest);
                Err(ApiError::new(class, Fault::Resting { until }))
            }
        }
    }

    /// Takes note of how an attempt ended. What never left says nothing about the vendor.
    fn note(&self, class: &Class, error: Option<&ApiError>) {
        let untried =
            |error: &ApiError| matches!(error.fault, Fault::Parked { .. } | Fault::Uncounted);
        if error.is_some_and(untried) {
            return;
        }
        let failed = error.is_some_and(ApiError::is_of_vendor);
        if self.health(class, |health, now| health.circuit.note(now, failed)) {
            tracing::error!(
                class = class.name,
                "The vendor fails again and again; it is left alone for a while"
            );
        }
    }
}

impl<E: Exchange> Exchange for Retry<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let (mut failures, mut throttled) = (0, Duration::ZERO);
        self.check_gate(call.class)?;
        self.health(call.class, |health, now| health.repeats.first(now));
        loop {
            let result = self.inner.exchange(call).await;
            let result = result.and_then(|answer| (self.judge)(call, answer));
            self.note(call.class, result.as_ref().err());
            let mut error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = match error.verdict(call.idempotent) {
                Verdict::GiveUp => return Err(error),
                Verdict::After(span) => {
                    let span = span.unwrap_or(ONE_WINDOW);
                    throttled += span;
                    if throttled > self.conduct.patience {
                        let until = self.clock.now().plus(span);
                        error.fault = Fault::Parked { until };
                        return Err(error);
                    }
                    span + Duration::from_secs(1).mul_f64(self.jitter(fastrand::Rng::f64))
                }
                Verdict::Backoff => {
                    failures += 1;
                    let may_repeat = |health: &mut Health, now| health.repeats.may_repeat(now);
                    if failures >= self.conduct.tries || !self.health(call.class, may_repeat) {
                        return Err(error);
                    }
                    self.jitter(|random| full_jitter(failures - 1, random))
                }
            };
            tracing::debug!(class = call.class.name, ?wait, %error, "again later");
            patience::wait(&self.clock, &self.meter, wait).await;
            self.check_gate(call.class)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, answer, call};
    use crate::api::klaviyo::judge;
    use crate::api::{Cause, Phase};
    use crate::model::Moment;

    fn throttled(wait: Option<u64>) -> Answer {
        let mut answer = answer(429);
        answer.headers.retry_after = wait.map(Duration::from_secs);
        answer
    }

    fn retry(fake: &Fake) -> (Retry<&Fake>, Clock) {
        let clock = Clock::manual(Moment::from_secs(1_000_000));
        let retry = Retry::new(
            fake,
            judge,
            Conduct::default(),
            clock.clone(),
            Meter::default(),
        );
        (retry, clock)
    }

    fn elapsed(clock: &Clock) -> u64 {
        clock.now().since(Moment::from_secs(1_000_000)).as_secs()
    }

    #[tokio::test]
    async fn a_vendors_fault_is_tried_again_and_then_given_up() {
        let fake = Fake::new([answer(503), answer(502), answer(200)]);
        assert_eq!(retry(&fake).0.exchange(&call()).await.unwrap().status, 200);
        let fake = Fake::new((0..5).map(|_| answer(500)));
        let error = retry(&fake).0.exchange(&call()).await.unwrap_err();
        assert_eq!(error.fault, Fault::VendorDown);
        assert_eq!(fake.seen().len(), 5);
    }

    #[tokio::test]
    async fn a_class_that_fails_again_and_again_is_left_alone_and_probed() {
        let fake = Fake::new((0..60).map(|_| answer(503)));
        let (retry, clock) = retry(&fake);
        let mut rested = 0;
        while elapsed(&clock) < 3600 {
            let error = retry.exchange(&call()).await.unwrap_err();
            if let Fault::Resting { until } = error.fault {
                assert!(until > clock.now() && !error.is_outcome_unknown());
                clock.advance(Duration::from_secs(10));
                rested += 1;
            }
        }
        let asked = fake.seen().len();
        assert!((25..=28).contains(&asked), "twenty, then probes: {asked}");
        assert!(rested > 300, "{rested}");
        let mut other = call();
        other.class = &crate::api::klaviyo::limits::GET_LISTS;
        let error = retry.exchange(&other).await.unwrap_err();
        assert_eq!(error.fault, Fault::VendorDown, "every class by itself");
    }

    #[tokio::test]
    async fn a_refusal_is_never_tried_again() {
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 415] {
            let mut refusal = answer(status);
            refusal.body = r#"{"errors":[]}"#.into();
            let fake = Fake::new([refusal]);
            retry(&fake).0.exchange(&call()).await.unwrap_err();
            assert_eq!(fake.seen().len(), 1, "{status}");
        }
    }

    #[tokio::test]
    async fn retry_after_is_respected_and_a_missing_one_waits_a_window() {
        for (asked, least) in [(Some(7), 7), (None, 60)] {
            let fake = Fake::new([throttled(asked), answer(200)]);
            let (retry, clock) = retry(&fake);
            retry.exchange(&call()).await.unwrap();
            assert!((least..=least + 2).contains(&elapsed(&clock)));
        }
    }

    #[tokio::test]
    async fn the_watchdog_is_told_of_a_long_wait_and_sees_short_ones_as_life() {
        for (asked, until) in [(10, None), (600, Some(1_000_600))] {
            let (fake, clock) = (
                Fake::new([throttled(Some(asked)), answer(200)]),
                Clock::manual(Moment::from_secs(1_000_000)),
            );
            let meter = Meter::default();
            let retry = Retry::new(&fake, judge, Conduct::default(), clock, meter.clone());
            retry.exchange(&call()).await.unwrap();
            let (beats, parked) = meter.pulse();
            assert_eq!(beats, 1);
            // Up to a second of jitter comes on top.
            assert_eq!(
                parked.map(|at| at.0 / 2000),
                until.map(|at: i64| at * 1000 / 2000)
            );
        }
    }

    #[tokio::test]
    async fn a_wait_beyond_patience_is_parked_without_waiting() {
        let fake = Fake::new([throttled(Some(67_608))]);
        let (retry, clock) = retry(&fake);
        let error = retry.exchange(&call()).await.unwrap_err();
        let until = Moment::from_secs(1_000_000 + 67_608);
        assert_eq!(error.fault, Fault::Parked { until });
        assert_eq!(elapsed(&clock), 0);
    }

    #[tokio::test]
    async fn a_storm_of_429s_ends_parked() {
        let fake = Fake::new((0..16).map(|_| throttled(Some(60))));
        let (retry, clock) = retry(&fake);
        let error = retry.exchange(&call()).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Parked { .. }));
        assert!(elapsed(&clock) <= 900 + 16);
    }

    #[tokio::test]
    async fn a_write_of_unknown_outcome_is_not_repeated() {
        let lost = ApiError::new(
            call().class,
            Fault::Unreachable {
                host: "a".into(),
                phase: Phase::Head,
                cause: Cause::Lost,
            },
        );
        let mut write = call();
        write.idempotent = false;
        let fake = Fake::results([Err(lost.clone())]);
        assert_eq!(retry(&fake).0.exchange(&write).await.unwrap_err(), lost);
        let fake = Fake::results([Err(lost), Ok(answer(200))]);
        retry(&fake).0.exchange(&call()).await.unwrap();
    }
}
