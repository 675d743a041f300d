//! What definitions say of each other, as text.

use crate::detect::Cover;
use crate::segment::algebra::{Answer, Pair, Relation, Relations, Witness};
use std::fmt::Write;

/// Everything worth saying; pairs that merely overlap are counted.
pub fn text(found: &Relations<String>) -> String {
    let mut out = String::new();
    for nature in &found.notable {
        let name = &nature.segment;
        match (&nature.single.empty, &nature.single.always) {
            (Answer::Proven, _) => line(
                &mut out,
                &format!("\"{name}\" is empty: nobody can be in it"),
            ),
            (_, Answer::Proven) => line(&mut out, &format!("\"{name}\" holds everybody, always")),
            (Answer::Open(why), _) | (_, Answer::Open(why)) => {
                line(&mut out, &format!("\"{name}\" cannot be judged: {why}"));
            }
            (Answer::Refuted(_), Answer::Refuted(_)) => {}
        }
    }
    for related in &found.related {
        pair(&mut out, &related.first, &related.second, &related.pair);
    }
    line(
        &mut out,
        &format!("{} other pairs overlap", found.overlapping),
    );
    out
}

fn pair(out: &mut String, first: &str, second: &str, pair: &Pair) {
    let (said, counterexample) = match pair.relation() {
        Relation::Equal => (format!("\"{first}\" and \"{second}\" are equal"), None),
        Relation::FirstInSecond => (
            format!("\"{first}\" is contained in \"{second}\""),
            Some(&pair.second_in_first),
        ),
        Relation::SecondInFirst => (
            format!("\"{second}\" is contained in \"{first}\""),
            Some(&pair.first_in_second),
        ),
        Relation::Disjoint => (
            format!("\"{first}\" and \"{second}\" can share nobody"),
            None,
        ),
        Relation::Overlapping => (format!("\"{first}\" and \"{second}\" overlap"), None),
        Relation::Open => {
            let answers = [&pair.first_in_second, &pair.second_in_first, &pair.disjoint];
            let why = answers.into_iter().find_map(|answer| match answer {
                Answer::Open(why) => Some(why.as_str()),
                _ => None,
            });
            let why = why.unwrap_or_default();
            (
                format!("\"{first}\" and \"{second}\" cannot be compared: {why}"),
                None,
            )
        }
    };
    line(out, &said);
    if let Some(Answer::Refuted(who)) = counterexample {
        witness(out, "not the other way round", who);
    }
    if let Some(leak) = &pair.leak {
        let what = format!("whoever lacks `{}` is in neither", leak.property);
        witness(out, &what, &leak.witness);
    }
}

fn witness(out: &mut String, what: &str, who: &Witness) {
    line(out, &format!("    {what}; for instance {}", who.to_json()));
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// Which few segments would do.
pub fn cover(names: &[&str], found: &Cover) -> String {
    let mut out = String::new();
    let named = |picks: &[usize]| {
        let names: Vec<String> = picks
            .iter()
            .map(|pick| format!("\"{}\"", names[*pick]))
            .collect();
        names.join(", ")
    };
    for group in &found.duplicates {
        line(
            &mut out,
            &format!("nearly the same members: {}", named(group)),
        );
    }
    if !found.tiny.is_empty() {
        line(
            &mut out,
            &format!("too small to tell anything: {}", named(&found.tiny)),
        );
    }
    if !found.catch_all.is_empty() {
        line(
            &mut out,
            &format!("hold nearly everybody: {}", named(&found.catch_all)),
        );
    }
    let Some(suggestion) = &found.suggestion else {
        line(&mut out, "too few segments to suggest fewer");
        return out;
    };
    let share = 100.0 * found.covered_value;
    line(
        &mut out,
        &format!(
            "{} of {} segments would do: {}; {share:.0} % of all profiles are in one of them",
            suggestion.picks.len(),
            names.len(),
            named(&suggestion.picks)
        ),
    );
    for dropped in &found.dropped {
        if let Some(target) = dropped.target {
            let inside = 100.0 * dropped.containment;
            let name = names[dropped.segment];
            line(
                &mut out,
                &format!(
                    "    \"{name}\" → \"{}\" ({inside:.0} % of it)",
                    names[target]
                ),
            );
        }
    }
    out
}
