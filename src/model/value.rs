//! Values of profile properties, as both the API and our own rules speak them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A profile property's value. Unlike JSON it has a stable binary form; objects, which no rule can
/// read, are kept as their JSON text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, dates included.
    Text(String),
    /// A flat or nested array.
    List(Vec<Value>),
    /// An object, as canonical JSON text.
    Object(String),
}

impl Value {
    /// From JSON; `null` is "no value" and becomes `None`.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match json {
            Json::Null => return None,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => match n.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(n.as_f64()?),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().filter_map(Self::from_json).collect()),
            Json::Object(_) => Self::Object(json.to_string()),
        })
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
        }
    }

    /// Whether two values are the same once stored: `3` and `3.0` are.
    pub fn same_as(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => *a as f64 == *b,
            _ => self == other,
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
