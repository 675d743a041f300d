//! How long to wait after a failure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(900);

/// Full jitter: anything between nothing and a ceiling that doubles from 1 s to 15 min with every
/// failed attempt. `attempt` counts from zero.
pub fn full_jitter(attempt: u32, random: &mut fastrand::Rng) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempt));
    doubled.min(LONGEST).mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_a_quarter_of_an_hour_and_every_part_of_it_is_used() {
        let mut random = fastrand::Rng::with_seed(7);
        for (attempt, ceiling) in [(0, 1), (1, 2), (5, 32), (9, 512), (10, 900), (40, 900)] {
            let waits: Vec<f64> = (0..500)
                .map(|_| full_jitter(attempt, &mut random).as_secs_f64())
                .collect();
            let ceiling = f64::from(ceiling);
            assert!(waits.iter().all(|wait| *wait <= ceiling));
            assert!(waits.iter().any(|wait| *wait > 0.9 * ceiling));
            assert!(waits.iter().any(|wait| *wait < 0.1 * ceiling));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..5)
                .map(|attempt| full_jitter(attempt, &mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
