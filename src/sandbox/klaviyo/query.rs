//! Query parameters, each checked against what the endpoint documents.

use super::failure::Failure;
use super::filter::{self, Allowed, Condition};
use super::paging::Position;
use super::{Call, resource};
use std::collections::{BTreeMap, BTreeSet};

/// What an endpoint takes.
pub(super) struct Spec {
    /// Filterable fields and their operators.
    pub(super) filters: &'static Allowed,
    /// Sort keys without their sign.
    pub(super) sorts: &'static [&'static str],
    /// Default and largest `page[size]`; equal for a fixed size that cannot be given.
    pub(super) page: Option<(usize, usize)>,
    /// Whether `page[size]` may be given.
    pub(super) sizable: bool,
    /// Resource types with their attributes, dotted names cut to the first part.
    pub(super) fields: &'static [(&'static str, &'static [&'static str])],
    /// Resource types with attributes that are off by default.
    pub(super) additional: &'static [(&'static str, &'static [&'static str])],
}

/// An endpoint that takes nothing.
pub(super) const NOTHING: Spec = Spec {
    filters: &[],
    sorts: &[],
    page: None,
    sizable: false,
    fields: &[],
    additional: &[],
};

/// A request's parameters.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Conditions, all of which must hold.
    pub(super) filters: Vec<Condition>,
    /// Sort key without its sign; empty when none was given.
    pub(super) sort: String,
    /// Whether the sort key had a minus sign.
    pub(super) descending: bool,
    /// Items on a page.
    pub(super) size: usize,
    /// After this position.
    pub(super) after: Option<Position>,
    fields: BTreeMap<String, BTreeSet<String>>,
    additional: BTreeSet<String>,
}

/// Splits and decodes a raw query.
pub(super) fn pairs(raw: &str) -> Vec<(String, String)> {
    let decoded = url::form_urlencoded::parse(raw.as_bytes());
    decoded.into_owned().collect()
}

impl Query {
    /// Reads a call's parameters; the first one that the endpoint does not document is refused.
    pub(super) fn read(call: &Call, spec: &Spec) -> Result<Self, Failure> {
        let mut query = Query {
            size: spec.page.map_or(0, |(default, _)| default),
            ..Query::default()
        };
        let mut seen = BTreeSet::new();
        for (name, value) in &call.query {
            if !seen.insert(name) {
                return Err(Failure::parameter("Given more than once.", name));
            }
            query.take(name, value, spec, &call.path)?;
        }
        Ok(query)
    }

    fn take(&mut self, name: &str, value: &str, spec: &Spec, path: &str) -> Result<(), Failure> {
        let wrong = |detail: &str| Failure::parameter(detail, name);
        match name {
            "filter" if !spec.filters.is_empty() => {
                self.filters = filter::parse(value, spec.filters)?;
            }
            "sort" if !spec.sorts.is_empty() => {
                self.descending = value.starts_with('-');
                value.trim_start_matches('-').clone_into(&mut self.sort);
                if !spec.sorts.contains(&self.sort.as_str()) {
                    return Err(wrong("Not a sort key of this endpoint."));
                }
            }
            "page[size]" if spec.sizable => {
                let most = spec.page.map_or(0, |(_, most)| most);
                let size = value.parse().ok().filter(|size| (1..=most).contains(size));
                self.size = size.ok_or_else(|| wrong("Not a page size of this endpoint."))?;
            }
            "page[cursor]" if spec.page.is_some() => {
                let position = Position::decode(value, path);
                self.after = Some(position.ok_or_else(|| wrong("Invalid cursor."))?);
            }
            _ => return self.take_names(name, value, spec),
        }
        Ok(())
    }

    fn take_names(&mut self, name: &str, value: &str, spec: &Spec) -> Result<(), Failure> {
        let wrong = |detail: &str| Failure::parameter(detail, name);
        let kind = |prefix: &str| name.strip_prefix(prefix)?.strip_suffix(']');
        let known = |table: &[(&str, &[&'static str])], kind: &str| {
            let row = table.iter().find(|(known, _)| *known == kind);
            row.map(|(_, names)| names.to_vec())
        };
        let names: BTreeSet<String> = value.split(',').map(str::to_owned).collect();
        let (allowed, additional) = match (kind("fields["), kind("additional-fields[")) {
            (Some(kind), _) => (known(spec.fields, kind), false),
            (_, Some(kind)) => (known(spec.additional, kind), true),
            _ => (None, false),
        };
        let allowed = allowed.ok_or_else(|| wrong("Not a parameter of this endpoint."))?;
        let top = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        if let Some(unknown) = names.iter().find(|n| !allowed.contains(&top(n).as_str())) {
            let detail = format!("'{unknown}' is not an allowed field for this resource.");
            return Err(wrong(&detail));
        }
        if additional {
            self.additional.extend(names);
        } else if let Some(kind) = kind("fields[") {
            self.fields.insert(kind.to_owned(), names);
        }
        Ok(())
    }

    /// Whether an additional field was asked for.
    pub(super) fn adds(&self, name: &str) -> bool {
        self.additional.contains(name)
    }

    /// Whether a top-level attribute of a resource type is wanted, so that costly ones are not built in
    /// vain.
    pub(super) fn wants(&self, kind: &str, name: &str) -> bool {
        let Some(fields) = self.fields.get(kind) else {
            return true;
        };
        fields
            .iter()
            .any(|field| field.split('.').next() == Some(name))
    }

    /// Cuts a resource to its sparse fieldset.
    pub(super) fn cut(&self, mut resource: serde_json::Value) -> serde_json::Value {
        let kind = resource["type"].as_str().unwrap_or_default();
        if let Some(fields) = self.fields.get(kind)
            && let Some(attributes) = resource.get_mut("attributes")
        {
            *attributes = resource::sparse(attributes, fields);
        }
        resource
    }

    /// Whether every condition holds, each judged by `holds`.
    pub(super) fn admits(&self, holds: impl Fn(&Condition) -> bool) -> bool {
        self.filters.iter().all(holds)
    }
}
