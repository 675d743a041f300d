//! Our evaluation of each segment beside Klaviyo's own members: where they differ, since when, why.

mod causes;

use super::segments::{Book, Entry, Evaluated, SegmentKey};
use super::{Options, PassError, Shop};
use crate::detect::parity::REFRESH_SECS;
use crate::mirror::{Mirror, MirrorError};
use crate::model::{
    Cause, Code, Compared, Disagreement, Evidence, Finding, GroupId, Moment, ProfileId, Segment,
    SegmentId, Slot, Subject,
};
use crate::policy::ParityScope;
use crate::pull::{PullError, Pulled, is_out_of_reach};
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

/// How much of a segment is read.
#[derive(Clone, Copy, Debug)]
enum Scope {
    /// All members.
    Whole,
    /// A sample of profiles.
    Sample,
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
    /// Compares the segments that are due, explains every difference, and tells how all stand.
    pub(super) async fn compare(
        &self,
        book: &Book,
        evaluated: &Evaluated,
        pulled: &Pulled,
        now: Moment,
        options: &Options,
    ) -> Result<Vec<Parity>, PassError> {
        match self
            .compare_those_due(book, evaluated, pulled, now, options)
            .await
        {
            // Only findings rest on a comparison: what another hour may bring holds nothing else up.
            Err(PassError::Pull(PullError::Api(error))) if is_out_of_reach(&error) => {
                tracing::warn!(%error, "segments are not compared");
            }
            result => result?,
        }
        self.standings(book, evaluated)
    }

    async fn compare_those_due(
        &self,
        book: &Book,
        evaluated: &Evaluated,
        pulled: &Pulled,
        now: Moment,
        options: &Options,
    ) -> Result<(), PassError> {
        let mut due = Vec::new();
        for segment in self.mirror.segments()? {
            if self.may_read(&segment, now)? {
                due.push((
                    self.mirror.compared(&segment.id)?.map(|last| last.at),
                    segment,
                ));
            }
        }
        // Who waited longest comes first: what the budget does not reach waits for the next pass.
        due.sort_by_key(|(last, _)| *last);
        let mut budget = u64::from(self.config.policy.parity.members_per_pass);
        let mut disputes = Vec::new();
        for (_, segment) in due {
            let entry = book.entries.get(&SegmentKey::Klaviyo(segment.id.clone()));
            let Some(entry) = entry else { continue };
            let inside = evaluated
                .memberships
                .get(&entry.key)
                .map(|known| known.inside.len());
            let size = self.size_of(&segment)?.max(inside.unwrap_or_default());
            let whole = size <= u64::from(self.config.policy.parity.members_per_pass);
            if whole && size > budget {
                continue;
            }
            budget -= if whole { size } else { 0 };
            let scope = if whole { Scope::Whole } else { Scope::Sample };
            disputes.extend(
                self.dispute(entry, segment, evaluated, scope, now, options)
                    .await?,
            );
        }
        if disputes.is_empty() {
            return Ok(());
        }
        let causes = self.explain(&disputes, pulled, now, options).await?;
        Ok(self.remember_comparisons(&disputes, &causes, now)?)
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

    /// Reads Klaviyo's members, or a sample; `None` when the segment is gone.
    async fn dispute<'b>(
        &self,
        entry: &'b Entry,
        segment: Segment,
        evaluated: &Evaluated,
        scope: Scope,
        now: Moment,
        options: &Options,
    ) -> Result<Option<Dispute<'b>>, PassError> {
        let membership = evaluated
            .memberships
            .get(&entry.key)
            .cloned()
            .unwrap_or_default();
        let (theirs, looked_at) = match scope {
            Scope::Whole => {
                let Some(members) = self.pull(options).segment_members(&segment.id).await? else {
                    return Ok(None);
                };
                let mut page = self.mirror.page();
                let slots = members
                    .iter()
                    .map(|member| page.slot_of_profile(&member.profile));
                let slots: Vec<Slot> = slots.collect::<Result<_, _>>()?;
                page.commit()?;
                (
                    slots
                        .into_iter()
                        .map(|slot| slot.0)
                        .collect::<RoaringBitmap>(),
                    None,
                )
            }
            Scope::Sample => {
                let count = self.config.policy.parity.sample;
                let sample = self.sample(&membership.inside, count, now)?;
                let ids: Vec<ProfileId> = sample.values().cloned().collect();
                let found = self
                    .pull(options)
                    .segment_members_among(&segment.id, &ids)
                    .await?;
                let Some(found) = found else {
                    return Ok(None);
                };
                let slots = sample.iter().filter(|(_, id)| found.contains(id));
                let theirs = slots.map(|(slot, _)| slot.0).collect();
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
            before: self.mirror.disagreements(&segment.id)?,
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

    /// Profiles for a spot check: half of them members here, half not, others every day.
    fn sample(
        &self,
        inside: &RoaringBitmap,
        count: u32,
        now: Moment,
    ) -> Result<BTreeMap<Slot, ProfileId>, MirrorError> {
        let outside = self.mirror.known_profiles()? - inside;
        let mut rng = fastrand::Rng::with_seed(now.day().unsigned_abs());
        let mut sample = BTreeMap::new();
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

    fn standings(&self, book: &Book, evaluated: &Evaluated) -> Result<Vec<Parity>, PassError> {
        let mut standings = Vec::new();
        for entry in book.entries.values() {
            if let SegmentKey::Klaviyo(id) = &entry.key {
                let membership = evaluated.memberships.get(&entry.key);
                let local = membership.map_or(0, |membership| membership.inside.len());
                standings.push(Parity::of(&self.mirror, id, &entry.name, local)?);
            }
        }
        Ok(standings)
    }

    /// Segments about which Klaviyo disagrees for longer than a refresh can take.
    pub(super) fn drifting(&self, now: Moment) -> Result<Vec<Finding>, MirrorError> {
        let mut findings = Vec::new();
        for segment in self.mirror.segments()? {
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
    ) -> Result<Self, MirrorError> {
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        for disagreement in mirror.disagreements(id)?.values() {
            *causes.entry(disagreement.cause).or_default() += 1;
        }
        Ok(Self {
            id: id.clone(),
            segment: name.to_owned(),
            local,
            compared: mirror.compared(id)?,
            causes,
        })
    }

    /// The share of the compared profiles on which both sides agree; `None` before a comparison. Whom
    /// only Klaviyo can judge is no disagreement.
    pub fn agreement(&self) -> Option<f64> {
        let compared = self.compared?;
        let apart = self
            .causes
            .iter()
            .filter(|(cause, _)| **cause != Cause::NotEvaluable);
        let apart: u64 = apart.map(|(_, count)| count).sum();
        Some(match compared.profiles {
            0 => 1.0,
            profiles => 1.0 - apart as f64 / profiles as f64,
        })
    }
}

fn is_counting(segment: &Segment, now: Moment) -> bool {
    let edited = segment
        .updated
        .is_some_and(|at| now.since(at) < RECOUNT && at <= now);
    segment.is_processing || edited
}
