//! Ready-made segments with parameters, for what shops ask for again and again.
//!
//! Each expands to a plain definition in Klaviyo's own grammar. What Klaviyo's language cannot say
//! is said in an extension of driftless, whose words begin with `driftless-`; where its input does
//! not exist, the condition is unknown. Metrics are named by their standard names and resolved
//! against the account by [`super::names::resolve`].
#![doc = include_str!("catalogue.md")]

mod build;
mod buying;
mod parameter;
mod people;
#[cfg(test)]
mod tests;

pub use parameter::{Kind, Parameter, Refusal, Setting, Settings, is_year_day};

use super::{Condition, DateFilter, Definition, Filter};
use std::fmt;

/// Ten years: beyond it a number of days is a slip.
const MANY_DAYS: i64 = 3650;

/// One ready-made segment.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What `ready` calls it in the config.
    pub name: &'static str,
    /// One sentence for a marketer: who these people are, and what for.
    pub purpose: &'static str,
    /// What it can be told.
    pub parameters: &'static [Parameter],
    conflict: fn(&Settings) -> Option<Conflict>,
    expand: fn(&Settings) -> Definition,
}

/// Settings that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The parameter to change.
    pub parameter: &'static str,
    /// What is wrong.
    pub message: &'static str,
}

/// Every ready-made segment.
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    buying::ENTRIES.iter().chain(people::ENTRIES)
}

/// The ready-made segment of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    catalogue().find(|entry| entry.name == name)
}

impl Entry {
    /// Every parameter's default.
    pub fn defaults(&self) -> Settings {
        Settings::of(self.parameters)
    }

    /// What is wrong with settings that are each right for themselves.
    pub fn conflict(&self, settings: &Settings) -> Option<Conflict> {
        (self.conflict)(settings)
    }

    /// The definition that it stands for. The settings must be this entry's own: made by
    /// [`Entry::defaults`] and free of [`Entry::conflict`].
    pub fn expand(&self, settings: &Settings) -> Definition {
        (self.expand)(settings)
    }

    /// Whether, by default, it says something that Klaviyo's own language cannot say.
    pub fn uses_extension(&self) -> bool {
        is_extended(&self.expand(&self.defaults()))
    }
}

/// Whether a definition says something that Klaviyo's own language cannot say.
pub fn is_extended(definition: &Definition) -> bool {
    definition.conditions().any(|condition| match condition {
        Condition::DriftlessRadius(_)
        | Condition::DriftlessFact(_)
        | Condition::DriftlessSample(_) => true,
        Condition::ProfileMetric(metric) => is_season(&metric.timeframe_filter),
        Condition::ProfileMetricFunnel(funnel) => is_season(&funnel.timeframe_filter),
        Condition::ProfileProperty(property) => is_season(&property.filter),
        Condition::ProfileGroupMembership(membership) => {
            let timeframe = membership.timeframe_filter.iter().flatten();
            timeframe.into_iter().any(is_season)
        }
        Condition::ProfileMarketingConsent(_)
        | Condition::ProfilePermissions(_)
        | Condition::ProfileRegion(_)
        | Condition::ProfilePredictiveAnalytics(_)
        | Condition::ProfilePostalCodeDistance(_)
        | Condition::ProfileHasCustomObject(_)
        | Condition::Unknown(_) => false,
    })
}

fn is_season(filter: &Filter) -> bool {
    matches!(filter, Filter::Date(DateFilter::DriftlessLastSeason { .. }))
}

impl fmt::Display for Entry {
    /// Name, purpose, parameters and the expansion by default, in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}", self.name, self.purpose)?;
        if self.uses_extension() {
            writeln!(f, "\nAn extension: Klaviyo itself cannot say this.")?;
        }
        writeln!(
            f,
            "\n| parameter | default | range | unit | meaning |\n|---|---|---|---|---|"
        )?;
        for parameter in self.parameters {
            let default = parameter.kind.default_setting();
            let default = match parameter.required {
                true => format!("required, such as `{default}`"),
                false => format!("`{default}`"),
            };
            let words = parameter.kind.words().join(", ");
            let range = parameter.kind.range();
            let range = range.map_or(words, |range| range.replace(" and ", " to "));
            let Parameter {
                name,
                unit,
                meaning,
                ..
            } = parameter;
            writeln!(f, "| `{name}` | {default} | {range} | {unit} | {meaning} |")?;
        }
        let expansion = lines(&self.expand(&self.defaults()));
        writeln!(f, "\n```json\n{expansion}\n```")
    }
}

/// A definition's JSON with a line for each condition.
pub fn lines(definition: &Definition) -> String {
    let Some(groups) = definition.groups() else {
        return definition.as_str().to_owned();
    };
    let groups = groups.iter().map(|group| {
        let conditions = group.conditions().iter();
        let texts = conditions.filter_map(|condition| serde_json::to_string(condition).ok());
        let conditions: Vec<String> = texts.collect();
        format!(
            "  {{\"conditions\": [\n    {}\n  ]}}",
            conditions.join(",\n    ")
        )
    });
    let groups: Vec<String> = groups.collect();
    format!("{{\"condition_groups\": [\n{}\n]}}", groups.join(",\n"))
}

const fn none(_: &Settings) -> Option<Conflict> {
    None
}

const fn span_of(name: &'static str, default: i64, meaning: &'static str) -> Parameter {
    let (least, most) = (1, MANY_DAYS);
    Parameter {
        name,
        unit: "days",
        meaning,
        kind: Kind::Whole {
            default,
            least,
            most,
        },
        required: false,
    }
}

const fn number_of(
    name: &'static str,
    unit: &'static str,
    default: i64,
    meaning: &'static str,
) -> Parameter {
    let (least, most) = (1, 1000);
    Parameter {
        name,
        unit,
        meaning,
        kind: Kind::Whole {
            default,
            least,
            most,
        },
        required: false,
    }
}

const fn amount(name: &'static str, default: f64, meaning: &'static str) -> Parameter {
    let (least, most) = (0.0, 1e9);
    Parameter {
        name,
        unit: "shop's currency",
        meaning,
        kind: Kind::Number {
            default,
            least,
            most,
        },
        required: false,
    }
}

/// Names that only the shop knows.
const fn texts(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    default: &'static [&'static str],
) -> Parameter {
    Parameter {
        name,
        unit,
        meaning,
        kind: Kind::Texts { default },
        required: true,
    }
}
