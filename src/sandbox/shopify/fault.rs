//! Entries of the top-level `errors` list.

use graphql_parser::Pos;
use serde_json::{Map, Value as Json, json};

/// One error, as the API reports it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) code: &'static str,
    pub(super) path: Vec<Json>,
    pub(super) at: Option<Pos>,
    /// Further members of `extensions`.
    pub(super) more: Map<String, Json>,
}

impl Fault {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code,
            path: Vec::new(),
            at: None,
            more: Map::new(),
        }
    }

    /// Something that the real API serves and this one does not: loud, so that nobody mistakes it
    /// for an answer.
    pub(super) fn not_served(what: impl std::fmt::Display) -> Self {
        Self::new(
            "SANDBOX_NOT_SERVED",
            format!("The sandbox does not serve {what}"),
        )
    }

    /// A scope is missing.
    pub(super) fn access_denied(field: &str, scope: &str) -> Self {
        let required = format!("`{scope}` access scope.");
        let message = format!("Access denied for {field} field. Required access: {required}");
        Self::new("ACCESS_DENIED", message)
            .with("requiredAccess", required)
            .with(
                "documentation",
                "https://shopify.dev/api/usage/access-scopes",
            )
    }

    pub(super) fn with(mut self, member: &str, value: impl Into<Json>) -> Self {
        self.more.insert(member.to_owned(), value.into());
        self
    }

    pub(super) fn at(mut self, position: Pos) -> Self {
        self.at = Some(position);
        self
    }

    pub(super) fn on(mut self, path: Vec<Json>) -> Self {
        self.path = path;
        self
    }

    pub(super) fn to_json(&self) -> Json {
        let mut extensions = self.more.clone();
        extensions.insert("code".to_owned(), self.code.into());
        let mut error = Map::new();
        error.insert("message".to_owned(), self.message.clone().into());
        if let Some(at) = self.at {
            let place = json!([{"line": at.line, "column": at.column}]);
            error.insert("locations".to_owned(), place);
        }
        if !self.path.is_empty() {
            error.insert("path".to_owned(), self.path.clone().into());
        }
        error.insert("extensions".to_owned(), extensions.into());
        error.into()
    }
}
