//! Proves who answers before anything is read: the right account, the right shop, enough scopes.

use super::{Counted, Pull, PullError, Pulled, ServerTimes};
use crate::api::shopify::Shop;
use crate::mirror::{Pins, Stream};
use crate::model::EffectKind;
use crate::plan::Listing;
use crate::policy::Policy;

/// The scope without which Shopify shows only the last 60 days of orders, and says nothing.
pub const ALL_ORDERS: &str = "read_all_orders";

/// Shopify scopes that a policy needs.
pub fn required_scopes(policy: &Policy) -> Vec<&'static str> {
    let mut scopes = vec!["read_customers", "read_orders"];
    let tags = !policy.tags.facts.is_empty() && policy.allows(EffectKind::Tag);
    let metafield = policy.metafield.is_some() && policy.allows(EffectKind::Metafield);
    let consent = policy.consent.act && policy.allows(EffectKind::CustomerUnsubscription);
    if tags || metafield || consent {
        scopes.push("write_customers");
    }
    scopes
}

impl Pull<'_> {
    /// Checks account, shop and scopes against config and mirror, pins them at the first pull, and
    /// tells both servers' clocks.
    pub(super) async fn identify(&self, pulled: &mut Pulled) -> Result<ServerTimes, PullError> {
        let account = self.vendors.klaviyo.account().await?;
        let pins = self.mirror.pins()?;
        expect_same("Klaviyo", &account.id, pins.klaviyo_account.as_deref())?;

        let shop = self.vendors.shopify.shop().await?;
        expect_same("Shopify", &shop.domain, pins.shop_domain.as_deref())?;
        let missing: Vec<String> = required_scopes(self.policy)
            .into_iter()
            .filter(|scope| !shop.has_scope(scope))
            .map(|scope| (*scope).to_owned())
            .collect();
        if !missing.is_empty() {
            return Err(PullError::MissingScopes(missing));
        }
        self.order_history(&shop, pulled)?;
        pulled.account_zone = account.timezone;
        pulled.began = account.server_time;
        pulled.clock_skew_ms = self.clock.now().0 - account.server_time.0;
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

impl Pull<'_> {
    /// Orders of 60 days tell the wrong spend and the wrong stage: the guard for complete listings
    /// keeps that from being written. Once the scope is granted, all orders are read again.
    fn order_history(&self, shop: &Shop, pulled: &mut Pulled) -> Result<(), PullError> {
        let stream = Stream::ShopifyOrders;
        if shop.has_scope(ALL_ORDERS) {
            pulled.all_orders = true;
            return self.keep_only(&stream, &[ALL_ORDERS.to_owned()]);
        }
        tracing::warn!("without {ALL_ORDERS} Shopify shows only the last 60 days of orders");
        let listing = Listing {
            name: format!("orders (the token lacks {ALL_ORDERS}: 60 days only)"),
            count: self.mirror.totals()?.orders,
            before: None,
            complete: false,
        };
        pulled.listings.push(Counted { stream, listing });
        Ok(())
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
