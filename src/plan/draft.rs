//! From wishes to an ordered plan.

use super::consent::{unsubscribed, withdrawals};
use super::grounds::{Grounds, evidence};
use super::members::{Judged, Memberships};
use super::values::{self, TagChange};
use crate::detect::Verdicts;
use crate::model::{
    Dossier, Effect, EffectKind, Finding, HeldBack, HoldReason, Moment, Profile, Slot,
};
use crate::policy::{Fact, Policy};
use crate::score::Facts;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Ordered by kind, then list, then slot.
    pub effects: Vec<Effect>,
    /// Wanted, but not planned, and why.
    pub held_back: Vec<HeldBack>,
    /// One entry per managed list, in the policy's order.
    pub lists: Vec<ListChange>,
    /// What was known of those whom the effects change.
    pub grounds: Grounds,
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
    /// Puts effects into their order.
    pub fn new(
        mut effects: Vec<Effect>,
        held_back: BTreeMap<(EffectKind, HoldReason), u64>,
        lists: Vec<ListChange>,
        grounds: BTreeMap<Slot, String>,
    ) -> Self {
        effects.sort_by_key(|effect| (rank(effect), list_of(effect), effect.who()));
        Self {
            effects,
            held_back: in_words(held_back),
            lists,
            grounds: Arc::new(grounds),
        }
    }

    /// Effects by kind.
    pub fn counts(&self) -> BTreeMap<EffectKind, u64> {
        let mut counts = BTreeMap::new();
        for effect in &self.effects {
            *counts.entry(effect.kind()).or_default() += 1;
        }
        counts
    }

    /// Distinct people touched by effects of these kinds.
    pub fn people(&self, kinds: &[EffectKind]) -> RoaringBitmap {
        let effects = self.effects.iter();
        let of_kind = effects.filter(|effect| kinds.contains(&effect.kind()));
        of_kind
            .filter_map(|effect| effect.who().map(|slot| slot.0))
            .collect()
    }
}

impl Plan {
    /// Takes out the effects that `why` gives a reason against, and counts them as held back.
    ///
    /// # Errors
    /// The first that `why` meets.
    pub fn hold_back<E>(
        &mut self,
        mut why: impl FnMut(&Effect) -> Result<Option<HoldReason>, E>,
    ) -> Result<(), E> {
        let mut held: BTreeMap<(EffectKind, HoldReason), u64> = BTreeMap::new();
        let mut kept = Vec::with_capacity(self.effects.len());
        for effect in std::mem::take(&mut self.effects) {
            match why(&effect)? {
                None => kept.push(effect),
                Some(reason) => *held.entry((effect.kind(), reason)).or_default() += 1,
            }
        }
        self.effects = kept;
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

/// Who is wanted on one managed list.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The profiles that stand for the people who are.
    certain: RoaringBitmap,
    /// The profiles that stand for the people of whom it is unknown.
    perhaps: RoaringBitmap,
    /// Every profile of theirs: whichever is on the list stays on it.
    untouchable: RoaringBitmap,
}

/// A plan under construction; feed it every person once.
#[derive(Debug)]
pub struct Draft<'p> {
    policy: &'p Policy,
    segments: Memberships,
    seen: Seen,
    now: Moment,
    lists: Vec<Wanted>,
    effects: Vec<Effect>,
    held: BTreeMap<(EffectKind, HoldReason), u64>,
    grounds: BTreeMap<Slot, String>,
}

impl<'p> Draft<'p> {
    /// An empty draft, to be compared with what was seen upstream. `segments` holds those that
    /// [`Policy::segment_names`] asks for, as far as they can be evaluated.
    pub fn new(policy: &'p Policy, segments: Memberships, seen: Seen, now: Moment) -> Self {
        Self {
            policy,
            segments,
            seen,
            now,
            lists: vec![Wanted::default(); policy.lists.len()],
            effects: Vec::new(),
            held: BTreeMap::new(),
            grounds: BTreeMap::new(),
        }
    }

    /// Remembers what one person should look like upstream, where that differs. Gives back the
    /// findings that no exemption takes away.
    pub fn person(&mut self, dossier: &Dossier, facts: &Facts, verdicts: Verdicts) -> Vec<Finding> {
        let judged = self.segments.judge(dossier, verdicts, self.policy);
        let wishes = self.effects.len();
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
        self.note_grounds(dossier, wishes, || {
            let mut evidence = evidence(facts, &judged.verdicts);
            if !unsubscribed.is_empty() {
                evidence.push_str("; unsubscribed by this plan");
            }
            evidence
        });
        judged.verdicts.findings
    }

    /// Remembers why, for whoever is wished something from the given wish on, or joins or leaves a list.
    fn note_grounds(&mut self, dossier: &Dossier, wishes: usize, evidence: impl Fn() -> String) {
        let wished = self.effects[wishes..].iter().filter_map(Effect::who);
        let [adds, removes] =
            [EffectKind::ListAdd, EffectKind::ListRemove].map(|kind| self.policy.allows(kind));
        let slots = dossier.profiles.iter().map(|(slot, _)| *slot);
        let moved = slots.filter(|slot| {
            let lists = self.lists.iter().zip(&self.seen.lists);
            lists.into_iter().any(|(wanted, seen)| {
                match (
                    wanted.certain.contains(slot.0),
                    seen.members.contains(slot.0),
                ) {
                    (true, false) => adds,
                    (false, true) => removes,
                    _ => false,
                }
            })
        });
        let touched: Vec<Slot> = wished.chain(moved).collect();
        if touched.is_empty() {
            return;
        }
        let evidence = evidence();
        for slot in touched {
            self.grounds.insert(slot, evidence.clone());
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
        let Some((slot, _)) = dossier.primary_profile_after(unsubscribed) else {
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
        for (list, wanted) in self.policy.lists.iter().zip(&mut self.lists) {
            let in_any = |names: &[String]| self.segments.in_any(names, dossier);
            match list.who.holds(&facts, judged, self.now, in_any) {
                Some(true) => drop(wanted.certain.insert(slot.0)),
                Some(false) => {}
                None => {
                    let slots = dossier.profiles.iter().map(|(slot, _)| slot.0);
                    wanted.untouchable.extend(slots);
                    wanted.perhaps.insert(slot.0);
                }
            }
        }
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
            self.effects.push(effect);
        } else {
            self.hold(effect.kind(), HoldReason::Mode, 1);
        }
    }

    fn hold(&mut self, kind: EffectKind, reason: HoldReason, count: u64) {
        if count > 0 {
            *self.held.entry((kind, reason)).or_default() += count;
        }
    }

    /// Subtracts what was seen from what is wanted.
    pub fn finish(mut self) -> Plan {
        let seen = std::mem::take(&mut self.seen);
        let mut lists = Vec::with_capacity(self.lists.len());
        for (index, wanted) in std::mem::take(&mut self.lists).into_iter().enumerate() {
            let seen_list = seen.lists.get(index).cloned().unwrap_or_default();
            lists.push(self.list(index, &wanted, &seen_list, &seen));
        }
        Plan::new(self.effects, self.held, lists, self.grounds)
    }

    fn list(
        &mut self,
        list: usize,
        wanted: &Wanted,
        seen_list: &SeenList,
        seen: &Seen,
    ) -> ListChange {
        // Whoever is in doubt stays as upstream has them.
        let stays = &wanted.untouchable & &seen_list.members;
        let may_join = &wanted.perhaps - &seen_list.members;
        let unknown = HoldReason::SegmentUnknown;
        self.hold(EffectKind::ListRemove, unknown, stays.len());
        self.hold(EffectKind::ListAdd, unknown, may_join.len());
        let wanted = &wanted.certain | stays;
        let join = &wanted - &seen_list.members;
        let leave = &seen_list.members - &wanted;
        let doubtful = &(&leave - &seen.known) - &seen.absent_twice;
        let undecided = join.is_empty() && !may_join.is_empty();
        match seen_list.exists {
            true => {}
            // A list for a segment that is nobody's, or cannot be judged yet, would only stand empty.
            false if undecided => self.hold(EffectKind::ListCreate, unknown, 1),
            false => self.wish(Effect::ListExists { list }),
        }
        // Nobody can join what may not be created.
        let joins = seen_list.exists || self.policy.allows(EffectKind::ListCreate);
        if !joins {
            self.hold(EffectKind::ListAdd, HoldReason::Mode, join.len());
        }
        for who in join.iter().filter(|_| joins) {
            self.wish(Effect::OnList {
                list,
                who: Slot(who),
            });
        }
        self.hold(
            EffectKind::ListRemove,
            HoldReason::SecondScan,
            doubtful.len(),
        );
        for who in &leave - &doubtful {
            self.wish(Effect::OffList {
                list,
                who: Slot(who),
            });
        }
        ListChange {
            name: self.policy.lists[list].name.clone(),
            seen: seen_list.members.len(),
            wanted: wanted.len(),
            join: join.len(),
            leave: leave.len(),
        }
    }
}

fn rank(effect: &Effect) -> usize {
    let kind = effect.kind();
    EffectKind::ALL
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(EffectKind::ALL.len())
}

fn list_of(effect: &Effect) -> Option<usize> {
    match effect {
        Effect::ListExists { list }
        | Effect::OnList { list, .. }
        | Effect::OffList { list, .. } => Some(*list),
        Effect::Properties { .. }
        | Effect::Suppressed { .. }
        | Effect::Unsubscribed { .. }
        | Effect::CustomerUnsubscribed { .. }
        | Effect::Tags { .. }
        | Effect::Metafield { .. } => None,
    }
}
