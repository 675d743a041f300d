//! Whatever changes between two passes is seen by the next, and a quiet pass costs next to nothing.

use crate::house::{House, ROOMY, hours};
use crate::merchant;
use crate::modes::suppress_at_risk;
use crate::oracle;
use driftless::mirror::{Cursor, MirrorError, Stream};
use driftless::model::EffectKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// A settled shop, an hour later.
async fn settled(profiles: usize) -> House {
    let mut house = House::of(profiles, &ROOMY).await;
    house.settle().await;
    house.clock.advance(hours(1));
    house
}

/// Somebody on the list of the lapsed who has one profile and one customer.
fn lapsed_customer(house: &House) -> (String, u64) {
    let lapsed = house.members("Lapsed customers");
    let state = house.world.state();
    let twins: Vec<&String> = state.truth.duplicates.iter().flatten().collect();
    let pairs = state.truth.pairs.iter();
    let mut fitting = pairs.filter(|(id, _)| lapsed.contains(id) && !twins.contains(&id));
    fitting.next().unwrap().clone()
}

/// The next pass must bring the world to what an independent count wants, and be the last to write.
async fn assert_caught_up(house: &mut House) {
    let summary = house.pass().await;
    assert_eq!(summary.trips, []);
    assert!(!summary.planned.is_empty());
    let (wrong, (lapsed, at_risk)) = {
        let state = house.world.state();
        let lists = oracle::lists(&state, summary.now);
        (oracle::wrong_properties(&state, summary.now), lists)
    };
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(house.members("Lapsed customers"), lapsed);
    assert_eq!(house.members("Win-back"), at_risk);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_takes_its_customer_off_the_list_of_the_lapsed() {
    let mut house = settled(250).await;
    let (profile, customer) = lapsed_customer(&house);
    let number = merchant::buy(&mut house.world.state(), customer, house.clock.now());
    assert_caught_up(&mut house).await;
    assert!(!house.members("Lapsed customers").contains(&profile));

    // Its cancellation brings the customer back.
    house.clock.advance(hours(1));
    let now = house.clock.now();
    {
        let mut state = house.world.state();
        let order = state.shopify.orders.get_mut(&number).unwrap();
        (order.cancelled, order.updated) = (Some(now), now);
    }
    assert_caught_up(&mut house).await;
    assert!(house.members("Lapsed customers").contains(&profile));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_changes_the_tier_of_whoever_clicked() {
    let mut house = settled(250).await;
    let (profile, _) = lapsed_customer(&house);
    let now = house.clock.now();
    merchant::click(&mut house.world.state(), &profile, now);
    let before =
        house.world.state().klaviyo.profiles[&profile].properties["driftless_tier"].clone();
    assert_ne!(before, "t30");
    // The window of a walk closes at the server's clock, to the second.
    house.clock.advance(Duration::from_secs(2));
    assert_caught_up(&mut house).await;
    let state = house.world.state();
    assert_eq!(
        state.klaviyo.profiles[&profile].properties["driftless_tier"],
        "t30"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_profile_leaves_the_list_of_the_reachable() {
    let mut house = settled(250).await;
    let gone = suppress_at_risk(&house, 1);
    assert_caught_up(&mut house).await;
    assert!(!house.members("Win-back").contains(&gone[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_put_on_or_taken_off_a_managed_list_by_hand_is_put_right() {
    let mut house = settled(250).await;
    let lapsed = house.members("Lapsed customers");
    let stranger = {
        let now = house.clock.now();
        let mut state = house.world.state();
        let mut all = state.klaviyo.profiles.keys();
        let stranger = all.find(|id| !lapsed.contains(id)).unwrap().clone();
        let mut lists = state.klaviyo.lists.values_mut();
        let list = lists.find(|list| list.name == "Lapsed customers").unwrap();
        list.members.remove(&lapsed[0]);
        list.members.insert(stranger.clone(), now);
        stranger
    };
    let summary = house.pass().await;
    let expected = BTreeMap::from([(EffectKind::ListAdd, 1), (EffectKind::ListRemove, 1)]);
    assert_eq!(summary.planned, expected);
    assert_eq!(house.members("Lapsed customers"), lapsed);
    assert!(!lapsed.contains(&stranger));
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_somebody_overwrote_is_written_again() {
    let mut house = settled(150).await;
    let now = house.clock.now();
    let id = house
        .world
        .state()
        .klaviyo
        .profiles
        .keys()
        .nth(5)
        .unwrap()
        .clone();
    {
        let mut state = house.world.state();
        let profile = state.klaviyo.profiles.get_mut(&id).unwrap();
        profile
            .properties
            .insert("driftless_stage".to_owned(), json!("vip"));
        profile
            .properties
            .insert("Favourite".to_owned(), json!("Nothing"));
        profile.updated = now;
    }
    let summary = house.pass().await;
    assert_eq!(summary.planned, BTreeMap::from([(EffectKind::Property, 1)]));
    let state = house.world.state();
    let properties = &state.klaviyo.profiles[&id].properties;
    assert_ne!(properties["driftless_stage"], "vip");
    assert_eq!(properties["Favourite"], "Nothing", "not ours to touch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_list_deleted_upstream_is_made_again() {
    let mut house = settled(250).await;
    let members = house.members("Lapsed customers");
    house
        .world
        .state()
        .klaviyo
        .lists
        .retain(|_, list| list.name != "Lapsed customers");
    let summary = house.pass().await;
    assert_eq!(summary.planned[&EffectKind::ListCreate], 1);
    assert_eq!(house.members("Lapsed customers"), members);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_whose_cursor_is_refused_starts_again_from_where_it_began() {
    let mut house = settled(250).await;
    let streams = [
        (
            Stream::KlaviyoProfiles,
            "/api/profiles?page%5Bcursor%5D=expired",
        ),
        (Stream::ShopifyCustomers, "expired"),
        (Stream::ShopifyOrders, "expired"),
    ];
    let now = house.clock.now();
    let known = {
        let mirror = house.shop().mirror();
        let known = streams
            .each_ref()
            .map(|(stream, _)| mirror.cursor(stream).unwrap().unwrap());
        let mut page = mirror.page();
        for ((stream, position), known) in streams.iter().zip(&known) {
            let expired = Cursor {
                position: Some((*position).to_owned()),
                lower: known.watermark,
                run_start: Some(now),
                seen: 100,
                ..known.clone()
            };
            page.cursor(stream, &expired);
        }
        page.commit().unwrap();
        known
    };
    // It happened before the walk began.
    let (profile, customer) = lapsed_customer(&house);
    {
        let mut state = house.world.state();
        merchant::buy(&mut state, customer, now);
        state.klaviyo.profiles.get_mut(&profile).unwrap().updated = now;
    }
    house.clock.advance(Duration::from_secs(300));
    let summary = house.pass().await;
    assert!(
        (1..50).contains(&summary.pulled["profiles"]),
        "neither none nor all"
    );
    assert_eq!(summary.pulled["orders"], 1);
    let mirror = house.shop().mirror();
    for ((stream, _), before) in streams.iter().zip(known) {
        let after = mirror.cursor(stream).unwrap().unwrap();
        assert_eq!((after.position, after.run_start), (None, None), "{stream}");
        assert!(after.watermark >= before.watermark, "{stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_pass_asks_a_handful_of_questions() {
    let mut house = settled(600).await;
    house.pass().await;
    house.clock.advance(Duration::from_secs(900));
    let (before, _) = house.requests();
    let quiet = house.pass().await;
    let asked = house.requests().0 - before;
    assert!(quiet.is_quiet());
    let told: u64 = quiet.traffic.requests.values().sum();
    assert_eq!(told, asked, "the summary counts what the servers count");
    println!("a quiet pass over 600 profiles and 8 lists: {asked} requests");
    // One for each listing and metric, a page for each ten segments, one for each hundred list members, and
    // eight that count events.
    let (segments, members) = {
        let state = house.world.state();
        let lists = state.klaviyo.lists.values();
        let pages = lists.map(|list| list.members.len().div_ceil(100).max(1));
        let members: usize = pages.sum();
        (state.klaviyo.segments.len().div_ceil(10), members)
    };
    assert!(
        asked <= 27 + (segments + members) as u64,
        "{asked} with {segments} pages of segments and {members} of members"
    );
    assert_eq!(quiet.pulled["profiles"], 0);
    assert_eq!(quiet.pulled["customers"], 0);
}

/// Every value as it lies in the mirror.
fn values(house: &mut House) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut values = BTreeMap::new();
    let visit = |key: &[u8], value: &[u8]| {
        values.insert(key.to_vec(), value.to_vec());
        Ok::<_, MirrorError>(())
    };
    house.shop().mirror().copy(visit).unwrap();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_without_changes_writes_nothing_but_cursors_and_small_lists() {
    let mut house = settled(250).await;
    // The first passes compare what they filled.
    for _ in 0..4 {
        house.pass().await;
    }
    let before = values(&mut house);
    house.clock.advance(Duration::from_secs(900));
    assert!(house.pass().await.is_quiet());
    let after = values(&mut house);
    let changed = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    // Facts and cursors; and of lists up to 2,000 members, which are read whole in every pass, the
    // listing and its members.
    let (facts, cursors, listings, members) = (1, 2, 66, 67);
    let mut by_shelf: BTreeMap<u8, usize> = BTreeMap::new();
    for key in changed.map(|(key, _)| key).chain(gone) {
        *by_shelf.entry(key[0]).or_default() += 1;
    }
    println!("of {} values changed by shelf: {by_shelf:?}", after.len());
    assert!(by_shelf[&cursors] > 0 && by_shelf.get(&facts).is_none_or(|n| *n <= 1));
    let expected = |shelf: &u8| [facts, cursors, listings, members].contains(shelf);
    assert!(by_shelf.keys().all(expected), "{by_shelf:?}");
}
