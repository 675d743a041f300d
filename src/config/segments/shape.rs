//! Why the grammar's types did not understand a piece of JSON, by asking them.

use super::place::{Place, Step};
use crate::config::reader::Complaint;
use crate::config::suggest::{listing, nearest};
use crate::config::value::quoted;
use crate::segment::{
    Affinity, BooleanFilter, CustomObject, DateFilter, ExistenceFilter, Fact, GroupMembership,
    ListFilter, MarketingConsent, MetricFunnel, NumberDimension, NumericFilter, Permissions,
    PostalCodeDistance, ProfileMetric, ProfileProperty, Radius, Region, Sample, StringFilter,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

type Check = fn(&Value) -> Result<(), Trouble>;

/// Every type of condition, and what it must look like.
const CONDITIONS: [(&str, Check); 13] = [
    ("profile-metric", check::<ProfileMetric>),
    ("profile-metric-funnel", check::<MetricFunnel>),
    ("profile-property", check::<ProfileProperty>),
    ("profile-group-membership", check::<GroupMembership>),
    ("profile-marketing-consent", check::<MarketingConsent>),
    ("profile-permissions", check::<Permissions>),
    ("profile-region", check::<Region>),
    ("profile-predictive-analytics", predictive),
    ("profile-postal-code-distance", check::<PostalCodeDistance>),
    ("profile-has-custom-object", check::<CustomObject>),
    ("driftless-radius", check::<Radius>),
    ("driftless-fact", check::<Fact>),
    ("driftless-sample", check::<Sample>),
];

/// Every type of filter.
const FILTERS: [(&str, Check); 6] = [
    ("string", check::<StringFilter>),
    ("numeric", check::<NumericFilter>),
    ("list", check::<ListFilter>),
    ("boolean", check::<BooleanFilter>),
    ("existence", check::<ExistenceFilter>),
    ("date", check::<DateFilter>),
];

/// What the filters of a consent are about.
pub(super) const CONSENT_FIELDS: &[&str] = &[
    "status_date",
    "bounce_date",
    "manual_suppression_date",
    "invalid_email_date",
    "is_double_opt_in",
    "custom_source",
    "method",
];

/// What the filters of a permission are about.
pub(super) const PERMISSION_FIELDS: &[&str] = &["effective_date", "recorded_date"];

/// Keys that may be left out, so that a slip in one is no missing key.
pub(super) const OPTIONAL_KEYS: &[&str] = &[
    "metric_filters",
    "timeframe_filter",
    "completion_window_seconds",
    "filters",
    "filter",
];

/// What serde said, and about which part.
#[derive(Debug)]
pub(super) struct Trouble {
    pub place: Place,
    said: String,
}

impl Trouble {
    fn at(key: &str, said: String) -> Self {
        let place = Place::default().join(key);
        Self { place, said }
    }

    fn unknown(key: &str, given: &str, known: &[&str]) -> Self {
        let said = format!(
            "unknown variant `{given}`, expected one of {}",
            listing(known.iter().copied())
        );
        Self::at(key, said)
    }

    fn missing(key: &str) -> Self {
        let place = Place::default();
        let said = format!("missing field `{key}`");
        Self { place, said }
    }

    /// In our words. `key` names what is wrong.
    pub fn explain(&self, key: &str) -> Complaint {
        let said = self.said.as_str();
        if let Some((given, expected)) = said
            .strip_prefix("unknown variant `")
            .and_then(|rest| rest.split_once("`, expected "))
        {
            let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            let known_here = format!("known here: {}", listing(known.iter().copied()));
            let help = match nearest(given, known) {
                Some(meant) => format!("did you mean `{meant}`? {known_here}"),
                None => known_here,
            };
            let message = format!("there is no {key} {}", quoted(given));
            return Complaint::new(message).help(help);
        }
        if let Some(field) = said.strip_prefix("missing field ") {
            return Complaint::new(format!("{field} is missing"));
        }
        let types = said.strip_prefix("invalid type: ");
        let values = said.strip_prefix("invalid value: ");
        match types
            .or(values)
            .and_then(|rest| rest.split_once(", expected "))
        {
            Some((found, wanted)) => {
                let message = format!("{} is wanted here, not {found}", in_words(wanted));
                Complaint::new(message)
            }
            None if said.starts_with("data did not match") => {
                Complaint::new("a text, a number, true or false is wanted here")
            }
            None => Complaint::new(said),
        }
    }
}

/// serde's words for what it wants.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "i64" | "u16" => "a whole number",
        "f64" | "a JSON number" => "a number",
        "a sequence" => "a list in [ ]",
        text if text.starts_with("struct ") || text == "a map" => "a table",
        text => text,
    }
}

/// Whether the grammar has such a condition.
pub(super) fn condition(value: &Value) -> Result<(), Trouble> {
    typed(value, &CONDITIONS)
}

/// Whether the grammar has such a filter. Types with an operator say what is wrong, but not where:
/// the first key that changes what they say is it.
pub(super) fn filter(value: &Value) -> Result<(), Trouble> {
    let Err(trouble) = typed(value, &FILTERS) else {
        return Ok(());
    };
    let Value::Object(fields) = value else {
        return Err(trouble);
    };
    let first = ["type", "operator"];
    let rest = fields.keys().map(String::as_str);
    let keys = first
        .into_iter()
        .chain(rest.filter(|key| !first.contains(key)));
    let mut tried = Map::new();
    for key in keys {
        let Some(value) = fields.get(key) else {
            continue;
        };
        tried.insert(key.to_owned(), value.clone());
        match typed(&Value::Object(tried.clone()), &FILTERS) {
            Err(Trouble { said, .. }) if !said.starts_with("missing field") => {
                return Err(Trouble::at(key, said));
            }
            _ => {}
        }
    }
    let place = Place::default();
    Err(Trouble { place, ..trouble })
}

/// Why a consent's or a permission's filter is not understood.
pub(super) fn detail(value: &Value, known: &[&str]) -> Trouble {
    match value.get("field") {
        None => Trouble::missing("field"),
        Some(Value::String(field)) if known.contains(&field.as_str()) => {
            let key = if field == "method" {
                "method"
            } else {
                "filter"
            };
            match value.get(key) {
                None => Trouble::missing(key),
                Some(_) => Trouble::at(key, "invalid type: this, expected a string".to_owned()),
            }
        }
        Some(field) => Trouble::unknown("field", &plain(field), known),
    }
}

fn typed(value: &Value, types: &[(&str, Check)]) -> Result<(), Trouble> {
    if !value.is_object() {
        let said = format!("invalid type: {}, expected a map", plain(value));
        let place = Place::default();
        return Err(Trouble { place, said });
    }
    let kind = value.get("type").ok_or_else(|| Trouble::missing("type"))?;
    let kind = plain(kind);
    match types.iter().find(|(name, _)| *name == kind) {
        Some((_, check)) => check(value),
        None => {
            let known: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
            Err(Trouble::unknown("type", &kind, &known))
        }
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn check<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<(), Trouble> {
    let read: Result<T, _> = serde_path_to_error::deserialize(value);
    read.map(drop).map_err(|error| {
        let steps = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        Trouble {
            place: Place(steps.collect()),
            said: error.inner().to_string(),
        }
    })
}

/// Predictions are told apart by their dimension.
fn predictive(value: &Value) -> Result<(), Trouble> {
    let dimension = value.get("dimension").map(plain);
    let dimension = dimension.ok_or_else(|| Trouble::missing("dimension"))?;
    if dimension == "channel_affinity" {
        return check::<Affinity>(value);
    }
    let others = ["expected_date_of_next_purchase", "predicted_gender"];
    let is_known = others.contains(&dimension.as_str());
    if let Err(error) = NumberDimension::deserialize(&Value::String(dimension))
        && !is_known
    {
        let others = listing(["channel_affinity"].into_iter().chain(others));
        return Err(Trouble::at("dimension", format!("{error}, {others}")));
    }
    match value.get("filter") {
        None => Err(Trouble::missing("filter")),
        Some(_) => Ok(()),
    }
}
