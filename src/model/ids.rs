//! Identifiers as newtypes, so that a list id can never be passed where a profile id is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Box<str>);

        impl $name {
            /// The id as the vendor spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

text_id! {
    /// A Klaviyo profile: a ULID such as `01GDDKASAP8TKDDA2GRZDSVP4H`.
    ProfileId;
    /// A Klaviyo list: six characters, one namespace with segments.
    ListId;
    /// A Klaviyo segment.
    SegmentId;
    /// A Klaviyo metric; ids are per account.
    MetricId;
    /// An asynchronous Klaviyo job (bulk import, suppression).
    JobId;
    /// A Shopify bulk operation, as its whole gid.
    BulkId;
}

number_id! {
    /// A Shopify customer: the number at the end of its gid.
    CustomerId(u64);
    /// A Shopify order: the number at the end of its gid.
    OrderId(u64);
    /// The dense number of one record (a profile, a customer or a guest buyer) in the mirror,
    /// given at first sight and never reused. Bitmaps of list members hold slots.
    Slot(u32);
    /// A person: the lowest [`Slot`] among the records that describe this human.
    PersonId(u32);
}

impl CustomerId {
    /// The global id Shopify's GraphQL API speaks.
    pub fn gid(self) -> String {
        format!("gid://shopify/Customer/{}", self.0)
    }

    /// Reads `gid://shopify/Customer/7` or a bare number above zero; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        numeric_tail(text, "gid://shopify/Customer/").map(Self)
    }
}

impl OrderId {
    /// The global id Shopify's GraphQL API speaks.
    pub fn gid(self) -> String {
        format!("gid://shopify/Order/{}", self.0)
    }

    /// Reads `gid://shopify/Order/1001` or a bare number above zero; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        numeric_tail(text, "gid://shopify/Order/").map(Self)
    }
}

fn numeric_tail(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // Shopify counts from one: a zero stands for nobody, and those who share it share nothing.
    plain
        .then(|| digits.parse().ok().filter(|number| *number != 0))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_id_is_read_from_a_gid_or_a_number_and_nothing_else() {
        assert_eq!(
            CustomerId::parse("gid://shopify/Customer/7"),
            Some(CustomerId(7))
        );
        assert_eq!(CustomerId::parse("7"), Some(CustomerId(7)));
        for wrong in [
            "gid://shopify/Order/7",
            "",
            "0",
            "-7",
            "7x",
            "gid://shopify/Customer/",
        ] {
            assert_eq!(CustomerId::parse(wrong), None, "{wrong}");
        }
    }
}
