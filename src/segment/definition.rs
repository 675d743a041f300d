//! A definition: all of its groups must hold, and of each group one condition.

use super::condition::Condition;
use crate::model::Mentions;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a segment is defined by. Goes back to the JSON it came from, unchanged.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// Groups of conditions, joined by "and".
    Groups {
        /// The groups.
        groups: Vec<ConditionGroup>,
        /// Fields beside `condition_groups`.
        rest: Map<String, Value>,
    },
    /// JSON of another shape, `null` among it: the API cannot express the segment.
    Unknown(Value),
}

/// Conditions joined by "or".
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionGroup {
    /// The conditions.
    Conditions {
        /// The conditions.
        conditions: Vec<Condition>,
        /// Fields beside `conditions`.
        rest: Map<String, Value>,
    },
    /// JSON of another shape.
    Unknown(Value),
}

/// The text of a definition is no JSON; fetching the segment again is the only remedy.
#[derive(Debug, thiserror::Error)]
#[error("a segment definition is not JSON (line {}, column {})", .0.line(), .0.column())]
pub struct DefinitionError(#[source] serde_json::Error);

impl Definition {
    /// Reads a definition from JSON text. What is unknown in it is kept, not refused.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let json = serde_json::from_str(text).map_err(DefinitionError)?;
        Ok(Self::from_json(json))
    }

    fn from_json(json: Value) -> Self {
        match array_of(json, "condition_groups") {
            Ok((groups, rest)) => Self::Groups {
                groups: groups.into_iter().map(ConditionGroup::from_json).collect(),
                rest,
            },
            Err(other) => Self::Unknown(other),
        }
    }

    /// The JSON it was read from.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Groups { groups, rest } => {
                let groups = groups.iter().map(ConditionGroup::to_json).collect();
                with_array(rest, "condition_groups", groups)
            }
            Self::Unknown(json) => json.clone(),
        }
    }

    /// Every condition.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let groups: &[ConditionGroup] = match self {
            Self::Groups { groups, .. } => groups,
            Self::Unknown(_) => &[],
        };
        groups.iter().flat_map(|group| match group {
            ConditionGroup::Conditions { conditions, .. } => conditions.as_slice(),
            ConditionGroup::Unknown(_) => &[],
        })
    }

    /// What must be fetched to evaluate it: metrics with the event properties that are filtered by,
    /// and custom profile properties.
    pub fn mentions(&self) -> Mentions {
        let mut mentions = Mentions::default();
        for condition in self.conditions() {
            condition.mention(&mut mentions);
        }
        mentions
    }

    /// The ids of the lists and segments it asks about.
    pub fn groups(&self) -> BTreeSet<&str> {
        let memberships = self.conditions().filter_map(|condition| match condition {
            Condition::GroupMembership(membership) => Some(membership.group_ids.iter()),
            _ => None,
        });
        memberships.flatten().map(String::as_str).collect()
    }
}

impl ConditionGroup {
    fn from_json(json: Value) -> Self {
        match array_of(json, "conditions") {
            Ok((conditions, rest)) => Self::Conditions {
                conditions: conditions.into_iter().map(Condition::from_json).collect(),
                rest,
            },
            Err(other) => Self::Unknown(other),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Conditions { conditions, rest } => {
                let conditions = conditions.iter().map(Condition::to_json).collect();
                with_array(rest, "conditions", conditions)
            }
            Self::Unknown(json) => json.clone(),
        }
    }
}

/// Takes an object apart at its field that must be an array; gives anything else back whole.
fn array_of(json: Value, field: &str) -> Result<(Vec<Value>, Map<String, Value>), Value> {
    let Value::Object(mut rest) = json else {
        return Err(json);
    };
    match rest.remove(field) {
        Some(Value::Array(items)) => Ok((items, rest)),
        Some(other) => {
            rest.insert(field.to_owned(), other);
            Err(Value::Object(rest))
        }
        None => Err(Value::Object(rest)),
    }
}

fn with_array(rest: &Map<String, Value>, field: &str, items: Vec<Value>) -> Value {
    let mut object = rest.clone();
    object.insert(field.to_owned(), Value::Array(items));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::model::MetricId;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(json: &Value) -> Definition {
        Definition::parse(&json.to_string()).unwrap()
    }

    fn one(condition: &Value) -> Definition {
        read(&json!({"condition_groups": [{"conditions": [condition]}]}))
    }

    #[test]
    fn every_golden_definition_goes_back_to_its_json() {
        let Some(golden) = golden::json("segments/definitions.json") else {
            return;
        };
        let known = [
            "profile-group-membership",
            "profile-marketing-consent",
            "profile-metric",
            "profile-metric-funnel",
            "profile-property",
        ];
        for (name, json) in golden.as_object().unwrap() {
            let definition = read(json);
            assert_eq!(definition.to_json(), *json, "{name}");
            for condition in definition.conditions() {
                let json = condition.to_json();
                let typed = !matches!(condition, Condition::Unknown(_));
                let expected = known.contains(&json["type"].as_str().unwrap_or_default());
                assert_eq!(typed, expected, "{name}: {json}");
            }
        }
    }

    #[test]
    fn every_metric_property_and_list_of_the_golden_definitions_is_mentioned() {
        let Some(golden) = golden::json("segments/definitions.json") else {
            return;
        };
        for (name, json) in golden.as_object().unwrap() {
            let definition = read(json);
            let (mentions, groups) = (definition.mentions(), definition.groups());
            let metrics: BTreeSet<&str> = mentions.events.keys().map(MetricId::as_str).collect();
            let mut named = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            collect(json, &mut named);
            assert_eq!(metrics, named.0, "{name}");
            assert_eq!(groups, named.1, "{name}");
            let profile: BTreeSet<&str> = mentions.profile.iter().map(String::as_str).collect();
            assert_eq!(profile, named.2, "{name}");
        }
    }

    /// Metric ids, group ids and custom properties, found by their keys anywhere in the JSON.
    fn collect<'a>(
        json: &'a Value,
        named: &mut (BTreeSet<&'a str>, BTreeSet<&'a str>, BTreeSet<&'a str>),
    ) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| collect(item, named)),
            Value::Object(object) => {
                named
                    .0
                    .extend(object.get("metric_id").and_then(Value::as_str));
                let groups = object.get("group_ids").and_then(Value::as_array);
                named
                    .1
                    .extend(groups.into_iter().flatten().filter_map(Value::as_str));
                let path = object
                    .get("property")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let custom = path
                    .strip_prefix("properties['")
                    .and_then(|name| name.strip_suffix("']"));
                named.2.extend(custom.filter(|name| !name.is_empty()));
                object.values().for_each(|value| collect(value, named));
            }
            _ => {}
        }
    }

    #[test]
    fn filters_mention_what_they_read() {
        let metric = one(&json!({
            "type": "profile-metric", "metric_id": "0pnEml", "measurement": "count",
            "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": 0},
            "timeframe_filter": {"type": "date", "operator": "alltime"},
            "metric_filters": [
                {"property": "machine_open", "filter": null},
                {"property": "$value", "filter": {"type": "numeric", "operator": "equals", "value": 3}},
            ],
        }));
        let funnel = one(&json!({
            "type": "profile-metric-funnel", "timeframe_filter": {},
            "steps": [
                {"metric_exists": true, "metric_id": "VwProd", "metric_filters": [{"property": "Name"}]},
                {"metric_exists": false, "metric_id": "PLcOrd", "metric_filters": null},
            ],
        }));
        let read = |definition: Definition| -> Vec<(String, Vec<String>)> {
            let events = definition.mentions().events.into_iter();
            let named = events.map(|(id, names)| (id.to_string(), names.into_iter().collect()));
            named.collect()
        };
        let both = vec!["Apple Privacy Open".to_owned(), "machine_open".to_owned()];
        assert_eq!(read(metric), [("0pnEml".to_owned(), both)]);
        let (order, view) = (
            ("PLcOrd".to_owned(), vec![]),
            ("VwProd".to_owned(), vec!["Name".to_owned()]),
        );
        assert_eq!(read(funnel), [order, view]);
    }

    #[test]
    fn only_custom_properties_of_a_profile_are_mentioned() {
        let mentioned = |path: &str| {
            let condition = json!({"type": "profile-property", "property": path, "filter": {}});
            one(&condition).mentions().profile.into_iter().next()
        };
        assert_eq!(
            mentioned("properties['it's ['odd']']").as_deref(),
            Some("it's ['odd']")
        );
        assert_eq!(mentioned("properties['']"), None);
        assert_eq!(mentioned("location['country']"), None);
        assert_eq!(mentioned("email"), None);
    }

    #[test]
    fn what_is_no_json_is_an_error_without_its_text() {
        let error = Definition::parse("{\"condition_groups\": [secret").unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert_eq!(
            Definition::parse("null").unwrap(),
            Definition::Unknown(Value::Null)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("type"),
            Just("metric_id"),
            Just("metric_filters"),
            Just("property"),
            Just("filter"),
            Just("group_ids"),
            Just("is_member"),
            Just("steps"),
            Just("consent"),
            Just("conditions"),
            Just("condition_groups"),
            Just("channel"),
            Just("other"),
        ];
        let kind = prop_oneof![
            Just("profile-metric"),
            Just("profile-metric-funnel"),
            Just("profile-property"),
            Just("profile-group-membership"),
            Just("profile-marketing-consent"),
            Just("x"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Text to float is exact for these; serde_json's fast reader rounds others.
            any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            kind.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 5, move |inner| {
            let fields = proptest::collection::btree_map(
                word.clone().prop_map(String::from),
                inner.clone(),
                0..5,
            );
            let object = (fields, proptest::option::of(kind.clone())).prop_map(|(fields, kind)| {
                let mut object: Map<String, Value> = fields.into_iter().collect();
                if let Some(kind) = kind {
                    object.insert("type".to_owned(), kind.into());
                }
                Value::Object(object)
            });
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                object
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_goes_back_to_itself(json in any_json()) {
            prop_assert_eq!(read(&json).to_json(), json.clone());
            let condition = json!({"condition_groups": [{"conditions": [json], "x": 1}], "y": 1.0});
            prop_assert_eq!(read(&condition).to_json(), condition);
        }
    }
}
