//! Segments that are edited, and such as nobody but Klaviyo can evaluate.

use super::Garden;
use super::survey::{Survey, looks_at_relative_times};
use crate::sandbox::world::Segment;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// A recount takes so long.
const RECOUNT: Duration = Duration::from_secs(600);
/// Conditions that other plants live on; segments without them are edited first.
const SPARED: [&str; 3] = ["profile-group-membership", "profile-metric", "\"not-"];

/// Some members of a segment are left out by name, and Klaviyo has not counted anew.
pub(super) fn edit(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    let candidates = garden.candidates(survey);
    let segments = survey.klaviyo.segments.iter();
    let open = segments.filter(|(_, known)| known.is_active && known.recount.is_none());
    let mut segments: Vec<(&String, &Segment)> = open.collect();
    segments.sort_by_key(|(id, segment)| {
        (
            spared(segment),
            std::cmp::Reverse(segment.members.len()),
            *id,
        )
    });
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (id, segment) in segments {
        if garden.wanted() == 0 {
            return;
        }
        let most = garden.wanted().min(segment.members.len() / 2);
        let members = candidates
            .iter()
            .filter(|profile| segment.members.contains_key(**profile));
        let fits = |profile: &&str| {
            let person = survey.agreed(profile)?;
            let told = survey.firm(&person).contains(id.as_str());
            survey.klaviyo.profiles[*profile]
                .email
                .clone()
                .filter(|_| told)
        };
        let left_out: Vec<(&str, String)> = members
            .filter(|profile| !used.contains(*profile))
            .filter_map(|profile| Some((*profile, fits(profile)?)))
            .take(most)
            .collect();
        if left_out.is_empty() {
            continue;
        }
        exclude(garden, id, &left_out);
        for (profile, _) in &left_out {
            garden.note(profile, [id.as_str()]);
        }
        used.extend(left_out.iter().map(|(profile, _)| *profile));
    }
}

/// How much of what other plants need a segment has.
fn spared(segment: &Segment) -> usize {
    let text = segment.definition.to_string();
    let needed = SPARED.iter().filter(|part| text.contains(**part)).count();
    needed + usize::from(looks_at_relative_times(segment))
}

/// Adds a condition that leaves some addresses out; who has none is left alone.
fn exclude(garden: &mut Garden<'_>, segment: &str, left_out: &[(&str, String)]) {
    let addresses: Vec<&String> = left_out.iter().map(|(_, email)| email).collect();
    let condition =
        |filter| json!({ "type": "profile-property", "property": "email", "filter": filter });
    let others = condition(json!({ "type": "string", "operator": "not-in", "value": addresses }));
    let nobody = condition(json!({ "type": "existence", "operator": "not-set" }));
    let now = garden.now;
    let Some(segment) = garden.state.klaviyo.segments.get_mut(segment) else {
        return;
    };
    if let Some(groups) = segment.definition["condition_groups"].as_array_mut() {
        groups.push(json!({ "conditions": [others, nobody] }));
        segment.updated = now;
        segment.recount = Some(now.plus(RECOUNT));
    }
}

/// Members of segments that only Klaviyo can tell; nothing needs to change for that.
pub(super) fn not_evaluable(garden: &mut Garden<'_>, survey: &Survey<'_>) {
    for id in garden.candidates(survey) {
        if garden.wanted() == 0 {
            return;
        }
        let Some(person) = survey.agreed(id) else {
            continue;
        };
        let verdicts = person.verdicts.iter();
        let hidden =
            verdicts.filter(|(segment, verdict)| verdict.is_none() && survey.shows(segment, id));
        let hidden: Vec<&str> = hidden
            .map(|(segment, _)| segment.as_str())
            .take(garden.wanted())
            .collect();
        garden.note(id, hidden);
    }
}
