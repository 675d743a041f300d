//! Bulk mutations: one call for each line of an uploaded file (shopify.md, section 5.4).

use super::rows::Chunk;
use super::{Mode, compile, duration, full};
use crate::model::Moment;
use crate::sandbox::Speed;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::document::{Operation, Request};
use crate::sandbox::shopify::execute::Executor;
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::mutate::{self, Payload, Setting, UserError, text};
use crate::sandbox::shopify::resolve::{Ctx, Node};
use crate::sandbox::shopify::value::gid;
use crate::sandbox::world::{BulkOperation, State};
use serde_json::{Map, Value as Json, json};
use std::ops::Range;
use std::sync::Arc;

/// Calls each second; nobody has published how many it is.
const CALLS_PER_SECOND: u64 = 100;

/// Largest file of variables.
const LARGEST: usize = 100_000_000;

/// `bulkOperationRunMutation`.
pub(in crate::sandbox::shopify) fn start(
    state: &mut State,
    setting: Setting,
    field: &Field<'_>,
) -> Payload {
    let mut payload = Payload::default();
    match begin(state, setting, field) {
        Ok(number) => payload.operation = Some(number),
        Err(error) => payload.errors.push(error),
    }
    payload
}

fn begin(
    state: &mut State,
    Setting { now, speed }: Setting,
    field: &Field<'_>,
) -> Result<u64, UserError> {
    let mutation = text(field, "mutation");
    check(mutation).map_err(|why| UserError::new(&["mutation"], why).code("INVALID_MUTATION"))?;
    let uploaded = state.shopify.uploads.get(text(field, "stagedUploadPath"));
    let file = uploaded.ok_or_else(|| {
        let message = "The JSONL file could not be found. Try uploading the file again.";
        UserError::new(&["stagedUploadPath"], message).code("NO_SUCH_FILE")
    })?;
    let lines = str::from_utf8(file).ok().filter(|_| file.len() <= LARGEST);
    let lines: Vec<String> = lines
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    if lines.is_empty() {
        let message = "The file is empty, too large or no text.";
        let error = UserError::new(&["stagedUploadPath"], message);
        return Err(error.code("INVALID_STAGED_UPLOAD_FILE"));
    }
    if let Some(full) = full(state, "MUTATION") {
        return Err(UserError::new(&["mutation"], full).code("OPERATION_IN_PROGRESS"));
    }
    let operation = BulkOperation {
        query: mutation.to_owned(),
        roots: (0..lines.len() as u64).map(|line| (0, line)).collect(),
        created: now,
        due: now.plus(duration(lines.len(), CALLS_PER_SECOND, speed)),
        lines: Some(Arc::new(lines)),
        ..BulkOperation::default()
    };
    let number = state.shopify.next_number();
    state.shopify.operations.insert(number, operation);
    Ok(number)
}

/// One mutation, and not one about bulk operations.
fn check(mutation: &str) -> Result<(), String> {
    let request = Request::parse(mutation).map_err(|fault| fault.message)?;
    let operation = request.operation(None).map_err(|fault| fault.message)?;
    let is_inner = operation.root == "Mutation" && !mutation.contains("bulkOperation");
    if is_inner && operation.selection.items.len() == 1 {
        return Ok(());
    }
    Err("Exactly one mutation may be run in bulk, and no bulk operation.".to_owned())
}

/// Makes some of the calls. Their results come in another order than the lines.
pub(super) fn carry_out(
    state: &mut State,
    mutation: &str,
    lines: &[String],
    range: Range<usize>,
    now: Moment,
) -> Chunk {
    let request = Request::parse(mutation).expect("it was parsed when the operation began");
    let operation = request.operation(None).expect("it has one operation");
    let mut chunk = Chunk::default();
    for number in range.rev() {
        let line = lines.get(number).map_or("", String::as_str);
        let mut answer = call(state, &operation, line, now);
        answer["__lineNumber"] = json!(number);
        chunk.objects += 1;
        chunk.roots += 1;
        if !is_unsaid(state, line) {
            chunk.text.extend_from_slice(answer.to_string().as_bytes());
            chunk.text.push(b'\n');
        }
    }
    chunk
}

fn is_unsaid(state: &State, line: &str) -> bool {
    let mut customers = state.faults.unsaid.iter();
    customers.any(|number| line.contains(&format!("\"{}\"", gid("Customer", *number))))
}

/// One call, as if its variables had come with a request.
fn call(state: &mut State, operation: &Operation<'_>, line: &str, now: Moment) -> Json {
    let refused = |faults: Vec<Fault>| {
        let errors: Vec<Json> = faults.iter().map(Fault::to_json).collect();
        json!({"data": null, "errors": errors})
    };
    let Ok(given) = serde_json::from_str::<Map<String, Json>>(line) else {
        return refused(vec![Fault::new("INVALID", "The line is no JSON object")]);
    };
    let variables = match operation.variables(given) {
        Ok(variables) => variables,
        Err(faults) => return refused(faults),
    };
    let selection = match compile(operation, &variables, Mode::Page) {
        Ok(selection) => selection,
        Err(faults) => return refused(faults),
    };
    let Some(field) = selection.fields().first() else {
        return json!({"data": {}});
    };
    let speed = Speed::Real;
    let payload = match mutate::run(state, Setting { now, speed }, field) {
        Ok(payload) => payload,
        Err(fault) => return refused(vec![fault.on(vec![field.key.into()])]),
    };
    let ctx = Ctx::new(state, now, "");
    let value = Executor::new(&ctx).payload(field, Node::Payload(&payload));
    json!({"data": {field.key: value}})
}
