//! Something detected, with a stable code, evidence and a remedy.

use super::{Cause, GroupId, Moment, PersonId, Slot};
use serde::Serialize;
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth acting on.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident, $remedy:literal;)*) => {
        /// Stable codes: dashboards and scripts may rely on their spelling.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The spelling in reports, metrics and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }

            /// What a person should do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Code::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    /// Mailed often enough, once engaged or a buyer, silent for the configured time.
    StaleQuiet = "stale-quiet", Warning,
        "send a win-back, then leave out of campaigns; suppress only after that";
    /// Mailed often enough and never engaged at all, by any human act.
    StaleNeverEngaged = "stale-never-engaged", Warning,
        "leave out of campaigns; suppress if a re-permission mail stays unanswered";
    /// The sequential test says the mailbox is dead, though Klaviyo has not given up yet.
    BounceChronic = "bounce-chronic", Warning,
        "suppress, or ask for a new address at the next order";
    /// A hard bounce is on record, and upstream would still send.
    BounceHardUnsuppressed = "bounce-hard-unsuppressed", Warning,
        "suppress: a hard bounce must never be mailed again";
    /// A spam complaint is on record, and upstream would still send.
    ComplaintUnsuppressed = "complaint-unsuppressed", Warning,
        "suppress: a complaint must never be mailed again";
    /// Records that share a key but contradict each other in a harder one.
    IdentityConflict = "identity-conflict", Warning,
        "look at both records; driftless never merges them";
    /// One human has several Klaviyo profiles.
    DuplicateProfiles = "duplicate-profiles", Note,
        "merge them in Klaviyo if they are the same human";
    /// The e-mail address cannot be delivered to by its form.
    EmailInvalid = "email-invalid", Warning, "correct or remove the address";
    /// The domain is one slip away from a well-known provider.
    EmailTypoDomain = "email-typo-domain", Note, "ask the person; never correct it unasked";
    /// The address belongs to a function, not to a human.
    EmailRole = "email-role", Note, "leave out of campaigns unless it opted in";
    /// The domain hands out throw-away mailboxes.
    EmailDisposable = "email-disposable", Note, "leave out of campaigns";
    /// No record of the person has an address.
    EmailMissing = "email-missing", Note, "ask for one at the next contact";
    /// Linked by a hard key, but the platforms hold different addresses.
    EmailDiffers = "email-differs", Note, "find out which one is current";
    /// One platform says subscribed, the other says unsubscribed.
    ConsentDiffers = "consent-differs", Warning,
        "`rules.consent.act` carries a newer refusal over; the rest is for a person: on a tie the refusal counts";
    /// A list or segment grew or shrank by more than the configured share in a day.
    GroupJump = "group-jump", Warning, "look for an edited definition or an import";
    /// Klaviyo's members and the segment's own definition have disagreed for longer than any refresh
    /// takes.
    SegmentDrifting = "segment-drifting", Warning,
        "see the causes in parity.jsonl; `driftless segment why` shows one person";
    /// A list or segment has no members.
    GroupEmpty = "group-empty", Note, "delete it, or repair what fills it";
    /// A list or segment is too small to tell anything.
    GroupTiny = "group-tiny", Note, "merge it into a larger one";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom or what a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A human, and the record the evidence was found on.
    Person(PersonId, Slot),
    /// A list or segment.
    Group(GroupId),
}

/// What the finding rests on. Displays as one line that names no person.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Silence since the last human act or order, after so many mails.
    Silence {
        /// The last human act or order; `None` when there never was one.
        since: Option<Moment>,
        /// Mails received in all.
        mails: u32,
    },
    /// A run of soft bounces.
    BounceRun {
        /// Soft bounces in the run that count.
        bounces: u32,
        /// Whole days from the first to the last of them.
        days: i64,
        /// The log-likelihood ratio reached.
        score: f64,
    },
    /// One event.
    Since(Moment),
    /// Another record involved.
    Records(Vec<Slot>),
    /// The domain that was probably meant.
    Suggestion(String),
    /// A change of size within a day.
    Size {
        /// The day before.
        before: u64,
        /// Now.
        after: u64,
    },
    /// Profiles about which Klaviyo disagrees, and the most frequent cause.
    Disagreement {
        /// How many.
        profiles: u64,
        /// Why, mostly.
        cause: Cause,
    },
    /// The code says it all.
    Plain,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence {
                since: Some(at),
                mails,
            } => {
                write!(f, "silent since {} over {mails} mails", at.date())
            }
            Self::Silence { since: None, mails } => write!(f, "no human act over {mails} mails"),
            Self::BounceRun {
                bounces,
                days,
                score,
            } => {
                write!(
                    f,
                    "{bounces} soft bounces in a row over {days} days, score {score:.2}"
                )
            }
            Self::Since(at) => write!(f, "since {}", at.date()),
            Self::Records(slots) => write!(f, "{} records", slots.len()),
            Self::Suggestion(domain) => write!(f, "did they mean {domain}?"),
            Self::Size { before, after } => write!(f, "{before} → {after}"),
            Self::Disagreement { profiles, cause } => {
                write!(f, "{profiles} profiles, mostly {cause}")
            }
            Self::Plain => Ok(()),
        }
    }
}

/// Something detected.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// About whom.
    pub subject: Subject,
    /// Resting on what.
    pub evidence: Evidence,
}
