//! What the comparison of stored records with a vendor's counts has come to: what was compared when,
//! and where the counts differ for good.

use super::shelf::{Shelf, sortable, tail_u64, unsortable};
use super::{Mirror, MirrorError, Page, Stream, codec};
use crate::model::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days that are compared together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// The last days.
    Recent,
    /// The days that a number of years of 365 days after 1970 begins with.
    Year(i64),
}

/// When a window was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The vendor was asked last.
    pub asked: Moment,
    /// It answered last, and every difference was looked into.
    pub done: Option<Moment>,
}

/// A day, or a whole stream, that stays apart from the vendor's count after it was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Records stored.
    pub stored: u64,
    /// Records that the vendor counts.
    pub theirs: u64,
    /// Those that were listed and have no profile, or one that was forgotten.
    pub ownerless: u64,
    /// Those that were listed and did not decode.
    pub unreadable: u64,
    /// When it was found to be so.
    pub since: Moment,
    /// When it was read again last.
    pub looked: Moment,
}

impl Gap {
    /// Those that are neither here nor accounted for.
    pub fn missing(&self) -> u64 {
        let accounted = self.stored + self.ownerless + self.unreadable;
        self.theirs.saturating_sub(accounted)
    }

    /// Why it cannot be closed.
    pub fn reason(&self) -> &'static str {
        match (self.missing(), self.stored > self.theirs) {
            (0, false) if self.unreadable == 0 => "of nobody, or of forgotten people",
            (0, false) => "not readable",
            (0, true) => "of profiles that are gone, which the sweep has yet to find",
            _ => "counted there, but not listed",
        }
    }
}

fn check_key(stream: &Stream, window: Window) -> Vec<u8> {
    let mut key = Shelf::Checks.under(&stream.to_string());
    match window {
        Window::Recent => key.push(0),
        Window::Year(year) => {
            key.push(1);
            key.extend(sortable(year));
        }
    }
    key
}

fn gap_key(stream: &Stream, day: i64) -> Vec<u8> {
    let mut key = Shelf::Gaps.under(&stream.to_string());
    key.extend(sortable(day));
    key
}

impl Mirror {
    /// When a window of a stream was compared; `None` before the first time.
    pub fn checked(&self, stream: &Stream, window: Window) -> Result<Option<Checked>, MirrorError> {
        self.store.read(&check_key(stream, window))
    }

    /// The days (since 1970, UTC) of a stream that differ for good.
    pub fn gaps(&self, stream: &Stream) -> Result<BTreeMap<i64, Gap>, MirrorError> {
        let mut gaps = BTreeMap::new();
        for pair in self.store.scan(&Shelf::Gaps.under(&stream.to_string())) {
            let (key, payload) = pair?;
            let day = tail_u64(&key).ok_or_else(|| codec::bad(&key))?;
            let day = unsortable(day.to_be_bytes());
            gaps.insert(day, codec::decode(&key, &payload)?);
        }
        Ok(gaps)
    }
}

impl Page<'_> {
    /// Notes when a window of a stream was compared.
    pub fn checked(&mut self, stream: &Stream, window: Window, checked: Checked) {
        self.put(check_key(stream, window), &checked);
    }

    /// Sets where a day of a stream differs for good; `None` where it does not.
    pub fn gap(&mut self, stream: &Stream, day: i64, gap: Option<Gap>) {
        let key = gap_key(stream, day);
        match gap {
            Some(gap) => self.put(key, &gap),
            None => self.remove(key),
        }
    }
}
