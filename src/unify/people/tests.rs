use super::*;
use crate::model::CustomerId;
use proptest::prelude::*;

fn record(slot: u32, kind: Kind, customer: Option<u64>, email: &str, phone: &str) -> Keys {
    let given = |key: &str| (!key.is_empty()).then(|| key.to_owned());
    Keys {
        slot: Slot(slot),
        kind,
        customer: customer.map(CustomerId),
        email: given(email),
        phone: given(phone),
    }
}

fn groups(people: &People) -> Vec<Vec<u32>> {
    let slots = |person: Person| person.slots.iter().map(|slot| slot.0).collect();
    people.iter().map(slots).collect()
}

fn codes(people: &People) -> Vec<Code> {
    people.findings().iter().map(|found| found.code).collect()
}

#[test]
fn a_profile_a_customer_and_a_guest_with_one_address_are_one_person() {
    let people = People::unite([
        record(9, Kind::Guest, None, "ann@shop.com", ""),
        record(4, Kind::Customer, Some(7), "ann@shop.com", ""),
        record(6, Kind::Profile, None, "ann@shop.com", ""),
        record(5, Kind::Unseen, None, "", ""),
    ]);
    assert_eq!(groups(&people), [vec![4, 6, 9], vec![5]]);
    assert_eq!(people.person_of(Slot(9)), Some(PersonId(4)));
    assert_eq!(people.person_of(Slot(8)), None);
    assert_eq!(people.len(), 2);
    assert_eq!(people.findings(), []);
}

#[test]
fn the_shopify_id_outweighs_different_addresses() {
    let people = People::unite([
        record(0, Kind::Customer, Some(7), "old@shop.com", ""),
        record(1, Kind::Profile, Some(7), "new@shop.com", ""),
        record(2, Kind::Profile, None, "old@shop.com", ""),
    ]);
    assert_eq!(groups(&people), [vec![0, 1, 2]]);
    let duplicates = &people.findings()[0];
    assert_eq!(duplicates.code, Code::DuplicateProfiles);
    assert_eq!(duplicates.subject, Subject::Person(PersonId(0), Slot(1)));
    assert_eq!(
        duplicates.evidence,
        Evidence::Records(vec![Slot(1), Slot(2)])
    );
}

#[test]
fn an_external_id_of_another_system_contradicts_nobody() {
    let people = People::unite([
        record(0, Kind::Customer, Some(7), "ann@shop.com", ""),
        record(1, Kind::Profile, Some(5_512), "ann@shop.com", ""),
        record(2, Kind::Profile, Some(5_512), "other@shop.com", ""),
    ]);
    assert_eq!(groups(&people), [vec![0, 1, 2]]);
    assert_eq!(codes(&people), [Code::DuplicateProfiles]);
}

#[test]
fn two_customers_are_never_one_person_and_the_conflict_is_told_once() {
    // Shopify counts beyond 32 bits.
    for other in [8, 7 + (1 << 32)] {
        let people = People::unite([
            record(0, Kind::Customer, Some(7), "ann@shop.com", "+1"),
            record(1, Kind::Customer, Some(other), "ann@shop.com", "+1"),
            record(2, Kind::Profile, Some(other), "ann@shop.com", "+1"),
        ]);
        assert_eq!(groups(&people), [vec![0], vec![1, 2]]);
        assert_eq!(codes(&people), [Code::IdentityConflict]);
        let conflict = &people.findings()[0];
        assert_eq!(conflict.subject, Subject::Person(PersonId(0), Slot(0)));
        assert_eq!(conflict.evidence, Evidence::Records(vec![Slot(0), Slot(1)]));
    }
}

#[test]
fn a_record_that_contradicts_the_first_may_join_the_next() {
    let people = People::unite([
        record(0, Kind::Customer, Some(7), "ann@shop.com", ""),
        record(1, Kind::Customer, Some(8), "ann@shop.com", ""),
        record(2, Kind::Profile, None, "ann@shop.com", ""),
    ]);
    assert_eq!(groups(&people), [vec![0, 2], vec![1]]);
}

#[test]
fn a_phone_unites_only_whom_e_mail_does_not_tell_apart() {
    let bare = People::unite([
        record(0, Kind::Customer, Some(7), "ann@shop.com", "+1"),
        record(1, Kind::Profile, None, "", "+1"),
    ]);
    assert_eq!(groups(&bare), [vec![0, 1]]);
    let household = People::unite([
        record(0, Kind::Customer, Some(7), "ann@shop.com", "+1"),
        record(1, Kind::Profile, None, "ben@shop.com", "+1"),
        record(2, Kind::Profile, None, "", "+1"),
    ]);
    assert_eq!(groups(&household), [vec![0], vec![1], vec![2]]);
    assert_eq!(household.findings(), []);
}

#[test]
fn more_than_eight_records_are_reported_and_not_merged() {
    let many = (0..9).map(|slot| record(slot, Kind::Guest, None, "x@shop.com", ""));
    let people = People::unite(many);
    assert_eq!(groups(&people), [(0..8).collect(), vec![8]]);
    assert_eq!(codes(&people), [Code::IdentityConflict]);
}

#[test]
fn orders_without_an_owner_are_nobody() {
    let people = People::unite([record(3, Kind::Ownerless, None, "", "")]);
    assert!(people.is_empty());
    assert_eq!(people.person_of(Slot(3)), None);
}

fn any_keys() -> impl Strategy<Value = Vec<Keys>> {
    let key = |prefix: &'static str| {
        let some = (0..6u8).prop_map(move |n| Some(format!("{prefix}{n}")));
        prop_oneof![Just(None), some]
    };
    let kind = prop_oneof![
        Just(Kind::Profile),
        Just(Kind::Customer),
        Just(Kind::Guest),
        Just(Kind::Ownerless)
    ];
    let one = (
        kind,
        proptest::option::of((1..4u64, 0..2u64).prop_map(|(low, high)| high << 32 | low)),
        key("mail"),
        key("phone"),
    );
    proptest::collection::vec(one, 0..40).prop_map(|records| {
        let numbered = (0u32..).zip(records);
        let keys = numbered.map(|(slot, (kind, customer, email, phone))| Keys {
            slot: Slot(slot * 3),
            kind,
            customer: customer.map(CustomerId),
            email,
            phone,
        });
        keys.collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_the_records_does_not_matter(keys in any_keys(), seed in any::<u64>()) {
        let straight = People::unite(keys.clone());
        let mut shuffled = keys;
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let other = People::unite(shuffled);
        prop_assert_eq!(groups(&straight), groups(&other));
        prop_assert_eq!(straight.findings(), other.findings());
    }

    #[test]
    fn persons_part_the_records_and_hold_no_contradiction(keys in any_keys()) {
        let people = People::unite(keys.clone());
        let is_known = |id| {
            keys.iter().any(|keys| keys.kind == Kind::Customer && keys.customer == id)
        };
        let mut slots: Vec<Slot> = Vec::new();
        let mut last = None;
        for person in people.iter() {
            prop_assert!(last < Some(person.id));
            last = Some(person.id);
            prop_assert_eq!(person.id.0, person.slots[0].0);
            prop_assert!(person.slots.is_sorted() && person.slots.len() <= 8);
            let held = keys.iter().filter(|keys| person.slots.contains(&keys.slot));
            let known = |keys: &&Keys| keys.kind != Kind::Profile || is_known(keys.customer);
            let mut customers: Vec<_> = held.filter(known).filter_map(|keys| keys.customer).collect();
            customers.dedup();
            prop_assert!(customers.iter().all(|id| *id == customers[0]), "{customers:?}");
            for slot in &person.slots {
                prop_assert_eq!(people.person_of(*slot), Some(person.id));
            }
            slots.extend(person.slots);
        }
        slots.sort();
        let expected = keys.iter().filter(|keys| keys.kind != Kind::Ownerless);
        prop_assert_eq!(slots, expected.map(|keys| keys.slot).collect::<Vec<_>>());
    }

    #[test]
    fn records_of_one_customer_or_address_are_together_or_reported(keys in any_keys()) {
        let people = People::unite(keys.clone());
        let conflicts = people.findings().iter();
        let told = conflicts.filter(|found| found.code == Code::IdentityConflict).count();
        let split = keys.iter().any(|a| keys.iter().any(|b| {
            let both = a.kind != Kind::Ownerless && b.kind != Kind::Ownerless;
            let mail = a.email.is_some() && a.email == b.email;
            let customer = a.customer.is_some() && a.customer == b.customer;
            both && (mail || customer) && people.person_of(a.slot) != people.person_of(b.slot)
        }));
        prop_assert!(!split || told > 0);
    }
}
