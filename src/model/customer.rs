//! Shopify's record of a human, and what they bought.

use super::{CustomerId, Moment, Money, OrderId};
use serde::{Deserialize, Serialize};

/// A Shopify customer (shopify.md, section 4.2), cut to what rules read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The number in its gid.
    pub id: CustomerId,
    /// Default e-mail address as stored upstream.
    pub email: Option<String>,
    /// Default phone number as stored upstream.
    pub phone: Option<String>,
    /// ISO 3166 code of the default address.
    pub country: Option<String>,
    /// E-mail marketing consent of the default address.
    pub email_consent: Option<CustomerConsent>,
    /// The merchant's tags and ours, in Shopify's spelling.
    pub tags: Vec<String>,
    /// The value of the one metafield driftless keeps, when asked to.
    pub metafield: Option<String>,
    /// When the customer was created.
    pub created: Option<Moment>,
    /// Last change; orders do not reliably move it.
    pub updated: Option<Moment>,
}

impl Customer {
    /// Whether the customer agreed to marketing e-mail.
    pub fn is_subscribed(&self) -> bool {
        self.has_state(&EmailState::Subscribed)
    }

    /// Whether the customer refused marketing e-mail.
    pub fn is_unsubscribed(&self) -> bool {
        self.has_state(&EmailState::Unsubscribed)
    }

    fn has_state(&self, state: &EmailState) -> bool {
        let consent = self.email_consent.as_ref();
        consent.is_some_and(|consent| consent.state == *state)
    }
}

/// Shopify's e-mail marketing consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerConsent {
    /// The state.
    pub state: EmailState,
    /// When it was last changed.
    pub at: Option<Moment>,
}

/// `CustomerEmailAddressMarketingState`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmailState {
    /// Opted in.
    Subscribed,
    /// Opted out.
    Unsubscribed,
    /// Never asked.
    NotSubscribed,
    /// Double opt-in not confirmed yet.
    Pending,
    /// The address is invalid.
    Invalid,
    /// A value this version does not know; it decides nothing.
    Other(String),
}

/// One Shopify order, in the shop's currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The number in its gid.
    pub id: OrderId,
    /// Whose it is.
    pub owner: OrderOwner,
    /// The date of sale (imports set it back).
    pub processed: Moment,
    /// Last change.
    pub updated: Moment,
    /// Total after edits, returns and refunds.
    pub total: Money,
    /// Money given back.
    pub refunded: Money,
    /// Cancelled orders are no orders.
    pub cancelled: bool,
    /// Test orders are no orders.
    pub test: bool,
}

/// Whom an order is attributed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderOwner {
    /// A customer record.
    Customer(CustomerId),
    /// No customer record, but an e-mail address as typed at the checkout.
    Guest(String),
    /// Neither, such as a cash sale.
    Nobody,
}

impl Order {
    /// Whether this order tells something about its owner: not a test, not cancelled, not wholly
    /// given back. A free order counts.
    pub fn counts(&self) -> bool {
        let wholly_refunded = self.refunded > Money::ZERO && self.total <= Money::ZERO;
        !self.test && !self.cancelled && !wholly_refunded
    }
}
