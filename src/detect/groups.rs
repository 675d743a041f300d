//! Lists and segments that jump, stand empty or are tiny.

use crate::model::{Code, Evidence, Finding, Group, GroupDay, Subject};
use crate::policy::GroupRule;

/// Findings about one list or segment, from its last two days.
pub fn group(group: &Group, rule: &GroupRule) -> Vec<Finding> {
    let Some(today) = group.days.last() else {
        return Vec::new();
    };
    let before = group.days.len().checked_sub(2);
    let before = before.and_then(|at| group.days.get(at));
    let jump = before.filter(|before| jumps(before, today, rule));
    let jump = jump.map(|before| {
        let size = Evidence::Size {
            before: before.size,
            after: today.size,
        };
        (Code::GroupJump, size)
    });
    let small = match today.size {
        0 => Some((Code::GroupEmpty, Evidence::Plain)),
        size if size < rule.tiny_members => Some((Code::GroupTiny, Evidence::Plain)),
        _ => None,
    };
    let found = jump.into_iter().chain(small);
    found
        .map(|(code, evidence)| Finding {
            code,
            subject: Subject::Group(group.id.clone()),
            evidence,
        })
        .collect()
}

/// Days that were not looked at hide when a group changed, so only neighbours are compared. The floor
/// is about the larger size: an import into a small list is news.
fn jumps(before: &GroupDay, today: &GroupDay, rule: &GroupRule) -> bool {
    let neighbours = today.day - before.day == 1;
    let large_enough = before.size.max(today.size) >= rule.jump_floor.max(1);
    let change = before.size.abs_diff(today.size) as f64;
    neighbours && large_enough && change > rule.jump_share * before.size as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupId;

    fn codes(days: &[(i64, u64)]) -> Vec<Code> {
        let day = |(day, size): &(i64, u64)| GroupDay {
            day: *day,
            size: *size,
            joined: None,
            left: None,
        };
        let history = Group {
            id: GroupId::List("LIST01".into()),
            name: "Newsletter".to_owned(),
            days: days.iter().map(day).collect(),
        };
        let found = group(&history, &GroupRule::default());
        found.into_iter().map(|found| found.code).collect()
    }

    #[test]
    fn a_change_above_the_share_within_a_day_is_a_jump() {
        assert_eq!(codes(&[(1, 1000), (2, 1301)]), [Code::GroupJump]);
        assert_eq!(codes(&[(1, 1000), (2, 699)]), [Code::GroupJump]);
        assert_eq!(codes(&[(1, 1000), (2, 1300)]), []);
        assert_eq!(codes(&[(1, 1000), (2, 700)]), []);
        assert_eq!(codes(&[(1, 10), (2, 4000)]), [Code::GroupJump]);
        assert_eq!(
            codes(&[(1, 1000), (3, 2000)]),
            [],
            "the day between was not looked at"
        );
        assert_eq!(
            codes(&[(1, 1000), (2, 2000), (3, 2000)]),
            [],
            "that was yesterday"
        );
    }

    #[test]
    fn small_groups_do_not_jump() {
        assert_eq!(codes(&[(1, 20), (2, 49)]), [Code::GroupTiny]);
        assert_eq!(codes(&[(1, 0), (2, 0)]), [Code::GroupEmpty]);
    }

    #[test]
    fn empty_and_tiny_groups_are_told_apart() {
        assert_eq!(codes(&[]), []);
        assert_eq!(codes(&[(1, 0)]), [Code::GroupEmpty]);
        assert_eq!(codes(&[(1, 49)]), [Code::GroupTiny]);
        assert_eq!(codes(&[(1, 50)]), []);
        assert_eq!(
            codes(&[(1, 80), (2, 0)]),
            [Code::GroupJump, Code::GroupEmpty]
        );
    }
}
