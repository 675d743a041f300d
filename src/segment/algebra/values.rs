//! Values that stand for all others, as far as the filters on one property can tell them apart.
//!
//! A filter reads one type of value and takes any other for none, so the types are looked at one by
//! one, and there is a value of each:
//!
//! * *Numbers*: the bounds, and a number between any two neighbours.
//! * *Texts*: those that are compared whole, the words for yes and no in any case, and for every
//!   choice of beginnings, parts and ends one text that has those and no other that it need not have:
//!   a beginning, the parts and an end, joined by a character that no operand has. Whatever text one
//!   takes, the text built for what it has has the same. Dates, countries and phone numbers come by
//!   their classes; but where parts of texts matter too, or a pattern is asked for, nothing is known
//!   of their combinations, and such filters are [`Values::open`].
//! * *Lists*: every set of the elements asked for, with every set of the inner texts in one more
//!   element, filled up to every length that matters.

use super::instants::{datetime, representatives};
use super::operands::Operands;
use super::pattern::examples;
use crate::model::Value;
use crate::segment::{Filter, Scalar};
use jiff::tz::TimeZone;
use serde_json::Number;
use std::collections::BTreeSet;

/// Where a value lies: events drop zero, `null` and empty texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// A profile's property, a prediction or a fact.
    Profile,
    /// An event's property.
    Event,
}

/// Candidates for one value.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// `None` is no value. The plainest come first.
    pub(super) all: Vec<Option<Value>>,
    /// Texts that stand for all others as far as filters go that are not open.
    pub(super) vague: Vec<Value>,
    /// Whether patterns, dates, countries and calling codes are open on vague texts.
    pub(super) open: bool,
    /// Why not all combinations could be tried.
    pub(super) gap: Option<&'static str>,
}

/// More operands than that are not combined.
const MOST_COMBINED: usize = 7;
/// Lists are not made longer.
const LONGEST: i64 = 64;
/// Whole numbers beyond are not all numbers of JSON.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Values {
    /// For a value that these filters read, and a region's condition, if `country`.
    pub(super) fn of<'a>(
        filters: impl IntoIterator<Item = &'a Filter>,
        home: Home,
        country: bool,
        now: i64,
    ) -> Self {
        let operands = Operands::of(filters);
        let mut values = Self::default();
        let joint = fresh(&operands);
        let classed = country || operands.phones || !operands.dates.is_empty();
        values.open = !operands.patterns.is_empty() || (operands.reads_parts() && classed);
        values.all.push(None);
        values.numbers(&operands);
        values.texts(&operands, joint, home);
        if country {
            values
                .all
                .extend(COUNTRIES.map(|name| Some(Value::Text(name.to_owned()))));
        }
        values.classes(&operands, now);
        values.lists(&operands, joint);
        values.others();
        if home == Home::Event {
            let exists = |value: &Value| !matches!(value, Value::Null | Value::Object(_));
            values.all.retain(|value| value.as_ref().is_none_or(exists));
        }
        values
    }

    fn push(&mut self, value: Value) {
        self.all.push(Some(value));
    }

    fn numbers(&mut self, operands: &Operands) {
        let mut bounds: Vec<f64> = operands.numbers.iter().filter_map(|n| n.as_f64()).collect();
        if bounds.iter().any(|bound| bound.abs() >= EXACT) {
            self.gap = Some("its numbers are too large to be told apart");
        }
        bounds.extend([0.0, 1.0]);
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let between = bounds
            .windows(2)
            .map(|pair| f64::midpoint(pair[0], pair[1]));
        let ends = bounds.first().map(|least| least - 1.0).into_iter();
        let ends = ends.chain(bounds.last().map(|most| most + 1.0));
        let all: Vec<f64> = ends.chain(between).chain(bounds.iter().copied()).collect();
        self.all
            .extend(all.into_iter().map(|number| Some(plain(number))));
    }

    fn texts(&mut self, operands: &Operands, joint: char, home: Home) {
        self.vague = combined(operands, joint).unwrap_or_else(|| {
            self.gap = Some("it has too many operands to combine");
            Vec::new()
        });
        self.all.extend(self.vague.iter().cloned().map(Some));
        for text in &operands.whole {
            self.push(Value::Text((*text).to_owned()));
        }
        if operands.truths {
            let words = TRUTHS.iter().flat_map(|word| any_case(word));
            self.all.extend(words.map(|word| Some(Value::Text(word))));
        }
        for pattern in &operands.patterns {
            self.all.extend(
                examples(pattern)
                    .into_iter()
                    .map(|text| Some(Value::Text(text))),
            );
        }
        if home == Home::Profile {
            self.push(Value::Text(String::new()));
        }
    }

    fn classes(&mut self, operands: &Operands, now: i64) {
        for micros in representatives(&operands.dates, now) {
            let Some(at) = datetime(micros).and_then(|at| at.to_zoned(TimeZone::UTC).ok()) else {
                continue;
            };
            // Two spellings: one of them may be compared whole.
            let text = at.timestamp().to_string();
            if !operands.dates.is_empty() {
                self.push(Value::Text(text.replace('Z', "+00:00")));
                self.push(Value::Text(text));
            }
        }
        if operands.phones {
            let numbers =
                (100..1000).flat_map(|code| [0, 1].map(|last| format!("+{code}555000{last}")));
            self.all
                .extend(numbers.map(|number| Some(Value::Text(number))));
        }
    }

    fn lists(&mut self, operands: &Operands, joint: char) {
        let (elements, inner) = (&operands.elements, &operands.inner);
        if elements.len() + inner.len() > MOST_COMBINED {
            self.gap = Some("it has too many operands to combine");
            return;
        }
        let (lengths, complete) = lengths(&operands.lengths);
        if !complete {
            self.gap = Some("the lists it asks for are too long");
        }
        for chosen in subsets(elements) {
            for texts in subsets(inner) {
                let mut items: Vec<Value> = chosen.iter().copied().map(value_of).collect();
                if !texts.is_empty() {
                    let mut text = String::from(joint);
                    for part in texts {
                        text.push_str(part);
                        text.push(joint);
                    }
                    items.push(Value::Text(text));
                }
                self.push(Value::List(items.clone()));
                for length in lengths.iter().filter(|length| **length > items.len()) {
                    let mut longer = items.clone();
                    longer.resize(*length, Value::Null);
                    self.push(Value::List(longer));
                }
            }
        }
    }

    fn others(&mut self) {
        for value in [true, false] {
            self.push(Value::Bool(value));
        }
        self.push(Value::Null);
        self.push(Value::Object("{}".to_owned()));
    }
}

/// One of each class, and others for when those are compared whole.
const COUNTRIES: [&str; 12] = [
    "Germany",
    "Austria",
    "DE",
    "AUT",
    " gErMaNy",
    "United States",
    "US",
    "USA",
    " uSa",
    "Canada",
    "Norway",
    " ",
];

const TRUTHS: [&str; 10] = ["1", "true", "t", "yes", "y", "0", "false", "f", "no", "n"];

/// Every way to write a word in small and capital letters.
fn any_case(word: &str) -> Vec<String> {
    word.chars().fold(vec![String::new()], |begun, letter| {
        let cases: BTreeSet<char> = [letter, letter.to_ascii_uppercase()].into();
        let longer = |start: &String| {
            cases
                .iter()
                .map(|c| format!("{start}{c}"))
                .collect::<Vec<_>>()
        };
        begun.iter().flat_map(longer).collect()
    })
}

/// A character that no operand has.
fn fresh(operands: &Operands) -> char {
    let elements = operands
        .elements
        .iter()
        .filter_map(|element| match element {
            Scalar::Text(text) => Some(text.as_str()),
            _ => None,
        });
    let texts = [
        &operands.whole,
        &operands.parts,
        &operands.starts,
        &operands.ends,
        &operands.inner,
    ];
    let taken: BTreeSet<char> = texts
        .into_iter()
        .flatten()
        .copied()
        .chain(elements)
        .flat_map(str::chars)
        .collect();
    let candidates = "~^|¤".chars().chain('\u{e000}'..);
    candidates
        .into_iter()
        .find(|c| !taken.contains(c))
        .unwrap_or('\u{f8ff}')
}

/// A text for every choice of a beginning, parts and an end; `None` if those are too many.
fn combined(operands: &Operands, joint: char) -> Option<Vec<Value>> {
    let edge = |texts: &[&'_ str]| texts.len() <= MOST_COMBINED;
    if operands.parts.len() > MOST_COMBINED || !edge(&operands.starts) || !edge(&operands.ends) {
        return None;
    }
    let or_none = |texts: &[&str]| -> Vec<String> {
        let texts = texts.iter().map(|text| (*text).to_owned());
        std::iter::once(String::new()).chain(texts).collect()
    };
    let mut all = Vec::new();
    for parts in subsets(&operands.parts) {
        for start in or_none(&operands.starts) {
            for end in or_none(&operands.ends) {
                let mut text = format!("{start}{joint}");
                for part in &parts {
                    text.push_str(part);
                    text.push(joint);
                }
                all.push(Value::Text(text + &end));
            }
        }
    }
    Some(all)
}

/// Every subset, the empty one first.
fn subsets<T>(items: &[T]) -> Vec<Vec<&T>> {
    let count = 1_usize << items.len().min(MOST_COMBINED);
    let one = |bits: usize| {
        let chosen = items
            .iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1);
        chosen.map(|(_, item)| item).collect()
    };
    (0..count).map(one).collect()
}

/// The lengths that matter, and whether those are all.
fn lengths(operands: &[&Number]) -> (BTreeSet<usize>, bool) {
    let bounds: Vec<f64> = operands
        .iter()
        .filter_map(|operand| operand.as_f64())
        .collect();
    let near = bounds.iter().filter(|bound| bound.abs() < LONGEST as f64);
    let near = near.flat_map(|bound| {
        let floor = bound.floor() as i64;
        floor - 1..=floor + 2
    });
    let lengths = near
        .filter_map(|length| usize::try_from(length).ok())
        .collect();
    // Where no length is asked for, one more element changes nothing. A bound far below matters to none.
    (lengths, bounds.iter().all(|bound| *bound < LONGEST as f64))
}

fn value_of(element: &Scalar) -> Value {
    match element {
        Scalar::Null => Value::Null,
        Scalar::Bool(flag) => Value::Bool(*flag),
        Scalar::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null),
        Scalar::Text(text) => Value::Text(text.clone()),
    }
}

/// A whole number where it is one.
pub(super) fn plain(number: f64) -> Value {
    match number.fract() == 0.0 && number.abs() < EXACT {
        true => Value::Int(number as i64),
        false => Value::Float(number),
    }
}
