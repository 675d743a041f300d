//! Which segments there are, compiled from what the mirror knows.

use crate::mirror::{Mirror, MirrorError, Stream};
use crate::model::{ListId, Metric, MetricId, SegmentId};
use crate::policy::Policy;
use crate::segment::{Definition, Inputs, Names, Program, names};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Another number has everything evaluated anew: raise it when an evaluation changes its meaning.
const EVALUATION: u32 = 1;

/// Which segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKey {
    /// One of Klaviyo's, by its id.
    Klaviyo(SegmentId),
    /// One of the config's, by its name.
    Local(String),
}

impl fmt::Display for SegmentKey {
    /// The spelling in the mirror.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Klaviyo(id) => write!(f, "klaviyo/{id}"),
            Self::Local(name) => write!(f, "local/{name}"),
        }
    }
}

/// One segment.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which.
    pub key: SegmentKey,
    /// What it is called.
    pub name: String,
    /// Its definition, names resolved to ids.
    pub definition: Definition,
    /// Names in it that the account does not know.
    pub unresolved: Vec<String>,
}

/// Segments compiled together.
#[derive(Debug)]
pub struct Shelf {
    /// In the order of the program.
    pub keys: Vec<SegmentKey>,
    /// Compiled.
    pub program: Program,
    /// Of everything that the evaluation depends on, but for the people.
    pub hash: [u8; 32],
}

/// All segments of a shop.
#[derive(Debug)]
pub struct Book {
    /// By key.
    pub entries: BTreeMap<SegmentKey, Entry>,
    metrics: Vec<Metric>,
    lists: BTreeMap<String, String>,
    lasting: Shelf,
    factual: Shelf,
}

impl Book {
    /// Reads and compiles them.
    pub fn open(mirror: &Mirror, policy: &Policy) -> Result<Self, MirrorError> {
        let metrics = mirror.metrics()?;
        let lists = mirror.lists()?;
        let mut entries = BTreeMap::new();
        for segment in mirror.segments()? {
            // Text that is no JSON cannot come from the API's own decoder; it is as good as null.
            let text = segment.definition.as_deref().unwrap_or("null");
            let definition = Definition::parse(text).unwrap_or_else(|_| Definition::none());
            let key = SegmentKey::Klaviyo(segment.id);
            let entry = Entry {
                key: key.clone(),
                name: segment.name,
                definition,
                unresolved: Vec::new(),
            };
            entries.insert(key, entry);
        }
        for local in &policy.segments {
            let resolved = names::resolve(&local.definition, &metrics, &lists);
            let key = SegmentKey::Local(local.name.clone());
            let entry = Entry {
                key: key.clone(),
                name: local.name.clone(),
                definition: resolved.definition,
                unresolved: resolved
                    .unresolved
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            };
            entries.insert(key, entry);
        }
        let incomplete = incomplete(mirror, entries.values())?;
        let inputs = Inputs {
            vocabulary: Arc::new(mirror.vocabulary()?),
            incomplete_metrics: incomplete.iter().collect(),
            assumptions: policy.assumptions.clone(),
        };
        let (factual, lasting): (Vec<&Entry>, Vec<&Entry>) = entries
            .values()
            .partition(|entry| entry.definition.reads_facts());
        Ok(Self {
            lasting: Shelf::compile(&lasting, &inputs, mirror)?,
            factual: Shelf::compile(&factual, &inputs, mirror)?,
            metrics,
            lists: lists
                .into_iter()
                .map(|list| (list.id.to_string(), list.name))
                .collect(),
            entries,
        })
    }

    /// Those whose members change only with the profile, its events, its lists, and time.
    pub fn lasting(&self) -> &Shelf {
        &self.lasting
    }

    /// Those that read facts of the whole person, Shopify's orders among them.
    pub fn factual(&self) -> &Shelf {
        &self.factual
    }

    /// The shelf a segment stands on, and its number there.
    pub fn place(&self, key: &SegmentKey) -> Option<(&Shelf, usize)> {
        [&self.lasting, &self.factual]
            .into_iter()
            .find_map(|shelf| {
                let number = shelf.keys.iter().position(|known| known == key)?;
                Some((shelf, number))
            })
    }

    /// The segment that a list or a rule means: one of the config's by its name, or Klaviyo's by id or
    /// name. None, or more than one, is nobody's meaning.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        let local = self.entries.get(&SegmentKey::Local(name.to_owned()));
        local.or_else(|| self.find(name).ok())
    }

    /// The segment that somebody means by a key, an id or a name; more than one is nobody's meaning.
    ///
    /// # Errors
    /// What to write instead.
    pub fn find(&self, text: &str) -> Result<&Entry, String> {
        let is_it = |entry: &&Entry| match &entry.key {
            SegmentKey::Klaviyo(id) if id.as_str() == text => true,
            key => key.to_string() == text,
        };
        if let Some(entry) = self.entries.values().find(is_it) {
            return Ok(entry);
        }
        let named = self.entries.values();
        let named: Vec<&Entry> = named.filter(|entry| entry.name == text).collect();
        match named.as_slice() {
            [entry] => Ok(entry),
            [] => Err(format!(
                "there is no segment `{text}`; `driftless segment list` shows all"
            )),
            several => {
                let keys: Vec<String> = several.iter().map(|entry| entry.key.to_string()).collect();
                Err(format!(
                    "`{text}` may be {}; give one of these",
                    keys.join(" or ")
                ))
            }
        }
    }
}

impl Names for Book {
    fn metric(&self, id: &MetricId) -> Option<String> {
        let metric = self.metrics.iter().find(|metric| metric.id == *id)?;
        Some(metric.name.clone())
    }

    fn list(&self, id: &str) -> Option<String> {
        self.lists.get(id).cloned()
    }
}

impl Shelf {
    fn compile(
        entries: &[&Entry],
        inputs: &Inputs<'_>,
        mirror: &Mirror,
    ) -> Result<Self, MirrorError> {
        let program = Program::compile(entries.iter().map(|entry| &entry.definition), inputs);
        let mut hash = Sha256::new();
        hash.update(EVALUATION.to_be_bytes());
        hash.update(format!("{:?}", inputs.assumptions));
        for metric in &inputs.incomplete_metrics {
            hash.update(metric.as_str());
            hash.update([0]);
        }
        for entry in entries {
            hash.update([1]);
            hash.update(entry.key.to_string());
            hash.update([0]);
            hash.update(entry.definition.as_str());
        }
        // A list whose members become known, or are forgotten, changes the answer for everybody.
        for list in program.lists() {
            let known = mirror.listed_at(&ListId::from(list.as_str()))?.is_some();
            hash.update([2, u8::from(known)]);
            hash.update(list);
        }
        Ok(Self {
            keys: entries.iter().map(|entry| entry.key.clone()).collect(),
            program,
            hash: hash.finalize().into(),
        })
    }
}

/// Metrics of which events, or properties of events, have not been read to their end.
fn incomplete<'e>(
    mirror: &Mirror,
    entries: impl Iterator<Item = &'e Entry>,
) -> Result<BTreeSet<MetricId>, MirrorError> {
    let mut mentioned: BTreeMap<MetricId, BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        for (metric, properties) in entry.definition.mentions().events {
            mentioned.entry(metric).or_default().extend(properties);
        }
    }
    // Nothing can come any more of a metric that is gone.
    let existing: BTreeSet<MetricId> = mirror
        .metrics()?
        .into_iter()
        .map(|known| known.id)
        .collect();
    let mut incomplete = BTreeSet::new();
    for (metric, wanted) in mentioned {
        if !existing.contains(&metric) {
            continue;
        }
        let stream = Stream::Events(metric.clone());
        let read = mirror
            .cursor(&stream)?
            .is_some_and(|cursor| cursor.watermark.is_some());
        let kept = mirror.mentions(&stream)?.unwrap_or_default();
        if !read || !wanted.iter().all(|name| kept.contains(name)) {
            incomplete.insert(metric);
        }
    }
    Ok(incomplete)
}
