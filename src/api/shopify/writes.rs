//! Writes: tags under our prefix, and one metafield. Repeats are harmless.

use super::client::{Operation, Shopify};
use crate::api::error::label;
use crate::api::{ApiError, Exchange, Fault, WriteGrant};
use crate::model::CustomerId;
use serde::Deserialize;
use serde_json::{Value as Json, json};

pub(super) static TAGS_ADD: Operation =
    Operation::new("tags_add", include_str!("tags_add.graphql"), 10.0);
pub(super) static TAGS_REMOVE: Operation =
    Operation::new("tags_remove", include_str!("tags_remove.graphql"), 10.0);
pub(super) static METAFIELDS_SET: Operation = Operation::new(
    "metafields_set",
    include_str!("metafields_set.graphql"),
    10.0,
);

pub(super) static METAFIELDS_DELETE: Operation = Operation::new(
    "metafields_delete",
    include_str!("metafields_delete.graphql"),
    10.0,
);

/// Most metafields in one call.
const MOST_METAFIELDS: usize = 25;

/// A customer, and namespace, key and value of a JSON metafield.
pub type MetafieldEntry = (CustomerId, String, String, String);

/// One entry of `userErrors`, without its message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserError {
    field: Option<Vec<String>>,
    code: Option<String>,
    element_index: Option<usize>,
}

impl UserError {
    fn code(&self) -> Box<str> {
        let code = self.code.as_deref().and_then(label);
        code.unwrap_or_else(|| "user_error".into())
    }

    /// Refused by a rule. An error at `id` says that the record does not exist.
    pub fn fault(&self) -> Fault {
        let field = self.field.as_ref().map(|path| path.join("."));
        if self.code.is_none() && field.as_deref() == Some("id") {
            return Fault::NotFound;
        }
        Fault::Invalid {
            code: self.code(),
            title: None,
            pointer: field.as_deref().and_then(label),
        }
    }
}

/// The payload of any mutation here.
#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(
        alias = "tagsAdd",
        alias = "tagsRemove",
        alias = "metafieldsSet",
        alias = "metafieldsDelete"
    )]
    payload: Payload,
}

impl Written {
    /// The first refusal, if there is one.
    pub fn refusal(&self) -> Option<Fault> {
        self.payload.user_errors.first().map(UserError::fault)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    user_errors: Vec<UserError>,
}

impl<E: Exchange> Shopify<E> {
    /// Puts tags on a customer. Shopify compares them without regard to case, and may keep another
    /// spelling.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the customer is gone, [`Fault::Invalid`] at `tags` beyond 250 tags,
    /// and whatever the request meets.
    pub async fn add_tags(
        &self,
        _: &WriteGrant,
        customer: CustomerId,
        tags: &[String],
    ) -> Result<(), ApiError> {
        self.change_tags(&TAGS_ADD, customer, tags).await
    }

    /// Takes tags off a customer, in the spelling that was read.
    ///
    /// # Errors
    /// As [`Shopify::add_tags`].
    pub async fn remove_tags(
        &self,
        _: &WriteGrant,
        customer: CustomerId,
        tags: &[String],
    ) -> Result<(), ApiError> {
        self.change_tags(&TAGS_REMOVE, customer, tags).await
    }

    async fn change_tags(
        &self,
        operation: &'static Operation,
        customer: CustomerId,
        tags: &[String],
    ) -> Result<(), ApiError> {
        let reply = self.run(operation, tags_input(customer, tags)).await?;
        match reply.data::<Written>()?.refusal() {
            None => Ok(()),
            Some(fault) => Err(reply.error(fault)),
        }
    }

    /// Sets JSON metafields, given as customer, namespace, key and value, of up to 25 customers.
    /// Gives back the index and code of each that was refused; all others are set. Shopify takes all
    /// or none, so the rest is sent again without the refused ones.
    ///
    /// # Errors
    /// [`Fault::TooMany`], [`Fault::Invalid`] when a refusal names no entry, and whatever a request
    /// meets.
    pub async fn set_metafields(
        &self,
        _: &WriteGrant,
        entries: &[MetafieldEntry],
    ) -> Result<Vec<(usize, Box<str>)>, ApiError> {
        if entries.len() > MOST_METAFIELDS {
            let fault = Fault::TooMany {
                limit: MOST_METAFIELDS,
                got: entries.len(),
            };
            return Err(ApiError::new(&METAFIELDS_SET.class, fault));
        }
        let mut refused = Vec::new();
        let mut left: Vec<usize> = (0..entries.len()).collect();
        while !left.is_empty() {
            let some = left.iter().map(|index| &entries[*index]);
            let reply = self.run(&METAFIELDS_SET, set_input(some)).await?;
            let errors = reply.data::<Written>()?.payload.user_errors;
            let before = left.len();
            for error in &errors {
                let place = error.element_index.and_then(|index| left.get(index));
                let place = *place.ok_or_else(|| reply.error(error.fault()))?;
                if refused.iter().all(|(known, _)| *known != place) {
                    refused.push((place, error.code()));
                }
            }
            left.retain(|index| refused.iter().all(|(known, _)| known != index));
            if left.len() == before {
                break;
            }
        }
        refused.sort();
        Ok(refused)
    }

    /// Takes one metafield, by namespace and key, away from a customer. That it was not there is no
    /// error.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the customer is gone, and whatever the request meets.
    pub async fn delete_metafield(
        &self,
        _: &WriteGrant,
        customer: CustomerId,
        name: (&str, &str),
    ) -> Result<(), ApiError> {
        let variables = delete_input(customer, name);
        let reply = self.run(&METAFIELDS_DELETE, variables).await?;
        match reply.data::<Written>()?.refusal() {
            None => Ok(()),
            Some(fault) => Err(reply.error(fault)),
        }
    }
}

/// Variables of `tagsAdd` and `tagsRemove`.
pub(super) fn tags_input(customer: CustomerId, tags: &[String]) -> Json {
    json!({"id": customer.gid(), "tags": tags})
}

/// Variables of `metafieldsSet`.
pub(super) fn set_input<'a>(entries: impl Iterator<Item = &'a MetafieldEntry>) -> Json {
    let input = |(customer, namespace, key, value): &MetafieldEntry| {
        json!({
            "ownerId": customer.gid(),
            "namespace": namespace,
            "key": key,
            "type": "json",
            "value": value,
        })
    };
    json!({"metafields": entries.map(input).collect::<Vec<_>>()})
}

/// Variables of `metafieldsDelete`.
pub(super) fn delete_input(customer: CustomerId, (namespace, key): (&str, &str)) -> Json {
    json!({"metafields": [{"ownerId": customer.gid(), "namespace": namespace, "key": key}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::shopify::client::tests_support::client;

    fn sent(fake: &Fake, index: usize) -> Json {
        let (_, sent) = fake.seen()[index].body.clone().unwrap();
        serde_json::from_slice::<Json>(&sent).unwrap()["variables"].clone()
    }

    fn entry(customer: u64) -> (CustomerId, String, String, String) {
        let text = str::to_owned;
        (
            CustomerId(customer),
            text("$app"),
            text("driftless"),
            text("{}"),
        )
    }

    #[tokio::test]
    async fn tags_go_to_one_customer_and_refusals_are_told_apart() {
        let ok = r#"{"data":{"tagsAdd":{"userErrors":[]}}}"#;
        let gone = r#"{"data":{"tagsRemove":{"userErrors":[{"field":["id"]}]}}}"#;
        let full = r#"{"data":{"tagsAdd":{"userErrors":[{"field":["tags"]}]}}}"#;
        let fake = Fake::new([body(ok), body(gone), body(full)]);
        let (shopify, grant) = (client(&fake), WriteGrant::mint());
        let tags = ["dl:stale".to_owned()];
        let customer = CustomerId(7);
        shopify.add_tags(&grant, customer, &tags).await.unwrap();
        assert_eq!(
            sent(&fake, 0),
            json!({"id": "gid://shopify/Customer/7", "tags": ["dl:stale"]})
        );
        let error = shopify.remove_tags(&grant, customer, &tags).await;
        assert_eq!(error.unwrap_err().fault, Fault::NotFound);
        let error = shopify.add_tags(&grant, customer, &tags).await;
        let fault = error.unwrap_err().fault;
        assert!(
            matches!(fault, Fault::Invalid { pointer, .. } if pointer.as_deref() == Some("tags"))
        );
    }

    #[tokio::test]
    async fn a_refused_metafield_does_not_stop_the_others() {
        let one_bad = r#"{"data":{"metafieldsSet":{"userErrors":[
            {"field":["metafields","1","value"],"code":"INVALID_VALUE","elementIndex":1},
            {"field":["metafields","1","type"],"code":"INVALID_TYPE","elementIndex":1}]}}}"#;
        let again = r#"{"data":{"metafieldsSet":{"userErrors":[{"field":null,"code":"BLANK","elementIndex":1}]}}}"#;
        let fine = r#"{"data":{"metafieldsSet":{"userErrors":[]}}}"#;
        let fake = Fake::new([body(one_bad), body(again), body(fine)]);
        let entries: Vec<_> = (0..3).map(entry).collect();
        let (shopify, grant) = (client(&fake), WriteGrant::mint());
        let refused = shopify.set_metafields(&grant, &entries).await;
        let expected = vec![(1, "INVALID_VALUE".into()), (2, "BLANK".into())];
        assert_eq!(refused, Ok(expected));
        let last = sent(&fake, 2);
        assert_eq!(last["metafields"].as_array().unwrap().len(), 1);
        assert_eq!(last["metafields"][0]["ownerId"], "gid://shopify/Customer/0");
        assert_eq!(last["metafields"][0]["type"], "json");
    }

    #[tokio::test]
    async fn a_refusal_without_a_place_and_too_many_entries_are_errors() {
        let nowhere = r#"{"data":{"metafieldsSet":{"userErrors":[{"field":["metafields"],"code":"APP_NOT_AUTHORIZED","elementIndex":null}]}}}"#;
        let fake = Fake::new([body(nowhere)]);
        let (shopify, grant) = (client(&fake), WriteGrant::mint());
        let error = shopify.set_metafields(&grant, &[entry(1)]).await;
        assert!(matches!(error.unwrap_err().fault, Fault::Invalid { .. }));
        let entries: Vec<_> = (0..26).map(entry).collect();
        let error = shopify.set_metafields(&grant, &entries).await;
        let expected = Fault::TooMany { limit: 25, got: 26 };
        assert_eq!(error.unwrap_err().fault, expected);
    }
}
