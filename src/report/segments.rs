//! Segments as text: a table of all, and why somebody is in one.

use crate::model::{DAY_MS, Moment};
use crate::pass::Parity;
use crate::pass::segments::{Answer, RUN_OFF_DAYS, Row};
use crate::segment::{Reason, Turn, Verdict};
use std::fmt::Write;

/// Days ahead that a table shows of a run-off.
const SHOWN_DAYS: [i64; 4] = [1, 7, 30, RUN_OFF_DAYS];

/// A table of all segments. What Klaviyo has is known only for the present.
pub fn list(rows: &[Row], now: Moment, present: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<34} {:>9} {:>9} {:>6} {:>6} {:>6}  {:<24} in 1, 7, 30, 90 days",
        "segment", "local", "Klaviyo", "agree", "joined", "left", "next flip"
    );
    for row in rows {
        let klaviyo = row
            .klaviyo
            .filter(|_| present)
            .map_or_else(|| "-".to_owned(), |day| day.size.to_string());
        let parity = row.parity.as_ref().filter(|_| present);
        let agreement = parity.and_then(Parity::agreement);
        let agreement =
            agreement.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", 100.0 * share));
        let moved = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let _ = writeln!(
            out,
            "{:<34} {:>9} {klaviyo:>9} {agreement:>6} {:>6} {:>6}  {:<24} {}",
            short(&row.name, 34),
            row.local,
            moved(row.today.and_then(|day| day.joined)),
            moved(row.today.and_then(|day| day.left)),
            next_flip(row),
            sizes(row, now)
        );
        let causes = parity.iter().flat_map(|parity| &parity.causes);
        for (cause, count) in causes {
            let _ = writeln!(out, "    Klaviyo differs on {count}: {cause}");
        }
        if row.unknown > 0 {
            let _ = writeln!(
                out,
                "    cannot be said for {}: {}",
                row.unknown,
                row.unknowns.join("; ")
            );
        }
    }
    out
}

fn short(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        None => name.to_owned(),
        Some(_) => name.chars().take(most - 1).chain(['…']).collect(),
    }
}

fn next_flip(row: &Row) -> String {
    match row.run_off.next() {
        None => "-".to_owned(),
        Some((at, joins, leaves)) => {
            let time = at.to_string();
            let time = time.strip_suffix(":00Z").unwrap_or(&time).replace('T', " ");
            format!("{time} +{joins} -{leaves}")
        }
    }
}

fn sizes(row: &Row, now: Moment) -> String {
    let size = |days: &i64| row.run_off.at(Moment(now.0 + days * DAY_MS)).to_string();
    SHOWN_DAYS.iter().map(size).collect::<Vec<_>>().join(", ")
}

/// Why one profile is in a segment, or not.
pub fn why(answer: &Answer) -> String {
    let mut out = String::new();
    let who = answer.email.as_deref().unwrap_or(answer.profile.as_str());
    let explanation = &answer.explanation;
    let _ = writeln!(
        out,
        "{who} is {} \"{}\" at {}.",
        standing(explanation.verdict),
        answer.segment,
        Moment::from_secs(answer.at.secs())
    );
    match explanation.flip {
        Some((at, to)) => {
            let _ = writeln!(
                out,
                "If nothing new happens, {} on {}.",
                turned(to),
                spelled(at)
            );
        }
        None if explanation.verdict == Verdict::Unknown => {}
        None => {
            let _ = writeln!(
                out,
                "Time alone does not change that within the next 400 days."
            );
        }
    }
    for (number, group) in explanation.groups.iter().enumerate() {
        let _ = writeln!(out);
        let lead = if number == 0 {
            "It asks for"
        } else {
            "and for"
        };
        let choice = if group.conditions.len() > 1 {
            " one of these"
        } else {
            ""
        };
        let _ = writeln!(out, "{lead}{choice}: [{}]", word(group.verdict));
        for reason in &group.conditions {
            condition(&mut out, reason);
        }
    }
    way_out(&mut out, answer);
    for name in &answer.unresolved {
        let _ = writeln!(out, "note: {name}");
    }
    out
}

fn condition(out: &mut String, reason: &Reason) {
    let mark = match reason.verdict {
        Verdict::In => "yes",
        Verdict::Out => "no ",
        Verdict::Unknown => "?  ",
    };
    let _ = writeln!(out, "  {mark}  {}", reason.text);
    let flip = match reason.flip {
        Some((at, to)) => format!("; {} from {} on", word(to), spelled(at)),
        None => String::new(),
    };
    let _ = writeln!(out, "       {}{flip}", reason.evidence);
}

fn way_out(out: &mut String, answer: &Answer) {
    let explanation = &answer.explanation;
    let steps = explanation
        .way_out
        .iter()
        .filter_map(|(group, place)| explanation.groups.get(*group)?.conditions.get(*place));
    let steps: Vec<String> = steps.map(step).collect();
    let way = match explanation.verdict {
        Verdict::In => "out",
        Verdict::Out | Verdict::Unknown => "in",
    };
    match steps.as_slice() {
        [] if explanation.verdict == Verdict::Unknown => {}
        [] => drop(writeln!(out, "\nNo single step leads {way}.")),
        steps => drop(writeln!(
            out,
            "\nNearest way {way}: {}.",
            steps.join(", and ")
        )),
    }
}

fn step(reason: &Reason) -> String {
    match &reason.turn {
        Turn::Events(1, kind) => format!("one more {kind}"),
        Turn::Events(count, kind) => format!("{count} more {kind}"),
        Turn::Wait(at) => format!("wait until {}", spelled(*at)),
        Turn::Change if reason.verdict == Verdict::In => {
            format!("a change, so that not: {}", reason.text)
        }
        Turn::Change | Turn::Never => format!("a change, so that: {}", reason.text),
    }
}

fn standing(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::In => "in",
        Verdict::Out => "not in",
        Verdict::Unknown => "perhaps in, perhaps not in",
    }
}

fn turned(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::In => "this person joins",
        Verdict::Out => "this person leaves",
        Verdict::Unknown => "it can no longer be said",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::In => "yes",
        Verdict::Out => "no",
        Verdict::Unknown => "cannot be said",
    }
}

/// A date, with its time of day unless that is midnight.
fn spelled(at: Moment) -> String {
    match at.0.rem_euclid(DAY_MS) {
        0 => at.date(),
        _ => at.to_string(),
    }
}
