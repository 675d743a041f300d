//! The human that both platforms' records describe.

use super::{Customer, Event, Order, PersonId, Profile, Slot};

/// Which records describe one human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The lowest slot among the records.
    pub id: PersonId,
    /// All records, ascending. Never empty.
    pub slots: Vec<Slot>,
}

/// One record of the mirror.
#[expect(
    clippy::large_enum_variant,
    reason = "most records are profiles: a box saves nothing"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A Klaviyo profile.
    Profile(Profile),
    /// A Shopify customer.
    Customer(Customer),
    /// A buyer without a customer record, known by the e-mail typed at the checkout.
    Guest(String),
    /// An id that events or list members named before the record itself arrived.
    Unseen,
}

impl Record {
    /// Its e-mail address, as the platform spells it.
    pub fn email(&self) -> Option<&str> {
        match self {
            Self::Profile(one) => one.email.as_deref(),
            Self::Customer(one) => one.email.as_deref(),
            Self::Guest(email) => Some(email),
            Self::Unseen => None,
        }
    }

    /// Its phone number as the vendor has it.
    pub fn phone(&self) -> Option<&str> {
        match self {
            Self::Profile(one) => one.phone.as_deref(),
            Self::Customer(one) => one.phone.as_deref(),
            Self::Guest(_) | Self::Unseen => None,
        }
    }

    /// Whether this is an e-mail address, a phone number or an external id of it.
    pub fn is_named(&self, text: &str) -> bool {
        let names = match self {
            Self::Profile(one) => [&one.email, &one.phone, &one.external_id],
            Self::Customer(one) => [&one.email, &one.phone, &None],
            Self::Guest(email) => return email.eq_ignore_ascii_case(text),
            Self::Unseen => return false,
        };
        let mut names = names.into_iter().flatten();
        names.any(|name| name.eq_ignore_ascii_case(text))
    }
}

/// Everything the mirror knows about one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// Who.
    pub id: PersonId,
    /// Klaviyo profiles, ascending by slot.
    pub profiles: Vec<(Slot, Profile)>,
    /// Shopify customers, ascending by slot. More than one only after a merge of equal keys.
    pub customers: Vec<(Slot, Customer)>,
    /// E-mail addresses of guest orders.
    pub guests: Vec<String>,
    /// Events of all profiles, ascending by time.
    pub events: Vec<Event>,
    /// Orders of all customers and guests, ascending by date of sale.
    pub orders: Vec<Order>,
}

impl Dossier {
    /// The profile that stands for this person on managed lists: one that e-mail reaches before one
    /// it does not, then one with an external id, then the one seen first.
    pub fn primary_profile(&self) -> Option<&(Slot, Profile)> {
        self.primary_profile_after(&[])
    }

    /// The same once these profiles are unsubscribed.
    pub fn primary_profile_after(&self, unsubscribed: &[Slot]) -> Option<&(Slot, Profile)> {
        self.profiles.iter().min_by_key(|(slot, profile)| {
            (
                !profile.is_reachable() || unsubscribed.contains(slot),
                profile.external_id.is_none(),
                *slot,
            )
        })
    }
}
