//! When to leave a failing vendor alone, and how often to try again.

use std::collections::VecDeque;
use std::time::Duration;

/// Requests and how many of them went wrong, over a span that ends now.
#[derive(Clone, Debug)]
struct Rolling {
    span: Duration,
    slices: VecDeque<Slice>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    from: Duration,
    all: u32,
    marked: u32,
}

/// A span is counted in so many slices; the oldest is forgotten as a whole.
const SLICES: u32 = 30;

impl Rolling {
    fn new(span: Duration) -> Self {
        let slices = VecDeque::new();
        Self { span, slices }
    }

    fn add(&mut self, now: Duration, marked: bool) {
        let length = self.span / SLICES;
        match self.slices.back_mut() {
            Some(slice) if now.saturating_sub(slice.from) < length => {
                slice.all += 1;
                slice.marked += u32::from(marked);
            }
            _ => self.slices.push_back(Slice {
                from: now,
                all: 1,
                marked: u32::from(marked),
            }),
        }
    }

    /// All and marked.
    fn counts(&mut self, now: Duration) -> (u32, u32) {
        let span = self.span;
        self.slices
            .retain(|slice| now.saturating_sub(slice.from) < span);
        let slices = self.slices.iter();
        slices.fold((0, 0), |(all, marked), slice| {
            (all + slice.all, marked + slice.marked)
        })
    }
}

/// Of the requests within five minutes at most a tenth may be repeats, so that a failing vendor is
/// not asked many times as often as a sound one (reliability.md, section 6, rule 7).
#[derive(Clone, Debug)]
pub struct RetryBudget(Rolling);

/// So many repeats are always free: a tenth of a few requests is none.
const FREE: u32 = 10;

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Rolling::new(Duration::from_secs(300)))
    }
}

impl RetryBudget {
    /// Counts a request that is not a repeat.
    pub fn first(&mut self, now: Duration) {
        self.0.add(now, false);
    }

    /// Counts a repeat, if there may be one.
    pub fn may_repeat(&mut self, now: Duration) -> bool {
        let (all, repeats) = self.0.counts(now);
        let fits = repeats < FREE || (repeats + 1) * 10 <= all + 1;
        if fits {
            self.0.add(now, true);
        }
        fits
    }
}

/// Opens when half of the requests of a minute failed, and at least twenty were made; then lets one
/// probe through after a rest that doubles with every probe that fails.
#[derive(Clone, Debug)]
pub struct Circuit {
    seen: Rolling,
    state: State,
    /// Rests in a row.
    rests: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Nothing is sent before this.
    Open(Duration),
    /// One probe is on its way since then.
    Probing(Duration),
}

/// What the circuit says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Go on.
    Open,
    /// Not now; worth another try after this long.
    Shut(Duration),
}

const LEAST: u32 = 20;
const FIRST_REST: Duration = Duration::from_secs(60);
const LAST_REST: Duration = Duration::from_secs(900);

impl Default for Circuit {
    fn default() -> Self {
        Self {
            seen: Rolling::new(Duration::from_secs(60)),
            state: State::Closed,
            rests: 0,
        }
    }
}

impl Circuit {
    /// Whether a request may be sent; whoever is let through an open circuit is its probe.
    pub fn gate(&mut self, now: Duration) -> Gate {
        match self.state {
            State::Closed => Gate::Open,
            State::Open(until) if now < until => Gate::Shut(until - now),
            // A probe that was given up tells nothing; after a rest there is another.
            State::Probing(since) if now < since + FIRST_REST => {
                Gate::Shut(since + FIRST_REST - now)
            }
            State::Open(_) | State::Probing(_) => {
                self.state = State::Probing(now);
                Gate::Open
            }
        }
    }

    /// Takes note of how a request ended; `true` when the circuit opens by it, not when it stays open.
    pub fn note(&mut self, now: Duration, failed: bool) -> bool {
        self.seen.add(now, failed);
        match (self.state, failed) {
            (State::Probing(_), false) => {
                *self = Self::default();
                false
            }
            (State::Probing(_), true) => {
                self.rest(now);
                false
            }
            (State::Closed, true) => {
                let (all, failures) = self.seen.counts(now);
                let opens = all >= LEAST && failures * 2 >= all;
                if opens {
                    self.rest(now);
                }
                opens
            }
            // What was on its way when it opened changes nothing.
            (State::Open(_), _) | (State::Closed, false) => false,
        }
    }

    fn rest(&mut self, now: Duration) {
        let doubled = FIRST_REST.saturating_mul(2_u32.saturating_pow(self.rests));
        self.rests += 1;
        self.state = State::Open(now + doubled.min(LAST_REST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1_000);

    fn seconds(count: u64) -> Duration {
        AT + Duration::from_secs(count)
    }

    #[test]
    fn a_tenth_of_five_minutes_may_be_repeats_and_ten_always() {
        let mut budget = RetryBudget::default();
        assert_eq!((0..50).filter(|_| budget.may_repeat(AT)).count(), 10);
        (0..500).for_each(|second| budget.first(seconds(second / 5)));
        let repeats = (0..500).filter(|_| budget.may_repeat(seconds(100))).count();
        assert_eq!(10 + repeats, 55, "of 500 requests and themselves");
        assert!(!budget.may_repeat(seconds(290)));
        assert!(budget.may_repeat(seconds(401)), "five minutes on");
    }

    #[test]
    fn half_of_twenty_within_a_minute_open_the_circuit() {
        let mut circuit = Circuit::default();
        for second in 0..19 {
            assert!(!circuit.note(seconds(second), true));
        }
        assert!(circuit.note(seconds(19), true));
        assert_eq!(circuit.gate(seconds(19)), Gate::Shut(FIRST_REST));

        let mut mixed = Circuit::default();
        for second in 0..50 {
            assert!(!mixed.note(seconds(second), second % 5 < 2), "two of five");
        }
        let mut slow = Circuit::default();
        for step in 0..100 {
            assert!(!slow.note(seconds(step * 4), true), "15 a minute");
        }
    }

    #[test]
    fn one_probe_goes_through_and_a_rest_doubles_up_to_a_quarter_of_an_hour() {
        let mut circuit = Circuit::default();
        for _ in 0..20 {
            circuit.note(AT, true);
        }
        let mut now = AT;
        for rest in [60, 120, 240, 480, 900, 900] {
            let rest = Duration::from_secs(rest);
            assert_eq!(circuit.gate(now), Gate::Shut(rest));
            now += rest;
            assert_eq!(circuit.gate(now), Gate::Open);
            assert_eq!(circuit.gate(now), Gate::Shut(FIRST_REST), "one probe only");
            assert!(!circuit.note(now, true), "said once");
        }
        assert_eq!(circuit.gate(now + LAST_REST), Gate::Open);
        circuit.note(now + LAST_REST, false);
        assert_eq!(circuit.gate(now + LAST_REST), Gate::Open);
        assert_eq!(circuit.gate(now + LAST_REST), Gate::Open);
    }

    #[test]
    fn a_probe_that_was_given_up_is_followed_by_another() {
        let mut circuit = Circuit::default();
        for _ in 0..20 {
            circuit.note(AT, true);
        }
        assert_eq!(circuit.gate(seconds(60)), Gate::Open);
        assert_eq!(circuit.gate(seconds(120)), Gate::Open);
    }
}
