//! Reading back: whether what upstream accepted is true there.
//!
//! A vendor's "done" is not proof. The canary is read back whole; of what follows it one effect in a
//! hundred, and when any of those is not true, all of its kind. What was not kept goes into the mirror
//! as upstream has it, so that the next plan wants it again.

use super::jobs::Looks;
use super::{Push, PushError, Pushed};
use crate::api::{klaviyo, shopify};
use crate::journal::RunId;
use crate::mirror::LIST_LAG;
use crate::model::{
    Customer, CustomerId, Effect, EffectKind, Mentions, Profile, ProfileId, Slot, Value,
};
use crate::plan::{Effects, Group};
use std::collections::{BTreeMap, BTreeSet};

/// So many effects are judged at once: their records are in memory.
const AT_ONCE: usize = 1_000;

/// One effect of so many is read back (reliability.md, section 12).
const ONE_OF: usize = 100;

impl Push<'_> {
    /// Reads a sample of accepted effects back, and all of a kind of which one did not last.
    pub(super) async fn read_back(
        &mut self,
        run: RunId,
        done: &Effects,
        pushed: &mut Pushed,
    ) -> Result<(), PushError> {
        let missed = self.untrue_after_lag(&sample(done), 0).await?;
        let kinds: BTreeSet<EffectKind> = missed.iter().map(Effect::kind).collect();
        let suspects = done.groups().filter(|group| kinds.contains(&group.kind()));
        let mut suspects = suspects.flat_map(Group::iter);
        loop {
            let some = suspects.by_ref().map(|one| one.effect);
            let some: Vec<Effect> = some.take(AT_ONCE).collect();
            let unkept = match self.stop.is_set() {
                // There is no time for more than what is known already.
                true => some
                    .iter()
                    .filter(|one| missed.contains(one))
                    .cloned()
                    .collect(),
                false => self.untrue(&some).await?,
            };
            self.note_unkept(run, &unkept, pushed).await?;
            if some.len() < AT_ONCE {
                break;
            }
        }
        for (kind, count) in &pushed.unkept {
            tracing::warn!(%kind, count, "accepted, but not true when it was read back");
        }
        Ok(())
    }

    /// Takes back what journal and mirror were told of effects that are not true.
    async fn note_unkept(
        &mut self,
        run: RunId,
        unkept: &[Effect],
        pushed: &mut Pushed,
    ) -> Result<(), PushError> {
        if unkept.is_empty() {
            return Ok(());
        }
        let mut ids = Vec::with_capacity(unkept.len());
        for effect in unkept {
            ids.push(self.intent(run, effect)?.id);
            *pushed.unkept.entry(effect.kind()).or_default() += 1;
        }
        self.journal.unkept(run, &ids, self.clock.now())?;
        self.correct(unkept).await
    }

    /// Those of the effects that are not true upstream, even after the time that reads may lag, once
    /// there are no more than `few` of them.
    pub(super) async fn untrue_after_lag(
        &self,
        effects: &[Effect],
        few: u64,
    ) -> Result<Vec<Effect>, PushError> {
        let mut looks = Looks::within(self, LIST_LAG);
        loop {
            let missing = self.untrue(effects).await?;
            let count = missing.len() as u64;
            if count <= few {
                return Ok(missing);
            }
            self.progress
                .at("waiting for effects to show", 0, Some(count));
            if !looks.again().await {
                return Ok(missing);
            }
        }
    }

    /// Reads the records anew whose effects are not true. What is on a list, its next listing tells.
    async fn correct(&self, unkept: &[Effect]) -> Result<(), PushError> {
        let (mut profiles, mut customers) = (BTreeSet::new(), BTreeSet::new());
        for effect in unkept.iter().filter(|one| one.members_of().is_none()) {
            let Some(who) = effect.who() else { continue };
            match effect.kind().is_of_customers() {
                true => customers.extend(self.mirror.customer_id(who)?),
                false => profiles.extend(self.mirror.profile_id(who)?),
            }
        }
        let profiles: Vec<ProfileId> = profiles.into_iter().collect();
        self.look_at_profiles(&profiles).await?;
        let customers: Vec<CustomerId> = customers.into_iter().collect();
        for some in customers.chunks(shopify::MOST_IDS) {
            let found = self.vendors.shopify.customers_by_id(some).await?.items;
            let mut page = self.mirror.page();
            for customer in found {
                page.customer(customer)?;
            }
            page.commit()?;
        }
        Ok(())
    }

    /// Puts these profiles into the mirror as upstream has them now; says which it has not. Where a
    /// record cannot be read, or a sentinel does not answer, none is missed.
    pub(super) async fn look_at_profiles(
        &self,
        ids: &[ProfileId],
    ) -> Result<BTreeSet<ProfileId>, PushError> {
        let mut absent = BTreeSet::new();
        let sentinels = self.mirror.sentinels()?;
        let room = klaviyo::MOST_IDS.saturating_sub(sentinels.len()).max(1);
        for some in ids.chunks(room) {
            let asked = [some, &sentinels].concat();
            let klaviyo = &self.vendors.klaviyo;
            let answer = klaviyo.profiles_by_id(&asked, &self.mentions).await?;
            let is_absent = |id: &&ProfileId| !answer.items.iter().any(|one| one.id == **id);
            if answer.quarantined == 0
                && answer.next.is_none()
                && !sentinels.iter().any(|id| is_absent(&id))
            {
                absent.extend(some.iter().filter(is_absent).cloned());
            }
            let mut page = self.mirror.page();
            for profile in answer.items {
                page.profile(profile)?;
            }
            page.commit()?;
        }
        Ok(absent)
    }

    /// Those of the effects that are not true upstream.
    async fn untrue(&self, effects: &[Effect]) -> Result<Vec<Effect>, PushError> {
        let profiles = self.read_profiles(effects).await?;
        let customers = self.read_customers(effects).await?;
        let misplaced = self.misplaced(effects, &profiles).await?;
        let mut found = Vec::new();
        for (at, effect) in effects.iter().enumerate() {
            let holds = match effect {
                Effect::ListExists { list } => self.list_id(*list)?.is_some(),
                Effect::OnList { .. } | Effect::OffList { .. } => !misplaced.contains(&at),
                Effect::Properties { who, changes } => profiles.get(who).is_none_or(|profile| {
                    changes.iter().all(|change| {
                        let read = profile.properties.get(&change.key);
                        Value::same(read, change.to.as_ref())
                    })
                }),
                Effect::Suppressed { who } => profiles.get(who).is_none_or(Profile::is_suppressed),
                Effect::Unsubscribed { who, .. } => {
                    profiles.get(who).is_none_or(Profile::is_unsubscribed)
                }
                Effect::CustomerUnsubscribed { who, .. } => {
                    customers.get(who).is_none_or(Customer::is_unsubscribed)
                }
                Effect::Tags { who, add, remove } => customers.get(who).is_none_or(|customer| {
                    let has = |tag: &String| {
                        customer
                            .tags
                            .iter()
                            .any(|t| t.to_lowercase() == tag.to_lowercase())
                    };
                    add.iter().all(has) && !remove.iter().any(has)
                }),
                Effect::Metafield { who, to, .. } => customers.get(who).is_none_or(|customer| {
                    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                    let wanted = to.as_deref().and_then(parse);
                    customer.metafield.as_deref().and_then(parse) == wanted
                }),
            };
            if !holds {
                found.push(effect.clone());
            }
        }
        Ok(found)
    }

    /// The profiles of the effects as upstream has them now. One that is gone is absent.
    async fn read_profiles(
        &self,
        effects: &[Effect],
    ) -> Result<BTreeMap<Slot, Profile>, PushError> {
        let mut slots: BTreeMap<ProfileId, Slot> = BTreeMap::new();
        let mut mentions = Mentions::default();
        for effect in effects {
            let Some(who) = effect.who() else { continue };
            if let Effect::Properties { changes, .. } = effect {
                mentions
                    .profile
                    .extend(changes.iter().map(|change| change.key.clone()));
            }
            if let Some(id) = self.mirror.profile_id(who)? {
                slots.insert(id, who);
            }
        }
        let ids: Vec<ProfileId> = slots.keys().cloned().collect();
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(klaviyo::MOST_IDS) {
            for profile in self
                .vendors
                .klaviyo
                .profiles_by_id(chunk, &mentions)
                .await?
                .items
            {
                if let Some(slot) = slots.get(&profile.id) {
                    found.insert(*slot, profile);
                }
            }
        }
        Ok(found)
    }

    async fn read_customers(
        &self,
        effects: &[Effect],
    ) -> Result<BTreeMap<Slot, Customer>, PushError> {
        let mut slots: BTreeMap<CustomerId, Slot> = BTreeMap::new();
        for effect in effects {
            if effect.kind().is_of_customers()
                && let Some(who) = effect.who()
                && let Some(id) = self.mirror.customer_id(who)?
            {
                slots.insert(id, who);
            }
        }
        let ids: Vec<CustomerId> = slots.keys().copied().collect();
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(shopify::MOST_IDS) {
            for customer in self.vendors.shopify.customers_by_id(chunk).await?.items {
                if let Some(slot) = slots.get(&customer.id) {
                    found.insert(*slot, customer);
                }
            }
        }
        Ok(found)
    }

    /// The places of those who are on a list they should be off, or the other way round. Lists can be
    /// asked by e-mail address only, so profiles without one are taken on trust.
    async fn misplaced(
        &self,
        effects: &[Effect],
        profiles: &BTreeMap<Slot, Profile>,
    ) -> Result<BTreeSet<usize>, PushError> {
        let mut by_list: BTreeMap<usize, Vec<Asked>> = BTreeMap::new();
        for (at, effect) in effects.iter().enumerate() {
            let (list, who, wanted) = match effect {
                Effect::OnList { list, who } => (*list, *who, true),
                Effect::OffList { list, who } => (*list, *who, false),
                _ => continue,
            };
            if let Some(profile) = profiles.get(&who)
                && let Some(email) = &profile.email
            {
                by_list.entry(list).or_default().push(Asked {
                    at,
                    id: profile.id.clone(),
                    email: email.clone(),
                    wanted,
                });
            }
        }
        let mut misplaced = BTreeSet::new();
        for (list, asked) in by_list {
            let Some(list) = self.list_id(list)? else {
                continue;
            };
            for some in asked.chunks(100) {
                let emails: Vec<&str> = some.iter().map(|asked| asked.email.as_str()).collect();
                let klaviyo = &self.vendors.klaviyo;
                let found = klaviyo.list_members_by_email(&list, &emails).await?.items;
                let is_on = |id: &ProfileId| found.iter().any(|member| member.profile == *id);
                let wrong = some.iter().filter(|asked| is_on(&asked.id) != asked.wanted);
                misplaced.extend(wrong.map(|asked| asked.at));
            }
        }
        Ok(misplaced)
    }
}

/// Whether a profile is on a list.
struct Asked {
    /// The place of the effect.
    at: usize,
    id: ProfileId,
    email: String,
    wanted: bool,
}

/// Evenly spread, at least one of each kind and list. Unsubscriptions were read until they showed.
fn sample(done: &Effects) -> Vec<Effect> {
    let groups = done.groups();
    let open = groups.filter(|group| group.kind() != EffectKind::Unsubscription);
    let spread = open.flat_map(|group| group.iter().step_by(ONE_OF));
    spread.map(|planned| planned.effect).collect()
}
