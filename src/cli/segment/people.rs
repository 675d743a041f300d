//! People from a file: a line for each, made of the resources that the API gives.

use crate::api::klaviyo::{event_from_json, profile_from_json};
use crate::model::{Event, Interner, Mentions, Moment, Profile, Vocabulary};
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
    interner: Interner,
}

impl<'m> Reader<'m> {
    /// A reader that keeps what is mentioned.
    pub(super) fn new(mentions: &'m Mentions) -> Self {
        Self {
            mentions,
            wanted: mentions.events.values().flatten().cloned().collect(),
            interner: Interner::default(),
        }
    }

    /// The names behind the numbers given so far.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        self.interner.vocabulary()
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
        let metric = metric.filter(|id| self.mentions.events.contains_key(id));
        Ok(metric.map(|metric| self.interner.event(&metric, 0, &event)))
    }
}
