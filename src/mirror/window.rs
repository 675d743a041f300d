//! Staged events on their way into timelines: so many parts at a time, in shares of the people they are of.

use super::bytes::Reader;
use super::shelf::Shelf;
use super::staging::{lie_together, read_staged, share_of};
use super::timeline::Raw;
use super::{Mirror, MirrorError, codec};
use std::collections::HashMap;

/// A window ends with its partition of owners once it has so many events: smaller ones rewrite timelines more
/// often.
const WINDOW_EVENTS: usize = 1 << 18;
/// From here on, people are folded in shares, for which the parts are read again: that takes less than timelines
/// that are rewritten, and less memory than all events at once.
const SHARE_BYTES: usize = if cfg!(test) { 40_000 } else { 16 << 20 };
const MOST_SHARES: u32 = 256;
/// Where a share is larger, because most of it is of one person, the window ends.
pub(super) const MOST_BYTES: usize = 4 * SHARE_BYTES;

/// Staged parts that are folded together.
pub(super) struct Window {
    /// Their keys, ascending.
    pub(super) parts: Vec<Vec<u8>>,
    /// A power of two.
    pub(super) shares: u32,
    events: usize,
    /// What the events of each of the most shares take in memory.
    bytes: Vec<usize>,
}

/// The events of some of a window's people.
#[derive(Default)]
pub(super) struct Share {
    /// Numbered by first sight.
    pub(super) owners: HashMap<Box<str>, u32>,
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
            parts: Vec::new(),
            shares: 1,
            events: 0,
            bytes: vec![0; MOST_SHARES as usize],
        };
        for pair in self.store.scan(&Shelf::Staged.key(&[])) {
            let (key, payload) = pair?;
            if window.ends_before(&key) {
                break;
            }
            each_event(&key, &payload, |owner, raw| {
                window.count(owner, &raw);
                if share_of(owner, window.shares) == 0 {
                    share.add(owner, &raw);
                }
            })?;
            window.parts.push(key.to_vec());
            while window.is_better_cut() {
                window.shares *= 2;
                share = share.first_of(window.shares);
            }
        }
        Ok((window, share))
    }

    /// Another share of the same parts.
    pub(super) fn read_share(&self, window: &Window, number: u32) -> Result<Share, MirrorError> {
        let mut share = Share::default();
        let (Some(first), Some(last)) = (window.parts.first(), window.parts.last()) else {
            return Ok(share);
        };
        let mut parts = window.parts.iter().peekable();
        for pair in self.store.between(first, last) {
            let (key, payload) = pair?;
            // Others may have been staged between them since.
            if parts.next_if(|part| **part == *key).is_none() {
                continue;
            }
            each_event(&key, &payload, |owner, raw| {
                if share_of(owner, window.shares) == number {
                    share.add(owner, &raw);
                }
            })?;
        }
        match parts.next() {
            None => Ok(share),
            Some(lost) => Err(codec::bad(lost)),
        }
    }
}

/// Everything in a staged part: whose, and what.
fn each_event(
    key: &[u8],
    payload: &[u8],
    mut tell: impl FnMut(&str, Raw<'_>),
) -> Result<(), MirrorError> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let (owner, raw) = read_staged(&mut reader).ok_or_else(|| codec::bad(key))?;
        tell(owner, raw);
    }
    Ok(())
}

impl Window {
    /// Whether the staged part of a key belongs to the next window.
    fn ends_before(&self, key: &[u8]) -> bool {
        let Some(last) = self.parts.last() else {
            return false;
        };
        let is_full = self.largest_of(self.shares) >= MOST_BYTES;
        is_full || (self.events >= WINDOW_EVENTS && !lie_together(last, key))
    }

    fn count(&mut self, owner: &str, raw: &Raw<'_>) {
        self.events += 1;
        self.bytes[share_of(owner, MOST_SHARES) as usize] += size_of::<Place>() + raw.tail.len();
    }

    /// Whether a share is large that twice as many would make smaller: not so where most is of one person.
    fn is_better_cut(&self) -> bool {
        let largest = self.largest_of(self.shares);
        let is_large = largest >= SHARE_BYTES && self.shares < MOST_SHARES;
        is_large && self.largest_of(MOST_SHARES) < largest / 2
    }

    /// What the largest of so many shares takes. One of fewer is made of whole ones of the most.
    fn largest_of(&self, shares: u32) -> usize {
        let of = |share| self.bytes.iter().skip(share).step_by(shares as usize).sum();
        (0..shares as usize).map(of).max().unwrap_or(0)
    }
}

impl Share {
    fn add(&mut self, owner: &str, raw: &Raw<'_>) {
        // Both stay far below 2^32: a window ends at 2^26 bytes of a share, and one part.
        let next = self.owners.len() as u32;
        let from = self.tails.len() as u32;
        // An entry would take a name of its own for every event.
        let owner = match self.owners.get(owner) {
            Some(number) => *number,
            None => *self.owners.entry(owner.into()).or_insert(next),
        };
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
            names[*number as usize] = owner;
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
