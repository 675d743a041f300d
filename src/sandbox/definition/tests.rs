use super::*;
use crate::sandbox::world::{List, Segment, Suppression};
use serde_json::json;
use std::sync::Arc;

fn at(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

fn account(definition: Json) -> State {
    let mut state = State::default();
    let klaviyo = &mut state.klaviyo;
    let profile = Profile {
        email: Some("maple.otter@gmail.com".to_owned()),
        consent: "SUBSCRIBED",
        ..Profile::default()
    };
    klaviyo.profiles.insert("P1".to_owned(), profile);
    let segment = Segment {
        name: "S".to_owned(),
        definition: json!({ "condition_groups": [{ "conditions": [definition] }] }),
        created: Moment::default(),
        updated: Moment::default(),
        is_active: true,
        members: BTreeMap::new(),
        refreshed: Moment::default(),
        moves: Vec::new(),
    };
    klaviyo.segments.insert("S".to_owned(), segment);
    state
}

fn event(state: &mut State, when: &str, properties: Json) {
    let events = state.klaviyo.events.entry("M".to_owned()).or_default();
    events.push(Event {
        id: format!("E{}", events.len()),
        timestamp: at(when).secs(),
        profile: Some("P1".to_owned()),
        properties: Arc::new(properties),
    });
}

fn is_member(state: &mut State, now: &str) -> bool {
    recompute(&mut state.klaviyo, at(now));
    !state.klaviyo.segments["S"].members.is_empty()
}

fn counted(window: Json) -> Json {
    json!({
        "type": "profile-metric", "metric_id": "M", "measurement": "count",
        "measurement_filter": { "type": "numeric", "operator": "greater-than", "value": 0 },
        "timeframe_filter": window, "metric_filters": null,
    })
}

#[test]
fn windows_follow_the_documented_examples() {
    // The help centre's examples, all on 17 June 2023.
    let days = |operator: &str, quantity: i64| json!({ "type": "date", "operator": operator, "unit": "day", "quantity": quantity });
    let between =
        json!({ "type": "date", "operator": "between", "unit": "day", "start": 3, "end": 5 });
    for (window, first, last) in [
        (
            days("in-the-last", 3),
            "2023-06-14T00:00:00Z",
            "2023-06-17T11:59:59Z",
        ),
        (
            days("at-least", 3),
            "2000-01-01T00:00:00Z",
            "2023-06-13T23:59:59Z",
        ),
        (between, "2023-06-12T00:00:00Z", "2023-06-14T23:59:59Z"),
    ] {
        let judge = |when: Moment| {
            let mut state = account(counted(window.clone()));
            event(&mut state, &when.to_string(), json!({}));
            is_member(&mut state, "2023-06-17T12:00:00Z")
        };
        let second = std::time::Duration::from_secs(1);
        assert!(judge(at(first)), "{window}");
        assert!(judge(at(last)), "{window}");
        let outside = if window["operator"] == "at-least" {
            at(last).plus(second)
        } else {
            at(first).minus(second)
        };
        assert!(!judge(outside), "{window}");
    }
}

#[test]
fn sums_add_the_values_of_events_that_pass_the_filters() {
    let mut definition = counted(json!({ "type": "date", "operator": "alltime" }));
    definition["measurement"] = json!("sum");
    definition["measurement_filter"]["value"] = json!(30.0);
    let web = json!({ "type": "string", "operator": "equals", "value": "web" });
    definition["metric_filters"] = json!([{ "property": "Source Name", "filter": web }]);
    let mut state = account(definition);
    event(
        &mut state,
        "2023-01-01T00:00:00Z",
        json!({ "$value": 30.0, "Source Name": "web" }),
    );
    event(
        &mut state,
        "2023-01-02T00:00:00Z",
        json!({ "$value": 99.0, "Source Name": "pos" }),
    );
    assert!(!is_member(&mut state, "2023-06-17T12:00:00Z"));
    event(
        &mut state,
        "2023-01-03T00:00:00Z",
        json!({ "$value": 0.5, "Source Name": "web" }),
    );
    assert!(is_member(&mut state, "2023-06-17T12:00:00Z"));
}

#[test]
fn lists_properties_and_consent_are_read() {
    let on_list = json!({
        "type": "profile-group-membership", "is_member": true, "group_ids": ["L"],
        "timeframe_filter": { "type": "date", "operator": "in-the-last", "unit": "week", "quantity": 1 },
    });
    let mut state = account(on_list);
    let members = BTreeMap::from([("P1".to_owned(), at("2023-06-10T00:00:00Z"))]);
    let list = List {
        members,
        ..List::default()
    };
    state.klaviyo.lists.insert("L".to_owned(), list);
    assert!(is_member(&mut state, "2023-06-17T23:00:00Z"));
    assert!(!is_member(&mut state, "2023-06-18T00:00:00Z"));

    let gmail = json!({ "type": "string", "operator": "ends-with", "value": "@gmail.com" });
    let gmail = json!({ "type": "profile-property", "property": "email", "filter": gmail });
    assert!(is_member(&mut account(gmail), "2023-06-18T00:00:00Z"));

    let consent = json!({ "type": "profile-marketing-consent", "consent": {
        "channel": "email", "can_receive_marketing": true,
        "consent_status": { "subscription": "subscribed" },
    }});
    let mut state = account(consent);
    assert!(is_member(&mut state, "2023-06-18T00:00:00Z"));
    let suppression = Suppression {
        reason: "HARD_BOUNCE",
        at: at("2023-06-18T01:00:00Z"),
    };
    state
        .klaviyo
        .profiles
        .get_mut("P1")
        .unwrap()
        .suppressions
        .push(suppression);
    assert!(!is_member(&mut state, "2023-06-19T00:00:00Z"));
}

#[test]
fn relative_time_moves_members_once_a_day() {
    let yesterday =
        json!({ "type": "date", "operator": "in-the-last", "unit": "day", "quantity": 1 });
    let mut state = account(counted(yesterday));
    refresh(&mut state, at("2023-06-17T10:00:00Z"));
    event(&mut state, "2023-06-17T10:30:00Z", json!({}));
    refresh(&mut state, at("2023-06-17T11:00:00Z"));
    assert!(state.klaviyo.segments["S"].members.is_empty());
    refresh(&mut state, at("2023-06-18T00:00:00Z"));
    let segment = &state.klaviyo.segments["S"];
    assert_eq!(segment.members["P1"], at("2023-06-18T00:00:00Z"));
    assert_eq!(segment.moves, [(at("2023-06-18T00:00:00Z"), 1, 0)]);
    refresh(&mut state, at("2023-06-19T00:00:00Z"));
    assert!(state.klaviyo.segments["S"].members.is_empty());
}

#[test]
fn a_segment_beyond_this_evaluator_is_frozen() {
    let mut state = account(json!({ "type": "profile-region", "in_region": true }));
    let member = ("P1".to_owned(), at("2020-01-01T00:00:00Z"));
    let segment = state.klaviyo.segments.get_mut("S").unwrap();
    segment.members.extend([member]);
    refresh(&mut state, at("2023-06-18T00:00:00Z"));
    assert_eq!(state.klaviyo.segments["S"].members.len(), 1);
}
