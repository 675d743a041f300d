//! One condition: read from JSON, judged on a subject.

use super::Subject;
use super::consent::{Consent, Permission};
use super::dates::{When, Window};
use super::happenings::{Funnel, Metric};
use super::values::{NumberRelation, Test, Value, segmentable};
use serde_json::Value as Json;

/// A condition, ready for one instant of evaluation.
pub(super) enum Condition {
    /// How often, or for how much, something happened.
    Metric(Metric),
    /// What happened in which order.
    Funnel(Funnel),
    /// A property of the profile.
    Property(Path, Test),
    /// On, or not on, a list.
    Member {
        lists: Vec<String>,
        member: bool,
        window: Option<Window>,
    },
    /// Whether marketing may be sent, and what was agreed to.
    Consent(Consent),
    /// The same for WhatsApp.
    Permission(Permission),
    /// In, or not in, a part of the world.
    Region(&'static [&'static str], bool),
    /// A figure that was predicted.
    Predicted(String, Test),
    /// The place of a channel among those that somebody likes.
    Liking(String, NumberRelation),
    /// What only Klaviyo knows.
    Hidden(Secret),
}

/// What only Klaviyo can tell of a person. The sandbox's Klaviyo draws it from the person's id and the text of the
/// question.
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn of(question: &Json) -> Self {
        Self(question.to_string())
    }

    /// Klaviyo's answer; `None` for everybody else.
    pub(super) fn answer(&self, subject: &Subject<'_>) -> Option<bool> {
        let drawn = crc32c::crc32c(format!("{}{}", subject.id, self.0).as_bytes());
        subject.insight.then_some(drawn % 10 < 3)
    }
}

/// Where a property of a profile is.
pub(super) enum Path {
    /// `email` and its like.
    Attribute(String),
    /// `location['country']` and its like.
    Location(String),
    /// `properties['Name']`.
    Custom(String),
}

const ATTRIBUTES: [&str; 12] = [
    "email",
    "phone_number",
    "external_id",
    "first_name",
    "last_name",
    "organization",
    "locale",
    "title",
    "image",
    "created",
    "updated",
    "last_event_date",
];
const PLACES: [&str; 10] = [
    "address1",
    "address2",
    "city",
    "country",
    "latitude",
    "longitude",
    "region",
    "zip",
    "timezone",
    "ip",
];

impl Path {
    fn read(text: &str) -> Option<Self> {
        let within = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix("']");
        if let Some(name) = within("properties['") {
            return (!name.is_empty()).then(|| Self::Custom(name.to_owned()));
        }
        if let Some(name) = within("location['") {
            return PLACES
                .contains(&name)
                .then(|| Self::Location(name.to_owned()));
        }
        ATTRIBUTES
            .contains(&text)
            .then(|| Self::Attribute(text.to_owned()))
    }

    fn of<'a>(&self, attributes: &'a Json) -> Value<'a> {
        let value = match self {
            Self::Attribute(name) => attributes.get(name),
            Self::Location(name) => attributes["location"].get(name),
            Self::Custom(name) => attributes["properties"].get(name),
        };
        segmentable(value)
    }
}

impl Condition {
    /// Reads a condition. What is unknown or malformed is a secret of Klaviyo's.
    pub(super) fn read(json: &Json, when: &When) -> Self {
        known(json, when).unwrap_or_else(|| Self::Hidden(Secret::of(json)))
    }

    /// Whether the condition holds for the subject; `None` when that cannot be known.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        Some(match self {
            Self::Metric(metric) => metric.holds(subject),
            Self::Funnel(funnel) => funnel.holds(subject),
            Self::Property(path, test) => test.holds(path.of(subject.attributes)),
            Self::Member {
                lists,
                member,
                window,
            } => {
                let fits = |joined: Option<i64>| match window {
                    None => true,
                    Some(window) => joined.is_some_and(|at| window.holds(at)),
                };
                let mut mine = subject.lists.iter();
                mine.any(|(list, joined)| lists.iter().any(|id| id == list) && fits(*joined))
                    == *member
            }
            Self::Consent(consent) => return consent.holds(subject),
            Self::Permission(permission) => return permission.holds(subject),
            Self::Region(countries, wanted) => {
                let country = subject.attributes["location"]["country"].as_str();
                let country = country.map(|name| name.trim().to_lowercase());
                let country = country.filter(|name| !name.is_empty());
                country.is_some_and(|name| countries.contains(&name.as_str()) == *wanted)
            }
            Self::Predicted(name, test) => test.holds(
                predictions(subject)?
                    .get(name)
                    .filter(|known| !known.is_null()),
            ),
            Self::Liking(channel, priority) => {
                let ranked = predictions(subject)?["ranked_channel_affinity"].as_array();
                let mut ranked = ranked.into_iter().flatten().zip(1_u32..);
                ranked.any(|(known, place)| {
                    known == channel.as_str() && priority.holds(Some(f64::from(place)))
                })
            }
            Self::Hidden(secret) => return secret.answer(subject),
        })
    }
}

/// `None` when they were not fetched.
fn predictions<'a>(subject: &Subject<'a>) -> Option<&'a Json> {
    subject.attributes.get("predictive_analytics")
}

fn known(json: &Json, when: &When) -> Option<Condition> {
    Some(match json["type"].as_str()? {
        "profile-metric" => Condition::Metric(Metric::read(json, when)?),
        "profile-metric-funnel" => Condition::Funnel(Funnel::read(json, when)?),
        "profile-property" => {
            let path = Path::read(json["property"].as_str()?)?;
            Condition::Property(path, Test::read(&json["filter"], when)?)
        }
        "profile-group-membership" => {
            let lists = json["group_ids"].as_array()?.iter();
            let lists: Option<Vec<String>> =
                lists.map(|id| id.as_str().map(str::to_owned)).collect();
            Condition::Member {
                lists: lists.filter(|lists| !lists.is_empty())?,
                member: json["is_member"].as_bool()?,
                window: match &json["timeframe_filter"] {
                    Json::Null => None,
                    window => Some(Window::read(window, when)?),
                },
            }
        }
        "profile-marketing-consent" => Condition::Consent(Consent::read(&json["consent"], when)?),
        "profile-permissions" => Condition::Permission(Permission::read(json, when)?),
        "profile-region" => {
            let countries = match json["region"].as_str()? {
                "european_union" => EUROPEAN_UNION,
                "united_states" => UNITED_STATES,
                _ => return None,
            };
            Condition::Region(countries, json["in_region"].as_bool()?)
        }
        "profile-predictive-analytics" => predictive(json, when)?,
        _ => return None,
    })
}

fn predictive(json: &Json, when: &When) -> Option<Condition> {
    let filter = &json["filter"];
    let kind = filter["type"].as_str()?;
    Some(match json["dimension"].as_str()? {
        "expected_date_of_next_purchase" if kind == "date" => {
            let name = "expected_date_of_next_order".to_owned();
            Condition::Predicted(name, Test::read(filter, when)?)
        }
        "channel_affinity" if json["measurement"] == "priority" && kind == "numeric" => {
            let relation = NumberRelation::read(filter["operator"].as_str()?, filter)?;
            Condition::Liking(json["predicted_channel"].as_str()?.to_owned(), relation)
        }
        figure if FIGURES.contains(&figure) && kind == "numeric" => {
            Condition::Predicted(figure.to_owned(), Test::read(filter, when)?)
        }
        _ => return None,
    })
}

const FIGURES: [&str; 8] = [
    "average_days_between_orders",
    "average_order_value",
    "churn_probability",
    "historic_clv",
    "historic_number_of_orders",
    "predicted_clv",
    "predicted_number_of_orders",
    "total_clv",
];

const UNITED_STATES: &[&str] = &["united states", "united states of america", "us", "usa"];

/// The member states, each by its English name and both ISO codes (assumption A28).
const EUROPEAN_UNION: &[&str] = &[
    "austria",
    "at",
    "aut",
    "belgium",
    "be",
    "bel",
    "bulgaria",
    "bg",
    "bgr",
    "croatia",
    "hr",
    "hrv",
    "cyprus",
    "cy",
    "cyp",
    "czechia",
    "czech republic",
    "cz",
    "cze",
    "denmark",
    "dk",
    "dnk",
    "estonia",
    "ee",
    "est",
    "finland",
    "fi",
    "fin",
    "france",
    "fr",
    "fra",
    "germany",
    "de",
    "deu",
    "greece",
    "gr",
    "grc",
    "hungary",
    "hu",
    "hun",
    "ireland",
    "ie",
    "irl",
    "italy",
    "it",
    "ita",
    "latvia",
    "lv",
    "lva",
    "lithuania",
    "lt",
    "ltu",
    "luxembourg",
    "lu",
    "lux",
    "malta",
    "mt",
    "mlt",
    "netherlands",
    "the netherlands",
    "nl",
    "nld",
    "poland",
    "pl",
    "pol",
    "portugal",
    "pt",
    "prt",
    "romania",
    "ro",
    "rou",
    "slovakia",
    "sk",
    "svk",
    "slovenia",
    "si",
    "svn",
    "spain",
    "es",
    "esp",
    "sweden",
    "se",
    "swe",
];
