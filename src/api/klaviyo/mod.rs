//! Klaviyo's REST API, revision 2026-07-15 (klaviyo.md).

mod accounts;
mod client;
mod events;
mod jsonapi;
pub(in crate::api) mod limits;
mod lists;
mod metrics;
mod profiles;
mod reports;
mod scopes;
mod segments;
mod writes;

pub use accounts::Account;
#[cfg(test)]
pub(in crate::api) use client::judge;
pub use client::{HttpStack, Klaviyo, REVISION};
pub use profiles::ProfileQuery;
pub use reports::SegmentSize;
pub use writes::{IMPORT_MAX_BYTES, IMPORT_MAX_ROWS};
pub use writes::{ImportJob, ImportRow, JobStatus, RowError, SuppressionJob};
