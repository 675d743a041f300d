//! How good the addresses of one person are.

use super::email::Address;
use crate::model::{Code, Dossier, Evidence, Finding, Slot, Subject};
use std::collections::BTreeSet;

/// One record's address: its slot, the text, and what it reads as.
struct Held<'a> {
    slot: Slot,
    text: &'a str,
    address: Option<Address>,
}

/// Findings about the e-mail addresses of a person; each address is reported once, on the first
/// record that has it.
pub fn quality(dossier: &Dossier) -> Vec<Finding> {
    let profiles = held(&dossier.profiles, |profile| profile.email.as_deref());
    let customers = held(&dossier.customers, |customer| customer.email.as_deref());
    // Guests have no slot here: theirs is the person's, unless another record has the address too.
    let first = Slot(dossier.id.0);
    let guests = dossier.guests.iter().map(|text| read(first, text));
    let guests: Vec<Held> = guests.filter(|held| !held.text.is_empty()).collect();

    let finding = |code, slot, evidence| Finding {
        code,
        subject: Subject::Person(dossier.id, slot),
        evidence,
    };
    let mut all: Vec<&Held> = profiles.iter().chain(&customers).collect();
    all.sort_by_key(|held| held.slot);
    all.extend(&guests);
    if all.is_empty() {
        return vec![finding(Code::EmailMissing, first, Evidence::Plain)];
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for held in all {
        if seen.insert(held.text.to_lowercase()) {
            let faults = faults(held.address.as_ref()).into_iter();
            found.extend(faults.map(|(code, evidence)| finding(code, held.slot, evidence)));
        }
    }
    for (slot, others) in differing(&profiles, &customers) {
        found.push(finding(Code::EmailDiffers, slot, Evidence::Records(others)));
    }
    found
}

fn held<'a, R>(records: &'a [(Slot, R)], email: fn(&'a R) -> Option<&'a str>) -> Vec<Held<'a>> {
    let texts = records.iter().map(|(slot, record)| (*slot, email(record)));
    let texts = texts.filter_map(|(slot, text)| Some(read(slot, text?)));
    texts.filter(|held| !held.text.is_empty()).collect()
}

fn read(slot: Slot, text: &str) -> Held<'_> {
    Held {
        slot,
        text: text.trim(),
        address: Address::parse(text).ok(),
    }
}

fn faults(address: Option<&Address>) -> Vec<(Code, Evidence)> {
    let Some(address) = address else {
        return vec![(Code::EmailInvalid, Evidence::Plain)];
    };
    let mut faults = Vec::new();
    if let Some(domain) = address.suggested_domain() {
        let meant = Evidence::Suggestion(domain.to_owned());
        faults.push((Code::EmailTypoDomain, meant));
    }
    if address.is_role() {
        faults.push((Code::EmailRole, Evidence::Plain));
    }
    if address.is_disposable() {
        faults.push((Code::EmailDisposable, Evidence::Plain));
    }
    faults
}

/// Customers whose mailbox no profile of the person has, with those profiles. Records with different
/// addresses are one person by the customer id alone. An Apple relay stands for an unknown mailbox,
/// so it differs from nothing.
fn differing(profiles: &[Held], customers: &[Held]) -> Vec<(Slot, Vec<Slot>)> {
    let keys = |records: &[Held]| -> Vec<(Slot, String)> {
        let told = records.iter().filter_map(|held| {
            let address = held.address.as_ref()?;
            (!address.is_apple_relay()).then(|| (held.slot, address.match_key()))
        });
        told.collect()
    };
    let (profiles, customers) = (keys(profiles), keys(customers));
    let differs = |key: &String| profiles.iter().all(|(_, other)| other != key);
    let slots: Vec<Slot> = profiles.iter().map(|(slot, _)| *slot).collect();
    customers
        .into_iter()
        .filter(|(_, key)| !slots.is_empty() && differs(key))
        .map(|(slot, _)| (slot, slots.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Customer, CustomerId, PersonId, Profile};

    fn person(profiles: &[(u32, &str)], customers: &[(u32, &str)], guests: &[&str]) -> Dossier {
        let given = |email: &str| (!email.is_empty()).then(|| email.to_owned());
        let profile = |(slot, email): &(u32, &str)| {
            let profile = Profile {
                email: given(email),
                ..Profile::new("P")
            };
            (Slot(*slot), profile)
        };
        let customer = |(slot, email): &(u32, &str)| {
            let customer = Customer {
                id: CustomerId(u64::from(*slot)),
                email: given(email),
                phone: None,
                country: None,
                email_consent: None,
                tags: Vec::new(),
                metafield: None,
                created: None,
                updated: None,
            };
            (Slot(*slot), customer)
        };
        Dossier {
            id: PersonId(1),
            profiles: profiles.iter().map(profile).collect(),
            customers: customers.iter().map(customer).collect(),
            guests: guests.iter().map(|guest| (*guest).to_owned()).collect(),
            events: Vec::new(),
            orders: Vec::new(),
        }
    }

    fn found(dossier: &Dossier) -> Vec<(Code, u32)> {
        let subject = |found: Finding| match found.subject {
            Subject::Person(_, slot) => (found.code, slot.0),
            Subject::Group(_) => panic!("an address belongs to a person"),
        };
        quality(dossier).into_iter().map(subject).collect()
    }

    #[test]
    fn a_sound_address_on_every_record_is_no_news() {
        let sound = person(
            &[(1, "Ann@shop.com")],
            &[(2, "ann@shop.com")],
            &["ann@shop.com"],
        );
        assert_eq!(found(&sound), []);
    }

    #[test]
    fn every_fault_is_told_once_on_the_first_record_that_has_it() {
        let faulty = person(&[(4, "info@gmial.com")], &[(2, "INFO@gmial.com")], &[]);
        assert_eq!(
            found(&faulty),
            [(Code::EmailTypoDomain, 2), (Code::EmailRole, 2)]
        );
        let suggestion = quality(&faulty).swap_remove(0).evidence;
        assert_eq!(suggestion, Evidence::Suggestion("gmail.com".to_owned()));
        let thrown = person(&[(1, "x@mailinator.com")], &[], &[]);
        assert_eq!(found(&thrown), [(Code::EmailDisposable, 1)]);
        let guest = person(&[], &[], &["nobody"]);
        assert_eq!(found(&guest), [(Code::EmailInvalid, 1)]);
    }

    #[test]
    fn nobody_has_an_address() {
        assert_eq!(
            found(&person(&[(1, "")], &[(2, " ")], &[])),
            [(Code::EmailMissing, 1)]
        );
        assert_eq!(found(&person(&[(1, "")], &[(2, "a@shop.com")], &[])), []);
    }

    #[test]
    fn platforms_differ_only_when_no_profile_has_the_mailbox() {
        let differ = person(&[(1, "old@shop.com")], &[(2, "new@shop.com")], &[]);
        assert_eq!(found(&differ), [(Code::EmailDiffers, 2)]);
        let both = person(
            &[(1, "old@shop.com"), (3, "new@shop.com")],
            &[(2, "new@shop.com")],
            &[],
        );
        assert_eq!(found(&both), []);
        let tagged = person(
            &[(1, "a.nn@gmail.com")],
            &[(2, "ann+x@googlemail.com")],
            &[],
        );
        assert_eq!(found(&tagged), []);
        let relay = person(
            &[(1, "q8@privaterelay.appleid.com")],
            &[(2, "ann@shop.com")],
            &[],
        );
        assert_eq!(found(&relay), []);
    }
}
