//! What each field of each type holds. The schema names the fields; here is where they come from.

mod customer;
mod operation;
mod order;
mod payload;
mod root;
mod shop;

pub(super) use customer::{canonical_namespace, digest};
pub(super) use root::bulk_roots;

use super::compile::Field;
use super::fault::Fault;
use super::mutate::{Payload, UserError};
use super::page::Page;
use super::staged;
use crate::model::{Moment, Money};
use crate::sandbox::world::{
    BulkOperation, Customer, Definition, Line, Metafield, Order, Purchases, State,
};
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// Without `read_all_orders` an order of more than 60 days ago does not exist.
const ORDER_WINDOW: Duration = Duration::from_secs(60 * 86_400);

/// What resolving rests on.
pub(super) struct Ctx<'s> {
    pub(super) state: &'s State,
    pub(super) now: Moment,
    /// `http://host:port`, for the URLs of results.
    pub(super) origin: &'s str,
    /// Connections are read as a whole.
    pub(super) bulk: bool,
    purchases: OnceCell<Arc<Purchases>>,
    warnings: RefCell<Vec<Json>>,
}

/// An object of the API.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'s> {
    Root,
    Shop,
    ShopPlan,
    Installation,
    Scope(&'s str),
    Count {
        count: u64,
        exact: bool,
    },
    Customer(u64, &'s Customer),
    Email(&'s Customer),
    Phone(&'s Customer),
    Sms,
    Address(u64, &'s Customer),
    Metafield(&'s (String, String), &'s Metafield),
    Definition(&'s (String, String), &'s Definition),
    DefinitionType(&'s Definition),
    Order(u64, &'s Order),
    Line(&'s Order, &'s Line),
    Product(&'s Line),
    Variant(&'s Line),
    Refund(u64, &'s Order),
    MoneyBag(Money),
    Money(Money),
    Bulk(u64, &'s BulkOperation),
    Payload(&'s Payload),
    UserError(&'s Payload, &'s UserError),
    MetafieldIdentifier(u64, &'s (String, String)),
    /// The path of a place for a file.
    StagedTarget(&'s str),
    /// Name of a parameter, and that path.
    Parameter(&'static str, &'s str),
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Out<'s> {
    Leaf(Json),
    Node(Node<'s>),
    Many(Vec<Option<Node<'s>>>),
    Page(Page<'s>),
}

impl<'s> Out<'s> {
    pub(super) const NULL: Out<'s> = Out::Leaf(Json::Null);

    fn maybe(node: Option<Node<'s>>) -> Self {
        node.map_or(Self::NULL, Self::Node)
    }

    fn all(nodes: impl Iterator<Item = Node<'s>>) -> Self {
        Self::Many(nodes.map(Some).collect())
    }
}

impl<T: Into<Json>> From<T> for Out<'_> {
    fn from(value: T) -> Self {
        Self::Leaf(value.into())
    }
}

type Resolved<'s> = Result<Out<'s>, Fault>;

impl<'s> Ctx<'s> {
    pub(super) fn new(state: &'s State, now: Moment, origin: &'s str) -> Self {
        Self {
            state,
            now,
            origin,
            bulk: false,
            purchases: OnceCell::new(),
            warnings: RefCell::default(),
        }
    }

    /// For the rows of a bulk operation, with what was counted at its start.
    pub(super) fn for_bulk(state: &'s State, now: Moment, purchases: Arc<Purchases>) -> Self {
        Self {
            bulk: true,
            purchases: OnceCell::from(purchases),
            ..Self::new(state, now, "")
        }
    }

    /// Keeps a warning of a search for `extensions.search`.
    pub(super) fn warn(&self, warning: Json) {
        self.warnings.borrow_mut().push(warning);
    }

    pub(super) fn take_warnings(&self) -> Vec<Json> {
        self.warnings.take()
    }

    /// The shop's time zone; UTC when this machine does not know it.
    pub(super) fn zone(&self) -> TimeZone {
        TimeZone::get(&self.state.shopify.timezone).unwrap_or(TimeZone::UTC)
    }

    pub(super) fn may(&self, scope: &str) -> bool {
        may(&self.state.shopify.scopes, scope)
    }

    fn require(&self, scope: &str, field: &Field<'_>) -> Result<(), Fault> {
        if self.may(scope) {
            return Ok(());
        }
        Err(Fault::access_denied(field.name(), scope))
    }

    /// Whether an order exists for this token.
    fn sees(&self, order: &Order) -> bool {
        self.may("read_all_orders") || order.created >= self.now.minus(ORDER_WINDOW)
    }

    /// Orders by customer; read once for each request that needs them.
    pub(super) fn purchases(&self) -> &Arc<Purchases> {
        self.purchases.get_or_init(|| {
            let orders = self.state.shopify.orders.iter();
            let owned = orders.filter_map(|(number, order)| Some((order.customer?, *number)));
            let mut purchases: Purchases = owned.collect();
            purchases.sort_unstable();
            Arc::new(purchases)
        })
    }
}

/// Whether scopes include one; a `write_` scope includes its `read_` scope.
pub(super) fn may(scopes: &[String], scope: &str) -> bool {
    let written = scope
        .strip_prefix("read_")
        .map(|what| format!("write_{what}"));
    scopes
        .iter()
        .any(|has| has == scope || Some(has) == written.as_ref())
}

impl Node<'_> {
    /// The name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Root => "QueryRoot",
            Self::Shop => "Shop",
            Self::ShopPlan => "ShopPlan",
            Self::Installation => "AppInstallation",
            Self::Scope(_) => "AccessScope",
            Self::Count { .. } => "Count",
            Self::Customer(..) => "Customer",
            Self::Email(_) => "CustomerEmailAddress",
            Self::Phone(_) => "CustomerPhoneNumber",
            Self::Sms => "CustomerSmsMarketingConsent",
            Self::Address(..) => "MailingAddress",
            Self::Metafield(..) => "Metafield",
            Self::Definition(..) => "MetafieldDefinition",
            Self::DefinitionType(_) => "MetafieldDefinitionType",
            Self::Order(..) => "Order",
            Self::Line(..) => "LineItem",
            Self::Product(_) => "Product",
            Self::Variant(_) => "ProductVariant",
            Self::Refund(..) => "Refund",
            Self::MoneyBag(_) => "MoneyBag",
            Self::Money(_) => "MoneyV2",
            Self::Bulk(..) => "BulkOperation",
            Self::Payload(payload) => payload.type_name,
            Self::UserError(payload, _) => payload.error_type,
            Self::MetafieldIdentifier(..) => "MetafieldIdentifier",
            Self::StagedTarget(_) => "StagedMediaUploadTarget",
            Self::Parameter(..) => "StagedUploadParameter",
        }
    }
}

/// Looks a field up.
pub(super) fn field<'s>(ctx: &Ctx<'s>, node: Node<'s>, field: &Field<'_>) -> Resolved<'s> {
    match node {
        Node::Root => root::root(ctx, field),
        Node::Shop => Ok(shop::shop(ctx, field)),
        Node::ShopPlan => Ok(shop::plan(field)),
        Node::Installation => Ok(shop::installation(ctx, field)),
        Node::Scope(handle) => Ok(shop::scope(handle, field)),
        Node::Count { count, exact } => Ok(root::count(count, exact, field)),
        Node::Customer(number, customer) => customer::customer(ctx, number, customer, field),
        Node::Email(customer) => Ok(customer::email(customer, field)),
        Node::Phone(customer) => Ok(customer::phone(customer, field)),
        Node::Sms => Ok(customer::sms(field)),
        Node::Address(number, customer) => Ok(customer::address(number, customer, field)),
        Node::Metafield(name, metafield) => Ok(customer::metafield(name, metafield, field)),
        Node::Definition(name, definition) => Ok(customer::definition(name, definition, field)),
        Node::DefinitionType(definition) => Ok(customer::definition_type(definition, field)),
        Node::Order(number, order) => order::order(ctx, number, order, field),
        Node::Line(order, line) => order::line(ctx, order, line, field),
        Node::Product(line) => Ok(order::product(ctx, line, field)),
        Node::Variant(line) => Ok(order::variant(line, field)),
        Node::Refund(number, order) => Ok(order::refund(number, order, field)),
        Node::MoneyBag(amount) => Ok(shop::money_bag(amount, field)),
        Node::Money(amount) => Ok(shop::money(ctx, amount, field)),
        Node::Bulk(number, operation) => Ok(operation::bulk(ctx, number, operation, field)),
        Node::Payload(payload) => Ok(payload::payload(ctx, payload, field)),
        Node::UserError(_, error) => Ok(payload::user_error(error, field)),
        Node::MetafieldIdentifier(owner, name) => Ok(payload::identifier(owner, name, field)),
        Node::StagedTarget(path) => Ok(staged::target(ctx, path, field)),
        Node::Parameter(name, path) => Ok(staged::parameter(ctx, name, path, field)),
    }
}

/// A field that the schema has and no resolver knows: a mistake in this room.
fn unknown<'s>(type_name: &str, field: &Field<'_>) -> Out<'s> {
    unreachable!(
        "{type_name}.{} is in the schema without a resolver",
        field.name()
    )
}

/// A `DateTime`: whole seconds, UTC.
pub(super) fn stamp(at: Moment) -> Json {
    Moment::from_secs(at.secs()).to_string().into()
}

fn maybe_stamp<'s>(at: Option<Moment>) -> Out<'s> {
    Out::Leaf(at.map_or(Json::Null, stamp))
}
