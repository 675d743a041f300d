//! Whose shop the token opens, and what it may do there.

use super::client::{Operation, Shopify};
use crate::api::{ApiError, Exchange, Fault};
use crate::model::Moment;
use serde::Deserialize;

static SHOP: Operation = Operation::new("shop", include_str!("shop.graphql"), 3.0);

/// The shop behind the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// `name.myshopify.com`.
    pub domain: String,
    /// As customers see it.
    pub name: String,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// IANA time zone.
    pub timezone: String,
    /// What the token may do, such as `read_customers`.
    pub scopes: Vec<String>,
    /// The server's clock.
    pub server_time: Moment,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    shop: Wire,
    current_app_installation: Installation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    myshopify_domain: String,
    iana_timezone: String,
    currency_code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Installation {
    access_scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    handle: String,
}

impl Shop {
    /// Whether the token may do this. A write scope includes its read scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        let write = scope.replacen("read_", "write_", 1);
        self.scopes
            .iter()
            .any(|have| *have == scope || *have == write)
    }
}

impl<E: Exchange> Shopify<E> {
    /// The shop, which must be the one in the config.
    ///
    /// # Errors
    /// [`Fault::WrongAccount`], and whatever the request meets.
    pub async fn shop(&self) -> Result<Shop, ApiError> {
        let reply = self.run(&SHOP, serde_json::json!({})).await?;
        let data: Data = reply.data()?;
        let domain = data.shop.myshopify_domain;
        if !domain.eq_ignore_ascii_case(&self.domain) {
            return Err(reply.error(Fault::WrongAccount {
                expected: self.domain.as_str().into(),
                got: domain.into(),
            }));
        }
        let scopes = data.current_app_installation.access_scopes;
        Ok(Shop {
            domain,
            name: data.shop.name,
            currency: data.shop.currency_code,
            timezone: data.shop.iana_timezone,
            scopes: scopes.into_iter().map(|scope| scope.handle).collect(),
            server_time: reply.server_time,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::shopify::client::tests_support::client;

    fn reply(domain: &str) -> crate::api::Answer {
        body(&format!(
            r#"{{"data":{{"shop":{{"name":"Demo","myshopifyDomain":"{domain}","ianaTimezone":"Europe/Berlin","currencyCode":"EUR"}},
            "currentAppInstallation":{{"accessScopes":[{{"handle":"read_customers"}}]}}}}}}"#
        ))
    }

    #[tokio::test]
    async fn the_token_must_open_the_shop_in_the_config() {
        let fake = Fake::new([reply("Demo.myshopify.com"), reply("other.myshopify.com")]);
        let shopify = client(&fake);
        let shop = shopify.shop().await.unwrap();
        assert_eq!((shop.currency.as_str(), shop.scopes.len()), ("EUR", 1));
        let error = shopify.shop().await.unwrap_err();
        assert!(matches!(error.fault, Fault::WrongAccount { .. }));
    }
}
