//! A stream's first fill in parts: each is walked by itself and has a position of its own.

use super::shelf::{Shelf, tail_u32};
use super::{Mirror, MirrorError, Page, Stream, codec};
use crate::model::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A half-open range of the instants that a stream's records are listed by, and how far it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it begins, this instant included; `None` at the beginning of everything.
    pub from: Option<Moment>,
    /// Where it ends, this instant not included; `None` at the end of everything.
    pub to: Option<Moment>,
    /// The vendor's own cursor of the next page, or a bulk operation's id and the lines of its result that are
    /// stored; `None` before the first.
    pub position: Option<String>,
    /// Records that were read.
    pub seen: u64,
    /// Records besides that could not be understood.
    pub unreadable: u64,
    /// The latest instant among them.
    pub reached: Option<Moment>,
    /// How many of them are of that instant.
    pub at_reached: u64,
    /// Nothing is left of it.
    pub done: bool,
}

impl Mirror {
    /// The parts of a stream's first fill under way, by number.
    pub fn parts(&self, stream: &Stream) -> Result<BTreeMap<u32, Part>, MirrorError> {
        let mut parts = BTreeMap::new();
        for pair in self.store.scan(&all_of(stream)) {
            let (key, payload) = pair?;
            let number = tail_u32(&key).ok_or_else(|| codec::bad(&key))?;
            parts.insert(number, codec::decode(&key, &payload)?);
        }
        Ok(parts)
    }
}

impl Page<'_> {
    /// Sets how far a part of a stream was read: up to and including this page.
    pub fn part(&mut self, stream: &Stream, number: u32, part: &Part) {
        let mut key = all_of(stream);
        key.extend_from_slice(&number.to_be_bytes());
        self.put(key, part);
    }

    /// Forgets all parts of a stream.
    pub fn forget_parts(&mut self, stream: &Stream) -> Result<(), MirrorError> {
        self.remove_under(&all_of(stream))
    }
}

/// The beginning of the keys of a stream's parts.
fn all_of(stream: &Stream) -> Vec<u8> {
    Shelf::Parts.under(&stream.to_string())
}
