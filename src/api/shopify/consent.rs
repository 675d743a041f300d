//! The one write of consent: it is withdrawn.

use super::client::{Operation, Shopify};
use super::writes::UserError;
use crate::api::{ApiError, Exchange, WriteGrant};
use crate::model::{CustomerId, Moment};
use serde::Deserialize;
use serde_json::json;

static CONSENT_WITHDRAW: Operation = Operation::new(
    "consent_withdraw",
    include_str!("consent_withdraw.graphql"),
    11.0,
);

const UNSUBSCRIBED: &str = "UNSUBSCRIBED";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Withdrawn {
    customer_email_marketing_consent_update: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    customer: Option<Customer>,
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Customer {
    default_email_address: Option<Email>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Email {
    marketing_state: String,
}

impl<E: Exchange> Shopify<E> {
    /// Withdraws a customer's consent to marketing e-mail as of an instant, which must not be yet to come;
    /// whether Shopify says that it is withdrawn: for a customer without an address it is silent
    /// (shopify.md, section 7.3). A repeat is harmless.
    ///
    /// # Errors
    /// [`Fault::Invalid`](crate::api::Fault::Invalid) when the customer is gone, and whatever the request
    /// meets.
    pub async fn withdraw_consent(
        &self,
        _: &WriteGrant,
        customer: CustomerId,
        at: Moment,
    ) -> Result<bool, ApiError> {
        let consent = json!({
            "marketingState": UNSUBSCRIBED,
            "marketingOptInLevel": "SINGLE_OPT_IN",
            "consentUpdatedAt": at.to_string(),
        });
        let input = json!({"customerId": customer.gid(), "emailMarketingConsent": consent});
        let reply = self
            .run(&CONSENT_WITHDRAW, json!({ "input": input }))
            .await?;
        let payload = reply
            .data::<Withdrawn>()?
            .customer_email_marketing_consent_update;
        if let Some(refusal) = payload.user_errors.first() {
            return Err(reply.error(refusal.fault()));
        }
        let email = payload
            .customer
            .and_then(|customer| customer.default_email_address);
        Ok(email.is_some_and(|email| email.marketing_state == UNSUBSCRIBED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Fault;
    use crate::api::fake::{Fake, body};
    use crate::api::shopify::client::tests_support::client;

    #[tokio::test]
    async fn a_withdrawal_is_true_only_when_shopify_says_so() {
        let reply = |customer: &str, errors: &str| {
            body(&format!(
                r#"{{"data":{{"customerEmailMarketingConsentUpdate":{{"customer":{customer},"userErrors":{errors}}}}}}}"#
            ))
        };
        let done = r#"{"defaultEmailAddress":{"marketingState":"UNSUBSCRIBED"}}"#;
        let gone = r#"[{"field":["customerId"],"code":"INVALID"}]"#;
        let fake = Fake::new([
            reply(done, "[]"),
            reply(r#"{"defaultEmailAddress":null}"#, "[]"),
            reply("null", gone),
        ]);
        let (shopify, grant) = (client(&fake), WriteGrant::mint());
        let withdraw = || shopify.withdraw_consent(&grant, CustomerId(7), Moment(1_000));
        assert_eq!(withdraw().await, Ok(true));
        assert_eq!(withdraw().await, Ok(false));
        let refused = withdraw().await.unwrap_err().fault;
        assert!(matches!(refused, Fault::Invalid { .. }));
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let consent = &sent["variables"]["input"]["emailMarketingConsent"];
        assert_eq!(consent["marketingState"], "UNSUBSCRIBED");
        assert_eq!(consent["consentUpdatedAt"], "1970-01-01T00:00:01Z");
    }
}
