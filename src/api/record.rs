//! Every attempt is seen: counted by the meter, logged without a body.

use super::{Answer, ApiError, Call, Exchange, Fault};
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
    use crate::api::fake::{Fake, answer, call};
    use crate::model::Moment;
    use crate::telemetry::Api;

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
}
