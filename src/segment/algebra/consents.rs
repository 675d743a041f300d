//! States of a channel that stand for all others, as far as conditions on it can tell them apart.
//!
//! A condition asks for a few fields, each on its own, so every combination of the fields' classes
//! is tried. Of suppressions a condition asks whether there is one; taking one away makes no
//! condition hold, so as many of a reason as filters ask for are enough.

use super::instants::representatives;
use super::values::{Home, Values};
use super::witness::Witness;
use crate::model::{
    Channel, ChannelState, Consent as Word, EmailMarketing, Moment, Suppression, SuppressionReason,
    Value,
};
use crate::segment::value::Test;
use crate::segment::{
    Assumptions, Condition, ConsentFilter, DateFilter, Filter, MarketingConsent, PermissionFilter,
    Permissions,
};
use std::collections::{BTreeMap, BTreeSet};

/// What conditions on a channel ask for.
#[derive(Debug, Default)]
pub(super) struct Facets<'a> {
    given: Vec<&'a Filter>,
    recorded: Vec<&'a Filter>,
    /// Bounces, manual suppressions and invalid addresses.
    suppressed: [Vec<&'a Filter>; 3],
    double_optin: Vec<&'a Filter>,
    source: Vec<&'a Filter>,
    methods: BTreeSet<&'a str>,
    detail: Vec<&'a Filter>,
    /// Whether something is asked for that nothing here reads.
    has_unknown: bool,
}

const REASONS: [SuppressionReason; 3] = [
    SuppressionReason::HardBounce,
    SuppressionReason::UserSuppressed,
    SuppressionReason::InvalidEmail,
];

/// More states are not tried.
const MOST_STATES: usize = 40_000;

impl<'a> Facets<'a> {
    /// Of these conditions; those that are not on channels ask for nothing.
    pub(super) fn of(conditions: impl IntoIterator<Item = &'a Condition>) -> Self {
        let mut facets = Self::default();
        for condition in conditions {
            match condition {
                Condition::ProfileMarketingConsent(condition) => facets.consent(condition),
                Condition::ProfilePermissions(condition) => facets.permission(condition),
                _ => {}
            }
        }
        facets
    }

    /// Whether the evaluator reads everything that is asked for.
    pub(super) fn are_read(&self) -> bool {
        let is_date = |filter: &&Filter| match filter {
            Filter::Date(_) => Test::compile(filter, &Assumptions::default()).is_ok(),
            filter => matches!(filter, Filter::Existence(_)),
        };
        let is_value = |filter: &&Filter| Test::compile(filter, &Assumptions::default()).is_ok();
        let dates = self
            .given
            .iter()
            .chain(&self.recorded)
            .chain(self.suppressed.iter().flatten());
        let values = self
            .double_optin
            .iter()
            .chain(&self.source)
            .chain(&self.detail);
        !self.has_unknown && dates.into_iter().all(is_date) && values.into_iter().all(is_value)
    }

    fn consent(&mut self, condition: &'a MarketingConsent) {
        let filters = condition.consent.consent_status.filters.iter();
        for filter in filters.flatten().flatten() {
            match filter {
                ConsentFilter::StatusDate { filter } => self.given.push(filter),
                ConsentFilter::BounceDate { filter } => self.suppressed[0].push(filter),
                ConsentFilter::ManualSuppressionDate { filter } => self.suppressed[1].push(filter),
                ConsentFilter::InvalidEmailDate { filter } => self.suppressed[2].push(filter),
                ConsentFilter::IsDoubleOptIn { filter } => self.double_optin.push(filter),
                ConsentFilter::CustomSource { filter } => self.source.push(filter),
                ConsentFilter::Method { method, filter } => {
                    self.methods.insert(method);
                    self.detail.extend(filter.iter().flatten());
                }
                ConsentFilter::Unknown(_) => self.has_unknown = true,
            }
        }
    }

    fn permission(&mut self, condition: &'a Permissions) {
        for filter in condition.permission.filters.iter().flatten().flatten() {
            match filter {
                PermissionFilter::EffectiveDate { filter } => self.given.push(filter),
                PermissionFilter::RecordedDate { filter } => self.recorded.push(filter),
                PermissionFilter::Unknown(_) => self.has_unknown = true,
            }
        }
    }

    /// People with every state of a channel, `None` being e-mail; and why not all could be tried.
    pub(super) fn people(
        &self,
        channel: Option<Channel>,
        now: i64,
    ) -> (Vec<Witness>, Option<&'static str>) {
        let mut gap = None;
        let mut values = |filters: &[&'a Filter]| {
            let values = Values::of(filters.iter().copied(), Home::Profile, false, now);
            gap = gap.or(values.gap);
            if values.open {
                gap = Some("its combinations of texts cannot be listed");
            }
            values.all
        };
        let (optin, source) = (values(&self.double_optin), values(&self.source));
        let detail = values(&self.detail);
        let moments = |filters: &[&'a Filter]| moments(filters, now);
        let mut drafts = vec![Draft::default()];
        vary(&mut drafts, &[true, false], |draft, can| {
            draft.can_receive = *can
        });
        vary(&mut drafts, &CONSENTS, |draft, consent| {
            draft.consent = consent
        });
        let given = moments(&self.given);
        vary(&mut drafts, &given, |draft, at| draft.given = *at);
        vary(&mut drafts, &moments(&self.recorded), |draft, at| {
            draft.recorded = *at
        });
        vary(&mut drafts, &self.methods(), |draft, method| {
            draft.method.clone_from(method)
        });
        if !self.detail.is_empty() {
            vary(&mut drafts, &texts(detail), |draft, text| {
                draft.detail.clone_from(text)
            });
        }
        if !self.source.is_empty() {
            vary(&mut drafts, &texts(source), |draft, text| {
                draft.source.clone_from(text)
            });
        }
        if !self.double_optin.is_empty() {
            vary(&mut drafts, &optin, |draft, value| {
                draft.double_optin.clone_from(value)
            });
        }
        for (filters, reason) in self.suppressed.iter().zip(&REASONS) {
            let sets = suppressions(reason, &moments(filters), filters.len());
            vary(&mut drafts, &sets, |draft, set| {
                draft.suppressions.extend(set.iter().cloned())
            });
        }
        if drafts.len() > MOST_STATES {
            gap = Some("it has too many states to try");
        }
        let people = drafts.into_iter().take(MOST_STATES);
        (people.map(|draft| draft.person(channel)).collect(), gap)
    }

    /// As the API spells them; conditions write small letters.
    fn methods(&self) -> Vec<Option<String>> {
        let asked = self
            .methods
            .iter()
            .map(|method| Some(method.to_uppercase()));
        match self.methods.is_empty() {
            true => vec![None],
            false => [None, Some("OTHER".to_owned())]
                .into_iter()
                .chain(asked)
                .collect(),
        }
    }
}

const CONSENTS: [&str; 4] = ["NEVER_SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED", "PENDING"];

#[derive(Clone, Debug, Default)]
struct Draft {
    can_receive: bool,
    consent: &'static str,
    given: Option<Moment>,
    recorded: Option<Moment>,
    method: Option<String>,
    detail: Option<String>,
    source: Option<String>,
    double_optin: Option<Value>,
    suppressions: Vec<Suppression>,
}

/// Every draft with every option, up to a little beyond what is tried.
fn vary<T>(drafts: &mut Vec<Draft>, options: &[T], set: impl Fn(&mut Draft, &T)) {
    let varied = drafts.iter().flat_map(|draft| {
        options.iter().map(|option| {
            let mut draft = draft.clone();
            set(&mut draft, option);
            draft
        })
    });
    *drafts = varied.take(MOST_STATES + 1).collect();
}

/// No instant, and one for each set of filters that instants can fit.
fn moments(filters: &[&Filter], now: i64) -> Vec<Option<Moment>> {
    if filters.is_empty() {
        return vec![None];
    }
    let dates: Vec<&DateFilter> = filters
        .iter()
        .filter_map(|filter| match filter {
            Filter::Date(date) => Some(date),
            _ => None,
        })
        .collect();
    let found = representatives(&dates, now).into_iter();
    let found = found.map(|micros| Some(Moment(micros.div_euclid(1000))));
    std::iter::once(None).chain(found).collect()
}

/// Sets of suppressions for a reason, the smaller ones first.
fn suppressions(
    reason: &SuppressionReason,
    moments: &[Option<Moment>],
    most: usize,
) -> Vec<Vec<Suppression>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    let mut begun = 0;
    for _ in 0..most {
        let ends = all.len();
        let longer: Vec<Vec<usize>> = all[begun..]
            .iter()
            .flat_map(|set| {
                let next = set.last().map_or(0, |last| last + 1);
                (next..moments.len()).map(|at| [set.as_slice(), &[at]].concat())
            })
            .take(MOST_STATES)
            .collect();
        all.extend(longer);
        begun = ends;
    }
    let of = |at: &usize| Suppression {
        reason: reason.clone(),
        at: moments[*at],
    };
    all.iter().map(|set| set.iter().map(of).collect()).collect()
}

fn texts(values: Vec<Option<Value>>) -> Vec<Option<String>> {
    let text = |value: Option<Value>| match value {
        Some(Value::Text(text)) => Some(Some(text)),
        None => Some(None),
        Some(_) => None,
    };
    values.into_iter().filter_map(text).collect()
}

impl Draft {
    fn person(self, channel: Option<Channel>) -> Witness {
        match channel {
            None => Witness {
                email: Some(EmailMarketing {
                    can_receive: Some(self.can_receive),
                    consent_at: self.given,
                    suppressions: self.suppressions,
                    method: self.method,
                    method_detail: self.detail,
                    custom_source: self.source,
                    double_optin: self.double_optin,
                    ..EmailMarketing::new(word(self.consent))
                }),
                ..Witness::default()
            },
            Some(channel) => {
                let state = ChannelState {
                    can_receive: Some(self.can_receive),
                    consent: Some(self.consent.to_owned()),
                    consent_at: self.given,
                    created_at: self.recorded,
                    method: self.method,
                    method_detail: self.detail,
                };
                Witness {
                    channels: BTreeMap::from([(channel, state)]),
                    ..Witness::default()
                }
            }
        }
    }
}

fn word(consent: &str) -> Word {
    match consent {
        "SUBSCRIBED" => Word::Subscribed,
        "UNSUBSCRIBED" => Word::Unsubscribed,
        "NEVER_SUBSCRIBED" => Word::NeverSubscribed,
        other => Word::Other(other.to_owned()),
    }
}
