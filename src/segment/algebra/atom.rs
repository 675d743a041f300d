//! Conditions as the algebra sees them: yes or no, each in one dimension.

use super::consents::Facets;
use super::witness::Witness;
use crate::model::{Channel, MetricId, Profile};
use crate::segment::leaf::Leaf;
use crate::segment::{
    Condition, ConditionGroup, Definition, FactName, Facts, Inputs, Program, Span, Subject, Verdict,
};

/// The path that regions read.
pub(super) const COUNTRY: &str = "location['country']";

/// What a condition is about. What lies in different dimensions is independent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    /// A profile's property, by path; regions ask for `location['country']`.
    Property(String),
    /// The events of a metric.
    Metric(MetricId),
    /// Lists; those that one condition names together are not independent.
    Lists,
    /// Consent to e-mail.
    Email,
    /// Consent or permission on another channel.
    Channel(Channel),
    /// One of Klaviyo's predictions, by key.
    Prediction(&'static str),
    /// The ranking of channels.
    Ranking,
    /// One of our own facts.
    Fact(FactName),
    /// Events in order: its own dimension, for nothing is worked out about it.
    Funnel,
    /// What nobody here can evaluate: it holds or does not, and equal JSON means the same.
    Opaque,
}

/// One condition, or a group or definition that cannot be read.
#[derive(Debug)]
pub(super) struct Atom {
    /// Its JSON, the same for equal ones.
    pub(super) key: String,
    pub(super) condition: Option<Condition>,
    pub(super) dimension: Dimension,
    program: Option<Program>,
}

/// A definition: of each group one atom must hold, by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Formula(pub(super) Vec<Vec<usize>>);

impl Atom {
    /// Of a condition.
    pub(super) fn of(condition: &Condition) -> Self {
        let alone = vec![ConditionGroup::any(vec![condition.clone()])];
        let program = Program::compile([&Definition::of(alone)], &Inputs::default());
        let leaf = program.leaves.first();
        Self {
            key: key_of(condition),
            dimension: leaf.map_or(Dimension::Opaque, |leaf| dimension(condition, leaf)),
            condition: Some(condition.clone()),
            program: Some(program),
        }
    }

    /// Of something that cannot be read.
    pub(super) const fn unreadable(key: String) -> Self {
        Self {
            key,
            condition: None,
            dimension: Dimension::Opaque,
            program: None,
        }
    }

    /// The condition, compiled; `None` for what cannot be read.
    pub(super) fn leaf(&self) -> Option<&Leaf> {
        self.program.as_ref()?.leaves.first()
    }

    /// What it reads though it is not worked out there: events of a funnel, a channel of which it asks
    /// something unknown.
    pub(super) fn grounds(&self) -> Vec<Dimension> {
        match &self.condition {
            Some(Condition::ProfileMetricFunnel(funnel)) => {
                let steps = funnel.steps.iter();
                steps
                    .map(|step| Dimension::Metric(step.metric_id.clone()))
                    .collect()
            }
            Some(Condition::ProfileMetric(metric)) => {
                vec![Dimension::Metric(metric.metric_id.clone())]
            }
            Some(Condition::ProfileMarketingConsent(condition)) => {
                vec![on_channel(condition.consent.channel.mirrored())]
            }
            Some(Condition::ProfilePermissions(condition)) => {
                vec![Dimension::Channel(condition.channel.mirrored())]
            }
            _ => Vec::new(),
        }
    }

    /// The evaluator's own verdict on somebody; only for what does not walk the timeline.
    pub(super) fn verdict(&self, witness: &Witness, profile: &Profile, now: i64) -> Verdict {
        let Some(program) = &self.program else {
            return Verdict::Unknown;
        };
        let subject = Subject {
            profile,
            events: &[],
            lists: &witness.on_lists(program.lists()),
            facts: Some(&Facts(witness.facts.clone())),
        };
        let leaf = program.leaves.first();
        leaf.map_or(Verdict::Unknown, |leaf| {
            leaf.answer(&subject, Span::at(now))
        })
    }
}

/// The JSON of a condition, its keys in the grammar's order.
pub(super) fn key_of(part: &impl serde::Serialize) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

/// The JSON of a definition that has no groups, whatever its spelling.
pub(super) fn key_of_unreadable(definition: &Definition) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(definition.as_str()).ok();
    json.map_or_else(|| definition.as_str().to_owned(), |json| json.to_string())
}

fn dimension(condition: &Condition, leaf: &Leaf) -> Dimension {
    let is_read = || Facets::of([condition]).are_read();
    match (condition, leaf) {
        (Condition::ProfileProperty(property), Leaf::Property { .. }) => {
            Dimension::Property(property.property.clone())
        }
        (_, Leaf::Region { .. }) => Dimension::Property(COUNTRY.to_owned()),
        (Condition::ProfileMetric(metric), Leaf::Metric { .. }) => {
            Dimension::Metric(metric.metric_id.clone())
        }
        (_, Leaf::Funnel(_)) => Dimension::Funnel,
        (_, Leaf::Lists { .. }) => Dimension::Lists,
        (_, Leaf::Prediction { key, .. }) => Dimension::Prediction(key),
        (_, Leaf::Affinity { .. }) => Dimension::Ranking,
        (_, Leaf::Fact { name, .. }) => Dimension::Fact(*name),
        (Condition::ProfileMarketingConsent(condition), _) if is_read() => {
            on_channel(condition.consent.channel.mirrored())
        }
        (Condition::ProfilePermissions(condition), _) if is_read() => {
            Dimension::Channel(condition.channel.mirrored())
        }
        _ => Dimension::Opaque,
    }
}

/// E-mail, or another channel.
fn on_channel(channel: Option<Channel>) -> Dimension {
    channel.map_or(Dimension::Email, Dimension::Channel)
}
