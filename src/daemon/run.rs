//! The loop that owns the shops' tasks.

use super::board::{Board, Phase};
use super::http;
use super::lock::KeyLocks;
use super::shop::{House, Keeper};
use super::{Notifier, OpenError, Shop, Signal, Vigil, Workshop};
use crate::clock::{Brake, Clock};
use crate::listen::{Listen, ListenError};
use crate::model::Moment;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;

/// The loop comes round at least this often.
const TICK: Duration = Duration::from_secs(10);
/// Wall time that gains or loses more than this between two ticks was set, or the machine slept.
const JUMP: Duration = Duration::from_secs(5);
/// What is asked for at each tick while shops are still being opened.
const START_EXTENSION: Duration = Duration::from_secs(60);

/// How the daemon runs; what it works on comes from the [`Workshop`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where health, status and metrics are served; nowhere when `None`.
    pub listen: Option<Listen>,
    /// How long running passes may take to finish after the wish to stop.
    pub grace: Duration,
    /// Where key locks are kept; see [`super::lock_dir`].
    pub lock_dir: PathBuf,
    /// Starts the random numbers that spread passes.
    pub seed: u64,
    /// Who hears of the daemon's state.
    pub notifier: Notifier,
}

/// How the daemon ended after it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every running pass came to its end.
    Clean,
    /// The passes of these shops were cut short; the next start recovers them.
    CutShort(Vec<String>),
}

/// One shop that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// The shop.
    pub name: String,
    /// Why.
    pub error: OpenError,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.error)
    }
}

/// The daemon could not begin its work.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(String),
    /// There is nothing to look after.
    #[error("the configuration names no shop; add a file for one")]
    Empty,
    /// The address for health and metrics cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Not one shop could be opened.
    #[error("no shop could be opened\n{}", .0.iter().map(|shop| format!("  {shop}")).collect::<Vec<_>>().join("\n"))]
    Unopened(Vec<Unopened>),
}

impl DaemonError {
    /// The exit code (reliability.md, section 10): of several shops, the first one's.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Empty => 78,
            Self::Listen(error) => error.exit(),
            Self::Unopened(shops) => shops.first().map_or(70, |shop| shop.error.exit),
        }
    }
}

/// Looks after all shops until told to stop.
///
/// Fails only while starting: when the configuration is bad, the address taken, or no shop can be
/// opened. Later every fault stays with its shop, and a bad configuration at a reload changes
/// nothing.
pub async fn run<W: Workshop>(
    workshop: W,
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    signals: mpsc::Receiver<Signal>,
) -> Result<Stopped, DaemonError> {
    let shops = workshop.load().map_err(DaemonError::Config)?;
    if shops.is_empty() {
        return Err(DaemonError::Empty);
    }
    let house = Arc::new(House {
        board: Arc::new(Board::new(clock.now(), clock.monotonic())),
        clock,
        metrics,
        keys: KeyLocks::new(settings.lock_dir.clone()),
    });
    // Up before the shops are, so that a long repair can be watched.
    let _server = match &settings.listen {
        Some(listen) => Some(http::serve(listen, house.clone()).await?),
        None => None,
    };
    let mut supervisor = Supervisor {
        workshop,
        settings,
        ticked: (house.clock.now(), house.clock.monotonic()),
        house,
        tasks: JoinSet::new(),
        charges: BTreeMap::new(),
        vigil: Vigil::default(),
        starving: None,
        said: String::new(),
    };
    for shop in shops {
        supervisor.employ(shop);
    }
    supervisor.run(signals).await
}

struct Supervisor<W: Workshop> {
    workshop: W,
    settings: Settings,
    house: Arc<House>,
    /// Each ends with its shop's name.
    tasks: JoinSet<String>,
    charges: BTreeMap<String, Charge<W::Shop>>,
    vigil: Vigil,
    /// Why the watchdog is not being fed, if so.
    starving: Option<String>,
    /// Wall and monotonic time of the last tick.
    ticked: (Moment, Duration),
    /// The last status line.
    said: String,
}

/// A shop's task, seen from the loop.
struct Charge<S> {
    task: Id,
    revision: String,
    brake: Brake,
    inbox: mpsc::UnboundedSender<S>,
}

impl<W: Workshop> Supervisor<W> {
    async fn run(mut self, mut signals: mpsc::Receiver<Signal>) -> Result<Stopped, DaemonError> {
        let clock = self.house.clock.clone();
        let period = self.settings.notifier.watchdog();
        let period = period.map_or(TICK, |bite| (bite / 3).min(TICK));
        let mut changes = self.house.board.changes();
        let mut next_tick = clock.monotonic();
        loop {
            self.settle()?;
            tokio::select! {
                signal = signals.recv() => match signal {
                    Some(Signal::Reload) => self.reload(),
                    Some(Signal::Dump) => self.dump(),
                    Some(Signal::Terminate) | None => break,
                },
                Ok(()) = changes.changed() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.bury(ended),
                () = clock.sleep(next_tick.saturating_sub(clock.monotonic())) => {
                    self.tick();
                    next_tick = clock.monotonic() + period;
                }
            }
        }
        Ok(self.drain(signals).await)
    }

    /// Starts a task for a shop.
    fn employ(&mut self, shop: W::Shop) {
        let (name, revision) = (shop.name().to_owned(), shop.revision().to_owned());
        let (brake, stop) = Brake::new();
        let (inbox, letters) = mpsc::unbounded_channel();
        // Shops of one process must not draw the same numbers.
        let seed = self.settings.seed ^ u64::from(crc32c::crc32c(name.as_bytes()));
        let keeper = Keeper::new(shop, letters, stop, self.house.clone(), seed);
        let span = tracing::info_span!("shop", store = name);
        let task = self.tasks.spawn(keeper.keep().instrument(span)).id();
        let charge = Charge {
            task,
            revision,
            brake,
            inbox,
        };
        self.charges.insert(name, charge);
    }

    /// Tells systemd what changed, and that we are ready once we are.
    fn settle(&mut self) -> Result<(), DaemonError> {
        let board = &self.house.board;
        if board.phase() == Phase::Starting {
            match board.settled() {
                None => {}
                Some(Ok(())) => {
                    board.set_phase(Phase::Ready);
                    self.settings.notifier.ready();
                    tracing::info!("Ready");
                }
                Some(Err(failed)) => {
                    let failed = failed.into_iter();
                    let failed = failed.map(|(name, error)| Unopened { name, error });
                    return Err(DaemonError::Unopened(failed.collect()));
                }
            }
        }
        self.say();
        Ok(())
    }

    fn say(&mut self) {
        let line = self.house.board.line();
        if line != self.said {
            self.settings.notifier.status(&line);
            self.said = line;
        }
    }

    /// Feeds the watchdog, unless a busy shop has stopped moving.
    fn tick(&mut self) {
        let House { board, clock, .. } = &*self.house;
        let (now, monotonic) = (clock.now(), clock.monotonic());
        if let Some(seconds) = jump(self.ticked, (now, monotonic)) {
            tracing::warn!(seconds, "The clock was set, or the machine slept");
        }
        self.ticked = (now, monotonic);
        let stuck = self.vigil.look(monotonic, &board.pulses(now));
        board.tick(monotonic, &stuck);
        let reason = board.alive(monotonic).err();
        if reason != self.starving {
            match &reason {
                Some(reason) => tracing::error!("The watchdog is not fed: {reason}"),
                None => tracing::info!("The watchdog is fed again"),
            }
            self.starving = reason;
        }
        if self.starving.is_some() {
            return;
        }
        let notifier = &self.settings.notifier;
        if notifier.watchdog().is_some() {
            notifier.feed_watchdog();
        }
        if board.phase() == Phase::Starting {
            notifier.extend_start(START_EXTENSION);
        }
    }

    /// Reads the configuration again and brings the tasks in line with it; a bad one changes nothing.
    fn reload(&mut self) {
        // While still starting, `READY=1` is owed anyway and must not come early.
        let announce = self.house.board.phase() == Phase::Ready;
        if announce {
            self.settings.notifier.reloading();
        }
        let now = self.house.clock.now();
        let loaded = match self.workshop.load() {
            Ok(shops) if shops.is_empty() => Err(DaemonError::Empty.to_string()),
            loaded => loaded,
        };
        let result = match loaded {
            Ok(shops) => {
                self.align(shops);
                Ok(())
            }
            Err(faults) => {
                tracing::error!("The new configuration has faults; the old one stays\n{faults}");
                Err(faults)
            }
        };
        self.house.board.note_reload(now, result);
        if announce {
            self.settings.notifier.ready();
        }
    }

    fn align(&mut self, shops: Vec<W::Shop>) {
        let mut gone = std::mem::take(&mut self.charges);
        let (mut new, mut changed) = (Vec::new(), 0);
        for shop in shops {
            let Some(mut charge) = gone.remove(shop.name()) else {
                new.push(shop);
                continue;
            };
            let name = shop.name().to_owned();
            if charge.revision != shop.revision() {
                changed += 1;
                charge.revision = shop.revision().to_owned();
                // Cannot fail before the task has ended, and then the end is on its way to `bury`.
                let _ = charge.inbox.send(shop);
            }
            self.charges.insert(name, charge);
        }
        tracing::info!(
            gone = gone.len(),
            changed,
            new = new.len(),
            "Configuration read again"
        );
        for charge in gone.values() {
            charge.brake.set();
        }
        for shop in new {
            self.employ(shop);
        }
    }

    fn dump(&self) {
        let House { board, clock, .. } = &*self.house;
        let status = board.status(clock.now());
        tracing::info!(%status, "Status as asked for");
    }

    /// A task has ended: as wished, or by a bug outside of a pass.
    fn bury(&mut self, ended: Result<(Id, String), JoinError>) {
        match ended {
            // A shop that left and came back has another task under its name by now.
            Ok((_, name)) if !self.charges.contains_key(&name) => {
                self.house.metrics.forget(&name);
            }
            Ok(_) => {}
            Err(error) => {
                let task = error.id();
                let lost = self.charges.extract_if(.., |_, charge| charge.task == task);
                for (store, _) in lost {
                    tracing::error!(
                        store,
                        "The shop's task ended by a bug; a reload starts it again"
                    );
                }
            }
        }
    }

    /// Lets running passes finish, starts no other, and gives up after the grace or another signal.
    async fn drain(mut self, mut signals: mpsc::Receiver<Signal>) -> Stopped {
        let House { board, clock, .. } = &*self.house;
        board.set_phase(Phase::Stopping);
        self.settings.notifier.stopping();
        self.settings.notifier.status(&board.line());
        tracing::info!(grace = self.settings.grace.as_secs(), "Stopping");
        for charge in self.charges.values() {
            charge.brake.set();
        }
        let again = async {
            while let Some(signal) = signals.recv().await {
                if signal == Signal::Terminate {
                    return;
                }
            }
            std::future::pending().await
        };
        let tasks = &mut self.tasks;
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all_ended => {
                tracing::info!("Stopped");
                return Stopped::Clean;
            }
            () = clock.sleep(self.settings.grace) => {}
            () = again => {}
        }
        let names = board.names();
        tracing::warn!(
            shops = names.join(", "),
            "Stopped before every pass had finished"
        );
        self.tasks.abort_all();
        Stopped::CutShort(names)
    }
}

/// Seconds by which wall time ran ahead of (or behind) elapsed time between two looks at both, if
/// more than [`JUMP`].
fn jump(before: (Moment, Duration), after: (Moment, Duration)) -> Option<i64> {
    let wall = after.0.0.saturating_sub(before.0.0);
    let elapsed = after.1.saturating_sub(before.1).as_millis();
    let gained = wall.saturating_sub(i64::try_from(elapsed).unwrap_or(i64::MAX));
    (u128::from(gained.unsigned_abs()) > JUMP.as_millis()).then_some(gained / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_drifts() {
        let seen = |wall_secs: i64, elapsed_secs: u64| {
            let elapsed = Duration::from_secs(elapsed_secs);
            jump(
                (Moment(0), Duration::ZERO),
                (Moment::from_secs(wall_secs), elapsed),
            )
        };
        assert_eq!(seen(10, 10), None);
        assert_eq!(seen(14, 10), None);
        assert_eq!(seen(10 - 3600, 10), Some(-3600));
        assert_eq!(seen(10 + 86_400, 10), Some(86_400));
    }
}
