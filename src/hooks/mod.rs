//! Webhooks, an input that nothing depends on: a delivery wakes the refetch of the records it names,
//! and asks for what the law gives a customer.
//!
//! Nothing a delivery says is stored but ids: what is true is fetched. So order, repeats and losses do
//! not matter, and the ordinary pull remains the guarantee. A delivery is believed when its signature
//! over the raw bytes is right, and answered once its ids are on disk in the [`Inbox`]; passes take them
//! from there.

mod delivery;
mod file;
mod inbox;
mod klaviyo;
mod server;
mod shopify;
mod signature;
mod tally;

#[cfg(test)]
mod tests;

pub use delivery::{Demand, Named, Redacted};
pub use inbox::{Inbox, InboxError, Taken, Waiting};
pub use server::{Hooks, Whose};
pub use tally::Refusal;

use std::time::Duration;

/// A delivery is known again for so long, and refused when it was sent before that.
pub const MEMORY: Duration = Duration::from_hours(7 * 24);
