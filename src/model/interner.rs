//! Gives numbers to names and texts of events that are not in the mirror.

use super::{
    Atom, Event, IncomingEvent, IncomingValue, Metric, MetricId, MetricNo, PropertyNo, TextNo,
    Vocabulary,
};
use std::collections::HashMap;

/// A vocabulary that grows.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    vocabulary: Vocabulary,
    texts: HashMap<String, TextNo>,
}

impl Interner {
    /// Goes on from a vocabulary.
    pub fn new(vocabulary: Vocabulary) -> Self {
        let texts = (0..).map(TextNo);
        Self {
            texts: vocabulary.texts.iter().cloned().zip(texts).collect(),
            vocabulary,
        }
    }

    /// The names behind the numbers given so far.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// All names, once no more come.
    pub fn into_vocabulary(self) -> Vocabulary {
        self.vocabulary
    }

    /// An event in numbers. `id` is what tells it from others of its kind and second.
    pub fn event(&mut self, metric: &MetricId, id: u32, event: &IncomingEvent) -> Event {
        let mut properties: Vec<(PropertyNo, Atom)> = Vec::with_capacity(event.properties.len());
        for (name, value) in &event.properties {
            let atom = match value {
                IncomingValue::Bool(flag) => Atom::Bool(*flag),
                IncomingValue::Number(number) => Atom::Number(*number),
                IncomingValue::Text(text) => Atom::Text(self.text(text)),
                IncomingValue::List(json) => Atom::List(self.text(json)),
            };
            properties.push((self.property(name), atom));
        }
        properties.sort_by_key(|(no, _)| *no);
        properties.dedup_by_key(|(no, _)| *no);
        Event {
            at: event.at.secs(),
            millis: u16::try_from(event.at.0.rem_euclid(1000)).unwrap_or_default(),
            metric: self.metric(metric),
            id,
            value: event.value,
            properties,
        }
    }

    fn metric(&mut self, id: &MetricId) -> MetricNo {
        self.vocabulary.metric(id).unwrap_or_else(|| {
            self.vocabulary.metrics.push(Metric {
                id: id.clone(),
                name: String::new(),
                integration: None,
            });
            MetricNo(last(&self.vocabulary.metrics))
        })
    }

    fn property(&mut self, name: &str) -> PropertyNo {
        self.vocabulary.property(name).unwrap_or_else(|| {
            self.vocabulary.properties.push(name.to_owned());
            PropertyNo(last(&self.vocabulary.properties))
        })
    }

    fn text(&mut self, text: &str) -> TextNo {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = TextNo(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.vocabulary.texts.push(text.to_owned());
        self.texts.insert(text.to_owned(), number);
        number
    }
}

/// The number of what was pushed last. Sixty-five thousand names are more than an account may have.
fn last<T>(names: &[T]) -> u16 {
    u16::try_from(names.len() - 1).unwrap_or(u16::MAX)
}
