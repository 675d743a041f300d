//! From wishes to an ordered plan.

use super::consent::{unsubscribed, withdrawals};
use super::effects::{Effects, Group, Planned};
use super::members::{Judged, Memberships};
use super::reasons::evidence;
use super::values::{self, TagChange};
use crate::detect::Verdicts;
use crate::model::{
    Dossier, Effect, EffectKind, Finding, HeldBack, HoldReason, Moment, Profile, Slot,
};
use crate::policy::{Fact, Policy};
use crate::score::Facts;
use roaring::{MultiOps, RoaringBitmap};
use std::collections::BTreeMap;

/// What upstream looked like when it was pulled.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One entry per managed list of the policy, in its order.
    pub lists: Vec<SeenList>,
    /// Profiles that the mirror holds a record of.
    pub known: RoaringBitmap,
    /// Profiles that two complete scans, far enough apart, did not show.
    pub absent_twice: RoaringBitmap,
}

/// One managed list as it was seen.
#[derive(Clone, Debug, Default)]
pub struct SeenList {
    /// Whether it exists upstream.
    pub exists: bool,
    /// Its members.
    pub members: RoaringBitmap,
}

/// What to do, in order, and what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub effects: Effects,
    /// Wanted, but not planned, and why.
    pub held_back: Vec<HeldBack>,
    /// One entry per managed list, in the policy's order.
    pub lists: Vec<ListChange>,
}

/// How a managed list would change, whatever the mode allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChange {
    /// Its name.
    pub name: String,
    /// Members seen upstream.
    pub seen: u64,
    /// Members wanted.
    pub wanted: u64,
    /// To join.
    pub join: u64,
    /// To leave.
    pub leave: u64,
}

impl Plan {
    /// A plan of these effects.
    pub fn new(
        effects: Effects,
        held_back: BTreeMap<(EffectKind, HoldReason), u64>,
        lists: Vec<ListChange>,
    ) -> Self {
        Self {
            effects,
            held_back: in_words(held_back),
            lists,
        }
    }

    /// Effects by kind.
    pub fn counts(&self) -> BTreeMap<EffectKind, u64> {
        let mut counts = BTreeMap::new();
        for group in self.effects.groups() {
            *counts.entry(group.kind()).or_default() += group.count();
        }
        counts
    }

    /// Distinct people touched by effects of these kinds.
    pub fn people(&self, kinds: &[EffectKind]) -> RoaringBitmap {
        let groups = self.effects.groups();
        let of_kind = groups.filter(|group| kinds.contains(&group.kind()));
        of_kind.map(Group::people).union()
    }

    /// Takes out the effects that `why` gives a reason against, and counts them as held back.
    ///
    /// # Errors
    /// The first that `why` meets.
    pub fn hold_back<E>(
        &mut self,
        mut why: impl FnMut(&Effect) -> Result<Option<HoldReason>, E>,
    ) -> Result<(), E> {
        let mut held: BTreeMap<(EffectKind, HoldReason), u64> = BTreeMap::new();
        self.effects.retain(|effect| {
            let reason = why(effect)?;
            if let Some(reason) = reason {
                *held.entry((effect.kind(), reason)).or_default() += 1;
            }
            Ok(reason.is_none())
        })?;
        self.held_back.extend(in_words(held));
        Ok(())
    }
}

fn in_words(held: BTreeMap<(EffectKind, HoldReason), u64>) -> Vec<HeldBack> {
    let held = held.into_iter();
    held.map(|((kind, reason), count)| HeldBack {
        kind,
        count,
        reason,
    })
    .collect()
}

/// One managed list under construction.
#[derive(Debug, Default)]
struct ListDraft {
    change: ListChange,
    exists: bool,
    /// Members who were not looked at yet.
    rest: RoaringBitmap,
    /// Non-members of whom it is unknown whether they are wanted.
    perhaps: u64,
    /// Members of whom it is unknown.
    unsure: u64,
}

/// A plan under construction; feed it every person once, and always in the same order: theirs is the order
/// of the effects.
#[derive(Debug)]
pub struct Draft<'p> {
    policy: &'p Policy,
    segments: Memberships,
    known: RoaringBitmap,
    absent_twice: RoaringBitmap,
    now: Moment,
    lists: Vec<ListDraft>,
    /// What is wished for one and the same reason.
    wishes: Vec<Effect>,
    effects: Effects,
    held: BTreeMap<(EffectKind, HoldReason), u64>,
}

impl<'p> Draft<'p> {
    /// An empty draft, to be compared with what was seen upstream. `segments` holds those that
    /// [`Policy::segment_names`] asks for, as far as they can be evaluated.
    pub fn new(policy: &'p Policy, segments: Memberships, seen: Seen, now: Moment) -> Self {
        let unseen = std::iter::repeat_with(SeenList::default);
        let lists = policy
            .lists
            .iter()
            .zip(seen.lists.into_iter().chain(unseen));
        let lists = lists.map(|(list, seen)| ListDraft {
            change: ListChange {
                name: list.name.clone(),
                seen: seen.members.len(),
                ..ListChange::default()
            },
            exists: seen.exists,
            rest: seen.members,
            ..ListDraft::default()
        });
        Self {
            policy,
            segments,
            known: seen.known,
            absent_twice: seen.absent_twice,
            now,
            lists: lists.collect(),
            wishes: Vec::new(),
            effects: Effects::default(),
            held: BTreeMap::new(),
        }
    }

    /// Remembers what one person should look like upstream, where that differs. Gives back the
    /// findings that no exemption takes away.
    pub fn person(&mut self, dossier: &Dossier, facts: &Facts, verdicts: Verdicts) -> Vec<Finding> {
        let judged = self.segments.judge(dossier, verdicts, self.policy);
        let withdrawals = withdrawals(dossier, self.policy, self.now);
        let unsubscribed = match self.policy.allows(EffectKind::Unsubscription) {
            true => unsubscribed(withdrawals.values(), dossier),
            false => Vec::new(),
        };
        self.lists(dossier, facts, &judged, &unsubscribed);
        self.profiles(dossier, facts, &judged);
        self.customers(dossier, facts, &judged);
        for ((kind, _), consequence) in withdrawals {
            match consequence {
                Ok(effect) => self.wish(effect),
                Err(reason) => self.hold(kind, reason, 1),
            }
        }
        self.plan_wishes(|| {
            let mut evidence = evidence(facts, &judged.verdicts);
            if !unsubscribed.is_empty() {
                evidence.push_str("; unsubscribed by this plan");
            }
            Some(evidence)
        });
        judged.verdicts.findings
    }

    /// Makes effects of what is wished, all for the same reason.
    fn plan_wishes(&mut self, evidence: impl FnOnce() -> Option<String>) {
        if self.wishes.is_empty() {
            return;
        }
        let evidence = evidence();
        for effect in self.wishes.drain(..) {
            let evidence = evidence.clone();
            self.effects.push(&Planned { effect, evidence });
        }
    }

    fn profiles(&mut self, dossier: &Dossier, facts: &Facts, judged: &Judged) {
        for (slot, profile) in &dossier.profiles {
            let map = &self.policy.properties;
            let changes = values::property_changes(map, profile, facts, judged);
            if !changes.is_empty() {
                self.wish(Effect::Properties {
                    who: *slot,
                    changes,
                });
            }
            if judged.verdicts.bouncing {
                self.suppress(*slot, profile, values::several_mailboxes(dossier));
            } else if judged.doubts(Fact::Bouncing) && !profile.is_suppressed() {
                self.hold(EffectKind::Suppression, HoldReason::SegmentUnknown, 1);
            }
        }
    }

    fn customers(&mut self, dossier: &Dossier, facts: &Facts, judged: &Judged) {
        for (slot, customer) in &dossier.customers {
            match values::tag_change(&self.policy.tags, customer, facts, judged) {
                TagChange::None => {}
                TagChange::Some { add, remove } => {
                    self.wish(Effect::Tags {
                        who: *slot,
                        add,
                        remove,
                    });
                }
                TagChange::NoRoom => self.hold(EffectKind::Tag, HoldReason::TagLimit, 1),
            }
            let metafield = self.policy.metafield.as_ref();
            let change =
                metafield.and_then(|map| values::metafield_change(map, customer, facts, judged));
            if let Some(to) = change {
                self.wish(Effect::Metafield {
                    who: *slot,
                    from: customer.metafield.clone(),
                    to: Some(to),
                });
            }
        }
    }

    /// Whoever this very plan suppresses or unsubscribes is out of reach after it; or the next plan would
    /// take back what this one does.
    fn lists(&mut self, dossier: &Dossier, facts: &Facts, judged: &Judged, unsubscribed: &[Slot]) {
        let Some((stands, _)) = dossier.primary_profile_after(unsubscribed) else {
            return;
        };
        let doomed = judged.verdicts.bouncing
            && self.policy.bounce.act
            && self.policy.allows(EffectKind::Suppression)
            && !values::several_mailboxes(dossier);
        let mut left = dossier.profiles.iter();
        let reached =
            left.any(|(slot, profile)| profile.is_reachable() && !unsubscribed.contains(slot));
        let facts = Facts {
            reachable: reached && !doomed,
            ..facts.clone()
        };
        for (list, managed) in self.policy.lists.iter().enumerate() {
            let in_any = |names: &[String]| self.segments.in_any(names, dossier);
            let wanted = managed.who.holds(&facts, judged, self.now, in_any);
            self.list(list, dossier, *stands, wanted);
        }
    }

    /// Compares the profiles of a person with one list. `stands` is the profile by which they are on it,
    /// if they are `wanted`; while that is unknown, everything stays as upstream has it.
    fn list(&mut self, list: usize, dossier: &Dossier, stands: Slot, wanted: Option<bool>) {
        for (who, _) in &dossier.profiles {
            let draft = &mut self.lists[list];
            let is_member = draft.rest.remove(who.0);
            let stands = stands == *who;
            match (wanted.map(|wanted| wanted && stands), is_member) {
                (Some(true), true) => draft.change.wanted += 1,
                (Some(true), false) => self.join(list, *who),
                (Some(false), true) => self.leave(list, *who),
                (Some(false), false) => {}
                (None, true) => draft.unsure += 1,
                (None, false) => draft.perhaps += u64::from(stands),
            }
        }
    }

    fn join(&mut self, list: usize, who: Slot) {
        let change = &mut self.lists[list].change;
        change.wanted += 1;
        change.join += 1;
        // Nobody can join what may not be created.
        let joins = self.lists[list].exists || self.policy.allows(EffectKind::ListCreate);
        match joins {
            true => self.wish(Effect::OnList { list, who }),
            false => self.hold(EffectKind::ListAdd, HoldReason::Mode, 1),
        }
    }

    fn leave(&mut self, list: usize, who: Slot) {
        self.lists[list].change.leave += 1;
        self.wish(Effect::OffList { list, who });
    }

    fn suppress(&mut self, who: Slot, profile: &Profile, several_mailboxes: bool) {
        if profile.is_suppressed() {
            return;
        }
        if !self.policy.bounce.act {
            self.hold(EffectKind::Suppression, HoldReason::RuleOnlyReports, 1);
        } else if profile.email.is_none() {
            self.hold(EffectKind::Suppression, HoldReason::NoAddress, 1);
        } else if several_mailboxes {
            self.hold(EffectKind::Suppression, HoldReason::SeveralMailboxes, 1);
        } else {
            self.wish(Effect::Suppressed { who });
        }
    }

    /// Plans an effect if the mode allows its kind, else counts it as held back.
    fn wish(&mut self, effect: Effect) {
        if self.policy.allows(effect.kind()) {
            self.wishes.push(effect);
        } else {
            self.hold(effect.kind(), HoldReason::Mode, 1);
        }
    }

    fn hold(&mut self, kind: EffectKind, reason: HoldReason, count: u64) {
        if count > 0 {
            *self.held.entry((kind, reason)).or_default() += count;
        }
    }

    /// Once everybody was looked at: what remains to be said of the lists.
    pub fn finish(mut self) -> Plan {
        for list in 0..self.lists.len() {
            self.finish_list(list);
        }
        let lists = self.lists.into_iter().map(|list| list.change);
        Plan::new(self.effects, self.held, lists.collect())
    }

    fn finish_list(&mut self, list: usize) {
        let ListDraft {
            exists,
            perhaps,
            unsure,
            ..
        } = self.lists[list];
        let unknown = HoldReason::SegmentUnknown;
        self.hold(EffectKind::ListRemove, unknown, unsure);
        self.hold(EffectKind::ListAdd, unknown, perhaps);
        let undecided = self.lists[list].change.join == 0 && perhaps > 0;
        match exists {
            true => {}
            // A list for a segment that is nobody's, or cannot be judged yet, would only stand empty.
            false if undecided => self.hold(EffectKind::ListCreate, unknown, 1),
            false => self.wish(Effect::ListExists { list }),
        }
        let rest = std::mem::take(&mut self.lists[list].rest);
        let doubtful = &(&rest - &self.known) - &self.absent_twice;
        let second_scan = HoldReason::SecondScan;
        self.hold(EffectKind::ListRemove, second_scan, doubtful.len());
        let change = &mut self.lists[list].change;
        change.wanted += unsure;
        change.leave += doubtful.len();
        for who in &rest - &doubtful {
            self.leave(list, Slot(who));
        }
        self.plan_wishes(|| None);
    }
}
