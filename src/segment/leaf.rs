//! Conditions, compiled: what each of them asks of a subject, now and in the time to come.

use super::answer::Answer;
use super::condition::{Condition, DistanceUnit, Measurement, RegionName};
use super::consent_test::{ConsentTest, PermissionTest};
use super::extension::FactName;
use super::funnel::Funnel;
use super::number::{Num, NumberTest};
use super::sample::Buckets;
use super::subject::{Attribute, OnList, Subject};
use super::value::{Test, instant, segmentable};
use super::verdict::{Span, Verdict};
use super::window::Window;
use crate::model::{Moment, Profile, Text, Value};

/// One condition, compiled. Equal conditions of all definitions share one leaf.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    /// A count or sum of events.
    Metric {
        counter: usize,
        measurement: Measurement,
        test: NumberTest,
    },
    /// Events in order.
    Funnel(Funnel),
    /// A profile's property.
    Property { place: Place, test: Test },
    /// Lists, by their number in the program.
    Lists {
        lists: Vec<usize>,
        member: bool,
        joined: Option<Window>,
    },
    /// Marketing consent.
    Consent(ConsentTest),
    /// WhatsApp's permissions.
    Permission(PermissionTest),
    /// A part of the world. Who has no country passes or not.
    Region {
        name: RegionName,
        inside: bool,
        without_country: bool,
    },
    /// One of Klaviyo's predictions, by its key.
    Prediction { key: &'static str, test: Test },
    /// The channel at a place of the ranking, counted from 1.
    Affinity { channel: String, place: i64 },
    /// One of our own facts.
    Fact { name: FactName, test: Test },
    /// Distance from a place.
    Radius {
        latitude: f64,
        longitude: f64,
        metres_to_a_unit: f64,
        test: NumberTest,
    },
    /// A share of everybody.
    Sample(Buckets),
    /// What cannot be evaluated, and why.
    Unknown(String),
}

/// Where a property lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// An attribute of Klaviyo's own.
    Attribute(String),
    /// A custom property.
    Custom(String),
}

impl Place {
    /// The value there, if it is segmentable.
    pub(super) fn value(&self, profile: &Profile) -> Option<Value> {
        match self {
            Self::Attribute(path) => {
                let value = Attribute::of(profile, path).map(|found| found.value());
                segmentable(value.as_ref()).cloned()
            }
            Self::Custom(name) => segmentable(profile.properties.get(name)).cloned(),
        }
    }

    /// The verdict of a test on what is there, borrowed where it lies; dates that the record keeps as
    /// instants are not written out and read again.
    fn answer<A: Answer, T: Text>(&self, test: &Test, profile: &Profile<T>, span: Span) -> A {
        let path = match self {
            Self::Custom(name) => {
                let value = profile.properties.get(name.as_str());
                return test.answer(segmentable(value), span);
            }
            Self::Attribute(path) => path,
        };
        match (Attribute::of(profile, path), test) {
            (None, test) => test.answer::<A, T>(None, span),
            (Some(Attribute::Sent(value)), test) => test.answer(segmentable(Some(value)), span),
            (Some(Attribute::Text(text)), test) => test.answer(Some(&Value::Text(text)), span),
            (Some(Attribute::Date(at)), Test::Date(window)) => {
                A::within(window, micros_of(at), span)
            }
            (Some(Attribute::Date(at)), test) => {
                test.answer(Some(&Value::Text(at.to_string())), span)
            }
        }
    }
}

impl Test {
    /// The verdict on a value.
    pub(super) fn answer<A: Answer, T: Text>(&self, value: Option<&Value<T>>, span: Span) -> A {
        match self {
            Self::Static(test) => A::of(test.holds(value)),
            Self::Date(window) => match instant(value) {
                Some(at) => A::within(window, at, span),
                None => A::constant(Verdict::Out),
            },
        }
    }
}

impl Leaf {
    /// The verdict, for every kind of condition that does not walk the timeline.
    pub(super) fn answer<A: Answer, T: Text>(&self, subject: &Subject<'_, T>, span: Span) -> A {
        let profile = subject.profile;
        match self {
            Self::Property { place, test } => place.answer(test, profile, span),
            Self::Lists {
                lists,
                member,
                joined,
            } => on_lists(subject, lists, *member, joined.as_ref(), span),
            Self::Consent(test) => test.answer(profile, span),
            Self::Permission(test) => test.answer(profile, span),
            Self::Region {
                name,
                inside,
                without_country,
            } => {
                let country = profile
                    .country
                    .as_ref()
                    .map(|country| country.borrow().trim());
                let known = country.filter(|country| !country.is_empty());
                A::of(known.map_or(*without_country, |country| name.holds(country) == *inside))
            }
            Self::Prediction { key, test } => match &profile.predictions {
                None => A::constant(Verdict::Unknown),
                Some(all) => {
                    let value = all.get(*key).filter(|value| **value != Value::Null);
                    test.answer(value, span)
                }
            },
            Self::Affinity { channel, place } => match &profile.predictions {
                None => A::constant(Verdict::Unknown),
                Some(all) => A::of(
                    ranked(all.get("ranked_channel_affinity"), *place) == Some(channel.as_str()),
                ),
            },
            Self::Fact { name, test } => match subject.facts.and_then(|facts| facts.0.get(name)) {
                None => A::constant(Verdict::Unknown),
                Some(value) => test.answer(value.as_ref(), span),
            },
            Self::Radius {
                latitude,
                longitude,
                metres_to_a_unit,
                test,
            } => {
                let Some((north, east)) = coordinates(profile) else {
                    return A::constant(Verdict::Unknown);
                };
                let metres = great_circle((*latitude, *longitude), (north, east));
                A::of(test.holds(Num::Float(metres / metres_to_a_unit)))
            }
            Self::Sample(buckets) => A::of(buckets.hold(profile.id.as_str())),
            Self::Unknown(_) | Self::Metric { .. } | Self::Funnel(_) => {
                A::constant(Verdict::Unknown)
            }
        }
    }
}

fn on_lists<A: Answer, T>(
    subject: &Subject<'_, T>,
    lists: &[usize],
    member: bool,
    joined: Option<&Window>,
    span: Span,
) -> A {
    let one = |list: &usize| match (subject.lists.get(*list), joined) {
        (Some(OnList::No), _) => A::constant(Verdict::Out),
        (Some(OnList::Since(_)), None) => A::constant(Verdict::In),
        (Some(OnList::Since(Some(at))), Some(window)) => A::within(window, micros_of(*at), span),
        (Some(OnList::Since(None)), Some(_)) => A::constant(Verdict::Out),
        (Some(OnList::Unknown) | None, _) => A::constant(Verdict::Unknown),
    };
    let on_any = A::any(lists.iter().map(one));
    if member { on_any } else { on_any.not() }
}

/// A moment in the evaluator's unit.
pub(super) const fn micros_of(at: Moment) -> i64 {
    at.0.saturating_mul(1000)
}

fn ranked<T: Text>(ranking: Option<&Value<T>>, place: i64) -> Option<&str> {
    let Some(Value::List(channels)) = ranking else {
        return None;
    };
    match channels.get(usize::try_from(place.checked_sub(1)?).ok()?)? {
        Value::Text(channel) => Some(channel.borrow()),
        _ => None,
    }
}

/// Degrees north and east; both vendors' numbers and texts are read.
pub(super) fn coordinates<T: Text>(profile: &Profile<T>) -> Option<(f64, f64)> {
    let degrees = |key: &str, most: f64| {
        let degrees = match profile.attributes.get(key)? {
            Value::Int(int) => *int as f64,
            Value::Float(float) => *float,
            Value::Text(text) => text.borrow().trim().parse().ok()?,
            _ => return None,
        };
        (degrees.abs() <= most).then_some(degrees)
    };
    Some((
        degrees("location['latitude']", 90.0)?,
        degrees("location['longitude']", 180.0)?,
    ))
}

/// The Earth's mean radius in metres (IUGG).
const EARTH: f64 = 6_371_008.8;

/// Metres along the great circle, by the haversine formula.
pub(super) fn great_circle(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (north, east) = (
        (to.0 - from.0).to_radians() / 2.0,
        (to.1 - from.1).to_radians() / 2.0,
    );
    let cosines = from.0.to_radians().cos() * to.0.to_radians().cos();
    let half_chord = north.sin().powi(2) + cosines * east.sin().powi(2);
    2.0 * EARTH * half_chord.sqrt().min(1.0).asin()
}

/// Metres in a unit of distance.
pub(super) const fn metres(unit: DistanceUnit) -> f64 {
    match unit {
        DistanceUnit::Kilometers => 1_000.0,
        DistanceUnit::Miles => 1_609.344,
    }
}

/// What to say of a condition that only Klaviyo can judge.
pub(super) fn only_klaviyo_knows(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::ProfilePostalCodeDistance(_) => {
            Some("the distance from a postal code needs Klaviyo's gazetteer")
        }
        Condition::ProfileHasCustomObject(_) => {
            Some("custom objects cannot be read through the API")
        }
        _ => None,
    }
}
