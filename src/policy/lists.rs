//! Lists that driftless keeps equal to a rule.

use super::{Stage, Tier};
use crate::model::Money;
use serde::Serialize;

/// A Klaviyo list whose members driftless keeps equal to a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ManagedList {
    /// The list's name upstream; created if absent.
    pub name: String,
    /// Who belongs on it.
    pub who: Where,
}

/// Conditions on a person; all that are given must hold. An absent condition asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Where {
    /// One of these lifecycle stages.
    pub stage: Option<Vec<Stage>>,
    /// One of these engagement tiers.
    pub tier: Option<Vec<Tier>>,
    /// Whether the person is stale.
    pub stale: Option<bool>,
    /// Whether the person's mailbox bounces chronically.
    pub bouncing: Option<bool>,
    /// Whether marketing e-mail would reach the person.
    pub reachable: Option<bool>,
    /// At least so many orders.
    pub orders_at_least: Option<u32>,
    /// At most so many orders.
    pub orders_at_most: Option<u32>,
    /// At least so much spent.
    pub spent_at_least: Option<Money>,
    /// At most so much spent.
    pub spent_at_most: Option<Money>,
    /// The last order was at least so many days ago.
    pub last_order_days_at_least: Option<u32>,
    /// The last order was at most so many days ago.
    pub last_order_days_at_most: Option<u32>,
    /// In at least one of these segments.
    pub segment: Option<Vec<String>>,
    /// In none of these segments.
    pub not_segment: Option<Vec<String>>,
}
