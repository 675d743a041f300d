//! Every attempt is seen: counted by the meter, logged without a body.

use super::{Answer, ApiError, Call, Exchange, Fault, Phase};
use crate::clock::Clock;
use crate::telemetry::{Meter, Outcome};

/// Counts and logs each attempt of the layer below.
#[derive(Debug)]
pub struct Record<E> {
    inner: E,
    clock: Clock,
    meter: Meter,
}

impl<E> Record<E> {
    /// Watches `inner`.
    pub fn new(inner: E, clock: Clock, meter: Meter) -> Self {
        Self {
            inner,
            clock,
            meter,
        }
    }
}

impl<E: Exchange> Exchange for Record<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let start = self.clock.monotonic();
        let result = self.inner.exchange(call).await;
        let took = self.clock.monotonic().saturating_sub(start);
        let class = call.class;
        let outcome = outcome(&result);
        self.meter.exchange(class.api, class.name, outcome, took);
        if let Err(error) = &result {
            note_loss(&self.meter, error);
            if outcome == Outcome::Unreachable {
                let untrusted = matches!(error.fault, Fault::Untrusted { .. });
                let now = self.clock.now();
                self.meter.out_of_reach(class.api, untrusted, now);
            }
        }
        let (status, request_id) = match &result {
            Ok(answer) => (Some(answer.status), answer.headers.request_id.as_deref()),
            Err(error) => (error.place.status, error.place.request_id.as_deref()),
        };
        tracing::debug!(
            class = class.name,
            ?outcome,
            status,
            request_id,
            ?took,
            "exchange"
        );
        result
    }
}

/// Counts an exchange that brought no whole answer.
pub(super) fn note_loss(meter: &Meter, error: &ApiError) {
    let (phase, cause) = match &error.fault {
        Fault::Unreachable { phase, cause, .. } => (*phase, cause.as_str()),
        Fault::Untrusted { .. } => (Phase::Connect, "untrusted"),
        _ => return,
    };
    meter.lost(error.place.api, phase.as_str(), cause);
}

fn outcome(result: &Result<Answer, ApiError>) -> Outcome {
    match result {
        Ok(answer) if answer.envelope.as_ref().is_some_and(|e| e.is_throttled()) => {
            Outcome::Throttled
        }
        Ok(answer) => match answer.status {
            200..=299 => Outcome::Ok,
            429 => Outcome::Throttled,
            500.. => Outcome::Failed,
            _ => Outcome::Refused,
        },
        Err(error) => match error.fault {
            Fault::Unreachable { .. } | Fault::Untrusted { .. } => Outcome::Unreachable,
            _ => Outcome::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Cause;
    use crate::api::fake::{Fake, answer, call};
    use crate::model::Moment;
    use crate::telemetry::{Api, Metrics};
    use std::time::Duration;

    #[tokio::test]
    async fn every_attempt_is_counted_by_how_it_ended() {
        let clock = Clock::manual(Moment(0));
        let meter = Meter::default();
        let fake = Fake::new([answer(200), answer(429), answer(503), answer(400)]);
        let record = Record::new(fake, clock, meter.clone());
        for _ in 0..4 {
            record.exchange(&call()).await.unwrap();
        }
        let requests = meter.totals().requests;
        for outcome in [
            Outcome::Ok,
            Outcome::Throttled,
            Outcome::Failed,
            Outcome::Refused,
        ] {
            assert_eq!(requests[&(Api::Klaviyo, call().class.name, outcome)], 1);
        }
    }

    #[tokio::test]
    async fn what_is_lost_is_counted_by_how_far_it_got_and_told_of_after_five_minutes() {
        let (clock, metrics) = (Clock::manual(Moment(0)), Metrics::new());
        let meter = Meter::registered("acme", &metrics);
        let lost = |phase, cause| {
            let host = "a".into();
            let fault = Fault::Unreachable { host, phase, cause };
            Err(ApiError::new(call().class, fault))
        };
        let untrusted = Fault::Untrusted { host: "a".into() };
        let fake = Fake::results([
            lost(Phase::Connect, Cause::Name),
            lost(Phase::Head, Cause::Lost),
            lost(Phase::Body, Cause::Slow),
            lost(Phase::Body, Cause::Slow),
            Err(ApiError::new(call().class, untrusted)),
            Ok(answer(503)),
        ]);
        let record = Record::new(fake, clock.clone(), meter.clone());
        let told = |meter: &Meter| {
            let all = meter.unreached().into_values();
            all.filter_map(|one| one.told()).next()
        };
        let mut seen = Vec::new();
        for _ in 0..6 {
            let _ = record.exchange(&call()).await;
            seen.push(told(&meter));
            clock.advance(Duration::from_secs(100));
        }
        let (silent, untrusted) = (Some("unreachable"), Some("untrusted"));
        assert_eq!(seen, [None, None, None, silent, untrusted, None]);
        let page = metrics.text();
        for (phase, cause, count) in [
            ("connect", "name", 1),
            ("head", "lost", 1),
            ("body", "slow", 2),
            ("connect", "untrusted", 1),
        ] {
            let line = format!(
                r#"driftless_http_requests_lost_total{{store="acme",api="klaviyo",phase="{phase}",cause="{cause}"}} {count}"#
            );
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
