//! What no feed shows is found all the same, within the span that the config names.

use crate::house::{House, ROOMY, hours, only, records};
use crate::merchant;
use driftless::model::CustomerId;

/// Twelve hours and a pass, so many times.
async fn live_on(house: &mut House, times: usize) {
    for _ in 0..times {
        house.clock.advance(hours(12));
        house.pass().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_deletions_and_lifted_suppressions_are_found_within_the_span() {
    let mut house = House::of(250, &ROOMY).await;
    house.settle().await;
    let now = house.clock.now();
    let (merged, lost, lifted) = {
        let mut state = house.world.state();
        let mut profiles = state.klaviyo.profiles.keys().cloned();
        let (merged, into) = (profiles.nth(30).unwrap(), profiles.next().unwrap());
        let suppressed = state.klaviyo.profiles.iter().find(|(id, profile)| {
            **id > into
                && profile
                    .suppressions
                    .iter()
                    .any(|one| one.reason == "HARD_BOUNCE")
        });
        let lifted = suppressed.unwrap().0.clone();
        merchant::merge(&mut state, &merged, &into, now);
        let profile = state.klaviyo.profiles.get_mut(&lifted).unwrap();
        profile.suppressions.clear();
        // A merge moves the orders without touching them.
        let buyers = state
            .shopify
            .orders
            .values()
            .filter_map(|order| order.customer);
        let lost = buyers.max().unwrap();
        let kept = *state.shopify.customers.keys().next().unwrap();
        state.shopify.customers.remove(&lost);
        for order in state.shopify.orders.values_mut() {
            if order.customer == Some(lost) {
                order.customer = Some(kept);
            }
        }
        (merged, lost, lifted)
    };
    house.clock.advance(hours(1));
    house.pass().await;
    let early = house.mirror().join("\n");
    assert!(early.contains(&merged), "no feed shows a merge");

    live_on(&mut house, 16).await;
    // What the last of these wrote is read back here.
    house.clock.advance(hours(1));
    house.pass().await;
    let mirror = house.shop().mirror();
    let slot = mirror.slot_of_customer(CustomerId(lost)).unwrap().unwrap();
    assert!(mirror.gone_since(slot).unwrap().is_some());
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
    let swept = records(house.mirror());
    let text = swept.join("\n");
    assert!(!text.contains(&merged) && text.contains(&lifted));
    let truth = records(house.undisturbed().await);
    let (lost, found) = (only(&truth, &swept), only(&swept, &truth));
    assert_eq!((lost, found), (vec![], vec![]));
}

/// Requests for profiles so far.
fn asked(house: &House) -> u64 {
    let counts = house.sandbox.requests();
    counts[&("GET".to_owned(), "/api/profiles".to_owned())].0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_asks_for_everybody_once_evenly_over_its_span() {
    let unread = ("parity", "read", "\"none\"");
    let mut house = House::of(500, &[&ROOMY[..], &[unread]].concat()).await;
    house.settle().await;
    let (mut costs, mut ended, mut last) = (Vec::new(), 0, None);
    for _ in 0..14 {
        house.clock.advance(hours(12));
        let before = asked(&house);
        let swept = house.pass().await.sweeps["profiles"].clone();
        costs.push(asked(&house) - before);
        ended += u32::from(swept.complete != last);
        last = swept.complete;
    }
    // The first pass reads what was written before it, too. A hundred go to a request.
    let quiet = *costs.iter().min().unwrap();
    let extra: Vec<u64> = costs[1..].iter().map(|cost| cost - quiet).collect();
    assert!((4..=5).contains(&extra.iter().sum::<u64>()), "{costs:?}");
    assert!(extra.iter().all(|more| *more <= 1), "{costs:?}");
    assert_eq!(ended, 1, "a week is one sweep");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_for_gone_while_sentinels_are_missing() {
    let mut house = House::of(250, &ROOMY).await;
    house.settle().await;
    let hidden = std::mem::take(&mut house.world.state().klaviyo.profiles);
    live_on(&mut house, 16).await;
    assert_eq!(house.shop().mirror().totals().unwrap().profiles, 250);
    house.world.state().klaviyo.profiles = hidden;
    live_on(&mut house, 2).await;
    assert_eq!(house.shop().mirror().totals().unwrap().profiles, 250);
}
