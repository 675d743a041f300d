//! Late events, and few missing among many, with what finding them costs.

use super::{ALONE, FOUND, asked, events, live, look, of_events, truth, withhold};
use crate::house::{House, crowd, hours, morning};
use crate::merchant;
use driftless::model::Moment;
use driftless::sandbox::Speed;
use fastrand::Rng;
use std::time::Duration;

/// When an event happens, and when Klaviyo shows it: 2 % of them an hour to ten days late.
fn happenings(count: usize, days: u64, random: &mut Rng) -> Vec<(Moment, Moment)> {
    let span = (hours(24 * days).as_secs()) as i64;
    let mut all: Vec<(Moment, Moment)> = (0..count)
        .map(|n| {
            let at = morning().plus(Duration::from_secs(random.i64(0..span).unsigned_abs()));
            let late = if n % 50 == 0 {
                random.u64(3_600..864_000)
            } else {
                random.u64(1..60)
            };
            (at, at.plus(Duration::from_secs(late)))
        })
        .collect();
    all.sort_by_key(|(_, shown)| *shown);
    all
}

/// A week in which 3,000 mails are opened, and the ten days after it; every event must be found. The
/// share of requests beyond those that a walk without any of this takes.
async fn week_of_late_events(pass_every: Duration) -> f64 {
    let mut random = Rng::with_seed(5);
    let mut house = House::of(80, &[ALONE]).await;
    let whole = look(&mut house).await;
    let metrics = of_events(&whole).len() as u64;
    let mut to_come = happenings(3_000, 7, &mut random).into_iter().peekable();
    let (all, (counted, read)) = (house.requests().0, asked(&house));
    let (mut passes, mut found) = (0, 0);
    while house.clock.now() < morning().plus(hours(24 * 18)) {
        house.clock.advance(pass_every);
        let now = house.clock.now();
        while let Some((at, _)) = to_come.next_if(|(_, shown)| *shown <= now) {
            let mut state = house.world.state();
            let owner = random
                .choice(state.klaviyo.profiles.keys())
                .unwrap()
                .clone();
            merchant::open(&mut state, &owner, at);
        }
        passes += 1;
        found += look(&mut house)
            .await
            .pulled
            .get(FOUND)
            .copied()
            .unwrap_or(0);
    }
    assert!(to_come.next().is_none());
    let (counted, read) = (asked(&house).0 - counted, asked(&house).1 - read);
    let again = read - passes * metrics;
    let all = house.requests().0 - all;
    let share = (counted + again) as f64 / (all - counted - again) as f64;
    println!(
        "{passes} passes in 18 days, 60 of 3,000 events 1 h to 10 d late: {found} found by counts, the \
         others by walks; {all} requests, of which {counted} for counts and {again} to read again: \
         {:.1} % more",
        share * 100.0
    );
    let here = events(&mut house);
    assert_eq!(here, truth(&mut house).await);
    share
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_days_late_are_found() {
    week_of_late_events(hours(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/run runs it"]
async fn late_events_cost_less_than_a_twentieth_more_requests() {
    let share = week_of_late_events(Duration::from_secs(900)).await;
    assert!(share < 0.05, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/run runs it"]
async fn one_missing_event_in_ten_thousand_is_found() {
    let mut state = crowd(5_000);
    let withheld = withhold(&mut state, 10_000, &mut Rng::with_seed(9));
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    let whole = look(&mut house).await;
    let metrics = of_events(&whole).len() as u64;
    for (metric, event) in &withheld {
        let mut state = house.world.state();
        merchant::show(&mut state, metric, event.clone(), morning());
    }
    let (all, (counted, read)) = (house.requests().0, asked(&house));
    let found = live(&mut house, 16).await;
    let (counted, read) = (asked(&house).0 - counted, asked(&house).1 - read);
    // Each walk asks once for each metric.
    let again = read - 16 * metrics;
    println!(
        "{} of {} events withheld, {found} found in 8 days: {} requests, of which {counted} for \
         counts, {again} to read again",
        withheld.len(),
        events(&mut house).len(),
        house.requests().0 - all,
    );
    assert_eq!(found, withheld.len() as u64);
    assert!(found > 3);
    let here = events(&mut house);
    assert_eq!(here, truth(&mut house).await);
}
