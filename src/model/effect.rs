//! One intended change upstream, stated as a target, never as a step.

use super::{Moment, Money, Slot, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change upstream. Every variant says what should be true afterwards, so a repeat is harmless.
/// No variant subscribes anybody or lifts a suppression: consent cannot be raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// The managed list with this index in the policy exists upstream.
    ListExists {
        /// Index into `Policy::lists`.
        list: usize,
    },
    /// A profile is on a managed list.
    OnList {
        /// Index into `Policy::lists`.
        list: usize,
        /// The profile.
        who: Slot,
    },
    /// A profile is not on a managed list.
    OffList {
        /// Index into `Policy::lists`.
        list: usize,
        /// The profile.
        who: Slot,
    },
    /// Properties of a profile have these values.
    Properties {
        /// The profile.
        who: Slot,
        /// Only those that differ; never empty.
        changes: Vec<PropertyChange>,
    },
    /// A profile is suppressed for marketing e-mail.
    Suppressed {
        /// The profile.
        who: Slot,
    },
    /// A profile's consent to marketing e-mail is withdrawn, as its owner did on the other platform.
    Unsubscribed {
        /// The profile.
        who: Slot,
        /// The customer by whom they did.
        by: Slot,
        /// When they did.
        at: Moment,
    },
    /// A customer's consent to marketing e-mail is withdrawn, as its owner did on the other platform.
    CustomerUnsubscribed {
        /// The customer.
        who: Slot,
        /// The profile by which they did.
        by: Slot,
        /// When they did.
        at: Moment,
    },
    /// A customer carries these tags and not those. Only tags under our prefix appear here.
    Tags {
        /// The customer.
        who: Slot,
        /// To be there.
        add: Vec<String>,
        /// Not to be there, in Shopify's spelling.
        remove: Vec<String>,
    },
    /// A customer's one metafield has this value.
    Metafield {
        /// The customer.
        who: Slot,
        /// What was read, if any.
        from: Option<String>,
        /// JSON text; `None` takes the metafield away, which only an undoing does.
        to: Option<String>,
    },
}

/// One property with its value before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyChange {
    /// The full property name, prefix included.
    pub key: String,
    /// What was read; `None` when it was not set.
    pub from: Option<Value>,
    /// What it should be; `None` unsets it.
    pub to: Option<Value>,
}

/// The kinds that guards, modes and reports count separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// A managed list is created.
    ListCreate,
    /// Profiles join lists.
    ListAdd,
    /// Profiles leave lists.
    ListRemove,
    /// Profile properties change.
    Property,
    /// Profiles are suppressed.
    Suppression,
    /// Profiles' consent is withdrawn.
    Unsubscription,
    /// Customers' consent is withdrawn.
    CustomerUnsubscription,
    /// Customer tags change.
    Tag,
    /// Customer metafields change.
    Metafield,
}

impl EffectKind {
    /// Every kind, in the order in which a plan is carried out.
    pub const ALL: [EffectKind; 9] = [
        Self::ListCreate,
        Self::Property,
        Self::ListAdd,
        Self::ListRemove,
        Self::Suppression,
        Self::Unsubscription,
        Self::CustomerUnsubscription,
        Self::Tag,
        Self::Metafield,
    ];

    /// Whether budgets count it: lists may always be created and joined.
    pub const fn is_budgeted(self) -> bool {
        !matches!(self, Self::ListCreate | Self::ListAdd)
    }

    /// Whether Shopify's bulk operations may write it.
    pub const fn goes_in_bulk(self) -> bool {
        matches!(self, Self::Tag | Self::Metafield)
    }

    /// Whether it changes a Shopify customer.
    pub const fn is_of_customers(self) -> bool {
        matches!(
            self,
            Self::CustomerUnsubscription | Self::Tag | Self::Metafield
        )
    }

    /// The spelling in reports, journals and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListCreate => "list_create",
            Self::ListAdd => "list_add",
            Self::ListRemove => "list_remove",
            Self::Property => "property",
            Self::Suppression => "suppression",
            Self::Unsubscription => "unsubscription",
            Self::CustomerUnsubscription => "customer_unsubscription",
            Self::Tag => "tag",
            Self::Metafield => "metafield",
        }
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Effect {
    /// What guards count it as.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::ListExists { .. } => EffectKind::ListCreate,
            Self::OnList { .. } => EffectKind::ListAdd,
            Self::OffList { .. } => EffectKind::ListRemove,
            Self::Properties { .. } => EffectKind::Property,
            Self::Suppressed { .. } => EffectKind::Suppression,
            Self::Unsubscribed { .. } => EffectKind::Unsubscription,
            Self::CustomerUnsubscribed { .. } => EffectKind::CustomerUnsubscription,
            Self::Tags { .. } => EffectKind::Tag,
            Self::Metafield { .. } => EffectKind::Metafield,
        }
    }

    /// The record it changes; `None` for the creation of a list.
    pub fn who(&self) -> Option<Slot> {
        match self {
            Self::ListExists { .. } => None,
            Self::OnList { who, .. }
            | Self::OffList { who, .. }
            | Self::Properties { who, .. }
            | Self::Suppressed { who }
            | Self::Unsubscribed { who, .. }
            | Self::CustomerUnsubscribed { who, .. }
            | Self::Tags { who, .. }
            | Self::Metafield { who, .. } => Some(*who),
        }
    }

    /// The managed list whose members it changes, as an index into `Policy::lists`.
    pub fn members_of(&self) -> Option<usize> {
        match self {
            Self::OnList { list, .. } | Self::OffList { list, .. } => Some(*list),
            _ => None,
        }
    }
}

/// How an intended effect ended. Every journaled intent reaches exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Upstream accepted it, or an observation shows that it holds.
    Confirmed,
    /// Upstream refused it for good.
    Refused,
    /// A newer intent for the same target took its place.
    Superseded,
    /// The target is gone, or the wish is.
    Withdrawn,
    /// A guard or a shutdown stopped it before it was sent.
    Stopped,
}

impl End {
    /// The spelling in reports, journals and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
            Self::Stopped => "stopped",
        }
    }
}

/// Wanted, but not planned, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldBack {
    /// What would have been done.
    pub kind: EffectKind,
    /// To how many people or lists.
    pub count: u64,
    /// Why not.
    pub reason: HoldReason,
}

/// Why an effect was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The shop's mode does not allow this kind.
    Mode,
    /// The profile is missing from the mirror once; a second complete scan may remove it.
    SecondScan,
    /// The rule is on, but it is not allowed to act (`act = false`).
    RuleOnlyReports,
    /// The record has no e-mail address to name it by.
    NoAddress,
    /// One of two consents that contradict each other has no date.
    Undated,
    /// The two addresses whose consents contradict each other reach one mailbox, but differ in spelling.
    SpelledOtherwise,
    /// The person's profiles are several mailboxes; a bounce of one says nothing of the others.
    SeveralMailboxes,
    /// Shopify allows 250 tags on a customer.
    TagLimit,
    /// The vendor refused this very effect within the last day.
    RefusedLately,
    /// The refusal is one that driftless carried over itself.
    OwnDoing,
    /// driftless suppressed the profile before, and somebody lifted that.
    LiftedBefore,
    /// It depends on a segment, and whether the person is in that is unknown.
    SegmentUnknown,
    /// An operation of an earlier run may still be writing to customers.
    InFlight,
    /// Wanted, but not part of the plan file that is being applied.
    NotInPlan,
    /// To be taken back, but somebody has changed it since, or withdrew a consent.
    ChangedSince,
    /// To be taken back, but no effect does that.
    NotUndoable,
}

impl HoldReason {
    /// One line for the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "the mode does not allow it",
            Self::SecondScan => "absent once; waits for a second complete scan",
            Self::RuleOnlyReports => "the rule only reports",
            Self::NoAddress => "no e-mail address to name it by",
            Self::Undated => "which of the two consents is the newer one is unknown",
            Self::SpelledOtherwise => "the two platforms spell the address differently",
            Self::SeveralMailboxes => "the person has several mailboxes; look which one bounces",
            Self::RefusedLately => "the vendor refused just this within the last day",
            Self::OwnDoing => "driftless itself unsubscribed the other record",
            Self::LiftedBefore => "suppressed by driftless before, and lifted since by somebody",
            Self::SegmentUnknown => "whether they are in a segment it depends on is unknown",
            Self::TagLimit => "250 tags are on the customer already",
            Self::InFlight => "an operation of an earlier run is still writing to customers",
            Self::NotInPlan => "wanted as well, but not part of the plan that is applied",
            Self::ChangedSince => "changed since, by somebody else or by another run",
            Self::NotUndoable => "nothing here takes it back; look at it in Klaviyo or Shopify",
        }
    }
}

/// A spend as a property value: currency units with two decimals.
impl From<Money> for Value {
    fn from(amount: Money) -> Self {
        Value::Float((amount.0 as f64 / 10.0).round() / 100.0)
    }
}
