use super::*;
use crate::api::Limits;
use crate::api::fake::{Fake, answer, call};
use crate::api::klaviyo::limits::{CREATE_LIST, GET_LIST, PROFILE_COUNT};
use crate::model::Moment;
use crate::pace::{PAD, RateHeaders};
use crate::telemetry::Api;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

mod together;

const START: Moment = Moment::from_secs(1_000_000);

struct Always(Answer);

impl Exchange for Always {
    async fn exchange(&self, _: &Call) -> Result<Answer, ApiError> {
        Ok(self.0.clone())
    }
}

fn drawing<E>(
    inner: E,
    (budgets, shop): (&Budgets, &str),
    share: f64,
    (clock, meter): (&Clock, &Meter),
) -> WindowBudget<E> {
    let drawer = Drawer {
        limits: true,
        budgets,
        quota: "key".to_owned(),
        share,
        shop,
    };
    let patience = Duration::from_secs(900);
    WindowBudget::new(inner, &drawer, patience, clock.clone(), meter.clone())
}

fn budget<E>(inner: E, share: f64) -> (WindowBudget<E>, Clock, Meter) {
    let (clock, meter) = (Clock::manual(START), Meter::default());
    let budget = drawing(
        inner,
        (&Budgets::default(), "shop"),
        share,
        (&clock, &meter),
    );
    (budget, clock, meter)
}

/// A place that outlives a restart.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<BudgetMemory>>);

impl Disk {
    fn keep<E>(&self, budget: &WindowBudget<E>) {
        let disk = self.clone();
        let keeper: Keeper = Arc::new(move |memory, _| {
            *disk.0.lock().unwrap() = memory.clone();
            Ok(())
        });
        budget.remember(self.read(), keeper);
    }

    fn read(&self) -> BudgetMemory {
        self.0.lock().unwrap().clone()
    }
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
    let (first, clock, _) = budget(Always(dated), 1.0);
    let disk = Disk::default();
    disk.keep(&first);
    first.exchange(&capped).await.unwrap();
    first.exchange(&capped).await.unwrap();
    let spent = first.exchange(&capped).await.unwrap_err();
    let midnight = START.plus(Duration::from_secs(6 * 3600 + 800));
    let around = midnight.minus(MINUTE)..midnight.plus(MINUTE);
    assert!(matches!(spent.fault, Fault::Parked { until } if around.contains(&until)));

    assert_eq!(disk.read().days["capped"].count, 2);
    let fake = Fake::default();
    let again = restarted(&fake, &disk, &clock);
    again.exchange(&capped).await.unwrap_err();
    assert!(fake.seen().is_empty(), "no request leaves");
}

/// What a new process makes of the disk.
fn restarted<E>(inner: E, disk: &Disk, clock: &Clock) -> WindowBudget<E> {
    let clocks = (clock, &Meter::default());
    let again = drawing(inner, (&Budgets::default(), "shop"), 1.0, clocks);
    disk.keep(&again);
    again
}

#[tokio::test]
async fn the_days_count_is_on_disk_before_the_request_or_nothing_is_sent() {
    let capped = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let fake = Fake::default();
    let (budget, _, _) = budget(&fake, 1.0);
    let full: Keeper = Arc::new(|_, _| Err(io::ErrorKind::StorageFull.into()));
    budget.remember(BudgetMemory::default(), full);
    let error = budget.exchange(&capped).await.unwrap_err();
    assert_eq!(error.fault, Fault::Uncounted);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_probe_whose_count_cannot_be_written_down_is_followed_by_another() {
    let create = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let mut refusal = answer(429);
    refusal.headers.retry_after = Some(Duration::from_secs(30));
    let fake = Fake::new([refusal, answer(200), answer(200)]);
    let (budget, clock, _) = budget(&fake, 1.0);
    let full = Arc::new(AtomicBool::new(false));
    let is_full = full.clone();
    let keeper: Keeper = Arc::new(move |_, _| match is_full.load(Ordering::Relaxed) {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    });
    budget.remember(BudgetMemory::default(), keeper);
    budget.exchange(&create).await.unwrap();
    clock.advance(Duration::from_secs(60));
    full.store(true, Ordering::Relaxed);
    for _ in 0..200 {
        let error = budget.exchange(&create).await.unwrap_err();
        assert_eq!(error.fault, Fault::Uncounted);
    }
    full.store(false, Ordering::Relaxed);
    let again = tokio::time::timeout(Duration::from_secs(5), budget.exchange(&create));
    again.await.expect("its turn comes").unwrap();
    assert_eq!(
        fake.seen().len(),
        2,
        "none of the others left or was counted"
    );
}

#[tokio::test]
async fn one_shop_that_cannot_write_down_stops_no_other() {
    let create = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let (clock, meter) = (Clock::manual(START), Meter::default());
    let budgets = Budgets::default();
    let [one, other] = ["one", "other"]
        .map(|shop| drawing(Always(answer(200)), (&budgets, shop), 1.0, (&clock, &meter)));
    let full: Keeper = Arc::new(|_, _| Err(io::ErrorKind::StorageFull.into()));
    one.remember(BudgetMemory::default(), full);
    let disk = Disk::default();
    disk.keep(&other);
    other.exchange(&create).await.unwrap();
    assert!(!disk.0.lock().unwrap().days.is_empty());
}

#[tokio::test]
async fn a_memory_from_a_clock_that_was_wrong_parks_nothing_for_long() {
    let create = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let (budget, clock, _) = budget(Always(answer(200)), 1.0);
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let past = BudgetMemory {
        parked: [("create_list".to_owned(), START.plus(year))].into(),
        ..BudgetMemory::default()
    };
    budget.remember(past, Arc::new(|_, _| Ok(())));
    assert!(budget.exchange(&create).await.is_err());
    clock.advance(Duration::from_secs(25 * 60 * 60));
    budget.exchange(&create).await.unwrap();
}

#[tokio::test]
async fn a_class_parked_for_hours_stays_parked_after_a_restart() {
    let mut refusal = answer(429);
    refusal.headers.retry_after = Some(Duration::from_secs(67_608));
    let create = Call::get(&CREATE_LIST, "/api/lists".to_owned());
    let (first, clock, _) = budget(Always(refusal), 1.0);
    let disk = Disk::default();
    disk.keep(&first);
    first.exchange(&create).await.unwrap();
    let fake = Fake::new([answer(200), answer(200)]);
    let again = restarted(&fake, &disk, &clock);
    let error = again.exchange(&create).await.unwrap_err();
    assert!(
        matches!(error.fault, Fault::Parked { until } if until >= START.plus(Duration::from_secs(67_608)))
    );
    assert_eq!(
        again.meter.holding(clock.now()).keys().collect::<Vec<_>>(),
        ["create_list"]
    );
    again.exchange(&call()).await.unwrap();
    assert_eq!(clock.now(), START, "other classes go on");
    clock.advance(Duration::from_secs(67_609));
    again.exchange(&create).await.unwrap();
}

/// Killed at once after each request: what was sent is known all the same.
#[tokio::test]
async fn restarts_refill_no_window() {
    static NARROW: Class = Class {
        api: Api::Klaviyo,
        name: "narrow",
        limits: Some(Limits {
            burst: 3,
            steady: 15,
            daily: None,
        }),
    };
    let (disk, clock) = (Disk::default(), Clock::manual(START));
    let narrow = Call::get(&NARROW, "/api/narrow".to_owned());
    let mut sent = Vec::new();
    for _ in 0..60 {
        let one = restarted(Always(answer(200)), &disk, &clock);
        one.exchange(&narrow).await.unwrap();
        sent.push(clock.now().0);
    }
    for (window, most) in [(1_000, 3), (60_000, 15)] {
        for phase in (0..window).step_by(100) {
            let mut counts = BTreeMap::<i64, usize>::new();
            for at in &sent {
                *counts.entry((at + phase) / window).or_default() += 1;
            }
            assert!(counts.values().all(|count| *count <= most), "{counts:?}");
        }
    }
    let took = clock.now().since(START);
    assert!(took < 5 * MINUTE, "a restart alone costs nothing: {took:?}");
}

#[tokio::test]
async fn two_refusals_in_a_row_are_a_bug_only_when_nobody_else_is_on_the_key() {
    for (used_by_all, bugs) in [(1, 1), (400, 0)] {
        let mut fine = answer(200);
        fine.headers.rate = Some(RateHeaders {
            limit: 750,
            remaining: 750 - used_by_all,
            reset: MINUTE,
        });
        let mut refusal = answer(429);
        refusal.headers.retry_after = Some(Duration::from_secs(1));
        let metrics = crate::telemetry::Metrics::new();
        let meter = Meter::registered("acme", &metrics);
        let fake = Fake::new([fine, refusal.clone(), refusal]);
        let clock = Clock::manual(START);
        let budget = drawing(&fake, (&Budgets::default(), "shop"), 1.0, (&clock, &meter));
        for _ in 0..3 {
            budget.exchange(&call()).await.unwrap();
        }
        let counted =
            format!("driftless_over_limit_total{{store=\"acme\",api=\"klaviyo\"}} {bugs}");
        assert_eq!(metrics.text().contains(&counted), bugs > 0);
        assert_eq!(metrics.text().contains("over_limit_total{"), bugs > 0);
    }
}

/// None of these figures can be true, so the own log rules.
#[tokio::test]
async fn missing_zero_or_contradictory_headers_are_counted_and_change_nothing() {
    let rate = |limit, remaining| {
        let mut answer = answer(200);
        answer.headers.rate = Some(RateHeaders {
            limit,
            remaining,
            reset: MINUTE,
        });
        answer
    };
    for odd in [answer(200), rate(0, 0), rate(60, 750), rate(0, 5)] {
        let metrics = crate::telemetry::Metrics::new();
        let (clock, meter) = (Clock::manual(START), Meter::registered("acme", &metrics));
        let always = (&Budgets::default(), "shop");
        let budget = drawing(Always(odd), always, 1.0, (&clock, &meter));
        send_times(&budget, &clock, &call(), 1500).await;
        let rate = 1500.0 * 60.0 / clock.now().since(START).as_secs_f64();
        assert!((720.0..=900.0).contains(&rate), "{rate} a minute");
        let counted = "rate_headers_unusable_total{store=\"acme\",api=\"klaviyo\"} 1500";
        assert!(metrics.text().contains(counted));
    }
}

#[tokio::test]
async fn a_long_wait_for_budget_is_announced_to_the_watchdog() {
    let (budget, clock, meter) = budget(Always(answer(200)), 1.0);
    let until = START.plus(Duration::from_secs(600));
    let past = BudgetMemory {
        parked: BTreeMap::from([(call().class.name.to_owned(), until)]),
        ..BudgetMemory::default()
    };
    budget.remember(past, Arc::new(|_, _| Ok(())));
    budget.exchange(&call()).await.unwrap();
    assert_eq!(clock.now(), until);
    assert_eq!(meter.totals().parked_until, Some(until));
}
