//! `[guards]`: what stops a plan before its first write.

use super::reader::{Complaint, Section};
use super::value::{above, flag, span, whole};
use crate::policy::{Budget, Guards};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

pub(super) fn read(section: &Section<'_>) -> Guards {
    let usual = Guards::default();
    let budget = |key, usual: Budget| section.within(key, |table| budget(table, usual));
    let share = |key, high, usual| section.read(key, above(0.0, high)).unwrap_or(usual);
    let pause = section.read("canary_pause", span(Duration::ZERO..=DAY));
    let (canary_count, canary_share) = section.within("canary", |table| {
        let count = table.read("count", whole(1..=1_000_000));
        let share = table.read("share", above(0.0, 1.0));
        (
            count.unwrap_or(usual.canary_count),
            share.unwrap_or(usual.canary_share),
        )
    });
    Guards {
        max_suppressions: budget("max_suppressions", usual.max_suppressions),
        max_unsubscriptions: budget("max_unsubscriptions", usual.max_unsubscriptions),
        max_list_removals: budget("max_list_removals", usual.max_list_removals),
        max_tag_changes: budget("max_tag_changes", usual.max_tag_changes),
        max_property_changes: budget("max_property_changes", usual.max_property_changes),
        empty_source_share: share("empty_source", 1.0, usual.empty_source_share),
        two_scans_minutes: two_scans(section).unwrap_or(usual.two_scans_minutes),
        sentinels: section
            .read("sentinels", whole(0..=100))
            .unwrap_or(usual.sentinels),
        segment_jump_share: share("segment_jump", 10.0, usual.segment_jump_share),
        segment_jump_floor: section
            .read("segment_jump_floor", whole(0..=1_000_000))
            .unwrap_or(usual.segment_jump_floor),
        canary_count,
        canary_share,
        canary_pause_secs: pause.map_or(usual.canary_pause_secs, |pause| pause.as_secs()),
        first_run: section.read("first_run", flag).unwrap_or(usual.first_run),
    }
}

fn budget(table: &Section<'_>, usual: Budget) -> Budget {
    let people = |key, usual| table.read(key, whole(0..=100_000_000)).unwrap_or(usual);
    let share = table.read("share", above(0.0, 1.0));
    let budget = Budget {
        count: people("count", usual.count),
        share: share.unwrap_or(usual.share),
        floor: people("floor", usual.floor),
    };
    // The floor wins over the count; a count below it would be a limit that does not limit.
    if budget.floor > budget.count {
        let message = "`floor` must not be more than `count`: it would be the limit instead";
        let help = format!("`floor` is {}, `count` is {}", budget.floor, budget.count);
        let key = if table.holds("floor") {
            "floor"
        } else {
            "count"
        };
        table.complain(key, &Complaint::new(message).help(help));
    }
    budget
}

/// The policy counts whole minutes.
fn two_scans(section: &Section<'_>) -> Option<u32> {
    let wait = section.read("two_scans", span(Duration::ZERO..=7 * DAY))?;
    if !wait.as_secs().is_multiple_of(60) {
        let message = "whole minutes are wanted here";
        section.complain("two_scans", &Complaint::new(message));
    }
    u32::try_from(wait.as_secs() / 60).ok()
}
