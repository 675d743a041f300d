//! Consent and permissions, evaluated (klaviyo.md, sections 10.3 and 10.4; assumptions A23 to A27).

use super::answer::Answer;
use super::assumption::Assumptions;
use super::condition::Permissions;
use super::consent::{
    Consent, ConsentChannel, ConsentFilter, PermissionFilter, Reachable, Subscription,
};
use super::filter::{ExistenceFilter, Filter};
use super::leaf::micros_of;
use super::presence::Nullable;
use super::value::Test;
use super::verdict::{Span, Verdict};
use super::window::Window;
use crate::model::{
    Channel, ChannelState, EmailMarketing, Moment, Profile, SuppressionReason, Text, Value,
};

/// `profile-marketing-consent`, compiled. All of it must hold.
#[derive(Clone, Debug)]
pub(super) struct ConsentTest {
    channel: ConsentChannel,
    can_receive: bool,
    subscription: Subscription,
    filters: Vec<StatusTest>,
}

/// One filter of a consent.
#[derive(Clone, Debug)]
enum StatusTest {
    Status(DateTest),
    Suppressed(SuppressionReason, DateTest),
    DoubleOptIn(Test),
    CustomSource(Test),
    Method(String, Option<Test>),
    Unknown,
}

/// A test of an instant that may be absent.
#[derive(Clone, Debug)]
enum DateTest {
    Set(bool),
    Within(Window),
    Unknown,
}

/// `profile-permissions`, compiled.
#[derive(Clone, Debug)]
pub(super) struct PermissionTest {
    channel: Channel,
    status: Reachable,
    effective: Vec<DateTest>,
    recorded: Vec<DateTest>,
    has_unknown: bool,
}

/// What the channels have in common, borrowed.
struct Status<'a, T> {
    can_receive: bool,
    consent: &'a str,
    consent_at: Option<Moment>,
    method: Option<&'a str>,
    method_detail: Option<&'a str>,
    email: Option<&'a EmailMarketing<T>>,
}

impl ConsentTest {
    /// Compiles a condition; what is unknown in its filters makes only them unknown.
    pub(super) fn compile(consent: &Consent, assumptions: &Assumptions) -> Self {
        let filters = all(&consent.consent_status.filters);
        Self {
            channel: consent.channel,
            can_receive: consent.can_receive_marketing,
            subscription: consent.consent_status.subscription,
            filters: filters
                .map(|filter| StatusTest::compile(filter, assumptions))
                .collect(),
        }
    }

    pub(super) fn answer<A: Answer, T: Text>(&self, profile: &Profile<T>, span: Span) -> A {
        let Some(status) = self.status(profile) else {
            return A::constant(Verdict::Unknown);
        };
        let subscribed = match self.subscription {
            Subscription::Any => true,
            Subscription::Subscribed => status.consent == "SUBSCRIBED",
            Subscription::Unsubscribed => status.consent == "UNSUBSCRIBED",
            // No consent on record is one that was never given (A24).
            Subscription::NeverSubscribed => ["NEVER_SUBSCRIBED", ""].contains(&status.consent),
        };
        let holds = A::of(subscribed && status.can_receive == self.can_receive);
        let filters = self
            .filters
            .iter()
            .map(|filter| filter.answer(&status, span));
        A::all(std::iter::once(holds).chain(filters))
    }

    /// `None` when subscriptions were not fetched (A23).
    fn status<'a, T: Text>(&self, profile: &'a Profile<T>) -> Option<Status<'a, T>> {
        let channels = profile.channels.as_ref();
        let state =
            |channel: Channel| Some(channels?.get(&channel).map_or(Status::NONE, Status::of));
        match self.channel {
            ConsentChannel::Sms => state(Channel::Sms),
            ConsentChannel::Push => state(Channel::Push),
            ConsentChannel::Email => match &profile.email_marketing {
                Some(email) => Some(Status::of_email(email)),
                None => channels.map(|_| Status::NONE),
            },
        }
    }
}

impl<'a, T: Text> Status<'a, T> {
    const NONE: Self = Self {
        can_receive: false,
        consent: "",
        consent_at: None,
        method: None,
        method_detail: None,
        email: None,
    };

    fn of(state: &'a ChannelState<T>) -> Self {
        Self {
            can_receive: state.can_receive == Some(true),
            consent: text(&state.consent).unwrap_or_default(),
            consent_at: state.consent_at,
            method: text(&state.method),
            method_detail: text(&state.method_detail),
            email: None,
        }
    }

    fn of_email(email: &'a EmailMarketing<T>) -> Self {
        Self {
            can_receive: email.can_receive == Some(true),
            consent: email.consent.as_str(),
            consent_at: email.consent_at,
            method: text(&email.method),
            method_detail: text(&email.method_detail),
            email: Some(email),
        }
    }
}

fn text<T: Text>(text: &Option<T>) -> Option<&str> {
    text.as_ref().map(|text| text.borrow())
}

impl StatusTest {
    fn compile(filter: &ConsentFilter, assumptions: &Assumptions) -> Self {
        let date = |filter: &Filter| DateTest::compile(filter, assumptions);
        // An unknown filter is unknown for those without a suppression, too (A31).
        let suppressed = |reason, filter| match date(filter) {
            DateTest::Unknown => Self::Unknown,
            test => Self::Suppressed(reason, test),
        };
        let test = |filter: &Filter| Test::compile(filter, assumptions).ok();
        match filter {
            ConsentFilter::StatusDate { filter } => Self::Status(date(filter)),
            ConsentFilter::BounceDate { filter } => {
                suppressed(SuppressionReason::HardBounce, filter)
            }
            ConsentFilter::ManualSuppressionDate { filter } => {
                suppressed(SuppressionReason::UserSuppressed, filter)
            }
            ConsentFilter::InvalidEmailDate { filter } => {
                suppressed(SuppressionReason::InvalidEmail, filter)
            }
            ConsentFilter::IsDoubleOptIn { filter } => {
                test(filter).map_or(Self::Unknown, Self::DoubleOptIn)
            }
            ConsentFilter::CustomSource { filter } => {
                test(filter).map_or(Self::Unknown, Self::CustomSource)
            }
            ConsentFilter::Method { method, filter } => match filter {
                Some(Some(filter)) => test(filter).map_or(Self::Unknown, |test| {
                    Self::Method(method.clone(), Some(test))
                }),
                Some(None) | None => Self::Method(method.clone(), None),
            },
            ConsentFilter::Unknown(_) => Self::Unknown,
        }
    }

    fn answer<A: Answer, T: Text>(&self, status: &Status<'_, T>, span: Span) -> A {
        let on =
            |test: &Test, text: Option<&str>| test.answer(text.map(Value::Text).as_ref(), span);
        match self {
            Self::Status(test) => test.answer(status.consent_at, span),
            Self::Suppressed(reason, test) => {
                let all = status.email.map(|email| email.suppressions.as_slice());
                let those = all
                    .unwrap_or_default()
                    .iter()
                    .filter(|one| one.reason == *reason);
                A::any(those.map(|one| test.answer(one.at, span)))
            }
            Self::DoubleOptIn(test) => {
                let value = status.email.and_then(|email| email.double_optin.as_ref());
                test.answer(value, span)
            }
            Self::CustomSource(test) => on(
                test,
                status.email.and_then(|email| text(&email.custom_source)),
            ),
            Self::Method(method, detail) => {
                let is_it = status
                    .method
                    .is_some_and(|known| known.to_lowercase() == *method);
                let is_it = A::of(is_it);
                let detail = detail.iter().map(|test| on(test, status.method_detail));
                A::all(std::iter::once(is_it).chain(detail))
            }
            Self::Unknown => A::constant(Verdict::Unknown),
        }
    }
}

impl DateTest {
    fn compile(filter: &Filter, assumptions: &Assumptions) -> Self {
        match filter {
            Filter::Date(date) => {
                Window::compile(date, assumptions).map_or(Self::Unknown, Self::Within)
            }
            Filter::Existence(ExistenceFilter::IsSet) => Self::Set(true),
            Filter::Existence(ExistenceFilter::NotSet) => Self::Set(false),
            _ => Self::Unknown,
        }
    }

    fn answer<A: Answer>(&self, at: Option<Moment>, span: Span) -> A {
        match (self, at) {
            (Self::Set(wanted), at) => A::of(at.is_some() == *wanted),
            (Self::Within(window), Some(at)) => A::within(window, micros_of(at), span),
            (Self::Within(_), None) => A::constant(Verdict::Out),
            (Self::Unknown, _) => A::constant(Verdict::Unknown),
        }
    }
}

impl PermissionTest {
    pub(super) fn compile(permissions: &Permissions, assumptions: &Assumptions) -> Self {
        let mut test = Self {
            channel: permissions.channel.mirrored(),
            status: permissions.permission.reachable_status,
            effective: Vec::new(),
            recorded: Vec::new(),
            has_unknown: false,
        };
        for filter in all(&permissions.permission.filters) {
            match filter {
                PermissionFilter::EffectiveDate { filter } => {
                    test.effective.push(DateTest::compile(filter, assumptions));
                }
                PermissionFilter::RecordedDate { filter } => {
                    test.recorded.push(DateTest::compile(filter, assumptions));
                }
                PermissionFilter::Unknown(_) => test.has_unknown = true,
            }
        }
        test
    }

    pub(super) fn answer<A: Answer, T: Text>(&self, profile: &Profile<T>, span: Span) -> A {
        let Some(channels) = &profile.channels else {
            return A::constant(Verdict::Unknown);
        };
        let none = ChannelState::default();
        let state = channels.get(&self.channel).unwrap_or(&none);
        // A consent that somebody gave or withdrew is explicit, any other implicit (A27).
        let explicit = matches!(text(&state.consent), Some("SUBSCRIBED" | "UNSUBSCRIBED"));
        let reachable = state.can_receive == Some(true);
        let holds = match self.status {
            Reachable::ExplicitlyReachable => explicit && reachable,
            Reachable::ExplicitlyUnreachable => explicit && !reachable,
            Reachable::ImplicitlyReachable => !explicit && reachable,
            Reachable::ImplicitlyUnreachable => !explicit && !reachable,
            Reachable::ImplicitlyOrExplicitlyReachable => reachable,
            Reachable::ImplicitlyOrExplicitlyUnreachable => !reachable,
        };
        let unknown = self.has_unknown.then_some(A::constant(Verdict::Unknown));
        let effective = self
            .effective
            .iter()
            .map(|test| test.answer(state.consent_at, span));
        let recorded = self
            .recorded
            .iter()
            .map(|test| test.answer(state.created_at, span));
        let holds = A::of(holds);
        A::all(
            std::iter::once(holds)
                .chain(unknown)
                .chain(effective)
                .chain(recorded),
        )
    }
}

fn all<T>(filters: &Nullable<Vec<T>>) -> impl Iterator<Item = &T> {
    filters.iter().flatten().flatten()
}
