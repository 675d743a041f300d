//! Whose memberships must be evaluated again.

use super::*;
use crate::model::{PropertyChange, Slot, Value};
use roaring::RoaringBitmap;
use std::time::Duration;

/// Commits one page and tells whom it marked, by id and sorted.
fn marked(mirror: &Mirror, change: impl FnOnce(&mut Page<'_>)) -> Vec<String> {
    settle(mirror);
    let mut page = mirror.page();
    change(&mut page);
    page.commit().unwrap();
    changed(mirror)
}

fn changed(mirror: &Mirror) -> Vec<String> {
    let changed = mirror.changed().unwrap();
    let ids = changed.iter().map(|slot| mirror.profile_id(Slot(slot)));
    let mut ids: Vec<String> = ids.map(|id| id.unwrap().unwrap().to_string()).collect();
    ids.sort();
    ids
}

fn settle(mirror: &Mirror) {
    let changed = mirror.changed().unwrap();
    let mut page = mirror.page();
    page.settle(&changed).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.changed().unwrap(), RoaringBitmap::new());
}

fn joined_at(id: &str, at: i64) -> Member {
    Member {
        profile: id.into(),
        joined: Some(Moment::from_secs(at)),
    }
}

fn list_whole(page: &mut Page<'_>, members: &[Member], begun: Moment, keep_times: bool) {
    let id = "L".into();
    page.begin_listing(&id, begun, keep_times).unwrap();
    page.listing(&id, members).unwrap();
    page.complete_listing(&id).unwrap();
}

#[test]
fn a_profile_is_marked_when_it_arrives_or_changes_and_not_when_it_is_read_again() {
    let dir = dir();
    let mirror = open(&dir);
    let store = |profile: Profile| {
        marked(&mirror, |page| {
            page.profile(profile).unwrap();
        })
    };
    assert_eq!(store(profile("A", 1)), ["A"]);
    assert_eq!(store(profile("A", 1)), [""; 0]);
    assert_eq!(store(profile("A", 0)), [""; 0], "older");
    let named = Profile {
        country: Some("Chad".to_owned()),
        ..profile("A", 1)
    };
    assert_eq!(store(named), ["A"]);
    let changes = [PropertyChange {
        key: "dl_stage".to_owned(),
        from: None,
        to: Some(Value::Int(1)),
    }];
    let ours = marked(&mirror, |page| {
        let (who, changes) = (Slot(0), &changes[..]);
        page.receipt(Receipt::Properties { who, changes }).unwrap();
    });
    assert_eq!(ours, ["A"]);
    let dropped = mirror.page();
    drop(dropped);
    drop(mirror);
    assert_eq!(changed(&open(&dir)), ["A"], "a mark is durable");
}

#[test]
fn events_mark_their_profile_once_they_are_folded_and_repeats_do_not() {
    let dir = dir();
    let mirror = open(&dir);
    let fold = |events: Vec<IncomingEvent>| {
        let staged = marked(&mirror, |page| {
            page.events(&"M".into(), events).unwrap();
        });
        assert_eq!(staged, [""; 0]);
        mirror.fold().unwrap();
        changed(&mirror)
    };
    assert_eq!(
        fold(vec![event("e", "A", 5), event("f", "B", 5)]),
        ["A", "B"]
    );
    assert_eq!(
        fold(vec![event("e", "A", 5)]),
        [""; 0],
        "the day before is read again"
    );
    assert_eq!(
        fold(vec![event("e", "A", 5), event("g", "B", 4)]),
        ["B"],
        "put in place"
    );
    assert_eq!(fold(vec![event("h", "A", 6)]), ["A"], "appended");
    let richer = IncomingEvent {
        properties: vec![("p".to_owned(), IncomingValue::Bool(true))],
        ..event("h", "A", 6)
    };
    assert_eq!(fold(vec![richer]), ["A"]);
}

#[test]
fn a_list_marks_who_joined_left_and_joined_again() {
    let dir = dir();
    let mirror = open(&dir);
    let minutes = |count: u64| NOW.plus(Duration::from_secs(count * 60));
    let list = |members: &[Member], at: Moment, keep: bool| {
        marked(&mirror, |page| list_whole(page, members, at, keep))
    };
    assert_eq!(list(&members(&["A", "B"]), NOW, false), ["A", "B"]);
    assert_eq!(list(&members(&["B", "C"]), NOW, false), ["A", "C"]);
    let timed = [joined_at("B", 1), joined_at("C", 2)];
    assert_eq!(list(&timed, NOW, true), ["B", "C"], "times are new");
    assert_eq!(list(&timed, NOW, true), [""; 0]);
    assert_eq!(
        list(&[joined_at("B", 1), joined_at("C", 9)], NOW, true),
        ["C"]
    );

    let id: ListId = "L".into();
    let join = |members: &[Member]| marked(&mirror, |page| page.joined(&id, members).unwrap());
    assert_eq!(join(&[joined_at("D", 20)]), ["D"]);
    assert_eq!(
        join(&[joined_at("D", 20)]),
        [""; 0],
        "the overlap is read again"
    );
    assert_eq!(join(&[joined_at("D", 30)]), ["D"]);

    let (who, at) = (
        mirror.slot_of_profile(&"B".into()).unwrap().unwrap(),
        minutes(1),
    );
    let write = |page: &mut Page<'_>| {
        let (list, on) = (&id, false);
        page.receipt(Receipt::Membership { list, who, on, at })
            .unwrap();
    };
    assert_eq!(marked(&mirror, write), ["B"]);
    let all = [joined_at("B", 1), joined_at("C", 9), joined_at("D", 30)];
    assert_eq!(list(&all, minutes(2), true), ["B"], "the listing may lag");
    assert_eq!(
        list(&all, minutes(60), true),
        ["B"],
        "the receipt has expired"
    );
    assert_eq!(list(&all, minutes(60), true), [""; 0]);
    let forgotten = marked(&mirror, |page| page.forget_list(&id).unwrap());
    assert_eq!(forgotten, ["B", "C", "D"]);
    assert_eq!(mirror.store.keys(&Shelf::Joins.key(&[])).count(), 0);
}

#[test]
fn a_mark_of_the_same_page_outlives_its_settling() {
    let dir = dir();
    let mirror = open(&dir);
    let all: RoaringBitmap = (0..100_000).collect();
    let left = marked(&mirror, |page| {
        page.profile(profile("A", 1)).unwrap();
        page.settle(&all).unwrap();
    });
    assert_eq!(left, ["A"]);
    let mut page = mirror.page();
    page.settle(&all).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.store.keys(&Shelf::Changed.key(&[])).count(), 0);
}

#[test]
fn times_of_joining_come_back_and_only_when_they_were_kept() {
    let dir = dir();
    let mirror = open(&dir);
    let id: ListId = "L".into();
    assert_eq!(mirror.joins(&id).unwrap(), None);
    marked(&mirror, |page| {
        list_whole(page, &[joined_at("A", 1)], NOW, false)
    });
    assert_eq!(mirror.joins(&id).unwrap(), None, "not kept");
    assert!(!mirror.keeps_times(&id).unwrap());
    {
        let mut page = mirror.page();
        page.begin_listing(&id, NOW, true).unwrap();
        page.listing(&id, &[joined_at("C", 3), joined_at("A", -1)])
            .unwrap();
        page.commit().unwrap();
    }
    assert_eq!(mirror.joins(&id).unwrap(), None, "not complete");
    assert!(mirror.keeps_times(&id).unwrap());
    let untimed = members(&["B"]);
    marked(&mirror, |page| {
        page.listing(&id, &untimed).unwrap();
        page.listing(&id, &[joined_at("D", 4)]).unwrap();
        page.complete_listing(&id).unwrap();
    });
    marked(&mirror, |page| {
        page.joined(&id, &[joined_at("C", 7)]).unwrap()
    });
    let joins = mirror.joins(&id).unwrap().unwrap();
    let of = |id: &str| {
        let slot = mirror.slot_of_profile(&id.into()).unwrap().unwrap();
        joins.get(slot).map(Moment::secs)
    };
    let found = ["A", "B", "C", "D"].map(of);
    assert_eq!(found, [Some(-1), None, Some(7), Some(4)]);
    drop(mirror);
    assert_eq!(open(&dir).joins(&id).unwrap(), Some(joins));
}
