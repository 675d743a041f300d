//! `/api/profile-suppression-bulk-create-jobs`: asynchronous suppression of up to 100 addresses, or of the
//! current members of a list or segment.

use super::failure::{Failure, Failures};
use super::import_jobs::{found, job_page};
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, instant};
use super::world::{self, Event, Job, JobKind, KlaviyoWorld, Suppression, Write};
use super::{Call, Reply};
use crate::model::Moment;
use crate::sandbox::{ids, standard};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const KIND: &str = "profile-suppression-bulk-create-job";
const MOST_ADDRESSES: usize = 100;

const ONE: Spec = Spec {
    fields: &[(
        KIND,
        &[
            "completed_at",
            "completed_count",
            "created_at",
            "id",
            "skipped_count",
            "status",
            "total_count",
        ],
    )],
    ..NOTHING
};
/// The page size is fixed and undocumented; 20 is that of the other jobs.
const LIST: Spec = Spec {
    filters: &[("status", &["equals"])],
    sorts: &["created"],
    page: Some((20, 20)),
    ..ONE
};

/// Accepts a job.
pub(super) fn create(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    if call.body["data"]["type"] != KIND {
        return Err(Failure::pointer("The type is wrong.", "/data/type").into());
    }
    let emails = addresses(state, &call.body["data"])?;
    refuse_poisonous(state, &emails)?;
    let now = call.now;
    let id = ids::ulid(now, &mut state.klaviyo.mint());
    state.history.push(Write {
        at: now,
        kind: "suppress",
        target: id.clone(),
        subjects: emails.clone(),
    });
    let rows = emails.into_iter().map(Json::String).collect();
    let job = Job::accepted(JobKind::Suppress, now, rows, Vec::new());
    let rendered = render(call, &id, &job);
    state.klaviyo.jobs.insert(id, job);
    Ok(resource::one(StatusCode::ACCEPTED, call, &query, rendered))
}

/// Refuses all for the sake of one.
pub(super) fn refuse_poisonous(state: &world::State, emails: &[String]) -> Result<(), Failure> {
    let mut poisonous = addresses_of(state, &state.faults.poisonous);
    match poisonous.any(|email| emails.contains(email)) {
        true => Err(Failure::pointer("Invalid input.", "/data")),
        false => Ok(()),
    }
}

/// The addresses of those of whom nothing is kept.
pub(super) fn unkept(state: &world::State) -> BTreeSet<String> {
    addresses_of(state, &state.faults.unkept).cloned().collect()
}

fn addresses_of<'s>(
    state: &'s world::State,
    ids: &'s BTreeSet<String>,
) -> impl Iterator<Item = &'s String> {
    let profiles = ids.iter().filter_map(|id| state.klaviyo.profiles.get(id));
    profiles.filter_map(|profile| profile.email.as_ref())
}

/// The addresses of exactly one of: profiles, a list, a segment.
fn addresses(state: &world::State, data: &Json) -> Result<Vec<String>, Failure> {
    let wrong = |detail: &str, place: &str| Failure::pointer(detail, place);
    let profiles = data["attributes"]["profiles"]["data"].as_array();
    let list = data["relationships"]["list"]["data"]["id"].as_str();
    let segment = data["relationships"]["segment"]["data"]["id"].as_str();
    let members = match (profiles, list, segment) {
        (Some(rows), None, None) => {
            let place = "/data/attributes/profiles/data";
            if rows.is_empty() || rows.len() > MOST_ADDRESSES {
                return Err(wrong("1 to 100 profiles may be given.", place));
            }
            let email = |row: &Json| row["attributes"]["email"].as_str().map(str::to_owned);
            let emails: Option<Vec<String>> = rows.iter().map(email).collect();
            return emails.ok_or_else(|| wrong("Every profile needs an email.", place));
        }
        (None, Some(id), None) => state.klaviyo.lists.get(id).map(|list| &list.members),
        (None, None, Some(id)) => state
            .klaviyo
            .segments
            .get(id)
            .map(|segment| &segment.members),
        _ => return Err(wrong("Give profiles, a list or a segment.", "/data")),
    };
    let members = members.ok_or_else(|| wrong("No such group.", "/data/relationships"))?;
    let profiles = members
        .keys()
        .filter_map(|id| state.klaviyo.profiles.get(id));
    Ok(profiles
        .filter_map(|profile| profile.email.clone())
        .collect())
}

/// A page of jobs.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    Ok(job_page(state, call, &query, JobKind::Suppress, render))
}

/// One job.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let job = found(state, call, JobKind::Suppress)?;
    Ok(resource::one(
        StatusCode::OK,
        call,
        &query,
        render(call, call.id(), job),
    ))
}

fn render(call: &Call, id: &str, job: &Job) -> Json {
    let status = job.status(call.now);
    let done = status == "complete";
    json!({
        "type": KIND,
        "id": id,
        "attributes": {
            "status": status,
            "created_at": instant(job.created),
            "completed_at": done.then(|| instant(job.completes)),
            "total_count": job.rows.len(),
            "completed_count": if done { job.rows.len() - job.skipped } else { 0 },
            "skipped_count": job.skipped,
        },
        "links": { "self": call.link(&format!("/api/{KIND}s/{id}")) },
    })
}

/// Applies the suppression jobs that are due, oldest first.
pub(super) fn settle(state: &mut world::State, now: Moment) {
    let unkept = unkept(state);
    let klaviyo = &mut state.klaviyo;
    let due = |job: &Job| job.kind == JobKind::Suppress && !job.applied && job.completes <= now;
    let ids: Vec<String> = klaviyo
        .jobs
        .iter()
        .filter(|(_, job)| due(job))
        .map(|(id, _)| id.clone())
        .collect();
    for id in ids {
        let Some(mut job) = klaviyo.jobs.remove(&id) else {
            continue;
        };
        let emails: BTreeSet<&str> = job.rows.iter().filter_map(Json::as_str).collect();
        let lost = emails.iter().filter(|email| unkept.contains(**email));
        let lost: BTreeSet<&str> = lost.copied().collect();
        let kept = &emails - &lost;
        job.skipped = job.rows.len() - lost.len() - suppress(klaviyo, &kept, job.completes);
        job.applied = true;
        klaviyo.jobs.insert(id, job);
    }
}

/// Suppresses every profile with one of these addresses; says how many addresses had one to suppress.
fn suppress(klaviyo: &mut KlaviyoWorld, emails: &BTreeSet<&str>, now: Moment) -> usize {
    let reason = "USER_SUPPRESSED";
    let (mut reached, mut served) = (Vec::new(), BTreeSet::new());
    for (id, profile) in &mut klaviyo.profiles {
        let email = profile.email.as_deref().and_then(|email| emails.get(email));
        let known = profile
            .suppressions
            .iter()
            .any(|known| known.reason == reason);
        if let Some(email) = email.filter(|_| !known) {
            served.insert(*email);
            profile.suppressions.push(Suppression { reason, at: now });
            reached.push(id.clone());
        }
    }
    for id in &reached {
        klaviyo.note_change(id, now);
        let how = json!({ "method": "API" });
        emit(klaviyo, standard::MANUALLY_SUPPRESSED, id, how, now);
    }
    served.len()
}

/// An event that the vendor records by itself.
pub(super) fn emit(
    klaviyo: &mut KlaviyoWorld,
    name: &str,
    profile: &str,
    properties: Json,
    now: Moment,
) {
    let metric = klaviyo
        .metrics
        .iter()
        .find(|(_, metric)| metric.name == name);
    let Some(metric) = metric.map(|(id, _)| id.clone()) else {
        return;
    };
    let event = Event {
        id: ids::event(&mut klaviyo.mint()),
        timestamp: now.secs(),
        profile: Some(profile.to_owned()),
        properties: Arc::new(properties),
    };
    let events = klaviyo.events.entry(metric).or_default();
    let place = |known: &Event| (known.timestamp, &known.id) < (event.timestamp, &event.id);
    let at = events.partition_point(place);
    events.insert(at, event);
}
