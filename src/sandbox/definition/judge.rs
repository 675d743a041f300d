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
