//! Starting, passes in their time, faults that stay where they are, and the end.

use super::lab::{Act, Lab, Plan, START, secs};
use crate::daemon::{DaemonError, Signal, Stopped};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn passes_begin_at_once_and_then_at_their_times() {
    let lab = Lab::new([
        ("acme", Plan::new(Act::Work(30), 600)),
        ("bolt", Plan::new(Act::Work(1), 250)),
    ]);
    let daemon = lab.start();
    secs(1250).await;
    assert_eq!(lab.times("acme", "begins"), [0, 600, 1200]);
    assert_eq!(lab.times("bolt", "begins"), [0, 250, 500, 750, 1000, 1250]);
    assert_eq!(lab.when("opened").len(), 2, "opened once, for all passes");
    assert_eq!(daemon.stop().await, Stopped::Clean);
}

#[tokio::test(start_paused = true)]
async fn times_that_a_long_pass_overran_are_skipped() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(90), 60))]);
    let daemon = lab.start();
    secs(320).await;
    assert_eq!(lab.times("acme", "begins"), [0, 150, 300]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_puts_no_pass_off() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(1), 600))]);
    let daemon = lab.start();
    secs(100).await;
    lab.clock.set_back(Duration::from_secs(3600));
    secs(1200).await;
    assert_eq!(lab.times("acme", "begins"), [0, 600, 1200]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_day_asleep_there_is_one_pass_and_no_burst() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(1), 600))]);
    let daemon = lab.start();
    secs(100).await;
    lab.clock.advance(Duration::from_secs(86_400));
    secs(700).await;
    let begins = lab.times("acme", "begins");
    assert!(
        begins.len() == 3 && (100..=130).contains(&begins[1]),
        "{begins:?}"
    );
    assert_eq!(begins[2] - begins[1], 600);
    assert_eq!(daemon.stop().await, Stopped::Clean);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_shops_and_a_seed_repeats_it() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let plan = Plan {
            jitter: 100,
            ..Plan::new(Act::Work(1), 600)
        };
        let mut lab = Lab::new([("acme", plan.clone()), ("bolt", plan)]);
        lab.settings.seed = seed;
        let daemon = lab.start();
        secs(7000).await;
        daemon.stop().await;
        let (acme, bolt) = (lab.times("acme", "begins"), lab.times("bolt", "begins"));
        assert_ne!(acme, bolt);
        assert!(
            acme.windows(2)
                .all(|pair| (600..=700).contains(&(pair[1] - pair[0])))
        );
        runs.push((acme, bolt));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn a_long_opening_asks_for_more_time_before_it_is_ready() {
    let lab = Lab::new([("acme", Plan::new(Act::SlowOpen(95), 600))]);
    let daemon = lab.start();
    secs(50).await;
    daemon.signal(Signal::Reload).await;
    let told = lab.told();
    let asked = told
        .iter()
        .filter(|line| *line == "EXTEND_TIMEOUT_USEC=60000000");
    assert_eq!(asked.count(), 6, "at the start and every 10 s");
    assert!(
        !told.contains(&"READY=1".to_owned()),
        "a reload is not readiness"
    );
    secs(50).await;
    let ready = lab.told().iter().filter(|line| *line == "READY=1").count();
    assert_eq!(ready, 1);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_schedule_and_does_an_overdue_pass_once() {
    let plan = |ago| Plan {
        last_pass: Some(START.minus(Duration::from_secs(ago))),
        ..Plan::new(Act::Work(1), 600)
    };
    let ahead = Plan {
        last_pass: Some(START.plus(Duration::from_secs(9_999_999))),
        ..Plan::new(Act::Work(1), 600)
    };
    let lab = Lab::new([
        ("recent", plan(200)),
        ("overdue", plan(86_400)),
        ("ahead", ahead),
    ]);
    let daemon = lab.start();
    secs(700).await;
    assert_eq!(lab.times("recent", "begins"), [400]);
    assert_eq!(lab.times("overdue", "begins"), [0, 600]);
    assert_eq!(
        lab.times("ahead", "begins"),
        [600],
        "the clock was wrong then"
    );
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panicking_shop_is_opened_anew_later_and_leaves_the_others_alone() {
    let lab = Lab::new([
        ("bad", Plan::new(Act::Panic, 20)),
        ("good", Plan::new(Act::Work(1), 100)),
    ]);
    let daemon = lab.start();
    secs(1000).await;
    assert_eq!(lab.times("good", "begins").len(), 11);
    let begins = lab.times("bad", "begins");
    let rests: Vec<u64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((20..=31).contains(&rests[0]), "{rests:?}");
    assert!((30..=61).contains(&rests[1]), "{rests:?}");
    assert!((60..=121).contains(&rests[2]), "{rests:?}");
    assert_eq!(lab.times("bad", "closed").len(), begins.len());
    assert_eq!(lab.times("bad", "opened").len(), begins.len() + 1);
    let page = lab.metrics.text();
    let counted = |line: String| page.lines().any(|found| found == line);
    let panics = begins.len();
    assert!(counted(format!(
        r#"driftless_passes_total{{store="bad",end="panicked"}} {panics}"#
    )));
    assert!(counted(
        r#"driftless_passes_total{store="good",end="ok"} 10"#.to_owned()
    ));
    assert!(!page.contains(r#"last_success_timestamp_seconds{store="bad"}"#));
    assert_eq!(daemon.stop().await, Stopped::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_takes_no_more_writes_is_opened_anew_and_rests_before_its_next_pass() {
    let lab = Lab::new([("acme", Plan::new(Act::Break, 5))]);
    let daemon = lab.start();
    secs(1000).await;
    let begins = lab.times("acme", "begins");
    assert!(begins.len() > 3);
    let rests = begins.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(rests.min() >= Some(15), "{begins:?}");
    assert_eq!(lab.times("acme", "closed").len(), begins.len());
    assert_eq!(lab.times("acme", "opened").len(), begins.len() + 1);
    assert_eq!(daemon.stop().await, Stopped::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_failing_shop_rests_longer_but_stays_open() {
    let lab = Lab::new([("acme", Plan::new(Act::Fail, 5))]);
    let daemon = lab.start();
    secs(86_400).await;
    let begins = lab.times("acme", "begins");
    let last = begins.windows(2).map(|pair| pair[1] - pair[0]).next_back();
    assert!((1800..=3600).contains(&last.unwrap()), "{begins:?}");
    assert_eq!(lab.when("opened").len(), 1);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_once_in_a_quarter_of_an_hour() {
    let lab = Lab::new([("acme", Plan::new(Act::Refused, 5))]);
    let daemon = lab.start();
    secs(86_400).await;
    let begins = lab.times("acme", "begins");
    let gaps = begins.windows(2).map(|pair| pair[1] - pair[0]);
    // The wait is looked at every half minute.
    assert!(
        gaps.clone().all(|gap| (900..=930).contains(&gap)),
        "{begins:?}"
    );
    assert!(gaps.count() > 90);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_cannot_be_opened_is_tried_again_while_others_work() {
    let lab = Lab::new([
        ("bad", Plan::new(Act::Closed(75), 60)),
        ("good", Plan::new(Act::Work(1), 60)),
        ("ugly", Plan::new(Act::PanicAtOpen, 60)),
    ]);
    let daemon = lab.start();
    secs(30).await;
    assert_eq!(lab.times("good", "begins"), [0]);
    assert!(lab.told().contains(&"READY=1".to_owned()));
    lab.set(
        "bad",
        Some(Plan::new(Act::Closed(75), 60).changed(Act::Work(1))),
    );
    daemon.signal(Signal::Reload).await;
    assert_eq!(lab.when("opened").last().unwrap().1, "bad");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn when_no_shop_can_be_opened_the_start_fails_with_the_first_ones_code() {
    let lab = Lab::new([
        ("acme", Plan::new(Act::Closed(65), 60)),
        ("bolt", Plan::new(Act::Closed(75), 60)),
    ]);
    let error = lab.start().end().await.unwrap_err();
    assert_eq!(error.exit(), 65);
    let text = error.to_string();
    assert!(text.contains("acme: the mirror is locked"), "{text}");
    assert!(!lab.told().contains(&"READY=1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_bad_or_empty_configuration_starts_nothing() {
    let lab = Lab::new([]);
    let error = lab.start().end().await.unwrap_err();
    assert!(matches!(error, DaemonError::Empty));
    *lab.workshop.plans.lock().unwrap() = Err("shop.toml:3:1 unknown key".to_owned());
    let error = lab.start().end().await.unwrap_err();
    assert_eq!(error.exit(), 78);
    assert_eq!(error.to_string(), "shop.toml:3:1 unknown key");
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_elsewhere_is_refused_with_its_holder() {
    let plan = Plan {
        key: "0123456789abcdef".to_owned(),
        ..Plan::new(Act::Work(1), 60)
    };
    let lab = Lab::new([("acme", plan)]);
    let first = lab.start();
    secs(1).await;
    let error = lab.start().end().await.unwrap_err();
    assert_eq!(error.exit(), 75);
    let holder = format!("pid {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    first.stop().await;
    let again = lab.start();
    secs(1).await;
    assert_eq!(lab.when("opened").len(), 2, "the key is free again");
    again.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_drain_lets_a_running_pass_finish_and_begins_no_other() {
    let lab = Lab::new([
        ("busy", Plan::new(Act::Linger(9), 60)),
        ("due", Plan::new(Act::Work(1), 5)),
    ]);
    let daemon = lab.start();
    secs(4).await;
    assert_eq!(daemon.stop().await, Stopped::Clean);
    assert_eq!(lab.times("busy", "ends"), [13]);
    assert_eq!(lab.times("due", "begins"), [0], "it would be due at 5");
    assert_eq!(lab.when("closed").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_outlasts_the_grace_is_cut_short_and_named() {
    let lab = Lab::new([
        ("deaf", Plan::new(Act::Hang, 60)),
        ("good", Plan::new(Act::Work(1), 60)),
    ]);
    let daemon = lab.start();
    secs(4).await;
    let asked = tokio::time::Instant::now();
    let stopped = daemon.stop().await;
    assert_eq!(stopped, Stopped::CutShort(vec!["deaf".to_owned()]));
    assert_eq!(asked.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_the_grace_short() {
    let lab = Lab::new([("deaf", Plan::new(Act::Hang, 60))]);
    let daemon = lab.start();
    secs(4).await;
    let asked = tokio::time::Instant::now();
    daemon.signal(Signal::Terminate).await;
    daemon.signal(Signal::Reload).await;
    secs(2).await;
    let stopped = daemon.stop().await;
    assert_eq!(stopped, Stopped::CutShort(vec!["deaf".to_owned()]));
    assert_eq!(asked.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_service_manager_hears_of_the_whole_life() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(30), 600))]);
    let daemon = lab.start();
    secs(100).await;
    daemon.signal(Signal::Reload).await;
    daemon.stop().await;
    let told = lab.told();
    let place = |line: &str| told.iter().position(|told| told.starts_with(line));
    let ready = place("READY=1").unwrap();
    let reload = place("RELOADING=1").unwrap();
    assert!(place("STATUS=ready: 1 of 1 shops open, 1 running").unwrap() > ready);
    assert!(place("STATUS=ready: 1 of 1 shops open, 0 running; next pass at 2023-").is_some());
    assert!(reload > ready);
    assert_eq!(told[reload + 1], "READY=1");
    assert_eq!(told.iter().filter(|line| *line == "READY=1").count(), 2);
    let stopping = told.iter().rposition(|line| line == "STOPPING=1").unwrap();
    assert!(stopping > reload);
    let fed = told.iter().filter(|line| *line == "WATCHDOG=1").count();
    assert_eq!(fed, 11, "at the start and every 10 s: {told:?}");
}

async fn fed_within(act: Act, minutes: u64) -> usize {
    let lab = Lab::new([
        ("acme", Plan::new(act, 60)),
        ("good", Plan::new(Act::Work(1), 60)),
    ]);
    let daemon = lab.start();
    secs(minutes * 60).await;
    let told = lab.told();
    daemon.signal(Signal::Terminate).await;
    told.iter().filter(|line| *line == "WATCHDOG=1").count()
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_starves_when_a_busy_shop_hangs_and_only_then() {
    assert_eq!(fed_within(Act::Hang, 60).await, 30, "for five minutes");
    assert_eq!(fed_within(Act::Beat, 60).await, 361);
    assert_eq!(fed_within(Act::Park, 60).await, 361);
    assert_eq!(fed_within(Act::Park, 120).await, 390, "parking has an end");
}
