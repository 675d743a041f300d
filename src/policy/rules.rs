//! Rules and thresholds.

use serde::Serialize;

/// When a person counts as stale: mailed, and silent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaleRule {
    /// Days without a human act or an order.
    pub quiet_days: u32,
    /// Mails received at least, over all time; fewer is "never mailed", not stale.
    pub min_mails: u32,
    /// Nobody in any of these segments is stale.
    pub unless_segment: Vec<String>,
}

impl Default for StaleRule {
    /// 180 days, 5 mails: Klaviyo's own "inactive" guide (klaviyo.md, section 13).
    fn default() -> Self {
        Self {
            quiet_days: 180,
            min_mails: 5,
            unless_segment: Vec::new(),
        }
    }
}

/// The sequential test for dead mailboxes (analytics.md, section 6; Wald 1947).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BounceRule {
    /// Soft-bounce rate of a healthy mailbox.
    pub healthy_rate: f64,
    /// Soft-bounce rate of a dead one.
    pub dead_rate: f64,
    /// Accepted share of healthy mailboxes flagged.
    pub false_alarm: f64,
    /// Accepted share of dead mailboxes missed.
    pub missed: f64,
    /// The run must span this many days at least.
    pub min_span_days: u32,
    /// A campaign needs this many sends to a domain to be judged an incident.
    pub incident_min_sends: u32,
    /// Share of soft bounces that makes it one; sends during it count for nothing.
    pub incident_share: f64,
    /// Whether the rule may suppress (mode `full` only) or only reports.
    pub act: bool,
    /// Nobody in any of these segments bounces chronically.
    pub unless_segment: Vec<String>,
}

impl Default for BounceRule {
    fn default() -> Self {
        Self {
            healthy_rate: 0.03,
            dead_rate: 0.85,
            false_alarm: 1e-4,
            missed: 0.02,
            min_span_days: 21,
            incident_min_sends: 8,
            incident_share: 0.40,
            act: false,
            unless_segment: Vec::new(),
        }
    }
}

/// What follows when one platform says subscribed and the other says unsubscribed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsentRule {
    /// Whether the newer of the two withdraws the older (mode `full` only), or is only reported. A newer
    /// subscription never lifts an older refusal.
    pub act: bool,
}

/// When a list or segment draws attention.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupRule {
    /// A change of size within a day above this share is a jump.
    pub jump_share: f64,
    /// Groups smaller than this never jump: single people would be news.
    pub jump_floor: u64,
    /// Fewer members than this is tiny.
    pub tiny_members: u64,
}

impl Default for GroupRule {
    fn default() -> Self {
        Self {
            jump_share: 0.30,
            jump_floor: 50,
            tiny_members: 50,
        }
    }
}

/// Limits of the lifecycle stages, in whole days (analytics.md, section 2).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lifecycle {
    /// Without an order: up to this age a new lead.
    pub new_lead_days: u32,
    /// Up to this many days since the last order: active.
    pub active_days: u32,
    /// Up to this many: at risk; beyond: lapsed. A longer gap before the last order: won back.
    pub lapsed_days: u32,
    /// Won back for this many days after the returning order.
    pub won_back_days: u32,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            new_lead_days: 30,
            active_days: 120,
            lapsed_days: 395,
            won_back_days: 60,
        }
    }
}

/// Where a buyer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// No order, known for a short time.
    NewLead,
    /// No order.
    Lead,
    /// Ordered lately.
    Active,
    /// The last order is a while ago.
    AtRisk,
    /// The last order is long ago.
    Lapsed,
    /// Came back after a long gap, lately.
    WonBack,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 6] = [
        Self::NewLead,
        Self::Lead,
        Self::Active,
        Self::AtRisk,
        Self::Lapsed,
        Self::WonBack,
    ];

    /// The spelling in configs, properties, tags and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewLead => "new_lead",
            Self::Lead => "lead",
            Self::Active => "active",
            Self::AtRisk => "at_risk",
            Self::Lapsed => "lapsed",
            Self::WonBack => "won_back",
        }
    }
}

/// How lately a person last acted as a human: clicked, opened unaided, visited, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Within 30 days.
    T30,
    /// Within 60 days.
    T60,
    /// Within 90 days.
    T90,
    /// Within 180 days.
    T180,
    /// Longer ago.
    Dormant,
    /// Mailed, but never acted.
    Never,
    /// Never mailed, never acted: nothing can be said.
    Unmailed,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Tier; 7] = [
        Self::T30,
        Self::T60,
        Self::T90,
        Self::T180,
        Self::Dormant,
        Self::Never,
        Self::Unmailed,
    ];

    /// The spelling in configs, properties, tags and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::T30 => "t30",
            Self::T60 => "t60",
            Self::T90 => "t90",
            Self::T180 => "t180",
            Self::Dormant => "dormant",
            Self::Never => "never",
            Self::Unmailed => "unmailed",
        }
    }
}

/// How records become persons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdentityRule {
    /// Klaviyo's `external_id` holds the Shopify customer id.
    pub external_id_is_customer: bool,
    /// A profile property that holds the Shopify customer id, if the shop keeps one.
    pub customer_id_property: Option<String>,
    /// ISO 3166 code for phone numbers without a country, when the record has none of its own.
    pub default_country: Option<String>,
}

impl Default for IdentityRule {
    fn default() -> Self {
        Self {
            external_id_is_customer: true,
            customer_id_property: None,
            default_country: None,
        }
    }
}
