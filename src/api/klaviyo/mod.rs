//! Klaviyo's REST API, revision 2026-07-15 (klaviyo.md).

mod accounts;
mod aggregates;
mod client;
mod event_resource;
mod events;
mod jsonapi;
pub(in crate::api) mod limits;
mod lists;
mod members;
mod metrics;
mod profile_resource;
mod profiles;
mod reports;
mod resource;
mod scopes;
mod segments;
mod subscriptions;
mod writes;

pub use accounts::Account;
pub use aggregates::{Interval, MOST_DAYS_COUNTED};
#[cfg(test)]
pub(in crate::api) use client::judge;
pub use client::{HttpStack, Klaviyo, REVISION, Stack};
pub use event_resource::event_from_json;
pub use profile_resource::profile_from_json;
pub use profiles::{MOST_IDS, ProfileQuery};
pub use reports::SegmentSize;
pub use resource::NotAResource;
pub use writes::{IMPORT_MAX_BYTES, IMPORT_MAX_ROWS, MOST_ADDRESSES, MOST_MEMBERS};
pub use writes::{ImportJob, ImportRow, JobStatus, RowError, SuppressionJob};
