//! The writes: consent, tags, metafields and their definitions, bulk operations.

mod consent;
mod metafields;
mod tags;

use super::bulk;
use super::compile::Field;
use super::fault::Fault;
use super::resolve::may;
use super::staged;
use crate::model::Moment;
use crate::sandbox::Speed;
use crate::sandbox::world::{State, Write};
use serde_json::Value as Json;

/// What a mutation answers, before its selection is applied.
#[derive(Debug, Default)]
pub(super) struct Payload {
    pub(super) type_name: &'static str,
    pub(super) error_type: &'static str,
    pub(super) errors: Vec<UserError>,
    /// The customer written to.
    pub(super) customer: Option<u64>,
    /// Owner and name of each metafield written.
    pub(super) metafields: Vec<(u64, (String, String))>,
    /// Owner and name of each metafield to be deleted, and whether it existed.
    pub(super) deleted: Vec<(u64, (String, String), bool)>,
    pub(super) definition: Option<(String, String)>,
    pub(super) operation: Option<u64>,
    /// The path of each place for a file.
    pub(super) staged: Vec<String>,
}

/// A refusal by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserError {
    pub(super) field: Option<Vec<String>>,
    pub(super) message: String,
    pub(super) code: Option<&'static str>,
    pub(super) element: Option<usize>,
}

impl UserError {
    pub(super) fn new(field: &[&str], message: impl Into<String>) -> Self {
        Self {
            field: Some(field.iter().map(|&step| step.to_owned()).collect()),
            message: message.into(),
            code: None,
            element: None,
        }
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn element(mut self, index: usize) -> Self {
        self.element = Some(index);
        self
    }
}

/// What a write needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) now: Moment,
    pub(super) speed: Speed,
}

/// Carries one mutation out.
pub(super) fn run(
    state: &mut State,
    setting: Setting,
    field: &Field<'_>,
) -> Result<Payload, Fault> {
    let is_about_bulk = ["bulkOperation", "stagedUploads"];
    let writes_customers = !is_about_bulk.iter().any(|of| field.name().starts_with(of));
    if writes_customers && !may(&state.shopify.scopes, "write_customers") {
        return Err(Fault::access_denied(field.name(), "write_customers"));
    }
    let now = setting.now;
    let payload = match field.name() {
        "tagsAdd" => tags::add(state, now, field)?,
        "tagsRemove" => tags::remove(state, now, field)?,
        "customerEmailMarketingConsentUpdate" => consent::update(state, now, field)?,
        "metafieldsSet" => metafields::set(state, now, field),
        "metafieldsDelete" => metafields::delete(state, now, field),
        "metafieldDefinitionCreate" => metafields::define(state, now, field)?,
        "bulkOperationRunQuery" => bulk::start(state, setting, field),
        "bulkOperationRunMutation" => bulk::start_mutation(state, setting, field),
        "stagedUploadsCreate" => staged::create(state, field),
        "bulkOperationCancel" => bulk::cancel(state, now, field)?,
        name => unreachable!("Mutation.{name} is in the schema without a resolver"),
    };
    let type_name = field.composite().unwrap_or_default();
    let error_type = match field.name() {
        "customerEmailMarketingConsentUpdate" => "CustomerEmailMarketingConsentUpdateUserError",
        "metafieldsSet" => "MetafieldsSetUserError",
        "metafieldDefinitionCreate" => "MetafieldDefinitionCreateUserError",
        "bulkOperationRunQuery" => "BulkOperationUserError",
        "bulkOperationRunMutation" => "BulkMutationUserError",
        _ => "UserError",
    };
    Ok(Payload {
        type_name,
        error_type,
        ..payload
    })
}

/// A text argument; the schema has seen to its presence where it is required.
pub(super) fn text<'f>(field: &'f Field<'_>, name: &str) -> &'f str {
    let value = field.args.get(name).and_then(Json::as_str);
    value.unwrap_or_default()
}

/// Appends an accepted write to the world's history.
fn record(
    state: &mut State,
    at: Moment,
    kind: &'static str,
    target: String,
    subjects: Vec<String>,
) {
    state.history.push(Write {
        at,
        kind,
        target,
        subjects,
    });
}
