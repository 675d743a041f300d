//! Scalars as vendors send them: booleans as text, numbers as text, instants in several spellings.

use super::Fault;
use crate::model::Moment;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Turns serde's complaint into a place without the text that stands there.
pub(super) fn misfit(error: &serde_json::Error) -> Fault {
    match error.classify() {
        serde_json::error::Category::Data => Fault::Shape {
            line: error.line(),
            column: error.column(),
        },
        _ => Fault::NotJson,
    }
}

/// A scalar or nothing; arrays and objects are an error.
#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Nothing,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scalar")
            }
            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(v as f64))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Scalar, E> {
                Ok(Scalar::Number(v as f64))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(v))
            }
            fn visit_str<E>(self, v: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(v.to_owned()))
            }
        }
        from.deserialize_any(Read)
    }
}

/// A boolean, also as `"True"` or `"false"`; null is none.
pub(super) fn boolean<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Scalar::deserialize(from)? {
        Scalar::Nothing => Ok(None),
        Scalar::Bool(yes) => Ok(Some(yes)),
        Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(D::Error::custom("not a boolean")),
    }
}

/// A text, also as a number; null and the empty text are none.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Scalar::deserialize(from)? {
        Scalar::Nothing => Ok(None),
        Scalar::Text(text) => Ok((!text.is_empty()).then_some(text)),
        Scalar::Number(number) => Ok(Some(number.to_string())),
        Scalar::Bool(_) => Err(D::Error::custom("not a text")),
    }
}

/// A text exactly as it was sent, the empty one included; anything else is none.
pub(super) fn verbatim<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// An instant in any spelling [`Moment::parse`] reads; null is none.
pub(super) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Moment>, D::Error> {
    match Scalar::deserialize(from)? {
        Scalar::Nothing => Ok(None),
        Scalar::Text(text) => match Moment::parse(&text) {
            Some(at) => Ok(Some(at)),
            None => Err(D::Error::custom("not an instant")),
        },
        _ => Err(D::Error::custom("not an instant")),
    }
}

/// A count, also as digits in a text or with a decimal point; null is none.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = match Scalar::deserialize(from)? {
        Scalar::Nothing => return Ok(None),
        Scalar::Number(number) => number,
        Scalar::Text(text) => text.parse().map_err(|_| D::Error::custom("not a count"))?,
        Scalar::Bool(_) => return Err(D::Error::custom("not a count")),
    };
    // Within 2^53 the conversion is exact.
    let exact = number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0;
    exact
        .then_some(Some(number as u64))
        .ok_or_else(|| D::Error::custom("not a count"))
}

/// Records that fit, and how many did not.
pub(super) fn sift<'a, T>(
    records: &[&'a RawValue],
    mut read: impl FnMut(&'a str) -> Option<T>,
) -> (Vec<T>, u64) {
    let fitting: Vec<T> = records.iter().filter_map(|raw| read(raw.get())).collect();
    let misfits = records.len() - fitting.len();
    (fitting, u64::try_from(misfits).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Row {
        #[serde(deserialize_with = "boolean")]
        yes: Option<bool>,
        #[serde(deserialize_with = "text")]
        name: Option<String>,
        #[serde(deserialize_with = "instant")]
        at: Option<Moment>,
        #[serde(deserialize_with = "count")]
        total: Option<u64>,
    }

    #[test]
    fn every_spelling_of_a_scalar_is_read() {
        let expected = Row {
            yes: Some(true),
            name: Some("42".to_owned()),
            at: Some(Moment::from_secs(1_691_652_116)),
            total: Some(7),
        };
        for text in [
            r#"{"yes":true,"name":"42","at":"2023-08-10T07:21:56+00:00","total":7}"#,
            r#"{"yes":"True","name":42,"at":"2023-08-10 07:21:56+00:00","total":"7"}"#,
            r#"{"yes":"true","name":"42","at":"2023-08-10T07:21:56Z","total":7.0}"#,
        ] {
            assert_eq!(serde_json::from_str::<Row>(text).unwrap(), expected);
        }
        let nulls = r#"{"yes":null,"name":null,"at":null,"total":null}"#;
        assert_eq!(serde_json::from_str::<Row>(nulls).unwrap(), Row::default());
    }

    #[test]
    fn what_is_none_of_them_is_an_error_without_its_text() {
        for text in [
            r#"{"yes":"jane@example.com"}"#,
            r#"{"at":"jane@example.com"}"#,
            r#"{"total":-1}"#,
            r#"{"total":1e300}"#,
            r#"{"name":["jane@example.com"]}"#,
        ] {
            let error = serde_json::from_str::<Row>(text).unwrap_err();
            let fault = misfit(&error);
            assert!(matches!(fault, Fault::Shape { .. }), "{text}");
            assert!(!fault.to_string().contains("jane"));
        }
        let page = serde_json::from_str::<Row>("<html>").unwrap_err();
        assert_eq!(misfit(&page), Fault::NotJson);
    }
}
