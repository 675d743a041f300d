//! The account's metrics.

use super::client::{Klaviyo, Listing};
use super::jsonapi::plain;
use super::limits::GET_METRICS;
use crate::api::{ApiError, Exchange, Page};
use crate::model::{Metric, MetricId};
use serde::Deserialize;

#[derive(Deserialize)]
struct Item {
    id: MetricId,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    name: Option<String>,
    integration: Option<Integration>,
}

#[derive(Deserialize)]
struct Integration {
    name: Option<String>,
}

impl<E: Exchange> Klaviyo<E> {
    /// All metrics.
    ///
    /// # Errors
    /// Whatever a request meets.
    pub async fn metrics(&self) -> Result<Page<Metric>, ApiError> {
        let listing = Listing {
            class: &GET_METRICS,
            surcharge: None,
            path: "/api/metrics",
            query: &[("fields[metric]", "name,integration")],
        };
        let page = self.walk(&listing, plain::<Item>()).await?;
        Ok(page.map(|item| Metric {
            id: item.id,
            name: item.attributes.name.unwrap_or_default(),
            integration: item.attributes.integration.and_then(|from| from.name),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    #[tokio::test]
    async fn all_pages_are_walked_and_links_followed_as_they_are() {
        let one = r#"{"data":[{"id":"a","attributes":{"name":"Opened Email","integration":{"name":"Klaviyo"}}}],
            "links":{"next":"https://a.klaviyo.com/api/metrics?page%5Bcursor%5D=x%3D"}}"#;
        let two = r#"{"data":[{"id":"b","attributes":{"name":"Custom","integration":null}}],"links":{"next":null}}"#;
        let fake = Fake::new([body(one), body(two)]);
        let metrics = client(&fake).metrics().await.unwrap().items;
        assert_eq!(metrics[0].integration.as_deref(), Some("Klaviyo"));
        assert_eq!(metrics[1].name, "Custom");
        let asked: Vec<String> = fake.seen().into_iter().map(|c| c.path_and_query).collect();
        assert_eq!(
            asked,
            [
                "/api/metrics?fields%5Bmetric%5D=name%2Cintegration",
                "/api/metrics?page%5Bcursor%5D=x%3D"
            ]
        );
    }

    #[tokio::test]
    async fn a_circle_of_pages_is_an_error() {
        let to = |cursor: &str| {
            body(&format!(
                r#"{{"data":[],"links":{{"next":"/api/metrics?page%5Bcursor%5D={cursor}"}}}}"#
            ))
        };
        let fake = Fake::new([to("a"), to("b"), to("a"), to("b")]);
        let error = client(&fake).metrics().await.unwrap_err();
        assert_eq!(error.fault, crate::api::Fault::Loop);
    }

    #[tokio::test]
    async fn a_short_listing_without_an_end_is_given_up_after_a_thousand_pages() {
        let page = |number: u32| {
            body(&format!(
                r#"{{"data":[{{"id":"M{number}","attributes":{{"name":"x"}}}}],
                     "links":{{"next":"/api/metrics?page%5Bcursor%5D={number}"}}}}"#
            ))
        };
        let fake = Fake::new((0..1_001).map(page).collect::<Vec<_>>());
        let error = client(&fake).metrics().await.unwrap_err();
        assert_eq!(error.fault, crate::api::Fault::Loop);
    }
}
