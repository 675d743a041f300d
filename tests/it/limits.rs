//! The vendors' limits hold, on a clock that costs nothing.

use crate::house::{House, crowd, hours, morning};
use driftless::model::EffectKind;
use driftless::sandbox::Speed;
use driftless::telemetry::Api;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_full_passes_over_three_thousand_profiles_are_never_told_to_wait() {
    let mut house = House::build(crowd(3_000), morning(), Speed::Real, &[]).await;
    let begun = house.clock.now();
    let first = house.pass().await;
    let between = house.clock.now();
    let second = house.pass().await;
    assert_eq!(second.planned[&EffectKind::Property], 3_000);
    let (asked, told) = house.requests();
    assert_eq!(told, 0, "answers with 429 among {asked}");
    assert_eq!(first.traffic.throttled + second.traffic.throttled, 0);
    for (summary, from, to) in [
        (&first, begun, between),
        (&second, between, house.clock.now()),
    ] {
        let took = to.since(from);
        let waited = summary.traffic.waited[&Api::Klaviyo];
        println!(
            "{} in {took:?}, of which {waited:?} for Klaviyo's budgets",
            summary.line()
        );
        assert!(waited > Duration::ZERO);
        assert!(waited <= took, "{waited:?} of {took:?}");
        // A millisecond is the finest step of a manual clock.
        assert!(summary.took.abs_diff(took) < Duration::from_millis(2));
    }
    assert!(house.clock.now().since(begun) < hours(1));
    assert!(house.pass().await.is_quiet());
}
