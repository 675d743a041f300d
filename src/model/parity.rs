//! Where our evaluation of a segment and Klaviyo's own members differ, and why.

use super::Moment;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a profile is in a segment here and not at Klaviyo, or the other way round.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause {
            $($(#[$doc])* $name,)*
        }

        impl Cause {
            /// Every cause, in order.
            pub const ALL: &'static [Cause] = &[$(Cause::$name,)*];

            /// In words.
            pub const fn as_str(self) -> &'static str {
                match self { $(Cause::$name => $text,)* }
            }
        }
    };
}

causes! {
    /// Klaviyo applies the passing of time once a day (klaviyo.md, section 11.5).
    DailyRefresh = "waiting for the daily refresh";
    /// An event arrived after its day had been read.
    LateEvent = "late event";
    /// Klaviyo lets a negative operator match who lacks the property.
    UnsetProperty = "unset property";
    /// Klaviyo counts days in the account's time zone.
    TimeZone = "time zone";
    /// The profile was merged into another, or another into it.
    IdentityMerge = "identity merge";
    /// The definition was edited, and Klaviyo is still counting.
    DefinitionEdited = "definition edited";
    /// Somebody left a list, which no feed shows.
    ListRemovalUnseen = "list removal unseen";
    /// The mirror lacks the profile, or a change of it.
    DataMissing = "our data missing";
    /// Part of the definition can only be judged by Klaviyo.
    NotEvaluable = "not evaluable";
    /// None of these.
    Unexplained = "unexplained";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One profile about which Klaviyo disagrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Whether Klaviyo has it as a member.
    pub member: bool,
    /// Since when we know.
    pub since: Moment,
    /// Why.
    pub cause: Cause,
}

/// What the last comparison of a segment with Klaviyo covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// When.
    pub at: Moment,
    /// Klaviyo's members, as far as they were read.
    pub members: u64,
    /// Profiles that were compared: all of both sides, or a sample.
    pub profiles: u64,
    /// Whether all members were read.
    pub whole: bool,
}
