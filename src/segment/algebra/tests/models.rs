//! Random definitions over a small fragment, against every small person.

use super::super::{Deed, Witness, pair, single};
use super::{NOW, check_pair, check_single, contradicts, definition, property, verdicts};
use crate::model::{Moment, Value};
use crate::segment::{Definition, Verdict};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

fn text_filter() -> impl Strategy<Value = Json> {
    let operators = [
        "equals",
        "not-equals",
        "contains",
        "not-contains",
        "starts-with",
        "not-starts-with",
        "ends-with",
        "not-ends-with",
        "in",
        "not-in",
        "regex",
        "nregex",
    ];
    let operands = ["", "a", "b", "ab", "ba", "1"];
    let pair = (
        proptest::sample::select(operators.to_vec()),
        proptest::sample::select(operands.to_vec()),
    );
    pair.prop_map(|(operator, operand)| {
        let value = match operator {
            "in" | "not-in" => json!([operand, "b"]),
            _ => json!(operand),
        };
        json!({"type": "string", "operator": operator, "value": value})
    })
}

fn number_filter(most: i64) -> impl Strategy<Value = Json> {
    let operators = [
        "equals",
        "not-equals",
        "greater-than",
        "greater-than-or-equal",
        "less-than",
        "less-than-or-equal",
    ];
    (proptest::sample::select(operators.to_vec()), 0..=most).prop_map(
        |(operator, value)| json!({"type": "numeric", "operator": operator, "value": value}),
    )
}

fn list_filter() -> impl Strategy<Value = Json> {
    let operators = [
        "contains",
        "not-contains",
        "contains-substring",
        "length-equals",
        "length-greater-than",
    ];
    let element = proptest::sample::select(vec!["a", "b", "ab"]);
    (
        proptest::sample::select(operators.to_vec()),
        element,
        0..2_i64,
    )
        .prop_map(|(operator, text, length)| {
            let value = if operator.starts_with("length") {
                json!(length)
            } else {
                json!(text)
            };
            json!({"type": "list", "operator": operator, "value": value})
        })
}

fn other_filter() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(json!({"type": "existence", "operator": "is-set"})),
        Just(json!({"type": "existence", "operator": "not-set"})),
        any::<bool>()
            .prop_map(|value| json!({"type": "boolean", "operator": "equals", "value": value})),
    ]
}

fn frame() -> impl Strategy<Value = Json> {
    let operators = ["in-the-last", "at-least", "in-the-next"];
    prop_oneof![
        Just(json!({"type": "date", "operator": "alltime"})),
        (proptest::sample::select(operators.to_vec()), 1..3_i64).prop_map(
            |(operator, quantity)| {
                json!({"type": "date", "operator": operator, "unit": "day", "quantity": quantity})
            }
        ),
    ]
}

fn filter() -> impl Strategy<Value = Json> {
    prop_oneof![
        3 => text_filter(),
        2 => number_filter(2),
        2 => list_filter(),
        1 => other_filter(),
        1 => frame(),
    ]
}

fn condition() -> impl Strategy<Value = Json> {
    let metric = (
        prop_oneof![3 => Just("count"), 1 => Just("sum")],
        number_filter(2),
        frame(),
        prop_oneof![2 => Just(json!(null)), 1 => filter().prop_map(|filter| json!([{"property": "p", "filter": filter}]))],
    );
    let membership = (any::<bool>(), frame());
    prop_oneof![
        3 => filter().prop_map(|filter| property("properties['p']", filter)),
        3 => metric.prop_map(|(measurement, test, frame, filters)| json!({
            "type": "profile-metric", "metric_id": "M", "measurement": measurement,
            "measurement_filter": test, "timeframe_filter": frame, "metric_filters": filters,
        })),
        1 => membership.prop_map(|(member, frame)| {
            let frame = if member { frame } else { json!(null) };
            json!({
                "type": "profile-group-membership", "is_member": member, "group_ids": ["L"],
                "timeframe_filter": frame,
            })
        }),
    ]
}

fn small() -> impl Strategy<Value = Definition> {
    let group = proptest::collection::vec(condition(), 1..3);
    proptest::collection::vec(group, 1..3).prop_map(|groups| {
        let groups = groups
            .into_iter()
            .map(|conditions| json!({"conditions": conditions}));
        definition(groups.collect())
    })
}

fn values() -> Vec<Option<Value>> {
    let texts = ["", "a", "b", "ab", "ba", "aba", "c", "1", "true", "F"];
    let texts = texts.into_iter().map(|text| json!(text));
    let dates = (-3..4).map(|days| json!(Moment::from_secs(NOW + days * DAY - 3_600).to_string()));
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(1.5),
        json!(2),
        json!(-1),
        json!(7),
        json!([]),
        json!(["a"]),
        json!(["ab"]),
        json!(["a", "b"]),
        json!(["c", 1]),
        json!([null, "a", "a"]),
        json!({"a": 1}),
    ];
    let all = texts.chain(dates).chain(others);
    std::iter::once(None)
        .chain(all.map(|json| Some(Value::from_json_or_null(&json))))
        .collect()
}

/// Nobody, one or two events, at instants around the edges of short frames.
fn timelines() -> Vec<Vec<Deed>> {
    let instants = [-3 * DAY, -DAY, 0, DAY, 3 * DAY];
    let values = values();
    let values = values
        .iter()
        .flatten()
        .filter(|value| !matches!(value, Value::Null | Value::Object(_)));
    let plain = instants.iter().map(|at| (*at, None));
    let full = values.clone().map(|value| (-DAY, Some(value.clone())));
    let deeds: Vec<Deed> = plain
        .chain(full)
        .map(|(at, value)| Deed {
            metric: "M".into(),
            at: Moment::from_secs(NOW + at),
            properties: value
                .into_iter()
                .map(|value| ("p".to_owned(), value))
                .collect(),
        })
        .collect();
    let priced = deeds.iter().take(3).flat_map(|deed| {
        [-1, 1, 2].map(|amount| {
            let mut deed = deed.clone();
            deed.properties
                .insert("$value".to_owned(), Value::Int(amount));
            deed
        })
    });
    let all: Vec<Deed> = deeds.iter().cloned().chain(priced).collect();
    let pairs = all.iter().flat_map(|one| {
        let others = all.iter().step_by(3);
        others.map(|other| vec![one.clone(), other.clone()])
    });
    let alone = all.iter().map(|deed| vec![deed.clone()]);
    let thrice = deeds.iter().take(3).map(|deed| vec![deed.clone(); 3]);
    std::iter::once(Vec::new())
        .chain(alone)
        .chain(pairs)
        .chain(thrice)
        .collect()
}

/// People who differ in one thing at a time from each of a few: conditions on different things are
/// independent, so this is all that two definitions can tell apart by one of them.
fn people() -> Vec<Witness> {
    let lists = [
        None,
        Some(None),
        Some(Some(0)),
        Some(Some(-3)),
        Some(Some(2)),
    ];
    let lists: Vec<BTreeMap<String, Option<Moment>>> = lists
        .into_iter()
        .map(|joined| {
            let since = |at: Option<i64>| at.map(|days| Moment::from_secs(NOW + days * DAY));
            joined
                .map(|at| ("L".to_owned(), since(at)))
                .into_iter()
                .collect()
        })
        .collect();
    let (values, timelines) = (values(), timelines());
    let person = |value: &Option<Value>, events: &Vec<Deed>, lists: &BTreeMap<_, _>| Witness {
        properties: value
            .clone()
            .map(|value| ("properties['p']".to_owned(), value))
            .into_iter()
            .collect(),
        events: events.clone(),
        lists: lists.clone(),
        ..Witness::default()
    };
    let by_value = values.iter().flat_map(|value| {
        let short = timelines.iter().step_by(29);
        short
            .flat_map(|events| lists.iter().map(|on| person(value, events, on)))
            .collect::<Vec<_>>()
    });
    let by_event = timelines.iter().flat_map(|events| {
        values
            .iter()
            .step_by(5)
            .map(|value| person(value, events, &lists[0]))
            .collect::<Vec<_>>()
    });
    by_value.chain(by_event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_small_person_contradicts_what_is_proven(first in small(), second in small()) {
        let found = pair(&first, &second, NOW);
        check_pair(&first, &second, &found);
        let alone = [single(&first, NOW), single(&second, NOW)];
        check_single(&first, &alone[0]);
        check_single(&second, &alone[1]);
        for person in people() {
            let verdicts = verdicts(&person, &first, &second);
            prop_assert!(!contradicts(&verdicts, &found), "{found:?} but {person:?}");
            for (single, verdict) in alone.iter().zip(&verdicts) {
                prop_assert!(!single.empty.is_proven() || *verdict != Verdict::In, "{person:?}");
                prop_assert!(!single.always.is_proven() || *verdict == Verdict::In, "{person:?}");
            }
        }
    }
}
