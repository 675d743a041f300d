//! Everybody with a record and their events, in one sweep over each shelf: what a full evaluation
//! reads.

use super::shelf::Shelf;
use super::store::Pair;
use super::timeline::{chunk_key, read_events};
use super::{Mirror, MirrorError, codec};
use crate::model::{Event, Profile, Slot};
use std::cmp::Ordering;
use std::iter::Peekable;

type Pairs = Box<dyn Iterator<Item = Result<Pair, MirrorError>> + Send>;

/// Room for the events of one person, used again for the next.
#[derive(Debug, Default)]
pub struct EventBuffer {
    room: Vec<Event>,
    used: usize,
}

impl EventBuffer {
    /// What was read into it last.
    pub fn events(&self) -> &[Event] {
        self.room.get(..self.used).unwrap_or_default()
    }

    pub(super) fn into_events(mut self) -> Vec<Event> {
        self.room.truncate(self.used);
        self.room
    }

    fn clear(&mut self) {
        self.used = 0;
    }

    /// The next event's place, with whatever stood there before.
    pub(super) fn next_place(&mut self) -> &mut Event {
        if self.used == self.room.len() {
            self.room.push(Event::default());
        }
        self.used += 1;
        &mut self.room[self.used - 1]
    }

    fn read(&mut self, (key, payload): &Pair) -> Result<(), MirrorError> {
        read_events(payload, self).ok_or_else(|| codec::bad(key))
    }
}

/// A profile with its events.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its number.
    pub slot: Slot,
    /// The record.
    pub profile: Profile,
    /// Ascending by (`at`, `metric`, `id`), without repeats.
    pub events: &'a [Event],
}

/// A sweep over profiles that have arrived, ascending by slot.
pub struct Subjects {
    profiles: Pairs,
    timelines: Peekable<Pairs>,
    buffer: EventBuffer,
}

impl Subjects {
    /// The next one; `None` at the end. Pages committed meanwhile may or may not show.
    pub fn advance(&mut self) -> Result<Option<Subject<'_>>, MirrorError> {
        let Some(pair) = self.profiles.next() else {
            return Ok(None);
        };
        let (key, payload) = pair?;
        let slot = slot_in(&key)?;
        self.buffer.clear();
        while let Some(chunk) = self.next_chunk_until(slot)? {
            self.buffer.read(&chunk)?;
        }
        Ok(Some(Subject {
            slot,
            profile: codec::decode(&key, &payload)?,
            events: self.buffer.events(),
        }))
    }

    /// The next chunk of a slot's timeline; those of earlier slots have no record and are skipped.
    fn next_chunk_until(&mut self, slot: Slot) -> Result<Option<Pair>, MirrorError> {
        loop {
            let owner = match self.timelines.peek() {
                Some(Ok((key, _))) => slot_in(key)?,
                Some(Err(_)) => slot,
                None => return Ok(None),
            };
            match owner.cmp(&slot) {
                Ordering::Greater => return Ok(None),
                Ordering::Equal => return self.timelines.next().transpose(),
                Ordering::Less => drop(self.timelines.next()),
            }
        }
    }
}

/// The slot behind the shelf's byte.
fn slot_in(key: &[u8]) -> Result<Slot, MirrorError> {
    let bytes = key.get(1..).and_then(|rest| rest.first_chunk());
    let bytes = bytes.ok_or_else(|| codec::bad(key))?;
    Ok(Slot(u32::from_be_bytes(*bytes)))
}

impl Mirror {
    /// How many slots were given: all are below.
    pub fn slots(&self) -> Result<Slot, MirrorError> {
        let next = self.store.read(&super::page::Fact::NextSlot.key())?;
        Ok(Slot(next.unwrap_or_default()))
    }

    /// Profiles that have arrived, with their folded events, from a slot to another, which is
    /// excluded. Several threads may sweep over ranges of their own.
    pub fn subjects(&self, from: Slot, to: Slot) -> Subjects {
        let Some(last) = to.0.checked_sub(1).map(Slot).filter(|last| *last >= from) else {
            return Subjects::over(Box::new(std::iter::empty()), Box::new(std::iter::empty()));
        };
        let store = &self.store;
        let profiles = store.between(&Shelf::Profiles.slot(from), &Shelf::Profiles.slot(last));
        let timelines = store.between(&chunk_key(from, i64::MIN), &chunk_key(last, i64::MAX));
        Subjects::over(Box::new(profiles), Box::new(timelines))
    }

    /// Reads one profile's events, without repeats and in time order, into a buffer. Staged events
    /// show after [`Mirror::fold`].
    pub fn timeline_into(&self, slot: Slot, buffer: &mut EventBuffer) -> Result<(), MirrorError> {
        buffer.clear();
        let mut chunks = self.store.scan(&Shelf::Timelines.slot(slot));
        chunks.try_for_each(|chunk| buffer.read(&chunk?))
    }
}

impl Subjects {
    fn over(profiles: Pairs, timelines: Pairs) -> Self {
        Self {
            profiles,
            timelines: timelines.peekable(),
            buffer: EventBuffer::default(),
        }
    }
}
