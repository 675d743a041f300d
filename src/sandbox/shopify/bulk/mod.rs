//! Bulk operations: started and cancelled here; queries are read in `rows`, mutations carried out in `calls`,
//! their results handed out in `file`.

mod calls;
mod file;
mod rows;
mod rules;

pub(super) use calls::start as start_mutation;
pub(super) use file::{serve, url};
pub(super) use rows::advance;

use super::compile::{Field, Mode, Selection, compile};
use super::document::{Request, Variables};
use super::fault::Fault;
use super::mutate::{Payload, Setting, UserError, text};
use super::resolve::{Ctx, bulk_roots};
use super::value::{gid, number_of};
use crate::model::Moment;
use crate::sandbox::Speed;
use crate::sandbox::world::{BulkOperation, State};
use serde_json::Value as Json;
use std::time::Duration;

/// Bulk queries of one app in one shop that may run at the same time, and as many bulk mutations.
const SLOTS: usize = 5;

/// A new operation waits this long before it runs.
const QUEUE: Duration = Duration::from_millis(100);

/// What the shortest operation takes.
const STARTUP: Duration = Duration::from_millis(400);

/// Root rows read each second (measured by others: about 1,500 in a second, and faster since).
const ROWS_PER_SECOND: u64 = 5_000;

/// How many times faster than that at [`Speed::Fast`].
const HASTE: u32 = 20;

/// Between asking an operation to stop and its end.
const STOPPING: Duration = Duration::from_millis(200);

/// `BulkOperationStatus` as of `now`.
pub(super) fn status(operation: &BulkOperation, now: Moment) -> &'static str {
    match (operation.canceled, operation.completed) {
        (Some(_), Some(_)) => "CANCELED",
        (Some(_), None) => "CANCELING",
        (None, Some(_)) if operation.error.is_some() => "FAILED",
        (None, Some(ended)) if now > ended.plus(file::KEPT) => "EXPIRED",
        (None, Some(_)) => "COMPLETED",
        (None, None) if now < operation.created.plus(QUEUE) => "CREATED",
        (None, None) => "RUNNING",
    }
}

/// `BulkOperationType`.
pub(super) fn type_of(operation: &BulkOperation) -> &'static str {
    match operation.lines {
        Some(_) => "MUTATION",
        None => "QUERY",
    }
}

/// A compiled inner query, good by the rules of bulk operations.
fn inner<T>(
    query: &str,
    then: impl FnOnce(&Selection<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let first = |faults: Vec<Fault>| {
        let first = faults.into_iter().next();
        first.map_or_else(String::new, |fault| fault.message)
    };
    let request = Request::parse(query).map_err(|fault| fault.message)?;
    let operation = request.operation(None).map_err(|fault| fault.message)?;
    if operation.root != "QueryRoot" || operation.has_variables() {
        return Err("Bulk queries are queries without variables.".to_owned());
    }
    let compiled = compile(&operation, &Variables::default(), Mode::Bulk).map_err(first)?;
    then(&compiled)
}

/// `bulkOperationRunQuery`.
pub(super) fn start(state: &mut State, setting: Setting, field: &Field<'_>) -> Payload {
    let query = text(field, "query");
    match begin(state, setting, query, field) {
        Ok(number) => Payload {
            operation: Some(number),
            ..Payload::default()
        },
        Err(error) => Payload {
            errors: vec![error],
            ..Payload::default()
        },
    }
}

fn begin(
    state: &mut State,
    Setting { now, speed }: Setting,
    query: &str,
    field: &Field<'_>,
) -> Result<u64, UserError> {
    let invalid = |why: String| {
        let message = format!("Invalid bulk query: {why}");
        UserError::new(&["query"], message).code("INVALID")
    };
    inner(query, |compiled| rules::check(query, compiled)).map_err(invalid)?;
    if let Some(full) = full(state, "QUERY") {
        return Err(UserError::new(&["query"], full).code("OPERATION_IN_PROGRESS"));
    }
    let mut operation = BulkOperation {
        query: query.to_owned(),
        grouped: field.args.get("groupObjects").and_then(Json::as_bool) == Some(true),
        created: now,
        ..BulkOperation::default()
    };
    let mut ctx = Ctx::new(state, now, "");
    ctx.bulk = true;
    let found = inner(query, |compiled| Ok(roots(&ctx, compiled))).map_err(invalid)?;
    operation.purchases = ctx.purchases().clone();
    match found {
        Ok(roots) => operation.roots = roots,
        Err(fault) if fault.code == "ACCESS_DENIED" => operation.error = Some("ACCESS_DENIED"),
        Err(fault) => return Err(invalid(fault.message)),
    }
    operation.due = now.plus(duration(operation.roots.len(), ROWS_PER_SECOND, speed));
    if let Some(code) = state.faults.strike_bulk(query) {
        operation.error = Some(code);
        operation.roots.truncate(operation.roots.len() / 2);
    }
    let number = state.shopify.next_number();
    state.shopify.operations.insert(number, operation);
    Ok(number)
}

/// What Shopify says when no place is free for another operation of a type.
fn full(state: &State, wanted: &str) -> Option<String> {
    let all = state.shopify.operations.iter();
    let running =
        all.filter(|(_, operation)| operation.completed.is_none() && type_of(operation) == wanted);
    let running: Vec<String> = running.map(|(id, _)| gid("BulkOperation", *id)).collect();
    (running.len() >= SLOTS).then(|| {
        let (wanted, running) = (wanted.to_lowercase(), running.join(", "));
        format!(
            "A bulk {wanted} operation for this app and shop is already in progress: {running}."
        )
    })
}

/// Index of the root field and number of the record, for every root row.
fn roots(ctx: &Ctx<'_>, compiled: &Selection<'_>) -> Result<Vec<(usize, u64)>, Fault> {
    let mut roots = Vec::new();
    for (index, field) in compiled.fields().iter().enumerate() {
        let numbers = bulk_roots(ctx, field)?;
        roots.extend(numbers.into_iter().map(|number| (index, number)));
    }
    Ok(roots)
}

fn duration(rows: usize, per_second: u64, speed: Speed) -> Duration {
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    let reading = Duration::from_millis(rows.saturating_mul(1_000) / per_second);
    match speed {
        Speed::Real => STARTUP + reading,
        Speed::Fast => (STARTUP + reading) / HASTE,
    }
}

/// `bulkOperationCancel`.
pub(super) fn cancel(state: &mut State, now: Moment, field: &Field<'_>) -> Result<Payload, Fault> {
    let number = number_of(text(field, "id"), "BulkOperation")
        .ok_or_else(|| Fault::new("RESOURCE_NOT_FOUND", "invalid id"))?;
    let mut payload = Payload::default();
    let Some(operation) = state.shopify.operations.get_mut(&number) else {
        let error = UserError::new(&["id"], "Bulk operation does not exist");
        payload.errors.push(error);
        return Ok(payload);
    };
    payload.operation = Some(number);
    match status(operation, now) {
        "CREATED" | "RUNNING" => operation.canceled = Some(now),
        "CANCELING" => {}
        ended => {
            let ended = ended.to_lowercase();
            let message = format!("A bulk operation cannot be canceled when it is {ended}");
            payload.errors.push(UserError::new(&["id"], message));
        }
    }
    Ok(payload)
}
