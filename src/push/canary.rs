//! The canary: a few effects of each kind go first, and upstream is asked whether they are true.

use super::{Push, PushError};
use crate::mirror::LIST_LAG;
use crate::model::{
    Customer, CustomerId, Effect, EffectKind, Mentions, Profile, ProfileId, Slot, Value,
};
use crate::plan::Trip;
use crate::policy::{Guard, Guards};
use std::collections::BTreeMap;
use std::time::Duration;

/// Looks at a canary that does not read back yet come so far apart.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Splits a plan into the canary and the rest. Lists are created with the canary: members need them.
pub(super) fn split(effects: &[Effect], guards: &Guards) -> (Vec<Effect>, Vec<Effect>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for group in effects.chunk_by(|a, b| a.kind() == b.kind()) {
        let share = (group.len() as f64 * guards.canary_share).ceil() as usize;
        let count = usize::try_from(guards.canary_count)
            .unwrap_or(usize::MAX)
            .max(share);
        let is_creation = group
            .first()
            .is_some_and(|e| e.kind() == EffectKind::ListCreate);
        let count = if is_creation {
            group.len()
        } else {
            count.min(group.len())
        };
        first.extend_from_slice(&group[..count]);
        rest.extend_from_slice(&group[count..]);
    }
    (first, rest)
}

impl Push<'_> {
    /// The pause in which a person may still stop what the canary began.
    pub(super) async fn pause_after_canary(&self, rest: u64) {
        let pause = Duration::from_secs(self.policy.guards.canary_pause_secs);
        let until = self.clock.monotonic() + pause;
        while self.clock.monotonic() < until && !self.stop.is_set() {
            // Told every second: a watchdog listens, too.
            self.progress
                .at("pause after the first effects", 0, Some(rest));
            self.clock.sleep(Duration::from_secs(1).min(pause)).await;
        }
    }

    /// Reads the effects back that were accepted; a trip when some of them are not true upstream, even
    /// after the time that reads may lag.
    pub(super) async fn verdict_on_canary(
        &self,
        done: &[&Effect],
    ) -> Result<Option<Trip>, PushError> {
        let until = self.clock.monotonic() + LIST_LAG;
        let mut wait = FIRST_WAIT;
        loop {
            let missing = self.not_true(done).await?;
            if missing <= self.allow_canary || self.stop.is_set() {
                return Ok(None);
            }
            if self.clock.monotonic() >= until {
                let note = format!(
                    "{missing} of {} first effects did not read back",
                    done.len()
                );
                return Ok(Some(Trip {
                    guard: Guard::Canary,
                    count: missing,
                    note,
                }));
            }
            self.progress
                .at("waiting for the first effects to show", 0, Some(missing));
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// How many effects are not true upstream.
    async fn not_true(&self, canary: &[&Effect]) -> Result<u64, PushError> {
        let profiles = self.read_profiles(canary).await?;
        let customers = self.read_customers(canary).await?;
        let mut missing = 0;
        for (list, members) in self.memberships(canary, &profiles).await? {
            missing += members
                .into_iter()
                .filter(|(id, wanted)| list.contains(id) != *wanted)
                .count() as u64;
        }
        for effect in canary {
            let holds = match effect {
                Effect::ListExists { list } => self.list_id(*list)?.is_some(),
                Effect::OnList { .. } | Effect::OffList { .. } => true,
                Effect::Properties { who, changes } => profiles.get(who).is_none_or(|profile| {
                    changes.iter().all(|change| {
                        let read = profile.properties.get(&change.key);
                        Value::same(read, change.to.as_ref())
                    })
                }),
                Effect::Suppressed { who } => profiles.get(who).is_none_or(Profile::is_suppressed),
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
            missing += u64::from(!holds);
        }
        Ok(missing)
    }

    /// The profiles of the canary as upstream has them now. One that is gone is absent.
    async fn read_profiles(
        &self,
        canary: &[&Effect],
    ) -> Result<BTreeMap<Slot, Profile>, PushError> {
        let mut slots: BTreeMap<ProfileId, Slot> = BTreeMap::new();
        let mut mentions = Mentions::default();
        for effect in canary {
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
        for chunk in ids.chunks(100) {
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
        canary: &[&Effect],
    ) -> Result<BTreeMap<Slot, Customer>, PushError> {
        let mut slots: BTreeMap<CustomerId, Slot> = BTreeMap::new();
        for effect in canary {
            if let Effect::Tags { who, .. } | Effect::Metafield { who, .. } = effect
                && let Some(id) = self.mirror.customer_id(*who)?
            {
                slots.insert(id, *who);
            }
        }
        let ids: Vec<CustomerId> = slots.keys().copied().collect();
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(100) {
            for customer in self.vendors.shopify.customers_by_id(chunk).await?.items {
                if let Some(slot) = slots.get(&customer.id) {
                    found.insert(*slot, customer);
                }
            }
        }
        Ok(found)
    }

    /// For each list of the canary: who is on it among those asked for, and who should be. Lists can
    /// be asked by e-mail address only, so profiles without one are taken on trust.
    async fn memberships(
        &self,
        canary: &[&Effect],
        profiles: &BTreeMap<Slot, Profile>,
    ) -> Result<Vec<(Vec<ProfileId>, Vec<(ProfileId, bool)>)>, PushError> {
        let mut by_list: BTreeMap<usize, Vec<(ProfileId, String, bool)>> = BTreeMap::new();
        for effect in canary {
            let (list, who, wanted) = match effect {
                Effect::OnList { list, who } => (*list, *who, true),
                Effect::OffList { list, who } => (*list, *who, false),
                _ => continue,
            };
            if let Some(profile) = profiles.get(&who)
                && let Some(email) = &profile.email
            {
                let asked = (profile.id.clone(), email.clone(), wanted);
                by_list.entry(list).or_default().push(asked);
            }
        }
        let mut answers = Vec::new();
        for (list, asked) in by_list {
            let Some(id) = self.list_id(list)? else {
                continue;
            };
            let mut on_list = Vec::new();
            for chunk in asked.chunks(100) {
                let emails: Vec<&str> = chunk.iter().map(|(_, email, _)| email.as_str()).collect();
                let found = self
                    .vendors
                    .klaviyo
                    .list_members_by_email(&id, &emails)
                    .await?;
                on_list.extend(found.items.into_iter().map(|member| member.profile));
            }
            let wanted = asked
                .into_iter()
                .map(|(id, _, wanted)| (id, wanted))
                .collect();
            answers.push((on_list, wanted));
        }
        Ok(answers)
    }
}
