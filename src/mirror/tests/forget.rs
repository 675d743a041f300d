use super::*;
use crate::vault::Subject;

const WHEN: Moment = Moment::from_secs(1_790_000_500);

/// A profile and a customer of one person, a guest's address, somebody else, and what they left.
fn fill(mirror: &Mirror) {
    let mut page = mirror.page();
    page.profile(profile("ANNE", 1)).unwrap();
    page.profile(profile("BEN", 1)).unwrap();
    page.customer(customer(7)).unwrap();
    let guest = || OrderOwner::Guest("Anne@example.com".to_owned());
    for (id, owner) in [
        (1, OrderOwner::Customer(CustomerId(7))),
        (2, guest()),
        (3, OrderOwner::Customer(CustomerId(8))),
    ] {
        page.order(order(id, owner, 1)).unwrap();
    }
    let long = (0..2_000).map(|n| event(&format!("e{n}"), "ANNE", 10 + n));
    page.events(&"M".into(), long.collect()).unwrap();
    page.events(&"M".into(), vec![event("e", "BEN", 10)])
        .unwrap();
    page.begin_listing(&"L".into(), NOW, true).unwrap();
    page.listing(&"L".into(), &members(&["ANNE", "BEN"]))
        .unwrap();
    page.complete_listing(&"L".into()).unwrap();
    page.sentinels(&["ANNE".into(), "BEN".into()]);
    page.commit().unwrap();
    mirror.fold().unwrap();
    let anne = mirror.slot_of_profile(&"ANNE".into()).unwrap().unwrap();
    let mut page = mirror.page();
    let inside = [anne.0].into_iter().collect();
    let membership = Membership {
        inside,
        ..Membership::default()
    };
    page.membership("vip", &membership).unwrap();
    page.timer(anne, Some(WHEN));
    page.commit().unwrap();
}

fn forget_anne(vault: &Vault) {
    let anne = [
        vault.mark(Subject::Profile(&"ANNE".into())),
        vault.mark(Subject::Customer(CustomerId(7))),
        vault.mark(Subject::Address("anne@example.com")),
    ];
    vault.forget(&anne, WHEN).unwrap();
}

fn expect_no_anne(mirror: &Mirror) {
    let all = lines(mirror).join("\n");
    assert!(!all.contains("ANNE") && !all.contains("anne@"), "{all}");
    assert_eq!(mirror.slot_of_profile(&"ANNE".into()).unwrap(), None);
    assert_eq!(mirror.slot_of_customer(CustomerId(7)).unwrap(), None);
    let (ben, one) = (mirror.slot_of_profile(&"BEN".into()).unwrap().unwrap(), 1);
    let listed = mirror.members(&"L".into(), NOW).unwrap().unwrap();
    assert_eq!(listed.iter().collect::<Vec<_>>(), [ben.0]);
    assert_eq!(mirror.timeline(ben).unwrap().events.len(), one);
    assert_eq!(
        mirror.membership("vip").unwrap().unwrap(),
        Membership::default()
    );
    assert_eq!(mirror.next_timer().unwrap(), None);
    assert_eq!(mirror.sentinels().unwrap(), ["BEN".into()]);
    for id in [1, 2] {
        let order = mirror.order(OrderId(id)).unwrap().unwrap();
        assert_eq!(order.owner, OrderOwner::Nobody);
    }
    let other = mirror.order(OrderId(3)).unwrap().unwrap();
    assert_eq!(other.owner, OrderOwner::Customer(CustomerId(8)));
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
}

#[test]
fn everything_of_a_person_goes_and_nothing_of_anybody_else() {
    let dir = dir();
    let mirror = open(&dir);
    fill(&mirror);
    assert_eq!(mirror.forget().unwrap(), 0);
    forget_anne(mirror.vault());
    assert_eq!(mirror.forget().unwrap(), 3);
    assert_eq!(mirror.forget().unwrap(), 0);
    expect_no_anne(&mirror);
    assert_eq!(mirror.totals().unwrap().profiles, 1);
}

#[test]
fn who_was_forgotten_is_not_taken_in_again() {
    let dir = dir();
    let mirror = open(&dir);
    fill(&mirror);
    forget_anne(mirror.vault());
    mirror.forget().unwrap();
    let before = lines(&mirror);
    let mut page = mirror.page();
    assert_eq!(page.profile(profile("ANNE", 9)).unwrap(), None);
    assert_eq!(page.slot_of_profile(&"ANNE".into()).unwrap(), None);
    assert_eq!(page.customer(customer(7)).unwrap(), None);
    // By the address alone, under another id.
    let again = Profile {
        email: Some("Anne@Example.com".to_owned()),
        ..Profile::new("ANNE2")
    };
    assert_eq!(page.profile(again).unwrap(), None);
    let guest = OrderOwner::Guest("ANNE@example.com".to_owned());
    let nobody = page.slot_of_nobody().unwrap();
    assert_eq!(page.order(order(2, guest, 5)).unwrap(), nobody);
    let staged = page
        .events(&"M".into(), vec![event("x", "ANNE", 99)])
        .unwrap();
    assert_eq!((staged.events, staged.orphans), (0, 1));
    page.begin_listing(&"L".into(), NOW, false).unwrap();
    page.listing(&"L".into(), &members(&["ANNE", "BEN"]))
        .unwrap();
    assert_eq!(page.complete_listing(&"L".into()).unwrap().after, 1);
    page.commit().unwrap();
    mirror.fold().unwrap();
    expect_no_anne(&mirror);
    let after: Vec<String> = lines(&mirror);
    assert_eq!(after.len(), before.len());
}

#[test]
fn who_is_forgotten_during_a_listing_is_not_on_it() {
    let dir = dir();
    let mirror = open(&dir);
    fill(&mirror);
    let mut page = mirror.page();
    page.begin_listing(&"L".into(), NOW, false).unwrap();
    page.listing(&"L".into(), &members(&["ANNE", "BEN"]))
        .unwrap();
    page.commit().unwrap();
    forget_anne(mirror.vault());
    mirror.forget().unwrap();
    let mut page = mirror.page();
    page.listing(&"L".into(), &members(&["BEN"])).unwrap();
    assert_eq!(page.complete_listing(&"L".into()).unwrap().after, 1);
    page.commit().unwrap();
    expect_no_anne(&mirror);
    assert_eq!(mirror.members_forgotten(&"L".into()).unwrap(), 1);
}

#[test]
fn a_mirror_of_before_forgets_when_it_is_opened() {
    let dir = dir();
    let mirror = open(&dir);
    fill(&mirror);
    // A kill after the keys were destroyed, or a backup of before.
    forget_anne(mirror.vault());
    drop(mirror);
    expect_no_anne(&open(&dir));
}

#[test]
fn no_name_lies_open_in_the_store() {
    let dir = dir();
    let mirror = open(&dir);
    fill(&mirror);
    let mut bytes = Vec::new();
    let seen = mirror.copy(|key, value| {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Ok::<(), MirrorError>(())
    });
    seen.unwrap();
    for name in ["example.com", "vip", "dl-old"] {
        let found = bytes
            .windows(name.len())
            .filter(|at| *at == name.as_bytes());
        // `vip` is the name of a segment, too.
        assert_eq!(found.count(), if name == "vip" { 3 } else { 0 }, "{name}");
    }
}
