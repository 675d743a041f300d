//! Tests of property values (klaviyo.md, section 11.2; assumptions A9 to A16).

use super::assumption::Assumptions;
use super::filter::{BooleanFilter, ExistenceFilter, Filter, ListFilter, Scalar, StringFilter};
use super::number::{Num, NumberTest};
use super::phone::CallingCodes;
use super::window::Window;
use crate::model::{Text, Value, micros};
use regex::Regex;

/// A filter, compiled for values.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Its answer does not depend on time.
    Static(StaticTest),
    /// Its answer does.
    Date(Window),
}

/// A test whose answer does not depend on time. A value of the wrong type is as good as none (A9).
#[derive(Clone, Debug)]
pub(super) struct StaticTest {
    positive: Positive,
    /// Holds for values of the right type that fail the positive test.
    negated: bool,
    negative_matches_missing: bool,
    missing_is_no: bool,
    empty_text_is_set: bool,
}

#[derive(Clone, Debug)]
enum Positive {
    Equals(Option<String>),
    Contains(Option<String>),
    StartsWith(Option<String>),
    EndsWith(Option<String>),
    Matches(Regex),
    OneOf(Vec<String>),
    CallingCode(CallingCodes),
    Number(NumberTest),
    HasElement(Scalar),
    HasAny(Vec<Scalar>),
    HasAll(Vec<Scalar>),
    HasText(Option<String>),
    Length(NumberTest),
    Truth(bool),
    IsSet,
}

impl Test {
    /// Compiles a filter; the error says what is not known about it.
    pub(super) fn compile(filter: &Filter, assumptions: &Assumptions) -> Result<Self, String> {
        let known = match filter {
            Filter::String(filter) => text(filter)?,
            Filter::Numeric(filter) => (Positive::Number(number(filter)?), false),
            Filter::List(filter) => list(filter)?,
            Filter::Boolean(BooleanFilter::Equals { value }) => (Positive::Truth(*value), false),
            Filter::Existence(ExistenceFilter::IsSet) => (Positive::IsSet, false),
            Filter::Existence(ExistenceFilter::NotSet) => (Positive::IsSet, true),
            Filter::Date(filter) => {
                let window = Window::compile(filter, assumptions);
                return window.map(Self::Date).ok_or_else(|| not_a_date(filter));
            }
            Filter::Unknown(json) => return Err(unknown(json)),
        };
        Ok(Self::Static(StaticTest {
            positive: known.0,
            negated: known.1,
            negative_matches_missing: assumptions.negative_matches_missing,
            missing_is_no: assumptions.missing_is_no,
            empty_text_is_set: assumptions.empty_text_is_set,
        }))
    }
}

fn unknown(json: &serde_json::Value) -> String {
    let word = |key: &str| json.get(key).and_then(serde_json::Value::as_str);
    let (kind, operator) = (word("type").unwrap_or("?"), word("operator").unwrap_or("?"));
    format!("the filter `{kind} {operator}` or its operand is not known")
}

pub(super) fn not_a_date(filter: &super::filter::DateFilter) -> String {
    let operator = serde_json::to_value(filter).ok();
    let operator = operator.as_ref().and_then(|json| json["operator"].as_str());
    format!(
        "the operand of `date {}` means nothing",
        operator.unwrap_or("?")
    )
}

pub(super) fn number(filter: &super::filter::NumericFilter) -> Result<NumberTest, String> {
    NumberTest::compile(filter).ok_or_else(|| "the bound is not a usable number".to_owned())
}

fn text(filter: &StringFilter) -> Result<(Positive, bool), String> {
    use StringFilter as F;
    Ok(match filter {
        F::Equals(operand) => (Positive::Equals(operand.value.clone()), false),
        F::NotEquals(operand) => (Positive::Equals(operand.value.clone()), true),
        F::Contains(operand) => (Positive::Contains(operand.value.clone()), false),
        F::NotContains(operand) => (Positive::Contains(operand.value.clone()), true),
        F::StartsWith(operand) => (Positive::StartsWith(operand.value.clone()), false),
        F::NotStartsWith(operand) => (Positive::StartsWith(operand.value.clone()), true),
        F::EndsWith(operand) => (Positive::EndsWith(operand.value.clone()), false),
        F::NotEndsWith(operand) => (Positive::EndsWith(operand.value.clone()), true),
        F::Regex(operand) => (pattern(operand.value.as_deref())?, false),
        F::Nregex(operand) => (pattern(operand.value.as_deref())?, true),
        F::In(operand) => (one_of(&operand.value), false),
        F::NotIn(operand) => (one_of(&operand.value), true),
        F::PhoneCountryCodeIn(operand) => (calling_code(&operand.value), false),
        F::PhoneCountryCodeNotIn(operand) => (calling_code(&operand.value), true),
    })
}

/// `null` among the operands equals nothing.
fn one_of(values: &[Option<String>]) -> Positive {
    Positive::OneOf(values.iter().flatten().cloned().collect())
}

fn calling_code(values: &[Option<String>]) -> Positive {
    Positive::CallingCode(CallingCodes::of(values.iter().flatten()))
}

/// A search anywhere in the text, case-sensitive (A15). What engines of the RE2 kind do not share is
/// unknown: this one refuses all of it but possessive quantifiers, which it reads otherwise.
fn pattern(pattern: Option<&str>) -> Result<Positive, String> {
    let Some(pattern) = pattern else {
        return Ok(Positive::Equals(None));
    };
    let compiled = Regex::new(pattern)
        .ok()
        .filter(|_| !has_possessive(pattern));
    compiled
        .map(Positive::Matches)
        .ok_or_else(|| "the pattern is not one that regex engines share".to_owned())
}

fn has_possessive(pattern: &str) -> bool {
    let mut in_class = false;
    let mut after_quantifier = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let quantifier = matches!(character, '*' | '+' | '?' | '}') && !in_class;
        match character {
            '\\' => drop(characters.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '+' if after_quantifier => return true,
            _ => {}
        }
        after_quantifier = quantifier && !after_quantifier;
    }
    false
}

fn list(filter: &ListFilter) -> Result<(Positive, bool), String> {
    use ListFilter as F;
    Ok(match filter {
        F::Contains(operand) => (Positive::HasElement(operand.value.clone()), false),
        F::NotContains(operand) => (Positive::HasElement(operand.value.clone()), true),
        F::ContainsAny(operand) => (Positive::HasAny(operand.value.clone()), false),
        F::NotContainsAny(operand) => (Positive::HasAny(operand.value.clone()), true),
        F::ContainsAll(operand) => (Positive::HasAll(operand.value.clone()), false),
        F::NotContainsAll(operand) => (Positive::HasAll(operand.value.clone()), true),
        F::ContainsSubstring(operand) => (Positive::HasText(operand.value.clone()), false),
        F::NotContainsSubstring(operand) => (Positive::HasText(operand.value.clone()), true),
        F::LengthEquals(_)
        | F::LengthGreaterThan(_)
        | F::LengthGreaterThanOrEqual(_)
        | F::LengthLessThan(_)
        | F::LengthLessThanOrEqual(_) => (Positive::Length(number(&length(filter))?), false),
    })
}

/// The comparison of a list's length as one of numbers.
fn length(filter: &ListFilter) -> super::filter::NumericFilter {
    use super::filter::NumericFilter as N;
    match filter {
        ListFilter::LengthGreaterThan(operand) => N::GreaterThan(operand.clone()),
        ListFilter::LengthGreaterThanOrEqual(operand) => N::GreaterThanOrEqual(operand.clone()),
        ListFilter::LengthLessThan(operand) => N::LessThan(operand.clone()),
        ListFilter::LengthLessThanOrEqual(operand) => N::LessThanOrEqual(operand.clone()),
        ListFilter::LengthEquals(operand) => N::Equals(operand.clone()),
        _ => unreachable!("only comparisons of lengths come here"),
    }
}

/// Objects, and lists that hold an object or a list, are not segmentable (A11).
pub(super) fn segmentable<T>(value: Option<&Value<T>>) -> Option<&Value<T>> {
    value.filter(|value| match value {
        Value::Object(_) => false,
        Value::List(items) => {
            let nested = |item: &Value<T>| matches!(item, Value::Object(_) | Value::List(_));
            !items.iter().any(nested)
        }
        _ => true,
    })
}

/// What is segmentable of an event's property: zero, `null` and empty text are dropped when events
/// are taken in (A12).
pub(super) fn kept_in_event<T: Text>(value: Option<&Value<T>>) -> Option<&Value<T>> {
    segmentable(value).filter(|value| match value {
        Value::Null => false,
        Value::Int(int) => *int != 0,
        Value::Float(float) => *float != 0.0,
        Value::Text(text) => !text.borrow().is_empty(),
        _ => true,
    })
}

/// The instant a value names; `None` when it names none.
pub(super) fn instant<T: Text>(value: Option<&Value<T>>) -> Option<i64> {
    match value {
        Some(Value::Text(text)) => micros(text.borrow()),
        _ => None,
    }
}

impl StaticTest {
    /// Whether a segmentable value passes; `None` is no value.
    pub(super) fn holds<T: Text>(&self, value: Option<&Value<T>>) -> bool {
        if let Positive::IsSet = self.positive {
            return value.is_some_and(|value| self.is_set(value)) != self.negated;
        }
        let missing = matches!(value, None | Some(Value::Null));
        match value.and_then(|value| self.positive.holds(value)) {
            Some(holds) => holds != self.negated,
            None if matches!(self.positive, Positive::Truth(_)) => {
                value.is_none()
                    && self.missing_is_no
                    && matches!(self.positive, Positive::Truth(false))
            }
            None => missing && self.negated && self.negative_matches_missing,
        }
    }

    fn is_set<T: Text>(&self, value: &Value<T>) -> bool {
        match value {
            Value::Null => false,
            Value::Text(text) => self.empty_text_is_set || !text.borrow().is_empty(),
            _ => true,
        }
    }
}

impl Positive {
    /// `None` for a value of the wrong type.
    fn holds<T: Text>(&self, value: &Value<T>) -> Option<bool> {
        Some(match (self, value) {
            (Self::Contains(operand), Value::List(items)) => operand.as_ref().is_some_and(|text| {
                let is_it =
                    |item: &Value<T>| matches!(item, Value::Text(known) if known.borrow() == text);
                items.iter().any(is_it)
            }),
            (Self::Number(test), value) => test.holds(Num::of_value(value)?),
            (Self::Truth(wanted), value) => truth(value)? == *wanted,
            (test, Value::Text(text)) => return test.holds_text(text.borrow()),
            (Self::HasElement(wanted), Value::List(items)) => has(items, wanted),
            (Self::HasAny(wanted), Value::List(items)) => wanted.iter().any(|one| has(items, one)),
            (Self::HasAll(wanted), Value::List(items)) => wanted.iter().all(|one| has(items, one)),
            (Self::HasText(part), Value::List(items)) => part.as_ref().is_some_and(|part| {
                items.iter().any(|item| match item {
                    Value::Text(text) => text.borrow().contains(part),
                    _ => false,
                })
            }),
            (Self::Length(test), Value::List(items)) => {
                test.holds(Num::Int(i64::try_from(items.len()).unwrap_or(i64::MAX)))
            }
            _ => return None,
        })
    }

    /// `None` when it is no test of texts.
    fn holds_text(&self, text: &str) -> Option<bool> {
        let some = |operand: &Option<String>, test: fn(&str, &str) -> bool| {
            operand.as_ref().is_some_and(|operand| test(text, operand))
        };
        Some(match self {
            Self::Equals(operand) => some(operand, |text, other| text == other),
            Self::Contains(operand) => some(operand, |text, part| text.contains(part)),
            Self::StartsWith(operand) => some(operand, |text, part| text.starts_with(part)),
            Self::EndsWith(operand) => some(operand, |text, part| text.ends_with(part)),
            Self::Matches(pattern) => pattern.is_match(text),
            Self::OneOf(texts) => texts.iter().any(|one| one == text),
            Self::CallingCode(codes) => return codes.hold(text),
            _ => return None,
        })
    }
}

/// `null` equals nothing, and `true` is not 1.
fn has<T: Text>(items: &[Value<T>], wanted: &Scalar) -> bool {
    items.iter().any(|item| match (item, wanted) {
        (Value::Text(text), Scalar::Text(wanted)) => text.borrow() == wanted,
        (Value::Bool(flag), Scalar::Bool(wanted)) => flag == wanted,
        (item, Scalar::Number(wanted)) => {
            let numbers = Num::of_value(item).zip(Num::of(wanted));
            numbers.is_some_and(|(a, b)| a.compare(b) == Some(std::cmp::Ordering::Equal))
        }
        _ => false,
    })
}

/// Klaviyo's tables of yes and no (klaviyo.md, section 11.2); `None` for anything else.
fn truth<T: Text>(value: &Value<T>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Null => Some(false),
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        Value::Float(float) if *float == 1.0 => Some(true),
        Value::Float(float) if *float == 0.0 => Some(false),
        Value::Text(text) => match text.borrow().to_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" => Some(true),
            "0" | "false" | "f" | "no" | "n" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
