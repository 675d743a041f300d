//! Writes. Each states a target, so a repeat is harmless, the creation of a list excepted. None
//! subscribes anybody or lifts a suppression.

use super::client::{Klaviyo, Listing, segment};
use super::jsonapi::{Source, plain, single};
use super::limits::{ADD_TO_LIST, CREATE_LIST, DELETE_PROFILE};
use super::limits::{GET_IMPORT_ERRORS, GET_IMPORT_JOB};
use super::limits::{
    GET_SUPPRESSION_JOB, IMPORT_PROFILES, REMOVE_FROM_LIST, SUPPRESS, UNSUBSCRIBE,
};
use super::profiles::check_count;
use crate::api::error::label;
use crate::api::lenient;
use crate::api::{
    Answer, ApiError, Call, Class, Cursor, Exchange, Fault, Method, Page, WriteGrant,
};
use crate::model::{JobId, ListId, ProfileId, Value};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Most profiles in one call that adds to or removes from a list.
pub const MOST_MEMBERS: usize = 1_000;
/// Most rows of one import.
pub const IMPORT_MAX_ROWS: usize = 10_000;
/// Most addresses in one job that suppresses or unsubscribes.
pub const MOST_ADDRESSES: usize = 100;
/// Most bytes of rows in one import: 5 MB less room for the document around them.
pub const IMPORT_MAX_BYTES: usize = 5_000_000 - 1_000;

const IMPORT_PATH: &str = "/api/profile-bulk-import-jobs";
const SUPPRESS_PATH: &str = "/api/profile-suppression-bulk-create-jobs";
const UNSUBSCRIBE_PATH: &str = "/api/profile-subscription-bulk-delete-jobs";
const DELETE_PATH: &str = "/api/data-privacy-deletion-jobs";
const ROW_POINTER: &str = "/data/attributes/profiles/data/";

/// Property changes of one profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportRow {
    /// Whose.
    pub id: ProfileId,
    /// To these values.
    pub set: BTreeMap<String, Value>,
    /// No longer set.
    pub unset: Vec<String>,
}

/// Where an asynchronous job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Accepted.
    Queued,
    /// Under way.
    Processing,
    /// Ended; the counts say with what.
    Complete,
    /// Ended by somebody.
    Cancelled,
    /// A value this version does not know: neither ended nor not.
    Other(String),
}

/// A bulk import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportJob {
    /// Where it stands.
    pub status: JobStatus,
    /// Rows.
    pub total: u64,
    /// Rows carried out.
    pub completed: u64,
    /// Rows refused: see [`Klaviyo::import_errors`].
    pub failed: u64,
}

/// A suppression job. It has no result per address: read the profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionJob {
    /// Where it stands.
    pub status: JobStatus,
    /// Addresses.
    pub total: u64,
    /// Addresses suppressed.
    pub completed: u64,
    /// Addresses skipped.
    pub skipped: u64,
}

/// Why one row of an import was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Which row of the batch; `None` when the error does not point at one.
    pub row: Option<usize>,
    /// Klaviyo's code.
    pub code: Box<str>,
    /// Klaviyo's title of the code.
    pub title: Option<Box<str>>,
}

impl Serialize for ImportRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let set: BTreeMap<&str, Json> = self
            .set
            .iter()
            .map(|(key, value)| (key.as_str(), value.to_json()))
            .collect();
        let mut row = to.serialize_map(None)?;
        row.serialize_entry("type", "profile")?;
        row.serialize_entry("id", &self.id)?;
        row.serialize_entry("attributes", &json!({ "properties": set }))?;
        if !self.unset.is_empty() {
            let meta = json!({"patch_properties": {"unset": self.unset}});
            row.serialize_entry("meta", &meta)?;
        }
        row.end()
    }
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

#[derive(Deserialize)]
struct Job {
    attributes: JobAttributes,
}

#[derive(Deserialize)]
struct JobAttributes {
    status: String,
    #[serde(default, deserialize_with = "lenient::count")]
    total_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    completed_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    failed_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    skipped_count: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorItem {
    attributes: ErrorAttributes,
}

#[derive(Deserialize)]
struct ErrorAttributes {
    code: Option<String>,
    title: Option<String>,
    source: Option<Source>,
}

impl<E: Exchange> Klaviyo<E> {
    /// Creates a list. Names are not unique: after an unknown outcome look before repeating.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn create_list(&self, _: &WriteGrant, name: &str) -> Result<ListId, ApiError> {
        let document = json!({"data": {"type": "list", "attributes": {"name": name}}});
        let path = "/api/lists".to_owned();
        let answer = self
            .send(&CREATE_LIST, Method::POST, path, &document, false)
            .await?;
        created(&CREATE_LIST, &answer).map(ListId::from)
    }

    /// Puts up to 1,000 profiles on a list. Gives nobody consent.
    ///
    /// # Errors
    /// [`Fault::TooMany`], [`Fault::NotFound`] when the list is gone, and whatever the request meets.
    pub async fn add_to_list(
        &self,
        _: &WriteGrant,
        list: &ListId,
        who: &[ProfileId],
    ) -> Result<(), ApiError> {
        self.change_list(&ADD_TO_LIST, Method::POST, list, who)
            .await
    }

    /// Takes up to 1,000 profiles off a list. Takes nobody's consent.
    ///
    /// # Errors
    /// As [`Klaviyo::add_to_list`].
    pub async fn remove_from_list(
        &self,
        _: &WriteGrant,
        list: &ListId,
        who: &[ProfileId],
    ) -> Result<(), ApiError> {
        self.change_list(&REMOVE_FROM_LIST, Method::DELETE, list, who)
            .await
    }

    async fn change_list(
        &self,
        class: &'static Class,
        method: Method,
        list: &ListId,
        who: &[ProfileId],
    ) -> Result<(), ApiError> {
        check_count(who.len(), MOST_MEMBERS).map_err(|fault| ApiError::new(class, fault))?;
        let item = |id: &ProfileId| json!({"type": "profile", "id": id});
        let document = json!({"data": who.iter().map(item).collect::<Vec<_>>()});
        let list = segment(list.as_str());
        let path = format!("/api/lists/{list}/relationships/profiles");
        self.send(class, method, path, &document, true).await?;
        Ok(())
    }

    /// Starts an import of property changes: at most [`IMPORT_MAX_ROWS`] rows and
    /// [`IMPORT_MAX_BYTES`] in all.
    ///
    /// # Errors
    /// [`Fault::TooMany`], and whatever the request meets.
    pub async fn import_profiles(
        &self,
        _: &WriteGrant,
        rows: &[ImportRow],
    ) -> Result<JobId, ApiError> {
        let class = &IMPORT_PROFILES;
        check_count(rows.len(), IMPORT_MAX_ROWS).map_err(|fault| ApiError::new(class, fault))?;
        let document = Import {
            data: ImportData {
                kind: "profile-bulk-import-job",
                attributes: ImportAttributes {
                    profiles: Rows { data: rows },
                },
            },
        };
        let path = IMPORT_PATH.to_owned();
        let answer = self
            .send(class, Method::POST, path, &document, true)
            .await?;
        created(class, &answer).map(JobId::from)
    }

    /// Where an import stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the job has expired, and whatever the request meets.
    pub async fn import_job(&self, job: &JobId) -> Result<ImportJob, ApiError> {
        let state = self.job(&GET_IMPORT_JOB, IMPORT_PATH, job).await?;
        Ok(ImportJob {
            status: JobStatus::of(&state.status),
            total: state.total_count.unwrap_or(0),
            completed: state.completed_count.unwrap_or(0),
            failed: state.failed_count.unwrap_or(0),
        })
    }

    /// One page of the rows that an import refused.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn import_errors(
        &self,
        job: &JobId,
        cursor: Option<&Cursor>,
    ) -> Result<Page<RowError>, ApiError> {
        let path = format!("{IMPORT_PATH}/{}/import-errors", segment(job.as_str()));
        let listing = Listing {
            class: &GET_IMPORT_ERRORS,
            surcharge: None,
            path: &path,
            query: &[
                ("fields[import-error]", "code,title,source"),
                ("page[size]", "100"),
            ],
        };
        let page = self.page(&listing, cursor, plain::<ErrorItem>()).await?;
        Ok(page.map(|item| {
            let error = item.attributes;
            let pointer = error.source.as_ref().and_then(|s| s.pointer.as_deref());
            RowError {
                row: pointer.and_then(row_of),
                code: error.code.as_deref().and_then(label).unwrap_or_default(),
                title: error.title.as_deref().and_then(label),
            }
        }))
    }

    /// Starts a job that suppresses up to 100 addresses for marketing e-mail.
    ///
    /// # Errors
    /// [`Fault::TooMany`], and whatever the request meets.
    pub async fn suppress(&self, _: &WriteGrant, emails: &[String]) -> Result<JobId, ApiError> {
        let class = &SUPPRESS;
        check_count(emails.len(), MOST_ADDRESSES).map_err(|f| ApiError::new(class, f))?;
        let item = |email: &String| json!({"type": "profile", "attributes": {"email": email}});
        let profiles: Vec<Json> = emails.iter().map(item).collect();
        let document = json!({"data": {
            "type": "profile-suppression-bulk-create-job",
            "attributes": {"profiles": {"data": profiles}},
        }});
        let path = SUPPRESS_PATH.to_owned();
        let answer = self
            .send(class, Method::POST, path, &document, true)
            .await?;
        created(class, &answer).map(JobId::from)
    }

    /// Where a suppression job stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the job has expired, and whatever the request meets.
    pub async fn suppression_job(&self, job: &JobId) -> Result<SuppressionJob, ApiError> {
        let state = self.job(&GET_SUPPRESSION_JOB, SUPPRESS_PATH, job).await?;
        Ok(SuppressionJob {
            status: JobStatus::of(&state.status),
            total: state.total_count.unwrap_or(0),
            completed: state.completed_count.unwrap_or(0),
            skipped: state.skipped_count.unwrap_or(0),
        })
    }

    /// Unsubscribes up to 100 addresses from marketing e-mail altogether. It is accepted without a job
    /// to follow (klaviyo.md, section 5.6): read the profiles. A repeat is harmless; only the person can
    /// agree again.
    ///
    /// # Errors
    /// [`Fault::TooMany`], and whatever the request meets.
    pub async fn unsubscribe(&self, _: &WriteGrant, emails: &[String]) -> Result<(), ApiError> {
        let class = &UNSUBSCRIBE;
        check_count(emails.len(), MOST_ADDRESSES).map_err(|f| ApiError::new(class, f))?;
        let refusal = json!({"email": {"marketing": {"consent": "UNSUBSCRIBED"}}});
        let item = |email: &String| {
            let attributes = json!({"email": email, "subscriptions": refusal});
            json!({"type": "profile", "attributes": attributes})
        };
        let profiles: Vec<Json> = emails.iter().map(item).collect();
        // With a list, whoever is not on it would be unsubscribed from everything just the same.
        let document = json!({"data": {
            "type": "profile-subscription-bulk-delete-job",
            "attributes": {"profiles": {"data": profiles}},
        }});
        let path = UNSUBSCRIBE_PATH.to_owned();
        self.send(class, Method::POST, path, &document, true)
            .await?;
        Ok(())
    }

    /// Asks for the deletion of one profile for privacy's sake (klaviyo.md, section 5.7). It cannot be taken back
    /// nor asked about: the profile is gone a little later, and its events remain without it. A repeat
    /// is harmless.
    ///
    /// # Errors
    /// [`Fault::MissingScope`] without `data-privacy:write`, and whatever the request meets.
    pub async fn delete_profile(&self, _: &WriteGrant, who: &ProfileId) -> Result<(), ApiError> {
        // With a second identifier it would be refused.
        let profile = json!({"type": "profile", "id": who, "attributes": {}});
        let document = json!({"data": {
            "type": "data-privacy-deletion-job",
            "attributes": {"profile": {"data": profile}},
        }});
        let path = DELETE_PATH.to_owned();
        self.send(&DELETE_PROFILE, Method::POST, path, &document, true)
            .await?;
        Ok(())
    }

    async fn job(
        &self,
        class: &'static Class,
        path: &str,
        job: &JobId,
    ) -> Result<JobAttributes, ApiError> {
        let path = format!("{path}/{}", segment(job.as_str()));
        let answer = self.ask(&Call::get(class, path)).await?;
        let job: Job = single(&answer.body).map_err(|fault| answer.error(class, fault))?;
        Ok(job.attributes)
    }
}

#[derive(Serialize)]
struct Import<'a> {
    data: ImportData<'a>,
}

#[derive(Serialize)]
struct ImportData<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    attributes: ImportAttributes<'a>,
}

#[derive(Serialize)]
struct ImportAttributes<'a> {
    profiles: Rows<'a>,
}

#[derive(Serialize)]
struct Rows<'a> {
    data: &'a [ImportRow],
}

impl JobStatus {
    fn of(text: &str) -> Self {
        match text {
            "queued" => Self::Queued,
            "processing" => Self::Processing,
            "complete" => Self::Complete,
            "cancelled" => Self::Cancelled,
            other => Self::Other(other.to_owned()),
        }
    }
}

fn created(class: &Class, answer: &Answer) -> Result<String, ApiError> {
    let made: Result<Created, Fault> = single(&answer.body);
    Ok(made.map_err(|fault| answer.error(class, fault))?.id)
}

/// `7` out of `/data/attributes/profiles/data/7/attributes/phone_number`.
fn row_of(pointer: &str) -> Option<usize> {
    let rest = pointer.strip_prefix(ROW_POINTER)?;
    rest.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
