//! Our evaluation of each segment beside Klaviyo's own members: where they differ, since when, why.

mod causes;

use super::segments::{Book, Entry, Evaluated, SegmentKey};
use super::{Options, PassError, Shop};
use crate::detect::parity::REFRESH_SECS;
use crate::mirror::{Mirror, MirrorError};
use crate::model::{
    Cause, Code, Compared, Disagreement, Evidence, Finding, GroupId, Member, Moment, ProfileId,
    Segment, SegmentId, Slot, Subject,
};
use crate::policy::ParityScope;
use crate::pull::{self, Fresh, PullError, Pulled, ReadEnd};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::time::Duration;

/// A segment is compared this often.
const EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Klaviyo retires a segment that nobody used for so long (klaviyo.md, section 5.8).
const DORMANT: Duration = Duration::from_secs(45 * 86_400);

/// A recount after an edit takes up to so long (klaviyo.md, section 5.8).
const RECOUNT: Duration = Duration::from_secs(15 * 60);

/// How one of Klaviyo's segments stands beside our evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// Klaviyo's id.
    pub id: SegmentId,
    /// Its name.
    pub segment: String,
    /// Members by our own evaluation.
    pub local: u64,
    /// The last comparison; `None` when Klaviyo's members were never read.
    pub compared: Option<Compared>,
    /// Disagreeing profiles by cause.
    pub causes: BTreeMap<Cause, u64>,
}

/// A comparison under way.
struct Dispute<'b> {
    entry: &'b Entry,
    segment: Segment,
    compared: Compared,
    /// Slot, and whether Klaviyo has it as a member.
    cases: BTreeMap<Slot, bool>,
    /// Who cannot be judged here: to look at them again would not help.
    unknown: RoaringBitmap,
    /// What the comparison before found.
    before: BTreeMap<Slot, Disagreement>,
}

impl Shop {
    /// Compares the segments that are due, explains every difference, and tells how all stand, with
    /// what was read anew on the way. Only findings rest on it: what Klaviyo refuses holds nothing else
    /// up.
    pub(super) async fn compare(
        &self,
        book: &Book,
        evaluated: &Evaluated,
        pulled: &Pulled,
        now: Moment,
        options: &Options,
    ) -> Result<(Vec<Parity>, Vec<Fresh>), PassError> {
        let disputes = self.disputes(book, evaluated, now, options).await?;
        let mut fresh = Vec::new();
        if !disputes.is_empty() {
            match self.explain(&disputes, pulled, now, options).await {
                Ok((causes, read)) => {
                    self.remember_comparisons(&disputes, &causes, now)?;
                    fresh = read;
                }
                Err(error) => vendor_only(error)?,
            }
        }
        Ok((self.standings(book, evaluated, now)?, fresh))
    }

    /// Reads the members of the segments that are due. One that cannot be read keeps no other back.
    async fn disputes<'b>(
        &self,
        book: &'b Book,
        evaluated: &Evaluated,
        now: Moment,
        options: &Options,
    ) -> Result<Vec<Dispute<'b>>, PassError> {
        let mut due = Vec::new();
        for segment in self.mirror.segments()? {
            if self.may_read(&segment, now)? {
                let last = self.mirror.compared(&segment.id)?.map(|last| last.at);
                due.push((last, segment));
            }
        }
        // Who waited longest comes first: what the budget does not reach waits for the next pass.
        due.sort_by_key(|(last, _)| *last);
        let mut budget = u64::from(self.config.policy.parity.members_per_pass);
        let mut disputes = Vec::new();
        for (_, segment) in due {
            let entry = book.entries.get(&SegmentKey::Klaviyo(segment.id.clone()));
            let Some(entry) = entry else { continue };
            match self
                .dispute(entry, segment, evaluated, &mut budget, now, options)
                .await
            {
                Ok(dispute) => disputes.extend(dispute),
                Err(error) => {
                    let goes_on = !is_out_of_reach(&error);
                    vendor_only(error)?;
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Ok(disputes)
    }

    /// Klaviyo's own last known size.
    fn size_of(&self, segment: &Segment) -> Result<u64, MirrorError> {
        let days = self.mirror.segment_days(&segment.id)?;
        Ok(days.last().map_or(0, |day| day.size))
    }

    /// Whether reading the members is due, and keeps nothing alive that nobody uses.
    fn may_read(&self, segment: &Segment, now: Moment) -> Result<bool, MirrorError> {
        let recent = segment.updated.is_some_and(|at| now.since(at) < DORMANT);
        let allowed = match self.config.policy.parity.read {
            ParityScope::None => false,
            ParityScope::Recent => recent,
            ParityScope::All => true,
        };
        let last = self.mirror.compared(&segment.id)?;
        let due = last.is_none_or(|last| now.since(last.at) >= EVERY);
        // The members of an inactive segment are frozen: they say nothing about the definition.
        Ok(allowed && due && segment.is_active)
    }

    /// Reads Klaviyo's members, or a sample, and notes who differs; `None` when the segment is gone, or
    /// the budget of this pass is spent.
    async fn dispute<'b>(
        &self,
        entry: &'b Entry,
        segment: Segment,
        evaluated: &Evaluated,
        budget: &mut u64,
        now: Moment,
        options: &Options,
    ) -> Result<Option<Dispute<'b>>, PassError> {
        let membership = evaluated
            .memberships
            .get(&entry.key)
            .cloned()
            .unwrap_or_default();
        let before = self.mirror.disagreements(&segment.id)?;
        let most = u64::from(self.config.policy.parity.members_per_pass);
        let size = self.size_of(&segment)?.max(membership.inside.len());
        let mut theirs = None;
        if size <= most {
            if size > *budget {
                return Ok(None);
            }
            let read = self
                .pull(options)?
                .segment_members(&segment.id, *budget)
                .await?;
            *budget = budget.saturating_sub(read.members.len() as u64);
            match read.end {
                ReadEnd::Gone => return Ok(None),
                // The size that was known was too small.
                ReadEnd::TooMany => {}
                ReadEnd::Whole => theirs = Some((self.slots_of(&read.members)?, None)),
            }
        }
        let (theirs, looked_at) = match theirs {
            Some(whole) => whole,
            None => {
                let sample = self.sample(&membership.inside, &before, now)?;
                let ids: Vec<ProfileId> = sample.values().cloned().collect();
                let found = self
                    .pull(options)?
                    .segment_members_among(&segment.id, &ids)
                    .await?;
                let Some(found) = found else {
                    return Ok(None);
                };
                let slots = sample.iter().filter(|(_, id)| found.contains(id));
                let theirs: RoaringBitmap = slots.map(|(slot, _)| slot.0).collect();
                (
                    theirs,
                    Some(sample.keys().map(|slot| slot.0).collect::<RoaringBitmap>()),
                )
            }
        };
        let mut differing = (&membership.inside ^ &theirs) - &membership.unknown;
        // Whom Klaviyo has and we cannot judge is a difference; the others may agree.
        differing |= &membership.unknown & &theirs;
        let compared = match &looked_at {
            Some(looked_at) => looked_at.clone(),
            None => &membership.inside | &theirs,
        };
        differing &= &compared;
        Ok(Some(Dispute {
            entry,
            before,
            unknown: membership.unknown,
            segment,
            compared: Compared {
                at: now,
                members: theirs.len(),
                profiles: compared.len(),
                whole: looked_at.is_none(),
            },
            cases: differing
                .iter()
                .map(|slot| (Slot(slot), theirs.contains(slot)))
                .collect(),
        }))
    }

    fn slots_of(&self, members: &[Member]) -> Result<RoaringBitmap, MirrorError> {
        let mut page = self.mirror.page();
        let mut slots = RoaringBitmap::new();
        for member in members {
            let slot = page.slot_of_profile(&member.profile)?;
            slots.extend(slot.map(|slot| slot.0));
        }
        page.commit()?;
        Ok(slots)
    }

    /// Profiles for a spot check: those that differed before, and of chance half of them members here
    /// and half not, others every day.
    fn sample(
        &self,
        inside: &RoaringBitmap,
        before: &BTreeMap<Slot, Disagreement>,
        now: Moment,
    ) -> Result<BTreeMap<Slot, ProfileId>, MirrorError> {
        let count = self.config.policy.parity.sample;
        let outside = self.mirror.known_profiles()? - inside;
        let mut rng = fastrand::Rng::with_seed(now.day().unsigned_abs());
        let mut sample = BTreeMap::new();
        for slot in before.keys().take(count as usize) {
            if let Some(id) = self.mirror.profile_id(*slot)? {
                sample.insert(*slot, id);
            }
        }
        for (slots, count) in [(inside, count / 2), (&outside, count - count / 2)] {
            let all = u32::try_from(slots.len()).unwrap_or(u32::MAX);
            let picks = (0..count.min(all)).map(|_| rng.u32(..all));
            for slot in picks.filter_map(|pick| slots.select(pick)).map(Slot) {
                if let Some(id) = self.mirror.profile_id(slot)? {
                    sample.insert(slot, id);
                }
            }
        }
        Ok(sample)
    }

    fn remember_comparisons(
        &self,
        disputes: &[Dispute<'_>],
        causes: &BTreeMap<(usize, Slot), Cause>,
        now: Moment,
    ) -> Result<(), MirrorError> {
        for (number, dispute) in disputes.iter().enumerate() {
            let id = &dispute.segment.id;
            let cases = dispute.cases.iter().map(|(slot, member)| {
                let known = dispute
                    .before
                    .get(slot)
                    .filter(|known| known.member == *member);
                let disagreement = Disagreement {
                    member: *member,
                    since: known.map_or(now, |known| known.since),
                    cause: causes
                        .get(&(number, *slot))
                        .copied()
                        .unwrap_or(Cause::Unexplained),
                };
                (*slot, disagreement)
            });
            let mut page = self.mirror.page();
            page.comparison(id, &dispute.compared, &cases.collect())?;
            page.commit()?;
        }
        Ok(())
    }

    fn standings(
        &self,
        book: &Book,
        evaluated: &Evaluated,
        now: Moment,
    ) -> Result<Vec<Parity>, PassError> {
        let mut standings = Vec::new();
        for entry in book.entries.values() {
            if let SegmentKey::Klaviyo(id) = &entry.key {
                let membership = evaluated.memberships.get(&entry.key);
                let local = membership.map_or(0, |membership| membership.inside.len());
                standings.push(Parity::of(&self.mirror, id, &entry.name, local, now)?);
            }
        }
        Ok(standings)
    }

    /// Segments about which Klaviyo disagrees for longer than a refresh can take.
    pub(super) fn drifting(&self, now: Moment) -> Result<Vec<Finding>, MirrorError> {
        let mut findings = Vec::new();
        for segment in self.mirror.segments()? {
            let last = self.mirror.compared(&segment.id)?;
            if !last.is_some_and(|last| is_current(&last, now)) {
                continue;
            }
            let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
            for known in self.mirror.disagreements(&segment.id)?.into_values() {
                let lasting = now.secs() - known.since.secs() > REFRESH_SECS;
                // What only Klaviyo can judge does not drift.
                if lasting && known.cause != Cause::NotEvaluable {
                    *causes.entry(known.cause).or_default() += 1;
                }
            }
            if let Some((cause, _)) = causes
                .iter()
                .max_by_key(|(cause, count)| (**count, **cause))
            {
                findings.push(Finding {
                    code: Code::SegmentDrifting,
                    subject: Subject::Group(GroupId::Segment(segment.id)),
                    evidence: Evidence::Disagreement {
                        profiles: causes.values().sum(),
                        cause: *cause,
                    },
                });
            }
        }
        Ok(findings)
    }
}

impl Parity {
    /// How a segment stands by its last comparison.
    pub(super) fn of(
        mirror: &Mirror,
        id: &SegmentId,
        name: &str,
        local: u64,
        now: Moment,
    ) -> Result<Self, MirrorError> {
        let compared = mirror.compared(id)?.filter(|last| is_current(last, now));
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        if compared.is_some() {
            for disagreement in mirror.disagreements(id)?.values() {
                *causes.entry(disagreement.cause).or_default() += 1;
            }
        }
        Ok(Self {
            id: id.clone(),
            segment: name.to_owned(),
            local,
            compared,
            causes,
        })
    }

    /// The share of the compared profiles on which both sides agree, leaving out whom only Klaviyo can
    /// judge; `None` when that leaves nobody, and before a comparison.
    pub fn agreement(&self) -> Option<f64> {
        let count = |is_it: fn(Cause) -> bool| {
            let those = self.causes.iter().filter(|(cause, _)| is_it(**cause));
            those.map(|(_, count)| count).sum::<u64>()
        };
        let apart = count(|cause| cause != Cause::NotEvaluable);
        let unjudged = count(|cause| cause == Cause::NotEvaluable);
        match self.compared?.profiles.saturating_sub(unjudged) {
            0 if unjudged > 0 => None,
            0 => Some(1.0),
            judged => Some(1.0 - apart as f64 / judged as f64),
        }
    }
}

fn is_counting(segment: &Segment, now: Moment) -> bool {
    let edited = segment
        .updated
        .is_some_and(|at| now.since(at) < RECOUNT && at <= now);
    segment.is_processing || edited
}

/// Whether a comparison still says something: a segment that is no longer compared drifts no more.
fn is_current(last: &Compared, now: Moment) -> bool {
    now.since(last.at) < 8 * EVERY
}

/// Lets pass, with a warning, what Klaviyo refused or could not answer.
fn vendor_only(error: PassError) -> Result<(), PassError> {
    match error {
        PassError::Pull(PullError::Api(error)) => {
            tracing::warn!(%error, "a segment is not compared");
            Ok(())
        }
        error => Err(error),
    }
}

/// Whether the next segment would meet the same.
fn is_out_of_reach(error: &PassError) -> bool {
    match error {
        PassError::Pull(PullError::Api(error)) => pull::is_out_of_reach(error),
        _ => true,
    }
}
