//! Definitions made ready for one instant, and what is known of the people they judge.

use super::condition::Condition;
use super::dates::{When, micros};
use super::happenings::Occurrence;
use super::{Happenings, Memberships, Subject, every, some};
use crate::model::Moment;
use crate::sandbox::world::{KlaviyoWorld, Segment};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

/// A conjunction of disjunctions.
pub(super) struct Definition(Vec<Vec<Condition>>);

impl Definition {
    /// Reads a definition; `None` when it is none.
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let groups = json["condition_groups"].as_array()?;
        let conditions = |group: &Json| {
            let all = group["conditions"].as_array().into_iter().flatten();
            all.map(|condition| Condition::read(condition, when))
                .collect()
        };
        Some(Self(groups.iter().map(conditions).collect()))
    }

    /// Whether the subject is a member; `None` when that cannot be known. What is empty says nothing.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        let group = |group: &Vec<Condition>| {
            let any = some(group.iter().map(|condition| condition.holds(subject)));
            any.filter(|_| !group.is_empty())
        };
        every(self.0.iter().map(group)).filter(|_| !self.0.is_empty())
    }
}

/// Definitions of segments, ready for one instant.
pub(in crate::sandbox) struct Judge(BTreeMap<String, Definition>);

impl Judge {
    /// The active segments that are wanted. Those without a definition are left out: nobody can judge them.
    pub(in crate::sandbox) fn new(
        klaviyo: &KlaviyoWorld,
        when: &When,
        wanted: impl Fn(&str, &Segment) -> bool,
    ) -> Self {
        let segments = klaviyo.segments.iter();
        let wanted = segments.filter(|(id, segment)| segment.is_active && wanted(id, segment));
        let read = |(id, segment): (&String, &Segment)| {
            Some((id.clone(), Definition::read(&segment.definition, when)?))
        };
        Self(wanted.filter_map(read).collect())
    }

    /// What Klaviyo holds of a person: the segments they are in.
    pub(in crate::sandbox) fn memberships<'a>(
        &'a self,
        record: &'a Record<'a>,
    ) -> impl Iterator<Item = &'a str> {
        let subject = record.subject(true);
        let holding = move |(_, definition): &(&String, &Definition)| {
            definition.holds(&subject) == Some(true)
        };
        self.0.iter().filter(holding).map(|(id, _)| id.as_str())
    }

    /// What can be known of a person by all that the API shows.
    pub(in crate::sandbox) fn verdicts(&self, record: &Record<'_>) -> BTreeMap<&str, Option<bool>> {
        let subject = record.subject(false);
        let segments = self.0.iter();
        segments
            .map(|(id, definition)| (id.as_str(), definition.holds(&subject)))
            .collect()
    }

    /// The segments judged.
    pub(super) fn segments(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

/// Everybody's events.
pub(in crate::sandbox) struct EventIndex<'a>(HashMap<&'a str, Happenings<'a>>);

impl<'a> EventIndex<'a> {
    /// The events of the profiles that are wanted, up to an instant: what comes later is unseen, so that the past can
    /// be told, too.
    pub(in crate::sandbox) fn new(
        klaviyo: &'a KlaviyoWorld,
        until: Moment,
        wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let mut index: HashMap<&str, Happenings<'a>> = HashMap::new();
        for (metric, events) in &klaviyo.events {
            for event in events
                .iter()
                .filter(|event| event.timestamp <= until.secs())
            {
                let Some(profile) = event.profile.as_deref().filter(|id| wanted(id)) else {
                    continue;
                };
                let mine = index.entry(profile).or_default();
                if mine.last().is_none_or(|(last, _)| last != metric) {
                    mine.push((metric, Vec::new()));
                }
                let at = micros(Moment::from_secs(event.timestamp));
                let properties = &event.properties;
                if let Some((_, events)) = mine.last_mut() {
                    events.push(Occurrence { at, properties });
                }
            }
        }
        Self(index)
    }
}

/// What is known of one profile.
#[derive(Clone)]
pub(in crate::sandbox) struct Record<'a> {
    id: &'a str,
    /// As in the API.
    pub(in crate::sandbox) attributes: Json,
    events: Happenings<'a>,
    lists: Memberships<'a>,
}

impl<'a> Record<'a> {
    /// All that Klaviyo has of a profile; `None` when there is no such profile.
    pub(in crate::sandbox) fn of(
        klaviyo: &'a KlaviyoWorld,
        events: &EventIndex<'a>,
        id: &'a str,
    ) -> Option<Self> {
        let attributes = klaviyo.profiles.get(id)?.attributes();
        let joined = |(list, known): (&'a String, &'a crate::sandbox::world::List)| {
            Some((list.as_str(), Some(micros(*known.members.get(id)?))))
        };
        Some(Self {
            id,
            attributes,
            events: events.0.get(id).cloned().unwrap_or_default(),
            lists: klaviyo.lists.iter().filter_map(joined).collect(),
        })
    }

    /// A profile that has no events.
    pub(in crate::sandbox) fn without_events(
        id: &'a str,
        attributes: Json,
        lists: impl Iterator<Item = (&'a str, Moment)>,
    ) -> Self {
        Self {
            id,
            attributes,
            events: Happenings::new(),
            lists: lists.map(|(list, at)| (list, Some(micros(at)))).collect(),
        }
    }

    /// The same profile, described otherwise.
    pub(in crate::sandbox) fn described(&self, attributes: Json) -> Self {
        Self {
            attributes,
            ..self.clone()
        }
    }

    /// The same profile after one more event.
    pub(in crate::sandbox) fn after(
        &self,
        metric: &'a str,
        at: Moment,
        properties: &'a Json,
    ) -> Self {
        let mut more = self.clone();
        let at = micros(at);
        more.adopt(metric, vec![Occurrence { at, properties }]);
        more
    }

    /// The same profile off a list.
    pub(in crate::sandbox) fn off(&self, list: &str) -> Self {
        let mut less = self.clone();
        less.lists.retain(|(known, _)| *known != list);
        less
    }

    /// The same profile with the events and lists of another one.
    pub(in crate::sandbox) fn joined_by(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (metric, events) in &other.events {
            both.adopt(metric, events.clone());
        }
        let new = other.lists.iter().filter(|(list, _)| !self.is_on(list));
        both.lists.extend(new.copied());
        both
    }

    fn adopt(&mut self, metric: &'a str, more: Vec<Occurrence<'a>>) {
        match self.events.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, events)) => events.extend(more),
            None => self.events.push((metric, more)),
        }
    }

    /// Whether the profile is on the list.
    pub(in crate::sandbox) fn is_on(&self, list: &str) -> bool {
        self.lists.iter().any(|(known, _)| *known == list)
    }

    /// The lists that the profile is on.
    pub(in crate::sandbox) fn lists(&self) -> impl Iterator<Item = &'a str> {
        self.lists.iter().map(|(list, _)| *list)
    }

    /// Whether something happened since.
    pub(in crate::sandbox) fn is_active_since(&self, at: Moment) -> bool {
        let mut events = self.events.iter().flat_map(|(_, events)| events);
        events.any(|event| event.at >= micros(at))
    }

    fn subject(&'a self, insight: bool) -> Subject<'a> {
        Subject {
            id: self.id,
            attributes: &self.attributes,
            events: &self.events,
            lists: &self.lists,
            insight,
        }
    }
}
