//! What the law gives customers and shops, heard as webhooks.

use super::{Ear, HEARING, observe};
use crate::house::files_with;
use crate::house::{House, ROOMY, hours};
use driftless::api::Budgets;
use driftless::journal::Entry;
use driftless::model::CustomerId;
use driftless::pass::Options;
use driftless::pass::{OpenError, PassError, Shop};
use driftless::sandbox::courier::Habits;
use driftless::telemetry::Meter;
use serde_json::json;
use std::fs;

/// Somebody with a profile and a customer of the same address: number, profile, address and phone.
fn somebody(ear: &Ear) -> (u64, String, Vec<String>) {
    let state = ear.house.world.state();
    let pair = state.truth.pairs.iter().find_map(|(profile, customer)| {
        let one = state.klaviyo.profiles.get(profile)?;
        let (email, phone) = (one.email.clone()?, one.phone_number.clone()?);
        let same = state.shopify.customers[customer].email.as_ref() == Some(&email);
        same.then(|| (*customer, profile.clone(), vec![email, phone]))
    });
    pair.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_customer_is_forgotten_by_the_next_pass_even_after_a_kill_and_klaviyo_is_left_alone()
 {
    let mut ear = Ear::new(120, Habits::default()).await;
    let (customer, profile, names) = somebody(&ear);
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_id": 1, "customer": {"id": customer, "email": names[0].to_uppercase()},
        "shop_domain": domain, "orders_to_redact": []});
    ear.told("customers/redact", &body).await;
    // Killed between the receipt and the deed.
    ear.house.close();
    assert!(ear.house.shop().belongings(&names[0]).unwrap().len() == 1);
    let writes = ear.house.writes();
    observe(&mut ear.house).await;
    for name in names.iter().chain([&profile, &customer.to_string()]) {
        assert!(
            ear.house.shop().belongings(name).unwrap().is_empty(),
            "{name}"
        );
    }
    let forgotten = |ear: &Ear| {
        let entries = ear.house.journal().into_iter();
        entries
            .filter(|entry| matches!(entry, Entry::Forgotten { .. }))
            .count()
    };
    assert_eq!(forgotten(&ear), 1);
    // It comes again, long after; Klaviyo and Shopify still show them.
    ear.told("customers/redact", &body).await;
    ear.house.clock.advance(hours(30));
    observe(&mut ear.house).await;
    assert_eq!(forgotten(&ear), 1);
    assert!(ear.house.shop().belongings(&names[0]).unwrap().is_empty());
    assert_eq!(ear.house.writes(), writes);
    assert!(
        ear.house
            .world
            .state()
            .klaviyo
            .profiles
            .contains_key(&profile)
    );
    assert_eq!(ear.house.shop().mirror().audit().unwrap().faults, [""; 0]);
    ear.house.close();
    assert_eq!(files_with(&ear.house.state_dir(), &names), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_shares_a_phone_with_a_redacted_customer_stays() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let (customer, profile, names) = somebody(&ear);
    let now = ear.house.clock.now();
    let other = {
        let profiles = &mut ear.house.world.state().klaviyo.profiles;
        let mut other = profiles[&profile].clone();
        (other.email, other.external_id) = (None, None);
        (other.created, other.updated) = (now, now);
        profiles.insert("01ZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), other);
        "01ZZZZZZZZZZZZZZZZZZZZZZZZ"
    };
    ear.house.clock.advance(hours(1));
    observe(&mut ear.house).await;
    let [together] = &ear.house.shop().belongings(other).unwrap()[..] else {
        panic!("the phone makes them one person");
    };
    assert_eq!(together.records(), 3);
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_domain": domain, "orders_to_redact": [],
        "customer": {"id": customer, "email": names[0]}});
    ear.told("customers/redact", &body).await;
    observe(&mut ear.house).await;
    assert!(ear.house.shop().belongings(&profile).unwrap().is_empty());
    assert!(ear.house.shop().belongings(&names[0]).unwrap().is_empty());
    let [left] = &ear.house.shop().belongings(other).unwrap()[..] else {
        panic!("they were not meant");
    };
    assert_eq!((left.records(), left.profiles[0].as_str()), (1, other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_heard_before_the_first_fill_takes_what_only_the_filled_mirror_shows() {
    let house = House::of(120, &[&ROOMY[..], &HEARING].concat()).await;
    let linked = {
        let state = &mut *house.world.state();
        let (customer, theirs) = state.shopify.customers.iter().nth(3).unwrap();
        let (customer, email) = (*customer, theirs.email.clone());
        let mut profiles = state.klaviyo.profiles.iter_mut();
        let other = profiles.find(|(_, one)| one.email.is_some() && one.email != email);
        let (id, other) = other.unwrap();
        // Another address, and the customer's number.
        other.external_id = Some(customer.to_string());
        (customer, id.clone())
    };
    let mut ear = Ear::of(house, Habits::default()).await;
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_domain": domain, "orders_to_redact": [], "customer": {"id": linked.0}});
    ear.told("customers/redact", &body).await;
    observe(&mut ear.house).await;
    observe(&mut ear.house).await;
    assert!(ear.house.shop().belongings(&linked.1).unwrap().is_empty());
    assert!(ear.house.shop().was_forgotten(&linked.0.to_string()));
    let status = ear.house.shop().hooks().unwrap().status();
    assert_eq!(status["to_do"], 0, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_takes_only_a_record_that_has_nothing_else() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let (customer, profile, names) = somebody(&ear);
    let now = ear.house.clock.now();
    let text_only = "01ZZZZZZZZZZZZZZZZZZZZZZZZ";
    {
        let profiles = &mut ear.house.world.state().klaviyo.profiles;
        let mut other = profiles[&profile].clone();
        (other.email, other.external_id) = (None, None);
        (other.created, other.updated) = (now, now);
        profiles.insert(text_only.to_owned(), other);
    }
    ear.house.clock.advance(hours(1));
    observe(&mut ear.house).await;
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_domain": domain, "orders_to_redact": [],
        "customer": {"id": customer, "phone": names[1]}});
    ear.told("customers/redact", &body).await;
    observe(&mut ear.house).await;
    assert!(ear.house.shop().belongings(text_only).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_is_unknown_here_is_not_taken_in_later() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let now = ear.house.clock.now();
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_domain": domain, "customer": {"id": 987_654}, "orders_to_redact": []});
    ear.told("customers/redact", &body).await;
    observe(&mut ear.house).await;
    {
        let customers = &mut ear.house.world.state().shopify.customers;
        let mut copy = customers.values().next().unwrap().clone();
        (copy.email, copy.updated) = (Some("late@example.org".to_owned()), now);
        customers.insert(987_654, copy);
    }
    ear.told("customers/create", &json!({"id": 987_654})).await;
    ear.house.clock.advance(hours(1));
    observe(&mut ear.house).await;
    let mirror = ear.house.shop().mirror();
    assert_eq!(mirror.slot_of_customer(CustomerId(987_654)).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_data_stays_in_every_report_until_it_is_answered() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let (customer, ..) = somebody(&ear);
    let since = ear.house.clock.now();
    let domain = ear.house.world.state().shopify.domain.clone();
    let body = json!({"shop_domain": domain, "customer": {"id": customer, "email": "x@example.org"},
        "data_request": {"id": 9999}});
    ear.told("customers/data_request", &body).await;
    for _ in 0..2 {
        let summary = ear.house.pass().await;
        let [request] = &summary.data_requests[..] else {
            panic!("{:?}", summary.data_requests);
        };
        assert_eq!(
            (request.request, request.due),
            (9999, since.plus(hours(30 * 24)))
        );
        assert_eq!(
            request.customer.as_deref(),
            Some(&*CustomerId(customer).gid())
        );
        // Asked again under another number of a delivery.
        ear.told("customers/data_request", &body).await;
    }
    assert!(!ear.house.journal_text().contains("x@example.org"));
    assert!(ear.house.shop().data_answered(9999).unwrap());
    assert!(!ear.house.shop().data_answered(9999).unwrap());
    ear.told("customers/data_request", &body).await;
    ear.house.close();
    assert_eq!(ear.house.pass().await.data_requests, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_shop_stops_and_holds_nothing_that_can_be_read() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let (.., names) = somebody(&ear);
    let domain = ear.house.world.state().shopify.domain.clone();
    ear.told("shop/redact", &json!({"shop_id": 1, "shop_domain": domain}))
        .await;
    // An app that still has access was never asked; and that a key is wrong one day proves nothing then.
    ear.house.pass().await;
    "another-token".clone_into(&mut ear.house.world.state().shopify.token);
    let refused = ear.house.refused().await;
    assert!(!matches!(refused, PassError::Erased { .. }), "{refused}");
    assert!(!ear.house.shop().belongings(&names[0]).unwrap().is_empty());

    // Nor does a pass that writes nothing destroy anything.
    ear.told("shop/redact", &json!({"shop_id": 1, "shop_domain": domain}))
        .await;
    let observing = Options {
        observe: true,
        ..Options::default()
    };
    let refused = ear.house.unreleased(&observing).await.unwrap_err();
    assert!(!matches!(refused, PassError::Erased { .. }), "{refused}");
    let refused = ear.house.refused().await;
    assert!(matches!(refused, PassError::Erased { .. }), "{refused}");
    assert!(ear.house.shop().belongings(&names[0]).unwrap().is_empty());
    ear.house.close();
    let dir = ear.house.state_dir();
    let open = || {
        Shop::open(
            ear.house.config(),
            &Budgets::default(),
            ear.house.clock.clone(),
            Meter::default(),
        )
    };
    for _ in 0..2 {
        let error = open().unwrap_err();
        assert!(
            matches!(error, OpenError::Forgetting(PassError::Erased { .. })),
            "{error}"
        );
    }
    let mut left: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["budget.json", "journal", "lock", "released.json", "vault"]
    );
    assert_eq!(files_with(&dir, &names), [""; 0]);
    let mut about_people = ear.house.intents();
    about_people.retain(|intent| intent.subject.is_some());
    assert!(!about_people.is_empty());
    assert!(about_people.iter().all(|intent| intent.is_closed()));
    assert!(matches!(
        ear.house.journal().last(),
        Some(Entry::ShopErased { .. })
    ));
}
