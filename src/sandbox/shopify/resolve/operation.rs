//! Bulk operations as objects.

use super::{Ctx, Node, Out, Resolved, maybe_stamp, stamp, unknown};
use crate::model::Moment;
use crate::sandbox::shopify::bulk;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::page;
use crate::sandbox::shopify::search;
use crate::sandbox::shopify::value::gid;
use crate::sandbox::world::BulkOperation;
use serde_json::{Map, Value as Json};

pub(super) fn bulk<'s>(
    ctx: &Ctx<'s>,
    number: u64,
    operation: &'s BulkOperation,
    field: &Field<'_>,
) -> Out<'s> {
    let status = bulk::status(operation, ctx.now);
    let ended = operation.completed.is_some();
    let bytes: usize = operation.rows.iter().map(|piece| piece.len()).sum();
    let link = |wanted: bool| {
        let there = wanted && ended && bytes > 0;
        there.then(|| bulk::url(ctx, number)).into()
    };
    match field.name() {
        "id" => gid("BulkOperation", number).into(),
        "type" => bulk::type_of(operation).into(),
        "status" => status.into(),
        "errorCode" => operation.error.into(),
        "createdAt" => stamp(operation.created).into(),
        "completedAt" => maybe_stamp(operation.completed.filter(|_| ended)),
        "objectCount" => operation.object_count.to_string().into(),
        "rootObjectCount" => operation.root_count.to_string().into(),
        "fileSize" => (ended && bytes > 0).then(|| bytes.to_string()).into(),
        "url" => link(status == "COMPLETED"),
        "partialDataUrl" => link(["FAILED", "CANCELED"].contains(&status)),
        "query" => operation.query.as_str().into(),
        _ => unknown("BulkOperation", field),
    }
}

/// `bulkOperations`: newest first, unlike any other list.
pub(super) fn list<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Resolved<'s> {
    let query = field.args.get("query").and_then(Json::as_str);
    let filter = search::operations(ctx, query, field.key)?;
    let by_end = field.args.get("sortKey").and_then(Json::as_str) == Some("COMPLETED_AT");
    let all = ctx.state.shopify.operations.iter();
    let matching = all.filter(|(number, operation)| filter.passes(**number, operation));
    let rows = matching.map(|(number, operation)| {
        let at = if by_end {
            operation.completed
        } else {
            Some(operation.created)
        };
        let key = (at.map_or(i64::MAX, Moment::secs), *number);
        (key, Node::Bulk(*number, operation))
    });
    let mut args: Map<String, Json> = field.args.clone();
    let reverse = args.get("reverse").and_then(Json::as_bool) == Some(true);
    args.insert("reverse".to_owned(), (!reverse).into());
    Ok(Out::Page(page::cut(ctx, &args, rows)?))
}
