//! Guards: what stops a plan before its first write (reliability.md, section 2.2).

use crate::model::EffectKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A guard by name. A tripped guard means zero writes in that plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too many suppressions within 24 h.
    MaxSuppressions,
    /// Too many people would be unsubscribed within 24 h.
    MaxUnsubscriptions,
    /// Too many people would leave lists within 24 h.
    MaxListRemovals,
    /// Too many customers would change tags or metafields within 24 h.
    MaxTagChanges,
    /// Too many profiles would change properties within 24 h.
    MaxPropertyChanges,
    /// A listing is empty or shrank by more than a fifth.
    EmptySource,
    /// A listing did not reach its end, or its count disagrees.
    CompleteListing,
    /// A sentinel profile is missing.
    Sentinels,
    /// What a managed list wants changed by too large a share.
    SegmentJump,
    /// The rules were never released by an operator who saw what they would do.
    FirstRun,
    /// A mirror that was filled anew or restored has not proved itself yet.
    Probation,
    /// Too many records could not be understood.
    Unreadable,
    /// A plan file says more than the shop still needs.
    StalePlan,
    /// Effects of the canary did not read back.
    Canary,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Guard; 14] = [
        Self::MaxSuppressions,
        Self::MaxUnsubscriptions,
        Self::MaxListRemovals,
        Self::MaxTagChanges,
        Self::MaxPropertyChanges,
        Self::EmptySource,
        Self::CompleteListing,
        Self::Sentinels,
        Self::SegmentJump,
        Self::FirstRun,
        Self::Probation,
        Self::Unreadable,
        Self::StalePlan,
        Self::Canary,
    ];

    /// The spelling in configs, `--allow` and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxSuppressions => "max_suppressions",
            Self::MaxUnsubscriptions => "max_unsubscriptions",
            Self::MaxListRemovals => "max_list_removals",
            Self::MaxTagChanges => "max_tag_changes",
            Self::MaxPropertyChanges => "max_property_changes",
            Self::EmptySource => "empty_source",
            Self::CompleteListing => "complete_listing",
            Self::Sentinels => "sentinels",
            Self::SegmentJump => "segment_jump",
            Self::FirstRun => "first_run",
            Self::Probation => "probation",
            Self::Unreadable => "unreadable",
            Self::StalePlan => "stale_plan",
            Self::Canary => "canary",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No guard has this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no guard `{0}`")]
pub struct UnknownGuard(pub String);

impl FromStr for Guard {
    type Err = UnknownGuard;
    fn from_str(name: &str) -> Result<Self, UnknownGuard> {
        let known = Guard::ALL.into_iter().find(|guard| guard.as_str() == name);
        known.ok_or_else(|| UnknownGuard(name.to_owned()))
    }
}

/// A budget in people over a rolling 24 h: the lower of a count and a share, but never below a floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// People at most.
    pub count: u64,
    /// Share of all profiles (or customers) at most.
    pub share: f64,
    /// Small shops may always change this many.
    pub floor: u64,
}

impl Budget {
    /// People allowed in a shop of `population`.
    pub fn limit(&self, population: u64) -> u64 {
        let by_share = (population as f64 * self.share).floor() as u64;
        self.count.min(by_share).max(self.floor)
    }
}

/// All guards with their settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guards {
    /// For suppressions.
    pub max_suppressions: Budget,
    /// For consents that are withdrawn.
    pub max_unsubscriptions: Budget,
    /// For people leaving lists.
    pub max_list_removals: Budget,
    /// For tag and metafield changes.
    pub max_tag_changes: Budget,
    /// For property changes.
    pub max_property_changes: Budget,
    /// A listing under this share of the last complete one is taken for broken.
    pub empty_source_share: f64,
    /// Minutes between the two scans that must both miss a profile before it is removed.
    pub two_scans_minutes: u32,
    /// Profiles whose presence proves that the account is the right one and complete.
    pub sentinels: u32,
    /// A managed list may change by this share within one pass.
    pub segment_jump_share: f64,
    /// Lists smaller than this may change by any share.
    pub segment_jump_floor: u64,
    /// So many effects of each kind go first and are read back.
    pub canary_count: u64,
    /// Or this share of them, whichever is more.
    pub canary_share: f64,
    /// Seconds between the canary's read-back and the rest.
    pub canary_pause_secs: u64,
    /// New or changed rules only observe until they are released.
    pub first_run: bool,
}

impl Default for Guards {
    fn default() -> Self {
        let budget = |count, share| Budget {
            count,
            share,
            floor: 25,
        };
        Self {
            max_suppressions: budget(500, 0.02),
            max_unsubscriptions: budget(500, 0.02),
            max_list_removals: budget(500, 0.05),
            max_tag_changes: budget(2_000, 0.10),
            max_property_changes: budget(5_000, 0.20),
            empty_source_share: 0.80,
            two_scans_minutes: 30,
            sentinels: 3,
            segment_jump_share: 0.30,
            segment_jump_floor: 50,
            canary_count: 25,
            canary_share: 0.01,
            canary_pause_secs: 600,
            first_run: true,
        }
    }
}

impl Guards {
    /// Each budget with the guard's name and the kinds of effects it counts, people once for all
    /// of them; lists may always be created and joined.
    pub fn budgets(&self) -> [(Guard, Budget, &'static [EffectKind]); 5] {
        use EffectKind::{CustomerUnsubscription, Unsubscription};
        use EffectKind::{ListRemove, Metafield, Property, Suppression, Tag};
        [
            (
                Guard::MaxSuppressions,
                self.max_suppressions,
                &[Suppression],
            ),
            (
                Guard::MaxUnsubscriptions,
                self.max_unsubscriptions,
                &[Unsubscription, CustomerUnsubscription],
            ),
            (
                Guard::MaxListRemovals,
                self.max_list_removals,
                &[ListRemove],
            ),
            (
                Guard::MaxTagChanges,
                self.max_tag_changes,
                &[Tag, Metafield],
            ),
            (
                Guard::MaxPropertyChanges,
                self.max_property_changes,
                &[Property],
            ),
        ]
    }
}

/// Guards released for one run: `--allow guard=n` lets `n` people (or records) through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowances(pub BTreeMap<Guard, u64>);

impl Allowances {
    /// Whether `count` is within what was released for `guard`.
    pub fn covers(&self, guard: Guard, count: u64) -> bool {
        self.0.get(&guard).is_some_and(|allowed| count <= *allowed)
    }
}
