//! Brings intents that an earlier run left open to an end: after an unknown outcome look first.
//!
//! Effects are targets, so looking is enough: what is true is confirmed; what is not is superseded
//! by the new plan, which was made from the same look.

use super::{Push, PushError};
use crate::api::Fault;
use crate::journal::{Intent, Job};
use crate::mirror::MirrorError;
use crate::model::{BulkId, CustomerId, EffectKind, End, JobId, ListId, Moment, ProfileId, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;

impl Push<'_> {
    /// Waits until jobs of open intents are over, so that the pull after it sees their work; whether
    /// nothing writes to customers any more. An import or a suppression that cannot be asked about is left
    /// to that pull.
    pub async fn settle_jobs(&mut self) -> bool {
        let mut all_over = true;
        let mut named = BTreeSet::new();
        for Job { job, effects, .. } in self.journal.open_jobs() {
            let carried = self
                .journal
                .open_intents()
                .find(|open| effects.contains(&open.id));
            let kind = carried.map(|intent| intent.kind);
            let id = JobId::from(job.as_str());
            let followed = match kind {
                Some(EffectKind::Suppression) => self.follow_suppression(&id).await.map(drop),
                Some(EffectKind::Tag | EffectKind::Metafield) => {
                    let id = BulkId::from(job.as_str());
                    all_over &= self.is_bulk_over(&id).await;
                    named.insert(id);
                    Ok(())
                }
                _ => self.follow_import(&id).await.map(drop),
            };
            if let Err(error) = followed {
                tracing::info!(%error, "a job of an earlier run cannot be followed");
            }
        }
        match self.settle_unnamed_bulks(&named).await {
            Ok(unnamed) => all_over && unnamed,
            Err(error) => {
                tracing::warn!(%error, "bulk operations of an earlier run cannot be looked for");
                false
            }
        }
    }

    /// Waits for an operation; `false` when it cannot be told that it is over.
    async fn is_bulk_over(&self, id: &BulkId) -> bool {
        match self.follow_bulk(id).await {
            Ok(over) => over.is_some(),
            // Shopify forgets them after a week.
            Err(PushError::Api(error)) if error.fault == Fault::NotFound => true,
            Err(error) => {
                tracing::warn!(%error, "a bulk operation of an earlier run cannot be followed");
                false
            }
        }
    }

    /// Waits for bulk operations whose start was sent, but whose id never came to be journaled. Their mark
    /// is the id of their first effect.
    async fn settle_unnamed_bulks(&self, named: &BTreeSet<BulkId>) -> Result<bool, PushError> {
        let in_bulk = [EffectKind::Tag, EffectKind::Metafield];
        let open = self.journal.open_intents();
        let open = open.filter(|intent| in_bulk.contains(&intent.kind));
        let marks: BTreeSet<String> = open.map(|intent| intent.id.to_string()).collect();
        if marks.is_empty() {
            return Ok(true);
        }
        let mut all_over = true;
        for bulk in self.vendors.shopify.bulk_mutations().await? {
            let is_ours = bulk.mark().is_some_and(|mark| marks.contains(mark));
            if is_ours && !named.contains(&bulk.id) {
                all_over &= self.is_bulk_over(&bulk.id).await;
            }
        }
        Ok(all_over)
    }

    /// Ends every open intent by what the mirror says now; call it after a pull. Tags and metafields stay
    /// open while something may still write them. Returns how many ended.
    pub fn recover(&mut self, all_over: bool) -> Result<u64, PushError> {
        let now = self.clock.now();
        let mut ends = Vec::new();
        for intent in self.journal.open_intents() {
            if !all_over && intent.kind.goes_in_bulk() {
                continue;
            }
            let end = if self.holds(intent, now)? {
                End::Confirmed
            } else {
                End::Superseded
            };
            ends.push((intent.id, end, Some("observed".to_owned())));
        }
        self.journal.conclude(&ends, now)?;
        Ok(ends.len() as u64)
    }

    fn holds(&self, intent: &Intent, now: Moment) -> Result<bool, MirrorError> {
        match intent.kind {
            EffectKind::ListCreate => self.recovered_list(&intent.target),
            EffectKind::ListAdd | EffectKind::ListRemove => {
                let list = ListId::from(intent.target.as_str());
                let Some(slot) = self.profile_slot(intent)? else {
                    return Ok(false);
                };
                let members = self.mirror.members(&list, now)?.unwrap_or_default();
                let is_member = members.contains(slot.0);
                Ok(is_member == (intent.kind == EffectKind::ListAdd))
            }
            // Nobody knows what it was to bring about.
            _ if intent.is_closed() => Ok(false),
            EffectKind::Property => {
                let Some(slot) = self.profile_slot(intent)? else {
                    return Ok(false);
                };
                let profile = self.mirror.profile(slot)?;
                let wanted = intent.to.as_object();
                Ok(profile.zip(wanted).is_some_and(|(profile, wanted)| {
                    wanted.iter().all(|(key, to)| {
                        let wanted = Value::from_json(to);
                        let read = profile.properties.get(key);
                        // What was unset may be shown as null.
                        Value::same(read.filter(|read| **read != Value::Null), wanted.as_ref())
                    })
                }))
            }
            EffectKind::Suppression => {
                let Some(slot) = self.profile_slot(intent)? else {
                    return Ok(false);
                };
                Ok(self
                    .mirror
                    .profile(slot)?
                    .is_some_and(|profile| profile.is_suppressed()))
            }
            EffectKind::Unsubscription => {
                let Some(slot) = self.profile_slot(intent)? else {
                    return Ok(false);
                };
                let profile = self.mirror.profile(slot)?;
                Ok(profile.is_some_and(|profile| profile.is_unsubscribed()))
            }
            // Tags and metafields may have changed in part; the new plan says what is left.
            EffectKind::CustomerUnsubscription | EffectKind::Tag | EffectKind::Metafield => {
                Ok(self.customer_is_settled(intent)?)
            }
        }
    }

    fn profile_slot(&self, intent: &Intent) -> Result<Option<crate::model::Slot>, MirrorError> {
        let id = intent.subject.as_deref().map(ProfileId::from);
        id.map_or(Ok(None), |id| self.mirror.slot_of_profile(&id))
    }

    /// A list whose creation has no recorded end may exist: its name finds it.
    fn recovered_list(&self, name: &str) -> Result<bool, MirrorError> {
        Ok(self.mirror.lists()?.iter().any(|list| list.name == name))
    }

    fn customer_is_settled(&self, intent: &Intent) -> Result<bool, MirrorError> {
        let id = intent.subject.as_deref().and_then(CustomerId::parse);
        let slot = id.map_or(Ok(None), |id| self.mirror.slot_of_customer(id))?;
        let customer = slot.map_or(Ok(None), |slot| self.mirror.customer(slot))?;
        Ok(customer.is_some_and(|customer| match intent.kind {
            EffectKind::CustomerUnsubscription => customer.is_unsubscribed(),
            EffectKind::Metafield => customer.metafield.as_deref() == intent.to.as_str(),
            _ => {
                let has = |tag: &str| {
                    let mut tags = customer.tags.iter();
                    tags.any(|have| have.to_lowercase() == tag.to_lowercase())
                };
                texts(&intent.to["has"]).all(has) && !texts(&intent.from["had"]).any(has)
            }
        }))
    }
}

fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}
