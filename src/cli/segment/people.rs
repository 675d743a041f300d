//! People from a file: a line for each, made of the resources that the API gives.

use crate::api::klaviyo::{event_from_json, profile_from_json};
use crate::model::{
    Atom, Event, IncomingEvent, IncomingValue, Mentions, Metric, MetricId, MetricNo, Moment,
    Profile, PropertyNo, TextNo, Vocabulary,
};
use crate::segment::OnList;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};

/// One person of the file.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) profile: Profile,
    pub(super) events: Vec<Event>,
    lists: HashMap<String, Option<Moment>>,
}

impl Person {
    /// Where the person stands with lists; the file says which ones somebody is on.
    pub(super) fn on(&self, lists: &[String]) -> Vec<OnList> {
        let one = |list: &String| match self.lists.get(list) {
            Some(joined) => OnList::Since(*joined),
            None => OnList::No,
        };
        lists.iter().map(one).collect()
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    profile: &'a RawValue,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    lists: Vec<ListMembership>,
}

#[derive(Deserialize)]
struct ListMembership {
    id: String,
    joined_group_at: Option<String>,
}

/// Reads lines, and gives numbers to the names and texts in them.
#[derive(Debug)]
pub(super) struct Reader<'m> {
    mentions: &'m Mentions,
    /// Property names of all metrics: an event tells its metric only at its end.
    wanted: BTreeSet<String>,
    vocabulary: Vocabulary,
    texts: HashMap<String, TextNo>,
}

impl<'m> Reader<'m> {
    /// A reader that keeps what is mentioned.
    pub(super) fn new(mentions: &'m Mentions) -> Self {
        let wanted: BTreeSet<String> = mentions.events.values().flatten().cloned().collect();
        let metric = |id: &MetricId| Metric {
            id: id.clone(),
            name: String::new(),
            integration: None,
        };
        Self {
            mentions,
            vocabulary: Vocabulary {
                metrics: mentions.events.keys().map(metric).collect(),
                properties: wanted.iter().cloned().collect(),
                texts: Vec::new(),
            },
            wanted,
            texts: HashMap::new(),
        }
    }

    /// The names behind the numbers given so far.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Reads one line.
    ///
    /// # Errors
    /// What it lacks; never what stands there.
    pub(super) fn read(&mut self, line: &str) -> Result<Person, String> {
        let place = |error: serde_json::Error| {
            format!(
                "column {}: not a person {{profile, events, lists}}",
                error.column()
            )
        };
        let line: Line<'_> = serde_json::from_str(line).map_err(place)?;
        let profile = profile_from_json(line.profile.get(), self.mentions)
            .map_err(|error| format!("profile: {error}"))?;
        let mut events = Vec::with_capacity(line.events.len());
        for (number, text) in line.events.into_iter().enumerate() {
            let event = self.event(text.get());
            events.extend(event.map_err(|error| format!("events[{number}]: {error}"))?);
        }
        let joined = |list: ListMembership| {
            let at = list.joined_group_at.as_deref().and_then(Moment::parse);
            (list.id, at)
        };
        Ok(Person {
            profile,
            events,
            lists: line.lists.into_iter().map(joined).collect(),
        })
    }

    /// `None` for an event of a metric that no definition mentions.
    fn event(&mut self, text: &str) -> Result<Option<Event>, String> {
        let (metric, event) =
            event_from_json(text, &self.wanted).map_err(|error| error.to_string())?;
        let Some(metric) = metric.and_then(|id| self.vocabulary.metric(&id)) else {
            return Ok(None);
        };
        Ok(Some(self.number(metric, event)))
    }

    fn number(&mut self, metric: MetricNo, event: IncomingEvent) -> Event {
        let mut properties = Vec::with_capacity(event.properties.len());
        for (name, value) in event.properties {
            if let Some(no) = self.vocabulary.property(&name) {
                properties.push((no, self.atom(value)));
            }
        }
        properties.sort_by_key(|(no, _): &(PropertyNo, Atom)| *no);
        Event {
            at: event.at.secs(),
            millis: u16::try_from(event.at.0.rem_euclid(1000)).unwrap_or_default(),
            metric,
            id: 0,
            value: event.value,
            properties,
        }
    }

    fn atom(&mut self, value: IncomingValue) -> Atom {
        match value {
            IncomingValue::Bool(flag) => Atom::Bool(flag),
            IncomingValue::Number(number) => Atom::Number(number),
            IncomingValue::Text(text) => Atom::Text(self.text(text)),
            IncomingValue::List(text) => Atom::List(self.text(text)),
        }
    }

    fn text(&mut self, text: String) -> TextNo {
        if let Some(known) = self.texts.get(&text) {
            return *known;
        }
        let number = TextNo(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.vocabulary.texts.push(text.clone());
        self.texts.insert(text, number);
        number
    }
}
