//! Every feed, side by side: profiles, events and lists draw on budgets of their own, and Shopify is
//! another vendor. None needs what another brings: a record that is named before it arrives has its
//! place in the mirror kept.

use super::{Pull, PullError, Pulled, ServerTimes};
use crate::model::{Mentions, MetricId, Moment};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use std::collections::BTreeMap;

type Reading<'a> = BoxFuture<'a, Result<Pulled, PullError>>;

impl Pull<'_> {
    /// Reads whatever is new. Of metrics that were asked for before: until when.
    pub(super) async fn feeds(
        &self,
        times: ServerTimes,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<BTreeMap<MetricId, Moment>, PullError> {
        let mut asked_before = BTreeMap::new();
        let ServerTimes { klaviyo, shopify } = times;
        let profiles = async {
            let mut pulled = Pulled::default();
            self.profiles(klaviyo, mentions, &mut pulled).await?;
            // Followed from where the first walk over all profiles began.
            self.suppressions(klaviyo, mentions, &mut pulled).await?;
            self.sentinels(&mut pulled).await?;
            Ok(pulled)
        };
        let events = async {
            let mut pulled = Pulled::default();
            asked_before = self.events(klaviyo, mentions, &mut pulled).await?;
            Ok(pulled)
        };
        let members = async {
            let mut pulled = Pulled::default();
            self.members(klaviyo, mentions, &mut pulled).await?;
            Ok(pulled)
        };
        let shop = async {
            let mut pulled = Pulled::default();
            self.customers(shopify, &mut pulled).await?;
            self.orders(shopify, &mut pulled).await?;
            Ok(pulled)
        };
        let readings: [Reading<'_>; 4] = [
            profiles.boxed(),
            events.boxed(),
            members.boxed(),
            shop.boxed(),
        ];
        let read = self.side_by_side(readings).await?;
        read.into_iter().for_each(|some| pulled.absorb(some));
        Ok(asked_before)
    }

    /// Whatever all of them bring, in their order. The first that fails ends all.
    async fn side_by_side(&self, readings: [Reading<'_>; 4]) -> Result<Vec<Pulled>, PullError> {
        if self.clock.sleeps_overlap() {
            return try_join_all(readings).await;
        }
        let mut read = Vec::new();
        for reading in readings {
            read.push(reading.await?);
        }
        Ok(read)
    }
}
