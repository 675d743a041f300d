//! `/api/profile-subscription-bulk-delete-jobs`: asynchronous unsubscription of up to 100 addresses
//! (klaviyo.md, section 5.6). Nobody can ask where such a job stands.

use super::failure::{Failure, Failures};
use super::query::{NOTHING, Query};
use super::suppression_jobs::{emit, refuse_poisonous, unkept};
use super::world::{self, Job, JobKind, KlaviyoWorld, Suppression, Write};
use super::{Call, Reply};
use crate::model::Moment;
use crate::sandbox::{ids, standard};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const KIND: &str = "profile-subscription-bulk-delete-job";
const ROWS: &str = "/data/attributes/profiles/data";
const MOST_ADDRESSES: usize = 100;

/// Accepts a job. That nobody has an address is no error.
pub(super) fn create(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    Query::read(call, &NOTHING)?;
    if call.body["data"]["type"] != KIND {
        return Err(Failure::pointer("The type is wrong.", "/data/type").into());
    }
    let emails = addresses(&call.body)?;
    refuse_poisonous(state, &emails)?;
    let id = ids::ulid(call.now, &mut state.klaviyo.mint());
    state.history.push(Write {
        at: call.now,
        kind: "unsubscribe",
        target: id.clone(),
        subjects: emails.clone(),
    });
    let rows = emails.into_iter().map(Json::String).collect();
    let job = Job::accepted(JobKind::Unsubscribe, call.now, rows, Vec::new());
    state.klaviyo.jobs.insert(id, job);
    Ok((StatusCode::ACCEPTED, None))
}

fn addresses(body: &Json) -> Result<Vec<String>, Failure> {
    let rows = body.pointer(ROWS).and_then(Json::as_array);
    let rows = rows.map_or(&[][..], Vec::as_slice);
    if rows.is_empty() || rows.len() > MOST_ADDRESSES {
        return Err(Failure::pointer("1 to 100 profiles may be given.", ROWS));
    }
    let email = |row: &Json| {
        let attributes = &row["attributes"];
        let refuses = &attributes["subscriptions"]["email"]["marketing"]["consent"];
        let email = attributes["email"].as_str();
        email
            .filter(|_| refuses == "UNSUBSCRIBED")
            .map(str::to_owned)
    };
    let emails: Option<Vec<String>> = rows.iter().map(email).collect();
    let detail = "Every profile needs an email and the consent UNSUBSCRIBED.";
    emails.ok_or_else(|| Failure::pointer(detail, ROWS))
}

/// Carries out the jobs that are due.
pub(super) fn settle(state: &mut world::State, now: Moment) {
    let unkept = unkept(state);
    let klaviyo = &mut state.klaviyo;
    let kind = JobKind::Unsubscribe;
    let due = |job: &&mut Job| job.kind == kind && !job.applied && job.completes <= now;
    let mut refusals: Vec<(String, Moment)> = Vec::new();
    for job in klaviyo.jobs.values_mut().filter(due) {
        job.applied = true;
        let emails = job.rows.iter().filter_map(Json::as_str);
        refusals.extend(emails.map(|email| (email.to_owned(), job.completes)));
    }
    let emails = refusals.iter().map(|(email, _)| email.as_str());
    let emails: BTreeSet<&str> = emails.filter(|email| !unkept.contains(*email)).collect();
    if let Some((_, at)) = refusals.last() {
        unsubscribe(klaviyo, &emails, *at);
    }
}

/// Withdraws the consent of whoever has one of these addresses, and had not refused before.
fn unsubscribe(klaviyo: &mut KlaviyoWorld, emails: &BTreeSet<&str>, now: Moment) {
    let mut reached = Vec::new();
    for (id, profile) in &mut klaviyo.profiles {
        let is_meant = profile
            .email
            .as_deref()
            .is_some_and(|email| emails.contains(email));
        if is_meant && profile.consent != "UNSUBSCRIBED" {
            profile.consent = "UNSUBSCRIBED";
            profile.consent_at = Some(now);
            let reason = "UNSUBSCRIBE";
            profile.suppressions.push(Suppression { reason, at: now });
            reached.push(id.clone());
        }
    }
    for id in &reached {
        klaviyo.note_change(id, now);
        let how = json!({ "method": "API" });
        emit(klaviyo, standard::UNSUBSCRIBED, id, how, now);
    }
}
