//! What the plan is compared with, and what the guards must know.

use super::{Options, PassError, Shop, Task};
use crate::journal::Purpose;
use crate::mirror::{LIST_LAG, Page, Stream};
use crate::model::{CustomerId, Effect, EffectKind, HoldReason, Moment, ProfileId, Slot};
use crate::plan::{Circumstances, Effects, Plan, Seen, SeenList, Spent, guard};
use crate::policy::Guard;
use crate::pull::{Counted, Pulled};
use crate::push::{Described, describe};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Shop {
    /// Managed lists as upstream has them, and which of their members are doubtful.
    pub(super) fn seen(&self, options: &Options) -> Result<Seen, PassError> {
        let known = self.mirror.known_profiles()?;
        let mut lists = Vec::new();
        let mut absent = RoaringBitmap::new();
        let upstream = self.mirror.lists()?;
        let bindings = self.mirror.bindings()?;
        let mut page = self.mirror.page();
        for managed in &self.config.policy.lists {
            let bound = bindings.get(&managed.name).cloned();
            let bound = bound.filter(|id| upstream.iter().any(|list| list.id == *id));
            let by_name = || upstream.iter().find(|list| list.name == managed.name);
            let id = bound.or_else(|| by_name().map(|list| list.id.clone()));
            let Some(id) = id else {
                lists.push(SeenList::default());
                continue;
            };
            page.bind(&managed.name, &id);
            let members = self
                .mirror
                .members(&id, self.clock.now())?
                .unwrap_or_default();
            absent |= &members - &known;
            lists.push(SeenList {
                exists: true,
                members,
            });
        }
        let absent_twice = self.absent_twice(&absent, &mut page, self.clock.now())?;
        if options.as_of.is_none() {
            page.commit()?;
        }
        Ok(Seen {
            lists,
            known,
            absent_twice,
        })
    }

    /// List members without a record that an earlier scan, long enough ago, missed as well.
    fn absent_twice(
        &self,
        absent: &RoaringBitmap,
        page: &mut Page<'_>,
        now: Moment,
    ) -> Result<RoaringBitmap, PassError> {
        let minutes = u64::from(self.config.policy.guards.two_scans_minutes);
        let known = self.mirror.absences()?;
        for slot in known.keys().filter(|slot| !absent.contains(slot.0)) {
            page.absent(*slot, None);
        }
        for slot in absent {
            if !known.contains_key(&Slot(slot)) {
                page.absent(Slot(slot), Some(now));
            }
        }
        let long_ago = now.minus(Duration::from_secs(60 * minutes));
        let twice = known
            .iter()
            .filter(|(slot, since)| absent.contains(slot.0) && **since <= long_ago);
        Ok(twice.map(|(slot, _)| slot.0).collect())
    }

    /// Takes out what was tried in vain: what a vendor refused lately, and suppressions that somebody
    /// lifted again. Else the first would spoil every canary, and the second undo a person's decision.
    pub(super) fn hold_back_in_vain(
        &self,
        plan: &mut Plan,
        all_over: bool,
    ) -> Result<(), PassError> {
        let refused = self.journal.refused_since(self.clock.now().minus(DAY));
        plan.hold_back(|effect| {
            if !all_over && effect.kind().goes_in_bulk() {
                return Ok(Some(HoldReason::InFlight));
            }
            if let Effect::CustomerUnsubscribed { by, at, .. } = effect
                && self.is_own_doing(*by, *at)?
            {
                return Ok(Some(HoldReason::OwnDoing));
            }
            let suppresses = matches!(effect, Effect::Suppressed { .. });
            if refused.is_empty() && !suppresses {
                return Ok(None);
            }
            let told = describe(effect, &self.mirror, &self.config.policy)?;
            let Described {
                kind,
                subject,
                target,
                to,
                ..
            } = &told;
            let subject = subject.as_deref();
            if refused.contains(&Purpose::of(*kind, subject, target, to)) {
                return Ok(Some(HoldReason::RefusedLately));
            }
            let lifted = suppresses && subject.is_some_and(|id| self.journal.was_suppressed(id));
            Ok(lifted.then_some(HoldReason::LiftedBefore))
        })
    }

    /// Whether a profile's refusal is one that an effect brought about: Klaviyo dates it by when it was
    /// carried out, which is later than the person's own act, and perhaps than a new one.
    fn is_own_doing(&self, profile: Slot, refused: Moment) -> Result<bool, PassError> {
        let id = self.mirror.profile_id(profile)?;
        let carried = id.and_then(|id| self.journal.unsubscribed_at(id.as_str()));
        Ok(carried.is_some_and(|carried| refused <= carried.plus(LIST_LAG)))
    }

    /// What the guards must know besides the plan.
    pub(super) fn circumstances(
        &self,
        pulled: &Pulled,
        options: &Options,
        now: Moment,
    ) -> Result<Circumstances, PassError> {
        let totals = self.mirror.totals()?;
        // A clock that was set forward must not give back what was spent today.
        let since = now.min(pulled.began).minus(DAY);
        let mut spent = BTreeMap::new();
        for (guard, _, kinds) in self.config.policy.guards.budgets() {
            spent.insert(guard, self.spent(kinds, since)?);
        }
        Ok(Circumstances {
            profiles: totals.profiles,
            customers: totals.customers,
            spent,
            listings: pulled
                .listings
                .iter()
                .map(|counted| counted.listing.clone())
                .collect(),
            missing_sentinels: pulled.missing_sentinels,
            legibility: pulled.legibility(),
            // Who applies a plan, or takes a run back, has said what is to be done.
            released: options.only.is_some() || options.task != Task::Rules || self.is_released(),
            readings_due: self.readings_due()?,
            moved: 0,
        })
    }

    /// Whom effects of these kinds changed since then, by the journal. Customers have gids there.
    fn spent(&self, kinds: &[EffectKind], since: Moment) -> Result<Spent, PassError> {
        let mut spent = Spent::default();
        for subject in self.journal.spent(kinds, since) {
            let customer = CustomerId::parse(subject).filter(|id| id.gid() == subject);
            let slot = match customer {
                Some(id) => self.mirror.slot_of_customer(id)?,
                None => self.mirror.slot_of_profile(&ProfileId::from(subject))?,
            };
            match slot {
                Some(slot) => drop(spent.people.insert(slot.0)),
                None => spent.unknown += 1,
            }
        }
        Ok(spent)
    }

    /// Makes sound listings the measure of the next ones.
    pub(super) fn remember_listings(
        &self,
        pulled: &Pulled,
        options: &Options,
    ) -> Result<(), PassError> {
        let guards = &self.config.policy.guards;
        let mut page = self.mirror.page();
        for Counted { stream, listing } in &pulled.listings {
            let lost = listing.before.unwrap_or(0).saturating_sub(listing.count);
            let allowed = listing.complete && options.allow.covers(Guard::EmptySource, lost);
            if guard::is_sound(listing, guards) || allowed {
                page.complete_count(stream, listing.count);
            }
        }
        let missing = pulled.missing_sentinels;
        if missing > 0 && options.allow.covers(Guard::Sentinels, missing) {
            // The operator says that they were deleted: the next pass chooses others.
            page.sentinels(&[]);
        }
        Ok(page.commit()?)
    }

    /// What we take off managed lists ourselves must not look like a broken listing afterwards: makes
    /// what is left of each once `planned` is done the measure of its next listing. Called before
    /// the first effect is sent: after a crash or a lost answer nobody knows how many have left.
    pub(super) fn remember_managed_lists(&self, planned: &Effects) -> Result<(), PassError> {
        let bindings = self.mirror.bindings()?;
        let mut page = self.mirror.page();
        for (index, managed) in self.config.policy.lists.iter().enumerate() {
            if let Some(id) = bindings.get(&managed.name)
                && let Some(members) = self.mirror.members(id, self.clock.now())?
            {
                let leaving = planned.of_list(EffectKind::ListRemove, index);
                let left = members.len().saturating_sub(leaving);
                page.complete_count(&Stream::ListMembers(id.clone()), left);
            }
        }
        Ok(page.commit()?)
    }

    /// A pass that was free to write came to its end: the next one is counted from its beginning,
    /// over restarts. One that was stopped is taken up by the next start at once.
    pub(super) fn remember_end(&self, began: Moment) -> Result<(), PassError> {
        let mut page = self.mirror.page();
        page.last_pass(began);
        Ok(page.commit()?)
    }
}
