//! The budget of one endpoint class.

use super::memory::{RESERVED_FOR, Remembered, Sent};
use super::{MINUTE, SECOND};
use crate::api::{Answer, Limits};
use crate::clock::Clock;
use crate::model::Moment;
use crate::pace::{Ceiling, Hold, PAD, RateHeaders, Window};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;

/// No wait that the vendor asked for ends everywhere at the same instant; at most this is added.
const JITTER: Duration = Duration::from_millis(500);

/// No vendor's wait is believed to be longer (reliability.md, section 7, row 36).
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// What was sent before this process began lies this far back at most.
const LOOKBACK: Duration = Duration::from_secs(120);

/// Our clock as governor's, so that virtual time paces too. It does not begin at zero: windows look
/// back beyond the start.
#[derive(Clone, Debug)]
pub(super) struct QuotaClock(pub Clock);

impl QuotaClock {
    pub fn time(&self) -> Duration {
        self.0.monotonic() + LOOKBACK
    }
}

impl governor::clock::Clock for QuotaClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.time()
    }
}

/// A token at a time out of a governor. One that was drawn is kept until it is used: governor takes
/// none back.
#[derive(Debug)]
struct Tokens {
    governor: RateLimiter<NotKeyed, InMemoryState, QuotaClock, NoOpMiddleware<Duration>>,
    drawn: bool,
    burst: u32,
}

impl Tokens {
    fn new(per_second: f64, burst: u32, clock: &QuotaClock) -> Self {
        let period = Duration::from_secs_f64(1.0 / per_second.max(1e-4));
        let quota = Quota::with_period(period).expect("a period above zero is a quota");
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Self {
            governor: RateLimiter::direct_with_clock(quota.allow_burst(burst), clock.clone()),
            drawn: false,
            burst: burst.get(),
        }
    }

    /// Gives a token of the burst up: a restart is no idle time. One token alone is no burst.
    fn forgo(&self) {
        if self.burst > 1 {
            let _ = self.governor.check();
        }
    }

    fn wait(&mut self, now: Duration) -> Duration {
        if self.drawn {
            return Duration::ZERO;
        }
        match self.governor.check() {
            Ok(()) => {
                self.drawn = true;
                Duration::ZERO
            }
            // Never zero, or a loop on a clock that stands still would not end.
            Err(early) => early.wait_time_from(now).max(Duration::from_millis(1)),
        }
    }
}

/// After a refusal one request finds out whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    None,
    Due,
    Sent,
}

/// Whether a request of the class may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ready {
    /// After this long; zero is now.
    In(Duration),
    /// When another one has its answer.
    AfterProbe,
}

/// What an answer gave away about the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// The class must not be asked for so long.
    pub parked: Option<Duration>,
    /// Refused twice in a row, though nobody else was seen on the key.
    pub over_limit: bool,
    /// It should have told the state of the window, and did not.
    pub untold: bool,
}

#[derive(Debug)]
pub(super) struct ClassBudget {
    burst: Window,
    steady: Window,
    ceiling: Ceiling,
    hold: Hold,
    /// Even over the minute, and over the second.
    pace: [Tokens; 2],
    pub daily: Option<u32>,
    limits: Limits,
    probe: Probe,
    refused_last: bool,
    foreign_seen: Option<Duration>,
    reserved_until: Duration,
    reserved: u32,
    pub kept: Remembered,
}

impl ClassBudget {
    pub fn new(limits: Limits, share: f64, clock: &QuotaClock) -> Self {
        Self {
            burst: Window::new(limits.burst, SECOND),
            steady: Window::new(limits.steady, MINUTE),
            ceiling: Ceiling::new(limits.steady),
            hold: Hold::default(),
            pace: pace(limits, share, clock),
            daily: limits.daily.map(|cap| part(cap, share)),
            limits,
            probe: Probe::None,
            refused_last: false,
            foreign_seen: None,
            reserved_until: Duration::ZERO,
            reserved: 0,
            kept: Remembered::default(),
        }
    }

    /// Another share of the limits.
    pub fn share(&mut self, share: f64, clock: &QuotaClock) {
        self.pace = pace(self.limits, share, clock);
        self.daily = self.limits.daily.map(|cap| part(cap, share));
    }

    /// Takes up what an earlier process left; what is known already is not counted twice.
    pub fn take_up(&mut self, mut past: Remembered, now: Duration, wall: Moment) {
        // What is over says nothing any more, and what lies ahead was written by a clock that was wrong.
        past.prune(wall);
        past.sent.retain(|sent| sent.at <= wall);
        past.parked = past.parked.map(|until| until.min(wall.plus(LONGEST_HOLD)));
        // What was reserved alone left at once, the others within a second, all by now.
        let within = match self.chunk() {
            1 => Duration::ZERO,
            _ => RESERVED_FOR,
        };
        for sent in past.sent {
            let more = self.kept.add(sent);
            let age = wall.since(sent.at.plus(within));
            let sent = now.saturating_sub(age);
            for _ in 0..more.min(self.limits.steady) {
                self.burst.record(sent);
                self.steady.record(sent);
                self.pace[0].forgo();
            }
        }
        if let Some(until) = past.parked {
            self.hold.extend(now, until.since(wall));
            self.kept.parked = self.kept.parked.max(past.parked);
        }
        self.kept.prune(wall);
    }

    pub fn ready(&mut self, now: Duration) -> Ready {
        let windows = self.burst.wait(now).max(self.steady.wait(now));
        let wait = windows.max(self.hold.wait(now));
        match (wait.is_zero(), self.probe) {
            (true, Probe::Sent) => Ready::AfterProbe,
            (true, Probe::None | Probe::Due) => {
                let [steady, burst] = &mut self.pace;
                Ready::In(steady.wait(now).max(burst.wait(now)))
            }
            (false, _) => Ready::In(wait),
        }
    }

    /// Counts a send; whether it is the probe, and whether it had to be reserved.
    pub fn send(&mut self, now: Duration, wall: Moment, by: u64) -> (bool, bool) {
        self.burst.record(now);
        self.steady.record(now);
        self.pace.iter_mut().for_each(|tokens| tokens.drawn = false);
        let probes = self.probe == Probe::Due;
        if probes {
            self.probe = Probe::Sent;
        }
        let fresh = self.reserved == 0 || now >= self.reserved_until;
        if fresh {
            self.reserved = self.chunk();
            self.reserved_until = now + RESERVED_FOR;
            self.kept.prune(wall);
            let known = self
                .kept
                .sent
                .iter()
                .find(|one| (one.at, one.by) == (wall, by));
            let count = known.map_or(0, |one| one.count) + self.reserved;
            self.kept.add(Sent {
                at: wall,
                by,
                count,
            });
        }
        self.reserved -= 1;
        (probes, fresh)
    }

    /// As many as may leave at once are reserved together: one write to the disk for all of them.
    fn chunk(&self) -> u32 {
        part(self.limits.burst.min(self.limits.steady), 0.1)
    }

    /// The probe was not refused.
    pub fn probe_answered(&mut self) {
        if self.probe == Probe::Sent {
            self.probe = Probe::None;
        }
    }

    /// The probe brought no answer; there will be another.
    pub fn probe_lost(&mut self) {
        if self.probe == Probe::Sent {
            self.probe = Probe::Due;
        }
    }

    /// Reads what the answer says about the limits.
    pub fn observe(&mut self, answer: &Answer, at: (Duration, Moment), jitter: f64) -> Observed {
        let (now, wall) = at;
        let jitter = JITTER.mul_f64(jitter);
        if answer.status == 429 {
            let wait = answer.headers.retry_after.unwrap_or(MINUTE).max(SECOND) + PAD + jitter;
            self.hold.extend(now, wait);
            self.kept.parked = self.kept.parked.max(Some(wall.plus(wait)));
            self.probe = Probe::Due;
            let again = std::mem::replace(&mut self.refused_last, true);
            let foreign = self.foreign_seen;
            let alone = foreign.is_none_or(|seen| now.saturating_sub(seen) > MINUTE);
            return Observed {
                parked: Some(wait),
                over_limit: again && alone,
                untold: false,
            };
        }
        self.refused_last = false;
        self.probe_answered();
        let untold = match answer.headers.rate.filter(RateHeaders::is_sound) {
            Some(headers) => {
                self.read(headers, now, jitter);
                false
            }
            None => (200..300).contains(&answer.status),
        };
        Observed {
            untold,
            ..Observed::default()
        }
    }

    fn read(&mut self, headers: RateHeaders, now: Duration, jitter: Duration) {
        self.hold.observe(now, headers, MINUTE, jitter);
        let ours = self.steady.count_since(now.saturating_sub(MINUTE + PAD));
        if headers.limit - headers.remaining > ours {
            self.foreign_seen = Some(now);
        }
    }

    /// A limit in force that changed by what the header says; the pace follows.
    pub fn adapt(&mut self, answer: &Answer, now: Duration, share: f64, clock: &QuotaClock) {
        let headers = answer.headers.rate.filter(RateHeaders::is_sound);
        let limit = headers.and_then(|headers| self.ceiling.observe(headers.limit, now));
        if let Some(limit) = limit {
            self.limits.steady = limit;
            self.steady.set_limit(limit);
            self.pace = pace(self.limits, share, clock);
        }
    }
}

/// An even pace at `share` of the minute. What a hold or an idle time left over is made up for by a
/// twentieth of the minute at most: more would be missed by others on the key in some window, less
/// would lose what the holds cost. Within a second it stays inside the second's share, even when it
/// arrives a little closer together.
fn pace(limits: Limits, share: f64, clock: &QuotaClock) -> [Tokens; 2] {
    let share = share.clamp(0.01, 1.0);
    let steady = share * f64::from(limits.steady) / MINUTE.as_secs_f64();
    let (tenth, of_second) = (part(limits.burst, 0.1), share * f64::from(limits.burst));
    let burst = (of_second - f64::from(tenth)).max(of_second / 2.0) / (SECOND + PAD).as_secs_f64();
    [
        Tokens::new(steady, part(limits.steady, 0.05), clock),
        Tokens::new(burst.max(steady), tenth, clock),
    ]
}

/// A share of a limit, at least one.
fn part(limit: u32, share: f64) -> u32 {
    // In range by construction: a share of at most 1 of a u32.
    (f64::from(limit) * share.clamp(0.0, 1.0)).floor().max(1.0) as u32
}
