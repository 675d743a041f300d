use super::*;
use crate::model::Slot;

/// Two profiles, a customer with an order, a guest, and a timeline that is too long for its pack.
fn filled(dir: &TempDir) -> Mirror {
    let mirror = open(dir);
    let mut page = mirror.page();
    page.profile(profile("A", 1)).unwrap();
    page.profile(profile("B", 1)).unwrap();
    page.customer(customer(7)).unwrap();
    let owner = OrderOwner::Customer(CustomerId(7));
    page.order(order(1, owner, 1)).unwrap();
    let guest = OrderOwner::Guest("g@example.com".to_owned());
    page.order(order(2, guest, 1)).unwrap();
    let events = (0..2_000)
        .map(|n| event(&format!("e{n}"), "A", n))
        .collect();
    page.events(&"M".into(), events).unwrap();
    page.commit().unwrap();
    mirror.fold().unwrap();
    mirror
}

/// Changes a value as a mistake of ours would: with a right checksum.
fn change(mirror: &Mirror, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    mirror.store.put_raw(key, |value| {
        let mut body = value[..value.len() - 4].to_vec();
        change(&mut body);
        *value = codec::seal(key, body);
    });
}

#[test]
fn a_sound_mirror_has_no_fault() {
    let dir = dir();
    let audit = filled(&dir).audit().unwrap();
    assert_eq!(audit.faults, [""; 0]);
    let totals = audit.totals;
    let records = (totals.profiles, totals.customers, totals.guests);
    assert_eq!(records, (2, 1, 1));
    assert_eq!((totals.orders, totals.events), (2, 2_000));
    assert!(audit.values > 10, "{}", audit.values);
    let empty = open(&super::dir()).audit().unwrap();
    // Whose keys it takes.
    assert_eq!((empty.values, empty.faults), (1, Vec::new()));
}

#[test]
fn a_damaged_value_is_found_on_any_shelf() {
    let dir = dir();
    let mirror = filled(&dir);
    let sound = mirror.audit().unwrap();
    let keys: Vec<_> = mirror.store.keys(&[]).map(Result::unwrap).collect();
    assert_eq!(keys.len() as u64, sound.values);
    for key in keys {
        mirror.store.put_raw(&key, |value| value[1] ^= 4);
        let damaged = mirror.audit().unwrap();
        assert_eq!(damaged.values, sound.values - 1);
        let [fault] = damaged.faults.as_slice() else {
            panic!("{:?}", damaged.faults);
        };
        assert!(fault.ends_with(": 1 damaged values"), "{fault}");
        mirror.store.put_raw(&key, |value| value[1] ^= 4);
    }
    assert_eq!(mirror.audit().unwrap(), sound);
}

#[test]
fn what_contradicts_itself_is_found() {
    let dir = dir();
    let mirror = filled(&dir);
    let tally = Fact::Tally.key();
    change(&mirror, &tally, |body| body[1] += 1);
    let faults = mirror.audit().unwrap().faults;
    assert_eq!(faults, ["profiles: 2 there, the counter says 3"]);
    change(&mirror, &tally, |body| body[1] -= 1);

    let id = Shelf::Ids.key(&[&[1], b"A"]);
    assert_eq!(mirror.slot_of_profile(&"A".into()).unwrap(), Some(Slot(0)));
    change(&mirror, &id, |body| body[1] = 1);
    let faults = mirror.audit().unwrap().faults;
    assert_eq!(
        faults,
        ["profiles: 1 ids lead to another record, or to none"]
    );
    change(&mirror, &id, |body| body[1] = 0);

    let pack = Shelf::Profiles.slot(Slot(0));
    change(&mirror, &pack, |body| body.truncate(body.len() - 1));
    let faults = mirror.audit().unwrap().faults;
    assert_eq!(
        faults,
        ["profiles: a sound value that cannot be understood"]
    );
}
