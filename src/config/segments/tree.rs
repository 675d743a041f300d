//! TOML as JSON, and the places of one in the other.

use super::grammar::Flaw;
use super::place::{Place, Step};
use crate::config::reader::{Complaint, wrong_type};
use serde_json::{Number, Value};
use std::ops::Range;
use toml::de::DeValue;

/// The same in JSON. What JSON cannot say is a flaw, and `null` in its place.
pub(super) fn json(value: &DeValue<'_>, place: &Place, flaws: &mut Vec<Flaw>) -> Value {
    let found = match value {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(yes) => Ok(Value::Bool(*yes)),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::from)
            .map_err(|_| Complaint::new("this number is too large")),
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            let number = number.ok_or_else(|| Complaint::new("this number is not finite"));
            number.map(Value::Number)
        }
        DeValue::Datetime(_) => instant(value).map(Value::String),
        DeValue::Array(items) => {
            let items = items.iter().enumerate();
            let items = items
                .map(|(index, item)| json(item.get_ref(), &place.join(Step::Index(index)), flaws));
            return items.collect();
        }
        DeValue::Table(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                let key = key.get_ref().as_ref();
                (
                    key.to_owned(),
                    json(value.get_ref(), &place.join(key), flaws),
                )
            });
            return Value::Object(fields.collect());
        }
    };
    found.unwrap_or_else(|complaint| {
        let place = place.clone();
        flaws.push(Flaw { place, complaint });
        Value::Null
    })
}

/// A date as RFC 3339 has it; without a zone it is UTC, as Klaviyo reads it.
fn instant(value: &DeValue<'_>) -> Result<String, Complaint> {
    let Some(at) = value.as_datetime() else {
        return Err(wrong_type("a date", value));
    };
    match (at.date, at.time, at.offset) {
        (Some(_), Some(_), Some(_)) => Ok(at.to_string()),
        (Some(_), Some(_), None) => Ok(format!("{at}Z")),
        (Some(_), None, _) => Ok(format!("{at}T00:00:00Z")),
        (None, _, _) => Err(Complaint::new("a time without its date is no instant")
            .help("such as 2026-01-31 or 2026-01-31T12:00:00Z")),
    }
}

/// Where in the file a place is; as near as there is something.
pub(super) fn span(value: &DeValue<'_>, whole: Range<usize>, place: &Place) -> Range<usize> {
    let (mut here, mut span) = (value, whole);
    for (depth, step) in place.0.iter().enumerate() {
        let (inner, key) = match (here, step) {
            (DeValue::Table(fields), Step::Key(key)) => match fields.get_key_value(key.as_str()) {
                Some((key, inner)) => (inner, Some(key.span())),
                None => break,
            },
            (DeValue::Array(items), Step::Index(index)) => match items.get(*index) {
                Some(inner) => (inner, None),
                None => break,
            },
            _ => break,
        };
        here = inner.get_ref();
        let is_last = depth + 1 == place.0.len();
        // A table as a whole is best shown by its name.
        span = match key {
            Some(key) if is_last && matches!(here, DeValue::Table(_)) => key,
            _ if inner.span().is_empty() => span,
            _ => inner.span(),
        };
    }
    span
}
