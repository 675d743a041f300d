//! Carries out a plan and records what became of it.
//!
//! Nothing is sent that was not journaled first, with fdatasync. Outcomes are folded into the mirror,
//! so that the next pass sees what this one did, then journaled. A canary of each kind goes first
//! and is read back before the rest follows.

mod batch;
mod bulk;
mod canary;
mod capacity;
mod consent;
mod customers;
mod departed;
mod describe;
mod isolate;
mod jobs;
mod lists;
mod properties;
mod readback;
mod recover;
mod suppressions;

pub use describe::{Described, describe};

use crate::api::{ApiError, Vendors, WriteGrant};
use crate::clock::{Clock, Stop};
use crate::journal::{Journal, JournalError, RunId};
use crate::mirror::{Mirror, MirrorError};
use crate::model::{EffectKind, End, ListId, Mentions, Moment};
use crate::plan::{Effects, Plan, Trip};
use crate::policy::Policy;
use crate::telemetry::{Progress, Pseudonyms};
use canary::Part;
use capacity::Capacity;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What carrying out a plan needs; one per pass.
#[derive(Debug)]
pub struct Push<'a> {
    /// The shop's name, part of every effect's id.
    pub shop: &'a str,
    /// Both vendors' clients.
    pub vendors: &'a Vendors,
    /// Resolves slots, and takes the receipts.
    pub mirror: &'a Mirror,
    /// Takes intents before and outcomes after.
    pub journal: &'a mut Journal,
    /// Names of lists and metafields, and the canary's size.
    pub policy: &'a Policy,
    /// For receipts, and for waiting on jobs.
    pub clock: &'a Clock,
    /// Names people in logs.
    pub pseudonyms: &'a Pseudonyms,
    /// Who watches.
    pub progress: &'a Progress,
    /// Ends the push between two batches.
    pub stop: &'a Stop,
    /// Permission to write.
    pub grant: WriteGrant,
    /// So many effects of the canary need not read back.
    pub allow_canary: u64,
    /// What profiles are read with that go into the mirror.
    pub mentions: Mentions,
}

/// What became of the effects of one push.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// The run in the journal; `None` when there was nothing to do.
    pub run: Option<RunId>,
    /// Ends by kind.
    pub ends: BTreeMap<(EffectKind, End), u64>,
    /// Sent, without an answer.
    pub unknown: u64,
    /// Accepted, but not true when it was read back, by kind; the next pass tries again.
    pub unkept: BTreeMap<EffectKind, u64>,
    /// Reasons of refusals, by the vendor's code.
    pub refusals: BTreeMap<String, u64>,
    /// The canary did not read back: the rest was stopped.
    pub canary: Option<Trip>,
    /// Why it ended early.
    pub failure: Option<Arc<PushError>>,
}

impl Pushed {
    fn end(&mut self, kind: EffectKind, end: End, count: u64) {
        if count > 0 {
            *self.ends.entry((kind, end)).or_default() += count;
        }
    }
}

/// Why a push ended early. Everything journaled keeps its intent; the next pass looks before it sends.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A vendor refused for good (key, scope, version), so nothing more was tried.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The journal could not take an intent: it was not sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The mirror could not take a receipt: the next pull brings it.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

impl Push<'_> {
    /// Carries out the plan of this id: the canary, a pause, its read-back, the rest. What was done is told
    /// however it ended. The run begins at `now`, and what was spent more than a day before is forgotten:
    /// not later than the vendors' clocks, or a clock that was set forward would refill the budgets.
    pub async fn realise(&mut self, plan: &Plan, id: &str, now: Moment) -> Pushed {
        let mut pushed = Pushed::default();
        let result = self.run(plan, id, now, &mut pushed).await;
        pushed.failure = result.err().map(Arc::new);
        pushed
    }

    async fn run(
        &mut self,
        plan: &Plan,
        id: &str,
        now: Moment,
        pushed: &mut Pushed,
    ) -> Result<(), PushError> {
        if plan.effects.is_empty() {
            return Ok(());
        }
        let run = self.journal.begin_run(now, id)?;
        pushed.run = Some(run);
        let (first, rest) = canary::split(plan, &self.policy.guards);
        let done = self.round(run, &first, pushed).await?;
        if !rest.is_empty() {
            self.pause_after_canary(rest.iter().map(Part::len).sum())
                .await;
            pushed.canary = match canary::lost(&first, &done, &rest) {
                Some(trip) if trip.count > self.allow_canary => Some(trip),
                _ => self.verdict_on_canary(&done).await?,
            };
            if pushed.canary.is_some() {
                for part in rest {
                    pushed.end(part.kind(), End::Stopped, part.len());
                }
            } else {
                let done = self.round(run, &rest, pushed).await?;
                self.read_back(run, &done, pushed).await?;
            }
        }
        Ok(self.journal.end_run(run, self.clock.now())?)
    }

    /// Sends effects of all kinds in order, each kind by its cheapest endpoint; gives back what is done.
    async fn round(
        &mut self,
        run: RunId,
        parts: &[Part<'_>],
        pushed: &mut Pushed,
    ) -> Result<Effects, PushError> {
        let mut done = Effects::default();
        for part in parts {
            let (kind, count) = (part.kind(), part.len());
            let mut sent = 0;
            for batch in Capacity::of(kind, count).cut(part.iter()) {
                if self.stop.is_set() {
                    break;
                }
                sent += batch.len() as u64;
                self.batch(run, batch, pushed, &mut done).await?;
                self.progress.at(kind.as_str(), sent, Some(count));
            }
            pushed.end(kind, End::Stopped, count - sent);
            self.progress.over(kind.as_str(), sent);
        }
        Ok(done)
    }

    /// The upstream id of a managed list, once it exists.
    fn list_id(&self, list: usize) -> Result<Option<ListId>, MirrorError> {
        let name = self.policy.lists.get(list).map(|list| list.name.as_str());
        Ok(name
            .map(|name| self.mirror.bindings().map(|mut b| b.remove(name)))
            .transpose()?
            .flatten())
    }
}
