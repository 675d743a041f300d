//! Every entry of the catalogue, and what its parameters do to it.

use super::*;
use std::collections::BTreeSet;

/// The page that the documentation shows.
const PAGE: &str = include_str!("catalogue.md");

fn told(name: &str, given: &[(&str, Setting)]) -> Definition {
    let entry = find(name).unwrap();
    let mut settings = entry.defaults();
    for (parameter, setting) in given {
        settings.set(parameter, setting.clone()).unwrap();
    }
    assert_eq!(entry.conflict(&settings), None);
    entry.expand(&settings)
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> Setting {
    Setting::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// Run with `DRIFTLESS_BLESS=1` to write the page anew, then read the difference.
#[test]
fn the_page_shows_every_expansion_as_it_is() {
    let mut page = String::new();
    for entry in catalogue() {
        page.push_str(&format!("\n{entry}"));
    }
    if std::env::var_os("DRIFTLESS_BLESS").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/segment/catalogue/catalogue.md"
        );
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(PAGE, page);
}

#[test]
fn the_names_are_the_issues_and_each_is_there_once() {
    let names: Vec<&str> = catalogue().map(|entry| entry.name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
    let wanted = [
        "brand_interest",
        "chronic_soft_bounce",
        "churn_risk",
        "cross_channel",
        "cross_sell",
        "engagement_tier",
        "expected_next_order",
        "former_vip",
        "high_average_order_value",
        "holiday_shoppers",
        "item_interest",
        "lifetime_value",
        "location",
        "low_average_order_value",
        "nearly_there",
        "radius",
        "random_sample",
        "recent_subscribers_without_order",
    ];
    assert_eq!(distinct.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn every_choice_expands_to_known_grammar_and_back() {
    let mut expanded = 0;
    for entry in catalogue() {
        let mut variants = vec![entry.defaults()];
        for parameter in entry.parameters {
            for word in parameter.kind.words() {
                let setting = match parameter.kind {
                    Kind::Choices { .. } => texts(&["email", word]),
                    _ => text(word),
                };
                let mut settings = entry.defaults();
                if settings.set(parameter.name, setting).is_ok() {
                    variants.push(settings);
                }
            }
        }
        for settings in variants {
            let definition = entry.expand(&settings);
            let again = Definition::parse(definition.as_str()).unwrap();
            assert_eq!(again.groups(), definition.groups(), "{}", entry.name);
            assert!(!format!("{:?}", again.groups()).contains("Unknown("));
            let extended = definition.as_str().contains("driftless-");
            assert_eq!(is_extended(&definition), extended, "{}", entry.name);
            let groups = definition.groups().unwrap();
            assert!(groups.iter().all(|group| !group.conditions().is_empty()));
            assert!(!groups.is_empty());
            expanded += 1;
        }
    }
    assert!(expanded > 35, "{expanded}");
}

#[test]
fn extensions_are_marked_and_nothing_else_is() {
    let marked = catalogue().filter(|entry| entry.uses_extension());
    let marked: BTreeSet<&str> = marked.map(|entry| entry.name).collect();
    let wanted = [
        "high_average_order_value",
        "holiday_shoppers",
        "low_average_order_value",
        "radius",
        "random_sample",
    ];
    assert_eq!(marked.into_iter().collect::<Vec<_>>(), wanted);
    let ours = told("expected_next_order", &[("source", text("driftless"))]);
    assert!(is_extended(&ours));
}

#[test]
fn every_parameter_changes_what_is_said() {
    // What a parameter that depends on another needs beside it.
    let beside = [("nearly_there", "goal"), ("nearly_there", "gap")];
    for entry in catalogue() {
        for parameter in entry.parameters {
            let mut settings = entry.defaults();
            if beside.contains(&(entry.name, parameter.name)) {
                settings.set("by", text("spend")).unwrap();
            }
            let before = entry.expand(&settings);
            let other = match parameter.kind {
                Kind::Whole { default, .. } => Setting::Whole(default + 1),
                Kind::Number { default, .. } => Setting::Number(default + 0.5),
                Kind::Text { .. } => text("other"),
                Kind::YearDay { .. } => text("02-29"),
                Kind::Texts { .. } => texts(&["Another"]),
                Kind::Choice { of, .. } => text(of.last().unwrap()),
                Kind::Choices { of, .. } => texts(of),
            };
            settings.set(parameter.name, other).unwrap();
            let (name, key) = (entry.name, parameter.name);
            assert_ne!(entry.expand(&settings), before, "{name}.{key}");
        }
    }
}

#[test]
fn what_a_parameter_does_not_take_is_refused() {
    let refused = |name: &str, parameter: &str, setting| {
        let mut settings = find(name).unwrap().defaults();
        settings.set(parameter, setting).unwrap_err().to_string()
    };
    for (said, name, parameter, setting) in [
        (
            "0 is not between 1 and 3650",
            "churn_risk",
            "quiet_days",
            Setting::Whole(0),
        ),
        (
            "a whole number is wanted here",
            "churn_risk",
            "quiet_days",
            Setting::Number(3.5),
        ),
        (
            "90.5 is not between -90 and 90",
            "radius",
            "latitude",
            Setting::Number(90.5),
        ),
        (
            "NaN is not between -90 and 90",
            "radius",
            "latitude",
            Setting::Number(f64::NAN),
        ),
        (
            "`02-30` is not a day of the year such as `11-20`",
            "holiday_shoppers",
            "from",
            text("02-30"),
        ),
        (
            "there is no choice `45`",
            "engagement_tier",
            "tier",
            text("45"),
        ),
        ("this must not be empty", "cross_sell", "bought", texts(&[])),
        (
            "this must not be empty",
            "cross_sell",
            "bought",
            texts(&["x", " "]),
        ),
        (
            "`x` is named twice",
            "cross_sell",
            "bought",
            texts(&["x", "x"]),
        ),
        (
            "there is no parameter `days`",
            "churn_risk",
            "days",
            Setting::Whole(3),
        ),
    ] {
        assert_eq!(refused(name, parameter, setting), said);
    }
}

#[test]
fn settings_that_contradict_each_other_are_a_conflict() {
    let conflict = |name: &str, given: &[(&str, Setting)]| {
        let entry = find(name).unwrap();
        let mut settings = entry.defaults();
        for (parameter, setting) in given {
            settings.set(parameter, setting.clone()).unwrap();
        }
        entry.conflict(&settings).map(|conflict| conflict.parameter)
    };
    let whole = Setting::Whole;
    for (wrong, name, given) in [
        (
            Some("gone_days"),
            "churn_risk",
            vec![("quiet_days", whole(365))],
        ),
        (None, "churn_risk", vec![("quiet_days", whole(364))]),
        (Some("gap"), "nearly_there", vec![("gap", whole(201))]),
        (
            Some("channels"),
            "cross_channel",
            vec![("channels", texts(&["sms"]))],
        ),
        (
            Some("share"),
            "random_sample",
            vec![("from", Setting::Number(0.95))],
        ),
        (None, "random_sample", vec![("from", Setting::Number(0.9))]),
    ] {
        assert_eq!(conflict(name, &given), wrong, "{name} {given:?}");
    }
}

#[test]
fn amounts_are_spelled_exactly() {
    let near = told(
        "nearly_there",
        &[
            ("by", text("spend")),
            ("goal", Setting::Number(99.95)),
            ("gap", Setting::Whole(20)),
        ],
    );
    assert!(near.as_str().contains("\"value\":79.95}"), "{near:?}");
    assert!(near.as_str().contains("\"value\":99.95}"), "{near:?}");
    let value = told("lifetime_value", &[("at_least", Setting::Number(1000.0))]);
    assert!(value.as_str().contains("\"value\":1000}"), "{value:?}");
}

#[test]
fn a_tier_begins_where_the_one_before_ends() {
    let tier = |tier| told("engagement_tier", &[("tier", text(tier))]);
    let [first, second, dormant] = ["30", "60", "dormant"].map(tier);
    assert_eq!(first.groups().unwrap().len(), 1);
    // Every act of the tier before is asked for, and must be missing.
    let acts = first.conditions().count();
    assert_eq!(second.groups().unwrap().len(), 1 + acts);
    assert_eq!(second.as_str().matches("\"quantity\":30").count(), acts);
    assert_eq!(dormant.as_str().matches("alltime").count(), acts);
    for tier in [first, second, dormant] {
        let human = r#"{"property":"Apple Privacy Open","filter":{"type":"boolean","operator":"equals","value":false}}"#;
        let opens = tier.as_str().matches("Opened Email").count();
        assert_eq!(tier.as_str().matches(human).count(), opens);
    }
}

#[test]
fn samples_of_one_salt_can_stand_side_by_side() {
    let sample = |from, share| {
        let given = [
            ("from", Setting::Number(from)),
            ("share", Setting::Number(share)),
        ];
        let definition = told("random_sample", &given);
        match definition.conditions().next() {
            Some(Condition::DriftlessSample(sample)) => (sample.from, sample.to),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sample(0.0, 0.1), (0, 1000));
    assert_eq!(sample(0.1, 0.2), (1000, 3000));
    assert_eq!(sample(0.7, 0.3), (7000, 10_000));
}
