//! What happened to a person, in time order.

use super::{MetricId, Moment, Money, ProfileId};
use serde::{Deserialize, Serialize};

/// A Klaviyo metric: a kind of event. Names are not unique, ids are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Klaviyo's id.
    pub id: MetricId,
    /// As shown in Klaviyo, such as `Opened Email`.
    pub name: String,
    /// The integration it comes from, such as `Klaviyo` or `Shopify`.
    pub integration: Option<String>,
}

/// What an event of a metric tells about a person. Read from the metric's name (klaviyo.md,
/// section 12); anything else is [`Role::Other`] and only segment definitions read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// `Received Email`: delivered. Passive.
    Received,
    /// `Opened Email`: by a human unless flagged as a machine open.
    Opened,
    /// `Clicked Email`: by a human unless flagged as a bot click.
    Clicked,
    /// `Bounced Email`: hard or soft by its `Bounce Type`.
    Bounced,
    /// `Dropped Email`: not even tried; Klaviyo treats it as a hard bounce.
    Dropped,
    /// `Marked Email as Spam`.
    Complained,
    /// `Active on Site`, `Viewed Product`, `Checkout Started` or `Started Checkout`.
    OnSite,
    /// `Placed Order`.
    Ordered,
    /// Nothing that scores or detectors read.
    Other,
}

impl Role {
    /// The role of a metric, by its name.
    pub fn of(metric_name: &str) -> Self {
        match metric_name {
            "Received Email" => Self::Received,
            "Opened Email" => Self::Opened,
            "Clicked Email" => Self::Clicked,
            "Bounced Email" => Self::Bounced,
            "Dropped Email" => Self::Dropped,
            "Marked Email as Spam" => Self::Complained,
            "Active on Site" | "Viewed Product" | "Checkout Started" | "Started Checkout" => {
                Self::OnSite
            }
            "Placed Order" => Self::Ordered,
            _ => Self::Other,
        }
    }
}

/// A metric's dense number in the mirror's vocabulary.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MetricNo(pub u16);

/// An event property's dense number in the mirror's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PropertyNo(pub u16);

/// A text value's dense number in the mirror's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TextNo(pub u32);

/// An event property's value; texts are numbers into the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Atom {
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(f64),
    /// An interned text.
    Text(TextNo),
    /// A flat list, interned as its canonical JSON text.
    List(TextNo),
}

/// One event of one person, as the mirror keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When it occurred, in whole seconds since 1970. May lie in the future.
    pub at: i64,
    /// Milliseconds into that second. Klaviyo's API gives none (klaviyo.md, section 4.4), and the
    /// mirror keeps none; events from files may have them.
    pub millis: u16,
    /// Of what kind.
    pub metric: MetricNo,
    /// A hash of the vendor's event id; with `at` and `metric` it tells repeats apart.
    pub id: u32,
    /// `$value`, in the account's currency.
    pub value: Option<Money>,
    /// The properties that some definition or rule mentions.
    pub properties: Vec<(PropertyNo, Atom)>,
}

impl Event {
    /// When it occurred, in microseconds since 1970.
    pub fn micros(&self) -> i64 {
        let millis = self
            .at
            .saturating_mul(1000)
            .saturating_add(self.millis.into());
        millis.saturating_mul(1000)
    }

    /// The value of one property.
    pub fn property(&self, name: PropertyNo) -> Option<Atom> {
        self.properties
            .iter()
            .find(|(no, _)| *no == name)
            .map(|(_, value)| *value)
    }
}

/// One person's events, ascending by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Ascending by (`at`, `metric`, `id`), without repeats.
    pub events: Vec<Event>,
}

/// One event as it arrives from the API, before names become numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingEvent {
    /// The vendor's event id.
    pub id: String,
    /// When it occurred.
    pub at: Moment,
    /// Whose it is; orphans of deleted profiles have no owner.
    pub profile: Option<ProfileId>,
    /// `$value`.
    pub value: Option<Money>,
    /// The properties that were asked for and present.
    pub properties: Vec<(String, IncomingValue)>,
}

/// A property value of an arriving event.
#[derive(Clone, Debug, PartialEq)]
pub enum IncomingValue {
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(f64),
    /// Any text.
    Text(String),
    /// A flat list, as its canonical JSON text.
    List(String),
}

/// The names behind the numbers of a timeline. Indexes are the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// Metrics, in order of first sight.
    pub metrics: Vec<Metric>,
    /// Event property names.
    pub properties: Vec<String>,
    /// Text values.
    pub texts: Vec<String>,
}

impl Vocabulary {
    /// The number of a property name, if any stored event ever had it.
    pub fn property(&self, name: &str) -> Option<PropertyNo> {
        let index = self.properties.iter().position(|known| known == name)?;
        u16::try_from(index).ok().map(PropertyNo)
    }

    /// The text behind a number.
    pub fn text(&self, no: TextNo) -> Option<&str> {
        self.texts
            .get(usize::try_from(no.0).ok()?)
            .map(String::as_str)
    }

    /// The number of a metric id.
    pub fn metric(&self, id: &MetricId) -> Option<MetricNo> {
        let index = self.metrics.iter().position(|known| known.id == *id)?;
        u16::try_from(index).ok().map(MetricNo)
    }
}
