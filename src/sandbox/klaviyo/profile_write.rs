//! Changes of profiles: `PATCH /api/profiles/{id}` and the rows of import jobs.

use super::failure::{Failure, Failures};
use super::profiles::{ONE, absent, render};
use super::query::Query;
use super::world::{self, Profile, Write};
use super::{Call, Reply, resource};
use axum::http::StatusCode;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What is wrong with a change: words, and the place below the resource.
pub(super) type Fault = (String, String);

/// A change of one profile.
pub(super) fn patch(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let data = &call.body["data"];
    if data["type"] != "profile" || data["id"] != call.id() {
        let detail = "type and id must be those of the path.";
        return Err(Failure::pointer(detail, "/data").into());
    }
    let profiles = &mut state.klaviyo.profiles;
    let before = profiles.get(call.id()).ok_or_else(|| absent(call.id()))?;
    let mut profile = before.clone();
    let changed = change(&mut profile, data)
        .map_err(|(detail, place)| Failure::pointer(&detail, &format!("/data{place}")))?;
    if let Some(owner) = owner(profiles, call.id(), &profile) {
        return Err(Failure::duplicate(&owner).into());
    }
    if changed {
        profile.touch(call.now);
    }
    let rendered = render(call, &query, call.id(), &profile);
    profiles.insert(call.id().to_owned(), profile);
    state.klaviyo.note_change(call.id(), call.now);
    state.history.push(Write {
        at: call.now,
        kind: "patch",
        target: call.id().to_owned(),
        subjects: vec![call.id().to_owned()],
    });
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

/// Another profile that has one of these identifiers.
fn owner(profiles: &BTreeMap<String, Profile>, id: &str, profile: &Profile) -> Option<String> {
    let same = |mine: &Option<String>, other: &Option<String>| mine.is_some() && mine == other;
    let before = profiles.get(id)?;
    let email_moved = before.email != profile.email;
    let phone_moved = before.phone_number != profile.phone_number;
    let found = profiles.iter().find(|(other_id, other)| {
        let email = email_moved && same(&profile.email, &other.email);
        let phone = phone_moved && same(&profile.phone_number, &other.phone_number);
        *other_id != id && (email || phone)
    });
    found.map(|(owner, _)| owner.clone())
}

/// Applies `attributes` and `meta.patch_properties` of a profile resource. Absent is unchanged, null is
/// cleared, `properties` merge key by key. Says whether anything changed.
pub(super) fn change(profile: &mut Profile, resource: &Json) -> Result<bool, Fault> {
    let before = (identity(profile), profile.properties.clone());
    if let Some(attributes) = resource["attributes"].as_object() {
        for (name, value) in attributes {
            set(profile, name, value).map_err(|detail| (detail, format!("/attributes/{name}")))?;
        }
    }
    let patch = &resource["meta"]["patch_properties"];
    for (key, value) in patch["append"].as_object().into_iter().flatten() {
        let list = list_of(&mut profile.properties, key);
        for item in many(value) {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
    }
    for (key, value) in patch["unappend"].as_object().into_iter().flatten() {
        let gone: Vec<&Json> = many(value).collect();
        list_of(&mut profile.properties, key).retain(|item| !gone.contains(&item));
    }
    for key in many(&patch["unset"]).filter_map(Json::as_str) {
        profile.properties.remove(key);
    }
    Ok(before != (identity(profile), profile.properties.clone()))
}

fn identity(profile: &Profile) -> [Option<String>; 7] {
    [
        profile.email.clone(),
        profile.phone_number.clone(),
        profile.external_id.clone(),
        profile.first_name.clone(),
        profile.last_name.clone(),
        profile.country.clone(),
        profile.city.clone(),
    ]
}

/// One value or the elements of a list; nothing for null.
fn many(value: &Json) -> impl Iterator<Item = &Json> {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice);
    items.iter().filter(|item| !item.is_null())
}

fn list_of<'a>(properties: &'a mut BTreeMap<String, Json>, key: &str) -> &'a mut Vec<Json> {
    let value = properties.entry(key.to_owned()).or_insert(Json::Null);
    if !value.is_array() {
        let single = value.take();
        *value = Json::Array(many(&single).cloned().collect());
    }
    match value {
        Json::Array(items) => items,
        _ => unreachable!("made an array above"),
    }
}

fn set(profile: &mut Profile, name: &str, value: &Json) -> Result<(), String> {
    let text = match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        _ if name == "properties" || name == "location" => None,
        _ => return Err(format!("'{name}' is not a text.")),
    };
    match name {
        "email" if text.as_deref().is_some_and(|text| !is_email(text)) => {
            return Err("Invalid email address.".to_owned());
        }
        "phone_number" if text.as_deref().is_some_and(|text| !is_e164(text)) => {
            return Err("Invalid phone number format.".to_owned());
        }
        "email" => profile.email = text,
        "phone_number" => profile.phone_number = text,
        "external_id" => profile.external_id = text,
        "first_name" => profile.first_name = text,
        "last_name" => profile.last_name = text,
        "location" => {
            for (part, value) in value.as_object().into_iter().flatten() {
                let text = value.as_str().map(str::to_owned);
                match part.as_str() {
                    "country" => profile.country = text,
                    "city" => profile.city = text,
                    _ => return Err(format!("The sandbox keeps no '{part}' of a location.")),
                }
            }
        }
        "properties" => {
            for (key, value) in value.as_object().into_iter().flatten() {
                profile.properties.insert(key.clone(), value.clone());
            }
        }
        _ => return Err(format!("'{name}' cannot be written here.")),
    }
    Ok(())
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    let complete = parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    complete && text.len() <= 100 && !text.contains(' ')
}

/// `+` and 7 to 15 digits, the first not zero.
fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && (7..=15).contains(&digits.len()) && !digits.starts_with('0')
}
