//! Both vendors of one shop.

use super::klaviyo::Klaviyo;
use super::shopify::Shopify;
use super::{ApiError, Budgets, Conduct};
use crate::clock::Clock;
use crate::config;
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
        shop: &config::Shop,
        budgets: &Budgets,
        clock: &Clock,
        meter: &Meter,
    ) -> Result<Self, ApiError> {
        let (conduct, metafield) = (Conduct::default(), shop.policy.metafield.as_ref());
        let draws = (budgets, shop.name.as_str());
        let (clock, meter) = (|| clock.clone(), || meter.clone());
        Ok(Self {
            klaviyo: Klaviyo::new(&shop.klaviyo, draws, clock(), meter(), conduct)?,
            shopify: Shopify::new(&shop.shopify, metafield, clock(), meter(), conduct)?,
        })
    }
}
