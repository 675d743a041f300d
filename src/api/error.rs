//! What can go wrong with a vendor, and whether trying again can help.
//!
//! No variant holds a response body, an address or a secret: of a vendor's error only its code,
//! title and pointer are kept, never its detail, and those only after [`label`] has cut them.

use super::Class;
use crate::model::{Moment, ProfileId};
use crate::telemetry::Api;
use std::fmt;
use std::time::Duration;

/// A request that did not do its work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {fault}{}", .place.name(), .place.tail())]
pub struct ApiError {
    /// What went wrong.
    pub fault: Fault,
    /// Where.
    pub place: Place,
}

/// Which request it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which vendor.
    pub api: Api,
    /// The endpoint class.
    pub class: &'static str,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The vendor's id of the request, for their support.
    pub request_id: Option<Box<str>>,
}

/// What went wrong, with the remedy where there is one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Told to wait. `None` when the vendor did not say how long.
    #[error("the vendor asks to wait{}", .wait.map(|wait| format!(" {wait:?}")).unwrap_or_default())]
    Throttled {
        /// How long.
        wait: Option<Duration>,
    },
    /// The wait is longer than the caller's patience; the request was not sent (again).
    #[error("parked until {until}: the vendor's limit is used up, the next run goes on from here")]
    Parked {
        /// When it is worth another try.
        until: Moment,
    },
    /// The vendor failed so often that it is left alone; the request was not sent.
    #[error("left alone until {until}: the vendor failed too often within a minute")]
    Resting {
        /// When it is worth another try.
        until: Moment,
    },
    /// The day's count could not be written down first; the request was not sent.
    #[error("not sent: the day's count of such requests could not be written; see to the disk")]
    Uncounted,
    /// The credential may not do this.
    #[error("the credential lacks {}: grant it in the vendor's settings", scope_name(.scope))]
    MissingScope {
        /// Such as `profiles:read`, when the vendor named it.
        scope: Option<Box<str>>,
    },
    /// The credential is not accepted.
    #[error("the credential is not accepted: check that it is complete, current and of this shop")]
    WrongKey,
    /// The credential cannot be sent at all.
    #[error(
        "the credential holds characters that no HTTP header can carry: check where it is read from"
    )]
    UnusableKey,
    /// The credential opens another account than the one in the config.
    #[error(
        "the credential belongs to `{got}`, but the config names `{expected}`: correct one of them"
    )]
    WrongAccount {
        /// In the config.
        expected: Box<str>,
        /// In the reply.
        got: Box<str>,
    },
    /// The shop is frozen, locked or closed.
    #[error("the shop is frozen, locked or closed: its owner must settle that with the vendor")]
    Closed,
    /// No such record.
    #[error("there is no such record")]
    NotFound,
    /// The identifier belongs to another profile.
    #[error("the identifier belongs to another profile{}", .duplicate.as_ref().map(|id| format!(", {id}")).unwrap_or_default())]
    Conflict {
        /// That profile.
        duplicate: Option<ProfileId>,
    },
    /// The request is wrong, or refused by a rule.
    #[error(
        "refused with `{code}`{}{}",
        labelled(" (", title, ")"),
        labelled(" at ", pointer, "")
    )]
    Invalid {
        /// The vendor's code.
        code: Box<str>,
        /// The vendor's title of the code.
        title: Option<Box<str>>,
        /// Into the request.
        pointer: Option<Box<str>>,
    },
    /// No answer, or not all of it.
    #[error("{host} could not be reached ({cause}): check the network, the name and the firewall")]
    Unreachable {
        /// The host.
        host: Box<str>,
        /// How far the request got.
        phase: Phase,
        /// What ended it.
        cause: Cause,
    },
    /// The server does not prove who it is, by its certificate or by a safe version of TLS; nothing was
    /// sent.
    #[error(
        "{host} is not trusted (its certificate, or its version of TLS): check this machine's clock and \
         root certificates, and what stands in between"
    )]
    Untrusted {
        /// The host.
        host: Box<str>,
    },
    /// Redirects are never followed: they could carry the credential away.
    #[error("{from} redirects to {}: redirects are not followed, check the base URL", .to.as_deref().unwrap_or("nowhere"))]
    Redirected {
        /// Our origin.
        from: Box<str>,
        /// Their origin.
        to: Option<Box<str>>,
    },
    /// The vendor failed.
    #[error("the vendor failed; it is worth another try later")]
    VendorDown,
    /// The body is not JSON: a proxy, a portal or an outage page answered.
    #[error("the answer is not JSON: something between here and the vendor answered instead")]
    NotJson,
    /// The body is JSON of another shape.
    #[error("the answer has another shape than expected, at line {line}, column {column}")]
    Shape {
        /// Line in the body.
        line: usize,
        /// Column in that line.
        column: usize,
    },
    /// The body or line is longer than we read.
    #[error("the answer is longer than {cap} bytes")]
    TooLarge {
        /// Cap in bytes.
        cap: usize,
    },
    /// More in one call than the vendor takes.
    #[error("{got} in one call, and the vendor takes {limit}: split them")]
    TooMany {
        /// Most in one call.
        limit: usize,
        /// Given.
        got: usize,
    },
    /// A link of the vendor's leads elsewhere. A sign of tampering.
    #[error(
        "a link in the answer leads to another place than the listing it continues: it is not followed"
    )]
    ForeignLink,
    /// A listing that comes back to a page that it gave before, or goes on without a record.
    #[error("the listing has no end: it repeats a page, or holds nothing for a thousand of them")]
    Loop,
    /// A base URL or result URL that must not be used.
    #[error(
        "{host} is not a place to fetch from: https is needed, and for results a host of the vendor's"
    )]
    ForeignHost {
        /// The host, or what stands in its place.
        host: Box<str>,
    },
    /// GraphQL refused or failed in part. Nothing of the reply was used.
    #[error("GraphQL errors: {}{}", .codes.join(", "), labelled(" at ", path, ""))]
    GraphqlErrors {
        /// Their codes.
        codes: Vec<String>,
        /// Path of the first.
        path: Option<Box<str>>,
    },
    /// A search term was ignored, so the reply holds rows that were not asked for.
    #[error(
        "the search field `{field}` was not understood ({code}): nothing of the reply was used"
    )]
    SearchWarning {
        /// The field.
        field: Box<str>,
        /// The vendor's code.
        code: Box<str>,
    },
    /// A row older than the filter allows: the filter was not applied.
    #[error("the listing ignores its time filter: nothing of the reply was used")]
    FilterIgnored,
    /// Another version answered than the one asked for.
    #[error("asked for API version {asked}, answered by {got}: set a supported version")]
    VersionChanged {
        /// Ours.
        asked: Box<str>,
        /// Theirs.
        got: Box<str>,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: check this machine's root certificates")]
    Setup,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not sent.
    Connect,
    /// Perhaps carried out: the head of the reply is missing.
    Head,
    /// Answered; what is missing is in the body.
    Body,
}

impl Phase {
    /// The spelling in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Head => "head",
            Self::Body => "body",
        }
    }
}

/// What ends a request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The name does not resolve.
    Name,
    /// There is no connection to be had.
    Refused,
    /// Nothing came for too long, or not all of it within the time a request may take.
    Timeout,
    /// It came too slowly to go on.
    Slow,
    /// The connection broke.
    Lost,
}

impl Cause {
    /// The spelling in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Slow => "slow",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name does not resolve",
            Self::Refused => "no connection",
            Self::Timeout => "timed out",
            Self::Slow => "too slow",
            Self::Lost => "connection lost",
        })
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not carried out; again after this long, or after one window when unknown.
    After(Option<Duration>),
    /// Again after a growing pause.
    Backoff,
    /// Not by itself.
    GiveUp,
}

impl ApiError {
    /// An error of a class without an answer.
    pub fn new(class: &Class, fault: Fault) -> Self {
        Self {
            fault,
            place: Place {
                api: class.api,
                class: class.name,
                status: None,
                request_id: None,
            },
        }
    }

    /// Whether trying again can help. A write that may have been carried out is only repeated when
    /// a repeat is harmless.
    pub fn verdict(&self, idempotent: bool) -> Verdict {
        match &self.fault {
            Fault::Throttled { wait } => Verdict::After(*wait),
            Fault::Unreachable { phase, .. } if *phase == Phase::Connect || idempotent => {
                Verdict::Backoff
            }
            Fault::VendorDown if idempotent => Verdict::Backoff,
            _ => Verdict::GiveUp,
        }
    }

    /// Whether it speaks against the vendor's health, not against the request.
    pub fn is_of_vendor(&self) -> bool {
        matches!(self.fault, Fault::VendorDown | Fault::Unreachable { .. })
    }

    /// Whether a write that ended so may nevertheless have been carried out: observe before
    /// repeating it.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(
            self.fault,
            Fault::VendorDown
                | Fault::NotJson
                | Fault::Shape { .. }
                | Fault::TooLarge { .. }
                | Fault::Unreachable {
                    phase: Phase::Head | Phase::Body,
                    ..
                }
        )
    }
}

impl Place {
    fn name(&self) -> String {
        let api = match self.api {
            Api::Klaviyo => "Klaviyo",
            Api::Shopify => "Shopify",
        };
        format!("{api} {}", self.class)
    }

    fn tail(&self) -> String {
        match (self.status, &self.request_id) {
            (None, _) => String::new(),
            (Some(status), None) => format!(" (status {status})"),
            (Some(status), Some(id)) => format!(" (status {status}, request {id})"),
        }
    }
}

fn scope_name(scope: &Option<Box<str>>) -> String {
    match scope {
        Some(scope) => format!("the scope `{scope}`"),
        None => "a scope for this".to_owned(),
    }
}

fn labelled(before: &str, text: &Option<Box<str>>, after: &str) -> String {
    text.as_ref()
        .map(|text| format!("{before}{text}{after}"))
        .unwrap_or_default()
}

/// A vendor's short text made safe for errors and logs: plain, at most 80 characters, and gone
/// altogether when an `@` makes it look like an address.
pub fn label(text: &str) -> Option<Box<str>> {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    let short: String = text.chars().filter(|c| plain(*c)).take(80).collect();
    (!short.is_empty() && !text.contains('@')).then(|| short.into())
}

/// A scope's name out of a vendor's sentence: `profiles:read`, `read_customers`.
pub fn scope_in(text: &str) -> Option<Box<str>> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || "_:-".contains(c)));
    let is_scope = |word: &&str| {
        let klaviyo = word
            .split_once(':')
            .is_some_and(|(noun, verb)| !noun.is_empty() && matches!(verb, "read" | "write"));
        klaviyo
            || word.strip_prefix("read_").is_some_and(|n| !n.is_empty())
            || word.strip_prefix("write_").is_some_and(|n| !n.is_empty())
    };
    words
        .filter(|word| word.len() <= 60)
        .find(is_scope)
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_no_address_and_no_control_characters() {
        assert_eq!(label("jane@example.com is taken"), None);
        assert_eq!(
            label("Invalid\r\n input.").as_deref(),
            Some("Invalid input.")
        );
        assert_eq!(label(&"x".repeat(500)).map(|text| text.len()), Some(80));
    }

    #[test]
    fn the_missing_scope_is_found_in_a_sentence() {
        let klaviyo = "Your key is missing the required scope: profiles:read.";
        let shopify =
            "Access denied for customers field. Required access: `read_customers` access scope.";
        assert_eq!(scope_in(klaviyo).as_deref(), Some("profiles:read"));
        assert_eq!(scope_in(shopify).as_deref(), Some("read_customers"));
        assert_eq!(scope_in("No."), None);
    }

    #[test]
    fn an_error_says_where_what_and_the_remedy() {
        let error = ApiError {
            fault: Fault::MissingScope {
                scope: Some("lists:read".into()),
            },
            place: Place {
                api: Api::Klaviyo,
                class: "get_lists",
                status: Some(403),
                request_id: Some("r-1".into()),
            },
        };
        assert_eq!(
            error.to_string(),
            "Klaviyo get_lists: the credential lacks the scope `lists:read`: grant it in the \
             vendor's settings (status 403, request r-1)"
        );
    }

    #[test]
    fn only_what_cannot_have_happened_twice_is_tried_twice() {
        let class = &crate::api::klaviyo::limits::CREATE_LIST;
        let lost = |phase| {
            let host = "h".into();
            ApiError::new(
                class,
                Fault::Unreachable {
                    host,
                    phase,
                    cause: Cause::Lost,
                },
            )
        };
        assert_eq!(lost(Phase::Connect).verdict(false), Verdict::Backoff);
        for sent in [Phase::Head, Phase::Body] {
            assert_eq!(lost(sent).verdict(false), Verdict::GiveUp);
            assert_eq!(lost(sent).verdict(true), Verdict::Backoff);
            assert!(lost(sent).is_outcome_unknown());
        }
        assert!(!lost(Phase::Connect).is_outcome_unknown());
        let throttled = ApiError::new(class, Fault::Throttled { wait: None });
        assert_eq!(throttled.verdict(false), Verdict::After(None));
    }
}
