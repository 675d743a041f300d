//! Staged events on their way into timelines: so many parts at a time, in shares of the people they are of.

use super::bytes::Reader;
use super::shelf::Shelf;
use super::staging::{lie_together, read_staged, share_of};
use super::timeline::Raw;
use super::{Mirror, MirrorError, codec};
use crate::model::ProfileId;
use std::collections::HashMap;

/// A window ends with its partition of owners once it has so many events: smaller ones rewrite timelines more
/// often.
const WINDOW_EVENTS: usize = 1 << 18;
/// From here on, people are folded in shares, for which the parts are read again: that takes less than timelines
/// that are rewritten, and less memory than all events at once.
const SHARE_EVENTS: usize = if cfg!(test) { 1_000 } else { 1 << 18 };
const SHARE_BYTES: usize = 16 << 20;
const MOST_SHARES: u32 = 256;
/// Where even a share is larger, because most is of one person, the window ends.
const MOST_EVENTS: usize = 1 << 20;
const MOST_BYTES: usize = 64 << 20;

/// Staged parts that are folded together.
#[derive(Default)]
pub(super) struct Window {
    /// Their keys, ascending.
    pub(super) parts: Vec<Vec<u8>>,
    /// A power of two.
    pub(super) shares: u32,
    events: usize,
}

/// The events of some of a window's people.
#[derive(Default)]
pub(super) struct Share {
    /// Numbered by first sight.
    pub(super) owners: HashMap<ProfileId, u32>,
    pub(super) places: Vec<Place>,
    pub(super) tails: Vec<u8>,
}

/// Where one event's tail begins, and what it sorts by. There are many of these: 24 bytes.
pub(super) struct Place {
    pub(super) at: i64,
    pub(super) owner: u32,
    pub(super) id: u32,
    pub(super) from: u32,
    pub(super) metric: u16,
}

impl Place {
    pub(super) fn raw<'a>(&self, tails: &'a [u8]) -> Raw<'a> {
        let mut reader = Reader::new(&tails[self.from as usize..]);
        Raw::read(self.at, &mut reader).expect("the share copied a tail that was read whole")
    }
}

impl Mirror {
    /// The next window, without parts when nothing is staged, and its first share.
    pub(super) fn read_window(&self) -> Result<(Window, Share), MirrorError> {
        let mut share = Share::default();
        let mut window = Window {
            shares: 1,
            ..Window::default()
        };
        for pair in self.store.scan(&Shelf::Staged.key(&[])) {
            let (key, payload) = pair?;
            if window.ends_before(&key, &share) {
                break;
            }
            window.events += share.add_part(&key, &payload, (0, window.shares))?;
            window.parts.push(key.to_vec());
            while share.is_large() && window.shares < MOST_SHARES {
                window.shares *= 2;
                share = share.first_of(window.shares);
            }
        }
        Ok((window, share))
    }

    /// Another share of the same parts.
    pub(super) fn read_share(&self, window: &Window, number: u32) -> Result<Share, MirrorError> {
        let mut share = Share::default();
        for key in &window.parts {
            let payload = self.store.get(key)?.ok_or_else(|| codec::bad(key))?;
            share.add_part(key, &payload, (number, window.shares))?;
        }
        Ok(share)
    }
}

impl Window {
    /// Whether the staged part of a key belongs to the next window.
    fn ends_before(&self, key: &[u8], share: &Share) -> bool {
        let Some(last) = self.parts.last() else {
            return false;
        };
        let is_full = share.places.len() >= MOST_EVENTS || share.tails.len() >= MOST_BYTES;
        is_full || (self.events >= WINDOW_EVENTS && !lie_together(last, key))
    }
}

impl Share {
    fn is_large(&self) -> bool {
        self.places.len() >= SHARE_EVENTS || self.tails.len() >= SHARE_BYTES
    }

    /// Adds those events of a part whose owners are in the share, by its number and how many there are; how many
    /// events the part has.
    fn add_part(
        &mut self,
        key: &[u8],
        payload: &[u8],
        (number, shares): (u32, u32),
    ) -> Result<usize, MirrorError> {
        let mut reader = Reader::new(payload);
        let mut events = 0;
        while !reader.is_empty() {
            let (owner, raw) = read_staged(&mut reader).ok_or_else(|| codec::bad(key))?;
            events += 1;
            if share_of(owner, shares) == number {
                self.add(owner, &raw);
            }
        }
        Ok(events)
    }

    fn add(&mut self, owner: &str, raw: &Raw<'_>) {
        // Both stay far below 2^32: a window ends at 2^20 events or 2^26 bytes, and one part.
        let next = self.owners.len() as u32;
        let from = self.tails.len() as u32;
        let owner = *self.owners.entry(owner.into()).or_insert(next);
        self.tails.extend_from_slice(raw.tail);
        self.places.push(Place {
            at: raw.at,
            owner,
            id: raw.id,
            from,
            metric: raw.metric,
        });
    }

    /// The first of so many shares of it.
    fn first_of(self, shares: u32) -> Self {
        let mut names = vec![""; self.owners.len()];
        for (owner, number) in &self.owners {
            names[*number as usize] = owner.as_str();
        }
        let mut first = Self::default();
        for place in &self.places {
            let owner = names[place.owner as usize];
            if share_of(owner, shares) == 0 {
                first.add(owner, &place.raw(&self.tails));
            }
        }
        first
    }
}
