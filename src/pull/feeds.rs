//! Every feed, side by side: profiles, events and lists draw on budgets of their own, and Shopify is
//! another vendor. None needs what another brings: a record that is named before it arrives has its
//! place in the mirror kept.

use super::bulk::Fill;
use super::{Pull, PullError, Pulled, ServerTimes};
use crate::api::ApiError;
use crate::model::Mentions;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

type Reading<'a> = BoxFuture<'a, Result<Pulled, PullError>>;

impl Pull<'_> {
    /// Reads whatever is new.
    pub(super) async fn feeds(
        &self,
        times: ServerTimes,
        fills: Vec<Fill>,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let profiles = async {
            let mut pulled = Pulled::default();
            self.profiles(times.klaviyo, mentions, &mut pulled).await?;
            // Followed from where the first walk over all profiles began.
            self.suppressions(times.klaviyo, mentions, &mut pulled)
                .await?;
            self.sentinels(&mut pulled).await?;
            Ok(pulled)
        };
        let events = async {
            let mut pulled = Pulled::default();
            let asked_before = self.events(times.klaviyo, mentions, &mut pulled).await?;
            self.fold(&asked_before, &mut pulled).await?;
            self.progress.over("timelines", pulled.timelines);
            Ok(pulled)
        };
        let members = async {
            let mut pulled = Pulled::default();
            let read = self.members(times.klaviyo, mentions, &mut pulled).await;
            read.map(|()| pulled)
        };
        let shop = async {
            let mut pulled = Pulled::default();
            self.shop(fills, times.shopify, &mut pulled).await?;
            Ok(pulled)
        };
        let klaviyo = [profiles.boxed(), events.boxed(), members.boxed()];
        let read = self.side_by_side(klaviyo, shop.boxed()).await?;
        read.into_iter().for_each(|some| pulled.absorb(some));
        Ok(())
    }

    /// Whatever all of them bring, in their order. One that a vendor fails leaves the others to come to
    /// their end, so that nothing waits for a vendor that is down but what comes from it.
    async fn side_by_side(
        &self,
        klaviyo: [Reading<'_>; 3],
        shopify: Reading<'_>,
    ) -> Result<Vec<Pulled>, PullError> {
        let readings = klaviyo.into_iter().chain([shopify]);
        if self.clock.sleeps_overlap() {
            let read = try_join_all(readings.map(tolerant)).await?;
            return Ok(read.into_iter().collect::<Result<_, _>>()?);
        }
        let mut read = Vec::new();
        for reading in readings {
            read.push(tolerant(reading).await?);
        }
        Ok(read.into_iter().collect::<Result<_, _>>()?)
    }
}

/// A vendor's failure is no reason to end at once.
async fn tolerant(reading: Reading<'_>) -> Result<Result<Pulled, ApiError>, PullError> {
    match reading.await {
        Ok(pulled) => Ok(Ok(pulled)),
        Err(PullError::Api(error)) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}
