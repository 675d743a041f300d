//! Values of profile properties, as both the API and our own rules speak them.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;

/// A text that is kept, or borrowed from where it is kept.
pub trait Text: Borrow<str> + Ord + Clone {}

impl Text for String {}
impl Text for &str {}

/// A profile property's value. Unlike JSON it has a stable binary form; objects, which no rule can
/// read, are kept as their JSON text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value<T = String> {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, dates included.
    Text(T),
    /// A flat or nested array.
    List(Vec<Value<T>>),
    /// An object, as canonical JSON text.
    Object(T),
    /// An explicit `null`: an element of a list, or a value that definitions tell from none.
    Null,
}

impl Value {
    /// From JSON; `null` is "no value" and becomes `None`. Inside a list it counts.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        match Self::from_json_or_null(json) {
            Self::Null => None,
            value => Some(value),
        }
    }

    /// From JSON, where an explicit `null` says something.
    pub fn from_json_or_null(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(number)) => Self::Float(number),
                (None, None) => Self::Null,
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from_json_or_null).collect()),
            Json::Object(_) => Self::Object(json.to_string()),
        }
    }

    /// To JSON, as the API takes it.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(int) => Json::from(*int),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            Self::Null => Json::Null,
        }
    }

    /// Whether two values are the same once stored: `3` and `3.0` are.
    pub fn same_as(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => *a as f64 == *b,
            _ => self == other,
        }
    }

    /// Whether a property stands as it should, none being the same as none.
    pub fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one.same_as(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => other.to_json().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_property_that_comes_back_in_another_spelling_stands_as_it_should() {
        let (three, float) = (Value::Int(3), Value::Float(3.0));
        assert!(Value::same(Some(&three), Some(&float)));
        assert!(Value::same(None, None));
        assert!(!Value::same(Some(&three), None) && !Value::same(None, Some(&float)));
        assert!(!Value::same(Some(&three), Some(&Value::Float(3.5))));
    }

    #[test]
    fn null_is_no_value_but_counts_in_a_list() {
        assert_eq!(Value::from_json(&json!(null)), None);
        assert_eq!(Value::from_json_or_null(&json!(null)), Value::Null);
        let list = json!([1, null, "a", [null]]);
        let value = Value::from_json(&list).unwrap();
        let inner = Value::List(vec![Value::Null]);
        let expected = [
            Value::Int(1),
            Value::Null,
            Value::Text("a".to_owned()),
            inner,
        ];
        assert_eq!(value, Value::List(expected.to_vec()));
        assert_eq!(value.to_json(), list);
    }
}
