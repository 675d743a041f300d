//! Shopify's side of the world.

use crate::model::{Moment, Money};
use std::collections::BTreeMap;

/// One shop.
#[derive(Clone, Debug, Default)]
pub struct ShopifyWorld {
    /// `name.myshopify.com`.
    pub domain: String,
    /// The access token that is accepted.
    pub token: String,
    /// Client id and secret for the client credentials grant.
    pub client: (String, String),
    /// Scopes the token has.
    pub scopes: Vec<String>,
    /// ISO 4217.
    pub currency: String,
    /// IANA time zone.
    pub timezone: String,
    /// Customers by number.
    pub customers: BTreeMap<u64, Customer>,
    /// Orders by number.
    pub orders: BTreeMap<u64, Order>,
}

/// A customer.
#[derive(Clone, Debug, Default)]
pub struct Customer {
    /// Default e-mail address.
    pub email: Option<String>,
    /// Default phone number.
    pub phone: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Creation.
    pub created: Moment,
    /// Last change.
    pub updated: Moment,
    /// Tags, sorted without regard to case.
    pub tags: Vec<String>,
    /// `SUBSCRIBED`, `UNSUBSCRIBED`, `NOT_SUBSCRIBED` or `PENDING`.
    pub email_state: &'static str,
    /// When that changed last.
    pub email_state_at: Option<Moment>,
    /// ISO 3166 code of the default address.
    pub country_code: Option<String>,
    /// City of the default address.
    pub city: Option<String>,
    /// Metafields by (namespace, key).
    pub metafields: BTreeMap<(String, String), Metafield>,
}

/// A metafield.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metafield {
    /// Number of its own.
    pub id: u64,
    /// Such as `json`.
    pub kind: String,
    /// As text.
    pub value: String,
    /// Last change.
    pub updated: Moment,
}

/// An order.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Customer, if any.
    pub customer: Option<u64>,
    /// E-mail typed at the checkout.
    pub email: Option<String>,
    /// Date of entry.
    pub created: Moment,
    /// Date of sale.
    pub processed: Moment,
    /// Last change.
    pub updated: Moment,
    /// Cancellation.
    pub cancelled: Option<Moment>,
    /// A test order.
    pub test: bool,
    /// Total at the time of sale.
    pub total: Money,
    /// Money given back; total less this is the current total.
    pub refunded: Money,
    /// What was bought.
    pub lines: Vec<Line>,
}

/// One line of an order.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Number of its own.
    pub id: u64,
    /// Product title.
    pub title: String,
    /// Units.
    pub quantity: u32,
    /// Price of one unit.
    pub price: Money,
}
