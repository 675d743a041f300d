//! Disagreements on purpose: what Klaviyo shows comes apart from what a mirror that was filled before can know, each
//! time for one cause.

mod definitions;
mod happenings;
mod people;
mod pins;
mod survey;
#[cfg(test)]
mod tests;

use super::world::{State, World};
use super::{definition, refresh};
use crate::model::Moment;
use fastrand::Rng;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use survey::Survey;

/// Why Klaviyo and a mirror disagree about a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Only time passed, and Klaviyo follows it once a day.
    DailyRefresh,
    /// An event came in days after it happened.
    LateEvent,
    /// Klaviyo lets a negative operator match who lacks the property.
    UnsetProperty,
    /// Klaviyo counts days in the account's time zone.
    TimeZone,
    /// The profile was merged into another one, or another one into it.
    IdentityMerge,
    /// The definition was edited, and Klaviyo has not counted anew.
    DefinitionEdited,
    /// The profile was taken off a large list.
    ListRemovalUnseen,
    /// The profile, or a change of it, never showed in a listing by time of change.
    DataMissing,
    /// Only Klaviyo can evaluate the definition.
    NotEvaluable,
    /// No reason at all.
    Unexplained,
}

impl Cause {
    /// Every cause, with its name on the command line.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::DailyRefresh, "daily-refresh"),
        (Self::LateEvent, "late-event"),
        (Self::UnsetProperty, "unset-property"),
        (Self::TimeZone, "time-zone"),
        (Self::IdentityMerge, "identity-merge"),
        (Self::DefinitionEdited, "definition-edited"),
        (Self::ListRemovalUnseen, "list-removal-unseen"),
        (Self::DataMissing, "data-missing"),
        (Self::NotEvaluable, "not-evaluable"),
        (Self::Unexplained, "unexplained"),
    ];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(cause, _)| cause == self);
        f.write_str(known.map_or("", |(_, name)| name))
    }
}

impl FromStr for Cause {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(_, name)| *name == text);
        known.map(|(cause, _)| *cause).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!(
                "there is no cause `{text}`; choose one of {}",
                names.join(", ")
            )
        })
    }
}

/// One planted disagreement between what Klaviyo shows and what a mirror filled before can know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planted {
    /// The segment's id.
    pub segment: String,
    /// The profile's id; after a merge, possibly of one that is no more.
    pub profile: String,
    /// Why they disagree.
    pub cause: Cause,
}

/// Plants disagreements of one cause, as of the world's clock, and says which: never more than `count`, and
/// fewer when the world has no more candidates. All pairs of segment and profile that a plant sets apart are
/// among them, no profile is ever planted with two causes, and no plant can be mistaken for the passing of a day
/// or for another time zone. The same world, `count` and `seed` give the same plants.
///
/// A mirror should be filled before. What it must not read again on its next round, and does not as long as it reads
/// profiles by the time of their change, events of the last day, lists of up to 2,000 members and what joined
/// larger ones, stays out of its sight.
pub fn plant(world: &World, cause: Cause, count: usize, seed: u64) -> Vec<Planted> {
    let now = world.clock.now();
    let mut state = world.state();
    refresh(&mut state, now);
    let before = state.klaviyo.clone();
    let taken = state
        .truth
        .planted
        .iter()
        .map(|known| known.profile.clone());
    let taken: BTreeSet<String> = taken.collect();
    let survey = Survey::new(&before, now, taken);
    let mut garden = Garden {
        state: &mut state,
        rng: Rng::with_seed(seed),
        now,
        cause,
        count,
        planted: Vec::new(),
    };
    match cause {
        Cause::DailyRefresh => pins::daily_refresh(&mut garden, &survey),
        Cause::UnsetProperty => pins::unset_property(&mut garden, &survey),
        Cause::TimeZone => pins::time_zone(&mut garden, &survey),
        Cause::Unexplained => pins::unexplained(&mut garden, &survey),
        Cause::LateEvent => happenings::late_event(&mut garden, &survey),
        Cause::ListRemovalUnseen => happenings::list_removal(&mut garden, &survey),
        Cause::IdentityMerge => people::merge(&mut garden, &survey),
        Cause::DataMissing => people::data_missing(&mut garden, &survey),
        Cause::DefinitionEdited => definitions::edit(&mut garden, &survey),
        Cause::NotEvaluable => definitions::not_evaluable(&mut garden, &survey),
    }
    let mut planted = garden.planted;
    planted.sort();
    state.truth.planted.extend(planted.iter().cloned());
    refresh(&mut state, now);
    planted
}

/// Where things are planted.
struct Garden<'w> {
    state: &'w mut State,
    rng: Rng,
    now: Moment,
    cause: Cause,
    count: usize,
    planted: Vec<Planted>,
}

impl Garden<'_> {
    /// How many more are wanted.
    fn wanted(&self) -> usize {
        self.count - self.planted.len()
    }

    /// Notes that these segments disagree about the profile from now on.
    fn note<'s>(&mut self, profile: &str, segments: impl IntoIterator<Item = &'s str>) {
        let cause = self.cause;
        self.planted
            .extend(segments.into_iter().map(|segment| Planted {
                segment: segment.to_owned(),
                profile: profile.to_owned(),
                cause,
            }));
    }

    /// The people that nothing was planted on, in an order of chance.
    fn candidates<'s>(&mut self, survey: &Survey<'s>) -> Vec<&'s str> {
        let mut free: Vec<&str> = survey.free().collect();
        self.rng.shuffle(&mut free);
        free
    }
}
