//! Shopify customers, call by call: tags one customer at a time, metafields twenty-five at a time.

use super::batch::{Fate, blames_the_request, fate_of};
use super::{Push, PushError};
use crate::model::{Effect, Slot};

impl Push<'_> {
    /// The tags of one customer, or the metafields of as many as one call takes.
    pub(super) async fn customers(
        &self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        match effects {
            [Effect::Tags { who, add, remove }] => self.tags(*who, add, remove, fates).await,
            metafields => self.metafields(metafields, fates).await,
        }
    }

    /// Removes and adds tags of one customer. Only tags under our prefix ever come here.
    async fn tags(
        &self,
        who: Slot,
        add: &[String],
        remove: &[String],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let Some(customer) = self.mirror.customer_id(who)? else {
            fates.fill(Fate::Gone);
            return Ok(());
        };
        let shopify = &self.vendors.shopify;
        if !remove.is_empty() {
            let removed = shopify.remove_tags(&self.grant, customer, remove).await;
            fates.fill(removed.as_ref().map_or_else(fate_of, |()| Fate::Done));
            removed?;
        }
        if !add.is_empty() {
            let added = shopify.add_tags(&self.grant, customer, add).await;
            let half_done = !remove.is_empty();
            fates.fill(match &added {
                Ok(()) => Fate::Done,
                Err(_) if half_done => Fate::Unknown,
                Err(error) => fate_of(error),
            });
            added?;
        }
        Ok(())
    }

    /// Sets metafields, and takes those away that are to be gone. Those that are refused do not hold
    /// up the others.
    async fn metafields(&self, effects: &[Effect], fates: &mut [Fate]) -> Result<(), PushError> {
        let Some(map) = &self.policy.metafield else {
            return Ok(());
        };
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        for (index, effect) in effects.iter().enumerate() {
            let Effect::Metafield { who, to, .. } = effect else {
                continue;
            };
            match (self.mirror.customer_id(*who)?, to) {
                (Some(customer), Some(to)) => {
                    entries.push((customer, map.namespace.clone(), map.key.clone(), to.clone()));
                    places.push(index);
                }
                (Some(customer), None) => {
                    let name = (map.namespace.as_str(), map.key.as_str());
                    let shopify = &self.vendors.shopify;
                    let deleted = shopify.delete_metafield(&self.grant, customer, name).await;
                    fates[index] = deleted.as_ref().map_or_else(fate_of, |()| Fate::Done);
                    match deleted {
                        Err(error) if !blames_the_request(&error) => return Err(error.into()),
                        _ => {}
                    }
                }
                (None, _) => fates[index] = Fate::Gone,
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let answer = self
            .vendors
            .shopify
            .set_metafields(&self.grant, &entries)
            .await;
        let fate = answer.as_ref().map_or_else(fate_of, |_| Fate::Done);
        places.iter().for_each(|at| fates[*at] = fate.clone());
        for (entry, code) in answer? {
            if let Some(at) = places.get(entry) {
                fates[*at] = Fate::Refused(code.to_string());
            }
        }
        Ok(())
    }
}
