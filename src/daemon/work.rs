//! What the daemon needs from above: shops to look after, and a way to do their work.

use crate::clock::Stop;
use crate::hooks::Hooks;
use crate::model::Moment;
use crate::telemetry::Meter;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::future::Future;
use std::path::Path;

/// Where shops come from.
pub trait Workshop: Send + Sync + 'static {
    /// One shop's settings.
    type Shop: Shop;

    /// Reads the configuration, at the start and at every reload; opens nothing. An error is the text
    /// of all faults, and names no secret.
    fn load(&self) -> Result<Vec<Self::Shop>, String>;
}

/// One shop's settings, read but not opened.
pub trait Shop: Send + Sync + 'static {
    /// What does the shop's passes once it is open.
    type Worker: Worker;

    /// The name, unique among the shops of one load.
    fn name(&self) -> &str;

    /// The directory that an open shop has to itself; its control socket lies there.
    fn state_dir(&self) -> &Path;

    /// Differs whenever the settings differ, secrets included; an unchanged shop is left alone at a
    /// reload.
    fn revision(&self) -> &str;

    /// A fingerprint of the Klaviyo key in letters and digits. No two processes work with one key; shops of
    /// one process may.
    fn key_fingerprint(&self) -> &str;

    /// Counts the shop's traffic and signs of life.
    fn meter(&self) -> &Meter;

    /// When the next pass is due after `after`; `random` spreads shops within their jitter.
    fn next_pass(&self, after: Moment, random: u64) -> Moment;

    /// Opens what passes need, repairs included. Called under the key's lock; dropping the worker
    /// closes everything again. A long repair beats the meter, or the watchdog takes it for stuck;
    /// and it returns soon after `stop` is set.
    fn open(&self, stop: Stop) -> impl Future<Output = Result<Self::Worker, OpenError>> + Send;
}

/// An open shop. It belongs to one task, which drops it when it panicked or broke and opens the shop
/// anew.
pub trait Worker: Send + 'static {
    /// When the last pass began, as far as is on record; `None` makes the first one due at once.
    fn last_pass(&self) -> Option<Moment>;

    /// One pass. Returns soon after `stop` is set, with whatever was in flight on record. Long
    /// computations must leave the runtime free (`tokio::task::block_in_place`).
    fn pass(&mut self, stop: Stop) -> impl Future<Output = PassResult> + Send;

    /// What the shop knows between two passes, for `/status`, without personal data: also before the first
    /// one after a start.
    fn on_record(&self) -> serde_json::Value;

    /// What hears the shop's webhooks, if it wants any heard; asked once.
    fn hooks(&self) -> Option<Hooks>;

    /// Does what somebody wants; the text is for whoever asked. Called between two passes.
    fn fulfil(&mut self, wish: Wish) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// Whether it takes no more writes, as after a disk that was full: only opening it anew shows what
    /// reached the disk, and goes on.
    fn is_broken(&self) -> bool;

    /// Everything the shop holds in one file without a name, to be read from its beginning. Called
    /// between two passes. Must leave the runtime free, as a pass must.
    fn back_up(&mut self) -> Result<File, Refusal>;
}

/// What somebody wants of an open shop between two passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Somebody is to be forgotten.
    Forget {
        /// Whom, in the words of whoever asks.
        person: String,
        /// How many records that must be; `None` asks only.
        records: Option<u64>,
        /// How many profiles Klaviyo is to delete, too; `None` leaves Klaviyo alone.
        at_klaviyo: Option<u64>,
    },
    /// A customer's request for their data was answered.
    Answered {
        /// Its number.
        request: u64,
    },
}

/// What was asked for cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What the process that asked ends with (reliability.md, section 10).
    pub exit: u8,
    /// What, where and the remedy; no secret, no personal data.
    pub message: String,
}

/// A shop cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenError {
    /// What the process ends with when no shop can be opened (reliability.md, section 10).
    pub exit: u8,
    /// What, where and the remedy; no secret, no personal data.
    pub message: String,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PassResult {
    /// Whether all of it was done. If not, the shop is tried again later than usual.
    pub ok: bool,
    /// What a single pass would have ended the process with (reliability.md, section 10).
    pub exit: u8,
    /// Whether the shop must be opened anew before anything else is done with it.
    pub reopen: bool,
    /// One line for logs and `/status`, without personal data.
    pub summary: String,
    /// More for `/status`, without personal data.
    pub status: serde_json::Value,
}
