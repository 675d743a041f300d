//! One quota of the vendor's, shared by all shops that draw on it.

use super::class::{ClassBudget, Observed, QuotaClock, Ready};
use super::lane::Lane;
use super::memory::{self, BudgetMemory, Keeper, Remembered};
use crate::api::{Answer, Call, Class, Limits};
use crate::clock::Clock;
use crate::model::Moment;
use crate::pace::DayLedger;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// More than this machine can send.
const NO_LIMITS: Limits = Limits {
    burst: 20_000,
    steady: 1_000_000,
    daily: None,
};

/// The quotas of a process, by account or key. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Budgets(Arc<Mutex<BTreeMap<String, Arc<Quota>>>>);

impl Budgets {
    /// The quota of that name, of which at most `share` may be used from now on. One without limits is a
    /// sandbox's.
    pub(super) fn quota(&self, name: &str, share: f64, limits: bool, clock: &Clock) -> Arc<Quota> {
        let mut quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Quota::new(share, limits, clock.clone()));
        let quota = quotas.entry(name.to_owned()).or_insert_with(fresh).clone();
        drop(quotas);
        quota.set_share(share);
        quota
    }
}

/// The budgets of all classes of one account.
pub(super) struct Quota {
    /// Tells this one's sends from those of an earlier process, or of another one here.
    id: u64,
    clock: QuotaClock,
    state: Mutex<State>,
}

struct State {
    share: f64,
    /// Whether those of the classes hold.
    limits: bool,
    classes: BTreeMap<&'static str, ClassBudget>,
    /// By class, as its name and itself.
    lanes: BTreeMap<&'static str, (&'static Class, Lane)>,
    ledger: DayLedger,
    /// Of classes that were not asked yet.
    past: BTreeMap<String, Remembered>,
    /// The server's clock with the time of its reading: midnight is the server's.
    server: Option<(Moment, Duration)>,
    keepers: BTreeMap<u64, Keeper>,
    next_seat: u64,
    random: fastrand::Rng,
}

/// What a request that waits is told.
#[derive(Debug)]
pub(super) enum Turn {
    /// Leave; whether as the probe after a refusal.
    Go { probes: bool },
    /// Ask again after this long.
    In(Duration),
    /// Wait until called.
    Queued,
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").finish_non_exhaustive()
    }
}

impl Quota {
    fn new(share: f64, limits: bool, clock: Clock) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Seeded by the time, so that two processes do not draw alike and a test's clock repeats itself.
        let seed = clock.now().0.unsigned_abs();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            id: (u64::from(std::process::id()) << 32) | count,
            clock: QuotaClock(clock),
            state: Mutex::new(State {
                share,
                limits,
                classes: BTreeMap::new(),
                lanes: BTreeMap::new(),
                ledger: DayLedger::default(),
                past: BTreeMap::new(),
                server: None,
                keepers: BTreeMap::new(),
                next_seat: 0,
                random: fastrand::Rng::with_seed(seed),
            }),
        }
    }

    fn set_share(&self, share: f64) {
        let mut state = self.lock();
        if state.share.to_bits() != share.to_bits() {
            state.share = share;
            let classes = state.classes.values_mut();
            classes.for_each(|class| class.share(share, &self.clock));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for somebody who keeps the memory.
    pub fn sit(&self, keeper: Keeper) -> u64 {
        let mut state = self.lock();
        let seat = state.next_seat;
        state.next_seat += 1;
        state.keepers.insert(seat, keeper);
        seat
    }

    /// Keeps it no longer.
    pub fn rise(&self, seat: u64) {
        self.lock().keepers.remove(&seat);
    }

    pub fn memory(&self) -> BudgetMemory {
        self.lock().memory(self.clock.0.now())
    }

    /// Takes up what an earlier process left.
    pub fn recall(&self, memory: BudgetMemory) {
        let mut state = self.lock();
        let state = &mut *state;
        state.ledger.restore(memory.days.clone());
        let (now, wall) = (self.clock.time(), self.clock.0.now());
        for (name, past) in memory::by_class(memory) {
            match state.classes.get_mut(name.as_str()) {
                Some(class) => class.take_up(past, now, wall),
                None => state.past.entry(name).or_default().merge(past),
            }
        }
    }

    /// Queues a request in the lane of its class.
    pub fn join(&self, shop: &str, call: &Call) -> (u64, Arc<Notify>) {
        let mut state = self.lock();
        let fresh = || (call.class, Lane::default());
        let lanes = state.lanes.entry(call.class.name);
        lanes.or_insert_with(fresh).1.join(shop, call, 1)
    }

    /// A request that leaves the lane without having been sent.
    pub fn leave(&self, class: &'static Class, id: u64) {
        let mut state = self.lock();
        let lane = state.lanes.get_mut(class.name);
        if lane.is_some_and(|(_, lane)| lane.leave(id)) {
            self.call_next(&mut state, class);
        }
    }

    /// Claims a send in every class of the call, if it is its turn.
    ///
    /// # Errors
    /// When the count of a day could not be written down before the request.
    pub fn turn(&self, call: &Call, id: u64) -> io::Result<Turn> {
        let mut state = self.lock();
        // Looked at once: whoever is found to be first is the one who leaves.
        let surcharges = self.surcharges(&mut state, call.class);
        let Some((first, ready)) = first_of(&state, call.class, &surcharges) else {
            return Ok(Turn::Queued);
        };
        match ready {
            _ if first != id => return Ok(Turn::Queued),
            Ready::AfterProbe => return Ok(Turn::Queued),
            Ready::In(wait) if !wait.is_zero() => return Ok(Turn::In(wait)),
            Ready::In(_) => {}
        }
        if let Some((_, lane)) = state.lanes.get_mut(call.class.name) {
            lane.serve(|waiting| surcharges.of(waiting.surcharge) == Ready::In(Duration::ZERO));
        }
        let sent = self.send(&mut state, call);
        if sent.is_err() {
            // It does not leave: another one will probe, and may have what it counted.
            for class in call.surcharge.into_iter().chain([call.class]) {
                if let Some(budget) = state.classes.get_mut(class.name) {
                    budget.probe_lost();
                    if budget.daily.is_some() {
                        state.ledger.take_back(class.name);
                    }
                }
            }
        }
        self.call_next(&mut state, call.class);
        Ok(Turn::Go { probes: sent? })
    }

    fn send(&self, state: &mut State, call: &Call) -> io::Result<bool> {
        let (now, wall) = (self.clock.time(), self.clock.0.now());
        let day = state.day(now, wall);
        let (mut probes, mut counted, mut changed) = (false, false, false);
        for class in call.surcharge.into_iter().chain([call.class]) {
            let Some(budget) = state.classes.get_mut(class.name) else {
                continue;
            };
            let (probe, reserved) = budget.send(now, wall, self.id);
            (probes, changed) = (probes | probe, changed | reserved);
            if budget.daily.is_some() {
                state.ledger.record(class.name, day);
                (counted, changed) = (true, true);
            }
        }
        match changed.then(|| state.keep(wall, counted)) {
            // A day's count that is lost would be spent twice; a second's only costs a refusal.
            Some(Err(error)) if counted => Err(error),
            Some(Err(error)) => {
                tracing::warn!(%error, "what was sent is not remembered over a restart");
                Ok(probes)
            }
            Some(Ok(())) | None => Ok(probes),
        }
    }

    /// Reads what an answer says about the limits.
    pub fn observe(&self, class: &'static Class, answer: &Answer) -> Observed {
        let mut state = self.lock();
        let (now, wall) = (self.clock.time(), self.clock.0.now());
        if let Some(date) = answer.headers.date {
            state.server = Some((date, now));
        }
        let (jitter, share, limits) = (state.random.f64(), state.share, state.limits);
        let Some(budget) = state.classes.get_mut(class.name) else {
            return Observed::default();
        };
        if !limits && answer.status != 429 {
            budget.probe_answered();
            self.call_all(&mut state);
            return Observed::default();
        }
        let observed = budget.observe(answer, (now, wall), jitter);
        if answer.status != 429 {
            budget.adapt(answer, now, share, &self.clock);
        }
        if observed.parked.is_some()
            && let Err(error) = state.keep(wall, true)
        {
            tracing::warn!(%error, "a wait is not remembered over a restart");
        }
        self.call_all(&mut state);
        observed
    }

    /// A probe is over: without a refusal, or without any answer.
    pub fn probed(&self, class: &'static Class, is_answered: bool) {
        let mut state = self.lock();
        match (state.classes.get_mut(class.name), is_answered) {
            (Some(budget), true) => budget.probe_answered(),
            (Some(budget), false) => budget.probe_lost(),
            (None, _) => {}
        }
        self.call_all(&mut state);
    }

    /// What an answer changed for its class may have been waited for in other lanes: surcharges are
    /// shared.
    fn call_all(&self, state: &mut State) {
        let lanes = state.lanes.values();
        let busy = lanes.filter(|(_, lane)| lane.waiting().next().is_some());
        let busy: Vec<_> = busy.map(|(class, _)| *class).collect();
        busy.into_iter()
            .for_each(|class| self.call_next(state, class));
    }

    /// Wakes whose turn it is now.
    fn call_next(&self, state: &mut State, class: &'static Class) {
        let surcharges = self.surcharges(state, class);
        if let Some((first, _)) = first_of(state, class, &surcharges)
            && let Some((_, lane)) = state.lanes.get(class.name)
        {
            lane.wake(first);
        }
    }

    /// When a request of the class may leave, by its surcharge.
    fn surcharges(&self, state: &mut State, class: &'static Class) -> Surcharges {
        let own = self.ready(state, class);
        let lane = state.lanes.get(class.name);
        let classes = lane.into_iter().flat_map(|(_, lane)| lane.waiting());
        let classes: Vec<_> = classes.filter_map(|one| one.surcharge).collect();
        let mut by_class = BTreeMap::new();
        for class in classes {
            let ready = by_class.get(class.name).copied();
            let ready = ready.unwrap_or_else(|| self.ready(state, class).max(own));
            by_class.insert(class.name, ready);
        }
        Surcharges { own, by_class }
    }

    fn ready(&self, state: &mut State, class: &'static Class) -> Ready {
        let (now, wall) = (self.clock.time(), self.clock.0.now());
        let day = state.day(now, wall);
        let Some(published) = class.limits else {
            return Ready::In(Duration::ZERO);
        };
        let limits = if state.limits { published } else { NO_LIMITS };
        let (share, past) = (state.share, &mut state.past);
        let budget = state.classes.entry(class.name).or_insert_with(|| {
            let mut fresh = ClassBudget::new(limits, share, &self.clock);
            fresh.take_up(past.remove(class.name).unwrap_or_default(), now, wall);
            fresh
        });
        let today = budget.daily.map_or(Duration::ZERO, |cap| {
            state.ledger.wait(class.name, cap, day)
        });
        budget.ready(now).max(Ready::In(today))
    }
}

/// Whose turn it is among those who wait the shortest for all their budgets.
fn first_of(state: &State, class: &'static Class, surcharges: &Surcharges) -> Option<(u64, Ready)> {
    let (_, lane) = state.lanes.get(class.name)?;
    let waits = lane.waiting().map(|one| surcharges.of(one.surcharge));
    let soonest = waits.min()?;
    let (first, _) = lane.first(|one| surcharges.of(one.surcharge) == soonest)?;
    Some((first, soonest))
}

struct Surcharges {
    own: Ready,
    by_class: BTreeMap<&'static str, Ready>,
}

impl Surcharges {
    fn of(&self, surcharge: Option<&'static Class>) -> Ready {
        let ready = surcharge.and_then(|class| self.by_class.get(class.name));
        ready.copied().unwrap_or(self.own)
    }
}

impl State {
    /// The server's time, by which days begin.
    fn day(&self, now: Duration, wall: Moment) -> Moment {
        let since = |(date, read): (Moment, Duration)| date.plus(now.saturating_sub(read));
        self.server.map_or(wall, since)
    }

    fn memory(&self, wall: Moment) -> BudgetMemory {
        let mut memory = BudgetMemory {
            days: self.ledger.counts().clone(),
            ..BudgetMemory::default()
        };
        for (name, past) in &self.past {
            past.write(name, wall, &mut memory);
        }
        for (name, class) in &self.classes {
            class.kept.write(name, wall, &mut memory);
        }
        memory
    }

    /// Writes the memory down wherever somebody keeps it; also over a power cut, if it must last longer
    /// than a start of the machine takes. One place that has it is enough: a start takes up all of them.
    fn keep(&self, wall: Moment, lasting: bool) -> io::Result<()> {
        if self.keepers.is_empty() {
            return Ok(());
        }
        let memory = self.memory(wall);
        let kept = self.keepers.values().map(|keep| keep(&memory, lasting));
        let (kept, lost): (Vec<_>, Vec<_>) = kept.partition(Result::is_ok);
        match lost.into_iter().find_map(Result::err) {
            Some(error) if kept.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(%error, "one of the shops cannot write down what is spent");
                Ok(())
            }
            None => Ok(()),
        }
    }
}
