//! Which events count: selections by metric and property, and counters that add a time frame.

use super::assumption::Assumptions;
use super::condition::MetricFilter;
use super::mention::{NEVER_SEGMENTABLE, SYNONYMS};
use super::value::{StaticTest, Test, kept_in_event};
use super::window::Window;
use crate::model::{Atom, Event, MetricId, MetricNo, PropertyNo, Value, Vocabulary};

/// The events of one metric that pass all of its filters.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// What tells it from others: metric and filters as text.
    key: String,
    /// `None` while no event of the metric has ever been seen.
    metric: Option<MetricNo>,
    filters: Vec<EventFilter>,
}

/// A test of one property of an event.
#[derive(Clone, Debug)]
struct EventFilter {
    /// The first of these that the event has is tested (A18). Empty for what is never segmentable.
    properties: Vec<PropertyNo>,
    test: StaticTest,
}

/// The events of a selection in a time frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counter {
    pub(super) selection: usize,
    pub(super) window: Window,
}

/// All selections and counters of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Selections {
    all: Vec<Selection>,
    pub(super) counters: Vec<Counter>,
    /// By selection: its counters.
    counters_of: Vec<Vec<usize>>,
    /// By selection: whether a funnel needs the instants of its events.
    with_instants: Vec<bool>,
    /// By metric number: its selections.
    by_metric: Vec<Vec<usize>>,
}

impl Selection {
    /// Compiles metric filters; one that is unknown makes all of it unknown (A31).
    pub(super) fn compile<'f>(
        metric: &MetricId,
        filters: impl Iterator<Item = &'f MetricFilter>,
        vocabulary: &Vocabulary,
        assumptions: &Assumptions,
    ) -> Result<Self, String> {
        let mut key = metric.to_string();
        let mut compiled = Vec::new();
        for MetricFilter { property, filter } in filters {
            let Some(Some(filter)) = filter else { continue };
            key.push_str(&serde_json::to_string(&(property, filter)).unwrap_or_default());
            let Test::Static(test) = Test::compile(filter, assumptions)? else {
                return Err("event properties have no dates".to_owned());
            };
            compiled.push(EventFilter {
                properties: properties(property, vocabulary),
                test,
            });
        }
        Ok(Self {
            key,
            metric: vocabulary.metric(metric),
            filters: compiled,
        })
    }

    /// Whether every event of the metric passes.
    pub(super) fn takes_all(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether an event of the metric passes. `texts` remembers the answers for interned texts.
    pub(super) fn takes(
        &self,
        event: &Event,
        vocabulary: &Vocabulary,
        texts: &mut [TextAnswers],
    ) -> bool {
        let mut filters = self.filters.iter().zip(texts);
        filters.all(|(filter, answers)| filter.holds(event, vocabulary, answers))
    }
}

fn properties(name: &str, vocabulary: &Vocabulary) -> Vec<PropertyNo> {
    if NEVER_SEGMENTABLE.contains(&name) {
        return Vec::new();
    }
    let other = SYNONYMS
        .iter()
        .filter(|other| SYNONYMS.contains(&name) && **other != name);
    let names = std::iter::once(name).chain(other.copied());
    names.filter_map(|name| vocabulary.property(name)).collect()
}

/// For interned texts, whether a filter holds; they are asked about again and again. A text and a list
/// may share a number: the list is interned as its JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct TextAnswers {
    texts: Vec<Option<bool>>,
    lists: Vec<Option<bool>>,
}

impl EventFilter {
    fn holds(&self, event: &Event, vocabulary: &Vocabulary, answers: &mut TextAnswers) -> bool {
        let is_kept = |atom: &Atom| match atom {
            Atom::Number(number) => *number != 0.0,
            Atom::Text(no) => vocabulary.text(*no).is_some_and(|text| !text.is_empty()),
            Atom::Bool(_) | Atom::List(_) => true,
        };
        let values = self.properties.iter().filter_map(|no| event.property(*no));
        match values.into_iter().find(is_kept) {
            None => self.test.holds::<String>(None),
            Some(atom @ (Atom::Text(no) | Atom::List(no))) => {
                let index = no.0 as usize;
                let answers = match atom {
                    Atom::List(_) => &mut answers.lists,
                    _ => &mut answers.texts,
                };
                if answers.len() <= index {
                    answers.resize(vocabulary.texts.len().max(index + 1), None);
                }
                *answers[index].get_or_insert_with(|| {
                    let value = value_of(atom, vocabulary);
                    self.test.holds(kept_in_event(value.as_ref()))
                })
            }
            Some(atom) => {
                let value = value_of(atom, vocabulary);
                self.test.holds(kept_in_event(value.as_ref()))
            }
        }
    }
}

/// The value that an atom stands for.
pub(super) fn value_of(atom: Atom, vocabulary: &Vocabulary) -> Option<Value> {
    Some(match atom {
        Atom::Bool(flag) => Value::Bool(flag),
        Atom::Number(number) => Value::Float(number),
        Atom::Text(no) => Value::Text(vocabulary.text(no)?.to_owned()),
        Atom::List(no) => Value::from_json(&serde_json::from_str(vocabulary.text(no)?).ok()?)?,
    })
}

impl Selections {
    /// The number of a selection, given now if it is new.
    pub(super) fn number(&mut self, selection: Selection) -> usize {
        if let Some(known) = self.all.iter().position(|known| known.key == selection.key) {
            return known;
        }
        let number = self.all.len();
        if let Some(MetricNo(metric)) = selection.metric {
            let metric = usize::from(metric);
            let rows = self.by_metric.len().max(metric + 1);
            self.by_metric.resize(rows, Vec::new());
            self.by_metric[metric].push(number);
        }
        self.all.push(selection);
        self.counters_of.push(Vec::new());
        self.with_instants.push(false);
        number
    }

    /// The number of a counter, given now if it is new.
    pub(super) fn counter(&mut self, counter: Counter) -> usize {
        if let Some(known) = self.counters.iter().position(|known| *known == counter) {
            return known;
        }
        self.counters_of[counter.selection].push(self.counters.len());
        self.counters.push(counter);
        self.counters.len() - 1
    }

    /// Keeps the instants of a selection's events for a funnel.
    pub(super) fn keep_instants(&mut self, selection: usize) {
        self.with_instants[selection] = true;
    }

    /// The selections of a metric.
    pub(super) fn of_metric(&self, metric: usize) -> &[usize] {
        &self.by_metric[metric]
    }

    /// The metrics that selections ask about are below.
    pub(super) fn metrics(&self) -> usize {
        self.by_metric.len()
    }

    /// One selection.
    pub(super) fn get(&self, selection: usize) -> &Selection {
        &self.all[selection]
    }

    /// The counters over a selection.
    pub(super) fn counters_of(&self, selection: usize) -> &[usize] {
        &self.counters_of[selection]
    }

    /// Whether a funnel needs the instants of a selection's events.
    pub(super) fn keeps_instants(&self, selection: usize) -> bool {
        self.with_instants[selection]
    }

    /// How many selections there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Room for what filters remember, by selection.
    pub(super) fn text_answers(&self) -> Vec<Vec<TextAnswers>> {
        let room = |selection: &Selection| vec![TextAnswers::default(); selection.filters.len()];
        self.all.iter().map(room).collect()
    }
}
