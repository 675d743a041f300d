//! Who is evaluated: everything a definition may read, borrowed.

use super::extension::FactName;
use crate::model::{Event, Moment, Profile, Text, Value};
use std::collections::BTreeMap;

/// One profile with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a, T = String> {
    /// The profile.
    pub profile: &'a Profile<T>,
    /// Its events, in any order; metrics, properties and texts by the vocabulary that the program was
    /// compiled with.
    pub events: &'a [Event],
    /// Where it stands with each of [`super::Program::lists`], in that order.
    pub lists: &'a [OnList],
    /// Facts of the person; `None` when nobody worked them out.
    pub facts: Option<&'a Facts>,
}

/// Where a profile stands with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnList {
    /// Not on it.
    No,
    /// On it, last joined at an instant, if that is known.
    Since(Option<Moment>),
    /// The list, or its members, are not known.
    Unknown,
}

/// What driftless worked out for a person. A name that is absent was not worked out; `None` is a fact
/// that the person does not have, such as the last order of somebody who never ordered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(pub BTreeMap<FactName, Option<Value>>);

impl Facts {
    /// Sets a fact that is a number or a text.
    pub fn set(&mut self, name: FactName, value: Option<Value>) {
        self.0.insert(name, value);
    }

    /// Sets a fact that is an instant.
    pub fn set_date(&mut self, name: FactName, at: Option<Moment>) {
        self.set(name, at.map(|at| Value::Text(at.to_string())));
    }
}

/// A built-in attribute, by its path: as it was sent, or a field of the record. What a field carries
/// faithfully is not kept twice.
pub(super) enum Attribute<'a, T> {
    /// As it was sent.
    Sent(&'a Value<T>),
    Text(&'a str),
    Date(Moment),
}

impl<'a, T: Text> Attribute<'a, T> {
    pub(super) fn of(profile: &'a Profile<T>, path: &str) -> Option<Self> {
        if let Some(value) = profile.attributes.get(path) {
            return Some(Self::Sent(value));
        }
        let text = |text: &'a Option<T>| text.as_ref().map(|text| Self::Text(text.borrow()));
        match path {
            "email" => text(&profile.email),
            "phone_number" => text(&profile.phone),
            "external_id" => text(&profile.external_id),
            "location['country']" => text(&profile.country),
            "created" => profile.created.map(Self::Date),
            "updated" => profile.updated.map(Self::Date),
            _ => None,
        }
    }
}

impl Attribute<'_, String> {
    /// As Klaviyo would send it.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Sent(value) => (*value).clone(),
            Self::Text(text) => Value::Text((*text).to_owned()),
            Self::Date(at) => Value::Text(at.to_string()),
        }
    }
}
