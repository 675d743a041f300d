//! Segments as a reader of memberships meets them.

use super::{Method, Moment, Shop, Speed};
use crate::model::DAY_MS;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The id of the segment with this name.
fn named(shop: &Shop, name: &str) -> String {
    let state = shop.world.state();
    let mut segments = state.klaviyo.segments.iter();
    segments
        .find(|(_, known)| known.name == name)
        .unwrap()
        .0
        .clone()
}

fn first_member(shop: &Shop, segment: &str) -> String {
    let state = shop.world.state();
    let members = &state.klaviyo.segments[segment].members;
    members.keys().next().unwrap().clone()
}

#[tokio::test]
async fn members_are_asked_for_by_id_and_by_the_time_they_joined() {
    let shop = Shop::open(Speed::Fast).await;
    let segment = named(&shop, "Not gold in the tea club");
    let member = first_member(&shop, &segment);
    let joined = shop.world.state().klaviyo.segments[&segment].members[&member];
    let path =
        format!("/api/segments/{segment}/profiles?fields[profile]=joined_group_at&page[size]=100");
    let found = shop
        .all(&format!("{path}&filter=any(profile_id,['{member}'])"))
        .await;
    let shown = joined.to_string().replace('Z', "+00:00");
    assert_eq!(found[0]["attributes"], json!({ "joined_group_at": shown }));
    let later = shop
        .all(&format!(
            "{path}&filter=greater-than(joined_group_at,{joined})"
        ))
        .await;
    let members = shop.world.state().klaviyo.segments[&segment]
        .members
        .clone();
    assert_eq!(
        later.len(),
        members.values().filter(|at| **at > joined).count()
    );
    assert!(later.len() < members.len());
    let wide = format!("/api/segments/{segment}/profiles?page[size]=101");
    assert_eq!(shop.get(&wide).await.status, 400);
}

#[tokio::test]
async fn only_reads_of_one_segment_count_as_its_use() {
    let shop = Shop::open(Speed::Fast).await;
    let read = named(&shop, "Repeat buyers");
    shop.all("/api/segments").await;
    shop.get(&format!("/api/segments/{read}/relationships/profiles"))
        .await;
    let state = shop.world.state();
    for (id, segment) in &state.klaviyo.segments {
        let expected = (*id == read).then(|| shop.world.clock.now());
        assert_eq!(segment.last_read, expected, "{}", segment.name);
    }
}

#[tokio::test]
async fn a_changed_profile_moves_at_once() {
    let shop = Shop::open(Speed::Fast).await;
    let segment = named(&shop, "Not gold in the tea club");
    let member = first_member(&shop, &segment);
    let member_path = format!(
        "/api/segments/{segment}/relationships/profiles?filter=any(profile_id,['{member}'])"
    );
    let club = |tier: &str| {
        json!({ "data": { "type": "profile", "id": member, "attributes": {
            "properties": { "Tea club": tier },
        }}})
    };
    let path = format!("/api/profiles/{member}");
    for (tier, members) in [("gold", 0), ("silver", 1)] {
        shop.world.clock.advance(Duration::from_secs(60));
        let answer = shop.send(Method::PATCH, &path, club(tier)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(shop.all(&member_path).await.len(), members, "{tier}");
    }
    let state = shop.world.state();
    let known = &state.klaviyo.segments[&segment];
    assert_eq!(known.members[&member], shop.world.clock.now());
    assert_eq!(known.moves.last(), Some(&(shop.world.clock.now(), 1, 0)));
}

#[tokio::test]
async fn a_segment_that_is_counted_anew_says_so() {
    let shop = Shop::open(Speed::Fast).await;
    let segment = named(&shop, "Repeat buyers");
    let path = format!("/api/segments/{segment}");
    let soon = shop.world.clock.now().plus(Duration::from_secs(600));
    shop.world
        .state()
        .klaviyo
        .segments
        .get_mut(&segment)
        .unwrap()
        .recount = Some(soon);
    let processing =
        async || shop.get(&path).await.body["data"]["attributes"]["is_processing"].clone();
    assert_eq!(processing().await, true);
    shop.world.clock.advance(Duration::from_secs(600));
    assert_eq!(processing().await, false);
}

#[tokio::test]
async fn events_are_asked_for_by_profile_metric_and_time_at_once() {
    let shop = Shop::open(Speed::Fast).await;
    let (metric, profile, times) = {
        let state = shop.world.state();
        let streams = state.klaviyo.events.iter();
        let (metric, events) = streams.max_by_key(|(_, events)| events.len()).unwrap();
        let profile = events[events.len() / 2].profile.clone().unwrap();
        let mine = events
            .iter()
            .filter(|event| event.profile.as_ref() == Some(&profile));
        let times: Vec<i64> = mine.map(|event| event.timestamp).collect();
        (metric.clone(), profile, times)
    };
    let bound = Moment::from_secs(times[times.len() / 2]);
    let filter = format!(
        "and(equals(profile_id,'{profile}'),equals(metric_id,'{metric}'),greater-or-equal(datetime,{bound}))"
    );
    let found = shop.all(&format!("/api/events?filter={filter}")).await;
    let at = |event: &Json| event["attributes"]["timestamp"].as_i64().unwrap();
    let expected = &times[times.partition_point(|at| *at < bound.secs())..];
    assert_eq!(found.iter().map(at).collect::<Vec<_>>(), expected);
    assert!(!expected.is_empty());
}

#[tokio::test]
async fn a_profile_shows_its_details() {
    let shop = Shop::open(Speed::Fast).await;
    let (id, zip) = {
        let mut state = shop.world.state();
        let now = shop.world.clock.now();
        let mut people = state.klaviyo.profiles.iter_mut();
        let (id, profile) = people.find(|(_, known)| known.zip.is_some()).unwrap();
        profile.sms.consent = "SUBSCRIBED";
        profile.sms.at = Some(Moment(now.0 - DAY_MS));
        profile.double_opt_in = Some(true);
        (id.clone(), profile.zip.clone())
    };
    let plain = shop.get(&format!("/api/profiles/{id}")).await.body;
    let plain = &plain["data"]["attributes"];
    assert_eq!(plain["location"]["zip"], json!(zip));
    assert!(plain["location"]["latitude"].is_f64());
    assert!(plain.get("subscriptions").is_none() && plain.get("predictive_analytics").is_none());
    let path =
        format!("/api/profiles/{id}?additional-fields[profile]=subscriptions,predictive_analytics");
    let whole = shop.get(&path).await.body;
    let sms = &whole["data"]["attributes"]["subscriptions"]["sms"]["marketing"];
    assert_eq!(sms["can_receive_sms_marketing"], true);
    let email = &whole["data"]["attributes"]["subscriptions"]["email"]["marketing"];
    assert_eq!(email["double_optin"], true);
    assert!(whole["data"]["attributes"]["predictive_analytics"]["total_clv"].is_null());
}

#[tokio::test]
async fn reports_count_days_of_the_accounts_zone() {
    let shop = Shop::open(Speed::Fast).await;
    let segment = named(&shop, "Repeat buyers");
    {
        let mut state = shop.world.state();
        let known = state.klaviyo.segments.get_mut(&segment).unwrap();
        // Late in the evening of the day before in New York.
        let at = Moment::parse("2026-11-22T03:00:00Z").unwrap();
        known.moves = vec![(at, 2, 0)];
    }
    let body = json!({ "data": { "type": "segment-values-report", "attributes": {
        "statistics": ["members_added"], "timeframe": { "key": "yesterday" },
        "filter": format!("equals(segment_id,\"{segment}\")"),
    }}});
    for (zone, added) in [("UTC", 0), ("America/New_York", 2)] {
        zone.clone_into(&mut shop.world.state().klaviyo.timezone);
        let path = "/api/segment-values-reports";
        let report = shop.send(Method::POST, path, body.clone()).await.body;
        let figures = &report["data"]["attributes"]["results"][0]["statistics"];
        assert_eq!(figures["members_added"], added, "{zone}");
    }
}
