//! The shop, the app and money.

use super::{Ctx, Node, Out, unknown};
use crate::model::Money;
use crate::sandbox::shopify::compile::Field;

/// The one shop of this world.
pub(super) const GID: &str = "gid://shopify/Shop/4200";

pub(super) fn shop<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Out<'s> {
    let shop = &ctx.state.shopify;
    let name = shop.domain.split('.').next().unwrap_or_default();
    match field.name() {
        "id" => GID.into(),
        "name" => name.into(),
        "email" | "contactEmail" => format!("owner@{}", shop.domain).into(),
        "myshopifyDomain" => shop.domain.as_str().into(),
        "url" => format!("https://{}", shop.domain).into(),
        "ianaTimezone" => shop.timezone.as_str().into(),
        "timezoneOffsetMinutes" => offset_minutes(ctx).into(),
        "currencyCode" => shop.currency.as_str().into(),
        "taxesIncluded" => true.into(),
        "plan" => Out::Node(Node::ShopPlan),
        _ => unknown("Shop", field),
    }
}

fn offset_minutes(ctx: &Ctx<'_>) -> i32 {
    let now = jiff::Timestamp::from_millisecond(ctx.now.0).unwrap_or_default();
    ctx.zone().to_offset(now).seconds() / 60
}

/// Standard, like the cost bucket of this server.
pub(super) fn plan<'s>(field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "publicDisplayName" => "Grow".into(),
        "shopifyPlus" | "partnerDevelopment" => false.into(),
        _ => unknown("ShopPlan", field),
    }
}

pub(super) fn installation<'s>(ctx: &Ctx<'s>, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "id" => "gid://shopify/AppInstallation/4201".into(),
        "accessScopes" => {
            let scopes = ctx.state.shopify.scopes.iter();
            Out::all(scopes.map(|scope| Node::Scope(scope)))
        }
        _ => unknown("AppInstallation", field),
    }
}

pub(super) fn scope<'s>(handle: &'s str, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "handle" => handle.into(),
        "description" => handle.replace('_', " ").into(),
        _ => unknown("AccessScope", field),
    }
}

/// The shop sells in one currency, so both sides are the same.
pub(super) fn money_bag<'s>(amount: Money, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "shopMoney" | "presentmentMoney" => Out::Node(Node::Money(amount)),
        _ => unknown("MoneyBag", field),
    }
}

pub(super) fn money<'s>(ctx: &Ctx<'s>, amount: Money, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "amount" => decimal(amount).into(),
        "currencyCode" => ctx.state.shopify.currency.as_str().into(),
        _ => unknown("MoneyV2", field),
    }
}

/// A `Decimal` as the API writes it: one decimal at least and no zeros beyond it.
pub(super) fn decimal(amount: Money) -> String {
    let text = amount.to_string();
    match text.strip_suffix('0') {
        Some(short) => short.to_owned(),
        None => text,
    }
}
