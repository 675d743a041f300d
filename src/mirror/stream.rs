use crate::model::{ListId, MetricId, Moment};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One sequence of pages that is pulled, with a cursor of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Profiles by last change.
    KlaviyoProfiles,
    /// Profiles that are suppressed, read as a whole: a suppression may not move `updated`.
    KlaviyoSuppressions,
    /// Everybody known, one after the other, by id.
    KlaviyoSweep,
    /// Segments.
    KlaviyoSegments,
    /// Events of one metric.
    Events(MetricId),
    /// Members of one list, all of them.
    ListMembers(ListId),
    /// Members of one list by the time they joined.
    ListJoiners(ListId),
    /// Customers by last change.
    ShopifyCustomers,
    /// Every customer known, one after the other, by id.
    ShopifySweep,
    /// Orders by last change.
    ShopifyOrders,
}

impl fmt::Display for Stream {
    /// The spelling in keys, logs and metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KlaviyoProfiles => f.write_str("klaviyo_profiles"),
            Self::KlaviyoSuppressions => f.write_str("klaviyo_suppressions"),
            Self::KlaviyoSweep => f.write_str("klaviyo_sweep"),
            Self::KlaviyoSegments => f.write_str("klaviyo_segments"),
            Self::Events(metric) => write!(f, "events:{metric}"),
            Self::ListMembers(list) => write!(f, "list_members:{list}"),
            Self::ListJoiners(list) => write!(f, "list_joiners:{list}"),
            Self::ShopifyCustomers => f.write_str("shopify_customers"),
            Self::ShopifySweep => f.write_str("shopify_sweep"),
            Self::ShopifyOrders => f.write_str("shopify_orders"),
        }
    }
}

/// How far a stream was pulled. Committed together with the page it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The vendor's own cursor of the next page; `None` at a start, and while the stream is read in parts.
    pub position: Option<String>,
    /// Everything up to here has arrived. Never past the server's own clock.
    pub watermark: Option<Moment>,
    /// When the run under way began; it becomes the watermark when the run is done.
    pub run_start: Option<Moment>,
    /// The lower bound that the run under way asked for.
    pub lower: Option<Moment>,
    /// Records seen in the run under way.
    pub seen: u64,
    /// Records besides that could not be understood.
    pub unreadable: u64,
    /// The run reached its end.
    pub done: bool,
}
