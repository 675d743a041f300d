//! Klaviyo's side of the world.

use super::dated::{Dated, Since};
use crate::model::Moment;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One Klaviyo account.
#[derive(Clone, Debug, Default)]
pub struct KlaviyoWorld {
    /// The account's id, which is also its public key.
    pub account: String,
    /// The private key that is accepted.
    pub api_key: String,
    /// Scopes the key has; an endpoint that needs another answers 403.
    pub scopes: Vec<String>,
    /// Profiles by id.
    pub profiles: Dated<Profile>,
    /// Lists by id.
    pub lists: BTreeMap<String, List>,
    /// Segments by id.
    pub segments: BTreeMap<String, Segment>,
    /// Metrics by id.
    pub metrics: BTreeMap<String, Metric>,
    /// Events by metric id, ascending by (timestamp, id).
    pub events: BTreeMap<String, Vec<Event>>,
    /// Asynchronous jobs by id.
    pub jobs: BTreeMap<String, Job>,
    /// Accepted list changes that do not show yet, in order of acceptance.
    pub pending: Vec<ListChange>,
    /// How many ids the server itself has given out; the seed of the next one.
    pub minted: u64,
    /// IANA time zone. Segments pay no heed to it.
    pub timezone: String,
    /// The hour of the day, in UTC, at which relative times are refreshed.
    pub refresh_hour: u8,
    /// Profiles that changed, and since when: their memberships are to be judged before anybody looks.
    pub changed: BTreeMap<String, Moment>,
}

impl KlaviyoWorld {
    /// Notes that something about a profile changed: itself, its events, its lists or its consent.
    pub fn note_change(&mut self, profile: &str, at: Moment) {
        self.changed.entry(profile.to_owned()).or_insert(at);
    }
}

/// An accepted change of a list's members that shows a little later.
#[derive(Clone, Debug)]
pub struct ListChange {
    /// From here on it shows.
    pub due: Moment,
    /// When it was accepted.
    pub at: Moment,
    /// The list.
    pub list: String,
    /// The profiles.
    pub profiles: Vec<String>,
    /// Whether they join or leave.
    pub join: bool,
}

/// A profile with everything the API shows of it.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// E-mail address.
    pub email: Option<String>,
    /// E.164.
    pub phone_number: Option<String>,
    /// The merchant's id.
    pub external_id: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Creation.
    pub created: Moment,
    /// Last change.
    pub updated: Moment,
    /// Last active event.
    pub last_event_date: Option<Moment>,
    /// Display name of the country.
    pub country: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State or province.
    pub region: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Latitude and longitude in degrees.
    pub position: Option<(f64, f64)>,
    /// Such as `en-US`.
    pub locale: Option<String>,
    /// Employer.
    pub organization: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Custom properties.
    pub properties: BTreeMap<String, Json>,
    /// `SUBSCRIBED`, `UNSUBSCRIBED` or `NEVER_SUBSCRIBED`.
    pub consent: &'static str,
    /// When the consent changed last.
    pub consent_at: Option<Moment>,
    /// How the e-mail consent came about.
    pub source: ConsentSource,
    /// Whether the subscription to e-mail was confirmed; `None` where nobody asked.
    pub double_opt_in: Option<bool>,
    /// Global e-mail suppressions.
    pub suppressions: Vec<Suppression>,
    /// Consent to SMS.
    pub sms: Channel,
    /// Consent to push messages.
    pub push: Channel,
    /// Consent to marketing by WhatsApp.
    pub whatsapp: Channel,
    /// What the vendor expects of somebody who bought.
    pub predictions: Option<Predictions>,
}

impl Since for Profile {
    fn since(&self) -> Moment {
        self.created
    }
}

/// A member's time of joining.
impl Since for Moment {
    fn since(&self) -> Moment {
        *self
    }
}

/// How a consent came about, in the vendor's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentSource {
    /// Such as `FORM`.
    pub method: Option<&'static str>,
    /// Form, page, key or user.
    pub detail: Option<String>,
    /// The merchant's own words.
    pub custom_detail: Option<String>,
}

/// Consent to a channel other than e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `SUBSCRIBED`, `UNSUBSCRIBED` or `NEVER_SUBSCRIBED`.
    pub consent: &'static str,
    /// When it changed last.
    pub at: Option<Moment>,
    /// How it came about.
    pub source: ConsentSource,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            consent: "NEVER_SUBSCRIBED",
            at: None,
            source: ConsentSource::default(),
        }
    }
}

/// The vendor's predictions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Spent so far.
    pub historic_value: f64,
    /// Expected to be spent in the next year.
    pub predicted_value: f64,
    /// Orders so far.
    pub orders: u32,
    /// Orders expected in the next year.
    pub predicted_orders: f64,
    /// Between orders; `None` with one.
    pub days_between_orders: Option<f64>,
    /// Of an order.
    pub average_value: f64,
    /// From 0 to 1.
    pub churn: f64,
    /// The next order.
    pub next_order: Option<Moment>,
    /// `email`, `push`, `sms` or `whatsapp`, the liked ones first.
    pub channels: Vec<&'static str>,
}

impl Profile {
    /// Whether no global suppression stops marketing e-mail, whatever the consent.
    pub fn can_receive(&self) -> bool {
        self.email.is_some() && self.suppressions.is_empty()
    }

    /// Moves `updated`; it never goes back.
    pub(in crate::sandbox) fn touch(&mut self, now: Moment) {
        self.updated = self.updated.max(now);
    }
}

/// A global suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// `HARD_BOUNCE`, `INVALID_EMAIL`, `SPAM_COMPLAINT`, `UNSUBSCRIBE` or `USER_SUPPRESSED`.
    pub reason: &'static str,
    /// Since when.
    pub at: Moment,
}

/// A static list.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created: Moment,
    /// Last edit.
    pub updated: Moment,
    /// Whether new subscribers must confirm.
    pub double_opt_in: bool,
    /// Profile id and when it joined.
    pub members: Dated<Moment>,
}

/// A rule-based group. Membership is what the vendor last computed, not what is true now.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// `{"condition_groups": […]}`.
    pub definition: Json,
    /// Creation.
    pub created: Moment,
    /// Last edit.
    pub updated: Moment,
    /// Whether it is processed.
    pub is_active: bool,
    /// Profile id and when it joined, as of the last refresh.
    pub members: Dated<Moment>,
    /// As of when relative times are judged: the last refresh.
    pub refreshed: Moment,
    /// Of each refresh that moved somebody: when, how many joined, how many left.
    pub moves: Vec<(Moment, usize, usize)>,
    /// Memberships that no computation changes.
    pub pinned: BTreeMap<String, bool>,
    /// When the members will follow an edited definition; until then they stand still.
    pub recount: Option<Moment>,
    /// When the members were last read through the API.
    pub last_read: Option<Moment>,
}

/// A kind of event.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Name and category of the integration.
    pub integration: (String, String),
    /// Creation.
    pub created: Moment,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The vendor's id.
    pub id: String,
    /// Unix seconds.
    pub timestamp: i64,
    /// Whose it is; `None` once the profile was deleted.
    pub profile: Option<String>,
    /// `event_properties` without `$event_id`, shared by the events that have the same ones.
    pub properties: Arc<Json>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// `profile-bulk-import-job`.
    Import,
    /// `profile-suppression-bulk-create-job`.
    Suppress,
    /// `profile-subscription-bulk-delete-job`.
    Unsubscribe,
    /// `data-privacy-deletion-job`.
    Delete,
}

/// One asynchronous job. It completes a little after its creation.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it does.
    pub kind: JobKind,
    /// Creation.
    pub created: Moment,
    /// Its effects show, and it is `complete`, from here on.
    pub completes: Moment,
    /// Whether its effects were applied to the world.
    pub applied: bool,
    /// The rows as sent.
    pub rows: Vec<Json>,
    /// Lists that the imported profiles join.
    pub lists: Vec<String>,
    /// Row index, code, title, detail and pointer of each refused row; known once applied.
    pub errors: Vec<(usize, &'static str, &'static str, String, String)>,
    /// Rows skipped (suppressions only).
    pub skipped: usize,
}
