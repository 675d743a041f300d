//! Definitions, compiled together: equal conditions share one leaf, equal selections of events one
//! walk, so that a timeline is read once for all segments.

use super::assumption::Assumptions;
use super::condition::{
    Affinity, AffinityMeasure, Condition, MetricFilter, MetricFunnel, Predictive, ProfileMetric,
};
use super::consent_test::{ConsentTest, PermissionTest};
use super::definition::{ConditionGroup, Definition};
use super::filter::{Filter, NumericFilter};
use super::funnel::Funnel;
use super::leaf::{Leaf, Place, metres, only_klaviyo_knows};
use super::number::NumberTest;
use super::path::Path;
use super::presence::Nullable;
use super::sample::Buckets;
use super::selection::{Counter, Selection, Selections};
use super::value::{Test, not_a_date, number};
use super::window::Window;
use crate::model::{MetricId, Vocabulary};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a program is compiled with, beside the definitions.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// The names behind the numbers in timelines.
    pub vocabulary: Arc<Vocabulary>,
    /// Metrics whose events are not all here: conditions on them are unknown.
    pub incomplete_metrics: BTreeSet<&'a MetricId>,
    /// What Klaviyo does not document.
    pub assumptions: Assumptions,
}

/// Any number of definitions, compiled.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) segments: Vec<Compiled>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) selections: Selections,
    pub(super) vocabulary: Arc<Vocabulary>,
    lists: Vec<String>,
}

/// One definition: groups of leaves, or nothing that can be evaluated.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    /// All groups must hold, of each one leaf. A group that nothing here reads is empty.
    pub(super) groups: Vec<Vec<usize>>,
}

/// Fills a program.
struct Compiler<'a> {
    inputs: &'a Inputs<'a>,
    leaves: Vec<Leaf>,
    /// By the text of the condition.
    known: HashMap<String, usize>,
    selections: Selections,
    lists: Vec<String>,
}

/// Why a condition cannot be evaluated.
type Why = String;

impl Program {
    /// Compiles definitions; the order stays.
    pub fn compile<'d>(
        definitions: impl IntoIterator<Item = &'d Definition>,
        inputs: &Inputs<'_>,
    ) -> Self {
        let mut compiler = Compiler {
            inputs,
            leaves: Vec::new(),
            known: HashMap::new(),
            selections: Selections::default(),
            lists: Vec::new(),
        };
        let definitions = definitions.into_iter();
        let segments = definitions
            .map(|definition| compiler.segment(definition))
            .collect();
        Self {
            segments,
            leaves: compiler.leaves,
            selections: compiler.selections,
            vocabulary: Arc::clone(&inputs.vocabulary),
            lists: compiler.lists,
        }
    }

    /// How many definitions it was compiled from.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether it was compiled from none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The ids of the lists that conditions ask about; [`super::Subject::lists`] answers in this order.
    pub fn lists(&self) -> &[String] {
        &self.lists
    }

    /// Whether any condition reads a fact of the person.
    pub fn reads_facts(&self) -> bool {
        self.leaves
            .iter()
            .any(|leaf| matches!(leaf, Leaf::Fact { .. }))
    }

    /// Why parts of a definition cannot be evaluated; empty when all of it can.
    pub fn unknowns(&self, segment: usize) -> BTreeSet<&str> {
        let groups = self
            .segments
            .get(segment)
            .map(|known| known.groups.as_slice());
        let groups = groups.unwrap_or_default();
        let mut reasons: BTreeSet<&str> = groups
            .iter()
            .flatten()
            .filter_map(|leaf| match &self.leaves[*leaf] {
                Leaf::Unknown(why) => Some(why.as_str()),
                _ => None,
            })
            .collect();
        if groups.is_empty() || groups.iter().any(Vec::is_empty) {
            reasons.insert("the definition, or a group of it, is empty or cannot be read");
        }
        reasons
    }
}

impl Compiler<'_> {
    fn segment(&mut self, definition: &Definition) -> Compiled {
        let groups = definition.groups().unwrap_or_default();
        let one = |group: &ConditionGroup| {
            let conditions = group.conditions().iter();
            conditions.map(|condition| self.leaf(condition)).collect()
        };
        Compiled {
            groups: groups.iter().map(one).collect(),
        }
    }

    /// The number of a condition's leaf.
    fn leaf(&mut self, condition: &Condition) -> usize {
        let text = serde_json::to_string(condition).unwrap_or_default();
        if let Some(known) = self.known.get(&text) {
            return *known;
        }
        let leaf = self.compiled(condition).unwrap_or_else(Leaf::Unknown);
        self.leaves.push(leaf);
        self.known.insert(text, self.leaves.len() - 1);
        self.leaves.len() - 1
    }

    fn compiled(&mut self, condition: &Condition) -> Result<Leaf, Why> {
        let assumptions = &self.inputs.assumptions;
        let test = |filter: &Filter| Test::compile(filter, assumptions);
        if let Some(why) = only_klaviyo_knows(condition) {
            return Err(why.to_owned());
        }
        Ok(match condition {
            Condition::ProfileMetric(metric) => self.metric(metric)?,
            Condition::ProfileMetricFunnel(funnel) => self.funnel(funnel)?,
            Condition::ProfileProperty(property) => Leaf::Property {
                place: match Path::parse(&property.property) {
                    Some(Path::Attribute(path)) => Place::Attribute(path.to_owned()),
                    Some(Path::Custom(name)) => Place::Custom(name.to_owned()),
                    None => return Err("the property's path is not known".to_owned()),
                },
                test: test(&property.filter)?,
            },
            Condition::ProfileGroupMembership(membership) => {
                if membership.group_ids.is_empty() {
                    return Err("no list is named".to_owned());
                }
                let joined = membership.timeframe_filter.iter().flatten();
                let joined = joined
                    .map(|filter| self.window(filter))
                    .next()
                    .transpose()?;
                let lists = membership.group_ids.iter();
                Leaf::Lists {
                    lists: lists.map(|id| self.list(id)).collect(),
                    member: membership.is_member,
                    joined,
                }
            }
            Condition::ProfileMarketingConsent(condition) => {
                Leaf::Consent(ConsentTest::compile(&condition.consent, assumptions))
            }
            Condition::ProfilePermissions(condition) => {
                Leaf::Permission(PermissionTest::compile(condition, assumptions))
            }
            Condition::ProfileRegion(region) => Leaf::Region {
                name: region.region,
                inside: region.in_region,
                without_country: assumptions.no_country_is_outside && !region.in_region,
            },
            Condition::ProfilePredictiveAnalytics(predictive) => match predictive {
                Predictive::Number { dimension, filter } => Leaf::Prediction {
                    key: dimension.key(),
                    test: test(filter)?,
                },
                Predictive::NextPurchase { filter, .. } => Leaf::Prediction {
                    key: "expected_date_of_next_order",
                    test: test(filter)?,
                },
                Predictive::Affinity(affinity) => affinity_place(affinity)?,
                Predictive::Gender { .. } => {
                    return Err("the predicted gender cannot be read through the API".to_owned());
                }
            },
            Condition::DriftlessFact(fact) => Leaf::Fact {
                name: fact.fact,
                test: test(&fact.filter)?,
            },
            Condition::DriftlessRadius(radius) => Leaf::Radius {
                latitude: radius.latitude,
                longitude: radius.longitude,
                metres_to_a_unit: metres(radius.unit),
                test: numeric(&radius.filter)?,
            },
            Condition::DriftlessSample(sample) => Buckets::compile(sample)
                .map(Leaf::Sample)
                .ok_or_else(|| "the buckets lie outside 0 to 10,000".to_owned())?,
            Condition::Unknown(json) => {
                let kind = json.get("type").and_then(serde_json::Value::as_str);
                let kind = kind.unwrap_or("without a type");
                return Err(format!(
                    "the condition `{kind}` is not known, or names or holds something that is not"
                ));
            }
            Condition::ProfilePostalCodeDistance(_) | Condition::ProfileHasCustomObject(_) => {
                unreachable!("refused above")
            }
        })
    }

    fn metric(&mut self, metric: &ProfileMetric) -> Result<Leaf, Why> {
        let test = numeric(&metric.measurement_filter)?;
        let window = self.window(&metric.timeframe_filter)?;
        let selection = self.selection(&metric.metric_id, &metric.metric_filters)?;
        let counter = self.selections.counter(Counter { selection, window });
        Ok(Leaf::Metric {
            counter,
            measurement: metric.measurement,
            test,
        })
    }

    fn funnel(&mut self, funnel: &MetricFunnel) -> Result<Leaf, Why> {
        if funnel.steps.is_empty() {
            return Err("the funnel has no step".to_owned());
        }
        let timeframe = self.window(&funnel.timeframe_filter)?;
        let completion = funnel.completion_window_seconds.flatten();
        let steps = funnel.steps.iter().map(|step| {
            let selection = self.selection(&step.metric_id, &step.metric_filters)?;
            self.selections.keep_instants(selection);
            Ok((step.metric_exists, selection))
        });
        Ok(Leaf::Funnel(Funnel {
            steps: steps.collect::<Result<_, Why>>()?,
            timeframe,
            completion: completion.map(super::condition::CompletionWindow::secs),
        }))
    }

    fn selection(
        &mut self,
        metric: &MetricId,
        filters: &Nullable<Vec<MetricFilter>>,
    ) -> Result<usize, Why> {
        if self.inputs.incomplete_metrics.contains(metric) {
            return Err("the metric's events have not been read to their end yet".to_owned());
        }
        let filters = filters.iter().flatten().flatten();
        let vocabulary = &self.inputs.vocabulary;
        let selection = Selection::compile(metric, filters, vocabulary, &self.inputs.assumptions)?;
        Ok(self.selections.number(selection))
    }

    fn window(&self, filter: &Filter) -> Result<Window, Why> {
        let Filter::Date(date) = filter else {
            return Err("the time frame is not one".to_owned());
        };
        Window::compile(date, &self.inputs.assumptions).ok_or_else(|| not_a_date(date))
    }

    fn list(&mut self, id: &str) -> usize {
        if let Some(known) = self.lists.iter().position(|list| list == id) {
            return known;
        }
        self.lists.push(id.to_owned());
        self.lists.len() - 1
    }
}

fn numeric(filter: &Filter) -> Result<NumberTest, Why> {
    match filter {
        Filter::Numeric(filter) => number(filter),
        _ => Err("the measure is not compared with a number".to_owned()),
    }
}

fn affinity_place(affinity: &Affinity) -> Result<Leaf, Why> {
    match (affinity.measurement, &affinity.filter) {
        (AffinityMeasure::Priority, Filter::Numeric(NumericFilter::Equals(operand))) => {
            let place = operand.value.as_i64();
            Ok(Leaf::Affinity {
                channel: affinity.predicted_channel.clone(),
                place: place.ok_or("the place in the ranking is not a whole number")?,
            })
        }
        (AffinityMeasure::Priority, _) => Err("the place in the ranking has no number".to_owned()),
        (AffinityMeasure::Rank, _) => {
            Err("the rank of a channel cannot be read through the API".to_owned())
        }
    }
}
