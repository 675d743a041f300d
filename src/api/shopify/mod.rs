//! Shopify's GraphQL Admin API, version 2026-10 (shopify.md). The documents are files beside the
//! code, one operation each.

mod budget;
mod bulk;
mod bulk_mutations;
mod client;
mod consent;
mod customers;
mod envelope;
mod lines;
mod nodes;
mod orders;
mod shop;
mod token;
mod upload;
mod writes;

pub use budget::CostBudget;
pub use bulk::{AskedBulk, Bulk, BulkQuery, BulkStatus};
pub use bulk_mutations::{BulkEnd, BulkLine, BulkMutation, MarkedBulk, Staged};
#[cfg(test)]
pub(in crate::api) use client::judge;
pub use client::{HttpStack, Shopify};
pub use customers::decode_customer;
pub use envelope::{Envelope, Opened};
pub use lines::BulkLines;
pub use nodes::MOST_IDS;
pub use orders::{MOST_RANGES, decode_order};
pub use shop::Shop;
pub use writes::MetafieldEntry;
