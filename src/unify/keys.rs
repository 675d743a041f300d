//! The keys that a record offers for telling whom it describes.

use super::{email, phone};
use crate::model::{Customer, CustomerId, Profile, Record, Slot, Value};
use crate::policy::IdentityRule;

/// What a record says about whose it is, hardest evidence first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The record.
    pub slot: Slot,
    /// Of what kind it is.
    pub kind: Kind,
    /// The Shopify customer: a customer's own id, or the one a profile points to.
    pub customer: Option<CustomerId>,
    /// The match key of its e-mail address, if that is valid.
    pub email: Option<String>,
    /// Its phone number in E.164, if that is valid.
    pub phone: Option<String>,
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Klaviyo profile.
    Profile,
    /// A Shopify customer.
    Customer,
    /// A buyer known by an e-mail address alone.
    Guest,
    /// Not arrived yet.
    Unseen,
    /// The stand-in for orders that belong to nobody; it is no person.
    Ownerless,
}

/// The keys of one record.
pub fn keys(slot: Slot, record: &Record, rule: &IdentityRule) -> Keys {
    match record {
        Record::Profile(profile) => of_profile(slot, profile, rule),
        Record::Customer(customer) => of_customer(slot, customer, rule),
        Record::Guest(address) if address.trim().is_empty() => none(slot, Kind::Ownerless),
        Record::Guest(address) => Keys {
            email: email::match_key(address),
            ..none(slot, Kind::Guest)
        },
        Record::Unseen => none(slot, Kind::Unseen),
    }
}

fn of_profile(slot: Slot, profile: &Profile, rule: &IdentityRule) -> Keys {
    let external = profile.external_id.as_deref();
    let by_external = external.filter(|_| rule.external_id_is_customer);
    let property = rule.customer_id_property.as_ref();
    let by_property = || profile.properties.get(property?).and_then(customer_in);
    Keys {
        slot,
        kind: Kind::Profile,
        customer: by_external.and_then(CustomerId::parse).or_else(by_property),
        email: profile.email.as_deref().and_then(email::match_key),
        phone: number(profile.phone.as_deref(), profile.country.as_deref(), rule),
    }
}

fn of_customer(slot: Slot, customer: &Customer, rule: &IdentityRule) -> Keys {
    Keys {
        slot,
        kind: Kind::Customer,
        customer: Some(customer.id),
        email: customer.email.as_deref().and_then(email::match_key),
        phone: number(customer.phone.as_deref(), customer.country.as_deref(), rule),
    }
}

fn none(slot: Slot, kind: Kind) -> Keys {
    Keys {
        slot,
        kind,
        customer: None,
        email: None,
        phone: None,
    }
}

/// A country on the record decides even when it cannot be read: the default would be a guess then.
fn number(text: Option<&str>, country: Option<&str>, rule: &IdentityRule) -> Option<String> {
    let stated = country.filter(|country| !country.trim().is_empty());
    phone::match_key(text?, stated.or(rule.default_country.as_deref()))
}

fn customer_in(value: &Value) -> Option<CustomerId> {
    match value {
        Value::Text(text) => CustomerId::parse(text.trim()),
        Value::Int(id @ 1..) => u64::try_from(*id).ok().map(CustomerId),
        // Whole floats come from senders without integers; beyond 2^53 they are no longer exact.
        Value::Float(id) if id.fract() == 0.0 && (1.0..9e15).contains(id) => {
            Some(CustomerId(*id as u64))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn profile() -> Profile {
        Profile {
            email: Some("J.Doe+x@Gmail.com ".to_owned()),
            phone: Some("030 901820".to_owned()),
            external_id: Some("7".to_owned()),
            properties: BTreeMap::from([("shop_id".to_owned(), Value::Float(8e12))]),
            ..Profile::new("01H")
        }
    }

    fn of(profile: Profile, rule: &IdentityRule) -> Keys {
        keys(Slot(3), &Record::Profile(profile), rule)
    }

    #[test]
    fn a_profile_points_to_its_customer_through_what_the_shop_says() {
        let customer = |rule: &IdentityRule| of(profile(), rule).customer;
        let external = IdentityRule::default();
        assert_eq!(customer(&external), Some(CustomerId(7)));
        let neither = IdentityRule {
            external_id_is_customer: false,
            ..external
        };
        assert_eq!(customer(&neither), None);
        let property = IdentityRule {
            customer_id_property: Some("shop_id".to_owned()),
            ..neither
        };
        assert_eq!(customer(&property), Some(CustomerId(8_000_000_000_000)));
    }

    #[test]
    fn a_zero_is_no_customer() {
        let zeros = [
            Value::Int(0),
            Value::Float(0.0),
            Value::Text("0".to_owned()),
        ];
        for zero in zeros {
            assert_eq!(customer_in(&zero), None, "{zero:?}");
        }
    }

    #[test]
    fn the_record_knows_its_country_better_than_the_shop_does() {
        let german = IdentityRule {
            default_country: Some("DE".to_owned()),
            ..IdentityRule::default()
        };
        let read = |country: &str| {
            let country = Some(country.to_owned());
            of(
                Profile {
                    country,
                    ..profile()
                },
                &german,
            )
            .phone
        };
        assert_eq!(read("").as_deref(), Some("+4930901820"));
        assert_eq!(read("Germany").as_deref(), Some("+4930901820"));
        assert_eq!(read("Atlantis"), None);
        assert_eq!(of(profile(), &IdentityRule::default()).phone, None);
    }

    #[test]
    fn an_empty_guest_is_nobody_and_an_unseen_record_has_no_keys() {
        let of = |record: &Record| keys(Slot(0), record, &IdentityRule::default());
        assert_eq!(of(&Record::Guest(String::new())).kind, Kind::Ownerless);
        let guest = of(&Record::Guest("Ann@Shop.com".to_owned()));
        assert_eq!(guest.email.as_deref(), Some("ann@shop.com"));
        assert_eq!(of(&Record::Unseen), none(Slot(0), Kind::Unseen));
        let email = of(&Record::Profile(profile())).email;
        assert_eq!(email.as_deref(), Some("jdoe@gmail.com"));
    }
}
