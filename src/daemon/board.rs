//! What is going on in each shop, for `/status`, the probes, systemd's status line and the watchdog.

use super::{OpenError, PassResult, Pulse};
use crate::hooks::Hooks;
use crate::model::Moment;
use crate::telemetry::Meter;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The loop is taken for dead when it has not ticked for so long.
const TICK_OVERDUE: Duration = Duration::from_secs(60);

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        }
    }
}

/// What a shop's task is doing.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Opening,
    Unopened(OpenError),
    Waiting,
    Running,
}

impl State {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Unopened(_) => "unopened",
            Self::Waiting => "waiting",
            Self::Running => "running",
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }

    const fn is_busy(&self) -> bool {
        matches!(self, Self::Opening | Self::Running)
    }
}

struct LastPass {
    started: Moment,
    took: Duration,
    result: PassResult,
}

struct ShopView {
    name: String,
    meter: Meter,
    state: State,
    since: Moment,
    /// Whether the first attempt to open it is over.
    settled: bool,
    next: Option<Moment>,
    last: Option<LastPass>,
    last_success: Option<Moment>,
    failures: u32,
    /// What is on record of it, whatever the last pass said.
    records: Value,
    /// What hears its webhooks, and why it cannot, if so.
    hooks: Option<(Hooks, Option<String>)>,
}

struct Inner {
    phase: Phase,
    started: Moment,
    reload: Option<(Moment, Result<(), String>)>,
    ticked: Duration,
    stuck: BTreeSet<String>,
    shops: BTreeMap<u64, ShopView>,
    next_id: u64,
}

/// The shared board; every change can be awaited.
pub(super) struct Board {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

impl Board {
    pub fn new(now: Moment, monotonic: Duration) -> Self {
        Self {
            inner: Mutex::new(Inner {
                phase: Phase::Starting,
                started: now,
                reload: None,
                ticked: monotonic,
                stuck: BTreeSet::new(),
                shops: BTreeMap::new(),
                next_id: 0,
            }),
            changed: watch::Sender::new(()),
        }
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn phase(&self) -> Phase {
        self.inner().phase
    }

    pub fn set_phase(&self, phase: Phase) {
        self.change(|inner| inner.phase = phase);
    }

    pub fn note_reload(&self, now: Moment, result: Result<(), String>) {
        self.change(|inner| inner.reload = Some((now, result)));
    }

    /// The loop came round and found these shops stuck.
    pub fn tick(&self, monotonic: Duration, stuck: &[u64]) {
        let mut inner = self.inner();
        inner.ticked = monotonic;
        let named = stuck.iter().filter_map(|id| inner.shops.get(id));
        inner.stuck = named.map(|shop| shop.name.clone()).collect();
    }

    /// Puts a shop on the board until its entry is dropped.
    pub fn enter(self: &Arc<Self>, name: &str, meter: Meter, now: Moment) -> Entry {
        let mut id = 0;
        self.change(|inner| {
            id = inner.next_id;
            inner.next_id += 1;
            inner.shops.insert(
                id,
                ShopView {
                    name: name.to_owned(),
                    meter,
                    state: State::Opening,
                    since: now,
                    settled: false,
                    next: None,
                    last: None,
                    last_success: None,
                    failures: 0,
                    records: Value::Null,
                    hooks: None,
                },
            );
        });
        let board = self.clone();
        Entry { id, board }
    }

    /// One pulse for each shop.
    pub fn pulses(&self, now: Moment) -> BTreeMap<u64, Pulse> {
        let inner = self.inner();
        let pulses = inner.shops.iter().map(|(id, shop)| {
            let (beats, parked_until) = shop.meter.pulse();
            let pulse = Pulse {
                busy: shop.state.is_busy(),
                parked: parked_until.is_some_and(|until| until > now),
                beats,
            };
            (*id, pulse)
        });
        pulses.collect()
    }

    /// Once every shop's first attempt to open is over: the shops that failed, or `Ok` when at least
    /// one is open. `None` until then.
    pub fn settled(&self) -> Option<Result<(), Vec<(String, OpenError)>>> {
        let inner = self.inner();
        if inner.shops.values().any(|shop| !shop.settled) {
            return None;
        }
        if inner.shops.values().any(|shop| shop.state.is_open()) {
            return Some(Ok(()));
        }
        let failed = inner.shops.values().filter_map(|shop| match &shop.state {
            State::Unopened(error) => Some((shop.name.clone(), error.clone())),
            State::Opening | State::Waiting | State::Running => None,
        });
        Some(Err(failed.collect()))
    }

    /// The names of the shops that are still here.
    pub fn names(&self) -> Vec<String> {
        let inner = self.inner();
        inner.shops.values().map(|shop| shop.name.clone()).collect()
    }

    /// Whether the process lives, or why not.
    pub fn alive(&self, monotonic: Duration) -> Result<(), String> {
        let inner = self.inner();
        if monotonic.saturating_sub(inner.ticked) >= TICK_OVERDUE {
            return Err("the loop does not come round".to_owned());
        }
        if inner.stuck.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = inner.stuck.iter().map(String::as_str).collect();
        Err(format!("stuck: {}", names.join(", ")))
    }

    /// Whether work is being done, or why not.
    pub fn ready(&self) -> Result<(), String> {
        let inner = self.inner();
        if inner.phase != Phase::Ready {
            return Err(inner.phase.as_str().to_owned());
        }
        match inner.shops.values().any(|shop| shop.state.is_open()) {
            true => Ok(()),
            false => Err("no shop is open".to_owned()),
        }
    }

    /// One line for `systemctl status`.
    pub fn line(&self) -> String {
        let inner = self.inner();
        let shops = || inner.shops.values();
        let all = shops().count();
        let open = shops().filter(|shop| shop.state.is_open()).count();
        let running = shops().filter(|shop| shop.state == State::Running);
        let failing = shops().filter(|shop| shop.failures > 0 || !shop.state.is_open());
        let mut line = format!(
            "{}: {open} of {all} shops open, {} running",
            inner.phase.as_str(),
            running.count()
        );
        let failing: Vec<&str> = failing.map(|shop| shop.name.as_str()).take(5).collect();
        if inner.phase == Phase::Ready && !failing.is_empty() {
            line += &format!("; look at {}", failing.join(", "));
        }
        if let Some(next) = shops().filter_map(|shop| shop.next).min() {
            line += &format!("; next pass at {next}");
        }
        line
    }

    /// Everything, for `/status`. Times are RFC 3339, spans are seconds.
    pub fn status(&self, now: Moment) -> Value {
        let inner = self.inner();
        let mut shops: Vec<&ShopView> = inner.shops.values().collect();
        shops.sort_by(|a, b| a.name.cmp(&b.name));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "state": inner.phase.as_str(),
            "now": now.to_string(),
            "started": inner.started.to_string(),
            "reload": inner.reload.as_ref().map(|(at, result)| json!({
                "at": at.to_string(),
                "ok": result.is_ok(),
                "faults": result.as_ref().err(),
            })),
            "shops": shops.into_iter().map(|shop| view(shop, &inner.stuck, now)).collect::<Vec<_>>(),
        })
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner());
        self.changed.send_replace(());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(shop: &ShopView, stuck: &BTreeSet<String>, now: Moment) -> Value {
    let problem = match &shop.state {
        State::Unopened(error) => Some(json!({ "exit": error.exit, "message": error.message })),
        State::Opening | State::Waiting | State::Running => None,
    };
    let (beats, parked_until) = shop.meter.pulse();
    let text = |at: Moment| at.to_string();
    json!({
        "name": shop.name,
        "state": shop.state.as_str(),
        "since": text(shop.since),
        "stuck": stuck.contains(&shop.name),
        "beats": beats,
        "parked_until": parked_until.filter(|until| *until > now).map(text),
        "parked": shop.meter.holding(now).into_iter()
            .map(|(class, until)| (class, json!(text(until))))
            .collect::<Map<_, _>>(),
        "out_of_reach": shop.meter.unreached().into_iter()
            .map(|(api, one)| (api.as_str().to_owned(), json!({
                "how": one.told(),
                "since": text(one.since),
            })))
            .collect::<Map<_, _>>(),
        "problem": problem,
        "failures_in_a_row": shop.failures,
        "next_pass": shop.next.map(text),
        "on_record": shop.records,
        "webhooks": shop.hooks.as_ref().map(|(hooks, deaf)| {
            let mut view = hooks.status();
            view["problem"] = json!(deaf);
            view
        }),
        "last_success": shop.last_success.map(text),
        "last_pass": shop.last.as_ref().map(|last| json!({
            "started": text(last.started),
            "seconds": last.took.as_secs_f64(),
            "ok": last.result.ok,
            "exit": last.result.exit,
            "summary": last.result.summary,
            "detail": last.result.status,
        })),
    })
}

/// One shop's place on the board, kept by its task; it vanishes with the task.
pub(super) struct Entry {
    id: u64,
    board: Arc<Board>,
}

impl Entry {
    pub fn opening(&self, meter: &Meter, now: Moment) {
        self.change(|shop| {
            shop.meter = meter.clone();
            (shop.state, shop.since, shop.next) = (State::Opening, now, None);
            shop.hooks = None;
        });
    }

    pub fn unopened(&self, error: OpenError, retry: Moment, now: Moment) {
        self.change(|shop| {
            (shop.state, shop.since) = (State::Unopened(error), now);
            (shop.settled, shop.next) = (true, Some(retry));
        });
    }

    pub fn waiting(&self, next: Moment, records: Value, now: Moment) {
        self.change(|shop| {
            shop.records = records;
            (shop.state, shop.since) = (State::Waiting, now);
            (shop.settled, shop.next) = (true, Some(next));
        });
    }

    /// From now on, or not, for that reason.
    pub fn hears(&self, hooks: &Hooks, deaf: Option<String>) {
        self.change(|shop| shop.hooks = Some((hooks.clone(), deaf)));
    }

    pub fn running(&self, now: Moment) {
        self.change(|shop| (shop.state, shop.since, shop.next) = (State::Running, now, None));
    }

    pub fn finished(&self, started: Moment, took: Duration, result: PassResult, failures: u32) {
        self.change(|shop| {
            if result.ok {
                shop.last_success = Some(started.plus(took));
            }
            shop.failures = failures;
            shop.last = Some(LastPass {
                started,
                took,
                result,
            });
        });
    }

    fn change(&self, change: impl FnOnce(&mut ShopView)) {
        self.board.change(|inner| {
            if let Some(shop) = inner.shops.get_mut(&self.id) {
                change(shop);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.board.change(|inner| {
            inner.shops.remove(&self.id);
        });
    }
}
