//! Where each kind of record stands, a line each.

use crate::model::Moment;
use crate::pass::Summary;
use crate::pull::Freshness;
use std::fmt::{self, Write};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One line for each kind of record, its latest gap below it, where there is one; one line for all metrics
/// of which there is nothing more to tell.
pub(super) fn write(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.freshness.is_empty() {
        return Ok(());
    }
    writeln!(out, "  here, and how fresh")?;
    for row in &condensed(&summary.freshness) {
        writeln!(out, "    {:<32} {}", row.name, standing(row, summary.now))?;
        if let Some((day, gap)) = row.latest.first() {
            writeln!(
                out,
                "      {}: {} here, {} at Klaviyo; {}",
                Moment::from_day(*day).date(),
                gap.stored,
                gap.theirs,
                gap.reason()
            )?;
        }
    }
    Ok(())
}

/// The rows in their order, with one in place of all events that lack nothing.
fn condensed(rows: &[Freshness]) -> Vec<Freshness> {
    let is_plain = |row: &&Freshness| {
        let is_whole = row.complete.is_some() && row.gaps == 0 && row.note.is_none();
        is_whole && row.name.starts_with("events: ")
    };
    let plain: Vec<&Freshness> = rows.iter().filter(is_plain).collect();
    let Some((first, _)) = plain.split_first().filter(|(_, more)| !more.is_empty()) else {
        return rows.to_vec();
    };
    let together = Freshness {
        name: format!("events of {} metrics", plain.len()),
        complete: plain.iter().filter_map(|row| row.complete).min(),
        // None is less than any: unless all are proven, they are not.
        proven: plain.iter().map(|row| row.proven).min().flatten(),
        next: plain.iter().filter_map(|row| row.next).min(),
        ..Freshness::clone(first)
    };
    let mut condensed: Vec<Freshness> = Vec::new();
    for row in rows {
        match is_plain(&row) {
            true if row.name == first.name => condensed.push(together.clone()),
            true => {}
            false => condensed.push(row.clone()),
        }
    }
    condensed
}

fn standing(row: &Freshness, now: Moment) -> String {
    let Some(complete) = row.complete else {
        return "not read whole yet".to_owned();
    };
    let mut parts = vec![format!("complete, {} behind", span(now.since(complete)))];
    parts.extend(
        row.proven
            .map(|at| format!("proven {} ago", span(now.since(at)))),
    );
    if row.gaps > 0 {
        parts.push(format!("{} missing, {} days differ", row.missing, row.gaps));
    }
    parts.extend(
        row.next
            .map(|at| format!("next look in {}", span(at.since(now)))),
    );
    parts.extend(row.note.map(str::to_owned));
    parts.join("; ")
}

/// The two largest units at most.
fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        DAY.. => format!("{} d {} h", secs / DAY, secs % DAY / HOUR),
        HOUR.. => format!("{} h {} min", secs / HOUR, secs % HOUR / MINUTE),
        MINUTE.. => format!("{} min", secs / MINUTE),
        _ => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Gap;

    fn row() -> Freshness {
        Freshness {
            name: "events: Opened Email".to_owned(),
            complete: Some(Moment::from_secs(900)),
            proven: None,
            next: None,
            missing: 0,
            gaps: 0,
            latest: Vec::new(),
            note: None,
        }
    }

    #[test]
    fn metrics_that_lack_nothing_are_one_line() {
        let named = |name: &str, complete: i64, proven: Option<i64>, gaps: u64| Freshness {
            name: name.to_owned(),
            complete: Some(Moment::from_secs(complete)),
            proven: proven.map(Moment::from_secs),
            gaps,
            ..row()
        };
        let rows = [
            named("profiles", 9, None, 0),
            named("events: Opened Email", 8, Some(5), 0),
            named("events: Clicked Email", 7, Some(4), 1),
            named("events: Placed Order", 6, None, 0),
            named("orders", 9, None, 0),
        ];
        let told = condensed(&rows);
        let names: Vec<&str> = told.iter().map(|row| row.name.as_str()).collect();
        let expected = [
            "profiles",
            "events of 2 metrics",
            "events: Clicked Email",
            "orders",
        ];
        assert_eq!(names, expected);
        assert_eq!(told[1].complete, Some(Moment::from_secs(6)));
        assert_eq!(told[1].proven, None, "one of them is not");
        assert_eq!(condensed(&rows[..2]), rows[..2]);
    }

    #[test]
    fn what_is_behind_missing_and_due_is_told_in_a_line() {
        let now = Moment::from_secs(1_000);
        assert_eq!(standing(&row(), now), "complete, 1 min behind");
        let gap = Gap {
            stored: 7,
            theirs: 10,
            ownerless: 1,
            unreadable: 0,
            since: now,
            looked: now,
        };
        let told = Freshness {
            proven: Some(Moment::from_secs(1_000 - 90_000)),
            next: Some(now.plus(Duration::from_secs(7_300))),
            missing: 2,
            gaps: 1,
            latest: vec![(3, gap)],
            note: Some("of 60 days only"),
            ..row()
        };
        let expected = "complete, 1 min behind; proven 1 d 1 h ago; 2 missing, 1 days differ; \
                        next look in 2 h 1 min; of 60 days only";
        assert_eq!(standing(&told, now), expected);
        let unread = Freshness {
            complete: None,
            ..row()
        };
        assert_eq!(standing(&unread, now), "not read whole yet");
        assert_eq!(gap.reason(), "counted there, but not listed");
    }
}
