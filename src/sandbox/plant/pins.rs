//! Memberships that Klaviyo holds on to although the truth is another.

use super::Garden;
use super::survey::{self, Person, Survey, ZONE};
use crate::model::Moment;
use crate::sandbox::world::Segment;
use serde_json::{Value as Json, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// How many hours ago the memberships may be from.
const HOURS_AGO: [usize; 6] = [1, 5, 9, 14, 18, 23];

impl Garden<'_> {
    /// Makes Klaviyo hold the opposite of the truth about these segments; members joined at `since`.
    fn pin(&mut self, person: &Person<'_>, segments: &[&str], since: impl Fn(&Segment) -> Moment) {
        let pinned: Vec<&str> = segments.iter().take(self.wanted()).copied().collect();
        for id in &pinned {
            let Some(segment) = self.state.klaviyo.segments.get_mut(*id) else {
                continue;
            };
            let member = !segment.members.contains_key(person.id);
            segment.pinned.insert(person.id.to_owned(), member);
            if member {
                let since = since(segment);
                segment.members.insert(person.id.to_owned(), since);
            } else {
                segment.members.remove(person.id);
            }
            let moved = if member {
                (self.now, 1, 0)
            } else {
                (self.now, 0, 1)
            };
            segment.moves.push(moved);
        }
        self.note(person.id, pinned);
    }
}

/// Klaviyo shows what was true at an instant of the last day.
pub(super) fn daily_refresh(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let hours = HOURS_AGO[garden.rng.usize(..HOURS_AGO.len())];
        let then = survey.hours_ago(&person.record, hours);
        let moved = chosen(&person, |segment, verdict| {
            then.get(segment) == Some(&Some(!verdict))
        });
        if moved.is_empty() {
            continue;
        }
        let abroad = survey.abroad(&person.record);
        let stale = chosen(&person, |segment, verdict| {
            let at_home = abroad
                .iter()
                .all(|known| known.get(segment) == Some(&Some(verdict)));
            moved.contains(&segment) && at_home && !survey.is_frozen(segment)
        });
        let since = garden
            .now
            .minus(DAY * 8)
            .max(survey.klaviyo.profiles[id].created);
        garden.pin(&person, &stale, |_| since);
    }
}

/// Klaviyo counts days in the account's time zone, which is none of UTC's.
pub(super) fn time_zone(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    if survey::zone(survey.klaviyo).is_none() {
        return;
    }
    let zone = &mut garden.state.klaviyo.timezone;
    if zone.is_empty() || zone == "UTC" {
        ZONE.clone_into(zone);
    }
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let abroad = survey.abroad(&person.record);
        let shifted = chosen(&person, |segment, verdict| {
            abroad
                .iter()
                .all(|known| known.get(segment) == Some(&Some(!verdict)))
        });
        if shifted.is_empty() {
            continue;
        }
        let earlier = survey.earlier(&person.record);
        let told = chosen(&person, |segment, verdict| {
            let same = earlier
                .iter()
                .all(|known| known.get(segment) == Some(&Some(verdict)));
            shifted.contains(&segment) && same && !survey.is_frozen(segment)
        });
        garden.pin(&person, &told, |segment| segment.refreshed);
    }
}

/// Klaviyo takes people without the property for members of a segment with a negative operator on it.
pub(super) fn unset_property(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    let properties = denied(survey);
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let firm = survey.firm(&person);
        let unset: Vec<&str> = firm
            .into_iter()
            .filter(|segment| is_denied_to(survey, &person, segment, &properties))
            .collect();
        let created = survey.klaviyo.profiles[id].created;
        garden.pin(&person, &unset, |segment| segment.created.max(created));
    }
}

/// Klaviyo shows the opposite of the truth.
pub(super) fn unexplained(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    let properties = denied(survey);
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let firm = survey.firm(&person);
        let free: Vec<&str> = firm
            .into_iter()
            .filter(|segment| !is_denied_to(survey, &person, segment, &properties))
            .collect();
        let one = garden.rng.choice(free);
        let now = garden.now;
        garden.pin(&person, one.as_slice(), |_| now);
    }
}

/// The segments of which a condition on the verdict holds.
fn chosen<'s>(person: &'s Person<'_>, fits: impl Fn(&str, bool) -> bool) -> Vec<&'s str> {
    let known = person
        .verdicts
        .iter()
        .filter_map(|(id, verdict)| Some((id.as_str(), (*verdict)?)));
    known
        .filter(|(id, verdict)| fits(id, *verdict))
        .map(|(id, _)| id)
        .collect()
}

/// The custom properties that a negative operator looks at, by segment.
fn denied<'s>(survey: &Survey<'s>) -> Vec<(&'s str, &'s str)> {
    let mut found = Vec::new();
    for (id, segment) in &survey.klaviyo.segments {
        let groups = segment.definition["condition_groups"]
            .as_array()
            .into_iter()
            .flatten();
        let conditions =
            groups.flat_map(|group| group["conditions"].as_array().into_iter().flatten());
        let property = |condition: &'s Json| {
            let operator = condition["filter"]["operator"].as_str()?;
            let negative =
                operator.starts_with("not-") && operator != "not-set" || operator == "nregex";
            let path = condition["property"].as_str().filter(|_| negative)?;
            path.strip_prefix("properties['")?.strip_suffix("']")
        };
        found.extend(
            conditions
                .filter_map(property)
                .map(|name| (id.as_str(), name)),
        );
    }
    found
}

/// Whether the person lacks a property and would be a member if lacking it were enough to be unlike anything.
fn is_denied_to(
    survey: &Survey<'_>,
    person: &Person<'_>,
    segment: &str,
    properties: &[(&str, &str)],
) -> bool {
    let known = &person.record.attributes["properties"];
    let mine = properties
        .iter()
        .filter(|(id, name)| *id == segment && known.get(name).is_none());
    let missing: Vec<&str> = mine.map(|(_, name)| *name).collect();
    if missing.is_empty() || person.verdicts.get(segment) != Some(&Some(false)) {
        return false;
    }
    let mut attributes = person.record.attributes.clone();
    for name in missing {
        attributes["properties"][name] = json!("");
    }
    let record = person.record.described(attributes);
    survey.verdicts(&record).get(segment) == Some(&Some(true))
}
