//! Distributions.

use crate::model::Moment;
use fastrand::Rng;
use std::collections::BTreeSet;

/// An exponential span with this mean.
pub(super) fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -(1.0 - rng.f64()).ln() * mean
}

/// A gamma variate with scale 1 (Marsaglia and Tsang 2000); `shape` of at least 1.
pub(super) fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - rng.f64();
        if v > 0.0 && u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}

/// A standard normal variate (Box and Muller 1958).
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// True with this probability.
pub(super) fn happens(rng: &mut Rng, probability: f64) -> bool {
    rng.f64() < probability
}

/// One of the items, each as likely as its weight; nothing weighs more than nothing.
pub(super) fn weighted<'a, T>(rng: &mut Rng, items: &'a [(T, u32)]) -> Option<&'a T> {
    let all: u32 = items.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.u32(..all.max(1));
    let found = items.iter().find(|(_, weight)| {
        let here = left < *weight;
        left = left.saturating_sub(*weight);
        here
    });
    found.map(|(item, _)| item)
}

/// `count` different numbers below `below`, or all of them when there are not so many.
pub(super) fn pick(rng: &mut Rng, below: usize, count: usize) -> BTreeSet<usize> {
    if count >= below {
        return (0..below).collect();
    }
    // Floyd's sampling: one draw for each number picked.
    let mut picked = BTreeSet::new();
    for last in below - count..below {
        let number = rng.usize(..=last);
        picked.insert(if picked.contains(&number) {
            last
        } else {
            number
        });
    }
    picked
}

/// An instant between two others.
pub(super) fn between(rng: &mut Rng, from: Moment, to: Moment) -> Moment {
    Moment(rng.i64(from.0..to.0.max(from.0 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_as_asked() {
        let mut rng = Rng::with_seed(7);
        let mean =
            |draw: &mut dyn FnMut() -> f64| (0..20_000).map(|_| draw()).sum::<f64>() / 20_000.0;
        assert!((mean(&mut || exponential(&mut rng, 5.0)) - 5.0).abs() < 0.2);
        assert!((mean(&mut || gamma(&mut rng, 1.5)) - 1.5).abs() < 0.05);
        assert!(mean(&mut || normal(&mut rng)).abs() < 0.05);
    }

    #[test]
    fn a_pick_has_no_repeats_and_no_more_than_there_are() {
        let mut rng = Rng::with_seed(7);
        assert_eq!(pick(&mut rng, 100, 10).len(), 10);
        assert_eq!(pick(&mut rng, 3, 10).len(), 3);
        assert_eq!(
            weighted(&mut rng, &[("never", 0), ("always", 3)]),
            Some(&"always")
        );
    }
}
