//! Events by day and hour, and how late they came.

use super::*;
use crate::mirror::shelf::Shelf;
use crate::vault::Subject;
use std::time::Duration;

const DAY: i64 = 86_400;
const WHEN: Moment = Moment::from_secs(1_790_000_500);

fn put(mirror: &Mirror, metric: &str, events: Vec<IncomingEvent>) {
    let mut page = mirror.page();
    page.events(&metric.into(), events).unwrap();
    page.commit().unwrap();
}

/// Two profiles with events on three days, one of them before 1970.
fn filled(dir: &TempDir) -> Mirror {
    let mirror = open(dir);
    let mut page = mirror.page();
    page.profile(profile("A", 1)).unwrap();
    page.profile(profile("B", 1)).unwrap();
    page.commit().unwrap();
    let a = [(-DAY, "a1"), (0, "a2"), (DAY - 1, "a3"), (DAY, "a4")];
    let a = a.map(|(at, id)| event(id, "A", at));
    put(&mirror, "M", a.to_vec());
    let b = [event("b1", "B", 10), event("b2", "B", 3_600)];
    put(&mirror, "M", b.to_vec());
    put(&mirror, "N", vec![event("n", "B", 300 * DAY)]);
    mirror.fold().unwrap();
    mirror
}

fn days(mirror: &Mirror, metric: &str) -> Vec<(i64, u64)> {
    let days = mirror.events_by_day(&metric.into(), -10..1_000).unwrap();
    days.into_iter().collect()
}

#[test]
fn events_are_counted_once_by_metric_and_day() {
    let dir = dir();
    let mirror = filled(&dir);
    let expected = [(-1, 1), (0, 4), (1, 1)];
    assert_eq!(days(&mirror, "M"), expected);
    assert_eq!(days(&mirror, "N"), [(300, 1)]);
    assert_eq!(days(&mirror, "never named"), []);
    assert_eq!(mirror.events_by_day(&"M".into(), 0..1).unwrap().len(), 1);
    assert_eq!(mirror.first_event_day(&"M".into()).unwrap(), Some(-1));
    let again = [event("a2", "A", 0), event("b1", "B", 10)];
    put(&mirror, "M", again.to_vec());
    mirror.fold().unwrap();
    assert_eq!(days(&mirror, "M"), expected);
    let wanted = BTreeMap::from([("M".into(), vec![0])]);
    let hours = mirror.events_by_hour(&wanted).unwrap();
    let hours: Vec<(i64, u64)> = hours.into_iter().map(|((_, h), n)| (h, n)).collect();
    assert_eq!(hours, [(0, 2), (1, 1), (23, 1)]);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
}

#[test]
fn what_belongs_to_a_profile_that_is_gone_or_forgotten_does_not_count() {
    let dir = dir();
    let mirror = filled(&dir);
    let mut page = mirror.page();
    page.profiles_gone(&["A".into()], WHEN).unwrap();
    page.commit().unwrap();
    assert_eq!(days(&mirror, "M"), [(0, 2)]);
    // It arrives late, and so do more of its events.
    put(&mirror, "M", vec![event("a5", "A", 5)]);
    mirror.fold().unwrap();
    assert_eq!(days(&mirror, "M"), [(0, 2)]);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
    let mut page = mirror.page();
    page.profile(profile("A", 2)).unwrap();
    page.commit().unwrap();
    assert_eq!(days(&mirror, "M"), [(-1, 1), (0, 5), (1, 1)]);
    let mark = mirror.vault().mark(Subject::Profile(&"A".into()));
    mirror.vault().forget(&[mark], WHEN).unwrap();
    mirror.forget().unwrap();
    assert_eq!(days(&mirror, "M"), [(0, 2)]);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
}

#[test]
fn a_recount_makes_the_counts_those_of_the_timelines() {
    let dir = dir();
    let mirror = filled(&dir);
    assert_eq!(mirror.recounted().unwrap(), None);
    let slot = mirror.slot_of_profile(&"A".into()).unwrap().unwrap();
    let mut page = mirror.page();
    page.put_piece(Shelf::Timelines, slot, None).unwrap();
    page.commit().unwrap();
    assert_eq!(days(&mirror, "M"), [(-1, 1), (0, 4), (1, 1)]);
    let faults = mirror.audit().unwrap().faults.join("\n");
    assert!(faults.contains("3 days of metrics are wrong"), "{faults}");
    assert_eq!(mirror.recount_events(WHEN).unwrap(), 3);
    assert_eq!(days(&mirror, "M"), [(0, 2)]);
    assert_eq!(mirror.recounted().unwrap(), Some(WHEN));
    assert_eq!(mirror.recount_events(WHEN).unwrap(), 0);
}

#[test]
fn a_walk_learns_how_late_events_arrive_and_how_far_back_to_look() {
    let dir = dir();
    let mirror = filled(&dir);
    let reach = |mirror: &Mirror| mirror.lateness(&"M".into()).unwrap().reach();
    assert_eq!(mirror.lateness(&"M".into()).unwrap().seen(), 0, "a fill");
    let now = 100 * DAY;
    let arrived = BTreeMap::from([("M".into(), Moment::from_secs(now))]);
    let spread = |from: i64, count: i64, late: i64| {
        let each = move |n: i64| event(&format!("e{}", from + n), "A", now - late);
        (0..count).map(each).collect::<Vec<_>>()
    };
    put(&mirror, "M", spread(0, 996, -5));
    // Repeats teach nothing, nor do imports of old events or other metrics.
    put(&mirror, "M", spread(0, 996, -5));
    put(&mirror, "M", spread(5_000, 500, 40 * DAY));
    put(&mirror, "N", spread(6_000, 500, 3 * DAY));
    put(&mirror, "M", spread(1_000, 3, 2 * 3_600 - 1));
    mirror.fold_arrived(&arrived).unwrap();
    assert_eq!(mirror.lateness(&"M".into()).unwrap().seen(), 999);
    assert_eq!(reach(&mirror), None, "too few");
    put(&mirror, "M", spread(2_000, 1, 9 * DAY));
    mirror.fold_arrived(&arrived).unwrap();
    // One of a thousand may be missed, which leaves the three.
    assert_eq!(reach(&mirror), Some(Duration::from_secs(2 * 3_600)));
    put(&mirror, "M", spread(3_000, 1, 9 * DAY));
    mirror.fold_arrived(&arrived).unwrap();
    assert_eq!(reach(&mirror), Some(Duration::from_secs(10 * 86_400)));
}
