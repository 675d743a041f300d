//! Proves who answers before anything is read: the right account, the right shop, enough scopes.

use super::{Pull, PullError, ServerTimes};
use crate::mirror::Pins;

/// Shopify scopes that reading needs. `read_all_orders` is wished for, but a shop younger than its
/// 60-day window lives without.
pub const REQUIRED_SCOPES: [&str; 2] = ["read_customers", "read_orders"];

impl Pull<'_> {
    /// Checks account, shop and scopes against config and mirror, pins them at the first pull, and
    /// tells both servers' clocks.
    pub(super) async fn identify(&self) -> Result<ServerTimes, PullError> {
        let account = self.vendors.klaviyo.account().await?;
        let pins = self.mirror.pins()?;
        expect_same("Klaviyo", &account.id, pins.klaviyo_account.as_deref())?;

        let shop = self.vendors.shopify.shop().await?;
        expect_same("Shopify", &shop.domain, pins.shop_domain.as_deref())?;
        let missing: Vec<String> = REQUIRED_SCOPES
            .iter()
            .filter(|scope| !shop.has_scope(scope))
            .map(|scope| (*scope).to_owned())
            .collect();
        if !missing.is_empty() {
            return Err(PullError::MissingScopes(missing));
        }
        if !shop.has_scope("read_all_orders") {
            tracing::warn!("without read_all_orders Shopify shows only the last 60 days of orders");
        }
        let found = Pins {
            klaviyo_account: Some(account.id),
            shop_domain: Some(shop.domain),
        };
        if pins != found {
            let mut page = self.mirror.page();
            page.pin(&found);
            page.commit()?;
        }
        Ok(ServerTimes {
            klaviyo: account.server_time,
            shopify: shop.server_time,
        })
    }
}

fn expect_same(vendor: &'static str, found: &str, expected: Option<&str>) -> Result<(), PullError> {
    match expected {
        Some(expected) if expected != found => Err(PullError::WrongAccount {
            vendor,
            found: found.to_owned(),
            expected: expected.to_owned(),
        }),
        _ => Ok(()),
    }
}
