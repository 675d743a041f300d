//! Names and texts become numbers: a timeline stores only numbers.

use super::shelf::{Shelf, tail_u32};
use super::store::Store;
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{Metric, MetricId, MetricNo, PropertyNo, TextNo, Vocabulary};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The numbers given so far. Only looked up and filled, never listed.
#[derive(Debug, Default)]
pub(super) struct Names {
    metrics: HashMap<MetricId, MetricNo>,
    properties: HashMap<String, PropertyNo>,
    texts: HashMap<String, TextNo>,
}

/// A metric under its number.
#[derive(Serialize, Deserialize)]
struct Numbered {
    metric: Metric,
    /// Whether the metric itself has arrived, or only an event that names it.
    arrived: bool,
}

impl Names {
    pub(super) fn load(store: &Store) -> Result<Self, MirrorError> {
        let mut names = Self::default();
        let vocabulary = vocabulary(store)?;
        for (no, metric) in (0..).zip(vocabulary.metrics) {
            names.metrics.insert(metric.id, MetricNo(no));
        }
        for (no, name) in (0..).zip(vocabulary.properties) {
            names.properties.insert(name, PropertyNo(no));
        }
        for (no, text) in (0..).zip(vocabulary.texts) {
            names.texts.insert(text, TextNo(no));
        }
        Ok(names)
    }

    pub(super) fn known_metric(&self, id: &MetricId) -> Option<MetricNo> {
        self.metrics.get(id).copied()
    }

    pub(super) fn absorb(&mut self, newer: Names) {
        self.metrics.extend(newer.metrics);
        self.properties.extend(newer.properties);
        self.texts.extend(newer.texts);
    }
}

fn vocabulary(store: &Store) -> Result<Vocabulary, MirrorError> {
    let metrics = dense::<Numbered>(store, Shelf::Metrics)?;
    Ok(Vocabulary {
        metrics: metrics.into_iter().map(|entry| entry.metric).collect(),
        properties: dense(store, Shelf::Properties)?,
        texts: dense(store, Shelf::Texts)?,
    })
}

/// All values of a numbered shelf; a gap would shift every later number, so it is damage.
fn dense<T: serde::de::DeserializeOwned>(
    store: &Store,
    shelf: Shelf,
) -> Result<Vec<T>, MirrorError> {
    let mut values = Vec::new();
    for pair in store.scan(&shelf.key(&[])) {
        let (key, payload) = pair?;
        if tail_u32(&key).map(|no| no as usize) != Some(values.len()) {
            return Err(codec::bad(&key));
        }
        values.push(codec::decode(&key, &payload)?);
    }
    Ok(values)
}

impl Mirror {
    /// The names behind the numbers of timelines.
    pub fn vocabulary(&self) -> Result<Vocabulary, MirrorError> {
        vocabulary(&self.store)
    }

    /// All metrics that have arrived, by id.
    pub fn metrics(&self) -> Result<Vec<Metric>, MirrorError> {
        let numbered = dense::<Numbered>(&self.store, Shelf::Metrics)?;
        let arrived = numbered.into_iter().filter(|entry| entry.arrived);
        let mut metrics: Vec<Metric> = arrived.map(|entry| entry.metric).collect();
        metrics.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(metrics)
    }
}

impl Page<'_> {
    /// Stores a metric under its number, the same one for good.
    pub fn metric(&mut self, metric: Metric) -> Result<MetricNo, MirrorError> {
        let no = self.metric_no(&metric.id)?;
        let arrived = true;
        self.put(metric_key(no), &Numbered { metric, arrived });
        Ok(no)
    }

    pub(super) fn metric_no(&mut self, id: &MetricId) -> Result<MetricNo, MirrorError> {
        let known = self.names.metrics.get(id);
        if let Some(no) = known.or_else(|| self.writer.names.metrics.get(id)) {
            return Ok(*no);
        }
        let count = self.writer.names.metrics.len() + self.names.metrics.len();
        let no = MetricNo(u16::try_from(count).map_err(|_| full("metric"))?);
        let metric = Metric {
            id: id.clone(),
            name: String::new(),
            integration: None,
        };
        let arrived = false;
        self.put(metric_key(no), &Numbered { metric, arrived });
        self.names.metrics.insert(id.clone(), no);
        Ok(no)
    }

    pub(super) fn property_no(&mut self, name: &str) -> Result<PropertyNo, MirrorError> {
        let known = self.names.properties.get(name);
        if let Some(no) = known.or_else(|| self.writer.names.properties.get(name)) {
            return Ok(*no);
        }
        let count = self.writer.names.properties.len() + self.names.properties.len();
        let no = PropertyNo(u16::try_from(count).map_err(|_| full("event property"))?);
        let key = Shelf::Properties.key(&[&u32::from(no.0).to_be_bytes()]);
        self.put(key, name);
        self.names.properties.insert(name.to_owned(), no);
        Ok(no)
    }

    pub(super) fn text_no(&mut self, text: &str) -> Result<TextNo, MirrorError> {
        let known = self.names.texts.get(text);
        if let Some(no) = known.or_else(|| self.writer.names.texts.get(text)) {
            return Ok(*no);
        }
        let count = self.writer.names.texts.len() + self.names.texts.len();
        let no = TextNo(u32::try_from(count).map_err(|_| full("text"))?);
        self.put(Shelf::Texts.key(&[&no.0.to_be_bytes()]), text);
        self.names.texts.insert(text.to_owned(), no);
        Ok(no)
    }
}

fn metric_key(no: MetricNo) -> Vec<u8> {
    Shelf::Metrics.key(&[&u32::from(no.0).to_be_bytes()])
}

fn full(what: &'static str) -> MirrorError {
    MirrorError::Exhausted { what }
}
