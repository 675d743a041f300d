//! Customers and orders: bulk operations for the first fill, `updated_at` polling after it.

use super::bulk::{Fill, Kind};
use super::walk::Source;
use super::{Pull, PullError, Pulled};
use crate::api::shopify::Shopify;
use crate::api::{ApiError, Cursor as PageCursor, Page};
use crate::mirror::{MirrorError, Page as MirrorPage, Stream};
use crate::model::{Customer, Moment, Order};
use crate::policy::MetafieldMap;
use std::time::Duration;

/// Shopify's search index lags behind its records, unevenly (shopify.md, section 6).
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// The watermark stays this far behind the start of a walk, for the same reason.
const MARGIN: Duration = Duration::from_secs(2 * 60);

struct Customers<'a>(&'a Shopify);

impl Source for Customers<'_> {
    type Item = Customer;
    const NAME: &'static str = Kind::Customers.name();

    fn overlap(&self) -> Duration {
        OVERLAP
    }

    fn stream(&self) -> Stream {
        Kind::Customers.stream()
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Customer>, ApiError> {
        self.0.customers(since, after).await
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Customer>) -> Result<(), MirrorError> {
        items
            .into_iter()
            .try_for_each(|customer| page.customer(customer).map(drop))
    }

    fn newest(&self, items: &[Customer]) -> Option<Moment> {
        items.iter().filter_map(|customer| customer.updated).max()
    }

    fn watermark(
        &self,
        start: Moment,
        before: Option<Moment>,
        newest: Option<Moment>,
    ) -> Option<Moment> {
        polled_until(start, before, newest)
    }
}

struct Orders<'a>(&'a Shopify);

impl Source for Orders<'_> {
    type Item = Order;
    const NAME: &'static str = Kind::Orders.name();

    fn overlap(&self) -> Duration {
        OVERLAP
    }

    fn stream(&self) -> Stream {
        Kind::Orders.stream()
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Order>, ApiError> {
        self.0.orders(since, after).await
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Order>) -> Result<(), MirrorError> {
        items
            .into_iter()
            .try_for_each(|order| page.order(order).map(drop))
    }

    fn newest(&self, items: &[Order]) -> Option<Moment> {
        items.iter().map(|order| order.updated).max()
    }

    fn watermark(
        &self,
        start: Moment,
        before: Option<Moment>,
        newest: Option<Moment>,
    ) -> Option<Moment> {
        polled_until(start, before, newest)
    }
}

/// The newest change seen guards against an index that stands still, the margin against one that
/// lags unevenly. When nothing came the watermark stays.
fn polled_until(start: Moment, before: Option<Moment>, newest: Option<Moment>) -> Option<Moment> {
    before.max(newest.map(|newest| newest.min(start.minus(MARGIN))))
}

impl Pull<'_> {
    /// Lets Shopify prepare what was never read.
    pub(super) async fn begin_bulk(&self, now: Moment) -> Result<Vec<Fill>, PullError> {
        // What customers were read without, or by another name, is not known of them.
        let metafield = self.policy.metafield.as_ref().map(MetafieldMap::name);
        let metafield: Vec<String> = metafield.into_iter().collect();
        self.keep_only(&Stream::ShopifyCustomers, &metafield)?;
        self.begin_fills(now).await
    }

    /// Customers and orders, all or changed.
    pub(super) async fn shop(
        &self,
        fills: Vec<Fill>,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let read = self.finish_fills(fills, pulled).await?;
        if !read.contains(&Kind::Customers) {
            let source = Customers(&self.vendors.shopify);
            let walked = self.walk(&source, now, pulled).await?;
            self.progress.over(Customers::NAME, walked.count);
        }
        if !read.contains(&Kind::Orders) {
            let source = Orders(&self.vendors.shopify);
            let walked = self.walk(&source, now, pulled).await?;
            self.progress.over(Orders::NAME, walked.count);
        }
        Ok(())
    }
}
