//! The daemon: shops from configs, passes from shops.

use super::args::Run;
use super::shops;
use super::{Exit, output, reconcile, wish};
use crate::api::Budgets;
use crate::clock::{Clock, Stop};
use crate::config::{self, Environment};
use crate::daemon::{
    self, DaemonError, Notifier, OpenError, PassResult, Refusal, Settings, Stopped, Wish,
};
use crate::hooks::Hooks;
use crate::listen::Listen;
use crate::model::Moment;
use crate::pass::{Options, PassError};
use crate::report;
use crate::telemetry::{Meter, Metrics, Progress};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A request in flight, a page or a batch may end within this, and systemd waits longer.
const GRACE: Duration = Duration::from_secs(8);

/// Looks after all shops until a signal says stop.
pub(super) async fn run(args: &Run) -> Exit {
    if args.shops.config.is_empty() {
        let text = "give --config FILE (or a directory of files); `driftless demo` needs none";
        return output::fault(Exit::Usage, text);
    }
    let listen = match args.listen.as_deref().map(str::parse::<Listen>).transpose() {
        Ok(listen) => listen,
        Err(error) => return output::fault(Exit::Usage, &error.to_string()),
    };
    let signals = match daemon::signals() {
        Ok(signals) => signals,
        Err(error) => return output::fault(Exit::Bug, &format!("no signals: {error}")),
    };
    let metrics = Metrics::new();
    let workshop = Workshop {
        paths: args.shops.config.clone(),
        observe: args.observe,
        metrics: metrics.clone(),
        budgets: Budgets::default(),
    };
    let settings = Settings {
        listen,
        grace: GRACE,
        lock_dir: daemon::lock_dir(),
        seed: fastrand::u64(..),
        notifier: Notifier::from_env(),
    };
    match daemon::run(workshop, settings, Clock::System, metrics, signals).await {
        Ok(Stopped::Clean) => Exit::Done,
        Ok(Stopped::CutShort(names)) => {
            tracing::warn!(
                shops = names.join(", "),
                "passes cut short; the next start recovers them"
            );
            Exit::Done
        }
        Err(error) => output::fault(exit_of(&error), &error.to_string()),
    }
}

fn exit_of(error: &DaemonError) -> Exit {
    Exit::from_code(error.exit())
}

/// Reads configs, at the start and at every reload.
struct Workshop {
    paths: Vec<PathBuf>,
    observe: bool,
    metrics: Metrics,
    budgets: Budgets,
}

impl daemon::Workshop for Workshop {
    type Shop = ShopSettings;

    fn load(&self) -> Result<Vec<ShopSettings>, String> {
        let shops = config::load(&self.paths, &Environment::process());
        let shops = shops.map_err(|faults| faults.to_string())?;
        Ok(shops
            .into_iter()
            .map(|config| ShopSettings::new(config, self))
            .collect())
    }
}

struct ShopSettings {
    config: config::Shop,
    revision: String,
    fingerprint: String,
    observe: bool,
    meter: Meter,
    budgets: Budgets,
}

impl ShopSettings {
    fn new(config: config::Shop, workshop: &Workshop) -> Self {
        config
            .warnings
            .iter()
            .for_each(|text| tracing::warn!(shop = config.name, "{text}"));
        Self {
            revision: config.revision(),
            fingerprint: config.key_fingerprint(),
            observe: workshop.observe,
            meter: Meter::registered(&config.name, &workshop.metrics),
            budgets: workshop.budgets.clone(),
            config,
        }
    }
}

impl daemon::Shop for ShopSettings {
    type Worker = Worker;

    fn name(&self) -> &str {
        &self.config.name
    }

    fn state_dir(&self) -> &Path {
        &self.config.state_dir
    }

    fn revision(&self) -> &str {
        &self.revision
    }

    fn key_fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn next_pass(&self, after: Moment, random: u64) -> Moment {
        self.config.schedule.next(after, self.config.jitter, random)
    }

    async fn open(&self, _stop: Stop) -> Result<Worker, OpenError> {
        let (config, clock, meter) = (self.config.clone(), Clock::System, self.meter.clone());
        let open = || shops::open_unlocked(config, &self.budgets, &clock, meter);
        let opened = tokio::task::block_in_place(open);
        let shop = opened.map_err(|(exit, message)| OpenError {
            exit: exit.code(),
            message,
        })?;
        Ok(Worker {
            shop,
            observe: self.observe,
            meter: self.meter.clone(),
        })
    }
}

struct Worker {
    shop: crate::pass::Shop,
    observe: bool,
    meter: Meter,
}

impl daemon::Worker for Worker {
    fn last_pass(&self) -> Option<Moment> {
        // Unreadable counts as unknown: a pass at once is harmless, and says what is wrong.
        self.shop.last_pass().unwrap_or_default()
    }

    async fn pass(&mut self, stop: Stop) -> PassResult {
        let meter = self.meter.clone();
        let options = Options {
            observe: self.observe,
            progress: Progress::new(move |_| meter.beat()),
            stop,
            ..Options::default()
        };
        match self.shop.pass(&options).await {
            Ok(summary) => {
                let exit = reconcile::exit_of(&summary);
                self.meter.findings(&summary.findings);
                for ((kind, end), count) in &summary.effects.ends {
                    self.meter.effects(*kind, *end, *count);
                }
                self.meter.recovered(summary.effects.recovered);
                self.meter.quarantined(summary.quarantined);
                self.meter.gone("webhook", summary.gone.named);
                self.meter.gone("sweep", summary.gone.swept);
                self.meter.clock_skew(summary.clock_skew_ms as f64 / 1000.0);
                summary
                    .trips
                    .iter()
                    .for_each(|trip| self.meter.guard_tripped(trip.guard));
                self.meter.records("profiles", summary.people.profiles);
                self.meter.records("customers", summary.people.customers);
                PassResult {
                    // A guard waits for a person: trying sooner than usual cannot help.
                    ok: matches!(exit, Exit::Done | Exit::SomeRefused | Exit::Guard),
                    exit: exit.code(),
                    reopen: false,
                    summary: summary.line(),
                    status: report::json(&summary),
                }
            }
            Err(error) => PassResult {
                ok: false,
                exit: shops::exit_of(&error).code(),
                reopen: matches!(error, PassError::Erased { .. }),
                summary: error.to_string(),
                status: serde_json::Value::Null,
            },
        }
    }

    fn on_record(&self) -> serde_json::Value {
        serde_json::json!({
            "data_requests": report::data_requests(&self.shop.data_requests()),
            "readings_due": self.shop.readings_due().ok(),
        })
    }

    fn hooks(&self) -> Option<Hooks> {
        self.shop.hooks()
    }

    async fn fulfil(&mut self, wish: Wish) -> Result<String, Refusal> {
        let done = wish::carry_out(&mut self.shop, &wish).await;
        done.map_err(|(exit, message)| {
            let exit = exit.code();
            Refusal { exit, message }
        })
    }

    fn is_broken(&self) -> bool {
        self.shop.is_broken()
    }

    fn back_up(&mut self) -> Result<File, Refusal> {
        let made = tokio::task::block_in_place(|| self.shop.back_up());
        made.map_err(|error| {
            let (exit, message) = shops::fault_of_backup(error);
            let exit = exit.code();
            Refusal { exit, message }
        })
    }
}
