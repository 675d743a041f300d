use super::*;
use crate::model::{GroupDay, GroupId, Slot};
use roaring::RoaringBitmap;
use std::time::Duration;

fn minutes(count: u64) -> Moment {
    NOW.plus(Duration::from_secs(count * 60))
}

fn shown(mirror: &Mirror, id: &ListId, now: Moment) -> Option<Vec<String>> {
    let slots = mirror.members(id, now).unwrap()?;
    let names = slots
        .iter()
        .map(|slot| mirror.profile_id(Slot(slot)).unwrap());
    Some(names.map(|id| id.unwrap().to_string()).collect())
}

fn list_whole(mirror: &Mirror, id: &ListId, ids: &[&str], now: Moment) -> Listed {
    let mut page = mirror.page();
    page.begin_listing(id, now, false).unwrap();
    page.listing(id, &members(ids)).unwrap();
    let listed = page.complete_listing(id).unwrap();
    page.commit().unwrap();
    listed
}

#[test]
fn a_listing_becomes_visible_only_when_complete() {
    let dir = dir();
    let id: ListId = "L".into();
    {
        let mirror = open(&dir);
        assert_eq!(shown(&mirror, &id, NOW), None);
        let listed = list_whole(&mirror, &id, &["A", "B"], NOW);
        assert_eq!((listed.before, listed.after), (None, 2));

        let mut page = mirror.page();
        page.begin_listing(&id, minutes(60), false).unwrap();
        page.listing(&id, &members(&["B", "C"])).unwrap();
        page.commit().unwrap();
        let kept = Some(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!(shown(&mirror, &id, minutes(60)), kept);
    }
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.listing(&id, &members(&["C", "D"])).unwrap();
    let listed = page.complete_listing(&id).unwrap();
    assert_eq!((listed.before, listed.after), (Some(2), 3), "C counts once");
    page.commit().unwrap();
    let now = Some(vec!["B".to_owned(), "C".to_owned(), "D".to_owned()]);
    assert_eq!(shown(&mirror, &id, minutes(61)), now);
    assert_eq!(mirror.listed_at(&id).unwrap(), Some(minutes(60)));
    let generations = mirror.store.keys(&Shelf::Members.key(&[])).count();
    assert_eq!(generations, 1, "the replaced one is gone");
}

#[test]
fn a_listing_of_many_scattered_pages_is_whole_after_a_restart() {
    let dir = dir();
    let id: ListId = "L".into();
    let name = |number: u32| format!("P{number}");
    let pages = 600_u32;
    let lay_down = |mirror: &Mirror, numbers: std::ops::Range<u32>| {
        for number in numbers {
            // Everybody comes on two pages, far from their neighbours.
            let on_page = [number, number + 1].map(|number| name(number * 7919 % 1_000_003));
            let on_page: Vec<&str> = on_page.iter().map(String::as_str).collect();
            let mut page = mirror.page();
            page.listing(&id, &members(&on_page)).unwrap();
            page.commit().unwrap();
        }
    };
    {
        let mirror = open(&dir);
        let mut page = mirror.page();
        page.begin_listing(&id, NOW, false).unwrap();
        page.commit().unwrap();
        lay_down(&mirror, 0..pages / 2);
    }
    let mirror = open(&dir);
    lay_down(&mirror, pages / 2..pages);
    let mut page = mirror.page();
    let listed = page.complete_listing(&id).unwrap();
    page.commit().unwrap();
    assert_eq!((listed.before, listed.after), (None, u64::from(pages) + 1));
    let mut expected: Vec<String> = (0..=pages)
        .map(|number| name(number * 7919 % 1_000_003))
        .collect();
    let mut shown = shown(&mirror, &id, NOW).unwrap();
    expected.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(mirror.store.keys(&Shelf::ListingPages.key(&[])).count(), 0);
}

#[test]
fn an_abandoned_listing_leaves_nothing_behind() {
    let dir = dir();
    let mirror = open(&dir);
    let id: ListId = "L".into();
    let mut page = mirror.page();
    page.begin_listing(&id, NOW, false).unwrap();
    page.listing(&id, &members(&["STALE"])).unwrap();
    page.commit().unwrap();
    list_whole(&mirror, &id, &[], minutes(1));
    assert_eq!(shown(&mirror, &id, minutes(1)), Some(Vec::new()));
    assert_eq!(mirror.store.keys(&Shelf::ListingPages.key(&[])).count(), 0);
    // Nor does one that was given up because of an unreadable member, when nobody came or left since.
    let mut page = mirror.page();
    page.begin_listing(&id, NOW, false).unwrap();
    page.listing(&id, &members(&["STALE"])).unwrap();
    page.commit().unwrap();
    let mut page = mirror.page();
    assert!(page.confirm_listing(&id, minutes(2), &[], false).unwrap());
    page.commit().unwrap();
    assert_eq!(mirror.store.keys(&Shelf::ListingPages.key(&[])).count(), 0);
    let mut page = mirror.page();
    let refused = page.listing(&id, &members(&["A"]));
    assert!(matches!(refused, Err(MirrorError::NotListing { .. })));
    assert!(page.complete_listing(&id).is_err());
}

#[test]
fn a_receipt_is_believed_over_a_lagging_listing_and_then_expires() {
    assert_receipts_expire(|mirror, id, at| {
        list_whole(mirror, id, &["A", "B"], at);
    });
}

#[test]
fn a_receipt_is_believed_over_a_lagging_confirmation_and_then_expires() {
    assert_receipts_expire(|mirror, id, at| {
        let mut page = mirror.page();
        let same = page.confirm_listing(id, at, &members(&["A", "B"]), false);
        assert!(same.unwrap());
        page.commit().unwrap();
    });
}

/// `again` lists A and B.
fn assert_receipts_expire(again: impl Fn(&Mirror, &ListId, Moment)) {
    let dir = dir();
    let mirror = open(&dir);
    let id: ListId = "L".into();
    list_whole(&mirror, &id, &["A", "B"], NOW);
    let who = |id: &str| mirror.slot_of_profile(&id.into()).unwrap().unwrap();
    let mut page = mirror.page();
    let joined = page.slot_of_profile(&"C".into()).unwrap().unwrap();
    let at = minutes(1);
    let list = &id;
    page.receipt(Receipt::Membership {
        list,
        who: joined,
        on: true,
        at,
    })
    .unwrap();
    let left = who("A");
    page.receipt(Receipt::Membership {
        list,
        who: left,
        on: false,
        at,
    })
    .unwrap();
    page.commit().unwrap();
    let written = Some(vec!["B".to_owned(), "C".to_owned()]);
    let listed = Some(vec!["A".to_owned(), "B".to_owned()]);
    assert_eq!(shown(&mirror, &id, minutes(2)), written);
    assert_eq!(
        shown(&mirror, &id, minutes(600)),
        written,
        "newer than the listing"
    );

    again(&mirror, &id, minutes(5));
    assert_eq!(
        shown(&mirror, &id, minutes(15)),
        written,
        "the listing may lag"
    );
    assert_eq!(
        shown(&mirror, &id, minutes(16)),
        listed,
        "15 minutes are over"
    );
    again(&mirror, &id, minutes(16));
    let receipts = mirror.store.keys(&Shelf::Receipts.key(&[])).count();
    assert_eq!(receipts, 0, "the listing has seen it");
}

#[test]
fn a_forgotten_list_takes_everything_with_it() {
    let dir = dir();
    let mirror = open(&dir);
    let (id, other): (ListId, ListId) = ("L".into(), "LL".into());
    for id in [&id, &other] {
        list_whole(&mirror, id, &["A"], NOW);
        let mut page = mirror.page();
        page.list(list(id.as_str()));
        let group = GroupId::List(id.clone());
        let look = RoaringBitmap::from([0]);
        page.snapshot(&group, 1, Look::Members(&look)).unwrap();
        let (list, who, on, at) = (id, Slot(0), true, NOW);
        page.receipt(Receipt::Membership { list, who, on, at })
            .unwrap();
        page.cursor(&Stream::ListMembers(id.clone()), &Cursor::default());
        page.commit().unwrap();
    }
    let mut page = mirror.page();
    page.forget_list(&id).unwrap();
    page.commit().unwrap();
    assert_eq!(mirror.lists().unwrap(), [list("LL")]);
    assert_eq!(mirror.members(&id, NOW).unwrap(), None);
    assert_eq!(
        mirror.cursor(&Stream::ListMembers(id.clone())).unwrap(),
        None
    );
    let groups = mirror.groups().unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].days.len(), 1);
    assert_eq!(mirror.members(&other, NOW).unwrap().unwrap().len(), 1);
    assert_eq!(mirror.store.keys(&Shelf::ListingPages.key(&[])).count(), 0);
    for shelf in [Shelf::Members, Shelf::Receipts, Shelf::Looks] {
        assert_eq!(mirror.store.keys(&shelf.key(&[])).count(), 1, "{shelf:?}");
    }
}

#[test]
fn a_snapshot_counts_joined_and_left_against_the_day_before() {
    let dir = dir();
    let mirror = open(&dir);
    let id = GroupId::List("L".into());
    let mut page = mirror.page();
    page.list(list("L"));
    page.commit().unwrap();
    let looks: [(i64, Vec<u32>); 5] = [
        (10, (0..50_000).collect()),
        (11, (1..50_001).collect()),
        (11, (2..50_010).collect()),
        (12, vec![70_000]),
        (9, vec![1]),
    ];
    for (day, slots) in looks {
        let slots = RoaringBitmap::from_iter(slots);
        let mut page = mirror.page();
        page.snapshot(&id, day, Look::Members(&slots)).unwrap();
        page.commit().unwrap();
    }
    let days = mirror.groups().unwrap().remove(0).days;
    let day = |day, size, joined, left| GroupDay {
        day,
        size,
        joined,
        left,
    };
    let expected = [
        day(10, 50_000, None, None),
        day(11, 50_008, Some(10), Some(2)),
        day(12, 1, Some(1), Some(50_008)),
    ];
    assert_eq!(days, expected);
}

#[test]
fn ninety_days_of_counts_are_kept() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.list(list("L"));
    let id = GroupId::List("L".into());
    for day in 0..200 {
        let look = Look::Counts {
            size: 5,
            joined: Some(1),
            left: None,
        };
        page.snapshot(&id, day, look).unwrap();
    }
    page.commit().unwrap();
    let days = mirror.groups().unwrap().remove(0).days;
    assert_eq!(days.len(), 90);
    assert_eq!((days[0].day, days[89].day), (110, 199));
    assert_eq!((days[89].joined, days[89].left), (Some(1), None));
}

#[test]
fn the_same_members_again_cost_one_value_and_any_other_a_listing() {
    let (dir, id) = (dir(), ListId::from("L"));
    let mirror = open(&dir);
    list_whole(&mirror, &id, &["A", "B"], NOW);
    let entries = || {
        let all = mirror.store.scan(&[]).map(Result::unwrap);
        let all = all.map(|(key, payload)| (key.to_vec(), payload.sealed().to_vec()));
        all.collect::<BTreeMap<_, _>>()
    };
    let confirm = |ids: &[&str], keep_times: bool, at: Moment| {
        let mut page = mirror.page();
        let same = page.confirm_listing(&id, at, &members(ids), keep_times);
        let same = same.unwrap();
        if same {
            page.commit().unwrap();
        }
        same
    };
    for others in [&["A"][..], &["A", "B", "C"], &["A", "C"], &[]] {
        assert!(!confirm(others, false, minutes(30)), "{others:?}");
    }
    assert!(
        !confirm(&["A", "B"], true, minutes(30)),
        "times are missing"
    );
    let before = entries();
    assert!(confirm(&["B", "A"], false, minutes(60)));
    assert_eq!(mirror.listed_at(&id).unwrap(), Some(minutes(60)));
    let after = entries();
    let differing = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    let shelves: Vec<u8> = differing.map(|(key, _)| key[0]).collect();
    assert_eq!(shelves, [Shelf::Listings as u8]);
    assert_eq!(before.len(), after.len());
}

#[test]
fn who_joined_again_is_not_taken_for_the_same() {
    let (dir, id) = (dir(), ListId::from("L"));
    let mirror = open(&dir);
    let joined = |at: Moment| {
        let mut members = members(&["A", "B"]);
        members[1].joined = Some(at);
        members
    };
    let mut page = mirror.page();
    page.begin_listing(&id, NOW, true).unwrap();
    page.listing(&id, &joined(NOW)).unwrap();
    page.complete_listing(&id).unwrap();
    page.commit().unwrap();
    let mut page = mirror.page();
    let later = joined(minutes(1));
    assert!(
        !page
            .confirm_listing(&id, minutes(60), &later, true)
            .unwrap()
    );
    let same = joined(NOW);
    assert!(
        !page
            .confirm_listing(&id, minutes(60), &same, false)
            .unwrap()
    );
    assert!(page.confirm_listing(&id, minutes(60), &same, true).unwrap());
}
