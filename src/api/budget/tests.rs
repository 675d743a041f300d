use super::*;
use crate::api::fake::{Fake, answer, call};
use crate::api::klaviyo::limits::{CREATE_LIST, GET_LIST, PROFILE_COUNT};
use crate::pace::RateHeaders;
use crate::telemetry::Api;
use std::time::Duration;

const START: Moment = Moment::from_secs(1_000_000);

struct Always(Answer);

impl Exchange for Always {
    async fn exchange(&self, _: &Call) -> Result<Answer, ApiError> {
        Ok(self.0.clone())
    }
}

fn budget<E>(inner: E, share: f64) -> (WindowBudget<E>, Clock, Meter) {
    let (clock, meter) = (Clock::manual(START), Meter::default());
    let patience = Duration::from_secs(900);
    let budget = WindowBudget::new(inner, share, patience, clock.clone(), meter.clone());
    (budget, clock, meter)
}

async fn send_times(
    budget: &WindowBudget<Always>,
    clock: &Clock,
    call: &Call,
    count: usize,
) -> Vec<u64> {
    let mut times = Vec::new();
    for _ in 0..count {
        budget.exchange(call).await.unwrap();
        times.push(u64::try_from(clock.now().since(START).as_millis()).unwrap());
    }
    times
}

#[tokio::test]
async fn the_allowed_share_is_used_almost_whole_and_never_exceeded() {
    for share in [0.7, 1.0] {
        let (budget, clock, meter) = budget(Always(answer(200)), share);
        let times = send_times(&budget, &clock, &call(), 4000).await;
        let minutes = *times.last().unwrap() as f64 / 60_000.0;
        let rate = 4000.0 / minutes;
        assert!(rate >= 0.97 * share * 750.0, "{rate} a minute at {share}");
        for (window, limit) in [(1_000, 75), (60_000, 750)] {
            for phase in [0, window / 3, window / 2] {
                let mut per_window = BTreeMap::<u64, u32>::new();
                for at in &times {
                    *per_window.entry((at + phase) / window).or_default() += 1;
                }
                assert!(per_window.values().all(|sent| *sent <= limit));
            }
        }
        assert!(meter.totals().waited[&Api::Klaviyo] > Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_429_holds_the_class_for_everybody_and_no_other_class() {
    let mut refusal = answer(429);
    refusal.headers.retry_after = Some(Duration::from_secs(30));
    let fake = Fake::new([refusal, answer(200), answer(200)]);
    let (budget, clock, _) = budget(&fake, 1.0);
    budget.exchange(&call()).await.unwrap();
    let other = Call::get(&GET_LIST, "/api/lists/x".to_owned());
    budget.exchange(&other).await.unwrap();
    assert_eq!(clock.now(), START);
    budget.exchange(&call()).await.unwrap();
    assert!(clock.now().since(START) >= Duration::from_secs(30) + PAD);
}

#[tokio::test]
async fn a_nearly_empty_window_holds_until_its_reset() {
    let mut low = answer(200);
    low.headers.rate = Some(RateHeaders {
        limit: 750,
        remaining: 20,
        reset: Duration::from_secs(25),
    });
    let fake = Fake::new([low, answer(200)]);
    let (budget, clock, _) = budget(&fake, 1.0);
    budget.exchange(&call()).await.unwrap();
    budget.exchange(&call()).await.unwrap();
    assert!(clock.now().since(START) >= Duration::from_secs(25));
}

#[tokio::test]
async fn a_lower_limit_in_a_header_is_obeyed_at_once() {
    let mut lower = answer(200);
    lower.headers.rate = Some(RateHeaders {
        limit: 60,
        remaining: 59,
        reset: Duration::from_secs(60),
    });
    let (budget, clock, _) = budget(Always(lower), 1.0);
    send_times(&budget, &clock, &call(), 61).await;
    assert!(clock.now().since(START) >= Duration::from_secs(50));
}

#[tokio::test]
async fn an_expensive_parameter_pays_both_limits() {
    let (budget, clock, _) = budget(Always(answer(200)), 1.0);
    let mut count = Call::get(&GET_LIST, "/api/lists/x".to_owned());
    count.surcharge = Some(&PROFILE_COUNT);
    let times = send_times(&budget, &clock, &count, 31).await;
    assert!(*times.last().unwrap() >= 118_000, "15 a minute");
}

#[tokio::test]
async fn a_spent_day_is_parked_until_the_servers_midnight_and_survives_a_restart() {
    static CAPPED: Class = Class {
        api: Api::Klaviyo,
        name: "capped",
        limits: Some(Limits {
            burst: 10,
            steady: 150,
            daily: Some(2),
        }),
    };
    let capped = Call::get(&CAPPED, "/api/capped".to_owned());
    let mut dated = answer(200);
    // 13:46:40 by our clock, four hours later by the server's.
    dated.headers.date = Some(START.plus(Duration::from_secs(4 * 3600)));
    let (first, clock, meter) = budget(Always(dated), 1.0);
    first.exchange(&capped).await.unwrap();
    first.exchange(&capped).await.unwrap();
    let spent = first.exchange(&capped).await.unwrap_err();
    let midnight = START.plus(Duration::from_secs(6 * 3600 + 800));
    let around = midnight.minus(MINUTE)..midnight.plus(MINUTE);
    assert!(matches!(spent.fault, Fault::Parked { until } if around.contains(&until)));

    let memory = first.memory();
    assert_eq!(memory.days["capped"].count, 2);
    let fake = Fake::default();
    let again = WindowBudget::new(&fake, 1.0, Duration::from_secs(900), clock, meter);
    again.recall(memory);
    again.exchange(&capped).await.unwrap_err();
    assert!(fake.seen().is_empty(), "no request leaves");
}

#[tokio::test]
async fn a_class_parked_for_hours_stays_parked_after_a_restart() {
    let mut refusal = answer(429);
    refusal.headers.retry_after = Some(Duration::from_secs(67_608));
    let create = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let (first, clock, meter) = budget(Always(refusal), 1.0);
    first.exchange(&create).await.unwrap();
    let fake = Fake::new([answer(200)]);
    let patience = Duration::from_secs(900);
    let again = WindowBudget::new(&fake, 1.0, patience, clock.clone(), meter);
    again.recall(first.memory());
    let error = again.exchange(&create).await.unwrap_err();
    assert!(
        matches!(error.fault, Fault::Parked { until } if until >= START.plus(Duration::from_secs(67_608)))
    );
    clock.advance(Duration::from_secs(67_609));
    again.exchange(&create).await.unwrap();
}

#[tokio::test]
async fn a_long_wait_for_budget_is_announced_to_the_watchdog() {
    let (budget, clock, meter) = budget(Always(answer(200)), 1.0);
    let until = START.plus(Duration::from_secs(600));
    budget.recall(BudgetMemory {
        parked: BTreeMap::from([(call().class.name.to_owned(), until)]),
        ..BudgetMemory::default()
    });
    budget.exchange(&call()).await.unwrap();
    assert_eq!(clock.now(), until);
    assert_eq!(meter.totals().parked_until, Some(until));
}
