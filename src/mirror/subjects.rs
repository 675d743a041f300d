//! Everybody with a record and their events, in one sweep over each shelf: what a full evaluation
//! reads.

use super::pack::{Piece, Pieces};
use super::sealed::unseal;
use super::shelf::Shelf;
use super::timeline::{chunk_key, read_events};
use super::{Mirror, MirrorError, codec};
use crate::model::{Event, Profile, Slot};
use crate::vault::Keys;
use std::iter::Peekable;

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

    fn read(&mut self, chunk: &[u8]) -> Result<(), MirrorError> {
        read_events(chunk, self).ok_or_else(|| codec::bad(&[Shelf::Timelines as u8]))
    }
}

/// A profile with its events.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its number.
    pub slot: Slot,
    /// The record.
    pub profile: Profile<&'a str>,
    /// Ascending by (`at`, `metric`, `id`), without repeats.
    pub events: &'a [Event],
}

/// A sweep over profiles that have arrived, ascending by slot.
pub struct Subjects {
    profiles: Pieces,
    timelines: Peekable<Pieces>,
    /// As it was before it was sealed.
    profile: Vec<u8>,
    keys: Keys,
    buffer: EventBuffer,
}

impl Subjects {
    /// The next one; `None` at the end. Pages committed meanwhile may or may not show; one that moves
    /// a record between its pack and a key of its own may end the sweep as damage would.
    pub fn advance(&mut self) -> Result<Option<Subject<'_>>, MirrorError> {
        let slot = loop {
            let Some(piece) = self.profiles.next() else {
                return Ok(None);
            };
            let (slot, payload) = piece?;
            if unseal::<Profile>(&self.keys, &payload, &mut self.profile)? {
                break slot;
            }
        };
        self.read_events(slot)?;
        Ok(Some(Subject {
            slot,
            profile: codec::decode(&[Shelf::Profiles as u8], &self.profile)?,
            events: self.buffer.events(),
        }))
    }

    /// Reads a slot's timeline; those of earlier slots have no record and are skipped.
    fn read_events(&mut self, slot: Slot) -> Result<(), MirrorError> {
        self.buffer.clear();
        let not_later = |piece: &Result<(Slot, _), _>| !matches!(piece, Ok((at, _)) if *at > slot);
        while let Some(piece) = self.timelines.next_if(not_later) {
            let (at, chunk) = piece?;
            if at == slot {
                self.buffer.read(&chunk)?;
            }
        }
        Ok(())
    }
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
        Subjects {
            profiles: self.pieces(Shelf::Profiles, from..to),
            timelines: self.pieces(Shelf::Timelines, from..to).peekable(),
            profile: Vec::new(),
            keys: self.vault.keys(),
            buffer: EventBuffer::default(),
        }
    }

    /// Reads one profile's events, without repeats and in time order, into a buffer. Staged events
    /// show after [`Mirror::fold`].
    pub fn timeline_into(&self, slot: Slot, buffer: &mut EventBuffer) -> Result<(), MirrorError> {
        buffer.clear();
        match self.piece(Shelf::Timelines, slot)? {
            None => Ok(()),
            Some(Piece::Here(chunk)) => buffer.read(&chunk),
            Some(Piece::Elsewhere) => {
                let (first, last) = (chunk_key(slot, i64::MIN), chunk_key(slot, i64::MAX));
                let mut chunks = self.store.between(&first, &last);
                chunks.try_for_each(|chunk| buffer.read(&chunk?.1))?;
                match buffer.events() {
                    [] => Err(codec::bad(&first)),
                    _ => Ok(()),
                }
            }
        }
    }
}
