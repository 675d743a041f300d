//! People who vanish, appear or change behind the back of a reader by time of change.

use super::Garden;
use super::definition::Record;
use super::happenings::SMALL_LIST;
use super::survey::{Person, Survey};
use crate::model::Moment;
use crate::sandbox::ids;
use crate::sandbox::world::{KlaviyoWorld, Profile};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Events of the last day are read again; what happened earlier is not.
const READ_AGAIN: Duration = Duration::from_secs(2 * 86_400);
/// Values of the custom properties that may change unseen.
const TASTES: [(&str, [&str; 3]); 3] = [
    ("Tea club", ["gold", "silver", "bronze"]),
    (
        "Brewing",
        ["loose leaf, hot", "bags, hot", "iced, overnight"],
    ),
    ("Diet", ["none", "vegetarian", "vegan"]),
];

/// Profiles are merged into others: the source is no more, and the destination has its events and lists.
pub(super) fn merge(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    let mut candidates = garden.candidates(survey).into_iter();
    let mut merged: BTreeMap<&str, &str> = BTreeMap::new();
    while garden.wanted() > 0 {
        let (Some(source), Some(destination)) = (candidates.next(), candidates.next()) else {
            break;
        };
        let people = (survey.agreed(source), survey.agreed(destination));
        let (Some(source), Some(destination)) = people else {
            continue;
        };
        let into = united(survey, &source, &destination, garden.now);
        let Some((left, changed)) = apart(survey, &source, &destination, &into, garden.now) else {
            continue;
        };
        if left.len() + changed.len() > garden.wanted() {
            continue;
        }
        garden.note(source.id, left);
        garden.note(destination.id, changed);
        garden
            .state
            .klaviyo
            .profiles
            .insert(destination.id.to_owned(), into);
        merged.insert(source.id, destination.id);
    }
    hand_over(&mut garden.state.klaviyo, &merged, garden.now);
}

/// The destination after the merge: what it lacks comes from the source.
fn united(survey: &Survey<'_>, source: &Person<'_>, into: &Person<'_>, now: Moment) -> Profile {
    let profiles = &survey.klaviyo.profiles;
    let from = profiles[source.id].clone();
    let mut into = profiles[into.id].clone();
    into.email = into.email.or(from.email);
    into.phone_number = into.phone_number.or(from.phone_number);
    into.external_id = into.external_id.or(from.external_id);
    for (name, value) in from.properties {
        into.properties.entry(name).or_insert(value);
    }
    for suppression in from.suppressions {
        if into
            .suppressions
            .iter()
            .all(|known| known.reason != suppression.reason)
        {
            into.suppressions.push(suppression);
        }
    }
    into.last_event_date = into.last_event_date.max(from.last_event_date);
    into.touch(now);
    into
}

/// The segments that source and destination are set apart in; `None` when a mirror would learn of it by itself, or
/// when something else could be the reason.
fn apart<'s>(
    survey: &Survey<'_>,
    source: &'s Person<'_>,
    destination: &'s Person<'_>,
    into: &Profile,
    now: Moment,
) -> Option<(Vec<&'s str>, Vec<&'s str>)> {
    let small = |list: &str| survey.klaviyo.lists[list].members.len() <= SMALL_LIST;
    let is_seen = source.record.is_active_since(now.minus(READ_AGAIN));
    if is_seen || source.record.lists().any(small) {
        return None;
    }
    let nowhere = BTreeSet::new();
    let left = match survey.moved(source, &nowhere).is_empty() {
        true => Vec::new(),
        false => survey.set_apart(source, &nowhere)?,
    };
    // The mirror reads the destination again, for it changed; that alone must move nothing.
    let read_again = destination.record.described(into.attributes());
    let known = survey.verdicts(&read_again);
    if destination
        .verdicts
        .iter()
        .any(|(segment, verdict)| known.get(segment.as_str()) != Some(verdict))
    {
        return None;
    }
    let after = survey.memberships(&read_again.joined_by(&source.record));
    let changed = match survey.moved(destination, &after).is_empty() {
        true => Vec::new(),
        false => survey.set_apart(destination, &after)?,
    };
    Some((left, changed))
}

/// Gives events and lists of the sources to their destinations, and deletes the sources.
fn hand_over(klaviyo: &mut KlaviyoWorld, merged: &BTreeMap<&str, &str>, now: Moment) {
    for event in klaviyo.events.values_mut().flatten() {
        let owner = event.profile.as_deref().and_then(|id| merged.get(id));
        if let Some(owner) = owner {
            event.profile = Some((*owner).to_owned());
        }
    }
    for (source, destination) in merged {
        klaviyo.profiles.remove(*source);
        for list in klaviyo.lists.values_mut() {
            if let Some(joined) = list.members.remove(*source) {
                list.members
                    .entry((*destination).to_owned())
                    .or_insert(joined);
            }
        }
        klaviyo.note_change(source, now);
        klaviyo.note_change(destination, now);
    }
}

/// Profiles appear that were there all the time, and properties change without a trace.
pub(super) fn data_missing(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        if garden.rng.bool() {
            overlook(garden, survey, id);
        } else if let Some(person) = survey.agreed(id) {
            change_unseen(garden, survey, &person);
        }
    }
}

/// A profile like another one, of the same age, that no listing by time of change will show.
fn overlook(garden: &mut Garden<'_>, survey: &Survey<'_>, like: &str) {
    let model = &survey.klaviyo.profiles[like];
    if garden.now.since(model.created) < READ_AGAIN {
        return;
    }
    let id = ids::ulid(model.created, &mut garden.rng);
    let profile = Profile {
        email: Some(format!("overlooked.{}@gmail.com", id.to_lowercase())),
        phone_number: None,
        external_id: None,
        updated: model.created,
        last_event_date: None,
        predictions: None,
        ..model.clone()
    };
    let lists = survey
        .klaviyo
        .lists
        .iter()
        .filter(|(_, list)| list.members.len() > SMALL_LIST);
    let lists: Vec<(&str, Moment)> = lists
        .filter_map(|(list, known)| Some((list.as_str(), *known.members.get(like)?)))
        .collect();
    let record = Record::without_events(&id, profile.attributes(), lists.iter().copied());
    let segments = survey.memberships(&record);
    let known = survey.verdicts(&record);
    let firm = |id: &String| known.get(id.as_str()) == Some(&Some(true)) && !survey.is_frozen(id);
    if segments.is_empty() || segments.len() > garden.wanted() || !segments.iter().all(firm) {
        return;
    }
    let klaviyo = &mut garden.state.klaviyo;
    for (list, joined) in lists {
        if let Some(list) = klaviyo.lists.get_mut(list) {
            list.members.insert(id.clone(), joined);
        }
    }
    klaviyo.profiles.insert(id.clone(), profile);
    klaviyo.note_change(&id, garden.now);
    garden.note(&id, segments.iter().map(String::as_str));
}

/// Another taste, and the time of the last change as before.
fn change_unseen(garden: &mut Garden<'_>, survey: &Survey<'_>, person: &Person<'_>) {
    let (name, values) = TASTES[garden.rng.usize(..TASTES.len())];
    let value = json!(values[garden.rng.usize(..values.len())]);
    let mut profile = survey.klaviyo.profiles[person.id].clone();
    // What changed of late may be read again anyway.
    let settled = garden.now.since(profile.updated) > READ_AGAIN;
    if !settled || !profile.properties.contains_key(name) {
        return;
    }
    profile.properties.insert(name.to_owned(), value);
    let after = person.record.described(profile.attributes());
    let apart = survey.set_apart(person, &survey.memberships(&after));
    if let Some(apart) = apart.filter(|apart| apart.len() <= garden.wanted()) {
        let klaviyo = &mut garden.state.klaviyo;
        klaviyo.profiles.insert(person.id.to_owned(), profile);
        klaviyo.note_change(person.id, garden.now);
        garden.note(person.id, apart);
    }
}
