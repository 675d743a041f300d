//! Shopify's side of the world.

use crate::model::{Moment, Money};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Tokens given out by the client credentials grant, and until when each is accepted.
    pub grants: BTreeMap<String, Moment>,
    /// Types of the metafield definitions of customers, by (namespace, key).
    pub definitions: BTreeMap<(String, String), Definition>,
    /// The shop's spelling of each customer tag that was ever written, by its lower case.
    pub spellings: BTreeMap<String, String>,
    /// Bulk operations by number.
    pub operations: BTreeMap<u64, BulkOperation>,
    /// Files that were uploaded for bulk mutations, by their paths.
    pub uploads: BTreeMap<String, Bytes>,
    /// The last number given to a metafield, definition, upload, token or bulk operation.
    pub last_number: u64,
}

impl ShopifyWorld {
    /// A number that nothing else of this shop has.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
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

/// A metafield definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Number of its own.
    pub id: u64,
    /// For people.
    pub name: String,
    /// The type that values of this metafield have.
    pub kind: String,
}

/// An asynchronous bulk query or mutation. Its status follows from these times and the time of asking.
#[derive(Clone, Debug, Default)]
pub struct BulkOperation {
    /// The inner query or mutation.
    pub query: String,
    /// The variables of each call of a mutation, as JSON; `None` for a query.
    pub lines: Option<Arc<Vec<String>>>,
    /// Children directly after their parent.
    pub grouped: bool,
    /// Start.
    pub created: Moment,
    /// When the last row is read.
    pub due: Moment,
    /// When it was asked to stop.
    pub canceled: Option<Moment>,
    /// When it ended, whichever way.
    pub completed: Option<Moment>,
    /// `ACCESS_DENIED` or another code, when it fails.
    pub error: Option<&'static str>,
    /// What to read: index of the root field, number of the record. Of a mutation: 0, number of the line.
    pub roots: Vec<(usize, u64)>,
    /// How many of `roots` were read so far.
    pub read: usize,
    /// Root rows so far.
    pub root_count: u64,
    /// All rows so far.
    pub object_count: u64,
    /// The result so far, in pieces.
    pub rows: Vec<Bytes>,
    /// What each customer bought, as of the start.
    pub purchases: Arc<Purchases>,
}

/// Customer number and order number of every order that has a customer, ascending.
pub type Purchases = Vec<(u64, u64)>;
