//! Every operation goes wrong once: each commit of the mirror, each append to the journal, each sync of
//! one, and each request of three scenarios, each in four ways.
//!
//! A scenario runs undisturbed first, and its operations are counted. Then it runs again and again from
//! the same beginning, each time with one operation that goes wrong; after that passes without a fault
//! must end where the undisturbed run ended, with every invariant kept on the way.
//!
//! `DRIFTLESS_EVERY` says that every so many of these mishaps is tried (3, so that each operation is hit; 1
//! for all), `DRIFTLESS_MISHAP` which is the first (0). A failure names the one to run again.

mod case;
mod flaky;
mod scenario;

use crate::house::setting;
use crate::threads::{alone, side_by_side};
use case::{Mishap, suffer};
use scenario::Scenario;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// One of so many takes seconds; odd, so that all four ways have their turn.
const SPARSE: u64 = 37;

/// From some mishap on, tries every so many of all that are possible.
fn try_every(step: u64, first: u64) {
    println!("DRIFTLESS_EVERY={step} DRIFTLESS_MISHAP={first}");
    let begun = Instant::now();
    let (mut possible, mut tried) = (0, 0);
    for scenario in Scenario::ALL {
        let base = alone(scenario.prepare());
        let mishaps = Mishap::all(&base.operations);
        let chosen = (possible..).zip(&mishaps);
        let chosen = chosen.filter(|(nth, _)| *nth >= first && (nth - first).is_multiple_of(step));
        let chosen: Vec<(u64, &Mishap)> = chosen.collect();
        let (operations, count) = (&base.operations, chosen.len() as u64);
        println!("{scenario:?}: {operations:?}, {count} mishaps");
        side_by_side(count, |at| {
            let (nth, mishap) = chosen[at as usize];
            let suffered = catch_unwind(AssertUnwindSafe(|| alone(suffer(&base, mishap))));
            if let Err(panic) = suffered {
                eprintln!(
                    "DRIFTLESS_EVERY=1000000 DRIFTLESS_MISHAP={nth}: {mishap:?} in {scenario:?}"
                );
                resume_unwind(panic);
            }
        });
        possible += mishaps.len() as u64;
        tried += count;
    }
    println!("{tried} of {possible} mishaps in {:?}", begun.elapsed());
}

#[test]
fn after_an_operation_that_goes_wrong_passes_end_where_they_should() {
    try_every(SPARSE, 0);
}

#[test]
#[ignore = "takes minutes; .ci/run runs it"]
fn after_any_operation_that_goes_wrong_passes_end_where_they_should() {
    try_every(
        setting("DRIFTLESS_EVERY", 3),
        setting("DRIFTLESS_MISHAP", 0),
    );
}
