//! Shopify customers: tags one customer at a time, metafields twenty-five at a time.

use super::batch::Fate;
use super::{Push, PushError};
use crate::model::{Effect, Slot};

impl Push<'_> {
    /// Removes and adds tags of one customer. Only tags under our prefix ever come here.
    pub(super) async fn tags(
        &mut self,
        who: Slot,
        add: &[String],
        remove: &[String],
    ) -> Result<Vec<Fate>, PushError> {
        let Some(customer) = self.mirror.customer_id(who)? else {
            return Ok(vec![Fate::Gone]);
        };
        let shopify = &self.vendors.shopify;
        if !remove.is_empty() {
            shopify.remove_tags(&self.grant, customer, remove).await?;
        }
        if !add.is_empty() {
            shopify.add_tags(&self.grant, customer, add).await?;
        }
        Ok(vec![Fate::Done])
    }

    /// Sets metafields; those that are refused do not hold up the others.
    pub(super) async fn metafields(&mut self, effects: &[Effect]) -> Result<Vec<Fate>, PushError> {
        let mut fates = vec![Fate::Gone; effects.len()];
        let Some(map) = &self.policy.metafield else {
            return Ok(fates);
        };
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        for (index, effect) in effects.iter().enumerate() {
            let Effect::Metafield { who, to, .. } = effect else {
                continue;
            };
            if let Some(customer) = self.mirror.customer_id(*who)? {
                entries.push((customer, map.namespace.clone(), map.key.clone(), to.clone()));
                places.push(index);
            }
        }
        let refused = self
            .vendors
            .shopify
            .set_metafields(&self.grant, &entries)
            .await?;
        places.iter().for_each(|index| fates[*index] = Fate::Done);
        for (entry, code) in refused {
            if let Some(index) = places.get(entry) {
                fates[*index] = Fate::Refused(code.to_string());
            }
        }
        Ok(fates)
    }
}
