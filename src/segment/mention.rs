//! What must be fetched so that a definition can be evaluated.

use super::condition::{Condition, MetricFilter};
use super::consent::ConsentFilter;
use super::path::Path;
use super::presence::Nullable;
use crate::model::{Mentions, MetricId};
use std::collections::BTreeSet;

/// Public samples use both names for one flag (klaviyo.md, section 10.5).
pub(super) const SYNONYMS: [&str; 2] = ["Apple Privacy Open", "machine_open"];

/// Event properties that Klaviyo does not segment by (A11).
pub(super) const NEVER_SEGMENTABLE: [&str; 3] = ["$extra", "extra", "Details"];

impl Condition {
    /// Adds what must be fetched for it.
    pub(super) fn mention(&self, mentions: &mut Mentions) {
        match self {
            Self::ProfileMetric(metric) => {
                mention_metric(&metric.metric_id, &metric.metric_filters, mentions);
            }
            Self::ProfileMetricFunnel(funnel) => {
                for step in &funnel.steps {
                    mention_metric(&step.metric_id, &step.metric_filters, mentions);
                }
            }
            Self::ProfileProperty(property) => match Path::parse(&property.property) {
                Some(Path::Custom(name)) => drop(mentions.profile.insert(name.to_owned())),
                Some(Path::Attribute(path)) => drop(mentions.attributes.insert(path.to_owned())),
                None => {}
            },
            Self::ProfileGroupMembership(membership) => {
                if let Some(Some(_)) = membership.timeframe_filter {
                    mentions.joined.extend(membership.group_ids.clone());
                }
            }
            Self::ProfileMarketingConsent(condition) => {
                let filters = condition.consent.consent_status.filters.iter().flatten();
                mentions.consent_details |= filters.flatten().any(is_detail);
                mentions
                    .channels
                    .extend(condition.consent.channel.mirrored());
            }
            Self::ProfilePermissions(permissions) => {
                mentions.channels.insert(permissions.channel.mirrored());
            }
            Self::ProfileRegion(_) => {
                mentions.attributes.insert("location['country']".to_owned());
            }
            Self::DriftlessRadius(_) => {
                let coordinates = ["location['latitude']", "location['longitude']"];
                mentions.attributes.extend(coordinates.map(str::to_owned));
            }
            Self::ProfilePredictiveAnalytics(_) => mentions.predictions = true,
            Self::ProfilePostalCodeDistance(_)
            | Self::ProfileHasCustomObject(_)
            | Self::DriftlessFact(_)
            | Self::DriftlessSample(_)
            | Self::Unknown(_) => {}
        }
    }
}

fn is_detail(filter: &ConsentFilter) -> bool {
    matches!(
        filter,
        ConsentFilter::IsDoubleOptIn { .. }
            | ConsentFilter::CustomSource { .. }
            | ConsentFilter::Method { .. }
    )
}

fn mention_metric(
    metric: &MetricId,
    filters: &Nullable<Vec<MetricFilter>>,
    mentions: &mut Mentions,
) {
    let read: &mut BTreeSet<String> = mentions.events.entry(metric.clone()).or_default();
    for filter in filters.iter().flatten().flatten() {
        match filter.property.as_str() {
            name if NEVER_SEGMENTABLE.contains(&name) => {}
            name if SYNONYMS.contains(&name) => read.extend(SYNONYMS.map(String::from)),
            name => drop(read.insert(name.to_owned())),
        }
    }
}
