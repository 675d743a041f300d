//! The sandbox's own evaluator of segment definitions, as far as its ten segments need it. It shares
//! nothing with the daemon's, so that one mistake cannot hide the other.

mod condition;

use super::world::{Event, KlaviyoWorld, Profile, State};
use crate::model::Moment;
use condition::Condition;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// A conjunction of disjunctions.
type Definition = Vec<Vec<Condition>>;

/// What a condition may look at.
struct Subject<'a> {
    id: &'a str,
    profile: &'a Profile,
    /// Metric and event, in no particular order.
    events: &'a [(&'a str, &'a Event)],
    klaviyo: &'a KlaviyoWorld,
    now: Moment,
}

/// Refreshes the segments that were not refreshed yet on this UTC day: what depends on relative time moves
/// once a day only, as the vendor does it.
pub fn refresh(state: &mut State, now: Moment) {
    let due = |at: Moment| at.day() < now.day();
    if state
        .klaviyo
        .segments
        .values()
        .any(|known| known.is_active && due(known.refreshed))
    {
        recompute(&mut state.klaviyo, now);
    }
}

/// Computes the members of all active segments as of `now`. Events and profiles that come later are
/// unseen, so that the past can be computed too.
pub(super) fn recompute(klaviyo: &mut KlaviyoWorld, now: Moment) {
    let compiled: BTreeMap<String, Definition> = klaviyo
        .segments
        .iter()
        .filter(|(_, segment)| segment.is_active)
        .filter_map(|(id, segment)| Some((id.clone(), compile(&segment.definition)?)))
        .collect();
    let found = members(klaviyo, &compiled, now);
    for (id, members) in found {
        let Some(segment) = klaviyo.segments.get_mut(&id) else {
            continue;
        };
        let before = segment.members.len();
        segment.members.retain(|member, _| members.contains(member));
        let left = before - segment.members.len();
        let joined = members.len() - segment.members.len();
        for member in members {
            segment.members.entry(member).or_insert(now);
        }
        let first = segment.refreshed == Moment::default();
        if !first && joined + left > 0 {
            segment.moves.push((now, joined, left));
        }
        segment.refreshed = now;
    }
}

fn members(
    klaviyo: &KlaviyoWorld,
    compiled: &BTreeMap<String, Definition>,
    now: Moment,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut events: BTreeMap<&str, Vec<(&str, &Event)>> = BTreeMap::new();
    for (metric, known) in &klaviyo.events {
        for event in known.iter().filter(|event| event.timestamp <= now.secs()) {
            if let Some(profile) = &event.profile {
                events.entry(profile).or_default().push((metric, event));
            }
        }
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = compiled
        .keys()
        .map(|id| (id.clone(), BTreeSet::new()))
        .collect();
    for (id, profile) in klaviyo
        .profiles
        .iter()
        .filter(|(_, known)| known.created <= now)
    {
        let subject = Subject {
            id,
            profile,
            events: events.get(id.as_str()).map_or(&[], Vec::as_slice),
            klaviyo,
            now,
        };
        for (segment, definition) in compiled {
            let fits = definition
                .iter()
                .all(|any| any.iter().any(|one| one.holds(&subject)));
            if let Some(members) = found.get_mut(segment).filter(|_| fits) {
                members.insert(id.clone());
            }
        }
    }
    found
}

/// `None` when the definition holds something that this evaluator does not know; such a segment is frozen.
fn compile(definition: &Json) -> Option<Definition> {
    let groups = definition["condition_groups"].as_array()?;
    let any = |group: &Json| {
        group["conditions"]
            .as_array()?
            .iter()
            .map(condition::read)
            .collect()
    };
    groups.iter().map(any).collect()
}

#[cfg(test)]
mod tests;
