//! `/api/profile-bulk-import-jobs`: asynchronous upserts of up to 10,000 profiles.

use super::failure::{Failure, Failures};
use super::filter::Condition;
use super::paging;
use super::profile_write::change;
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, instant};
use super::world::{self, Job, JobKind, Profile, Write};
use super::{Call, Reply};
use crate::model::Moment;
use crate::sandbox::ids;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// From the acceptance of a job to its completion.
pub(super) const JOB_TIME: Duration = Duration::from_secs(2);
/// So long a job only waits.
const QUEUE_TIME: Duration = Duration::from_millis(500);
/// So long a job can be read.
const RETENTION: Duration = Duration::from_secs(7 * 86_400);
const MOST_ROWS: usize = 10_000;
const LARGEST_ROW: usize = 100_000;

const ONE: Spec = Spec {
    fields: &[(
        "profile-bulk-import-job",
        &[
            "completed_at",
            "completed_count",
            "created_at",
            "expires_at",
            "failed_count",
            "id",
            "started_at",
            "status",
            "total_count",
        ],
    )],
    ..NOTHING
};
const LIST: Spec = Spec {
    filters: &[("status", &["equals", "equals[]", "any[]"])],
    sorts: &["created_at"],
    page: Some((20, 100)),
    sizable: true,
    ..ONE
};
const ERRORS: Spec = Spec {
    page: Some((20, 100)),
    sizable: true,
    fields: &[(
        "import-error",
        &[
            "code",
            "detail",
            "id",
            "original_payload",
            "source",
            "title",
        ],
    )],
    ..NOTHING
};

/// Accepts a job.
pub(super) fn create(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let data = &call.body["data"];
    if data["type"] != "profile-bulk-import-job" {
        return Err(Failure::pointer("The type is wrong.", "/data/type").into());
    }
    let place = "/data/attributes/profiles/data";
    let rows = data["attributes"]["profiles"]["data"].as_array();
    let rows = rows.filter(|rows| (1..=MOST_ROWS).contains(&rows.len()));
    let rows = rows.ok_or_else(|| Failure::pointer("1 to 10,000 profiles may be given.", place))?;
    let large = |row: &&Json| row.to_string().len() > LARGEST_ROW;
    if rows.iter().any(|row| large(&row)) {
        return Err(Failure::pointer("A profile is larger than 100 KB.", place).into());
    }
    let poisonous = |row: &Json| {
        let id = row["id"].as_str();
        id.is_some_and(|id| state.faults.poisonous.contains(id))
    };
    if rows.iter().any(poisonous) {
        return Err(Failure::pointer("A profile cannot be imported.", place).into());
    }
    let owner = |row: &Json| state.faults.duplicates.get(row["id"].as_str()?);
    if let Some(owner) = rows.iter().find_map(owner) {
        return Err(Failure::duplicate(owner).into());
    }
    let lists = lists_of(state, data)?;
    let now = call.now;
    let id = ids::ulid(now, &mut state.klaviyo.mint());
    state.history.push(Write {
        at: now,
        kind: "import",
        target: id.clone(),
        subjects: rows.iter().filter_map(subject).collect(),
    });
    let job = Job::accepted(JobKind::Import, now, rows.clone(), lists);
    let rendered = render(call, &id, &job);
    state.klaviyo.jobs.insert(id, job);
    Ok(resource::one(StatusCode::ACCEPTED, call, &query, rendered))
}

fn lists_of(state: &world::State, data: &Json) -> Result<Vec<String>, Failure> {
    let named = data["relationships"]["lists"]["data"].as_array();
    let named = named.map(Vec::as_slice).unwrap_or_default();
    let known = |item: &Json| {
        let id = item["id"]
            .as_str()
            .filter(|id| state.klaviyo.lists.contains_key(*id));
        id.map(str::to_owned)
    };
    let lists: Option<Vec<String>> = named.iter().map(known).collect();
    let place = "/data/relationships/lists/data";
    lists.ok_or_else(|| Failure::pointer("A list does not exist.", place))
}

fn subject(row: &Json) -> Option<String> {
    let attributes = &row["attributes"];
    let names = [
        &row["id"],
        &attributes["email"],
        &attributes["phone_number"],
        &attributes["external_id"],
    ];
    names.into_iter().find_map(Json::as_str).map(str::to_owned)
}

/// A page of jobs.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    Ok(job_page(state, call, &query, JobKind::Import, render))
}

/// A page of the jobs of one kind.
pub(super) fn job_page(
    state: &world::State,
    call: &Call,
    query: &Query,
    kind: JobKind,
    render: fn(&Call, &str, &Job) -> Json,
) -> Reply {
    let named = |job: &Job| {
        let status = job.status(call.now);
        query.admits(|condition: &Condition| condition.names(Some(status)))
    };
    let jobs = state.klaviyo.jobs.iter();
    let rows = jobs
        .filter(|(_, job)| job.kind == kind && named(job))
        .map(|(id, job)| ((job.created.0, "", id.as_str()), (id, job)));
    let page = paging::page(rows, query);
    let document = page.document(call, query, |(id, job)| render(call, id, job));
    (StatusCode::OK, Some(document))
}

/// One job.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let job = found(state, call, JobKind::Import)?;
    Ok(resource::one(
        StatusCode::OK,
        call,
        &query,
        render(call, call.id(), job),
    ))
}

/// A job of a kind that has not expired.
pub(super) fn found<'a>(
    state: &'a world::State,
    call: &Call,
    kind: JobKind,
) -> Result<&'a Job, Failure> {
    let job = state.klaviyo.jobs.get(call.id());
    let job = job.filter(|job| job.kind == kind && call.now < job.created.plus(RETENTION));
    job.ok_or_else(|| Failure::missing("The job does not exist."))
}

/// A page of refused rows.
pub(super) fn errors(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ERRORS)?;
    let job = found(state, call, JobKind::Import)?;
    let rows = job
        .errors
        .iter()
        .map(|error| ((error.0 as i64, "", ""), error));
    let page = paging::page(rows, &query);
    let document = page.document(call, &query, |(row, code, title, detail, pointer)| {
        let id = format!("{}-{row}", call.id());
        json!({
            "type": "import-error",
            "id": id,
            "attributes": {
                "code": code,
                "title": title,
                "detail": detail,
                "source": { "pointer": pointer },
                "original_payload": job.rows.get(*row),
            },
        })
    });
    Ok((StatusCode::OK, Some(document)))
}

fn render(call: &Call, id: &str, job: &Job) -> Json {
    let path = format!("/api/profile-bulk-import-jobs/{id}");
    let status = job.status(call.now);
    let done = status == "complete";
    let failed = job.errors.len();
    let lists = job.lists.iter();
    let lists: Vec<Json> = lists
        .map(|list| json!({ "type": "list", "id": list }))
        .collect();
    let errors = call.link(&format!("{path}/import-errors"));
    let started = (status != "queued").then(|| instant(job.created.plus(QUEUE_TIME)));
    json!({
        "type": "profile-bulk-import-job",
        "id": id,
        "attributes": {
            "status": status,
            "created_at": instant(job.created),
            "started_at": started,
            "completed_at": done.then(|| instant(job.completes)),
            "expires_at": instant(job.created.plus(RETENTION)),
            "total_count": job.rows.len(),
            "completed_count": if done { job.rows.len() - failed } else { 0 },
            "failed_count": failed,
        },
        "relationships": {
            "lists": { "data": lists },
            "import-errors": { "links": { "related": errors } },
        },
        "links": { "self": call.link(&path) },
    })
}

impl Job {
    /// A job that was accepted just now.
    pub(super) fn accepted(
        kind: JobKind,
        now: Moment,
        rows: Vec<Json>,
        lists: Vec<String>,
    ) -> Self {
        Self {
            kind,
            created: now,
            completes: now.plus(JOB_TIME),
            applied: false,
            rows,
            lists,
            errors: Vec::new(),
            skipped: 0,
        }
    }

    /// `queued`, `processing` or `complete`.
    pub(super) fn status(&self, now: Moment) -> &'static str {
        if now >= self.completes {
            "complete"
        } else if now >= self.created.plus(QUEUE_TIME) {
            "processing"
        } else {
            "queued"
        }
    }
}

/// Applies the import jobs that are due, oldest first.
pub(super) fn settle(state: &mut world::State, now: Moment) {
    let (klaviyo, unkept) = (&mut state.klaviyo, &state.faults.unkept);
    let due = |job: &Job| job.kind == JobKind::Import && !job.applied && job.completes <= now;
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
        apply(klaviyo, &mut job, unkept);
        klaviyo.jobs.insert(id, job);
    }
}

fn apply(klaviyo: &mut world::KlaviyoWorld, job: &mut Job, unkept: &BTreeSet<String>) {
    let mut index = identifiers(&klaviyo.profiles);
    for (row, resource) in job.rows.iter().enumerate() {
        if resource["id"]
            .as_str()
            .is_some_and(|id| unkept.contains(id))
        {
            continue;
        }
        match upsert(klaviyo, &mut index, resource, job.completes) {
            Ok(profile) => {
                klaviyo.note_change(&profile, job.completes);
                for list in &job.lists {
                    if let Some(list) = klaviyo.lists.get_mut(list) {
                        list.members.entry(profile.clone()).or_insert(job.completes);
                    }
                }
            }
            Err((detail, place)) => {
                let pointer = format!("/data/attributes/profiles/data/{row}{place}");
                let error = (row, "invalid", "Invalid input", detail, pointer);
                job.errors.push(error);
            }
        }
    }
    job.applied = true;
}

/// Profile ids by (kind of identifier, identifier).
type Index = BTreeMap<(&'static str, String), String>;

fn identifiers(profiles: &BTreeMap<String, Profile>) -> Index {
    let mut index = BTreeMap::new();
    for (id, profile) in profiles {
        for (kind, value) in [
            ("email", &profile.email),
            ("phone_number", &profile.phone_number),
            ("external_id", &profile.external_id),
        ] {
            if let Some(value) = value {
                index
                    .entry((kind, value.clone()))
                    .or_insert_with(|| id.clone());
            }
        }
    }
    index
}

fn upsert(
    klaviyo: &mut world::KlaviyoWorld,
    index: &mut Index,
    resource: &Json,
    now: Moment,
) -> Result<String, super::profile_write::Fault> {
    let attributes = &resource["attributes"];
    let by = |kind: &'static str| Some((kind, attributes[kind].as_str()?.to_owned()));
    let keys = ["email", "phone_number", "external_id"].map(by);
    let (id, mut profile) = match resource["id"].as_str() {
        Some(id) => {
            let known = klaviyo.profiles.get(id).cloned();
            let absent = || {
                (
                    format!("A profile with id {id} does not exist."),
                    "/id".to_owned(),
                )
            };
            (id.to_owned(), known.ok_or_else(absent)?)
        }
        None if keys.iter().all(Option::is_none) => {
            let detail = "An id, email, phone_number or external_id is needed.";
            return Err((detail.to_owned(), "/attributes".to_owned()));
        }
        None => {
            let known = keys.iter().flatten().find_map(|key| index.get(key));
            let found = known.and_then(|id| Some((id.clone(), klaviyo.profiles.get(id)?.clone())));
            found.unwrap_or_else(|| newcomer(klaviyo, now))
        }
    };
    if change(&mut profile, resource)? {
        profile.touch(now);
    }
    klaviyo.profiles.insert(id.clone(), profile);
    for key in keys.into_iter().flatten() {
        index.entry(key).or_insert_with(|| id.clone());
    }
    Ok(id)
}

fn newcomer(klaviyo: &mut world::KlaviyoWorld, now: Moment) -> (String, Profile) {
    let profile = Profile {
        created: now,
        updated: now,
        consent: "NEVER_SUBSCRIBED",
        ..Profile::default()
    };
    (ids::ulid(now, &mut klaviyo.mint()), profile)
}
