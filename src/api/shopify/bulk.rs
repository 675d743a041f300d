//! Bulk operations: whole listings outside the rate limit (shopify.md, section 5).

use super::client::{Operation, Shopify};
use super::customers::whole_seconds;
use super::lines::BulkLines;
use super::writes::UserError;
use crate::api::lenient;
use crate::api::{ApiError, Exchange, Fault};
use crate::model::{BulkId, Moment};
use serde::Deserialize;
use serde_json::json;

static START: Operation = Operation {
    // A second start runs twice.
    idempotent: false,
    ..Operation::new("bulk_start", include_str!("bulk_start.graphql"), 10.0)
};
static POLL: Operation = Operation::new("bulk_poll", include_str!("bulk_poll.graphql"), 1.0);
static LIST: Operation = Operation::new("bulk_queries", include_str!("bulk_queries.graphql"), 9.0);

const CUSTOMERS: &str = include_str!("bulk_customers.graphql");
const ORDERS: &str = include_str!("bulk_orders.graphql");

/// What a bulk operation lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkQuery {
    /// All customers.
    Customers,
    /// The orders created in a window, half-open, in whole seconds.
    Orders {
        /// From this instant on.
        created_from: Moment,
        /// Up to, but without, this one.
        created_to: Moment,
    },
}

/// A bulk operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Which.
    pub id: BulkId,
    /// Where it stands.
    pub status: BulkStatus,
    /// Why it failed: Shopify's code.
    pub error: Option<String>,
    /// When it was started.
    pub created: Option<Moment>,
    /// Lines of its result so far.
    pub objects: u64,
    /// Lines of it without a parent.
    pub roots: u64,
    /// Where the result is: a bearer link, not to be logged. `None` for an empty result.
    pub url: Option<String>,
    /// Where the result of one that did not complete is, as far as it went; a bearer link as well.
    pub partial_url: Option<String>,
}

/// Where a bulk operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkStatus {
    /// Accepted.
    Created,
    /// Under way.
    Running,
    /// Done; the result is whole.
    Completed,
    /// Ended by an error.
    Failed,
    /// Being ended by somebody.
    Canceling,
    /// Ended by somebody.
    Canceled,
    /// Its result is gone.
    Expired,
    /// A value this version does not know: neither done nor failed.
    Other(String),
}

/// A bulk query of the last days; of this app, whoever started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBulk {
    /// Which.
    pub id: BulkId,
    /// Where it stands.
    pub status: BulkStatus,
    /// When it was started, in whole seconds.
    pub created: Moment,
    /// What it asks for.
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListReply {
    bulk_operations: Listed,
}

#[derive(Deserialize)]
struct Listed {
    nodes: Vec<ListNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListNode {
    id: BulkId,
    status: String,
    #[serde(default, deserialize_with = "lenient::instant")]
    created_at: Option<Moment>,
    query: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    bulk_operation_run_query: StartPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartPayload {
    bulk_operation: Option<Id>,
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
pub(super) struct Id {
    pub id: BulkId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Polled {
    bulk_operation: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: BulkId,
    status: String,
    error_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    created_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient::count")]
    object_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    root_object_count: Option<u64>,
    url: Option<String>,
    partial_data_url: Option<String>,
}

impl From<Node> for Bulk {
    fn from(node: Node) -> Self {
        Self {
            id: node.id,
            status: BulkStatus::of(&node.status),
            error: node.error_code,
            created: node.created_at,
            objects: node.object_count.unwrap_or(0),
            roots: node.root_object_count.unwrap_or(0),
            url: node.url,
            partial_url: node.partial_data_url,
        }
    }
}

impl BulkStatus {
    /// Whether it neither runs nor will.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Canceled | Self::Expired
        )
    }

    fn of(text: &str) -> Self {
        match text {
            "CREATED" => Self::Created,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "CANCELING" => Self::Canceling,
            "CANCELED" => Self::Canceled,
            "EXPIRED" => Self::Expired,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl<E: Exchange> Shopify<E> {
    /// Starts a bulk operation. A repeat after an unknown outcome runs twice, which costs one of five
    /// places for a while: look in [`Shopify::bulk_queries`] first.
    ///
    /// # Errors
    /// [`Fault::Invalid`] with `OPERATION_IN_PROGRESS` or `LIMIT_REACHED` when five run already,
    /// and whatever the request meets.
    pub async fn start_bulk(&self, what: BulkQuery) -> Result<BulkId, ApiError> {
        let variables = json!({"query": self.bulk_text(what)});
        let reply = self.run(&START, variables).await?;
        let started: Started = reply.data()?;
        let payload = started.bulk_operation_run_query;
        if let Some(error) = payload.user_errors.first() {
            return Err(reply.error(error.fault()));
        }
        let missing = Fault::Shape { line: 1, column: 1 };
        let operation = payload.bulk_operation.ok_or_else(|| reply.error(missing))?;
        Ok(operation.id)
    }

    /// The last bulk queries of this app in this shop, the newest first, whichever way they ended.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn bulk_queries(&self) -> Result<Vec<AskedBulk>, ApiError> {
        let reply = self.run(&LIST, json!({})).await?;
        let nodes = reply.data::<ListReply>()?.bulk_operations.nodes;
        let all = nodes.into_iter().filter_map(|node| {
            Some(AskedBulk {
                id: node.id,
                status: BulkStatus::of(&node.status),
                created: node.created_at?,
                text: node.query,
            })
        });
        Ok(all.collect())
    }

    /// Whether a bulk query was asked for this, however its text comes back.
    pub fn is_for(&self, what: BulkQuery, asked: &AskedBulk) -> bool {
        words(&self.bulk_text(what)).eq(words(&asked.text))
    }

    /// Where a bulk operation stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when Shopify does not know it, and whatever the request meets.
    pub async fn bulk(&self, id: &BulkId) -> Result<Bulk, ApiError> {
        let reply = self.run(&POLL, json!({"id": id})).await?;
        let polled: Polled = reply.data()?;
        let node = polled.bulk_operation;
        node.map(Bulk::from)
            .ok_or_else(|| reply.error(Fault::NotFound))
    }

    /// The lines of a result, read as they come in. The request carries no credential.
    ///
    /// # Errors
    /// [`Fault::ForeignHost`] for a URL that is not the vendor's, and whatever the request meets.
    pub async fn bulk_lines(&self, url: &str) -> Result<BulkLines, ApiError> {
        BulkLines::open((&self.results, &self.meter), &self.base, url).await
    }

    /// The query as text. It takes no variables: only instants and checked names are written in.
    fn bulk_text(&self, what: BulkQuery) -> String {
        match what {
            BulkQuery::Customers => match &self.metafield {
                None => CUSTOMERS.to_owned(),
                Some((namespace, key)) => CUSTOMERS.replace(
                    r#"(namespace: "$app", key: "driftless")"#,
                    &format!(r#"(namespace: "{namespace}", key: "{key}")"#),
                ),
            },
            BulkQuery::Orders {
                created_from,
                created_to,
            } => {
                let window = |sign, at| format!("created_at:{sign}'{}'", whole_seconds(at));
                ORDERS
                    .replace(&window(">=", Moment(0)), &window(">=", created_from))
                    .replace(&window("<", Moment::from_day(1)), &window("<", created_to))
            }
        }
    }
}

/// What counts of a query's text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, answer, body};
    use crate::api::shopify::client::tests_support::client;

    fn sent_query(fake: &Fake) -> String {
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        sent["variables"]["query"].as_str().unwrap().to_owned()
    }

    fn started() -> crate::api::Answer {
        body(
            r#"{"data":{"bulkOperationRunQuery":{"bulkOperation":{"id":"gid://shopify/BulkOperation/1"},"userErrors":[]}}}"#,
        )
    }

    #[tokio::test]
    async fn names_and_windows_are_written_into_the_text() {
        let fake = Fake::new([started()]);
        let id = client(&fake).start_bulk(BulkQuery::Customers).await;
        assert_eq!(id, Ok("gid://shopify/BulkOperation/1".into()));
        let text = sent_query(&fake);
        assert!(text.contains(r#"driftless: metafield(namespace: "custom", key: "facts")"#));

        let fake = Fake::new([started()]);
        let window = BulkQuery::Orders {
            created_from: Moment::from_secs(1_767_225_600),
            created_to: Moment::from_secs(1_775_001_600),
        };
        client(&fake).start_bulk(window).await.unwrap();
        let text = sent_query(&fake);
        let expected = "created_at:>='2026-01-01T00:00:00Z' created_at:<'2026-04-01T00:00:00Z'";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("1970"));
    }

    #[tokio::test]
    async fn a_start_is_never_repeated_blindly_and_a_full_house_is_said() {
        let fake = Fake::new([answer(502)]);
        let error = client(&fake).start_bulk(BulkQuery::Customers).await;
        assert!(error.unwrap_err().is_outcome_unknown());
        assert_eq!(fake.seen().len(), 1);
        let full = r#"{"data":{"bulkOperationRunQuery":{"bulkOperation":null,"userErrors":[{"field":["query"],"code":"OPERATION_IN_PROGRESS"}]}}}"#;
        let fake = Fake::new([body(full)]);
        let error = client(&fake).start_bulk(BulkQuery::Customers).await;
        let fault = error.unwrap_err().fault;
        assert!(matches!(fault, Fault::Invalid { code, .. } if &*code == "OPERATION_IN_PROGRESS"));
    }

    #[tokio::test]
    async fn a_poll_reads_counts_as_digits_and_an_unknown_operation_is_not_found() {
        let node = |status: &str| {
            format!(
                r#"{{"id":"gid://shopify/BulkOperation/1","status":"{status}","errorCode":null,"createdAt":"2026-01-01T00:00:00Z",
                "objectCount":"12","rootObjectCount":"10","url":null}}"#
            )
        };
        let poll = body(&format!(
            r#"{{"data":{{"bulkOperation":{}}}}}"#,
            node("COMPLETED")
        ));
        let gone = body(r#"{"data":{"bulkOperation":null}}"#);
        let fake = Fake::new([poll, gone]);
        let shopify = client(&fake);
        let id = BulkId::from("gid://shopify/BulkOperation/1");
        let bulk = shopify.bulk(&id).await.unwrap();
        assert_eq!((bulk.objects, bulk.roots, bulk.url), (12, 10, None));
        let error = shopify.bulk(&id).await.unwrap_err();
        assert_eq!(error.fault, Fault::NotFound);
    }

    #[tokio::test]
    async fn a_query_is_found_again_by_what_it_asks_for() {
        let window = |from, to| BulkQuery::Orders {
            created_from: Moment::from_secs(from),
            created_to: Moment::from_secs(to),
        };
        let empty = Fake::new([]);
        let text = client(&empty)
            .bulk_text(window(0, 60))
            .replace('\n', " \\n")
            .replacen("# bulk ", "# a remark", 1)
            .replace('"', "\\\"");
        let node = |id: u8, status: &str, created: &str| {
            format!(
                r#"{{"id":"gid://shopify/BulkOperation/{id}","status":"{status}","createdAt":{created},"query":"{text}"}}"#
            )
        };
        let day = r#""2026-01-01T00:00:00Z""#;
        let nodes = [
            node(3, "CREATED", day),
            node(2, "COMPLETED", day),
            node(1, "RUNNING", "null"),
        ];
        let reply = body(&format!(
            r#"{{"data":{{"bulkOperations":{{"nodes":[{}]}}}}}}"#,
            nodes.join(",")
        ));
        let fake = Fake::new([reply]);
        let shopify = client(&fake);
        let asked = shopify.bulk_queries().await.unwrap();
        let status: Vec<&BulkStatus> = asked.iter().map(|one| &one.status).collect();
        assert_eq!(status, [&BulkStatus::Created, &BulkStatus::Completed]);
        assert!(shopify.is_for(window(0, 60), &asked[0]));
        assert!(!shopify.is_for(window(0, 61), &asked[0]));
        assert!(!shopify.is_for(BulkQuery::Customers, &asked[0]));
    }
}
