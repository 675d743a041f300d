//! All definitions of the golden: each alone, many with one another, all as one account.

use super::super::{Answer, Related, Relation, pair, relations, single};
use super::{NOW, check_pair, check_single, contradicts};
use crate::api::klaviyo::{event_from_json, profile_from_json};
use crate::golden;
use crate::segment::{Definition, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;

fn definitions() -> Vec<(String, Definition)> {
    let all = golden::json("segments/definitions.json");
    let all: BTreeMap<String, Value> = all
        .map(|json| serde_json::from_value(json).unwrap())
        .unwrap_or_default();
    let parse = |json: &Value| Definition::parse(&json.to_string()).unwrap();
    all.into_iter()
        .map(|(name, json)| (name, parse(&json)))
        .collect()
}

/// The golden's people, in and out of each definition.
fn members() -> BTreeMap<String, [u32; 2]> {
    let mut counts: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for line in golden::text("segments/expected.jsonl")
        .unwrap_or_default()
        .lines()
    {
        let line: Value = serde_json::from_str(line).unwrap();
        for (name, verdict) in line["segments"].as_object().unwrap() {
            let count = counts.entry(name.clone()).or_default();
            count[0] += u32::from(verdict == "in");
            count[1] += u32::from(verdict == "out");
        }
    }
    counts
}

#[test]
fn every_definition_alone_is_settled_and_agrees_with_the_golden() {
    let members = members();
    for (name, definition) in definitions() {
        let found = single(&definition, NOW);
        check_single(&definition, &found);
        let [inside, outside] = members[&name];
        assert!(
            !found.empty.is_proven() || inside == 0,
            "{name} has members"
        );
        assert!(
            !found.always.is_proven() || outside == 0,
            "{name} leaves somebody out"
        );
        let settled = |answer: &Answer| answer.is_proven() || answer.is_refuted();
        assert!(
            settled(&found.empty) && settled(&found.always),
            "{name}: {found:#?}"
        );
    }
}

#[test]
fn statements_about_neighbours_of_the_golden_stand_and_most_are_settled() {
    let definitions = definitions();
    let (mut settled, mut asked) = (0, 0);
    for (at, (_, first)) in definitions.iter().enumerate() {
        // Those that stand side by side are alike; the others are a sample.
        let others = [1, 2, 3, 5, 8, 55, 144].map(|step| definitions.get(at + step));
        for (_, second) in others.into_iter().flatten() {
            let found = pair(first, second, NOW);
            check_pair(first, second, &found);
            asked += 1;
            settled += usize::from(found.relation() != Relation::Open);
        }
    }
    assert!(settled * 20 >= asked * 19, "{settled} of {asked}");
}

#[test]
fn an_account_is_related_at_once_as_its_pairs_are_alone() {
    let definitions = definitions();
    let account: Vec<(&str, &Definition)> = definitions
        .iter()
        .step_by(9)
        .map(|(name, definition)| (name.as_str(), definition))
        .collect();
    let found = relations(&account, NOW);
    assert_eq!(found, relations(&account, NOW), "the same, again");
    let of: BTreeMap<&str, &Definition> = account.iter().copied().collect();
    let mut related = found.related.iter().peekable();
    let mut overlapping = 0;
    for (at, (first, _)) in account.iter().enumerate() {
        for (second, _) in &account[at + 1..] {
            let alone = pair(of[first], of[second], NOW);
            let next = related.next_if(|next| (next.first, next.second) == (*first, *second));
            match next {
                Some(next) => assert_eq!(next.pair, alone, "{first} / {second}"),
                None => {
                    assert_eq!(
                        alone.relation(),
                        Relation::Overlapping,
                        "{first} / {second}"
                    );
                    overlapping += 1;
                }
            }
        }
    }
    assert_eq!((related.next(), found.overlapping), (None, overlapping));
}

/// A witness as the API would show it is read back as the same person.
#[test]
fn a_rendered_witness_is_the_same_person_to_whoever_reads_it() {
    for (name, definition) in definitions() {
        for answer in [
            single(&definition, NOW).empty,
            single(&definition, NOW).always,
        ] {
            let Answer::Refuted(witness) = answer else {
                continue;
            };
            let line = witness.to_json();
            let mentions = definition.mentions();
            let profile = profile_from_json(&line["profile"].to_string(), &mentions).unwrap();
            let expected = witness.profile();
            assert_eq!(profile.properties, expected.properties, "{name}: {line}");
            if !mentions.channels.is_empty() {
                for (channel, state) in &expected.channels.unwrap() {
                    assert_eq!(
                        profile.channels.as_ref().unwrap().get(channel),
                        Some(state),
                        "{name}: {line}"
                    );
                }
            }
            if let (Some(expected), true) = (expected.email_marketing, mentions.consent_details) {
                assert_eq!(profile.email_marketing, Some(expected), "{name}: {line}");
            }
            for (deed, json) in witness
                .events
                .iter()
                .zip(line["events"].as_array().unwrap())
            {
                let wanted = mentions
                    .events
                    .get(&deed.metric)
                    .cloned()
                    .unwrap_or_default();
                let (metric, event) = event_from_json(&json.to_string(), &wanted).unwrap();
                assert_eq!((metric.as_ref(), event.at), (Some(&deed.metric), deed.at));
                assert_eq!(
                    event.value.is_some(),
                    deed.properties.contains_key("$value"),
                    "{name}: {json}"
                );
            }
            assert_eq!(line["lists"].as_array().unwrap().len(), witness.lists.len());
        }
    }
}

/// The golden's people were judged by another program.
#[test]
fn nobody_of_the_golden_contradicts_what_is_proven_of_the_whole_account() {
    let definitions = definitions();
    let account: Vec<(&str, &Definition)> = definitions
        .iter()
        .map(|(name, definition)| (name.as_str(), definition))
        .collect();
    let of: BTreeMap<&str, &Definition> = account.iter().copied().collect();
    let related = relations(&account, NOW).related;
    for related in &related {
        check_pair(of[related.first], of[related.second], &related.pair);
    }
    for line in golden::text("segments/expected.jsonl")
        .unwrap_or_default()
        .lines()
    {
        let line: Value = serde_json::from_str(line).unwrap();
        let verdict = |name: &str| match line["segments"][name].as_str() {
            Some("in") => Verdict::In,
            Some("out") => Verdict::Out,
            _ => Verdict::Unknown,
        };
        // Whether a condition that nobody can evaluate holds is not known of them.
        let known = |related: &&Related<&str>| {
            [related.first, related.second]
                .map(verdict)
                .iter()
                .all(|one| *one != Verdict::Unknown)
        };
        for related in related.iter().filter(known) {
            let verdicts = [verdict(related.first), verdict(related.second)];
            let (first, second) = (related.first, related.second);
            assert!(
                !contradicts(&verdicts, &related.pair),
                "{first} / {second}: {}",
                line["id"]
            );
        }
    }
}
