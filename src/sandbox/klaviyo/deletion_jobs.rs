//! `/api/data-privacy-deletion-jobs`: asynchronous deletion of whoever has an identifier (klaviyo.md, section 5.7).
//! Nobody can ask where such a job stands.

use super::failure::{Failure, Failures};
use super::query::{NOTHING, Query};
use super::world::{self, Job, JobKind, KlaviyoWorld, Profile, Write};
use super::{Call, Reply};
use crate::model::Moment;
use crate::sandbox::ids;
use axum::http::StatusCode;
use serde_json::Value as Json;

const KIND: &str = "data-privacy-deletion-job";
const PROFILE: &str = "/data/attributes/profile/data";

/// Accepts a job. That nobody is meant is no error.
pub(super) fn create(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    Query::read(call, &NOTHING)?;
    if call.body["data"]["type"] != KIND {
        return Err(Failure::pointer("The type is wrong.", "/data/type").into());
    }
    let named = call.body.pointer(PROFILE).unwrap_or(&Json::Null);
    if named["type"] != "profile" {
        return Err(Failure::pointer("A profile is needed.", PROFILE).into());
    }
    let identifier = identifier(named)?;
    let subjects = meant(&state.klaviyo, &identifier);
    let id = ids::ulid(call.now, &mut state.klaviyo.mint());
    state.history.push(Write {
        at: call.now,
        kind: "delete",
        target: id.clone(),
        subjects: subjects.clone(),
    });
    let rows = subjects.into_iter().map(Json::String).collect();
    let job = Job::accepted(JobKind::Delete, call.now, rows, Vec::new());
    state.klaviyo.jobs.insert(id, job);
    Ok((StatusCode::ACCEPTED, None))
}

/// Kind and value of the one identifier given.
fn identifier(named: &Json) -> Result<(&'static str, String), Failure> {
    let attributes = &named["attributes"];
    let given = [
        ("id", &named["id"]),
        ("email", &attributes["email"]),
        ("phone_number", &attributes["phone_number"]),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value.as_str()?.to_owned())));
    match (given.next(), given.next()) {
        (Some(only), None) => Ok(only),
        _ => {
            let detail = "Exactly one of id, email and phone_number may be given.";
            Err(Failure::pointer(detail, PROFILE))
        }
    }
}

/// The ids of all profiles that have an identifier.
fn meant(klaviyo: &KlaviyoWorld, (kind, value): &(&'static str, String)) -> Vec<String> {
    let has = |id: &str, profile: &Profile| match *kind {
        "id" => id == value,
        "email" => profile.email.as_ref() == Some(value),
        _ => profile.phone_number.as_ref() == Some(value),
    };
    let all = klaviyo.profiles.iter();
    all.filter(|(id, profile)| has(id, profile))
        .map(|(id, _)| id.clone())
        .collect()
}

/// Carries out the jobs that are due.
pub(super) fn settle(state: &mut world::State, now: Moment) {
    let klaviyo = &mut state.klaviyo;
    let due = |job: &&mut Job| job.kind == JobKind::Delete && !job.applied && job.completes <= now;
    let mut gone: Vec<String> = Vec::new();
    for job in klaviyo.jobs.values_mut().filter(due) {
        job.applied = true;
        gone.extend(job.rows.iter().filter_map(Json::as_str).map(str::to_owned));
    }
    gone.iter().for_each(|id| delete(klaviyo, id));
}

/// Takes a profile away wherever it shows; its events stay, without it.
fn delete(klaviyo: &mut KlaviyoWorld, id: &str) {
    klaviyo.profiles.remove(id);
    klaviyo.changed.remove(id);
    for list in klaviyo.lists.values_mut() {
        list.members.remove(id);
    }
    for segment in klaviyo.segments.values_mut() {
        segment.members.remove(id);
        segment.pinned.remove(id);
    }
    for change in &mut klaviyo.pending {
        change.profiles.retain(|member| member != id);
    }
    for event in klaviyo.events.values_mut().flatten() {
        if event.profile.as_deref() == Some(id) {
            event.profile = None;
        }
    }
}
