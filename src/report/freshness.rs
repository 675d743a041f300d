//! Where each kind of record stands, a line each.

use crate::model::Moment;
use crate::pass::Summary;
use crate::pull::Freshness;
use std::fmt::{self, Write};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One line for each kind of record; its latest gap below it, where there is one.
pub(super) fn write(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.freshness.is_empty() {
        return Ok(());
    }
    writeln!(out, "  here, and how fresh")?;
    for row in &summary.freshness {
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
