//! Conditions in plain words, for people who do not read JSON.

use super::condition::{
    Condition, FunnelStep, GroupMembership, Measurement, MetricFilter, MetricFunnel, Predictive,
    ProfileMetric, RegionName,
};
use super::consent::{Consent, ConsentFilter, Permission, Subscription};
use super::extension::FactName;
use super::filter::{
    BooleanFilter, DateFilter, ExistenceFilter, Filter, Length, ListFilter, NumericFilter, Scalar,
    StringFilter, Unit,
};
use super::path::Path;
use super::presence::Nullable;
use crate::model::MetricId;
use serde::Serialize;

/// What metrics and lists are called.
pub trait Names {
    /// The name of a metric; `None` when it is not known.
    fn metric(&self, id: &MetricId) -> Option<String>;
    /// The name of a list; `None` when it is not known.
    fn list(&self, id: &str) -> Option<String>;
}

/// A condition as a sentence without a subject: "Placed Order at least 2 times, ever".
pub fn describe(condition: &Condition, names: &impl Names) -> String {
    match condition {
        Condition::ProfileMetric(metric) => describe_metric(metric, names),
        Condition::ProfileMetricFunnel(funnel) => describe_funnel(funnel, names),
        Condition::ProfileProperty(property) => {
            format!("{} {}", place(&property.property), test(&property.filter))
        }
        Condition::ProfileGroupMembership(membership) => describe_lists(membership, names),
        Condition::ProfileMarketingConsent(condition) => describe_consent(&condition.consent),
        Condition::ProfilePermissions(condition) => {
            let Permission {
                reachable_status, ..
            } = &condition.permission;
            format!("{}: {}", word(&condition.channel), word(reachable_status))
        }
        Condition::ProfileRegion(region) => {
            let inside = if region.in_region { "in" } else { "outside" };
            let name = match region.region {
                RegionName::EuropeanUnion => "the European Union",
                RegionName::UnitedStates => "the United States",
            };
            format!("lives {inside} {name}")
        }
        Condition::ProfilePredictiveAnalytics(predictive) => describe_prediction(predictive),
        Condition::ProfilePostalCodeDistance(near) => format!(
            "{} {} from postal code {} ({})",
            test(&near.filter),
            word(&near.unit),
            near.postal_code,
            near.country_code
        ),
        Condition::ProfileHasCustomObject(object) => {
            format!(
                "custom objects {}: {}",
                object.object_type_id,
                test(&object.filter)
            )
        }
        Condition::DriftlessRadius(radius) => format!(
            "{} {} from {:.3}, {:.3}",
            test(&radius.filter),
            word(&radius.unit),
            radius.latitude,
            radius.longitude
        ),
        Condition::DriftlessFact(fact) => format!("{} {}", fact.fact.words(), test(&fact.filter)),
        Condition::DriftlessSample(sample) => format!(
            "in {:.2} % of everybody, chosen by hash (`{}`)",
            f64::from(sample.to.saturating_sub(sample.from)) / 100.0,
            sample.salt
        ),
        Condition::Unknown(json) => {
            let kind = json.get("type").and_then(serde_json::Value::as_str);
            format!("condition `{}`", kind.unwrap_or("without a type"))
        }
    }
}

fn describe_metric(metric: &ProfileMetric, names: &impl Names) -> String {
    let name = events(&metric.metric_id, &metric.metric_filters, names);
    let when = when(&metric.timeframe_filter);
    match (metric.measurement, &metric.measurement_filter) {
        (Measurement::Count, Filter::Numeric(filter)) => match times(filter) {
            None => format!("no {name} {when}"),
            Some(times) => format!("{name} {times} {when}"),
        },
        (Measurement::Count, other) => format!("{name}: count {}, {when}", test(other)),
        (Measurement::Sum, other) => format!("{name} for {} in all, {when}", test(other)),
    }
}

/// A kind of event: the metric, and which of its events.
pub(super) fn events(
    id: &MetricId,
    filters: &Nullable<Vec<MetricFilter>>,
    names: &impl Names,
) -> String {
    let name = names.metric(id).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("metric {id}"));
    let filters = filters.iter().flatten().flatten();
    let told = filters.filter_map(|MetricFilter { property, filter }| {
        let filter = filter.as_ref()?.as_ref()?;
        Some(format!("{property} {}", test(filter)))
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => name,
        false => format!("{name} (where {})", told.join(" and ")),
    }
}

/// How often; `None` for never.
fn times(filter: &NumericFilter) -> Option<String> {
    let is = |number: &serde_json::Number, wanted: f64| number.as_f64() == Some(wanted);
    Some(match filter {
        NumericFilter::Equals(operand) if is(&operand.value, 0.0) => return None,
        NumericFilter::LessThan(operand) if is(&operand.value, 1.0) => return None,
        NumericFilter::GreaterThan(operand) if is(&operand.value, 0.0) => {
            "at least once".to_owned()
        }
        NumericFilter::GreaterThanOrEqual(operand) if is(&operand.value, 1.0) => {
            "at least once".to_owned()
        }
        NumericFilter::Equals(operand) if is(&operand.value, 1.0) => "exactly once".to_owned(),
        NumericFilter::LessThanOrEqual(operand) if is(&operand.value, 1.0) => {
            "at most once".to_owned()
        }
        filter => format!("{} times", comparison(filter)),
    })
}

fn comparison(filter: &NumericFilter) -> String {
    match filter {
        NumericFilter::Equals(operand) => format!("exactly {}", operand.value),
        NumericFilter::NotEquals(operand) => format!("other than {}", operand.value),
        NumericFilter::GreaterThan(operand) => format!("more than {}", operand.value),
        NumericFilter::GreaterThanOrEqual(operand) => format!("at least {}", operand.value),
        NumericFilter::LessThan(operand) => format!("fewer than {}", operand.value),
        NumericFilter::LessThanOrEqual(operand) => format!("at most {}", operand.value),
        NumericFilter::Between { start, end } => format!("{start} to {end}"),
    }
}

fn describe_funnel(funnel: &MetricFunnel, names: &impl Names) -> String {
    let step = |step: &FunnelStep| {
        let name = events(&step.metric_id, &step.metric_filters, names);
        if step.metric_exists {
            name
        } else {
            format!("no {name}")
        }
    };
    let steps: Vec<String> = funnel.steps.iter().map(step).collect();
    let within = match funnel.completion_window_seconds.flatten() {
        Some(window) => format!(", within {} h of the first", window.secs() / 3600),
        None => String::new(),
    };
    format!(
        "{}{within}, {}",
        steps.join(", then "),
        when(&funnel.timeframe_filter)
    )
}

fn describe_lists(membership: &GroupMembership, names: &impl Names) -> String {
    let name = |id: &String| names.list(id).unwrap_or_else(|| format!("list {id}"));
    let lists: Vec<String> = membership.group_ids.iter().map(name).collect();
    let on = if membership.is_member { "on" } else { "not on" };
    let joined = match &membership.timeframe_filter {
        Some(Some(filter)) => format!(", joined {}", when(filter)),
        Some(None) | None => String::new(),
    };
    format!("{on} {}{joined}", lists.join(" or "))
}

fn describe_consent(consent: &Consent) -> String {
    let reach = if consent.can_receive_marketing {
        "can"
    } else {
        "cannot"
    };
    let status = match consent.consent_status.subscription {
        Subscription::Any => String::new(),
        other => format!(", {}", word(&other)),
    };
    let filters = consent.consent_status.filters.iter().flatten().flatten();
    let filters: String = filters
        .map(|filter| format!(", {}", consent_filter(filter)))
        .collect();
    format!(
        "{reach} receive {} marketing{status}{filters}",
        word(&consent.channel)
    )
}

fn consent_filter(filter: &ConsentFilter) -> String {
    let dated = |name: &str, filter: &Filter| match filter {
        Filter::Date(date) => format!("{name} {}", date_words(date)),
        other => format!("{name} {}", test(other)),
    };
    match filter {
        ConsentFilter::StatusDate { filter } => dated("since", filter),
        ConsentFilter::BounceDate { filter } => dated("bounced", filter),
        ConsentFilter::ManualSuppressionDate { filter } => dated("suppressed by hand", filter),
        ConsentFilter::InvalidEmailDate { filter } => dated("address invalid", filter),
        ConsentFilter::IsDoubleOptIn { filter } => format!("double opt-in {}", test(filter)),
        ConsentFilter::CustomSource { filter } => format!("source {}", test(filter)),
        ConsentFilter::Method { method, .. } => format!("by {method}"),
        ConsentFilter::Unknown(_) => "an unknown filter".to_owned(),
    }
}

fn describe_prediction(predictive: &Predictive) -> String {
    match predictive {
        Predictive::Number { dimension, filter } => {
            format!("Klaviyo's {} {}", word(dimension), test(filter))
        }
        Predictive::NextPurchase { filter, .. } => {
            format!("Klaviyo's expected date of the next order {}", test(filter))
        }
        Predictive::Affinity(affinity) => format!(
            "Klaviyo's affinity to {} {}",
            affinity.predicted_channel,
            test(&affinity.filter)
        ),
        Predictive::Gender { filter, .. } => {
            format!("Klaviyo's guess of the gender {}", test(filter))
        }
    }
}

impl FactName {
    /// In plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Orders => "number of orders",
            Self::Spent => "spent in all",
            Self::AverageOrderValue => "average order value",
            Self::FirstOrder => "first order",
            Self::LastOrder => "last order",
            Self::DaysBetweenOrders => "mean days between orders",
            Self::LastEngaged => "last human act",
            Self::ExpectedNextOrder => "expected next order",
            Self::ChurnProbability => "probability of no further order",
            Self::PredictedSpend => "predicted spend of the next year",
        }
    }
}

fn place(path: &str) -> String {
    match Path::parse(path) {
        Some(Path::Custom(name)) => format!("property `{name}`"),
        Some(Path::Attribute(path)) => path.replace("location['", "").replace("']", ""),
        None => format!("`{path}`"),
    }
}

fn when(filter: &Filter) -> String {
    match filter {
        Filter::Date(date) => date_words(date),
        other => test(other),
    }
}

fn test(filter: &Filter) -> String {
    match filter {
        Filter::String(filter) => text_words(filter),
        Filter::Numeric(filter) => comparison(filter),
        Filter::List(filter) => list_words(filter),
        Filter::Boolean(BooleanFilter::Equals { value }) => format!("is {value}"),
        Filter::Existence(ExistenceFilter::IsSet) => "is set".to_owned(),
        Filter::Existence(ExistenceFilter::NotSet) => "is not set".to_owned(),
        Filter::Date(date) => date_words(date),
        Filter::Unknown(_) => "passes a filter that is not known".to_owned(),
    }
}

fn quoted(text: &Option<String>) -> String {
    text.as_ref()
        .map_or_else(|| "nothing".to_owned(), |text| format!("\"{text}\""))
}

fn text_words(filter: &StringFilter) -> String {
    use StringFilter as F;
    let all = |texts: &[Option<String>]| texts.iter().map(quoted).collect::<Vec<_>>().join(", ");
    match filter {
        F::Equals(operand) => format!("is {}", quoted(&operand.value)),
        F::NotEquals(operand) => format!("is set, but not {}", quoted(&operand.value)),
        F::Contains(operand) => format!("contains {}", quoted(&operand.value)),
        F::NotContains(operand) => {
            format!("is set and does not contain {}", quoted(&operand.value))
        }
        F::StartsWith(operand) => format!("starts with {}", quoted(&operand.value)),
        F::NotStartsWith(operand) => {
            format!("is set and does not start with {}", quoted(&operand.value))
        }
        F::EndsWith(operand) => format!("ends with {}", quoted(&operand.value)),
        F::NotEndsWith(operand) => {
            format!("is set and does not end with {}", quoted(&operand.value))
        }
        F::Regex(operand) => format!("matches {}", quoted(&operand.value)),
        F::Nregex(operand) => format!("is set and does not match {}", quoted(&operand.value)),
        F::In(operand) => format!("is one of {}", all(&operand.value)),
        F::NotIn(operand) => format!("is set, but none of {}", all(&operand.value)),
        F::PhoneCountryCodeIn(operand) => {
            format!("has the calling code of one of {}", all(&operand.value))
        }
        F::PhoneCountryCodeNotIn(operand) => {
            format!("has another calling code than {}", all(&operand.value))
        }
    }
}

fn list_words(filter: &ListFilter) -> String {
    use ListFilter as F;
    let one = |scalar: &Scalar| serde_json::to_string(scalar).unwrap_or_default();
    let all = |scalars: &[Scalar]| scalars.iter().map(one).collect::<Vec<_>>().join(", ");
    match filter {
        F::Contains(operand) => format!("includes {}", one(&operand.value)),
        F::NotContains(operand) => format!("is set and does not include {}", one(&operand.value)),
        F::LengthEquals(operand) => format!("has exactly {} elements", operand.value),
        F::LengthGreaterThan(operand) => format!("has more than {} elements", operand.value),
        F::LengthGreaterThanOrEqual(operand) => format!("has at least {} elements", operand.value),
        F::LengthLessThan(operand) => format!("has fewer than {} elements", operand.value),
        F::LengthLessThanOrEqual(operand) => format!("has at most {} elements", operand.value),
        F::ContainsAny(operand) => format!("includes one of {}", all(&operand.value)),
        F::ContainsAll(operand) => format!("includes all of {}", all(&operand.value)),
        F::NotContainsAny(operand) => {
            format!("is set and includes none of {}", all(&operand.value))
        }
        F::NotContainsAll(operand) => format!("is set and lacks one of {}", all(&operand.value)),
        F::ContainsSubstring(operand) => {
            format!("has an element with {} in it", quoted(&operand.value))
        }
        F::NotContainsSubstring(operand) => {
            format!(
                "is set and has no element with {} in it",
                quoted(&operand.value)
            )
        }
    }
}

fn date_words(filter: &DateFilter) -> String {
    let count = |quantity: i64, unit: &Unit| {
        let plural = if quantity == 1 { "" } else { "s" };
        format!("{quantity} {}{plural}", word(unit))
    };
    let length = |span: &Length| count(span.quantity, &span.unit);
    let day = |text: &str| text.split(['T', ' ']).next().unwrap_or(text).to_owned();
    match filter {
        DateFilter::After { date } => format!("after {}", day(date)),
        DateFilter::Before { date } => format!("before {}", day(date)),
        DateFilter::BetweenStatic { start, end } => format!("from {} to {}", day(start), day(end)),
        DateFilter::InTheLast(span) => format!("in the last {}", length(span)),
        DateFilter::InTheNext(span) => format!("in the next {}", length(span)),
        DateFilter::AtLeast(span) => format!("at least {} ago", length(span)),
        DateFilter::Between { unit, start, end } => {
            format!("{} to {} ago", start.min(end), count(*start.max(end), unit))
        }
        DateFilter::AnniversaryLast(span) => format!("anniversary in the last {}", length(span)),
        DateFilter::AnniversaryNext(span) => format!("anniversary in the next {}", length(span)),
        DateFilter::Anniversary => "anniversary today".to_owned(),
        DateFilter::AnniversaryMonth => "anniversary this month".to_owned(),
        DateFilter::CalendarMonth { value } => format!("in month {value} of any year"),
        DateFilter::Alltime => "ever".to_owned(),
        DateFilter::DriftlessLastSeason { from, to } => {
            format!("in the last season from {from} to {to}")
        }
    }
}

/// An enum's own word, spaced.
fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("?").replace('_', " ")
}
