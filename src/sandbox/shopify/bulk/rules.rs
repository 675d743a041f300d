//! What a bulk query may look like (shopify.md, section 5.2).

use crate::sandbox::shopify::compile::{Field, Selection};
use crate::sandbox::shopify::schema::SCHEMA;

/// Bytes of the query text.
const MAX_TEXT: usize = 65_535;
/// Connections in one query.
const MAX_CONNECTIONS: usize = 5;
/// Levels of connections.
const MAX_DEPTH: usize = 2;
/// The lists this server reads in bulk.
const ROOTS: [&str; 2] = ["customers", "orders"];

/// Refuses a query that breaks a rule.
pub(super) fn check(text: &str, selection: &Selection<'_>) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the query is longer than {MAX_TEXT} bytes"));
    }
    let mut connections = 0;
    for field in selection.fields() {
        if !ROOTS.contains(&field.name()) {
            return Err(format!("`{}` cannot be read in bulk here", field.name()));
        }
        connection(field, 1, &mut connections)?;
    }
    match connections {
        0 => Err("at least one connection is needed".to_owned()),
        1..=MAX_CONNECTIONS => Ok(()),
        _ => Err(format!("more than {MAX_CONNECTIONS} connections")),
    }
}

fn connection(field: &Field<'_>, depth: usize, count: &mut usize) -> Result<(), String> {
    *count += 1;
    if depth > MAX_DEPTH {
        return Err(format!("`{}` is nested too deep", field.name()));
    }
    for part in field.selection.fields() {
        if part.name() != "edges" {
            let name = part.name();
            return Err(format!("`{name}` is not allowed, use edges {{ node }}"));
        }
    }
    for selection in field.selection.node_selections() {
        for (type_name, fields) in &selection.by_type {
            if !SCHEMA.possible("Node").iter().any(|node| node == type_name) {
                return Err(format!("{type_name} does not implement Node"));
            }
            node(fields, depth, count)?;
        }
    }
    Ok(())
}

fn node(fields: &[Field<'_>], depth: usize, count: &mut usize) -> Result<(), String> {
    for field in fields {
        if field.is_connection() {
            let named = |field: &Field<'_>| field.name() == "id" && field.key == "id";
            if !fields.iter().any(named) {
                let name = field.name();
                return Err(format!("the parent of `{name}` must select `id`"));
            }
            connection(field, depth + 1, count)?;
        } else {
            no_connection(field)?;
        }
    }
    Ok(())
}

/// Inside lists connections are refused; inside plain objects this server has no use for them.
fn no_connection(field: &Field<'_>) -> Result<(), String> {
    for inner in field.selection.by_type.values().flatten() {
        if inner.is_connection() {
            let (inner, outer) = (inner.name(), field.name());
            return Err(format!("connection `{inner}` is not allowed in `{outer}`"));
        }
        no_connection(inner)?;
    }
    Ok(())
}
