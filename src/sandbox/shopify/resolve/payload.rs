//! What mutations answer.

use super::customer::spelled_namespace;
use super::{Ctx, Node, Out, unknown};
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::mutate::{Payload, UserError};
use crate::sandbox::shopify::value::gid;

pub(super) fn payload<'s>(ctx: &Ctx<'s>, payload: &'s Payload, field: &Field<'_>) -> Out<'s> {
    let shopify = &ctx.state.shopify;
    match field.name() {
        "userErrors" => {
            let errors = payload.errors.iter();
            Out::all(errors.map(|error| Node::UserError(payload, error)))
        }
        "node" | "customer" => Out::maybe(payload.customer.and_then(|number| {
            let customer = shopify.customers.get(&number)?;
            Some(Node::Customer(number, customer))
        })),
        "metafields" => {
            let written = payload.metafields.iter();
            Out::all(written.filter_map(|(owner, name)| {
                let customer = shopify.customers.get(owner)?;
                let (name, metafield) = customer.metafields.get_key_value(name)?;
                Some(Node::Metafield(name, metafield))
            }))
        }
        "deletedMetafields" => Out::Many(
            payload
                .deleted
                .iter()
                .map(|(owner, name, existed)| {
                    existed.then_some(Node::MetafieldIdentifier(*owner, name))
                })
                .collect(),
        ),
        "createdDefinition" => Out::maybe(payload.definition.as_ref().and_then(|name| {
            let (name, definition) = shopify.definitions.get_key_value(name)?;
            Some(Node::Definition(name, definition))
        })),
        "stagedTargets" => {
            let staged = payload.staged.iter();
            Out::all(staged.map(|path| Node::StagedTarget(path)))
        }
        "bulkOperation" => Out::maybe(payload.operation.and_then(|number| {
            let operation = shopify.operations.get(&number)?;
            Some(Node::Bulk(number, operation))
        })),
        _ => unknown(payload.type_name, field),
    }
}

pub(super) fn user_error<'s>(error: &'s UserError, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "field" => error.field.clone().into(),
        "message" => error.message.as_str().into(),
        "code" => error.code.into(),
        "elementIndex" => error.element.into(),
        _ => unknown("UserError", field),
    }
}

pub(super) fn identifier<'s>(
    owner: u64,
    (namespace, key): &'s (String, String),
    field: &Field<'_>,
) -> Out<'s> {
    match field.name() {
        "ownerId" => gid("Customer", owner).into(),
        "namespace" => spelled_namespace(namespace).into(),
        "key" => key.as_str().into(),
        _ => unknown("MetafieldIdentifier", field),
    }
}
