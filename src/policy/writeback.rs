//! What is written to profiles and customers.

use crate::model::EffectKind;
use serde::Serialize;

/// How far a shop may be written to. Each allows what the one before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is written.
    Observe,
    /// Properties, tags and metafields are set.
    Enrich,
    /// Profiles also join managed lists.
    Additive,
    /// Profiles also leave managed lists, dead mailboxes are suppressed, consents withdrawn.
    Full,
}

impl Mode {
    /// The spelling in configs and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enrich => "enrich",
            Self::Additive => "additive",
            Self::Full => "full",
        }
    }

    /// The least mode that allows a kind of effects.
    pub const fn least_for(kind: EffectKind) -> Self {
        match kind {
            EffectKind::Property | EffectKind::Tag | EffectKind::Metafield => Self::Enrich,
            EffectKind::ListCreate | EffectKind::ListAdd => Self::Additive,
            EffectKind::ListRemove
            | EffectKind::Suppression
            | EffectKind::Unsubscription
            | EffectKind::CustomerUnsubscription => Self::Full,
        }
    }
}

/// Something known about a person that can be written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Lifecycle stage, as text.
    Stage,
    /// Engagement tier, as text.
    Tier,
    /// Number of orders.
    Orders,
    /// Total spend in the shop's currency.
    Spent,
    /// Mean order value.
    AverageOrderValue,
    /// Date of the last order.
    LastOrder,
    /// Date of the last human act.
    LastEngaged,
    /// Whether stale.
    Stale,
    /// Whether the mailbox bounces chronically.
    Bouncing,
}

impl MetafieldMap {
    /// Namespace and key, as journals and plans spell it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.namespace, self.key)
    }
}

impl Fact {
    /// Every fact.
    pub const ALL: [Fact; 9] = [
        Self::Stage,
        Self::Tier,
        Self::Orders,
        Self::Spent,
        Self::AverageOrderValue,
        Self::LastOrder,
        Self::LastEngaged,
        Self::Stale,
        Self::Bouncing,
    ];

    /// The spelling in configs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Tier => "tier",
            Self::Orders => "orders",
            Self::Spent => "spent",
            Self::AverageOrderValue => "average_order_value",
            Self::LastOrder => "last_order",
            Self::LastEngaged => "last_engaged",
            Self::Stale => "stale",
            Self::Bouncing => "bouncing",
        }
    }
}

/// Which facts become profile properties, and under which names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PropertyMap {
    /// Put before every name; driftless touches no other property.
    pub prefix: String,
    /// Fact and name, prefix excluded.
    pub fields: Vec<(Fact, String)>,
}

/// Which facts become customer tags: `<prefix><fact>:<value>`, or `<prefix><fact>` for a yes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TagMap {
    /// Put before every tag; driftless touches no other tag.
    pub prefix: String,
    /// Facts with few values: stage, tier, stale, bouncing.
    pub facts: Vec<Fact>,
}

/// One JSON metafield on the customer that holds several facts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetafieldMap {
    /// Such as `$app` or `custom`.
    pub namespace: String,
    /// Such as `driftless`.
    pub key: String,
    /// What it holds.
    pub facts: Vec<Fact>,
}
