//! The few shapes that ready-made segments are built from.

use crate::model::MetricId;
use crate::segment::{
    BooleanFilter, Condition, ConditionGroup, Consent, ConsentChannel, ConsentFilter,
    ConsentStatus, DateFilter, Definition, Fact, FactName, Filter, Length, MarketingConsent,
    Measurement, MetricFilter, NumberOperand, NumericFilter, ProfileMetric, ProfileProperty,
    StringFilter, Subscription, TextOperand, TextsOperand, Unit,
};
use serde_json::Number;

/// The standard metrics, by name (klaviyo.md, section 12); resolved against the account later.
pub(super) const PLACED_ORDER: &str = "Placed Order";
pub(super) const ORDERED_PRODUCT: &str = "Ordered Product";
pub(super) const CHECKOUT_STARTED: &str = "Checkout Started";
pub(super) const VIEWED_PRODUCT: &str = "Viewed Product";
pub(super) const ACTIVE_ON_SITE: &str = "Active on Site";
pub(super) const OPENED_EMAIL: &str = "Opened Email";
pub(super) const CLICKED_EMAIL: &str = "Clicked Email";
pub(super) const BOUNCED_EMAIL: &str = "Bounced Email";

/// Every one of these must hold.
pub(super) fn all(conditions: Vec<Condition>) -> Definition {
    let groups = conditions.into_iter();
    Definition::of(
        groups
            .map(|condition| ConditionGroup::any(vec![condition]))
            .collect(),
    )
}

/// Events of one metric, to be counted or summed up.
#[derive(Clone)]
pub(super) struct Events {
    metric: &'static str,
    timeframe: DateFilter,
    filters: Vec<MetricFilter>,
}

/// All events of a metric, whenever they were.
pub(super) fn events(metric: &'static str) -> Events {
    Events {
        metric,
        timeframe: DateFilter::Alltime,
        filters: Vec::new(),
    }
}

impl Events {
    pub(super) fn during(self, timeframe: DateFilter) -> Self {
        Self { timeframe, ..self }
    }

    pub(super) fn in_the_last(self, days: i64) -> Self {
        self.during(DateFilter::InTheLast(self::days(days)))
    }

    /// Only events with a property that passes.
    pub(super) fn having(mut self, property: &str, filter: Filter) -> Self {
        self.filters.push(MetricFilter {
            property: property.to_owned(),
            filter: Some(Some(filter)),
        });
        self
    }

    pub(super) fn at_least(self, times: i64) -> Condition {
        let least = NumericFilter::GreaterThanOrEqual(operand(times));
        self.measure(Measurement::Count, least)
    }

    pub(super) fn never(self) -> Condition {
        self.measure(Measurement::Count, NumericFilter::Equals(operand(0)))
    }

    pub(super) fn sum(self, compared: NumericFilter) -> Condition {
        self.measure(Measurement::Sum, compared)
    }

    fn measure(self, measurement: Measurement, compared: NumericFilter) -> Condition {
        let filters = (!self.filters.is_empty()).then_some(Some(self.filters));
        Condition::ProfileMetric(ProfileMetric {
            metric_id: MetricId::from(self.metric),
            measurement,
            measurement_filter: Filter::Numeric(compared),
            timeframe_filter: Filter::Date(self.timeframe),
            metric_filters: filters,
        })
    }
}

pub(super) fn property(path: &str, filter: Filter) -> Condition {
    Condition::ProfileProperty(ProfileProperty {
        property: path.to_owned(),
        filter,
    })
}

pub(super) fn fact(fact: FactName, filter: Filter) -> Condition {
    Condition::DriftlessFact(Fact { fact, filter })
}

/// Whether marketing on a channel would reach the person.
pub(super) fn reachable(
    channel: ConsentChannel,
    subscription: Subscription,
    filters: Option<Vec<ConsentFilter>>,
) -> Condition {
    Condition::ProfileMarketingConsent(MarketingConsent {
        consent: Consent {
            channel,
            can_receive_marketing: true,
            consent_status: ConsentStatus {
                subscription,
                filters: filters.map(Some),
            },
        },
    })
}

pub(super) fn days(quantity: i64) -> Length {
    let unit = Unit::Day;
    Length { unit, quantity }
}

pub(super) fn operand(value: impl Into<Number>) -> NumberOperand {
    let value = value.into();
    NumberOperand { value }
}

pub(super) fn at_least(value: impl Into<Number>) -> Filter {
    Filter::Numeric(NumericFilter::GreaterThanOrEqual(operand(value)))
}

pub(super) fn at_most(value: impl Into<Number>) -> Filter {
    Filter::Numeric(NumericFilter::LessThanOrEqual(operand(value)))
}

pub(super) fn is(value: &str) -> Filter {
    let value = Some(value.to_owned());
    Filter::String(StringFilter::Equals(TextOperand { value }))
}

pub(super) fn is_no() -> Filter {
    Filter::Boolean(BooleanFilter::Equals { value: false })
}

pub(super) fn one_of(values: &[String]) -> Filter {
    let value = values.iter().cloned().map(Some).collect();
    Filter::String(StringFilter::In(TextsOperand { value }))
}
