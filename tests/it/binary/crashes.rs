//! `kill -9` at random moments of opening, pulling and applying, over and over.
//!
//! `DRIFTLESS_KILLS` says how often (100), `DRIFTLESS_SEED` which moments, shops and changes (1). What
//! the vendors and the journal have to say about it is read together after every kill. Each shop has
//! the seed after that of the one before, so that one of them can be run again alone.

use super::lab::{Lab, Town};
use super::siege::{Phase, Siege, Stage};
use crate::house::setting;
use std::collections::BTreeMap;
use std::time::Instant;

/// One shop lives through so many kills; then there is a new one, with everything still to be done.
const PER_SHOP: u32 = 25;

#[test]
#[ignore = "takes minutes; .ci/run runs it"]
fn a_crash_at_any_moment_loses_nothing_and_doubles_nothing() {
    let kills = u32::try_from(setting("DRIFTLESS_KILLS", 100)).unwrap();
    let seed = setting("DRIFTLESS_SEED", 1);
    println!("DRIFTLESS_KILLS={kills} DRIFTLESS_SEED={seed}");
    let begun = Instant::now();
    let mut toll: BTreeMap<Phase, u32> = BTreeMap::new();
    for shop in 0..kills.div_ceil(PER_SHOP) {
        let (lab, seed) = (Lab::new(), seed + u64::from(shop));
        let mut siege = Siege::lay(&lab, Town::fast(200, seed), seed);
        let mut left = PER_SHOP.min(kills - shop * PER_SHOP);
        for (stage, still) in Stage::ALL.iter().zip((1..=Stage::ALL.len() as u32).rev()) {
            let some = left.div_ceil(still);
            siege.endure(*stage, some);
            left -= some;
        }
        for (phase, count) in siege.lift() {
            *toll.entry(phase).or_default() += count;
        }
        println!("shop {shop} came through, {:?} so far", begun.elapsed());
    }
    println!("{kills} kills in {:?}: {toll:?}", begun.elapsed());
    for (phase, least) in Phase::SHARES {
        let hit = toll.get(&phase).copied().unwrap_or(0);
        let least = (f64::from(kills) * least) as u32;
        assert!(hit >= least, "{phase:?} was hit {hit} times, not {least}");
    }
}
