//! Random lives of small shops: customers, merchants, operators, vendors and crashes in any order,
//! and every invariant looked at after each step.
//!
//! `DRIFTLESS_SEEDS` says how many lives (200), `DRIFTLESS_SEED` which is the first (1). One seed
//! decides everything about a life; a failure names it with every step up to there.

mod erased;
mod knobs;
mod life;
mod others;
mod step;

use crate::house::setting;
use crate::threads::{alone, side_by_side};
use life::Life;
use std::time::Instant;

/// A life from its first fill to its rest; gives back everything that it left behind.
fn live(seed: u64) -> Vec<String> {
    alone(async {
        let mut life = Life::begin(seed).await;
        life.go().await;
        life.rest().await;
        life.story()
    })
}

fn live_all(first: u64, count: u64) {
    println!("DRIFTLESS_SEEDS={count} DRIFTLESS_SEED={first}");
    let begun = Instant::now();
    side_by_side(count, |nth| drop(live(first + nth)));
    println!("{count} lives in {:?}", begun.elapsed());
}

#[test]
fn a_few_random_lives_keep_every_invariant() {
    live_all(1, 4);
}

#[test]
#[ignore = "takes minutes; .ci/run runs it"]
fn random_lives_keep_every_invariant() {
    live_all(
        setting("DRIFTLESS_SEED", 1),
        setting("DRIFTLESS_SEEDS", 200),
    );
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [11, 12] {
        let (one, other) = (live(seed), live(seed));
        let differing = one.iter().zip(&other).find(|(a, b)| a != b);
        assert_eq!(differing, None, "DRIFTLESS_SEED={seed}");
        assert_eq!(one.len(), other.len(), "DRIFTLESS_SEED={seed}");
    }
}
