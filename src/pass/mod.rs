//! One pass for one shop: the flow of the whole house, in the order in which data runs.
//!
//! A pass takes no hints about what changed. A timer, a signal or a restart may cause it; what it
//! does depends only on what both vendors say and what the mirror and the journal hold.

mod evaluate;
mod files;
mod forget;
mod observe;
mod parity;
mod plan_file;
mod privacy;
mod probation;
mod records;
mod release;
pub mod segments;
mod shop;
mod summary;
mod undo;

pub use evaluate::Evaluation;
pub use forget::Belongings;
pub use parity::Parity;
pub use plan_file::{Head, PlanFile, PlanFileError};
pub use probation::put_on_probation;
pub use release::{ReleaseError, Released, hold, release};
pub use shop::{OpenError, OpenNotes, Shop};
pub use summary::{Effects, People, Summary, Traffic};

use crate::api::WriteGrant;
use crate::clock::Stop;
use crate::journal::RunId;
use crate::model::{EffectKind, Mentions, Moment};
use crate::plan::guard;
use crate::policy::{Allowances, Guard, Lock};
use crate::pull::{Fresh, Pull, PullError, Pulled};
use crate::push::{Push, PushError, Pushed};
use crate::telemetry::Progress;
use crate::unify;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What a pass is to bring about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// What the rules want.
    #[default]
    Rules,
    /// That what a run changed is as it was before, wherever nobody changed it since.
    Undo(RunId),
}

/// What may differ from one pass to the next.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What it is to bring about.
    pub task: Task,
    /// Nothing but what this plan says. Its task is that of the pass.
    pub only: Option<Arc<PlanFile>>,
    /// Write nothing, whatever the mode.
    pub observe: bool,
    /// Evaluate as of this instant instead of now. Writes nothing.
    pub as_of: Option<Moment>,
    /// Guards released for this pass.
    pub allow: Allowances,
    /// Who watches.
    pub progress: Progress,
    /// Ends the pass at the next page or batch.
    pub stop: Stop,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// While reading.
    #[error("pull: {0}")]
    Pull(#[from] PullError),
    /// While writing.
    #[error("push: {0}")]
    Push(#[from] PushError),
    /// The mirror or a file beside it.
    #[error(transparent)]
    Mirror(#[from] crate::mirror::MirrorError),
    /// A file beside the mirror could not be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No effect of such a run was ever journaled.
    #[error("the journal has no effect of run {run}; `driftless receipts` lists the runs")]
    NoSuchRun {
        /// The run.
        run: RunId,
    },
    /// The run's former values are not to be trusted any more.
    #[error("run {run} is more than 30 days old: its former values are not brought back")]
    TooOld {
        /// The run.
        run: RunId,
    },
    /// Nothing would keep the next pass from doing again what an undoing takes back.
    #[error(
        "undo needs the guard `first_run`: without it the next pass does everything again; take \
         `first_run = false` out of [guards]"
    )]
    NothingHolds,
    /// A plan file rests on something that has changed; nothing was read or written.
    #[error("the plan is stale: {0}; make a new one with `driftless plan`")]
    Stale(String),
    /// Shopify asked for it after the app was uninstalled.
    #[error(
        "Shopify asked to erase this shop: its keys are destroyed, nothing of its people can be read any \
         more. Take its config away; to begin anew, remove {path}"
    )]
    Erased {
        /// The state directory.
        path: std::path::PathBuf,
    },
    /// Too little room for a pass to end well; nothing was read or written.
    #[error(
        "{free} bytes are free at {path}, {least} are wanted (shop.min_free_disk); free some space"
    )]
    DiskLow {
        /// The state directory.
        path: std::path::PathBuf,
        /// Free now.
        free: u64,
        /// Wanted.
        least: u64,
    },
}

impl Shop {
    /// Pulls, unifies, evaluates, detects, plans, and pushes what mode and guards allow.
    pub async fn pass(&mut self, options: &Options) -> Result<Summary, PassError> {
        let flow = AssertUnwindSafe(self.flow(options)).catch_unwind().await;
        let result = flow.unwrap_or_else(|panic| {
            self.suspect();
            resume_unwind(panic)
        });
        self.note_damage(&result);
        result
    }

    async fn flow(&mut self, options: &Options) -> Result<Summary, PassError> {
        let (began, started) = (self.clock.now(), self.clock.monotonic());
        let before = self.meter.totals();
        let dry_run = options.observe || options.as_of.is_some();
        self.meet_demands(dry_run).await?;
        self.check_disk()?;
        if let Some(file) = &options.only {
            self.check_plan_file(file, began)?;
        }
        if let Task::Undo(run) = options.task {
            self.check_run(run)?;
        }

        if !dry_run && let Err(error) = self.forget_at_klaviyo().await {
            tracing::warn!(%error, "Klaviyo has yet to delete somebody");
        }
        let all_over = self.push(options).settle_jobs().await;
        let pulled = self.pull(options)?.fill().await?;
        // Somebody may have been known again by their address.
        unblocked(|| self.mirror.forget())?;
        let now = options.as_of.unwrap_or_else(|| self.clock.now());
        let recovered = self.push(options).recover(all_over)?;

        let people = unblocked(|| evaluate::unify(&self.mirror, &self.config.policy.identity))?;
        let (evaluation, parity, fresh) = self.understand(&people, &pulled, now, options).await?;
        let Evaluation {
            draft,
            findings,
            people: numbers,
        } = evaluation;
        let mut plan = draft.finish();
        if let Task::Undo(run) = options.task {
            plan = self.undo(run, &people, plan.lists, now)?;
        }
        self.hold_back_in_vain(&mut plan, all_over)?;
        if options.as_of.is_none() {
            self.count_reading(&pulled, options)?;
        }
        let mut circumstances = self.circumstances(&pulled, options, now)?;
        if let Some(file) = &options.only {
            circumstances.moved = self.restrict(&mut plan, file)?;
        }
        let guards = &self.config.policy.guards;
        let mut trips = guard::check(&plan, &circumstances, guards, &options.allow);
        if options.as_of.is_none() {
            self.remember_listings(&pulled, options)?;
        }
        self.write_findings(&findings)?;
        self.write_parity(&parity)?;
        let plan_id = self.write_plan(&plan, options)?;

        let suppresses = plan.counts().contains_key(&EffectKind::Suppression);
        let lock = suppresses.then(|| Lock::of(&self.config.policy.holidays, now));

        let mut pushed = Pushed::default();
        if trips.is_empty() && !dry_run {
            if options.task != Task::Rules && !plan.effects.is_empty() {
                // Else the next pass would do again what this one takes back.
                hold(&self.config.state_dir)?;
            }
            self.remember_managed_lists(&plan.effects)?;
            let applied = options.only.as_ref().map(|file| &file.id);
            let id = applied.unwrap_or(&plan_id);
            let mut push = self.push(options);
            push.mentions = pulled.mentions.clone();
            pushed = push.realise(&plan, id, now.min(pulled.began)).await;
            trips.extend(pushed.canary.take());
        }
        self.mend(fresh)?;
        if !dry_run && !options.stop.is_set() {
            self.remember_end(began)?;
        }
        Ok(Summary {
            shop: self.config.name.clone(),
            state_dir: self.config.state_dir.clone(),
            now,
            mode: self.config.policy.mode,
            dry_run,
            pulled: pulled.counts,
            quarantined: pulled.quarantined,
            gone: pulled.gone,
            clock_skew_ms: pulled.clock_skew_ms,
            sweeps: pulled.sweeps,
            freshness: pulled.freshness,
            people: numbers,
            findings: records::count(&findings),
            parity,
            planned: plan.counts(),
            lists: plan.lists,
            held_back: plan.held_back,
            lock,
            trips,
            effects: Effects {
                run: pushed.run,
                ends: pushed.ends,
                unknown: pushed.unknown,
                unkept: pushed.unkept,
                refusals: pushed.refusals,
                recovered,
            },
            failure: pushed.failure,
            traffic: Traffic {
                parked: self.meter.holding(self.clock.now()),
                ..Traffic::between(&before, &self.meter.totals())
            },
            data_requests: self.data_requests(),
            took: self.clock.monotonic().saturating_sub(started),
        })
    }

    /// Who is in which segment, what is wrong, and what should be.
    async fn understand(
        &self,
        people: &unify::People,
        pulled: &Pulled,
        now: Moment,
        options: &Options,
    ) -> Result<(Evaluation<'_>, Vec<Parity>, Vec<Fresh>), PassError> {
        let book = self.book()?;
        let evaluated = unblocked(|| self.evaluate_segments(&book, people, now, options))?;
        let (parity, fresh) = match options.as_of {
            None => {
                self.compare(&book, &evaluated, pulled, now, options)
                    .await?
            }
            Some(_) => Default::default(),
        };
        let named = self.named_memberships(&book, &evaluated);
        let seen = self.seen(options)?;
        let mut evaluation = unblocked(|| self.evaluate(people, named, seen, now, &options.stop))?;
        evaluation.findings.extend(self.drifting(now)?);
        Ok((evaluation, parity, fresh))
    }

    fn pull<'a>(&'a self, options: &'a Options) -> Result<Pull<'a>, PassError> {
        // On probation everybody is looked at in every pass.
        let sweep = match self.readings_due()? {
            0 => self.config.sweep,
            _ => Duration::ZERO,
        };
        Ok(Pull {
            vendors: &self.vendors,
            mirror: &self.mirror,
            inbox: self.inbox.as_ref(),
            policy: &self.config.policy,
            sweep,
            ledger: self.config.ledger,
            clock: &self.clock,
            progress: &options.progress,
            stop: &options.stop,
        })
    }

    fn push<'a>(&'a mut self, options: &'a Options) -> Push<'a> {
        Push {
            shop: &self.config.name,
            vendors: &self.vendors,
            mirror: &self.mirror,
            journal: &mut self.journal,
            policy: &self.config.policy,
            clock: &self.clock,
            pseudonyms: &self.pseudonyms,
            progress: &options.progress,
            stop: &options.stop,
            grant: WriteGrant::mint(),
            mentions: Mentions::default(),
            allow_canary: options.allow.0.get(&Guard::Canary).copied().unwrap_or(0),
        }
    }
}

/// Long work on this thread; where the runtime has others, they take its tasks over meanwhile.
fn unblocked<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
