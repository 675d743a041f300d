use super::*;
use crate::model::{Record, Slot};
use crate::vault::Subject;

const WHEN: Moment = Moment::from_secs(1_790_000_500);

/// A profile on a list and in a segment, a customer with an order, and somebody else.
fn fill(mirror: &Mirror) -> (Slot, Slot) {
    let mut page = mirror.page();
    let anne = page.profile(profile("ANNE", 1)).unwrap().unwrap();
    page.profile(profile("BEN", 1)).unwrap();
    let seven = page.customer(customer(7)).unwrap().unwrap();
    let owner = OrderOwner::Customer(CustomerId(7));
    page.order(order(1, owner.clone(), 1)).unwrap();
    page.order(order(2, owner, 1)).unwrap();
    page.events(
        &"M".into(),
        vec![event("e", "ANNE", 10), event("f", "BEN", 10)],
    )
    .unwrap();
    page.begin_listing(&"L".into(), NOW, true).unwrap();
    page.listing(&"L".into(), &members(&["ANNE", "BEN"]))
        .unwrap();
    page.complete_listing(&"L".into()).unwrap();
    page.commit().unwrap();
    mirror.fold().unwrap();
    let mut page = mirror.page();
    let membership = Membership {
        inside: [anne.0].into_iter().collect(),
        ..Membership::default()
    };
    page.membership("vip", &membership).unwrap();
    page.timer(anne, Some(WHEN));
    page.commit().unwrap();
    (anne, seven)
}

fn send_away(mirror: &Mirror) -> (u64, u64) {
    let mut page = mirror.page();
    let profiles = page.profiles_gone(&["ANNE".into(), "NOBODY".into()], WHEN);
    let customers = page.customers_gone(&[CustomerId(7), CustomerId(99)], WHEN);
    let went = (profiles.unwrap(), customers.unwrap());
    page.commit().unwrap();
    went
}

#[test]
fn a_record_that_is_gone_counts_nowhere_and_is_kept_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = open(&dir);
    let (anne, seven) = fill(&mirror);
    let before = mirror.record(anne).unwrap();
    assert_eq!(send_away(&mirror), (1, 1));
    assert_eq!(send_away(&mirror), (0, 0));
    assert_eq!(mirror.record(anne).unwrap(), None);
    assert!(!mirror.known_profiles().unwrap().contains(anne.0));
    let there: Vec<Slot> = mirror.records().map(|one| one.unwrap().0).collect();
    assert!(!there.contains(&anne) && !there.contains(&seven));
    assert!(
        !mirror
            .members(&"L".into(), NOW)
            .unwrap()
            .unwrap()
            .contains(anne.0)
    );
    assert_eq!(mirror.members_forgotten(&"L".into()).unwrap(), 0);
    let vip = mirror.membership("vip").unwrap().unwrap();
    assert!(vip.inside.is_empty());
    assert!(!mirror.changed().unwrap().contains(anne.0));
    let totals = mirror.totals().unwrap();
    assert_eq!((totals.profiles, totals.customers), (1, 0));
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
    let all = lines(&mirror).join("\n");
    assert!(!all.contains("ANNE"), "{all}");

    assert_eq!(mirror.gone_since(anne).unwrap(), Some(WHEN));
    assert_eq!(mirror.gone_record(anne).unwrap(), before);
    let gone: Vec<(Slot, Record)> = mirror.gone_records().map(Result::unwrap).collect();
    assert_eq!(gone.len(), 2);
    assert_eq!(mirror.profile_id(anne).unwrap(), Some("ANNE".into()));
    assert_eq!(mirror.customer_id(seven).unwrap(), Some(CustomerId(7)));
    assert_eq!(mirror.orders(seven).unwrap().len(), 2);
}

#[test]
fn whoever_comes_back_counts_again_under_the_same_number() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = open(&dir);
    let (anne, _) = fill(&mirror);
    send_away(&mirror);
    let mut page = mirror.page();
    assert_eq!(page.profile(profile("ANNE", 1)).unwrap(), Some(anne));
    page.customer(customer(7)).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.gone_since(anne).unwrap(), None);
    assert_eq!(mirror.timeline(anne).unwrap().events.len(), 1);
    assert!(mirror.changed().unwrap().contains(anne.0));
    assert_eq!(mirror.totals().unwrap().profiles, 2);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
}

#[test]
fn an_order_that_is_gone_leaves_its_book() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = open(&dir);
    let (_, seven) = fill(&mirror);
    let mut page = mirror.page();
    assert_eq!(page.orders_gone(&[OrderId(1), OrderId(9)]).unwrap(), 1);
    page.commit().unwrap();
    let left: Vec<OrderId> = mirror
        .orders(seven)
        .unwrap()
        .into_iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(left, [OrderId(2)]);
    assert_eq!(mirror.order(OrderId(1)).unwrap(), None);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
    let mut page = mirror.page();
    page.order(order(1, OrderOwner::Nobody, 2)).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.totals().unwrap().orders, 2);
}

#[test]
fn what_was_kept_of_somebody_gone_is_forgotten_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = open(&dir);
    let (anne, _) = fill(&mirror);
    send_away(&mirror);
    let vault = mirror.vault().clone();
    let mark = vault.mark(Subject::Profile(&"ANNE".into()));
    vault.forget(&[mark], WHEN).unwrap();
    assert_eq!(mirror.forget().unwrap(), 1);
    assert_eq!(mirror.gone_since(anne).unwrap(), None);
    assert_eq!(mirror.profile_id(anne).unwrap(), None);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
}
