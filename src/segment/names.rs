//! Local definitions may name metrics and lists; an account knows them by ids.

use super::condition::Condition;
use super::definition::{ConditionGroup, Definition};
use crate::model::{List, Metric, MetricId, Segment};
use serde_json::Value;
use std::fmt;

/// A definition with ids in the place of names.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Conditions that name something unresolved are unknown for everybody in it; their JSON stays
    /// as it was.
    pub definition: Definition,
    /// What the account does not have, or has more than once. To be reported: the segment cannot
    /// be relied on.
    pub unresolved: Vec<Unresolved>,
}

/// A name that stands for nothing in the account, or for several things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    /// What it should have named.
    pub noun: Noun,
    /// As the definition or the rule spells it.
    pub name: String,
    /// What it might mean, as it should be spelled instead; none when nothing has the name.
    pub candidates: Vec<String>,
}

/// What can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noun {
    /// By name, by name and integration (`Placed Order (Shopify)`), or by id.
    Metric,
    /// By name or id.
    List,
    /// By name or id.
    Segment,
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metric => "metric",
            Self::List => "list",
            Self::Segment => "segment",
        })
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            noun,
            name,
            candidates,
        } = self;
        if candidates.is_empty() {
            return write!(f, "the account has no {noun} `{name}`");
        }
        let several = candidates.len();
        write!(
            f,
            "the account has {several} {noun}s `{name}`; write one of "
        )?;
        for (index, candidate) in candidates.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}`{candidate}`")?;
        }
        Ok(())
    }
}

/// Puts the account's ids in the place of names. An id wins over a name.
pub fn resolve(definition: &Definition, metrics: &[Metric], lists: &[List]) -> Resolved {
    let mut unresolved = Vec::new();
    let mut changed = false;
    let Some(groups) = definition.groups() else {
        let definition = definition.clone();
        return Resolved {
            definition,
            unresolved,
        };
    };
    let mut group_of = |group: &ConditionGroup| match group {
        ConditionGroup::Unknown(_) => group.clone(),
        ConditionGroup::Conditions { conditions } => {
            let conditions = conditions.iter().map(|condition| {
                let mut named = condition.clone();
                match ids(&mut named, metrics, lists) {
                    Ok(()) => {
                        changed |= named != *condition;
                        named
                    }
                    Err(missing) => {
                        changed = true;
                        unresolved.extend(missing);
                        unknown(condition)
                    }
                }
            });
            ConditionGroup::any(conditions.collect())
        }
    };
    let groups: Vec<ConditionGroup> = groups.iter().map(&mut group_of).collect();
    unresolved.sort();
    unresolved.dedup();
    let definition = match changed {
        true => Definition::of(groups),
        false => definition.clone(),
    };
    Resolved {
        definition,
        unresolved,
    }
}

/// The segment of the account that a rule names, by id or by its exact name.
///
/// # Errors
/// None has the name, or several have.
pub fn segment<'s>(name: &str, segments: &'s [Segment]) -> Result<&'s Segment, Unresolved> {
    let entry = |segment: &'s Segment| Named {
        item: segment,
        id: segment.id.as_str(),
        name: &segment.name,
        full_name: None,
    };
    pick(Noun::Segment, name, segments.iter().map(entry))
}

/// The same JSON, understood by nobody.
fn unknown(condition: &Condition) -> Condition {
    Condition::Unknown(serde_json::to_value(condition).unwrap_or(Value::Null))
}

fn ids(
    condition: &mut Condition,
    metrics: &[Metric],
    lists: &[List],
) -> Result<(), Vec<Unresolved>> {
    let mut missing = Vec::new();
    let mut metric_id = |id: &mut MetricId| match metric(id.as_str(), metrics) {
        Ok(metric) => *id = metric.id.clone(),
        Err(unresolved) => missing.push(unresolved),
    };
    match condition {
        Condition::ProfileMetric(metric) => metric_id(&mut metric.metric_id),
        Condition::ProfileMetricFunnel(funnel) => {
            let steps = funnel.steps.iter_mut();
            steps.for_each(|step| metric_id(&mut step.metric_id));
        }
        Condition::ProfileGroupMembership(membership) => {
            for id in &mut membership.group_ids {
                match list(id, lists) {
                    Ok(list) => *id = list.id.to_string(),
                    Err(unresolved) => missing.push(unresolved),
                }
            }
        }
        Condition::ProfileProperty(_)
        | Condition::ProfileMarketingConsent(_)
        | Condition::ProfilePermissions(_)
        | Condition::ProfileRegion(_)
        | Condition::ProfilePredictiveAnalytics(_)
        | Condition::ProfilePostalCodeDistance(_)
        | Condition::ProfileHasCustomObject(_)
        | Condition::DriftlessRadius(_)
        | Condition::DriftlessFact(_)
        | Condition::DriftlessSample(_)
        | Condition::Unknown(_) => {}
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}

fn metric<'m>(name: &str, metrics: &'m [Metric]) -> Result<&'m Metric, Unresolved> {
    let entry = |metric: &'m Metric| Named {
        item: metric,
        id: metric.id.as_str(),
        name: &metric.name,
        full_name: metric
            .integration
            .as_ref()
            .map(|integration| format!("{} ({integration})", metric.name)),
    };
    pick(Noun::Metric, name, metrics.iter().map(entry))
}

fn list<'l>(name: &str, lists: &'l [List]) -> Result<&'l List, Unresolved> {
    let entry = |list: &'l List| Named {
        item: list,
        id: list.id.as_str(),
        name: &list.name,
        full_name: None,
    };
    pick(Noun::List, name, lists.iter().map(entry))
}

/// Something of the account, with everything it can be called.
#[derive(Clone)]
struct Named<'a, T> {
    item: &'a T,
    id: &'a str,
    name: &'a str,
    full_name: Option<String>,
}

impl<T> Named<'_, T> {
    /// A spelling that means this one alone: its full name, or its id where another has that too.
    fn spelling(&self, others: &[Self]) -> String {
        let shared = others
            .iter()
            .filter(|other| other.full_name == self.full_name);
        match &self.full_name {
            Some(full_name) if shared.count() == 1 => full_name.clone(),
            _ => self.id.to_owned(),
        }
    }
}

fn pick<'a, T>(
    noun: Noun,
    name: &str,
    entries: impl Iterator<Item = Named<'a, T>> + Clone,
) -> Result<&'a T, Unresolved> {
    if let Some(found) = entries.clone().find(|entry| entry.id == name) {
        return Ok(found.item);
    }
    let called = |entry: &Named<'a, T>| entry.name == name;
    let mut found: Vec<Named<'a, T>> = entries.clone().filter(called).collect();
    if found.is_empty() {
        let in_full = |entry: &Named<'a, T>| entry.full_name.as_deref() == Some(name);
        found = entries.filter(in_full).collect();
    }
    match found.as_slice() {
        [one] => Ok(one.item),
        several => {
            let mut candidates: Vec<String> = several
                .iter()
                .map(|entry| entry.spelling(several))
                .collect();
            candidates.sort();
            Err(Unresolved {
                noun,
                name: name.to_owned(),
                candidates,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ListId, SegmentId};
    use serde_json::json;

    fn metrics() -> Vec<Metric> {
        let of = |id: &str, name: &str, integration: Option<&str>| Metric {
            id: id.into(),
            name: name.to_owned(),
            integration: integration.map(str::to_owned),
        };
        vec![
            of("PLcOrd", "Placed Order", Some("Shopify")),
            of("PLcWoo", "Placed Order", Some("WooCommerce")),
            of("VwProd", "Viewed Product", Some("API")),
            of("OddOne", "VwProd", None),
            of("TwiceA", "Custom", Some("API")),
            of("TwiceB", "Custom", Some("API")),
        ]
    }

    fn lists() -> Vec<List> {
        let of = |id: &str, name: &str| List {
            id: ListId::from(id),
            name: name.to_owned(),
            updated: None,
        };
        vec![
            of("LsNews", "Newsletter"),
            of("LsOldA", "Old"),
            of("LsOldB", "Old"),
        ]
    }

    fn count(metric: &str) -> Value {
        json!({"type": "profile-metric", "metric_id": metric, "measurement": "count",
            "measurement_filter": {"type": "numeric", "operator": "equals", "value": 0},
            "timeframe_filter": {"type": "date", "operator": "alltime"}})
    }

    fn of(conditions: &[Value]) -> Definition {
        let json = json!({"condition_groups": [{"conditions": conditions}]});
        Definition::parse(&json.to_string()).unwrap()
    }

    fn resolved(conditions: &[Value]) -> Resolved {
        resolve(&of(conditions), &metrics(), &lists())
    }

    fn said(resolved: &Resolved) -> Vec<String> {
        let unresolved = resolved.unresolved.iter();
        unresolved.map(Unresolved::to_string).collect()
    }

    #[test]
    fn a_name_becomes_its_id_wherever_it_stands() {
        let funnel = |view: &str, order: &str| {
            json!({"type": "profile-metric-funnel",
                "timeframe_filter": {"type": "date", "operator": "in-the-last", "unit": "day", "quantity": 3},
                "steps": [{"metric_exists": true, "metric_id": view},
                    {"metric_exists": false, "metric_id": order}]})
        };
        let list = |id: &str| json!({"type": "profile-group-membership", "is_member": true, "group_ids": [id]});
        let found = resolved(&[
            count("Placed Order (Shopify)"),
            funnel("Viewed Product", "PLcWoo"),
            list("Newsletter"),
        ]);
        assert_eq!(found.unresolved, []);
        let wanted = of(&[count("PLcOrd"), funnel("VwProd", "PLcWoo"), list("LsNews")]);
        assert_eq!(found.definition.groups(), wanted.groups());
    }

    #[test]
    fn an_id_wins_over_a_name_and_leaves_the_text_alone() {
        let found = resolved(&[count("VwProd")]);
        assert_eq!(found.definition, of(&[count("VwProd")]));
        assert_eq!(found.unresolved, []);
    }

    #[test]
    fn what_cannot_be_resolved_stays_and_is_unknown() {
        let found = resolved(&[count("Placed Ordr"), count("Viewed Product")]);
        assert_eq!(said(&found), ["the account has no metric `Placed Ordr`"]);
        let conditions: Vec<&Condition> = found.definition.conditions().collect();
        // "Zero times" of a metric that does not exist must not hold for everybody.
        assert!(matches!(
            conditions.as_slice(),
            [Condition::Unknown(_), Condition::ProfileMetric(_)]
        ));
        assert!(found.definition.as_str().contains("Placed Ordr"));
        assert!(
            !found
                .definition
                .mentions()
                .events
                .contains_key(&"Placed Ordr".into())
        );
    }

    #[test]
    fn an_ambiguous_name_lists_what_it_may_mean() {
        let found = resolved(&[
            count("Placed Order"),
            count("Placed Order"),
            count("Custom"),
            json!({"type": "profile-group-membership", "is_member": false, "group_ids": ["Old", "LsNews"]}),
        ]);
        let wanted = [
            "the account has 2 metrics `Custom`; write one of `TwiceA`, `TwiceB`",
            "the account has 2 metrics `Placed Order`; write one of `Placed Order (Shopify)`, \
             `Placed Order (WooCommerce)`",
            "the account has 2 lists `Old`; write one of `LsOldA`, `LsOldB`",
        ];
        assert_eq!(said(&found), wanted);
        let unknown = |condition: &Condition| matches!(condition, Condition::Unknown(_));
        assert!(found.definition.conditions().all(unknown));
    }

    #[test]
    fn a_definition_that_nothing_reads_is_left_alone() {
        let odd = Definition::parse("null").unwrap();
        let found = resolve(&odd, &metrics(), &lists());
        assert_eq!((found.definition, found.unresolved), (odd, vec![]));
    }

    #[test]
    fn a_segment_is_found_by_id_or_by_a_name_that_only_it_has() {
        let of = |id: &str, name: &str| Segment {
            id: SegmentId::from(id),
            name: name.to_owned(),
            definition: None,
            is_active: true,
            is_processing: false,
            updated: None,
        };
        let all = [
            of("SgVip1", "VIP"),
            of("SgTwo1", "Two"),
            of("SgTwo2", "Two"),
        ];
        let found = |name| segment(name, &all).map(|segment| segment.id.as_str());
        assert_eq!(found("VIP"), Ok("SgVip1"));
        assert_eq!(found("SgTwo2"), Ok("SgTwo2"));
        let said = |name| found(name).unwrap_err().to_string();
        assert_eq!(said("vip"), "the account has no segment `vip`");
        assert_eq!(
            said("Two"),
            "the account has 2 segments `Two`; write one of `SgTwo1`, `SgTwo2`"
        );
    }
}
