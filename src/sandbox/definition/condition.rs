//! One condition: read from JSON, judged on a subject. Dates follow klaviyo.md, section 11.1.

use super::Subject;
use crate::model::{DAY_MS, Moment};
use serde_json::Value as Json;

/// A condition of the kinds that the sandbox's segments use.
pub(super) enum Condition {
    /// How often, or for how much, something happened.
    Metric {
        metric: String,
        sum: bool,
        measure: Test,
        window: Window,
        filters: Vec<(String, Test)>,
    },
    /// A property of the profile.
    Property { path: String, test: Test },
    /// On, or not on, a list.
    Member {
        lists: Vec<String>,
        member: bool,
        window: Window,
    },
    /// Whether e-mail marketing may be sent, and what was agreed to.
    Consent {
        can: bool,
        status: Option<&'static str>,
    },
}

/// A test of one value.
pub(super) enum Test {
    Text {
        operator: String,
        values: Vec<String>,
    },
    Number {
        operator: String,
        value: f64,
    },
    Bool(bool),
    IsSet(bool),
    Date(Window),
}

/// A span of time relative to the day of evaluation; whole days.
#[derive(Clone, Copy)]
pub(super) enum Window {
    All,
    InTheLast(i64),
    AtLeast(i64),
    Between(i64, i64),
}

/// Reads a condition; `None` for what this evaluator does not know.
pub(super) fn read(json: &Json) -> Option<Condition> {
    Some(match json["type"].as_str()? {
        "profile-metric" => Condition::Metric {
            metric: json["metric_id"].as_str()?.to_owned(),
            sum: json["measurement"] == "sum",
            measure: Test::read(&json["measurement_filter"])?,
            window: Window::read(&json["timeframe_filter"])?,
            filters: filters(&json["metric_filters"])?,
        },
        "profile-property" => Condition::Property {
            path: json["property"].as_str()?.to_owned(),
            test: Test::read(&json["filter"])?,
        },
        "profile-group-membership" => Condition::Member {
            lists: texts(&json["group_ids"])?,
            member: json["is_member"].as_bool()?,
            window: match &json["timeframe_filter"] {
                Json::Null => Window::All,
                window => Window::read(window)?,
            },
        },
        "profile-marketing-consent" => consent(&json["consent"])?,
        _ => return None,
    })
}

fn filters(json: &Json) -> Option<Vec<(String, Test)>> {
    let items = json.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |item: &Json| {
        let property = item["property"].as_str()?.to_owned();
        Some((property, Test::read(&item["filter"])?))
    };
    items.iter().map(one).collect()
}

fn consent(json: &Json) -> Option<Condition> {
    let status = &json["consent_status"];
    let unfiltered = status["filters"].as_array().is_none_or(Vec::is_empty);
    if json["channel"] != "email" || !unfiltered {
        return None;
    }
    let status = match status["subscription"].as_str()? {
        "any" => None,
        "subscribed" => Some("SUBSCRIBED"),
        "unsubscribed" => Some("UNSUBSCRIBED"),
        "never_subscribed" => Some("NEVER_SUBSCRIBED"),
        _ => return None,
    };
    let can = json["can_receive_marketing"].as_bool()?;
    Some(Condition::Consent { can, status })
}

fn texts(json: &Json) -> Option<Vec<String>> {
    if let Some(text) = json.as_str() {
        return Some(vec![text.to_owned()]);
    }
    let text = |item: &Json| item.as_str().map(str::to_owned);
    json.as_array()?.iter().map(text).collect()
}

impl Condition {
    /// Whether the condition holds for the subject.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Metric {
                metric,
                sum,
                measure,
                window,
                filters,
            } => {
                let counted = subject.events.iter().filter(|(known, event)| {
                    let at = Moment::from_secs(event.timestamp);
                    let of = |property: &str| event.properties.get(property).unwrap_or(&Json::Null);
                    *known == metric
                        && window.holds(at, subject.now)
                        && filters
                            .iter()
                            .all(|(name, test)| test.holds(of(name), subject.now))
                });
                let measured = match sum {
                    false => counted.count() as f64,
                    true => counted
                        .filter_map(|(_, e)| e.properties["$value"].as_f64())
                        .sum(),
                };
                measure.holds(&Json::from(measured), subject.now)
            }
            Self::Property { path, test } => test.holds(&property(subject, path), subject.now),
            Self::Member {
                lists,
                member,
                window,
            } => {
                let joined =
                    |list: &String| subject.klaviyo.lists.get(list)?.members.get(subject.id);
                let mut times = lists.iter().filter_map(joined);
                times.any(|at| window.holds(*at, subject.now)) == *member
            }
            Self::Consent { can, status } => {
                let status_fits = status.is_none_or(|status| subject.profile.consent == status);
                subject.profile.can_receive() == *can && status_fits
            }
        }
    }
}

/// The value of `email`, `created`, `location['country']`, `properties['Name']` and their like; null when
/// there is none.
fn property(subject: &Subject<'_>, path: &str) -> Json {
    let profile = subject.profile;
    let quoted = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
    if let Some(name) = quoted("properties['") {
        return profile.properties.get(name).cloned().unwrap_or_default();
    }
    let text = match path {
        "email" => &profile.email,
        "phone_number" => &profile.phone_number,
        "external_id" => &profile.external_id,
        "first_name" => &profile.first_name,
        "last_name" => &profile.last_name,
        "location['country']" => &profile.country,
        "location['city']" => &profile.city,
        "created" => &Some(profile.created.to_string()),
        _ => &None,
    };
    Json::from(text.clone())
}

impl Test {
    fn read(json: &Json) -> Option<Self> {
        let operator = json["operator"].as_str()?.to_owned();
        Some(match json["type"].as_str()? {
            "string" => Self::Text {
                operator: known(operator, &TEXT_OPERATORS)?,
                values: texts(&json["value"])?,
            },
            "numeric" => Self::Number {
                operator: known(operator, &NUMBER_OPERATORS)?,
                value: json["value"].as_f64()?,
            },
            "boolean" => Self::Bool(json["value"].as_bool()?),
            "existence" => Self::IsSet(operator == "is-set"),
            "date" => Self::Date(Window::read(json)?),
            _ => return None,
        })
    }

    /// A missing value fails every test but `not-set`.
    fn holds(&self, value: &Json, now: Moment) -> bool {
        match self {
            Self::IsSet(wanted) => value.is_null() != *wanted,
            Self::Text { operator, values } => value.as_str().is_some_and(|text| {
                let any = |fits: fn(&str, &str) -> bool| values.iter().any(|v| fits(text, v));
                match operator.as_str() {
                    "not-equals" | "not-in" => !any(|text, value| text == value),
                    "contains" => any(|text, value| text.contains(value)),
                    "starts-with" => any(|text, value| text.starts_with(value)),
                    "ends-with" => any(|text, value| text.ends_with(value)),
                    _ => any(|text, value| text == value),
                }
            }),
            Self::Number {
                operator,
                value: bound,
            } => value
                .as_f64()
                .is_some_and(|number| match operator.as_str() {
                    "greater-than" => number > *bound,
                    "greater-than-or-equal" => number >= *bound,
                    "less-than" => number < *bound,
                    "less-than-or-equal" => number <= *bound,
                    "not-equals" => number != *bound,
                    _ => number == *bound,
                }),
            Self::Bool(wanted) => value.as_bool() == Some(*wanted),
            Self::Date(window) => {
                let at = value.as_str().and_then(Moment::parse);
                at.is_some_and(|at| window.holds(at, now))
            }
        }
    }
}

const TEXT_OPERATORS: [&str; 7] = [
    "equals",
    "not-equals",
    "in",
    "not-in",
    "contains",
    "starts-with",
    "ends-with",
];
const NUMBER_OPERATORS: [&str; 6] = [
    "equals",
    "not-equals",
    "greater-than",
    "greater-than-or-equal",
    "less-than",
    "less-than-or-equal",
];

fn known(operator: String, operators: &[&str]) -> Option<String> {
    operators.contains(&operator.as_str()).then_some(operator)
}

impl Window {
    fn read(json: &Json) -> Option<Self> {
        let operator = json["operator"].as_str()?;
        if operator == "alltime" {
            return Some(Self::All);
        }
        let days = match json["unit"].as_str()? {
            "day" => 1,
            "week" => 7,
            _ => return None,
        };
        let count = |name: &str| Some(json[name].as_i64()? * days);
        Some(match operator {
            "in-the-last" => Self::InTheLast(count("quantity")?),
            "at-least" => Self::AtLeast(count("quantity")?),
            "between" => {
                let (start, end) = (count("start")?, count("end")?);
                Self::Between(start.min(end), start.max(end))
            }
            _ => return None,
        })
    }

    fn holds(self, at: Moment, now: Moment) -> bool {
        let days_ago = |days: i64| Moment((now.day() - days) * DAY_MS);
        match self {
            Self::All => true,
            Self::InTheLast(days) => at >= days_ago(days),
            Self::AtLeast(days) => at < days_ago(days),
            Self::Between(near, far) => at >= days_ago(far) && at < days_ago(near - 1),
        }
    }
}
