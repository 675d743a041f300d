//! The root of queries.

use super::{Ctx, Node, Out, Resolved, unknown};
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::page::{self, Key};
use crate::sandbox::shopify::search;
use crate::sandbox::shopify::value::number_of;
use crate::sandbox::world::{Customer, Order};
use serde_json::Value as Json;

pub(super) fn root<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Resolved<'s> {
    let text = |name: &str| field.args.get(name).and_then(Json::as_str);
    Ok(match field.name() {
        "shop" => Out::Node(Node::Shop),
        "currentAppInstallation" => Out::Node(Node::Installation),
        "customers" => customers(ctx, field)?,
        "orders" => orders(ctx, field)?,
        "customersCount" => {
            ctx.require("read_customers", field)?;
            let filter = search::customers(ctx, text("query"), field.key, true)?;
            let all = ctx.state.shopify.customers.iter();
            counted(all.filter(|(id, c)| filter.passes(**id, c)).count(), field)
        }
        "ordersCount" => {
            ctx.require("read_orders", field)?;
            let filter = search::orders(ctx, text("query"), field.key)?;
            let all = ctx.state.shopify.orders.iter();
            let seen = all.filter(|(id, o)| ctx.sees(o) && filter.passes(**id, o));
            counted(seen.count(), field)
        }
        "node" | "customer" | "order" | "bulkOperation" => {
            let node = by_id(ctx, text("id").unwrap_or_default(), field)?;
            let wanted = field.composite().unwrap_or_default();
            Out::maybe(node.filter(|node| wanted == "Node" || node.type_name() == wanted))
        }
        "nodes" => {
            let ids = field.args.get("ids").and_then(Json::as_array);
            let ids = ids.into_iter().flatten().filter_map(Json::as_str);
            let nodes: Result<Vec<_>, Fault> = ids.map(|id| by_id(ctx, id, field)).collect();
            Out::Many(nodes?)
        }
        "customerByIdentifier" => {
            ctx.require("read_customers", field)?;
            Out::maybe(identified(ctx, field))
        }
        "bulkOperations" => super::operation::list(ctx, field)?,
        _ => unknown("QueryRoot", field),
    })
}

pub(super) fn count<'s>(count: u64, exact: bool, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "count" => count.into(),
        "precision" => if exact { "EXACT" } else { "AT_LEAST" }.into(),
        _ => unknown("Count", field),
    }
}

fn counted<'s>(count: usize, field: &Field<'_>) -> Out<'s> {
    let count = count as u64;
    // An explicit null lifts the limit; left out, the schema's default holds.
    let limit = field.args.get("limit").and_then(Json::as_u64);
    let limit = limit.unwrap_or(u64::MAX);
    Out::Node(Node::Count {
        count: count.min(limit),
        exact: count <= limit,
    })
}

/// The record behind a global id; `None` when there is none, or none that this token sees.
fn by_id<'s>(ctx: &Ctx<'s>, gid: &str, field: &Field<'_>) -> Result<Option<Node<'s>>, Fault> {
    let shopify = &ctx.state.shopify;
    if let Some(number) = number_of(gid, "Customer") {
        ctx.require("read_customers", field)?;
        let customer = shopify.customers.get(&number);
        return Ok(customer.map(|customer| Node::Customer(number, customer)));
    }
    if let Some(number) = number_of(gid, "Order") {
        ctx.require("read_orders", field)?;
        let order = shopify.orders.get(&number).filter(|order| ctx.sees(order));
        return Ok(order.map(|order| Node::Order(number, order)));
    }
    if let Some(number) = number_of(gid, "BulkOperation") {
        let operation = shopify.operations.get(&number);
        return Ok(operation.map(|operation| Node::Bulk(number, operation)));
    }
    if gid == super::shop::GID {
        return Ok(Some(Node::Shop));
    }
    Ok(None)
}

fn identified<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Option<Node<'s>> {
    let identifier = field.args.get("identifier")?;
    let text = |name: &str| identifier.get(name).and_then(Json::as_str);
    let customers = &ctx.state.shopify.customers;
    if let Some(gid) = text("id") {
        let (number, customer) = customers.get_key_value(&number_of(gid, "Customer")?)?;
        return Some(Node::Customer(*number, customer));
    }
    let email = text("emailAddress").map(str::to_lowercase);
    let phone = text("phoneNumber");
    let is_them = |customer: &Customer| match (&email, &customer.email) {
        (Some(wanted), Some(is)) => is.to_lowercase() == *wanted,
        (Some(_), None) => false,
        (None, _) => phone.is_some() && customer.phone.as_deref() == phone,
    };
    let (number, customer) = customers.iter().find(|(_, customer)| is_them(customer))?;
    Some(Node::Customer(*number, customer))
}

fn customers<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Resolved<'s> {
    ctx.require("read_customers", field)?;
    let query = field.args.get("query").and_then(Json::as_str);
    let filter = search::customers(ctx, query, field.key, false)?;
    let value = customer_key(field);
    let all = ctx.state.shopify.customers.iter();
    let matching = all.filter(|(number, customer)| filter.passes(**number, customer));
    let rows = matching.map(|(number, customer)| {
        let key = (value(*number, customer), *number);
        (key, Node::Customer(*number, customer))
    });
    Ok(Out::Page(page::cut(ctx, &field.args, rows)?))
}

fn customer_key(field: &Field<'_>) -> fn(u64, &Customer) -> i64 {
    match field.args.get("sortKey").and_then(Json::as_str) {
        Some("CREATED_AT") => |_, customer| customer.created.secs(),
        Some("UPDATED_AT") => |_, customer| customer.updated.secs(),
        _ => |number, _| number.cast_signed(),
    }
}

fn orders<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Resolved<'s> {
    ctx.require("read_orders", field)?;
    let all = ctx.state.shopify.orders.iter();
    order_page(ctx, field, all.map(|(number, order)| (*number, order)))
}

/// A page of these orders, filtered and sorted as the field's arguments say.
pub(super) fn order_page<'s>(
    ctx: &Ctx<'s>,
    field: &Field<'_>,
    orders: impl Iterator<Item = (u64, &'s Order)>,
) -> Resolved<'s> {
    let query = field.args.get("query").and_then(Json::as_str);
    let filter = search::orders(ctx, query, field.key)?;
    let value = order_key(field);
    let seen = orders.filter(|(number, order)| ctx.sees(order) && filter.passes(*number, order));
    let rows = seen.map(|(number, order)| -> (Key, Node<'s>) {
        ((value(number, order), number), Node::Order(number, order))
    });
    Ok(Out::Page(page::cut(ctx, &field.args, rows)?))
}

fn order_key(field: &Field<'_>) -> fn(u64, &Order) -> i64 {
    match field.args.get("sortKey").and_then(Json::as_str) {
        Some("CREATED_AT") => |_, order| order.created.secs(),
        Some("PROCESSED_AT") => |_, order| order.processed.secs(),
        Some("UPDATED_AT") => |_, order| order.updated.secs(),
        _ => |number, _| number.cast_signed(),
    }
}

/// The numbers of all records that a root connection of a bulk query reads, in order.
pub(in crate::sandbox::shopify) fn bulk_roots(
    ctx: &Ctx<'_>,
    field: &Field<'_>,
) -> Result<Vec<u64>, Fault> {
    let Out::Page(page) = root(ctx, field)? else {
        return Ok(Vec::new());
    };
    let number = |(_, node): &(String, Node<'_>)| match node {
        Node::Customer(number, _) | Node::Order(number, _) | Node::Bulk(number, _) => Some(*number),
        _ => None,
    };
    Ok(page.edges.iter().filter_map(number).collect())
}
