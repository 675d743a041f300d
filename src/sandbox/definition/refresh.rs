//! When memberships move (klaviyo.md, section 11.5): a change moves its profile at once, time moves everybody
//! once a day, an edited definition moves everybody a little later.

use super::dates::When;
use super::judge::{EventIndex, Judge, Record};
use crate::model::{DAY_MS, Moment};
use crate::sandbox::world::{KlaviyoWorld, Segment, State};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::panic::resume_unwind;

const HOUR_MS: i64 = 3_600_000;
/// Fewer profiles are not worth a thread of their own.
const LEAST_SHARE: usize = 10_000;
/// Later than every event.
const END_OF_TIME: Moment = Moment(i64::MAX);

/// Brings the segments up to the instant.
pub fn refresh(state: &mut State, now: Moment) {
    let klaviyo = &mut state.klaviyo;
    follow_changes(klaviyo);
    recount(klaviyo, now);
    if is_due(klaviyo, now) {
        let due = last_refresh(klaviyo, now);
        let is_new = |_: &str, segment: &Segment| segment.refreshed == Moment::default();
        assess(klaviyo, now, END_OF_TIME, is_new);
        assess(klaviyo, due, END_OF_TIME, |_, segment| {
            segment.refreshed < due
        });
    }
}

/// Whether relative times are to be refreshed before anybody looks at a segment.
pub(in crate::sandbox) fn is_due(klaviyo: &KlaviyoWorld, now: Moment) -> bool {
    let due = last_refresh(klaviyo, now);
    let waits = |segment: &Segment| is_followed(segment) && segment.refreshed < due;
    klaviyo.segments.values().any(waits)
}

/// Whether the members follow what happens: not those of a segment that is off, has no definition or is being
/// counted anew.
fn is_followed(segment: &Segment) -> bool {
    let defined = segment.definition["condition_groups"].is_array();
    segment.is_active && defined && segment.recount.is_none()
}

/// The last instant at which relative times were to be refreshed.
fn last_refresh(klaviyo: &KlaviyoWorld, now: Moment) -> Moment {
    let hour = i64::from(klaviyo.refresh_hour) * HOUR_MS;
    Moment((now.0 - hour).div_euclid(DAY_MS) * DAY_MS + hour)
}

/// Computes the members of all active segments as of `now`. Events and profiles that come later are
/// unseen, so that the past can be computed too.
pub(in crate::sandbox) fn recompute(klaviyo: &mut KlaviyoWorld, now: Moment) {
    assess(klaviyo, now, now, |_, _| true);
}

/// Judges everybody for the segments that are wanted.
fn assess(
    klaviyo: &mut KlaviyoWorld,
    at: Moment,
    until: Moment,
    wanted: impl Fn(&str, &Segment) -> bool,
) {
    let judge = Judge::new(klaviyo, &When::utc(at), |id, segment| {
        is_followed(segment) && wanted(id, segment)
    });
    let seen = klaviyo.profiles.iter();
    let seen = seen.filter(|(_, known)| known.created <= until);
    let seen: Vec<&str> = seen.map(|(id, _)| id.as_str()).collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let in_share = seen.len().div_ceil(cores).max(LEAST_SHARE);
    let found = members_among(klaviyo, &judge, &seen, until, in_share);
    for (id, members) in found {
        if let Some(segment) = klaviyo.segments.get_mut(&id) {
            replace(segment, members, at);
        }
    }
}

/// The members of each judged segment among these profiles, which are in order: in shares of so many, side by side.
fn members_among(
    klaviyo: &KlaviyoWorld,
    judge: &Judge,
    profiles: &[&str],
    until: Moment,
    in_share: usize,
) -> BTreeMap<String, BTreeSet<String>> {
    let none = |id: &String| (id.clone(), BTreeSet::new());
    let mut found: BTreeMap<_, BTreeSet<_>> = judge.segments().map(none).collect();
    std::thread::scope(|scope| {
        let judge = |share| scope.spawn(move || members_of_share(klaviyo, judge, share, until));
        let threads: Vec<_> = profiles.chunks(in_share).map(judge).collect();
        for thread in threads {
            let members = thread.join();
            for (segment, members) in members.unwrap_or_else(|panic| resume_unwind(panic)) {
                found.entry(segment).or_default().extend(members);
            }
        }
    });
    found
}

fn members_of_share(
    klaviyo: &KlaviyoWorld,
    judge: &Judge,
    profiles: &[&str],
    until: Moment,
) -> BTreeMap<String, Vec<String>> {
    let span = profiles.first()..=profiles.last();
    let events = EventIndex::new(klaviyo, until, |id| span.contains(&Some(&id)));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in profiles {
        let Some(record) = Record::of(klaviyo, &events, id) else {
            continue;
        };
        for segment in judge.memberships(&record) {
            let members = found.entry(segment.to_owned()).or_default();
            members.push((*id).to_owned());
        }
    }
    found
}

/// Gives a segment its new members; those that are pinned stay as they are.
fn replace(segment: &mut Segment, mut members: BTreeSet<String>, at: Moment) {
    for (id, member) in &segment.pinned {
        match member {
            true => members.insert(id.clone()),
            false => members.remove(id),
        };
    }
    let before = segment.members.len();
    segment.members.retain(|member, _| members.contains(member));
    let left = before - segment.members.len();
    let joined = members.len() - segment.members.len();
    for member in members {
        segment.members.entry(member).or_insert(at);
    }
    let first = segment.refreshed == Moment::default();
    if !first && joined + left > 0 {
        segment.moves.push((at, joined, left));
    }
    segment.refreshed = at;
}

/// Judges the profiles that changed, each segment with its relative times as they were last refreshed.
fn follow_changes(klaviyo: &mut KlaviyoWorld) {
    let changed = std::mem::take(&mut klaviyo.changed);
    if changed.is_empty() {
        return;
    }
    let found: Vec<(String, BTreeSet<String>)> = changed
        .keys()
        .cloned()
        .zip(as_served(klaviyo, changed.keys()))
        .collect();
    for (id, segment) in klaviyo
        .segments
        .iter_mut()
        .filter(|(_, known)| is_followed(known))
    {
        let mut moves: BTreeMap<Moment, (usize, usize)> = BTreeMap::new();
        let unpinned = found
            .iter()
            .filter(|(profile, _)| !segment.pinned.contains_key(profile));
        for (profile, segments) in unpinned {
            let at = changed.get(profile).copied().unwrap_or_default();
            let (joined, left) = moves.entry(at).or_default();
            if segments.contains(id) {
                *joined += usize::from(segment.members.insert(profile.clone(), at).is_none());
            } else {
                *left += usize::from(segment.members.remove(profile).is_some());
            }
        }
        let moved = moves
            .into_iter()
            .filter(|(_, (joined, left))| joined + left > 0);
        segment
            .moves
            .extend(moved.map(|(at, (joined, left))| (at, joined, left)));
    }
}

/// The segments that each of the profiles belongs to, relative times as they were last refreshed.
fn as_served<'a>(
    klaviyo: &'a KlaviyoWorld,
    profiles: impl Iterator<Item = &'a String> + Clone,
) -> Vec<BTreeSet<String>> {
    let states: BTreeSet<Moment> = klaviyo
        .segments
        .values()
        .map(|known| known.refreshed)
        .collect();
    let judges: Vec<Judge> = states
        .iter()
        .map(|at| {
            Judge::new(klaviyo, &When::utc(*at), |_, segment| {
                segment.refreshed == *at
            })
        })
        .collect();
    let wanted: BTreeSet<&str> = profiles.clone().map(String::as_str).collect();
    let events = EventIndex::new(klaviyo, END_OF_TIME, |id| wanted.contains(id));
    profiles
        .map(|id| {
            let Some(record) = Record::of(klaviyo, &events, id) else {
                return BTreeSet::new();
            };
            let of = |judge: &Judge| {
                judge
                    .memberships(&record)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            judges.iter().flat_map(of).collect()
        })
        .collect()
}

/// Counts anew what was edited long enough ago.
fn recount(klaviyo: &mut KlaviyoWorld, now: Moment) {
    let mut times: BTreeSet<Moment> = klaviyo
        .segments
        .values()
        .filter_map(|known| known.recount)
        .collect();
    times.retain(|at| *at <= now);
    for at in times {
        let mut due = BTreeSet::new();
        for (id, segment) in &mut klaviyo.segments {
            if segment.recount == Some(at) {
                segment.recount = None;
                due.insert(id.clone());
            }
        }
        assess(klaviyo, at, END_OF_TIME, |id, _| due.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{GeneratorSettings, generate};

    #[test]
    fn shares_of_the_profiles_have_the_members_of_all() {
        let now = Moment::from_secs(1_790_000_000);
        let klaviyo = generate(GeneratorSettings::usual(2_000, 3, now)).klaviyo;
        let judge = Judge::new(&klaviyo, &When::utc(now), |_, segment| is_followed(segment));
        let profiles: Vec<&str> = klaviyo.profiles.keys().map(String::as_str).collect();
        let among = |in_share| members_among(&klaviyo, &judge, &profiles, now, in_share);
        let all = among(usize::MAX);
        assert!(all.values().any(|members| !members.is_empty()));
        assert_eq!(among(300), all);
    }
}
