use super::judge::Definition;
use super::*;
use crate::golden;
use crate::model::Moment;
use crate::sandbox::world::{Event, List, Profile, Segment, State, Suppression};
use serde_json::json;
use std::collections::BTreeMap;
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
        ..Segment::default()
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
        members: members.into(),
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
        json!({ "type": "date", "operator": "in-the-last", "unit": "hour", "quantity": 10 });
    let mut state = account(counted(yesterday));
    state.klaviyo.refresh_hour = 6;
    event(&mut state, "2023-06-17T02:00:00Z", json!({}));
    let is_member = |state: &mut State, now: &str| {
        refresh(state, at(now));
        !state.klaviyo.segments["S"].members.is_empty()
    };
    assert!(is_member(&mut state, "2023-06-17T10:00:00Z"));
    assert!(is_member(&mut state, "2023-06-18T05:59:59Z"));
    assert!(!is_member(&mut state, "2023-06-18T08:00:00Z"));
    let segment = &state.klaviyo.segments["S"];
    assert_eq!(segment.moves, [(at("2023-06-18T06:00:00Z"), 0, 1)]);
}

#[test]
fn a_change_moves_its_profile_at_once_with_the_time_of_the_last_refresh() {
    let window = json!({ "type": "date", "operator": "in-the-last", "unit": "day", "quantity": 1 });
    let mut state = account(counted(window));
    refresh(&mut state, at("2023-06-17T10:00:00Z"));
    event(&mut state, "2023-06-17T10:30:00Z", json!({}));
    refresh(&mut state, at("2023-06-17T11:00:00Z"));
    assert!(state.klaviyo.segments["S"].members.is_empty());
    state.klaviyo.note_change("P1", at("2023-06-17T10:30:00Z"));
    refresh(&mut state, at("2023-06-17T11:00:00Z"));
    let segment = &state.klaviyo.segments["S"];
    assert_eq!(segment.members["P1"], at("2023-06-17T10:30:00Z"));
    assert_eq!(segment.moves, [(at("2023-06-17T10:30:00Z"), 1, 0)]);
    refresh(&mut state, at("2023-06-19T00:00:00Z"));
    assert!(state.klaviyo.segments["S"].members.is_empty());
}

#[test]
fn an_edited_definition_shows_after_the_recount_only() {
    let set = json!({ "type": "existence", "operator": "is-set" });
    let set = json!({ "type": "profile-property", "property": "email", "filter": set });
    let mut state = account(set);
    refresh(&mut state, at("2023-06-17T10:00:00Z"));
    let segment = state.klaviyo.segments.get_mut("S").unwrap();
    let filter = &mut segment.definition["condition_groups"][0]["conditions"][0]["filter"];
    filter["operator"] = json!("not-set");
    segment.recount = Some(at("2023-06-17T10:20:00Z"));
    state.klaviyo.note_change("P1", at("2023-06-17T10:12:00Z"));
    refresh(&mut state, at("2023-06-17T10:19:00Z"));
    assert_eq!(state.klaviyo.segments["S"].members.len(), 1);
    refresh(&mut state, at("2023-06-17T10:25:00Z"));
    let segment = &state.klaviyo.segments["S"];
    assert!(segment.members.is_empty() && segment.recount.is_none());
    assert_eq!(segment.refreshed, at("2023-06-17T10:20:00Z"));
}

#[test]
fn what_is_pinned_or_has_no_definition_stays() {
    let member = || ("P1".to_owned(), at("2020-01-01T00:00:00Z"));
    let mut state = account(Json::Null);
    let segment = state.klaviyo.segments.get_mut("S").unwrap();
    segment.definition = Json::Null;
    segment.members.extend([member()]);
    refresh(&mut state, at("2023-06-18T00:00:00Z"));
    assert_eq!(state.klaviyo.segments["S"].members.len(), 1);

    let unset = json!({ "type": "existence", "operator": "not-set" });
    let unset = json!({ "type": "profile-property", "property": "email", "filter": unset });
    let mut state = account(unset);
    let segment = state.klaviyo.segments.get_mut("S").unwrap();
    segment.members.extend([member()]);
    segment.pinned.insert("P1".to_owned(), true);
    state.klaviyo.note_change("P1", at("2023-06-17T10:30:00Z"));
    refresh(&mut state, at("2023-06-18T00:00:00Z"));
    assert_eq!(state.klaviyo.segments["S"].members.len(), 1);
}

#[test]
fn only_klaviyo_knows_what_the_api_does_not_show() {
    let near = json!({
        "type": "profile-postal-code-distance", "country_code": "USA", "postal_code": "97201",
        "unit": "miles", "filter": { "type": "numeric", "operator": "less-than", "value": 25 },
    });
    let mut state = account(near);
    for number in 0..1000 {
        let profile = Profile::default();
        state.klaviyo.profiles.insert(format!("Q{number}"), profile);
    }
    refresh(&mut state, at("2023-06-18T00:00:00Z"));
    let size = state.klaviyo.segments["S"].members.len();
    assert!((200..400).contains(&size), "{size}");
    let klaviyo = &state.klaviyo;
    let events = EventIndex::new(klaviyo, Moment(i64::MAX), |_| true);
    let judge = Judge::new(klaviyo, &When::utc(at("2023-06-18T00:00:00Z")), |_, _| true);
    let record = Record::of(klaviyo, &events, "P1").unwrap();
    assert_eq!(judge.verdicts(&record)["S"], None);
}

/// A person of the golden data.
struct Person {
    id: String,
    attributes: Json,
    events: Vec<(String, dates::Micros, Json)>,
    lists: Vec<(String, Option<dates::Micros>)>,
}

impl Person {
    fn read(json: &Json) -> Self {
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        let event = |event: &Json| {
            let attributes = &event["attributes"];
            let metric = text(&event["relationships"]["metric"]["data"]["id"]);
            let at = dates::parse(attributes["datetime"].as_str().unwrap()).unwrap();
            (metric, at, attributes["event_properties"].clone())
        };
        let list = |list: &Json| {
            let joined = list["joined_group_at"].as_str().and_then(dates::parse);
            (text(&list["id"]), joined)
        };
        Self {
            id: text(&json["profile"]["id"]),
            attributes: json["profile"]["attributes"].clone(),
            events: json["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(event)
                .collect(),
            lists: json["lists"].as_array().unwrap().iter().map(list).collect(),
        }
    }

    fn judge(&self, definition: &Json, now: Moment) -> &'static str {
        let mut events: BTreeMap<&str, Vec<happenings::Occurrence<'_>>> = BTreeMap::new();
        for (metric, at, properties) in &self.events {
            let event = happenings::Occurrence {
                at: *at,
                properties,
            };
            events.entry(metric).or_default().push(event);
        }
        let lists = self.lists.iter().map(|(id, at)| (id.as_str(), *at));
        let subject = Subject {
            id: &self.id,
            attributes: &self.attributes,
            events: &events.into_iter().collect(),
            lists: &lists.collect(),
            insight: false,
        };
        let definition = Definition::read(definition, &dates::When::utc(now));
        match definition.and_then(|definition| definition.holds(&subject)) {
            Some(true) => "in",
            Some(false) => "out",
            None => "unknown",
        }
    }
}

#[test]
fn golden_people_are_members_where_they_should_be() {
    let (Some(definitions), Some(people), Some(expected), Some(now)) = (
        golden::json("segments/definitions.json"),
        golden::lines("segments/people.jsonl"),
        golden::lines("segments/expected.jsonl"),
        golden::text("segments/now.txt"),
    ) else {
        return;
    };
    let now = at(now.trim());
    let mut wrong = Vec::new();
    for (person, expected) in people.iter().map(Person::read).zip(&expected) {
        assert_eq!(expected["id"], person.id);
        for (name, definition) in definitions.as_object().unwrap() {
            let judged = person.judge(definition, now);
            if expected["segments"][name] != judged {
                wrong.push(format!("{name} of {}: {judged}", person.id));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)]
    );
}

#[test]
fn golden_people_move_when_they_should() {
    let (Some(definitions), Some(people), Some(transitions)) = (
        golden::json("segments/definitions.json"),
        golden::lines("segments/people.jsonl"),
        golden::lines("segments/transitions.jsonl"),
    ) else {
        return;
    };
    let people: Vec<Person> = people.iter().map(Person::read).collect();
    let second = std::time::Duration::from_secs(1);
    for transition in &transitions {
        let person = people
            .iter()
            .find(|person| transition["id"] == person.id)
            .unwrap();
        let definition = &definitions[transition["segment"].as_str().unwrap()];
        let mut before = transition["initial"].clone();
        assert_eq!(
            before,
            person.judge(definition, at(transition["now"].as_str().unwrap()))
        );
        for flip in transition["flips"].as_array().unwrap() {
            let moment = at(flip["at"].as_str().unwrap());
            let (earlier, later) = (moment.minus(second), moment);
            assert_eq!(before, person.judge(definition, earlier), "{transition}");
            assert_eq!(flip["to"], person.judge(definition, later), "{transition}");
            before = flip["to"].clone();
        }
    }
}
