//! One shop's task: open it, do a pass whenever one is due, and never let go wrong what concerns
//! others.

use super::board::{Board, Entry};
use super::control::{Control, Errand, Panicked};
use super::lock::{KeyLocks, SharedLock};
use super::{OpenError, PassResult, Shop, Worker};
use crate::clock::{Clock, Stop};
use crate::hooks::Hooks;
use crate::listen::Server;
use crate::model::Moment;
use crate::telemetry::{Metrics, PassEnd};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Timers do not run while the machine sleeps, so wall time is looked at this often.
const LOOK: Duration = Duration::from_secs(30);
const FIRST_BACKOFF: Duration = Duration::from_secs(30);
const LAST_BACKOFF: Duration = Duration::from_secs(3600);
/// A vendor that refuses the key is asked again no sooner than this (reliability.md, section 7, row 41).
const PROBE: Duration = Duration::from_secs(15 * 60);
/// "Permission denied" in sysexits.
const REFUSED: u8 = 77;
/// "Internal software error" in sysexits.
const BUG: u8 = 70;

/// What all shops share.
pub(super) struct House {
    pub board: Arc<Board>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub keys: KeyLocks,
}

/// Looks after one shop.
pub(super) struct Keeper<S: Shop> {
    shop: S,
    /// The same shop with changed settings.
    inbox: mpsc::UnboundedReceiver<S>,
    stop: Stop,
    house: Arc<House>,
    entry: Entry,
    random: fastrand::Rng,
    last_start: Option<Moment>,
    /// Passes that failed since the last good one.
    failures: u32,
    /// No pass before this, because the last one failed.
    not_before: Option<Moment>,
}

/// Why a wait is over.
#[derive(Debug)]
enum Woken {
    Due,
    /// Somebody wants something else than a pass.
    Asked(Errand),
    Replaced,
    Stopped,
}

impl<S: Shop> Keeper<S> {
    pub fn new(
        shop: S,
        inbox: mpsc::UnboundedReceiver<S>,
        stop: Stop,
        house: Arc<House>,
        seed: u64,
    ) -> Self {
        let now = house.clock.now();
        let entry = house.board.enter(shop.name(), shop.meter().clone(), now);
        Self {
            shop,
            inbox,
            stop,
            house,
            entry,
            random: fastrand::Rng::with_seed(seed),
            last_start: None,
            failures: 0,
            not_before: None,
        }
    }

    /// Runs until told to stop; returns the shop's name.
    pub async fn keep(mut self) -> String {
        while let Some((worker, _lock)) = self.open().await {
            self.tend(worker).await;
        }
        self.shop.name().to_owned()
    }

    /// Opens the shop, as often as it takes; `None` when told to stop.
    async fn open(&mut self) -> Option<(S::Worker, SharedLock)> {
        let mut attempts = 0;
        while !self.stop.is_set() {
            self.entry.opening(self.shop.meter(), self.now());
            let error = match self.try_open().await {
                Ok(open) => return Some(open),
                Err(_) if self.stop.is_set() => break,
                Err(error) => error,
            };
            attempts += 1;
            let retry = self.now().plus(backoff(attempts, self.random.u64(..)));
            tracing::error!(exit = error.exit, %retry, "Cannot open the shop: {error}");
            self.entry.unopened(error, retry, self.now());
            if matches!(
                self.wait(retry, &mut Control::closed(), None).await,
                Woken::Replaced
            ) {
                attempts = 0;
            }
        }
        None
    }

    async fn try_open(&self) -> Result<(S::Worker, SharedLock), OpenError> {
        let keys = &self.house.keys;
        let lock = keys.share(self.shop.key_fingerprint(), self.now());
        let lock = lock.map_err(|error| OpenError {
            exit: error.exit(),
            message: error.to_string(),
        })?;
        let opening = AssertUnwindSafe(self.shop.open(self.stop.clone())).catch_unwind();
        let worker = opening.await.unwrap_or_else(|_| {
            Err(OpenError {
                exit: BUG,
                message: "opening panicked: a bug; the log has the place".to_owned(),
            })
        })?;
        Ok((worker, lock))
    }

    /// Does passes until told to stop, given other settings, one of them panics, or the worker breaks.
    async fn tend(&mut self, mut worker: S::Worker) {
        self.last_start = self.last_start.max(worker.last_pass());
        let mut due = self.first_due();
        // Dropped before the worker, whose lock makes the directory, and so the socket file, ours.
        let mut control = Control::open(self.shop.state_dir());
        let hooks = worker.hooks();
        let _server = self.hear(hooks.as_ref()).await;
        while !worker.is_broken() {
            self.entry.waiting(due, worker.on_record(), self.now());
            match self.wait(due, &mut control, hooks.as_ref()).await {
                Woken::Due => {}
                Woken::Asked(Errand::Backup(answer)) => {
                    answer.with(|| worker.back_up());
                    continue;
                }
                Woken::Asked(Errand::Wish(wish, answer)) => {
                    match answer.by(worker.fulfil(wish)).await {
                        Ok(()) => continue,
                        Err(Panicked) => return,
                    }
                }
                Woken::Replaced | Woken::Stopped => return,
            }
            let is_over = self.pass(&mut worker).await;
            if is_over {
                return;
            }
            due = self.next_due();
        }
    }

    /// Hears the shop's webhooks, if any are wanted. Where that is not possible, the shop goes on without:
    /// the pull finds everything.
    async fn hear(&self, hooks: Option<&Hooks>) -> Option<Server> {
        let hooks = hooks?;
        let server = hooks.serve().await;
        if let Err(error) = &server {
            tracing::error!(%error, "No webhooks are heard");
        }
        let deaf = server.as_ref().err().map(ToString::to_string);
        self.entry.hears(hooks, deaf);
        server.ok()
    }

    /// One pass; `true` when the worker is not to be used again.
    async fn pass(&mut self, worker: &mut S::Worker) -> bool {
        let (started, begun) = (self.now(), self.house.clock.monotonic());
        self.last_start = Some(started);
        self.entry.running(started);
        tracing::info!("Pass begins");
        // A panicked worker is never touched again, so nothing broken can be observed in it.
        let pass = AssertUnwindSafe(worker.pass(self.stop.clone())).catch_unwind();
        let caught = pass.await;
        let took = self.house.clock.monotonic().saturating_sub(begun);
        let (end, result) = match caught {
            Ok(result) if result.ok => (PassEnd::Ok, result),
            Ok(result) => (PassEnd::Failed, result),
            Err(_) => (PassEnd::Panicked, panic_result()),
        };
        let reopen = result.reopen;
        self.record(started, took, end, result);
        // After a panic, half-changed state must not meet another pass: opening anew recovers it.
        reopen
    }

    fn record(&mut self, started: Moment, took: Duration, end: PassEnd, result: PassResult) {
        let seconds = took.as_secs_f64();
        let (exit, summary) = (result.exit, &result.summary);
        if end == PassEnd::Ok {
            (self.failures, self.not_before) = (0, None);
            tracing::info!(seconds, exit, "Pass done: {summary}");
        } else if self.stop.is_set() {
            tracing::info!(seconds, exit, "Pass stopped: {summary}");
        } else {
            self.failures += 1;
            let rest = match exit {
                REFUSED => PROBE,
                _ => backoff(self.failures, self.random.u64(..)),
            };
            self.not_before = Some(self.now().plus(rest));
            tracing::error!(
                seconds,
                exit,
                in_a_row = self.failures,
                "Pass failed: {summary}"
            );
        }
        let metrics = &self.house.metrics;
        metrics.pass(self.shop.name(), end, took, self.now());
        self.entry.finished(started, took, result, self.failures);
    }

    /// After opening: overdue passes are done at once, and once only.
    fn first_due(&mut self) -> Moment {
        let now = self.now();
        let random = self.random.u64(..);
        let due = self.last_start.map_or(now, |last| {
            // A start on record that lies ahead means that the clock was wrong then.
            self.shop.next_pass(last.min(now), random)
        });
        self.not_before.map_or(due, |rest| rest.max(due))
    }

    /// After a pass: counted from its start; times that it overran are skipped.
    fn next_due(&mut self) -> Moment {
        let now = self.now();
        let random = self.random.u64(..);
        let planned = self.shop.next_pass(self.last_start.unwrap_or(now), random);
        let due = match planned > now {
            true => planned,
            false => self.shop.next_pass(now, random),
        };
        self.not_before.map_or(due, |rest| rest.max(due))
    }

    /// Waits until `due`, by wall time or by elapsed time, whichever comes first: a clock set back
    /// must not put a pass off.
    /// What webhooks brought hastens it.
    async fn wait(&mut self, due: Moment, control: &mut Control, hooks: Option<&Hooks>) -> Woken {
        let mut heard = hooks.map(Hooks::changes);
        let (clock, begun) = (self.house.clock.clone(), self.house.clock.monotonic());
        let span = due.since(clock.now());
        loop {
            if self.stop.is_set() {
                return Woken::Stopped;
            }
            if let Ok(shop) = self.inbox.try_recv() {
                return self.adopt(shop);
            }
            if let Some(errand) = control.asked_already() {
                return Woken::Asked(errand);
            }
            let waited = clock.monotonic().saturating_sub(begun);
            let left = due.since(clock.now()).min(span.saturating_sub(waited));
            let hastened = hooks.and_then(|hooks| self.hastened(hooks));
            let left = hastened.map_or(left, |at| left.min(at.since(clock.now())));
            if left.is_zero() {
                return Woken::Due;
            }
            tokio::select! {
                () = self.stop.wait() => return Woken::Stopped,
                Some(shop) = self.inbox.recv() => return self.adopt(shop),
                errand = control.asked() => return Woken::Asked(errand),
                () = changed(&mut heard) => {}
                () = clock.sleep(left.min(LOOK)) => {}
            }
        }
    }

    /// When a pass is due because of webhooks. After a failure they wait, too.
    fn hastened(&self, hooks: &Hooks) -> Option<Moment> {
        let due = hooks.due(self.last_start)?;
        Some(self.not_before.map_or(due, |rest| rest.max(due)))
    }

    /// Goes on with changed settings, which earlier failures say nothing about.
    fn adopt(&mut self, shop: S) -> Woken {
        tracing::info!("Settings changed; the shop is opened anew");
        self.shop = shop;
        (self.failures, self.not_before) = (0, None);
        Woken::Replaced
    }

    fn now(&self) -> Moment {
        self.house.clock.now()
    }
}

/// The next change, if there is anything that changes.
async fn changed(heard: &mut Option<watch::Receiver<()>>) {
    let ended = match heard {
        Some(heard) => heard.changed().await.is_err(),
        None => true,
    };
    if ended {
        std::future::pending().await
    }
}

/// Half a minute, doubled with every further failure up to an hour; the later half is left to
/// chance, so that shops which failed together do not return together.
fn backoff(failures: u32, random: u64) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let half = doubled.min(LAST_BACKOFF) / 2;
    let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    half + Duration::from_millis(random % (millis + 1))
}

fn panic_result() -> PassResult {
    PassResult {
        ok: false,
        exit: BUG,
        reopen: true,
        summary: "the pass panicked: a bug; the log has the place".to_owned(),
        status: serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_half_a_minute_to_an_hour_and_is_spread() {
        let secs = |failures, random| backoff(failures, random).as_secs();
        assert_eq!((secs(1, 0), secs(1, 15_000)), (15, 30));
        assert_eq!((secs(3, 0), secs(3, 60_000)), (60, 120));
        assert_eq!((secs(50, 0), secs(50, 1_800_000)), (1800, 3600));
        for random in 0..10_000 {
            let rest = backoff(2, random * 7_919);
            assert!((30..=60).contains(&rest.as_secs()), "{rest:?}");
        }
    }
}
