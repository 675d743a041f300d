use super::*;
use crate::model::{Consent, EmailMarketing, Person, PersonId, PropertyChange, Record, Slot};
use crate::model::{Segment, SuppressionReason, Value};

#[test]
fn a_page_and_its_cursor_commit_together_or_not_at_all() {
    let dir = dir();
    let cursor = Cursor {
        position: Some("next".to_owned()),
        seen: 1,
        ..Cursor::default()
    };
    {
        let mirror = open(&dir);
        let mut page = mirror.page();
        let slot = page.profile(profile("A", 1)).unwrap().unwrap();
        page.cursor(&Stream::KlaviyoProfiles, &cursor);
        assert_eq!(mirror.cursor(&Stream::KlaviyoProfiles).unwrap(), None);
        assert_eq!(mirror.profile(slot).unwrap(), None);
        drop(page);
        assert!(lines(&mirror).is_empty());
        assert_eq!(mirror.slot_of_profile(&"A".into()).unwrap(), None);

        let mut page = mirror.page();
        let slot = page.profile(profile("B", 1)).unwrap().unwrap();
        assert_eq!(slot, Slot(0), "a dropped page gives its slots back");
        page.cursor(&Stream::KlaviyoProfiles, &cursor);
        page.commit().unwrap();
    }
    let mirror = open(&dir);
    assert_eq!(
        mirror.cursor(&Stream::KlaviyoProfiles).unwrap(),
        Some(cursor)
    );
    assert_eq!(mirror.profile(Slot(0)).unwrap(), Some(profile("B", 1)));
    assert_eq!(mirror.slot_of_profile(&"B".into()).unwrap(), Some(Slot(0)));
    assert_eq!(mirror.profile_id(Slot(0)).unwrap(), Some("B".into()));
}

#[test]
fn a_reopened_mirror_holds_the_same_and_goes_on_counting() {
    let dir = dir();
    let (before, totals) = {
        let mirror = open(&dir);
        let mut page = mirror.page();
        page.profile(profile("A", 1)).unwrap();
        page.customer(customer(7)).unwrap();
        let guest = OrderOwner::Guest("G@Example.com".to_owned());
        page.order(order(1, guest, 1)).unwrap();
        page.order(order(2, OrderOwner::Customer(CustomerId(7)), 1))
            .unwrap();
        page.order(order(3, OrderOwner::Nobody, 1)).unwrap();
        page.events(&"M1".into(), vec![event("e1", "A", 5)])
            .unwrap();
        page.list(list("L"));
        page.segment(Segment {
            id: "S".into(),
            name: "s".to_owned(),
            definition: None,
            is_active: true,
            is_processing: false,
            updated: None,
        });
        page.commit().unwrap();
        mirror.fold().unwrap();
        (lines(&mirror), mirror.totals().unwrap())
    };
    let mirror = open(&dir);
    assert_eq!(lines(&mirror), before);
    let kinds = [
        "profile", "customer", "guest", "order", "order", "order", "event", "list",
    ];
    for (line, kind) in before.iter().zip(kinds) {
        assert!(
            line.starts_with(&format!("{{\"kind\":\"{kind}\"")),
            "{line}"
        );
    }
    assert_eq!(mirror.totals().unwrap(), totals);
    let expected = MirrorTotals {
        profiles: 1,
        customers: 1,
        guests: 1,
        orders: 3,
        events: 1,
        lists: 1,
        segments: 1,
    };
    assert_eq!(totals, expected);
    let mut page = mirror.page();
    let fresh = page.profile(profile("B", 1)).unwrap().unwrap();
    assert_eq!(fresh, Slot(4), "A, 7, the guest and nobody came before");
}

#[test]
fn an_older_record_does_not_replace_a_newer_one_and_an_equally_old_one_does() {
    let dir = dir();
    let mirror = open(&dir);
    let renamed = |updated, country: &str| Profile {
        country: Some(country.to_owned()),
        ..profile("A", updated)
    };
    let mut page = mirror.page();
    let slot = page.profile(renamed(5, "first")).unwrap().unwrap();
    page.profile(renamed(4, "older")).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.profile(slot).unwrap(), Some(renamed(5, "first")));
    let mut page = mirror.page();
    page.profile(renamed(5, "equal")).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.profile(slot).unwrap(), Some(renamed(5, "equal")));
    let mut page = mirror.page();
    let undated = Profile {
        updated: None,
        ..renamed(0, "undated")
    };
    page.profile(undated).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.profile(slot).unwrap(), Some(renamed(5, "equal")));
    assert_eq!(mirror.totals().unwrap().profiles, 1);
}

#[test]
fn a_record_named_before_it_arrives_keeps_its_slot() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.events(&"M1".into(), vec![event("e", "LATE", 3)])
        .unwrap();
    let buyer = page.order(order(1, OrderOwner::Customer(CustomerId(9)), 1));
    let buyer = buyer.unwrap();
    page.commit().unwrap();
    mirror.fold().unwrap();
    let slot = mirror.slot_of_profile(&"LATE".into()).unwrap().unwrap();
    assert_eq!(mirror.record(slot).unwrap(), Some(Record::Unseen));
    assert_eq!(mirror.profile_id(slot).unwrap(), Some("LATE".into()));
    assert_eq!(mirror.customer_id(buyer).unwrap(), Some(CustomerId(9)));
    assert_eq!(mirror.customer_id(slot).unwrap(), None);
    assert_eq!(
        mirror.orders(buyer).unwrap()[0].owner,
        OrderOwner::Customer(CustomerId(9))
    );

    let mut page = mirror.page();
    page.absent(slot, Some(NOW));
    page.commit().unwrap();
    assert_eq!(mirror.absences().unwrap(), BTreeMap::from([(slot, NOW)]));

    let mut page = mirror.page();
    assert_eq!(page.profile(profile("LATE", 1)).unwrap(), Some(slot));
    assert_eq!(page.customer(customer(9)).unwrap(), Some(buyer));
    page.commit().unwrap();
    assert!(mirror.absences().unwrap().is_empty());
    let records: Vec<_> = mirror.records().map(Result::unwrap).collect();
    let expected = [
        (buyer, Record::Customer(customer(9))),
        (slot, Record::Profile(profile("LATE", 1))),
    ];
    assert_eq!(records, expected);
}

#[test]
fn records_come_in_slot_order_whatever_their_kind_and_nobody_is_no_record() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.customer(customer(1)).unwrap();
    page.profile(profile("B", 1)).unwrap();
    page.order(order(1, OrderOwner::Nobody, 1)).unwrap();
    page.order(order(2, OrderOwner::Guest("x@y.z".to_owned()), 1))
        .unwrap();
    page.slot_of_profile(&"UNSEEN".into()).unwrap();
    page.profile(profile("A", 1)).unwrap();
    page.commit().unwrap();
    let records: Vec<_> = mirror.records().map(Result::unwrap).collect();
    let expected = [
        (Slot(0), Record::Customer(customer(1))),
        (Slot(1), Record::Profile(profile("B", 1))),
        (Slot(3), Record::Guest("x@y.z".to_owned())),
        (Slot(4), Record::Unseen),
        (Slot(5), Record::Profile(profile("A", 1))),
    ];
    assert_eq!(records, expected);
    assert_eq!(mirror.record(Slot(2)).unwrap(), None);
    assert_eq!(mirror.orders(Slot(2)).unwrap()[0].owner, OrderOwner::Nobody);
}

#[test]
fn a_guest_order_moves_to_the_customer_and_leaves_the_old_book() {
    let dir = dir();
    let mirror = open(&dir);
    let guest = || OrderOwner::Guest("Ann@Example.com".to_owned());
    let mut page = mirror.page();
    let from = page.order(order(1, guest(), 1)).unwrap();
    page.order(order(2, guest(), 1)).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.orders(from).unwrap().len(), 2);

    let moved = order(1, OrderOwner::Customer(CustomerId(5)), 2);
    let mut page = mirror.page();
    let to = page.order(moved.clone()).unwrap();
    assert_eq!(
        page.order(order(1, guest(), 1)).unwrap(),
        to,
        "older: stays"
    );
    page.commit().unwrap();
    assert_eq!(mirror.orders(to).unwrap(), [moved]);
    let left = mirror.orders(from).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(
        left[0].owner,
        OrderOwner::Guest("ann@example.com".to_owned())
    );
    assert_eq!(mirror.totals().unwrap().orders, 2);
}

#[test]
fn a_book_of_thousands_of_orders_comes_back_whole_in_any_order_of_arrival() {
    let dir = dir();
    let mirror = open(&dir);
    let mut ids: Vec<u64> = (1..=2000).map(|n| n * 1024).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut ids);
    for ids in ids.chunks(500) {
        let mut page = mirror.page();
        for id in ids {
            page.order(order(*id, OrderOwner::Nobody, 1)).unwrap();
        }
        page.commit().unwrap();
    }
    let mut page = mirror.page();
    let nobody = page.slot_of_nobody().unwrap();
    let changed = order(77 * 1024, OrderOwner::Nobody, 2);
    page.order(changed.clone()).unwrap();
    page.commit().unwrap();
    let stored: Vec<u64> = mirror
        .orders(nobody)
        .unwrap()
        .iter()
        .map(|o| o.id.0)
        .collect();
    ids.sort_unstable();
    assert_eq!(stored, ids);
    assert_eq!(mirror.order(changed.id).unwrap(), Some(changed));
    assert_eq!(mirror.order(OrderId(5)).unwrap(), None);
    assert_eq!(mirror.totals().unwrap().orders, 2000);
}

#[test]
fn a_dossier_gathers_all_records_of_a_person_in_time_order() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    let a = page.profile(profile("A", 1)).unwrap().unwrap();
    let b = page.profile(profile("B", 1)).unwrap().unwrap();
    let c = page.customer(customer(1)).unwrap().unwrap();
    let owner = OrderOwner::Customer(CustomerId(1));
    page.order(order(9, owner, 1)).unwrap();
    let guest = OrderOwner::Guest("g@x.y".to_owned());
    let g = page.order(order(4, guest, 1)).unwrap();
    let events = vec![event("1", "A", 10), event("2", "B", 5), event("3", "A", 1)];
    page.events(&"M".into(), events).unwrap();
    page.commit().unwrap();
    mirror.fold().unwrap();
    let person = Person {
        id: PersonId(a.0),
        slots: vec![a, b, c, g],
    };
    let dossier = mirror.dossier(&person).unwrap();
    assert_eq!(dossier.profiles.len(), 2);
    assert_eq!(dossier.customers, [(c, customer(1))]);
    assert_eq!(dossier.guests, ["g@x.y"]);
    let times: Vec<i64> = dossier.events.iter().map(|event| event.at).collect();
    assert_eq!(times, [1, 5, 10]);
    let orders: Vec<u64> = dossier.orders.iter().map(|order| order.id.0).collect();
    assert_eq!(orders, [4, 9]);
}

#[test]
fn receipts_show_in_records_until_the_vendor_speaks_again() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    let who = page.profile(profile("A", 1)).unwrap().unwrap();
    let buyer = page.customer(customer(1)).unwrap().unwrap();
    page.commit().unwrap();
    let changes = [PropertyChange {
        key: "dl_stage".to_owned(),
        from: None,
        to: Some(Value::Text("vip".to_owned())),
    }];
    for _ in 0..2 {
        let mut page = mirror.page();
        let changes = &changes;
        page.receipt(Receipt::Properties { who, changes }).unwrap();
        page.receipt(Receipt::Suppressed { who, at: NOW }).unwrap();
        let (add, remove) = (&["dl-new".to_owned()], &["dl-old".to_owned()]);
        let who = buyer;
        page.receipt(Receipt::Tags { who, add, remove }).unwrap();
        page.receipt(Receipt::Metafield {
            who,
            value: Some("1"),
        })
        .unwrap();
        page.commit().unwrap();
    }
    let stored = mirror.profile(who).unwrap().unwrap();
    assert_eq!(stored.properties["dl_stage"], Value::Text("vip".to_owned()));
    assert!(stored.is_suppressed() && !stored.is_reachable());
    assert!(stored.is_suppressed_for(&SuppressionReason::UserSuppressed));
    assert_eq!(stored.email_marketing.unwrap().suppressions.len(), 1);
    let bought = mirror.customer(buyer).unwrap().unwrap();
    assert_eq!(bought.tags, ["vip", "dl-new"]);
    assert_eq!(bought.metafield.as_deref(), Some("1"));

    let mut page = mirror.page();
    let said = Profile {
        email_marketing: Some(EmailMarketing {
            can_receive: Some(true),
            ..EmailMarketing::new(Consent::Subscribed)
        }),
        ..profile("A", 1)
    };
    page.profile(said.clone()).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.profile(who).unwrap(), Some(said));

    let mut page = mirror.page();
    let refused = page.receipt(Receipt::Suppressed {
        who: buyer,
        at: NOW,
    });
    assert!(matches!(refused, Err(MirrorError::NoRecord { .. })));
}

#[test]
fn notes_between_passes_are_kept() {
    let dir = dir();
    let stream = Stream::Events("M1".into());
    let pins = Pins {
        klaviyo_account: Some("AbC".to_owned()),
        shop_domain: Some("x.myshopify.com".to_owned()),
    };
    {
        let mirror = open(&dir);
        let mut page = mirror.page();
        page.pin(&pins);
        page.bind("Gone quiet", &"L1".into());
        page.bind("VIP", &"L2".into());
        page.sentinels(&["P1".into(), "P2".into()]);
        page.mentions(&stream, &["Bounce Type".to_owned()]);
        page.complete_count(&stream, 17);
        page.list(list("L1"));
        page.commit().unwrap();
    }
    let mirror = open(&dir);
    assert_eq!(mirror.pins().unwrap(), pins);
    let sentinels: [ProfileId; 2] = ["P1".into(), "P2".into()];
    assert_eq!(mirror.sentinels().unwrap(), sentinels);
    let mentions = mirror.mentions(&stream).unwrap().unwrap();
    assert_eq!(mentions, ["Bounce Type"]);
    assert_eq!(mirror.complete_count(&stream).unwrap(), Some(17));
    assert_eq!(mirror.complete_count(&Stream::ShopifyOrders).unwrap(), None);

    let mut page = mirror.page();
    page.forget_list(&"L1".into()).unwrap();
    page.commit().unwrap();
    let bound: ListId = "L2".into();
    assert_eq!(
        mirror.bindings().unwrap(),
        BTreeMap::from([("VIP".to_owned(), bound)])
    );
}

#[test]
fn a_record_that_outgrows_its_pack_and_shrinks_again_leaves_its_neighbours_alone() {
    let dir = dir();
    let mirror = open(&dir);
    let slots: Vec<Slot> = {
        let mut page = mirror.page();
        let ids = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
        let slots = ids.map(|id| page.profile(profile(id, 1)).unwrap().unwrap());
        page.commit().unwrap();
        slots.to_vec()
    };
    let keys = || mirror.store.keys(&Shelf::Profiles.key(&[])).count();
    let packs = keys();
    let mut expected: Vec<Profile> = slots
        .iter()
        .map(|slot| mirror.profile(*slot).unwrap().unwrap())
        .collect();
    for (updated, length) in [(2, 3_000), (3, 10), (4, 5_000), (5, 0)] {
        let mut page = mirror.page();
        for changed in [1, 2, 9] {
            let mut longer = profile(expected[changed].id.as_str(), updated);
            let text = Value::Text("x".repeat(length));
            longer.properties.insert("note".to_owned(), text);
            page.profile(longer.clone()).unwrap();
            expected[changed] = longer;
        }
        page.commit().unwrap();
        assert_eq!(keys(), packs + if length > 1_000 { 3 } else { 0 });
        for (slot, expected) in slots.iter().zip(&expected) {
            assert_eq!(mirror.profile(*slot).unwrap().as_ref(), Some(expected));
            assert_eq!(
                mirror.profile_id(*slot).unwrap().as_ref(),
                Some(&expected.id)
            );
        }
        let swept = mirror.records().map(|record| record.unwrap().1);
        let wanted = expected.iter().cloned().map(Record::Profile);
        assert!(swept.eq(wanted), "after {length} bytes");
    }
}

#[test]
fn parts_are_kept_by_stream_and_forgotten_as_a_whole() {
    let dir = dir();
    let mirror = open(&dir);
    let [one, other] = ["M1", "M12"].map(|id| Stream::Events(id.into()));
    let part = |seen| Part {
        seen,
        to: Some(NOW),
        position: Some("next".to_owned()),
        ..Part::default()
    };
    let mut page = mirror.page();
    for number in [0, 1, 300] {
        page.part(&one, number, &part(u64::from(number)));
    }
    page.part(&other, 7, &part(7));
    page.commit().unwrap();
    let expected = [0, 1, 300].map(|number| (number, part(u64::from(number))));
    assert_eq!(mirror.parts(&one).unwrap(), expected.into());
    let mut page = mirror.page();
    page.forget_parts(&one).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.parts(&one).unwrap(), [].into());
    assert_eq!(mirror.parts(&other).unwrap(), [(7, part(7))].into());
}
