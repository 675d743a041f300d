//! The records that webhooks named: read by id, so that neither the order nor the age of deliveries
//! matters, and after the feeds and files that may be behind.

use super::{Pull, PullError, Pulled};
use crate::api::{Fault, klaviyo, shopify};
use crate::hooks::Named;
use crate::model::{CustomerId, Mentions, OrderId, ProfileId};
use crate::vault::Subject;

const FETCHED: &str = "records read by id";
pub(super) const GONE: &str = "records gone upstream";

impl Pull<'_> {
    /// Reads what is named, and notes what is gone. Only then it is crossed off: a kill costs a repeat.
    pub(super) async fn refetch(
        &self,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let Some(inbox) = self.inbox else {
            return Ok(());
        };
        let taken = inbox.take();
        let vault = self.mirror.vault();
        let (mut customers, mut orders, mut profiles) = (Vec::new(), Vec::new(), Vec::new());
        for named in &taken.named {
            match named {
                Named::Customer(id) if vault.is_forgotten(Subject::Customer(*id)) => {}
                Named::Profile(id) if vault.is_forgotten(Subject::Profile(id)) => {}
                Named::Customer(id) => customers.push(*id),
                Named::Order(id) => orders.push(*id),
                Named::Profile(id) => profiles.push(id.clone()),
            }
        }
        for some in customers.chunks(shopify::MOST_IDS) {
            let found = self.refetch_customers(some, pulled).await;
            orders.extend(tolerated(found)?.unwrap_or_default());
        }
        self.refetch_all_orders(orders, pulled).await?;
        for some in profiles.chunks(klaviyo::MOST_IDS) {
            let found = self.refetch_profiles(some, mentions, pulled).await;
            tolerated(found)?;
        }
        pulled.gone.named = pulled.count(GONE);
        if let Err(error) = inbox.fetched(&taken) {
            // Read once more by the next pass; nothing depends on it.
            tracing::warn!(%error, "what webhooks named is not crossed off");
        }
        Ok(())
    }

    pub(super) async fn refetch_all_orders(
        &self,
        mut ids: Vec<OrderId>,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        ids.sort_unstable();
        ids.dedup();
        for some in ids.chunks(shopify::MOST_IDS) {
            tolerated(self.refetch_orders(some, pulled).await)?;
        }
        Ok(())
    }

    /// The orders of those who are gone: they have another owner now.
    pub(super) async fn refetch_customers(
        &self,
        ids: &[CustomerId],
        pulled: &mut Pulled,
    ) -> Result<Vec<OrderId>, PullError> {
        self.check_stop()?;
        let found = self.vendors.shopify.customers_by_id(ids).await?;
        let mut orders = Vec::new();
        for id in &found.gone {
            if let Some(slot) = self.mirror.slot_of_customer(*id)? {
                let owned = self.mirror.orders(slot)?;
                orders.extend(owned.into_iter().map(|order| order.id));
            }
        }
        pulled.add_some(FETCHED, found.items.len() as u64);
        pulled.judge(
            "customers by id",
            found.items.len() as u64,
            found.quarantined,
        );
        pulled.quarantined += found.quarantined;
        let mut page = self.mirror.page();
        for customer in found.items {
            page.customer(customer)?;
        }
        let gone = page.customers_gone(&found.gone, self.clock.now())?;
        page.commit()?;
        pulled.add_some(GONE, gone);
        Ok(orders)
    }

    async fn refetch_orders(&self, ids: &[OrderId], pulled: &mut Pulled) -> Result<(), PullError> {
        self.check_stop()?;
        let found = self.vendors.shopify.orders_by_id(ids).await?;
        pulled.add_some(FETCHED, found.items.len() as u64);
        pulled.judge("orders by id", found.items.len() as u64, found.quarantined);
        pulled.quarantined += found.quarantined;
        let mut page = self.mirror.page();
        for order in found.items {
            page.order(order)?;
        }
        // Without the scope an old order does not exist either.
        let gone = match pulled.all_orders {
            true => page.orders_gone(&found.gone)?,
            false => 0,
        };
        page.commit()?;
        pulled.add_some(GONE, gone);
        Ok(())
    }

    pub(super) async fn refetch_profiles(
        &self,
        ids: &[ProfileId],
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        self.check_stop()?;
        let answer = self.vendors.klaviyo.profiles_by_id(ids, mentions).await?;
        let is_absent = |id: &&ProfileId| !answer.items.iter().any(|one| one.id == **id);
        let absent: Vec<ProfileId> = ids.iter().filter(is_absent).cloned().collect();
        // Without the sentinels, or where more is to come, an absence proves nothing.
        let gone = match (pulled.missing_sentinels, &answer.next, answer.quarantined) {
            (0, None, 0) => absent,
            (0, None, _) => self.really_absent(absent).await?,
            _ => Vec::new(),
        };
        pulled.add_some(FETCHED, answer.items.len() as u64);
        pulled.judge(
            "profiles by id",
            answer.items.len() as u64,
            answer.quarantined,
        );
        pulled.quarantined += answer.quarantined;
        let mut page = self.mirror.page();
        for profile in answer.items {
            page.profile(profile)?;
        }
        let gone = page.profiles_gone(&gone, self.clock.now())?;
        page.commit()?;
        pulled.add_some(GONE, gone);
        Ok(())
    }

    /// A record that did not decode is there all the same, and nobody says which: each is asked for by
    /// itself.
    async fn really_absent(&self, ids: Vec<ProfileId>) -> Result<Vec<ProfileId>, PullError> {
        let mut absent = Vec::new();
        for id in ids {
            self.check_stop()?;
            let asked = std::slice::from_ref(&id);
            let mentions = Mentions::default();
            let answer = self
                .vendors
                .klaviyo
                .profiles_by_id(asked, &mentions)
                .await?;
            if answer.items.is_empty() && answer.quarantined == 0 {
                absent.push(id);
            }
        }
        Ok(absent)
    }
}

/// What was read; `None` where the vendor found fault with just this request: nothing else waits for it.
pub(super) fn tolerated<T>(found: Result<T, PullError>) -> Result<Option<T>, PullError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(PullError::Api(error))
            if matches!(
                error.fault,
                Fault::Invalid { .. } | Fault::GraphqlErrors { .. } | Fault::NotFound
            ) =>
        {
            tracing::warn!(%error, "records could not be read by id");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
