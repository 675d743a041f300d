//! A definition: all of its groups must hold, and of each group one condition.

use super::condition::Condition;
use crate::model::Mentions;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What a segment is defined by. Keeps the very text it was read from.
#[derive(Clone, Debug)]
pub struct Definition {
    text: Box<RawValue>,
    groups: Option<Vec<ConditionGroup>>,
}

/// Conditions joined by "or".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConditionGroup {
    /// The conditions.
    Conditions {
        /// The conditions.
        conditions: Vec<Condition>,
    },
    /// JSON of another shape.
    Unknown(Value),
}

#[derive(Deserialize, Serialize)]
struct Shape<G> {
    condition_groups: G,
}

/// The text of a definition is no JSON; fetching the segment again is the only remedy.
#[derive(Debug, thiserror::Error)]
#[error("a segment definition is not JSON (line {}, column {})", .0.line(), .0.column())]
pub struct DefinitionError(#[source] serde_json::Error);

impl Definition {
    /// Reads a definition from JSON text. What is unknown in it is kept, not refused.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        serde_json::from_str(text).map_err(DefinitionError)
    }

    /// No definition: the API cannot express the segment.
    pub fn none() -> Self {
        Self {
            text: RawValue::NULL.to_owned(),
            groups: None,
        }
    }

    /// Whether any condition reads a fact of the whole person.
    pub fn reads_facts(&self) -> bool {
        let is_fact = |condition: &Condition| matches!(condition, Condition::DriftlessFact(_));
        self.conditions().any(is_fact)
    }

    /// A definition of these groups, in Klaviyo's spelling.
    pub fn of(groups: Vec<ConditionGroup>) -> Self {
        let shape = Shape {
            condition_groups: &groups,
        };
        let text = serde_json::value::to_raw_value(&shape);
        Self {
            text: text.expect("structs of JSON with text keys are JSON"),
            groups: Some(groups),
        }
    }

    /// The text it was read from, byte for byte.
    pub fn as_str(&self) -> &str {
        self.text.get()
    }

    /// The groups; `None` when the API cannot express the segment (`null`), or its shape is new.
    pub fn groups(&self) -> Option<&[ConditionGroup]> {
        self.groups.as_deref()
    }

    /// Every condition.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let groups = self.groups.iter().flatten();
        groups.flat_map(ConditionGroup::conditions)
    }

    /// What must be fetched to evaluate it.
    pub fn mentions(&self) -> Mentions {
        let mut mentions = Mentions::default();
        for condition in self.conditions() {
            condition.mention(&mut mentions);
        }
        mentions
    }

    /// The ids of the lists it asks about.
    pub fn lists(&self) -> BTreeSet<&str> {
        let memberships = self.conditions().filter_map(|condition| match condition {
            Condition::ProfileGroupMembership(membership) => Some(membership.group_ids.iter()),
            _ => None,
        });
        memberships.flatten().map(String::as_str).collect()
    }
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Definition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(from)?;
        let shape: Option<Shape<Vec<ConditionGroup>>> = serde_json::from_str(text.get()).ok();
        let groups = shape.map(|shape| shape.condition_groups);
        Ok(Self { text, groups })
    }
}

impl ConditionGroup {
    /// A group of these conditions.
    pub fn any(conditions: Vec<Condition>) -> Self {
        Self::Conditions { conditions }
    }

    /// Its conditions; none when the shape is unknown.
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Conditions { conditions } => conditions,
            Self::Unknown(_) => &[],
        }
    }
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
        for (name, json) in golden.as_object().unwrap() {
            let definition = read(json);
            assert_eq!(definition.as_str(), json.to_string(), "{name}");
            let Some(groups) = definition.groups() else {
                assert!(json.is_null(), "{name}");
                continue;
            };
            let spelled = Definition::of(groups.to_vec());
            let again: Value = serde_json::from_str(spelled.as_str()).unwrap();
            let expected = json
                .to_string()
                .replace("is_double_optin", "is_double_opt_in");
            assert_eq!(again.to_string(), expected, "{name}");
            let known = !name.starts_with("x_unknown_type") && name != "x_legacy_attribute";
            let unknown = |condition: &Condition| matches!(condition, Condition::Unknown(_));
            assert_eq!(definition.conditions().any(unknown), !known, "{name}");
        }
    }

    #[test]
    fn every_metric_property_and_list_of_the_golden_definitions_is_mentioned() {
        let Some(golden) = golden::json("segments/definitions.json") else {
            return;
        };
        for (name, json) in golden.as_object().unwrap() {
            let definition = read(json);
            let (mentions, lists) = (definition.mentions(), definition.lists());
            let metrics: BTreeSet<&str> = mentions.events.keys().map(MetricId::as_str).collect();
            let mut named = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            collect(json, &mut named);
            assert_eq!(metrics, named.0, "{name}");
            assert_eq!(lists, named.1, "{name}");
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
                {"property": "$extra"},
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
        let names = ["$value", "Apple Privacy Open", "machine_open"].map(str::to_owned);
        assert_eq!(read(metric), [("0pnEml".to_owned(), names.to_vec())]);
        let (order, view) = (
            ("PLcOrd".to_owned(), vec![]),
            ("VwProd".to_owned(), vec!["Name".to_owned()]),
        );
        assert_eq!(read(funnel), [order, view]);
    }

    #[test]
    fn the_inputs_that_cost_requests_are_mentioned_only_where_they_are_read() {
        let mentioned = |condition: &Value| one(condition).mentions();
        let list = |timeframe: Value| {
            mentioned(
                &json!({"type": "profile-group-membership", "is_member": true,
                "group_ids": ["LsNews"], "timeframe_filter": timeframe}),
            )
            .joined
        };
        assert!(list(Value::Null).is_empty());
        let last = json!({"type": "date", "operator": "in-the-last", "unit": "day", "quantity": 3});
        assert!(list(last).contains("LsNews"));
        let consent = |filters: Value| {
            mentioned(
                &json!({"type": "profile-marketing-consent", "consent": {"channel": "sms",
                "can_receive_marketing": true,
                "consent_status": {"subscription": "subscribed", "filters": filters}}}),
            )
        };
        assert!(!consent(Value::Null).consent_details);
        assert!(consent(json!([{"field": "method", "method": "form"}])).consent_details);
        assert_eq!(consent(Value::Null).channels.len(), 1);
        let predicted = json!({"type": "profile-predictive-analytics", "dimension": "total_clv",
            "filter": {"type": "numeric", "operator": "greater-than", "value": 1}});
        assert!(mentioned(&predicted).predictions);
        let region =
            json!({"type": "profile-region", "in_region": true, "region": "european_union"});
        assert!(!mentioned(&region).predictions);
        assert!(
            mentioned(&region)
                .attributes
                .contains("location['country']")
        );
    }

    #[test]
    fn what_is_no_json_is_an_error_without_its_text() {
        let error = Definition::parse("{\"condition_groups\": [secret").unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert_eq!(Definition::parse("null").unwrap().groups(), None);
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
            proptest::num::f64::NORMAL.prop_map(Value::from),
            kind.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 5, move |inner| {
            let fields = proptest::collection::btree_map(
                word.clone().prop_map(String::from),
                inner.clone(),
                0..5,
            );
            let object = (fields, proptest::option::of(kind.clone())).prop_map(|(fields, kind)| {
                let mut object: serde_json::Map<String, Value> = fields.into_iter().collect();
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
            let text = serde_json::to_string_pretty(&json).unwrap();
            let definition = Definition::parse(&text).unwrap();
            prop_assert_eq!(definition.as_str(), text);
            let whole = json!({"condition_groups": [{"conditions": [json], "x": 1}], "y": 1.0});
            let definition = read(&whole);
            prop_assert_eq!(definition.as_str(), whole.to_string());
            prop_assert_eq!(serde_json::to_string(&definition).unwrap(), whole.to_string());
        }
    }
}
