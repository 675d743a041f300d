use super::*;
use crate::mirror::staging::PART_BYTES;
use crate::mirror::window::{MOST_BYTES, Place, Share};
use crate::model::{Atom, Event, Metric, MetricNo, TextNo};
use proptest::prelude::*;

fn metric(id: &str) -> Metric {
    Metric {
        id: id.into(),
        name: format!("metric {id}"),
        integration: None,
    }
}

fn fill(mirror: &Mirror, pages: &[(&str, Vec<IncomingEvent>)]) {
    for (metric, events) in pages {
        let mut page = mirror.page();
        page.events(&(*metric).into(), events.clone()).unwrap();
        page.commit().unwrap();
    }
}

fn timeline(mirror: &Mirror, id: &str) -> Vec<Event> {
    let slot = mirror.slot_of_profile(&id.into()).unwrap().unwrap();
    mirror.timeline(slot).unwrap().events
}

#[test]
fn names_become_numbers_and_come_back() {
    let dir = dir();
    let text = |text: &str| IncomingValue::Text(text.to_owned());
    let rich = IncomingEvent {
        value: Some(Money(-1)),
        properties: vec![
            ("machine_open".to_owned(), IncomingValue::Bool(true)),
            ("Bounce Type".to_owned(), text("Soft")),
            ("Bounce Type".to_owned(), text("second one is ignored")),
            ("Items".to_owned(), IncomingValue::Number(2.5)),
        ],
        ..event("e1", "A", 100)
    };
    let orphan = IncomingEvent {
        profile: None,
        ..event("e2", "", 1)
    };
    {
        let mirror = open(&dir);
        let mut page = mirror.page();
        page.metric(metric("M0")).unwrap();
        let staged = page.events(&"M1".into(), vec![rich, orphan]).unwrap();
        assert_eq!(
            staged,
            Staged {
                events: 1,
                orphans: 1
            }
        );
        page.commit().unwrap();
        let id: Vec<MetricId> = mirror
            .metrics()
            .unwrap()
            .into_iter()
            .map(|m| m.id)
            .collect();
        assert_eq!(id, ["M0".into()], "only named so far: M1");
    }
    let mirror = open(&dir);
    let mut page = mirror.page();
    assert_eq!(page.metric(metric("M1")).unwrap(), MetricNo(1));
    page.commit().unwrap();
    mirror.fold().unwrap();
    let vocabulary = mirror.vocabulary().unwrap();
    assert_eq!(vocabulary.metrics, [metric("M0"), metric("M1")]);
    let bounce = vocabulary.property("Bounce Type").unwrap();
    let events = timeline(&mirror, "A");
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].at, events[0].metric), (100, MetricNo(1)));
    assert_eq!(events[0].value, Some(Money(-1)));
    assert_eq!(events[0].property(bounce), Some(Atom::Text(TextNo(0))));
    assert_eq!(vocabulary.text(TextNo(0)), Some("Soft"));
    let items = vocabulary.property("Items").unwrap();
    assert_eq!(events[0].property(items), Some(Atom::Number(2.5)));
}

#[test]
fn an_event_pulled_again_with_more_properties_replaces_the_poorer_one() {
    let dir = dir();
    let mirror = open(&dir);
    fill(
        &mirror,
        &[("M", vec![event("e", "A", 1), event("f", "A", 9)])],
    );
    mirror.fold().unwrap();
    let richer = IncomingEvent {
        properties: vec![("p".to_owned(), IncomingValue::Bool(true))],
        ..event("e", "A", 1)
    };
    fill(
        &mirror,
        &[("M", vec![event("e", "A", 1)]), ("M", vec![richer])],
    );
    let folded = mirror.fold().unwrap();
    assert_eq!((folded.events, folded.added), (2, 0));
    let events = timeline(&mirror, "A");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].properties.len(), 1);
    assert_eq!(mirror.totals().unwrap().events, 2);
}

#[test]
fn a_timeline_of_thousands_is_cut_and_comes_back_in_order() {
    let dir = dir();
    let mirror = open(&dir);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut times: Vec<i64> = (0..4000).map(|_| rng.i64(-5000..200_000)).collect();
    // Very many in one second: they cannot be cut apart.
    times.extend([777; 1000]);
    rng.shuffle(&mut times);
    let events: Vec<_> = (0..)
        .zip(&times)
        .map(|(n, at)| event(&format!("e{n}"), "A", *at))
        .collect();
    for events in events.chunks(700) {
        fill(&mirror, &[("M", events.to_vec())]);
        mirror.fold().unwrap();
    }
    let stored: Vec<i64> = timeline(&mirror, "A")
        .iter()
        .map(|event| event.at)
        .collect();
    times.sort_unstable();
    assert_eq!(stored, times);
    let chunks = mirror.store.scan(&Shelf::Timelines.key(&[]));
    let sizes: Vec<usize> = chunks.map(|pair| pair.unwrap().1.len()).collect();
    assert!(sizes.len() > 4, "{sizes:?}");
    let long = sizes.iter().filter(|size| **size > 7000).count();
    assert!(long <= 1, "{sizes:?}");
    fill(&mirror, &[("M", events)]);
    assert_eq!(mirror.fold().unwrap().added, 0);
}

/// Ids, owners and instants that collide often.
fn any_event() -> impl Strategy<Value = (String, IncomingEvent)> {
    (0..3_u8, 0..12_u16, 0..4_u8, -2..12_i64).prop_map(|(metric, id, owner, at)| {
        let event = event(&format!("e{id}"), &format!("P{owner}"), at);
        (format!("M{metric}"), event)
    })
}

/// What the timelines must be: sorted, without repeats.
fn expected(events: &[(String, IncomingEvent)]) -> Vec<(String, i64, String, u32)> {
    let keys = events.iter().map(|(metric, event)| {
        let owner = event.profile.clone().unwrap().to_string();
        let id = crc32c::crc32c(event.id.as_bytes());
        (owner, event.at.secs(), metric.clone(), id)
    });
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys.dedup();
    keys
}

fn found(mirror: &Mirror) -> Vec<(String, i64, String, u32)> {
    let vocabulary = mirror.vocabulary().unwrap();
    let mut keys = Vec::new();
    for record in mirror.records() {
        let (slot, _) = record.unwrap();
        let owner = mirror.profile_id(slot).unwrap().unwrap().to_string();
        for event in mirror.timeline(slot).unwrap().events {
            let metric = &vocabulary.metrics[usize::from(event.metric.0)];
            keys.push((owner.clone(), event.at, metric.id.to_string(), event.id));
        }
    }
    keys.sort();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn events_in_any_order_repeated_and_across_pages_fold_to_one_timeline(
        events in proptest::collection::vec(any_event(), 1..60),
        folds in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let dir = dir();
        let mirror = open(&dir);
        for ((metric, event), fold) in events.iter().zip(folds) {
            let mut page = mirror.page();
            page.events(&metric.as_str().into(), vec![event.clone()]).unwrap();
            page.commit().unwrap();
            if fold {
                mirror.fold().unwrap();
            }
        }
        mirror.fold().unwrap();
        prop_assert_eq!(found(&mirror), expected(&events));
        let total = mirror.totals().unwrap().events;
        prop_assert_eq!(total, expected(&events).len() as u64);
        prop_assert_eq!(mirror.audit().unwrap().faults, Vec::<String>::new());
    }
}

#[test]
fn a_fold_cut_off_after_any_commit_is_finished_by_the_next_one() {
    let owners = 2500;
    let fill_both = |mirror: &Mirror| {
        for round in 0..2 {
            let events =
                (0..owners).map(|n| event(&format!("e{n}"), &format!("P{n}"), n % 7 + round));
            fill(mirror, &[("M", events.collect())]);
        }
    };
    let whole = dir();
    let reference = open(&whole);
    fill_both(&reference);
    reference.fold().unwrap();
    let (lines_whole, totals) = (lines(&reference), reference.totals().unwrap());
    assert_eq!(totals.events, 5000);
    let mut asked = 0;
    let mut is_folded = false;
    while !is_folded {
        let dir = dir();
        {
            let mirror = open(&dir);
            fill_both(&mirror);
            let mut left = 0..asked;
            let goes_on = |_| left.next().is_some();
            mirror.fold_while(&BTreeMap::new(), goes_on).unwrap();
            is_folded = mirror.store.keys(&Shelf::Staged.key(&[])).count() == 0;
        }
        let mirror = open(&dir);
        mirror.fold().unwrap();
        assert_eq!(lines(&mirror), lines_whole, "stopped after {asked}");
        assert_eq!(mirror.totals().unwrap(), totals, "stopped after {asked}");
        assert_eq!(mirror.fold().unwrap(), Folded::default());
        asked += 1;
    }
    // The people have several shares, each with slots and timelines.
    assert!(asked > 8, "{asked}");
}

#[test]
fn a_fold_beside_other_pages_leaves_the_same_mirror() {
    let (beside, after) = (dir(), dir());
    let (beside, after) = (open(&beside), open(&after));
    let people = 3_000;
    let stage = |mirror: &Mirror| {
        let events =
            (0..2 * people).map(|n| event(&format!("e{n}"), &format!("P{}", n % people), n));
        fill(mirror, &[("M", events.collect())]);
    };
    let read_others = |mirror: &Mirror| {
        let id: ListId = "L".into();
        let mut page = mirror.page();
        page.begin_listing(&id, NOW, false).unwrap();
        page.commit().unwrap();
        for n in 0..people / 10 {
            let name = format!("P{}", n * 7 % people);
            let mut page = mirror.page();
            page.profile(profile(&name, n)).unwrap();
            page.listing(&id, &members(&[&name])).unwrap();
            page.commit().unwrap();
        }
        let mut page = mirror.page();
        page.complete_listing(&id).unwrap();
        page.commit().unwrap();
    };
    stage(&beside);
    std::thread::scope(|scope| {
        scope.spawn(|| read_others(&beside));
        beside.fold().unwrap();
    });
    stage(&after);
    read_others(&after);
    after.fold().unwrap();
    assert_eq!(beside.digest().unwrap(), after.digest().unwrap());
    assert_eq!(beside.audit().unwrap().faults, [""; 0]);
}

#[test]
fn one_who_has_most_events_makes_windows_smaller_and_no_share_larger() {
    let dir = dir();
    let mirror = open(&dir);
    let kiosk = (0..20_000).map(|n| event(&format!("k{n}"), "KIOSK", n));
    fill(&mirror, &[("M", kiosk.collect())]);
    let others = (0..3_000).map(|n| event(&format!("e{n}"), &format!("P{n}"), n % 7));
    fill(&mirror, &[("M", others.collect())]);

    let (window, first) = mirror.read_window().unwrap();
    assert!(window.shares <= 4, "{}", window.shares);
    let rest = (1..window.shares).map(|number| mirror.read_share(&window, number).unwrap());
    let shares: Vec<Share> = std::iter::once(first).chain(rest).collect();
    let kiosk: &ProfileId = &"KIOSK".into();
    assert!(
        shares
            .iter()
            .any(|share| share.owners.contains_key(kiosk.as_str()))
    );
    for share in &shares {
        let bytes = share.places.len() * size_of::<Place>() + share.tails.len();
        assert!(bytes < MOST_BYTES + PART_BYTES * 4, "{bytes}");
    }
    mirror.fold().unwrap();
    assert_eq!(mirror.totals().unwrap().events, 23_000);
    assert_eq!(timeline(&mirror, "KIOSK").len(), 20_000);
}
