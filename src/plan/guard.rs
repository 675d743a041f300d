//! The second pair of eyes: may this plan be carried out at all?
//!
//! A guard that trips stops the whole plan before its first write (reliability.md, section 2.2).
//! Guards read the plan and the circumstances of the pass, never the rules that made the plan.

use super::Plan;
use crate::model::EffectKind;
use crate::policy::{Allowances, Guard, Guards};
use roaring::RoaringBitmap;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the guards must know besides the plan.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Profiles in the mirror.
    pub profiles: u64,
    /// Customers in the mirror.
    pub customers: u64,
    /// People changed in the last 24 h, by budget, from the journal.
    pub spent: BTreeMap<Guard, Spent>,
    /// Listings of this pass.
    pub listings: Vec<Listing>,
    /// Sentinel profiles that upstream no longer shows.
    pub missing_sentinels: u64,
    /// How much of each kind of record could be understood, by its name.
    pub legibility: Vec<(String, Legibility)>,
    /// Whether an operator released these very rules, or this very plan.
    pub released: bool,
    /// Complete readings that a new or restored mirror still lacks.
    pub readings_due: u64,
    /// Effects of the plan file that is applied which the shop no longer needs, or needs otherwise.
    pub moved: u64,
}

/// People changed lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// By slot.
    pub people: RoaringBitmap,
    /// Those whom the mirror does not know, such as after a rebuild.
    pub unknown: u64,
}

/// One listing that was read to conclude something from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Such as `customers` or `list Newsletter`.
    pub name: String,
    /// Records it gave.
    pub count: u64,
    /// Records the last complete one gave.
    pub before: Option<u64>,
    /// It reached its end and its count agrees.
    pub complete: bool,
}

/// A guard that stopped the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trip {
    /// Which.
    pub guard: Guard,
    /// What `--allow <guard>=<count>` must name to let it through once.
    pub count: u64,
    /// One line: what was found, and what would have been allowed.
    pub note: String,
}

/// How much of what a vendor sent could be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Legibility {
    /// Records that were read.
    pub read: u64,
    /// Records besides that could not be understood.
    pub unreadable: u64,
}

impl Legibility {
    /// Whether nothing may be concluded from what was read: too much is missing.
    pub fn is_poor(self) -> bool {
        self.unreadable > A_FEW.max(self.all() / UNREADABLE)
    }

    fn all(self) -> u64 {
        self.read + self.unreadable
    }
}

/// More records than this share, one in so many, that cannot be understood are not the fault of a few: what
/// the vendor sends has changed (reliability.md, section 7, row 47).
const UNREADABLE: u64 = 100;
/// So few stop nothing, or one odd record would stop a quiet hour.
const A_FEW: u64 = 10;

/// Every guard that stops this plan. An empty plan trips nothing: there is nothing to stop, unless
/// there should have been.
pub fn check(
    plan: &Plan,
    circumstances: &Circumstances,
    guards: &Guards,
    allowed: &Allowances,
) -> Vec<Trip> {
    let mut trips = Vec::new();
    stale_plan(circumstances, &mut trips);
    if plan.effects.is_empty() {
        return retained(trips, allowed);
    }
    first_run(plan, circumstances, guards, &mut trips);
    probation(circumstances, &mut trips);
    unreadable(circumstances, &mut trips);
    budgets(plan, circumstances, guards, &mut trips);
    listings(circumstances, guards, &mut trips);
    segment_jump(plan, guards, &mut trips);
    if circumstances.missing_sentinels > 0 {
        trips.push(Trip {
            guard: Guard::Sentinels,
            count: circumstances.missing_sentinels,
            note: format!(
                "{} sentinel profiles are gone",
                circumstances.missing_sentinels
            ),
        });
    }
    retained(trips, allowed)
}

fn retained(mut trips: Vec<Trip>, allowed: &Allowances) -> Vec<Trip> {
    trips.retain(|trip| !allowed.covers(trip.guard, trip.count));
    trips
}

fn stale_plan(now: &Circumstances, trips: &mut Vec<Trip>) {
    if now.moved > 0 {
        trips.push(Trip {
            guard: Guard::StalePlan,
            count: now.moved,
            note: format!(
                "{} effects of the plan are not what the shop needs any more; make a new one, or \
                 leave these out",
                now.moved
            ),
        });
    }
}

fn first_run(plan: &Plan, now: &Circumstances, guards: &Guards, trips: &mut Vec<Trip>) {
    if guards.first_run && !now.released {
        trips.push(Trip {
            guard: Guard::FirstRun,
            count: plan.effects.len(),
            note: "these rules are not released; look at the plan, then `driftless release`"
                .to_owned(),
        });
    }
}

fn probation(now: &Circumstances, trips: &mut Vec<Trip>) {
    if now.readings_due > 0 {
        trips.push(Trip {
            guard: Guard::Probation,
            count: now.readings_due,
            note: format!(
                "the mirror was filled anew or restored: everybody is looked at twice before anything is \
                 written, {} times from now on",
                now.readings_due
            ),
        });
    }
}

fn unreadable(now: &Circumstances, trips: &mut Vec<Trip>) {
    let poor = now.legibility.iter().filter(|(_, one)| one.is_poor());
    if let Some((name, worst)) = poor.max_by_key(|(_, one)| one.unreadable) {
        trips.push(Trip {
            guard: Guard::Unreadable,
            count: worst.unreadable,
            note: format!(
                "{name}: {} of {} records could not be understood",
                worst.unreadable,
                worst.all()
            ),
        });
    }
}

fn budgets(plan: &Plan, now: &Circumstances, guards: &Guards, trips: &mut Vec<Trip>) {
    for (guard, budget, kinds) in guards.budgets() {
        let population = match guard {
            Guard::MaxTagChanges => now.customers,
            _ => now.profiles,
        };
        let limit = budget.limit(population);
        let planned = plan.people(kinds);
        // Whoever was changed today and is changed again is still one person.
        let people = match now.spent.get(&guard) {
            Some(spent) => planned.union_len(&spent.people) + spent.unknown,
            None => planned.len(),
        };
        if !planned.is_empty() && people > limit {
            let note = format!("{people} people within 24 h; {limit} are allowed");
            trips.push(Trip {
                guard,
                count: people,
                note,
            });
        }
    }
}

/// Whether a listing may be concluded from, and be the measure of the next one.
pub fn is_sound(listing: &Listing, guards: &Guards) -> bool {
    let shrunk = |before| (listing.count as f64) < before as f64 * guards.empty_source_share;
    listing.complete && !listing.before.is_some_and(shrunk)
}

fn listings(now: &Circumstances, guards: &Guards, trips: &mut Vec<Trip>) {
    for listing in &now.listings {
        let Listing {
            name,
            count,
            before,
            complete,
        } = listing;
        if !complete {
            let note = format!("{name}: the listing of {count} did not reach its end");
            trips.push(Trip {
                guard: Guard::CompleteListing,
                count: *count,
                note,
            });
        }
        let Some(before) = before.filter(|before| *before > 0) else {
            continue;
        };
        if (*count as f64) < before as f64 * guards.empty_source_share {
            let note = format!("{name}: {count} where {before} were seen before");
            trips.push(Trip {
                guard: Guard::EmptySource,
                count: before - count,
                note,
            });
        }
    }
}

/// Counts what would be done, not what a mode would rather do.
fn segment_jump(plan: &Plan, guards: &Guards, trips: &mut Vec<Trip>) {
    for (index, list) in plan.lists.iter().enumerate() {
        let of_kind = |kind| plan.effects.of_list(kind, index);
        let changed = of_kind(EffectKind::ListAdd) + of_kind(EffectKind::ListRemove);
        let share = changed as f64 / list.seen.max(1) as f64;
        if list.seen >= guards.segment_jump_floor && share > guards.segment_jump_share {
            let note = format!(
                "list `{}`: {changed} of {} members would change ({:.0} %)",
                list.name,
                list.seen,
                share * 100.0
            );
            trips.push(Trip {
                guard: Guard::SegmentJump,
                count: changed,
                note,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tripped(kinds: &[(&str, u64, u64)]) -> Option<(u64, String)> {
        let kinds = kinds.iter().map(|(name, read, unreadable)| {
            let (read, unreadable) = (*read, *unreadable);
            ((*name).to_owned(), Legibility { read, unreadable })
        });
        let now = Circumstances {
            legibility: kinds.collect(),
            ..Circumstances::default()
        };
        let mut trips = Vec::new();
        super::unreadable(&now, &mut trips);
        assert!(trips.iter().all(|trip| trip.guard == Guard::Unreadable));
        let first = trips.into_iter().next();
        first.map(|trip| (trip.count, trip.note))
    }

    #[test]
    fn more_than_one_record_in_a_hundred_and_more_than_ten_stop_everything() {
        let stops = |read, unreadable| tripped(&[("x", read, unreadable)]).map(|(count, _)| count);
        assert_eq!(
            (stops(0, 0), stops(0, 10), stops(9_900, 100)),
            (None, None, None)
        );
        assert_eq!(stops(0, 11), Some(11));
        assert_eq!(stops(9_899, 101), Some(101));
    }

    #[test]
    fn one_kind_of_record_that_is_unreadable_is_not_hidden_by_the_others() {
        let (count, note) = tripped(&[("all", 1_000_000, 55), ("a", 9, 40), ("b", 0, 15)]).unwrap();
        assert_eq!(count, 40);
        assert_eq!(note, "a: 40 of 49 records could not be understood");
    }
}
