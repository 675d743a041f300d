//! Events that join a timeline.

use super::days::Added;
use super::lateness::Arrivals;
use super::pack::{PIECE_BYTES, Piece};
use super::shelf::Shelf;
use super::timeline::{self, Raw};
use super::{MirrorError, Page, codec};
use crate::model::Slot;

/// A chunk over this many bytes is cut, so that sled keeps its values in pages.
const CHUNK_BYTES: usize = 6_000;

/// What the distance to the event before usually takes at most.
const INSTANT_BYTES: usize = 4;

/// Key and payload of one chunk of a timeline.
type Chunk = (Vec<u8>, Vec<u8>);

impl Page<'_> {
    /// Merges events, ascending and without repeats, into one timeline; how many were new.
    pub(super) fn merge_timeline(
        &mut self,
        slot: Slot,
        new: &[Raw<'_>],
        arrivals: &Arrivals,
    ) -> Result<u64, MirrorError> {
        let Some(first) = new.first() else {
            return Ok(0);
        };
        let mut added = Added::new();
        match self.piece(Shelf::Timelines, slot)? {
            Some(Piece::Elsewhere) => self.merge_chunks(slot, first.at, new, &mut added)?,
            None => self.merge_short(slot, &[], new, &mut added)?,
            Some(Piece::Here(stored)) => self.merge_short(slot, &stored, new, &mut added)?,
        }
        self.tally.events += added.len() as u64;
        if !added.is_empty() && !self.is_gone(slot)? {
            self.days.add(&added, 1);
        }
        self.lateness.observe(&added, arrivals);
        Ok(added.len() as u64)
    }

    /// Merges into a timeline that lies in its pack, as long as it fits there.
    fn merge_short(
        &mut self,
        slot: Slot,
        stored: &[u8],
        new: &[Raw<'_>],
        added: &mut Added,
    ) -> Result<(), MirrorError> {
        let shelf = Shelf::Timelines;
        if let Some(body) = timeline::append(stored, new)
            && body.len() <= PIECE_BYTES
        {
            self.mark_changed(slot);
            self.put_piece(shelf, slot, Some(Piece::Here(&body[1..])))?;
            added.extend(new.iter().map(|raw| (raw.metric, raw.at)));
            return Ok(());
        }
        let old = match stored {
            [] => Vec::new(),
            stored => timeline::read_chunk(stored).ok_or_else(|| codec::bad(&[shelf as u8]))?,
        };
        let merged = timeline::merge(&old, new);
        if merged == old {
            return Ok(());
        }
        self.mark_changed(slot);
        note_added(&old, new, added);
        let body = timeline::write_chunk(&merged);
        if body.len() <= PIECE_BYTES {
            self.put_piece(shelf, slot, Some(Piece::Here(&body[1..])))?;
        } else {
            self.put_piece(shelf, slot, Some(Piece::Elsewhere))?;
            self.put_chunks(slot, &timeline::chunk_key(slot, i64::MIN), &merged);
        }
        Ok(())
    }

    /// Merges into a timeline that lies in chunks of its own.
    fn merge_chunks(
        &mut self,
        slot: Slot,
        from: i64,
        new: &[Raw<'_>],
        added: &mut Added,
    ) -> Result<(), MirrorError> {
        let chunks = self.chunks_from(slot, from)?;
        let mut rest = new;
        for (index, (key, payload)) in chunks.iter().enumerate() {
            let next_start = chunks
                .get(index + 1)
                .and_then(|(next, _)| timeline::chunk_start(next));
            let here = match next_start {
                Some(start) => rest.partition_point(|raw| raw.at < start),
                None => rest.len(),
            };
            let (mine, later) = rest.split_at(here);
            rest = later;
            if !mine.is_empty() {
                self.merge_chunk(slot, key, payload, mine, added)?;
            }
        }
        Ok(())
    }

    /// The chunk in which `at` lies and all later ones.
    fn chunks_from(&self, slot: Slot, at: i64) -> Result<Vec<Chunk>, MirrorError> {
        let store = &self.mirror.store;
        let lowest = timeline::chunk_key(slot, i64::MIN);
        let highest = timeline::chunk_key(slot, i64::MAX);
        let found = store.last_between(&lowest, &timeline::chunk_key(slot, at))?;
        let (key, payload) = found.ok_or_else(|| codec::bad(&lowest))?;
        let mut chunks = vec![(key.to_vec(), payload.to_vec())];
        for pair in store.between(&key, &highest).skip(1) {
            let (key, payload) = pair?;
            chunks.push((key.to_vec(), payload.to_vec()));
        }
        Ok(chunks)
    }

    fn merge_chunk(
        &mut self,
        slot: Slot,
        key: &[u8],
        payload: &[u8],
        new: &[Raw<'_>],
        added: &mut Added,
    ) -> Result<(), MirrorError> {
        if let Some(body) = timeline::append(payload, new)
            && body.len() <= CHUNK_BYTES
        {
            self.mark_changed(slot);
            self.put_body(key.to_vec(), body);
            added.extend(new.iter().map(|raw| (raw.metric, raw.at)));
            return Ok(());
        }
        let old = timeline::read_chunk(payload).ok_or_else(|| codec::bad(key))?;
        let merged = timeline::merge(&old, new);
        if merged != old {
            self.mark_changed(slot);
            note_added(&old, new, added);
            self.put_chunks(slot, key, &merged);
        }
        Ok(())
    }

    /// Writes events as one chunk, or as several cut between two instants: all events of one
    /// instant stay together, for a chunk is found by its first instant.
    fn put_chunks(&mut self, slot: Slot, key: &[u8], raws: &[Raw<'_>]) {
        let mut key = key.to_vec();
        let (mut from, mut bytes) = (0, 0);
        for (index, pair) in raws.windows(2).enumerate() {
            bytes += pair[0].tail.len() + INSTANT_BYTES;
            if bytes + pair[1].tail.len() > CHUNK_BYTES && pair[0].at < pair[1].at {
                let next = timeline::chunk_key(slot, pair[1].at);
                let body = timeline::write_chunk(&raws[from..=index]);
                self.put_body(std::mem::replace(&mut key, next), body);
                (from, bytes) = (index + 1, 0);
            }
        }
        self.put_body(key, timeline::write_chunk(&raws[from..]));
    }
}

/// Tells which of the new ones are not among the old ones; both ascend.
fn note_added(old: &[Raw<'_>], new: &[Raw<'_>], added: &mut Added) {
    let mut old = old.iter().peekable();
    for raw in new {
        while old.next_if(|before| before.key() < raw.key()).is_some() {}
        if old.peek().is_none_or(|same| same.key() != raw.key()) {
            added.push((raw.metric, raw.at));
        }
    }
}
