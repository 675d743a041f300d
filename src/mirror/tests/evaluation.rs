//! What an evaluation reads in one sweep and leaves behind.

use super::*;
use crate::model::Value;
use crate::model::{Event, Slot};
use proptest::prelude::*;
use roaring::RoaringBitmap;

fn set(slots: &[u32]) -> RoaringBitmap {
    slots.iter().copied().collect()
}

fn ring(mirror: &Mirror, timers: &[(u32, Option<i64>)]) {
    let mut page = mirror.page();
    for (slot, at) in timers {
        page.timer(Slot(*slot), at.map(Moment));
    }
    page.commit().unwrap();
}

#[test]
fn a_membership_is_replaced_where_it_differs_and_forgotten_whole() {
    let dir = dir();
    let mirror = open(&dir);
    assert_eq!(mirror.membership("a").unwrap(), None);
    let nobody = Membership::default();
    let some = Membership {
        inside: set(&[0, 1, 40_000]),
        unknown: (0..100_000).collect(),
    };
    let mut page = mirror.page();
    page.membership("a", &some).unwrap();
    page.membership("ab", &nobody).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.membership("a").unwrap().as_ref(), Some(&some));
    assert_eq!(
        mirror.membership("ab").unwrap(),
        Some(nobody),
        "known to be empty"
    );
    assert_eq!(mirror.membership_keys().unwrap(), ["a", "ab"]);

    let other = Membership {
        inside: set(&[1, 70_000]),
        ..some.clone()
    };
    let mut page = mirror.page();
    page.forget_membership("a").unwrap();
    page.membership("a", &some).unwrap();
    page.membership("a", &other).unwrap();
    page.commit().unwrap();
    assert_eq!(
        mirror.membership("a").unwrap(),
        Some(other),
        "the last one counts"
    );
    let mut page = mirror.page();
    page.forget_membership("a").unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.membership("a").unwrap(), None);
    assert_eq!(mirror.membership_keys().unwrap(), ["ab"]);
    assert_eq!(mirror.store.keys(&Shelf::Memberships.key(&[])).count(), 0);
}

#[test]
fn a_slot_has_one_timer_and_rings_when_its_time_has_come() {
    let dir = dir();
    let mirror = open(&dir);
    assert_eq!(mirror.next_timer().unwrap(), None);
    ring(
        &mirror,
        &[(1, Some(50)), (2, Some(50)), (70_000, Some(-7)), (3, None)],
    );
    let due = |until: i64| mirror.due(Moment(until)).unwrap();
    assert_eq!(due(-8), set(&[]));
    assert_eq!(due(-7), set(&[70_000]));
    assert_eq!(due(50), set(&[1, 2, 70_000]));
    assert_eq!(mirror.next_timer().unwrap(), Some(Moment(-7)));
    ring(&mirror, &[(2, Some(60)), (70_000, None), (1, Some(50))]);
    assert_eq!((due(59), due(60)), (set(&[1]), set(&[1, 2])));
    assert_eq!(mirror.timer(Slot(2)).unwrap(), Some(Moment(60)));
    assert_eq!(mirror.timer(Slot(70_000)).unwrap(), None);
    assert_eq!(mirror.next_timer().unwrap(), Some(Moment(50)));
    ring(&mirror, &[(1, None), (2, None)]);
    for shelf in [Shelf::Timers, Shelf::TimersBySlot] {
        assert_eq!(mirror.store.keys(&shelf.key(&[])).count(), 0, "{shelf:?}");
    }
}

#[test]
fn the_marker_says_what_was_evaluated_and_when() {
    let dir = dir();
    {
        let mirror = open(&dir);
        assert_eq!(mirror.evaluated().unwrap(), None);
        let mut page = mirror.page();
        page.evaluated([7; 32], NOW);
        page.commit().unwrap();
    }
    let (program, at) = ([7; 32], NOW);
    assert_eq!(
        open(&dir).evaluated().unwrap(),
        Some(Evaluated { program, at })
    );
}

/// Profiles as they are written, whether their texts are borrowed or not.
type Swept = Vec<(u32, Vec<u8>, Vec<Event>)>;

fn sweep(mirror: &Mirror, from: u32, to: u32) -> Result<Swept, MirrorError> {
    let mut subjects = mirror.subjects(Slot(from), Slot(to));
    let mut swept = Vec::new();
    while let Some(subject) = subjects.advance()? {
        let profile = codec::encode(&subject.profile);
        swept.push((subject.slot.0, profile, subject.events.to_vec()));
    }
    Ok(swept)
}

/// Profiles with long, short and no timelines, and timelines without a profile between them; records
/// that are too long for their pack, several to a pack and on both sides of its edges.
fn populated(mirror: &Mirror) {
    let mut page = mirror.page();
    let mut events = Vec::new();
    for n in 0..40_i64 {
        let id = format!("P{n}");
        let slot = page.slot_of_profile(&id.as_str().into()).unwrap().unwrap();
        assert_eq!(i64::from(slot.0), n);
        if n % 3 != 1 {
            let mut profile = profile(&id, 1);
            if n % 2 == 0 || n > 33 {
                let note = Value::Text("x".repeat(1_500));
                profile.properties.insert("note".to_owned(), note);
            }
            page.profile(profile).unwrap();
        }
        let count = match n {
            9 => 2_000,
            8 | 11 | 12 | 15 | 16 | 23 | 24 | 26 | 38 | 39 => 150 + n,
            n => n % 4,
        };
        for at in 0..count {
            let properties =
                vec![("p".to_owned(), IncomingValue::Number(at as f64)); (at % 2) as usize];
            events.push(IncomingEvent {
                properties,
                ..event(&format!("e{n}-{at}"), &id, at * 60)
            });
        }
    }
    page.events(&"M".into(), events).unwrap();
    page.commit().unwrap();
    mirror.fold().unwrap();
}

#[test]
fn a_sweep_gives_every_profile_with_its_events_in_any_split() {
    let dir = dir();
    let mirror = open(&dir);
    populated(&mirror);
    let end = mirror.slots().unwrap();
    assert_eq!(end, Slot(40));
    let mut expected = Swept::new();
    let mut buffer = EventBuffer::default();
    for slot in mirror.known_profiles().unwrap() {
        let profile = mirror.profile(Slot(slot)).unwrap().unwrap();
        let events = mirror.timeline(Slot(slot)).unwrap().events;
        mirror.timeline_into(Slot(slot), &mut buffer).unwrap();
        assert_eq!(buffer.events(), events, "slot {slot}");
        expected.push((slot, codec::encode(&profile), events));
    }
    assert_eq!(expected.len(), 27);
    assert_eq!(expected[6].2.len(), 2_000);
    assert_eq!(sweep(&mirror, 0, end.0).unwrap(), expected);
    for cut in 0..=end.0 {
        let mut parts = sweep(&mirror, 0, cut).unwrap();
        parts.extend(sweep(&mirror, cut, end.0).unwrap());
        assert!(parts == expected, "cut at {cut}");
    }
    assert_eq!(sweep(&mirror, 5, 5).unwrap(), []);
    assert_eq!(sweep(&mirror, 9, 3).unwrap(), []);
}

#[test]
fn damage_on_any_shelf_of_an_evaluation_is_reported_and_not_used() {
    let dir = dir();
    let mirror = open(&dir);
    populated(&mirror);
    let id: ListId = "L".into();
    let mut page = mirror.page();
    page.begin_listing(&id, NOW, true).unwrap();
    let joined = Some(NOW);
    let profile = "P0".into();
    page.listing(&id, &[Member { profile, joined }]).unwrap();
    page.complete_listing(&id).unwrap();
    let some = Membership {
        inside: set(&[1]),
        unknown: set(&[2]),
    };
    page.membership("a", &some).unwrap();
    page.timer(Slot(1), Some(NOW));
    page.evaluated([1; 32], NOW);
    page.commit().unwrap();
    type Read<'a> = &'a dyn Fn() -> Result<(), MirrorError>;
    let reads: [(Shelf, &str, Read<'_>); 8] = [
        (Shelf::Changed, "changed profiles", &|| {
            mirror.changed().map(drop)
        }),
        (Shelf::Memberships, "memberships", &|| {
            mirror.membership("a").map(drop)
        }),
        (Shelf::MembershipKeys, "membership keys", &|| {
            mirror.membership_keys().map(drop)
        }),
        (Shelf::Timers, "timers", &|| mirror.due(NOW).map(drop)),
        (Shelf::TimersBySlot, "timers by slot", &|| {
            mirror.timer(Slot(1)).map(drop)
        }),
        (Shelf::Joins, "list joins", &|| mirror.joins(&id).map(drop)),
        (Shelf::Timelines, "timelines", &|| {
            sweep(&mirror, 0, 40).map(drop)
        }),
        (Shelf::Profiles, "profiles", &|| {
            sweep(&mirror, 0, 40).map(drop)
        }),
    ];
    for (shelf, name, read) in reads {
        let key = mirror.store.keys(&shelf.key(&[])).next().unwrap().unwrap();
        read().unwrap();
        for bit in [0, 9, 23] {
            let flip = |value: &mut Vec<u8>| {
                let place = bit / 8 % value.len();
                value[place] ^= 1 << (bit % 8);
            };
            mirror.store.put_raw(&key, flip);
            let refused = read().unwrap_err();
            assert!(
                matches!(refused, MirrorError::BadValue { shelf } if shelf == name),
                "{name}: {refused}"
            );
            mirror.store.put_raw(&key, flip);
        }
        read().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn timers_are_those_set_last(
        pages in proptest::collection::vec(
            proptest::collection::vec((0_u32..600, proptest::option::of(-3_i64..3)), 0..80), 1..5),
    ) {
        let dir = dir();
        let mirror = open(&dir);
        let mut expected: BTreeMap<u32, i64> = BTreeMap::new();
        for page in &pages {
            ring(&mirror, page);
            for (slot, at) in page {
                match at {
                    Some(at) => expected.insert(*slot, *at),
                    None => expected.remove(slot),
                };
            }
        }
        for until in -4..4 {
            let due = expected.iter().filter(|(_, at)| **at <= until).map(|(slot, _)| *slot);
            prop_assert_eq!(mirror.due(Moment(until)).unwrap(), due.collect::<RoaringBitmap>());
        }
        let next = expected.values().min().map(|at| Moment(*at));
        prop_assert_eq!(mirror.next_timer().unwrap(), next);
        for slot in 0..600 {
            let at = expected.get(&slot).map(|at| Moment(*at));
            prop_assert_eq!(mirror.timer(Slot(slot)).unwrap(), at);
        }
    }
}

#[test]
fn damage_anywhere_in_what_a_sweep_reads_ends_it() {
    let dir = dir();
    let mirror = open(&dir);
    populated(&mirror);
    for shelf in [Shelf::Timelines, Shelf::Profiles] {
        let keys: Vec<_> = mirror.store.keys(&shelf.key(&[])).collect();
        assert!(keys.len() > 12, "some lie behind their packs");
        for key in keys {
            let key = key.unwrap();
            mirror.store.put_raw(&key, |value| value[3] ^= 1);
            assert!(sweep(&mirror, 0, 40).is_err(), "{key:?}");
            mirror.store.put_raw(&key, |value| value[3] ^= 1);
        }
    }
    assert_eq!(sweep(&mirror, 0, 40).unwrap().len(), 27);
}
