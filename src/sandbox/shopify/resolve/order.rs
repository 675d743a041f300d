//! Orders, their lines and refunds.
//!
//! The world keeps totals and lines. What lies between them is derived: a total above the lines is
//! shipping, one below is discount, and prices include taxes, of which the world knows nothing.

use super::{Ctx, Node, Out, Resolved, maybe_stamp, stamp, unknown};
use crate::model::Money;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::page;
use crate::sandbox::shopify::value::gid;
use crate::sandbox::world::{Line, Order};

pub(super) fn order<'s>(
    ctx: &Ctx<'s>,
    number: u64,
    order: &'s Order,
    field: &Field<'_>,
) -> Resolved<'s> {
    Ok(match field.name() {
        "id" => gid("Order", number).into(),
        "legacyResourceId" => number.to_string().into(),
        "name" => format!("#{}", short_number(number)).into(),
        "number" => short_number(number).into(),
        "createdAt" => stamp(order.created).into(),
        "processedAt" => stamp(order.processed).into(),
        "updatedAt" => stamp(order.updated).into(),
        "email" => order.email.clone().into(),
        "customer" => {
            ctx.require("read_customers", field)?;
            Out::maybe(owner(ctx, order))
        }
        "customerAcceptsMarketing" => accepts_marketing(ctx, order).into(),
        "discountApplications" => Out::Page(page::cut(ctx, &field.args, std::iter::empty())?),
        "refunds" => {
            let refunded = order.refunded > Money::ZERO;
            let refund = refunded.then_some(Node::Refund(number, order));
            Out::all(refund.into_iter())
        }
        "lineItems" => {
            let lines = order.lines.iter().zip(0..);
            let rows = lines.map(|(line, place)| ((place, line.id), Node::Line(order, line)));
            Out::Page(page::cut(ctx, &field.args, rows)?)
        }
        name if name.ends_with("Set") => Out::Node(Node::MoneyBag(amount(order, field))),
        _ => state(ctx, order, field),
    })
}

/// Where the order stands, and what is the same for all orders of this world.
fn state<'s>(ctx: &Ctx<'s>, order: &'s Order, field: &Field<'_>) -> Out<'s> {
    let canceled = order.cancelled.is_some();
    match field.name() {
        // A cancelled order is closed with it; nothing else closes one here.
        "cancelledAt" | "closedAt" => maybe_stamp(order.cancelled),
        "closed" => canceled.into(),
        "cancelReason" => canceled.then_some("OTHER").into(),
        "test" => order.test.into(),
        "confirmed" => true.into(),
        "edited" => false.into(),
        "sourceName" => "web".into(),
        "displayFinancialStatus" => financial_status(order).into(),
        "fullyPaid" => (!canceled || order.refunded > Money::ZERO).into(),
        "displayFulfillmentStatus" => if canceled { "UNFULFILLED" } else { "FULFILLED" }.into(),
        "returnStatus" => "NO_RETURN".into(),
        "currencyCode" | "presentmentCurrencyCode" => ctx.state.shopify.currency.as_str().into(),
        "taxesIncluded" => true.into(),
        "customerLocale" => "en".into(),
        "tags" | "discountCodes" => Vec::<String>::new().into(),
        "phone" | "note" | "discountCode" => Out::NULL,
        _ => unknown("Order", field),
    }
}

/// The number a merchant sees. It is an `Int`, the number in the gid need not be.
fn short_number(number: u64) -> u64 {
    number % 1_000_000_000
}

fn owner<'s>(ctx: &Ctx<'s>, order: &Order) -> Option<Node<'s>> {
    let customers = &ctx.state.shopify.customers;
    let (number, customer) = customers.get_key_value(&order.customer?)?;
    Some(Node::Customer(*number, customer))
}

fn accepts_marketing(ctx: &Ctx<'_>, order: &Order) -> bool {
    let customers = &ctx.state.shopify.customers;
    let customer = order.customer.and_then(|number| customers.get(&number));
    customer.is_some_and(|customer| customer.email_state == "SUBSCRIBED")
}

fn financial_status(order: &Order) -> &'static str {
    if wholly_refunded(order) {
        "REFUNDED"
    } else if order.refunded > Money::ZERO {
        "PARTIALLY_REFUNDED"
    } else if order.cancelled.is_some() {
        "VOIDED"
    } else {
        "PAID"
    }
}

fn wholly_refunded(order: &Order) -> bool {
    order.refunded > Money::ZERO && order.refunded >= order.total
}

/// Every amount of an order.
fn amount(order: &Order, field: &Field<'_>) -> Money {
    let lines: Money = order.lines.iter().map(line_total).sum();
    let shipping = (order.total - lines).max(Money::ZERO);
    let discount = (lines - order.total).max(Money::ZERO);
    let paid = order.cancelled.is_none() || order.refunded > Money::ZERO;
    let received = if paid { order.total } else { Money::ZERO };
    match field.name() {
        "totalPriceSet" | "originalTotalPriceSet" => order.total,
        "currentTotalPriceSet" => order.total - order.refunded,
        "subtotalPriceSet" => lines - discount,
        "currentSubtotalPriceSet" => (order.total - order.refunded - shipping).max(Money::ZERO),
        "totalDiscountsSet" | "currentTotalDiscountsSet" => discount,
        "totalShippingPriceSet" => shipping,
        "totalRefundedSet" => order.refunded,
        "totalReceivedSet" => received,
        "netPaymentSet" => received - order.refunded,
        "totalTaxSet"
        | "currentTotalTaxSet"
        | "totalRefundedShippingSet"
        | "totalOutstandingSet" => Money::ZERO,
        name => unreachable!("Order.{name} is in the schema without a resolver"),
    }
}

fn line_total(line: &Line) -> Money {
    Money(line.price.0.saturating_mul(i64::from(line.quantity)))
}

pub(super) fn line<'s>(
    ctx: &Ctx<'s>,
    order: &'s Order,
    line: &'s Line,
    field: &Field<'_>,
) -> Resolved<'s> {
    let left = if wholly_refunded(order) {
        0
    } else {
        line.quantity
    };
    Ok(match field.name() {
        "id" => gid("LineItem", line.id).into(),
        "name" | "title" => line.title.as_str().into(),
        "variantTitle" | "sku" => Out::NULL,
        "vendor" => vendor(ctx).into(),
        "quantity" => line.quantity.into(),
        "currentQuantity" | "refundableQuantity" => left.into(),
        "isGiftCard" => false.into(),
        "requiresShipping" | "taxable" => true.into(),
        "originalUnitPriceSet" | "discountedUnitPriceSet" => Out::Node(Node::MoneyBag(line.price)),
        "originalTotalSet" | "discountedTotalSet" => Out::Node(Node::MoneyBag(line_total(line))),
        "totalDiscountSet" => Out::Node(Node::MoneyBag(Money::ZERO)),
        "product" => {
            ctx.require("read_products", field)?;
            Out::Node(Node::Product(line))
        }
        "variant" => {
            ctx.require("read_products", field)?;
            Out::Node(Node::Variant(line))
        }
        _ => unknown("LineItem", field),
    })
}

fn vendor(ctx: &Ctx<'_>) -> String {
    let domain = &ctx.state.shopify.domain;
    domain.split('.').next().unwrap_or_default().to_owned()
}

/// Lines of the same title are of the same product, which has one variant.
fn product_number(line: &Line) -> u64 {
    u64::from(crc32c::crc32c(line.title.as_bytes()))
}

pub(super) fn product<'s>(ctx: &Ctx<'s>, line: &'s Line, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "id" => gid("Product", product_number(line)).into(),
        "title" => line.title.as_str().into(),
        "handle" => line.title.to_lowercase().replace(' ', "-").into(),
        "productType" => "".into(),
        "vendor" => vendor(ctx).into(),
        "tags" => Vec::<String>::new().into(),
        _ => unknown("Product", field),
    }
}

pub(super) fn variant<'s>(line: &'s Line, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "id" => gid("ProductVariant", product_number(line)).into(),
        "title" => "Default Title".into(),
        "displayName" => format!("{} - Default Title", line.title).into(),
        "sku" | "barcode" => Out::NULL,
        "price" => super::shop::decimal(line.price).into(),
        _ => unknown("ProductVariant", field),
    }
}

/// The world knows how much was given back, not when: the last change of the order stands for it.
pub(super) fn refund<'s>(number: u64, order: &'s Order, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "id" => gid("Refund", number).into(),
        "legacyResourceId" => number.to_string().into(),
        "createdAt" | "processedAt" | "updatedAt" => stamp(order.updated).into(),
        "note" => Out::NULL,
        "totalRefundedSet" => Out::Node(Node::MoneyBag(order.refunded)),
        _ => unknown("Refund", field),
    }
}
