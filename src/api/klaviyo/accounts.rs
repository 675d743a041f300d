//! Whose account the key opens.

use super::client::{Klaviyo, Listing};
use super::jsonapi::plain;
use super::limits::GET_ACCOUNTS;
use crate::api::lenient;
use crate::api::{ApiError, Exchange, Fault};
use crate::model::Moment;
use serde::Deserialize;

/// The account behind the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Klaviyo's id, equal to the public key.
    pub id: String,
    /// IANA time zone of its reports; segments run in UTC.
    pub timezone: String,
    /// ISO 4217 code of `$value`.
    pub currency: String,
    /// Whether it is a test account.
    pub test: bool,
    /// The server's clock.
    pub server_time: Moment,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    timezone: String,
    preferred_currency: String,
    #[serde(default, deserialize_with = "lenient::boolean")]
    test_account: Option<bool>,
}

impl<E: Exchange> Klaviyo<E> {
    /// The account, which must be the pinned one if one is pinned.
    ///
    /// # Errors
    /// [`Fault::WrongAccount`], and whatever the request meets.
    pub async fn account(&self) -> Result<Account, ApiError> {
        let listing = Listing {
            class: &GET_ACCOUNTS,
            surcharge: None,
            path: "/api/accounts",
            query: &[(
                "fields[account]",
                "preferred_currency,test_account,timezone",
            )],
        };
        let page = self.page(&listing, None, plain::<Item>()).await?;
        let server_time = page.server_time;
        let failed = |fault| ApiError::new(&GET_ACCOUNTS, fault);
        let item = page.items.into_iter().next();
        let item = item.ok_or_else(|| failed(Fault::Shape { line: 1, column: 1 }))?;
        if let Some(expected) = self.pinned.as_ref().filter(|id| **id != item.id) {
            return Err(failed(Fault::WrongAccount {
                expected: expected.as_str().into(),
                got: item.id.into(),
            }));
        }
        Ok(Account {
            id: item.id,
            timezone: item.attributes.timezone,
            currency: item.attributes.preferred_currency,
            test: item.attributes.test_account.unwrap_or(false),
            server_time,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    const REPLY: &str = r#"{"data":[{"type":"account","id":"AbC123","attributes":
        {"test_account":false,"timezone":"US/Eastern","preferred_currency":"USD"}}]}"#;

    #[tokio::test]
    async fn the_key_must_open_the_pinned_account() {
        let fake = Fake::new([body(REPLY), body(REPLY)]);
        let mut klaviyo = client(&fake);
        klaviyo.pinned = Some("AbC123".to_owned());
        let account = klaviyo.account().await.unwrap();
        assert_eq!(account.currency, "USD");
        klaviyo.pinned = Some("XyZ789".to_owned());
        let error = klaviyo.account().await.unwrap_err();
        assert!(matches!(error.fault, Fault::WrongAccount { .. }));
    }
}
