//! What the operator wants, already validated: rules, thresholds, guards, managed lists.
//!
//! Built by `config` and read by the pure rooms. Defaults come from `analytics.md` and
//! `reliability.md`, section 2.2.

mod guard;
mod lists;
mod parity;
mod rules;
mod writeback;

pub use guard::{Allowances, Budget, Guard, Guards, UnknownGuard};
pub use lists::{ManagedList, Where};
pub use parity::{ParityRule, ParityScope};
pub use rules::{BounceRule, GroupRule, IdentityRule, Lifecycle, Stage, StaleRule, Tier};
pub use writeback::{Fact, MetafieldMap, Mode, PropertyMap, TagMap};

use serde::Serialize;

/// Everything an operator may decide about one shop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// How far the shop may be written to.
    pub mode: Mode,
    /// When a person counts as stale.
    pub stale: StaleRule,
    /// When a mailbox counts as dead.
    pub bounce: BounceRule,
    /// When a list or segment draws attention.
    pub groups: GroupRule,
    /// How our evaluation of segments is compared with Klaviyo's.
    pub parity: ParityRule,
    /// Limits of the lifecycle stages.
    pub lifecycle: Lifecycle,
    /// How records become persons.
    pub identity: IdentityRule,
    /// Klaviyo lists that driftless fills.
    pub lists: Vec<ManagedList>,
    /// Profile properties that driftless keeps.
    pub properties: PropertyMap,
    /// Customer tags that driftless keeps.
    pub tags: TagMap,
    /// The one customer metafield that driftless keeps.
    pub metafield: Option<MetafieldMap>,
    /// What stops a plan before its first write.
    pub guards: Guards,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            stale: StaleRule::default(),
            bounce: BounceRule::default(),
            groups: GroupRule::default(),
            parity: ParityRule::default(),
            lifecycle: Lifecycle::default(),
            identity: IdentityRule::default(),
            lists: Vec::new(),
            properties: PropertyMap::default(),
            tags: TagMap::default(),
            metafield: None,
            guards: Guards::default(),
        }
    }
}

impl Policy {
    /// The rules as JSON, guards and mode left out: what must have been observed once before its
    /// consequences may be written (guard `first_run`).
    pub fn rules_json(&self) -> String {
        let rules = (
            (&self.stale, &self.bounce, &self.lifecycle, &self.identity),
            (&self.lists, &self.properties, &self.tags, &self.metafield),
        );
        serde_json::to_string(&rules).unwrap_or_default()
    }
}
