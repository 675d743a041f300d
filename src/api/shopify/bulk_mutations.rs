//! Bulk mutations: thousands of writes outside the rate limit (shopify.md, section 5.4).

use super::bulk::Id;
use super::client::{Operation, Shopify};
use super::envelope::Envelope;
use super::upload::Target;
use super::writes::{METAFIELDS_DELETE, METAFIELDS_SET, MetafieldEntry, TAGS_ADD, TAGS_REMOVE};
use super::writes::{UserError, Written, delete_input, set_input, tags_input};
use crate::api::lenient;
use crate::api::{ApiError, Exchange, Fault, WriteGrant};
use crate::model::{BulkId, CustomerId, Moment};
use serde::Deserialize;
use serde_json::json;

static STAGE: Operation =
    Operation::new("staged_upload", include_str!("staged_upload.graphql"), 11.0);
static RUN: Operation = Operation {
    // A second start runs twice.
    idempotent: false,
    ..Operation::new(
        "bulk_run_mutation",
        include_str!("bulk_run_mutation.graphql"),
        10.0,
    )
};
static LIST: Operation = Operation::new(
    "bulk_mutations",
    include_str!("bulk_mutations.graphql"),
    9.0,
);

/// Most bytes of the lines of one operation.
const MOST_BYTES: usize = 100_000_000;

/// A mutation that can be carried out for many customers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMutation {
    /// As [`Shopify::add_tags`].
    TagsAdd,
    /// As [`Shopify::remove_tags`].
    TagsRemove,
    /// As [`Shopify::set_metafields`], each line one entry.
    MetafieldsSet,
    /// As [`Shopify::delete_metafield`].
    MetafieldsDelete,
}

impl BulkMutation {
    /// The name that its document begins with.
    const fn name(self) -> &'static str {
        match self {
            Self::TagsAdd => "TagsAdd",
            Self::TagsRemove => "TagsRemove",
            Self::MetafieldsSet => "MetafieldsSet",
            Self::MetafieldsDelete => "MetafieldsDelete",
        }
    }

    /// The document of the single write, under a name of its own by which it is found again.
    fn text(self, mark: &str) -> String {
        let document = match self {
            Self::TagsAdd => TAGS_ADD.document,
            Self::TagsRemove => TAGS_REMOVE.document,
            Self::MetafieldsSet => METAFIELDS_SET.document,
            Self::MetafieldsDelete => METAFIELDS_DELETE.document,
        };
        let name = self.name();
        document.replacen(
            &format!("mutation {name}("),
            &format!("mutation {name}_{mark}("),
            1,
        )
    }
}

/// One line of an operation: the variables of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkLine(String);

impl BulkLine {
    /// For [`BulkMutation::TagsAdd`] and [`BulkMutation::TagsRemove`].
    pub fn tags(customer: CustomerId, tags: &[String]) -> Self {
        Self(tags_input(customer, tags).to_string())
    }

    /// For [`BulkMutation::MetafieldsSet`].
    pub fn metafield(entry: &MetafieldEntry) -> Self {
        Self(set_input(std::iter::once(entry)).to_string())
    }

    /// For [`BulkMutation::MetafieldsDelete`], by namespace and key.
    pub fn no_metafield(customer: CustomerId, name: (&str, &str)) -> Self {
        Self(delete_input(customer, name).to_string())
    }
}

/// Lines that Shopify has, and nothing was done with yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    path: String,
    /// Shopify's time when it was asked for; what is started with them is younger.
    pub at: Moment,
}

/// A bulk mutation of the last days, ours or another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedBulk {
    /// Which.
    pub id: BulkId,
    /// When it was started, in whole seconds.
    pub created: Moment,
    /// What it does.
    pub text: String,
}

impl MarkedBulk {
    /// Whether it was started for this mutation with this mark.
    pub fn is(&self, mutation: BulkMutation, mark: &str) -> bool {
        let name = mutation.name();
        self.text.starts_with(&format!("mutation {name}_{mark}("))
    }

    /// The mark that it was started with; `None` where it is not one of ours.
    pub fn mark(&self) -> Option<&str> {
        let (name, _) = self.text.strip_prefix("mutation ")?.split_once('(')?;
        Some(name.split_once('_')?.1)
    }
}

/// How one line ended.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkEnd {
    /// Its place among the lines that were sent, from 0. The result is not in their order.
    pub line: usize,
    /// What was done, or why not; the fault of a single write.
    pub end: Result<(), Fault>,
}

#[derive(Deserialize)]
struct Numbered {
    #[serde(rename = "__lineNumber")]
    line: usize,
}

impl BulkEnd {
    /// Reads a line of a result; `None` when it is none, such as half a line.
    pub fn decode(text: &str) -> Option<Self> {
        let Numbered { line } = serde_json::from_str(text).ok()?;
        let envelope = Envelope::open(text.as_bytes())?;
        let written = || {
            let data = envelope.data(text.as_bytes())?;
            serde_json::from_slice::<Written>(data).ok()
        };
        let end = match (envelope.fault(), written()) {
            (Some(fault), _) => Err(fault),
            (None, Some(written)) => written.refusal().map_or(Ok(()), Err),
            (None, None) => Err(Fault::Shape { line: 1, column: 1 }),
        };
        Some(Self { line, end })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StageReply {
    staged_uploads_create: StagePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StagePayload {
    staged_targets: Option<Vec<Target>>,
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunReply {
    bulk_operation_run_mutation: RunPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunPayload {
    bulk_operation: Option<Id>,
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListReply {
    bulk_operations: Nodes,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<ListNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListNode {
    id: BulkId,
    #[serde(default, deserialize_with = "lenient::instant")]
    created_at: Option<Moment>,
    query: String,
}

impl<E: Exchange> Shopify<E> {
    /// Gives Shopify the lines of a bulk mutation. Nothing is carried out by that.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] beyond 100 MB, [`Fault::ForeignHost`] when the place to send them to is
    /// not the vendor's, and whatever the requests meet.
    pub async fn stage_bulk<'a>(
        &self,
        _: &WriteGrant,
        lines: impl Iterator<Item = &'a BulkLine>,
    ) -> Result<Staged, ApiError> {
        let mut file = String::new();
        for BulkLine(line) in lines {
            file.push_str(line);
            file.push('\n');
        }
        if file.len() > MOST_BYTES {
            let fault = Fault::TooLarge { cap: MOST_BYTES };
            return Err(ApiError::new(&STAGE.class, fault));
        }
        let input = json!([{
            "resource": "BULK_MUTATION_VARIABLES",
            "filename": "lines.jsonl",
            "mimeType": "text/jsonl",
            "httpMethod": "POST",
        }]);
        let reply = self.run(&STAGE, json!({"input": input})).await?;
        let payload = reply.data::<StageReply>()?.staged_uploads_create;
        if let Some(error) = payload.user_errors.first() {
            return Err(reply.error(error.fault()));
        }
        let missing = || reply.error(Fault::Shape { line: 1, column: 1 });
        let targets = payload.staged_targets.unwrap_or_default();
        let target = targets.first().ok_or_else(missing)?;
        let path = target.path().ok_or_else(missing)?.to_owned();
        target
            .send(&self.results, &self.base, file.as_bytes())
            .await?;
        let at = reply.server_time;
        Ok(Staged { path, at })
    }

    /// Starts a bulk mutation. A repeat after an unknown outcome runs twice: look for the mark in
    /// [`Shopify::bulk_mutations`] first. The mark is of letters and digits.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when it is not started, such as with `OPERATION_IN_PROGRESS` when five run
    /// already, and whatever the request meets.
    pub async fn run_bulk(
        &self,
        _: &WriteGrant,
        mutation: BulkMutation,
        mark: &str,
        staged: &Staged,
    ) -> Result<BulkId, ApiError> {
        let variables = json!({"mutation": mutation.text(mark), "path": staged.path});
        let reply = self.run(&RUN, variables).await?;
        let payload = reply.data::<RunReply>()?.bulk_operation_run_mutation;
        if let Some(error) = payload.user_errors.first() {
            return Err(reply.error(error.fault()));
        }
        let missing = Fault::Shape { line: 1, column: 1 };
        let operation = payload.bulk_operation.ok_or_else(|| reply.error(missing))?;
        Ok(operation.id)
    }

    /// The last bulk mutations of this app in this shop, the newest first, whichever way they ended.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn bulk_mutations(&self) -> Result<Vec<MarkedBulk>, ApiError> {
        let reply = self.run(&LIST, json!({})).await?;
        let nodes = reply.data::<ListReply>()?.bulk_operations.nodes;
        let all = nodes.into_iter().filter_map(|node| {
            Some(MarkedBulk {
                id: node.id,
                created: node.created_at?,
                text: node.query,
            })
        });
        Ok(all.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, answer, body};
    use crate::api::shopify::client::tests_support::client;

    const MARK: &str = "00c0ffee00c0ffee";

    fn staged() -> Staged {
        let path = "tmp/1/lines.jsonl".to_owned();
        let at = Moment(0);
        Staged { path, at }
    }

    #[test]
    fn a_line_ends_by_its_number_and_its_own_errors() {
        let end = |text: &str| BulkEnd::decode(text).map(|end| (end.line, end.end));
        let done = r#"{"data":{"tagsAdd":{"userErrors":[]}},"__lineNumber":7}"#;
        assert_eq!(end(done), Some((7, Ok(()))));
        let gone = r#"{"data":{"tagsAdd":{"userErrors":[{"field":["id"]}]}},"__lineNumber":0}"#;
        assert_eq!(end(gone), Some((0, Err(Fault::NotFound))));
        let bad = r#"{"data":{"metafieldsSet":{"userErrors":[{"field":["metafields","0","value"],
            "code":"INVALID_VALUE","elementIndex":0}]}},"__lineNumber":1}"#;
        let Some((1, Err(Fault::Invalid { code, .. }))) = end(bad) else {
            panic!("{:?}", end(bad))
        };
        assert_eq!(&*code, "INVALID_VALUE");
        let broken = r#"{"errors":[{"message":"x"}],"data":{"tagsAdd":null},"__lineNumber":2}"#;
        assert!(matches!(
            end(broken),
            Some((2, Err(Fault::GraphqlErrors { .. })))
        ));
        let empty = r#"{"data":null,"__lineNumber":3}"#;
        assert!(matches!(end(empty), Some((3, Err(Fault::Shape { .. })))));
        assert_eq!(end(&done[..40]), None);
    }

    #[tokio::test]
    async fn the_start_names_the_operation_and_is_not_repeated_blindly() {
        let fake = Fake::new([answer(502)]);
        let grant = WriteGrant::mint();
        let started = client(&fake)
            .run_bulk(&grant, BulkMutation::TagsRemove, MARK, &staged())
            .await;
        assert!(started.unwrap_err().is_outcome_unknown());
        assert_eq!(fake.seen().len(), 1);
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["variables"]["path"], "tmp/1/lines.jsonl");
        let text = sent["variables"]["mutation"].as_str().unwrap();
        assert!(
            text.starts_with("mutation TagsRemove_00c0ffee00c0ffee($id: ID!"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_operation_is_found_again_by_its_mark() {
        let text = |mutation: BulkMutation| mutation.text(MARK).replace('\n', "\\n");
        let node = |id: u8, text: &str| {
            format!(
                r#"{{"id":"gid://shopify/BulkOperation/{id}","createdAt":"2026-01-01T00:00:00Z","query":"{text}"}}"#
            )
        };
        let others = "mutation call($id: ID!) { x }";
        let nodes = [
            node(3, others),
            node(2, &text(BulkMutation::TagsAdd)),
            node(1, &text(BulkMutation::MetafieldsSet)),
        ];
        let reply = body(&format!(
            r#"{{"data":{{"bulkOperations":{{"nodes":[{}]}}}}}}"#,
            nodes.join(",")
        ));
        let fake = Fake::new([reply]);
        let all = client(&fake).bulk_mutations().await.unwrap();
        let marks: Vec<_> = all.iter().map(MarkedBulk::mark).collect();
        assert_eq!(marks, [None, Some(MARK), Some(MARK)]);
        let adds = all.iter().map(|one| one.is(BulkMutation::TagsAdd, MARK));
        assert_eq!(adds.collect::<Vec<_>>(), [false, true, false]);
    }

    #[tokio::test]
    async fn lines_go_to_no_foreign_host() {
        let reply = body(
            r#"{"data":{"stagedUploadsCreate":{"userErrors":[],"stagedTargets":[{
            "url":"https://evil.example/upload","parameters":[{"name":"key","value":"tmp/1"}]}]}}}"#,
        );
        let fake = Fake::new([reply]);
        let line = BulkLine::tags(CustomerId(7), &["dl:stale".to_owned()]);
        let expected = r#"{"id":"gid://shopify/Customer/7","tags":["dl:stale"]}"#;
        assert_eq!(line.0, expected);
        let grant = WriteGrant::mint();
        let refused = client(&fake).stage_bulk(&grant, [line].iter()).await;
        let fault = refused.unwrap_err().fault;
        assert!(matches!(fault, Fault::ForeignHost { .. }), "{fault:?}");
    }
}
