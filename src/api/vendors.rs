//! Both vendors of one shop.

use super::klaviyo::Klaviyo;
use super::shopify::Shopify;
use super::{ApiError, Conduct};
use crate::clock::Clock;
use crate::config::{KlaviyoAccess, ShopifyAccess};
use crate::policy::MetafieldMap;
use crate::telemetry::Meter;

/// The clients of one shop. They share its clock and its meter.
#[derive(Debug)]
pub struct Vendors {
    /// The Klaviyo account.
    pub klaviyo: Klaviyo,
    /// The Shopify shop.
    pub shopify: Shopify,
}

impl Vendors {
    /// Builds both clients; sends nothing.
    ///
    /// # Errors
    /// As [`Klaviyo::new`] and [`Shopify::new`].
    pub fn new(
        klaviyo: &KlaviyoAccess,
        shopify: &ShopifyAccess,
        metafield: Option<&MetafieldMap>,
        clock: &Clock,
        meter: &Meter,
    ) -> Result<Self, ApiError> {
        let conduct = Conduct::default();
        Ok(Self {
            klaviyo: Klaviyo::new(klaviyo, clock.clone(), meter.clone(), conduct)?,
            shopify: Shopify::new(shopify, metafield, clock.clone(), meter.clone(), conduct)?,
        })
    }
}
