//! Who is evaluated: everything a definition may read, borrowed.

use super::extension::FactName;
use crate::model::{Event, Moment, Profile, Value};
use std::collections::BTreeMap;

/// One profile with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The profile.
    pub profile: &'a Profile,
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

/// The value of a built-in attribute, by its path. What a field carries faithfully is not kept twice.
pub(super) fn attribute(profile: &Profile, path: &str) -> Option<Value> {
    if let Some(value) = profile.attributes.get(path) {
        return Some(value.clone());
    }
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let date = |at: Option<Moment>| at.map(|at| Value::Text(at.to_string()));
    match path {
        "email" => text(&profile.email),
        "phone_number" => text(&profile.phone),
        "external_id" => text(&profile.external_id),
        "location['country']" => text(&profile.country),
        "created" => date(profile.created),
        "updated" => date(profile.updated),
        _ => None,
    }
}
