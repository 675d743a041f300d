//! Changes of events and lists that a reader by time does not come across.

use super::Garden;
use super::survey::Survey;
use crate::model::Moment;
use crate::sandbox::ids;
use crate::sandbox::standard::{self, CLICKED, ON_SITE, OPENED, ORDERED, VIEWED};
use crate::sandbox::world::Event;
use std::collections::BTreeMap;

/// Acts that may come in late.
const ACTS: [&str; 5] = [ON_SITE, VIEWED, ORDERED, OPENED, CLICKED];
/// How late, in seconds: more than two days, less than ten.
const LATENESS: std::ops::Range<i64> = 2 * 86_400 + 3_600..10 * 86_400 - 3_600;
/// Lists of up to so many members are small enough to be read whole again and again.
pub(super) const SMALL_LIST: usize = 2_000;

/// An event appears that happened days ago.
pub(super) fn late_event(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            break;
        }
        let act = ACTS[garden.rng.usize(..ACTS.len())];
        let known = survey
            .klaviyo
            .events
            .get_key_value(&standard::metric(survey.klaviyo, act));
        let Some((metric, events)) = known.filter(|(_, events)| !events.is_empty()) else {
            continue;
        };
        let properties = &events[garden.rng.usize(..events.len())].properties;
        let at = Moment::from_secs(garden.now.secs() - garden.rng.i64(LATENESS));
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let after = person.record.after(metric, at, properties);
        let apart = survey.set_apart(&person, &survey.memberships(&after));
        let Some(apart) = apart.filter(|apart| apart.len() <= garden.wanted()) else {
            continue;
        };
        let event = Event {
            id: ids::event(&mut garden.rng),
            timestamp: at.secs(),
            profile: Some(id.to_owned()),
            properties: properties.clone(),
        };
        let klaviyo = &mut garden.state.klaviyo;
        klaviyo
            .events
            .entry(metric.clone())
            .or_default()
            .push(event);
        if let Some(profile) = klaviyo.profiles.get_mut(id)
            && profile.last_event_date.is_none_or(|last| last < at)
        {
            profile.last_event_date = Some(at);
            profile.touch(garden.now);
        }
        klaviyo.note_change(id, garden.now);
        garden.note(id, apart);
    }
    for events in garden.state.klaviyo.events.values_mut() {
        events.sort_by(|a, b| (a.timestamp, &a.id).cmp(&(b.timestamp, &b.id)));
    }
}

/// A profile leaves a list that is too large to be read whole again and again, and stays so.
pub(super) fn list_removal(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    let lists = survey.klaviyo.lists.iter();
    let mut spare: BTreeMap<&str, usize> = lists
        .map(|(id, list)| {
            (
                id.as_str(),
                list.members.len().saturating_sub(SMALL_LIST + 1),
            )
        })
        .filter(|(_, spare)| *spare > 0)
        .collect();
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let list = person
            .record
            .lists()
            .find(|list| spare.get(list).is_some_and(|left| *left > 0));
        let Some(list) = list else { continue };
        let apart = survey.set_apart(&person, &survey.memberships(&person.record.off(list)));
        let Some(apart) = apart.filter(|apart| apart.len() <= garden.wanted()) else {
            continue;
        };
        let klaviyo = &mut garden.state.klaviyo;
        if let Some(list) = klaviyo.lists.get_mut(list) {
            list.members.remove(id);
        }
        klaviyo.note_change(id, garden.now);
        if let Some(left) = spare.get_mut(list) {
            *left -= 1;
        }
        garden.note(id, apart);
    }
}
