//! What follows from the records so far. The same for a journal just read and one being written.

use super::entry::digest;
use super::names::Names;
use super::{DataRequest, EffectId, Entry, Forgetting, Intent, Job, Outcome, Purpose, RunId};
use crate::model::{EffectKind, End, Moment};
use crate::vault::Mark;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Guards look back over a day; nothing older is remembered.
pub(super) const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct State {
    /// The run under way.
    pub(super) running: Option<RunId>,
    /// The highest run ever begun; 0 before the first.
    pub(super) last_run: u64,
    /// Effects intended since the latest run began.
    intended: BTreeSet<EffectId>,
    pub(super) open: BTreeMap<EffectId, Intent>,
    jobs: Vec<Job>,
    /// Begun, not ended.
    pub(super) forgetting: Vec<Forgetting>,
    /// Whoever ever was, or is, to be forgotten.
    pub(super) forgotten: BTreeSet<Mark>,
    /// Requests for data that were not answered, and the numbers of those that were.
    pub(super) requests: BTreeMap<u64, DataRequest>,
    answered: BTreeSet<u64>,
    /// Whether the shop's keys are, or are about to be, destroyed.
    pub(super) is_erased: bool,
    /// Subjects of confirmed effects that budgets count, by when they were confirmed.
    charges: BTreeMap<(Moment, EffectKind), Names>,
    /// What ended refused or withdrawn, and when it last did.
    refused: BTreeMap<Purpose, Moment>,
    /// The effect that suppressed a subject, by the digest of its id: all that were ever confirmed.
    suppressed: BTreeMap<u64, EffectId>,
    /// When each profile was unsubscribed by us, by the digest of its id.
    unsubscribed: BTreeMap<u64, Moment>,
}

impl State {
    /// Takes one record in; `Err` when it contradicts the ones before.
    pub(super) fn apply(&mut self, entry: Entry) -> Result<(), ()> {
        match entry {
            Entry::Run { run, at, .. } => self.begin(run, at),
            Entry::Intent(intent) => self.intend(intent),
            Entry::Job(job) => {
                self.jobs.push(job);
                Ok(())
            }
            Entry::Outcome(outcome) => self.conclude(&outcome),
            Entry::Unkept { effects, .. } => {
                self.take_back(&effects);
                Ok(())
            }
            Entry::Forget(forgetting) => {
                self.forgotten.extend(&forgetting.marks);
                self.forgetting.push(forgetting);
                Ok(())
            }
            Entry::Forgotten { marks, .. } => {
                let before = self.forgetting.len();
                self.forgetting.retain(|begun| begun.marks != marks);
                if self.forgetting.len() < before {
                    Ok(())
                } else {
                    Err(())
                }
            }
            Entry::DataRequest(request) => {
                self.requests.insert(request.request, request);
                Ok(())
            }
            Entry::DataAnswered { request, .. } => {
                self.answered.insert(request);
                self.requests.remove(&request).map(drop).ok_or(())
            }
            Entry::ShopErased { .. } => {
                self.is_erased = true;
                Ok(())
            }
            Entry::RunEnd { run, .. } => {
                let ended = self.running.take();
                if ended == Some(run) { Ok(()) } else { Err(()) }
            }
        }
    }

    pub(super) fn is_intended(&self, effect: EffectId) -> bool {
        self.intended.contains(&effect) || self.open.contains_key(&effect)
    }

    /// Whether a request for data was ever heard.
    pub(super) fn has_request(&self, request: u64) -> bool {
        self.requests.contains_key(&request) || self.answered.contains(&request)
    }

    /// Jobs of which an effect is still open.
    pub(super) fn open_jobs(&self) -> Vec<Job> {
        let is_open = |job: &&Job| job.effects.iter().any(|id| self.open.contains_key(id));
        self.jobs.iter().filter(is_open).cloned().collect()
    }

    /// Distinct subjects hit since then, or about to be.
    pub(super) fn spent(&self, kinds: &[EffectKind], since: Moment) -> BTreeSet<&str> {
        let open = self.open.values();
        let open = open.filter(|intent| kinds.contains(&intent.kind) && intent.at >= since);
        let charges = self.charges.iter();
        let ended = charges.filter(|((at, kind), _)| kinds.contains(kind) && *at >= since);
        let ended = ended.flat_map(|(_, subjects)| subjects.iter());
        open.map(charged).chain(ended).collect()
    }

    /// What ended refused or withdrawn since then and was not confirmed later.
    pub(super) fn refused_since(&self, since: Moment) -> BTreeSet<Purpose> {
        let refused = self.refused.iter().filter(|(_, at)| **at >= since);
        refused.map(|(purpose, _)| *purpose).collect()
    }

    pub(super) fn unsubscribed_at(&self, subject: &str) -> Option<Moment> {
        self.unsubscribed.get(&digest(&[subject])).copied()
    }

    /// What was not kept may be tried again. The budgets count it all the same.
    fn take_back(&mut self, effects: &[EffectId]) {
        let unkept: BTreeSet<&EffectId> = effects.iter().collect();
        self.suppressed.retain(|_, by| !unkept.contains(by));
    }

    pub(super) fn was_suppressed(&self, subject: &str) -> bool {
        self.suppressed.contains_key(&digest(&[subject]))
    }

    fn begin(&mut self, run: RunId, at: Moment) -> Result<(), ()> {
        if run.0 <= self.last_run {
            return Err(());
        }
        self.last_run = run.0;
        self.running = Some(run);
        self.intended.clear();
        self.jobs = self.open_jobs();
        let oldest = at.minus(LOOK_BACK);
        self.charges.retain(|(at, _), _| *at >= oldest);
        self.refused.retain(|_, at| *at >= oldest);
        Ok(())
    }

    fn intend(&mut self, intent: Intent) -> Result<(), ()> {
        if self.running != Some(intent.run) || self.is_intended(intent.id) {
            return Err(());
        }
        self.intended.insert(intent.id);
        self.open.insert(intent.id, intent);
        Ok(())
    }

    fn conclude(&mut self, outcome: &Outcome) -> Result<(), ()> {
        let intent = self.open.remove(&outcome.effect).ok_or(())?;
        self.remember(&intent, outcome);
        if outcome.end == End::Confirmed && intent.kind.is_budgeted() {
            let at = intent.at.max(outcome.at);
            let charges = self.charges.entry((at, intent.kind)).or_default();
            charges.push(charged(&intent));
        }
        Ok(())
    }

    /// Keeps what later runs ask about an effect that ended.
    fn remember(&mut self, intent: &Intent, outcome: &Outcome) {
        match outcome.end {
            End::Refused | End::Withdrawn => {
                let last = self.refused.entry(intent.purpose()).or_insert(outcome.at);
                *last = outcome.at.max(*last);
            }
            End::Confirmed => {
                // Most journals open without a refusal to compare with; hashing each effect would tell.
                if !self.refused.is_empty() {
                    self.refused.remove(&intent.purpose());
                }
                let subject = intent.subject.as_deref();
                if intent.kind == EffectKind::Unsubscription {
                    let own = subject.map(|subject| (digest(&[subject]), outcome.at));
                    self.unsubscribed.extend(own);
                }
                if intent.kind == EffectKind::Suppression {
                    let own = subject.map(|subject| (digest(&[subject]), intent.id));
                    self.suppressed.extend(own);
                }
            }
            End::Superseded | End::Stopped => {}
        }
    }
}

/// Whom an effect hits; its target when it hits nobody.
fn charged(intent: &Intent) -> &str {
    intent.subject.as_deref().unwrap_or(&intent.target)
}
