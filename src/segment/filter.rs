//! The 50 filters, keyed by type and operator (klaviyo.md, section 10.5). Any of them may stand in
//! any position; where one makes no sense, compiling it says so.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Filter {
    /// Of text.
    String(StringFilter),
    /// Of a number.
    Numeric(NumericFilter),
    /// Of a flat list.
    List(ListFilter),
    /// Of what counts as yes or no.
    Boolean(BooleanFilter),
    /// Whether there is a value.
    Existence(ExistenceFilter),
    /// Of an instant.
    Date(DateFilter),
    /// An operator, an operand or a type that this version does not know.
    #[serde(untagged)]
    Unknown(Value),
}

/// Tests of text. A `None` operand is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operators are Klaviyo's words")]
pub enum StringFilter {
    Equals(TextOperand),
    NotEquals(TextOperand),
    Contains(TextOperand),
    NotContains(TextOperand),
    StartsWith(TextOperand),
    NotStartsWith(TextOperand),
    EndsWith(TextOperand),
    NotEndsWith(TextOperand),
    Regex(TextOperand),
    Nregex(TextOperand),
    In(TextsOperand),
    NotIn(TextsOperand),
    PhoneCountryCodeIn(TextsOperand),
    PhoneCountryCodeNotIn(TextsOperand),
}

/// Tests of a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operators are Klaviyo's words")]
pub enum NumericFilter {
    Equals(NumberOperand),
    NotEquals(NumberOperand),
    GreaterThan(NumberOperand),
    GreaterThanOrEqual(NumberOperand),
    LessThan(NumberOperand),
    LessThanOrEqual(NumberOperand),
    /// Both ends included; documented for custom objects only.
    Between {
        start: Number,
        end: Number,
    },
}

/// Tests of a flat list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operators are Klaviyo's words")]
pub enum ListFilter {
    Contains(ElementOperand),
    NotContains(ElementOperand),
    LengthEquals(NumberOperand),
    LengthGreaterThan(NumberOperand),
    LengthGreaterThanOrEqual(NumberOperand),
    LengthLessThan(NumberOperand),
    LengthLessThanOrEqual(NumberOperand),
    ContainsAny(ElementsOperand),
    ContainsAll(ElementsOperand),
    NotContainsAny(ElementsOperand),
    NotContainsAll(ElementsOperand),
    ContainsSubstring(TextOperand),
    NotContainsSubstring(TextOperand),
}

/// Tests of what counts as yes or no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operator is Klaviyo's word")]
pub enum BooleanFilter {
    Equals { value: bool },
}

/// Whether there is a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operators are Klaviyo's words")]
pub enum ExistenceFilter {
    IsSet,
    NotSet,
}

/// Tests of an instant. Days and weeks are cut at midnight UTC (klaviyo.md, section 11.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the operators are Klaviyo's words")]
pub enum DateFilter {
    After {
        date: String,
    },
    Before {
        date: String,
    },
    BetweenStatic {
        start: String,
        end: String,
    },
    InTheLast(Length),
    InTheNext(Length),
    AtLeast(Length),
    /// Both ends count units ago; which of them is larger is not specified.
    Between {
        unit: Unit,
        start: i64,
        end: i64,
    },
    AnniversaryLast(Length),
    AnniversaryNext(Length),
    Anniversary,
    AnniversaryMonth,
    CalendarMonth {
        value: i64,
    },
    Alltime,
    /// An extension of driftless: within the last season, from one day of the year to another, that
    /// has come to its end. `MM-DD`, both days included; a season may span the turn of the year.
    DriftlessLastSeason {
        from: String,
        to: String,
    },
}

/// So many units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Length {
    /// Of what.
    pub unit: Unit,
    /// How many.
    pub quantity: i64,
}

/// Units of time; there are no months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// 3,600 seconds, not cut.
    Hour,
    /// A UTC day.
    Day,
    /// Seven UTC days.
    Week,
}

/// A text, or `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextOperand {
    /// The text.
    #[serde(deserialize_with = "required")]
    pub value: Option<String>,
}

/// Texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextsOperand {
    /// The texts.
    pub value: Vec<Option<String>>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberOperand {
    /// The number.
    pub value: Number,
}

/// An element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementOperand {
    /// The element.
    pub value: Scalar,
}

/// Elements of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementsOperand {
    /// The elements.
    pub value: Vec<Scalar>,
}

/// What a flat list may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "JSON's own words")]
pub enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
}

/// Refuses an absent operand, but takes `null`.
fn required<'de, D, T>(field: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(field)
}
