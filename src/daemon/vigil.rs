//! When the watchdog may be fed: only while every busy shop moves on.

use std::collections::BTreeMap;
use std::time::Duration;

/// A busy shop may go without a sign of life for so long.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What is known of one shop at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// A pass runs, or the shop is being opened.
    pub busy: bool,
    /// It waits for something announced, such as a daily quota.
    pub parked: bool,
    /// Signs of life so far.
    pub beats: u64,
}

/// Remembers when each shop last moved on.
#[derive(Clone, Debug, Default)]
pub struct Vigil {
    seen: BTreeMap<u64, (Pulse, Duration)>,
}

impl Vigil {
    /// Takes one look at every shop and returns those that are stuck: busy, not parked, and without
    /// a sign of life for [`PATIENCE`]. `now` is monotonic time; shops that are gone are forgotten.
    pub fn look(&mut self, now: Duration, pulses: &BTreeMap<u64, Pulse>) -> Vec<u64> {
        self.seen.retain(|shop, _| pulses.contains_key(shop));
        for (shop, pulse) in pulses {
            let (last, moved) = self.seen.entry(*shop).or_insert((*pulse, now));
            // Rest and parking count as moving on: patience begins anew when they end.
            if !pulse.busy || pulse.parked || pulse != last {
                (*last, *moved) = (*pulse, now);
            }
        }
        let stuck = self.seen.iter();
        let stuck = stuck.filter(|(_, (_, moved))| now.saturating_sub(*moved) >= PATIENCE);
        stuck.map(|(shop, _)| *shop).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [u64; 0] = [];
    const MINUTE: Duration = Duration::from_secs(60);

    fn busy(beats: u64) -> Pulse {
        Pulse {
            busy: true,
            parked: false,
            beats,
        }
    }

    fn look(vigil: &mut Vigil, minute: u32, pulse: Pulse) -> Vec<u64> {
        vigil.look(MINUTE * minute, &BTreeMap::from([(7, pulse)]))
    }

    #[test]
    fn a_busy_shop_without_beats_is_stuck_after_five_minutes() {
        let mut vigil = Vigil::default();
        assert_eq!(look(&mut vigil, 10, busy(3)), NOBODY);
        assert_eq!(look(&mut vigil, 14, busy(3)), NOBODY);
        assert_eq!(look(&mut vigil, 15, busy(3)), [7]);
        assert_eq!(
            look(&mut vigil, 16, busy(4)),
            NOBODY,
            "one beat and it is well"
        );
    }

    #[test]
    fn beats_keep_a_long_pass_alive() {
        let mut vigil = Vigil::default();
        for minute in 0..600 {
            assert_eq!(
                look(&mut vigil, minute, busy(u64::from(minute / 4))),
                NOBODY
            );
        }
    }

    #[test]
    fn a_resting_or_parked_shop_is_never_stuck_and_gets_fresh_patience() {
        let mut vigil = Vigil::default();
        for (busy, parked) in [(false, false), (true, true)] {
            let beats = 1;
            let idle = Pulse {
                busy,
                parked,
                beats,
            };
            for minute in 0..30 {
                assert_eq!(look(&mut vigil, minute, idle), NOBODY);
            }
            let work = self::busy(beats);
            assert_eq!(look(&mut vigil, 30, work), NOBODY);
            assert_eq!(look(&mut vigil, 34, work), NOBODY);
            assert_eq!(look(&mut vigil, 35, work), [7]);
        }
    }

    #[test]
    fn one_stuck_shop_is_told_from_the_others_and_forgotten_when_it_leaves() {
        let mut vigil = Vigil::default();
        vigil.look(MINUTE, &BTreeMap::from([(1, busy(1)), (2, busy(1))]));
        let later = BTreeMap::from([(1, busy(1)), (2, busy(2))]);
        assert_eq!(vigil.look(MINUTE * 9, &later), [1]);
        assert_eq!(vigil.look(MINUTE * 9, &BTreeMap::new()), NOBODY);
        assert_eq!(
            vigil.look(MINUTE * 30, &later),
            NOBODY,
            "a newcomer starts fresh"
        );
    }
}
