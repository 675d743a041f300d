//! Tests of one value: of a property of a profile or of an event (klaviyo.md, section 11.2; assumptions
//! A9 to A16).

use super::dates::{self, When, Window};
use super::pattern::Pattern;
use phonenumber::metadata::DATABASE;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// A filter. `None` in place of a text is the operand null, which nothing equals.
pub(super) enum Test {
    /// One of the texts is this to the value; negated or not.
    Text(TextRelation, Vec<Option<String>>, bool),
    Matches(Pattern, bool),
    /// Calling codes.
    Calls(Vec<u16>, bool),
    Number(NumberRelation),
    Length(NumberRelation),
    Contains(Elements, bool),
    /// Some element contains this text.
    Within(Option<String>, bool),
    Bool(bool),
    IsSet(bool),
    Date(Window),
}

/// What a text is to the value.
#[derive(Clone, Copy)]
pub(super) enum TextRelation {
    Equal,
    Inside,
    Start,
    End,
}

/// Which elements a list must have.
pub(super) enum Elements {
    Any(Vec<Json>),
    All(Vec<Json>),
}

/// A comparison with numbers.
pub(super) struct NumberRelation {
    operator: String,
    /// `None` for the operand null.
    bounds: Option<(f64, f64)>,
}

/// What a property holds, as far as conditions can see it.
pub(super) type Value<'a> = Option<&'a Json>;

/// Objects, and lists of objects or lists, are out of reach: as if they were not there.
pub(super) fn segmentable(value: Value<'_>) -> Value<'_> {
    let nested = |item: &Json| item.is_object() || item.is_array();
    value.filter(|value| match value {
        Json::Object(_) => false,
        Json::Array(items) => !items.iter().any(nested),
        _ => true,
    })
}

/// A text operand, or null.
fn text(json: &Json) -> Option<Option<String>> {
    match json {
        Json::Null => Some(None),
        Json::String(text) => Some(Some(text.clone())),
        _ => None,
    }
}

fn scalar(json: &Json) -> Option<Json> {
    (!json.is_object() && !json.is_array()).then(|| json.clone())
}

fn each<T>(json: &Json, read: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    json.as_array()?.iter().map(read).collect()
}

impl Test {
    /// Reads a filter; `None` when it is unknown or malformed.
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let operator = json["operator"].as_str()?;
        let operand = json.get("value");
        Some(match json["type"].as_str()? {
            "string" => Self::of_text(operator, operand?)?,
            "numeric" => Self::Number(NumberRelation::read(operator, json)?),
            "list" => Self::of_list(operator, json)?,
            "boolean" if operator == "equals" => Self::Bool(operand?.as_bool()?),
            "existence" => Self::IsSet(match operator {
                "is-set" => true,
                "not-set" => false,
                _ => return None,
            }),
            "date" => Self::Date(Window::read(json, when)?),
            _ => return None,
        })
    }

    fn of_text(operator: &str, operand: &Json) -> Option<Self> {
        let positive = operator.strip_prefix("not-");
        let (plain, wanted) = (positive.unwrap_or(operator), positive.is_none());
        let one = || Some(vec![text(operand)?]);
        Some(match plain {
            "equals" => Self::Text(TextRelation::Equal, one()?, wanted),
            "contains" => Self::Text(TextRelation::Inside, one()?, wanted),
            "starts-with" => Self::Text(TextRelation::Start, one()?, wanted),
            "ends-with" => Self::Text(TextRelation::End, one()?, wanted),
            "in" => Self::Text(TextRelation::Equal, each(operand, text)?, wanted),
            "regex" | "nregex" if wanted => {
                Self::Matches(Pattern::read(operand.as_str()?)?, plain == "regex")
            }
            "phone-country-code-in" | "phone-country-code-not-in" if wanted => {
                let codes = each(operand, text)?;
                let code = |country: &String| {
                    let known = DATABASE.by_id(country).map(|known| known.country_code());
                    known.filter(|_| country.bytes().all(|byte| byte.is_ascii_uppercase()))
                };
                let codes = codes.iter().flatten().filter_map(code).collect();
                Self::Calls(codes, plain == "phone-country-code-in")
            }
            _ => return None,
        })
    }

    fn of_list(operator: &str, json: &Json) -> Option<Self> {
        if let Some(relation) = operator.strip_prefix("length-") {
            return Some(Self::Length(NumberRelation::read(relation, json)?));
        }
        let operand = json.get("value")?;
        let positive = operator.strip_prefix("not-");
        let wanted = positive.is_none();
        Some(match positive.unwrap_or(operator) {
            "contains" => Self::Contains(Elements::Any(vec![scalar(operand)?]), wanted),
            "contains-any" => Self::Contains(Elements::Any(each(operand, scalar)?), wanted),
            "contains-all" => Self::Contains(Elements::All(each(operand, scalar)?), wanted),
            "contains-substring" => Self::Within(text(operand)?, wanted),
            _ => return None,
        })
    }

    /// A value that is missing, or of another type than the test wants, passes neither a test nor its
    /// negation.
    pub(super) fn holds(&self, value: Value<'_>) -> bool {
        if let Self::IsSet(wanted) = self {
            return value.is_some_and(|value| !value.is_null()) == *wanted;
        }
        let Some(value) = value else { return false };
        let list = || value.as_array().map(Vec::as_slice);
        let (result, wanted) = match self {
            Self::IsSet(_) => return false,
            Self::Bool(wanted) => return truth(value) == Some(*wanted),
            Self::Number(relation) => {
                (value.as_number().map(|n| relation.holds(n.as_f64())), &true)
            }
            Self::Length(relation) => {
                let length = list().map(|items| relation.holds(Some(items.len() as f64)));
                (length, &true)
            }
            Self::Date(window) => {
                let at = value.as_str().and_then(dates::parse);
                (at.map(|at| window.holds(at)), &true)
            }
            Self::Text(relation, operands, wanted) => (relation.any(value, operands), wanted),
            Self::Matches(pattern, wanted) => (value.as_str().map(|t| pattern.found(t)), wanted),
            Self::Calls(codes, wanted) => {
                let code = value.as_str().and_then(calling_code);
                (code.map(|code| codes.contains(&code)), wanted)
            }
            Self::Contains(elements, wanted) => (list().map(|items| elements.among(items)), wanted),
            Self::Within(part, wanted) => {
                let inside = |item: &Json| {
                    let text = item.as_str().zip(part.as_deref());
                    text.is_some_and(|(text, part)| text.contains(part))
                };
                (list().map(|items| items.iter().any(inside)), wanted)
            }
        };
        result.is_some_and(|result| result == *wanted)
    }
}

impl TextRelation {
    /// Whether any operand fits; `None` for a value of the wrong type. A list contains what equals one of
    /// its elements.
    fn any(self, value: &Json, operands: &[Option<String>]) -> Option<bool> {
        let mut operands = operands.iter().flatten();
        if let (Self::Inside, Json::Array(items)) = (self, value) {
            let element = |operand: &String| items.iter().any(|item| item == operand.as_str());
            return Some(operands.any(element));
        }
        let value = value.as_str()?;
        Some(operands.any(|operand| match self {
            Self::Equal => value == operand,
            Self::Inside => value.contains(operand.as_str()),
            Self::Start => value.starts_with(operand.as_str()),
            Self::End => value.ends_with(operand.as_str()),
        }))
    }
}

impl Elements {
    fn among(&self, items: &[Json]) -> bool {
        let has = |wanted: &Json| !wanted.is_null() && items.iter().any(|item| same(item, wanted));
        match self {
            Self::Any(wanted) => wanted.iter().any(has),
            Self::All(wanted) => wanted.iter().all(has),
        }
    }
}

/// Equality of scalars; `38` is `38.0`.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

impl NumberRelation {
    /// Reads operator and operands of a numeric filter, or of one on lengths.
    pub(super) fn read(operator: &str, json: &Json) -> Option<Self> {
        let number = |name: &str| json[name].as_f64();
        let bounds = match operator {
            "between" => Some((number("start")?, number("end")?)),
            "equals"
            | "not-equals"
            | "greater-than"
            | "greater-than-or-equal"
            | "less-than"
            | "less-than-or-equal" => match json.get("value")? {
                Json::Null => None,
                value => Some((value.as_f64()?, 0.0)),
            },
            _ => return None,
        };
        let operator = operator.to_owned();
        Some(Self { operator, bounds })
    }

    /// Whether a number compares as asked.
    pub(super) fn holds(&self, number: Option<f64>) -> bool {
        let (Some(number), Some((bound, end))) = (number, self.bounds) else {
            return number.is_some() && self.operator == "not-equals";
        };
        let order = number.partial_cmp(&bound);
        match self.operator.as_str() {
            "equals" => order == Some(Ordering::Equal),
            "not-equals" => order != Some(Ordering::Equal),
            "greater-than" => order == Some(Ordering::Greater),
            "greater-than-or-equal" => order.is_some_and(Ordering::is_ge),
            "less-than" => order == Some(Ordering::Less),
            "less-than-or-equal" => order.is_some_and(Ordering::is_le),
            _ => order.is_some_and(Ordering::is_ge) && number <= end,
        }
    }
}

/// The documented tables of what counts as true and as false.
fn truth(value: &Json) -> Option<bool> {
    let text = match value {
        Json::Null => return Some(false),
        Json::Bool(value) => return Some(*value),
        Json::Number(number) => {
            let known = [(1.0, true), (0.0, false)];
            let number = number.as_f64()?;
            return known
                .iter()
                .find(|(n, _)| *n == number)
                .map(|(_, known)| *known);
        }
        Json::String(text) => text.to_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "1" | "true" | "t" | "yes" | "y" => Some(true),
        "0" | "false" | "f" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// The calling code of a number in E.164, if any country has it.
fn calling_code(phone: &str) -> Option<u16> {
    let digits = phone.strip_prefix('+')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
        return None;
    }
    // No calling code is the beginning of another.
    (1..=3).find_map(|length| {
        let code = digits.get(..length)?.parse().ok()?;
        DATABASE.by_code(&code).map(|_| code)
    })
}
