//! Neighbouring slots share a value: sled's memory, disk and time go by the number of its keys, not
//! by their bytes (store.md).
//!
//! A pack lies under its first slot. It begins with a varint for each slot: 0 for nothing, 1 for a
//! piece that lies elsewhere, else the piece's length + 2; then come the pieces. One that is too long
//! lies behind the pack, under keys that begin with its slot and go on.

use super::bytes::{Reader, put_varint};
use super::codec::{self, VERSION};
use super::shelf::Shelf;
use super::store::{Pair, Payload};
use super::{Mirror, MirrorError, Page};
use crate::model::Slot;
use std::iter::Peekable;
use std::ops::Range;

const SLOTS: usize = 8;

/// sled keeps sixteen values to a page, and puts a page of more than 128 KiB into a file of its own
/// (store.md): a pack stays below 8 KiB.
pub(super) const PIECE_BYTES: usize = 900;

/// Every slot that is ever given.
pub(super) const EVERYBODY: Range<Slot> = Slot(0)..Slot(u32::MAX);

/// What a pack has for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<P> {
    Here(P),
    /// Under keys that begin with the slot.
    Elsewhere,
}

impl<P> Piece<P> {
    fn map<Q>(self, change: impl FnOnce(P) -> Q) -> Piece<Q> {
        match self {
            Self::Here(piece) => Piece::Here(change(piece)),
            Self::Elsewhere => Piece::Elsewhere,
        }
    }
}

/// Where in a pack the pieces of its slots lie.
type Places = [Option<Piece<Range<usize>>>; SLOTS];

fn first_slot(slot: Slot) -> Slot {
    Slot(slot.0 - slot.0 % SLOTS as u32)
}

fn pack_key(shelf: Shelf, slot: Slot) -> Vec<u8> {
    shelf.slot(first_slot(slot))
}

fn place_of(slot: Slot) -> usize {
    slot.0 as usize % SLOTS
}

/// The key of a record that lies elsewhere.
fn own_key(shelf: Shelf, slot: Slot) -> Vec<u8> {
    shelf.key(&[&slot.0.to_be_bytes(), &[0]])
}

/// The slot behind the shelf's byte, and whether it is all that follows: the key of a pack.
fn slot_in(key: &[u8]) -> Result<(Slot, bool), MirrorError> {
    let slot = key.get(1..).and_then(|rest| rest.split_first_chunk());
    let (slot, rest) = slot.ok_or_else(|| codec::bad(key))?;
    Ok((Slot(u32::from_be_bytes(*slot)), rest.is_empty()))
}

fn places(payload: &[u8]) -> Option<Places> {
    let mut reader = Reader::new(payload);
    let mut words = [0; SLOTS];
    for word in &mut words {
        *word = reader.varint()?;
    }
    let mut from = payload.len() - reader.rest().len();
    let mut places = Places::default();
    for (place, word) in places.iter_mut().zip(words) {
        *place = match word {
            0 => None,
            1 => Some(Piece::Elsewhere),
            word => {
                let length = usize::try_from(word - 2).ok()?;
                let to = from.checked_add(length)?;
                Some(Piece::Here(std::mem::replace(&mut from, to)..to))
            }
        };
    }
    (from == payload.len()).then_some(places)
}

/// A pack as a value's body, version byte first.
fn write(pieces: &[Option<Piece<&[u8]>>; SLOTS]) -> Vec<u8> {
    let mut body = vec![VERSION];
    for piece in pieces {
        put_varint(
            &mut body,
            match piece {
                None => 0,
                Some(Piece::Elsewhere) => 1,
                Some(Piece::Here(bytes)) => bytes.len() as u64 + 2,
            },
        );
    }
    for piece in pieces {
        if let Some(Piece::Here(bytes)) = piece {
            body.extend_from_slice(bytes);
        }
    }
    body
}

impl Mirror {
    /// What there is for a slot.
    pub(super) fn piece(
        &self,
        shelf: Shelf,
        slot: Slot,
    ) -> Result<Option<Piece<Payload>>, MirrorError> {
        let key = pack_key(shelf, slot);
        let Some(pack) = self.store.get(&key)? else {
            return Ok(None);
        };
        let mut places = places(&pack).ok_or_else(|| codec::bad(&key))?;
        let place = places[place_of(slot)].take();
        Ok(place.map(|piece| piece.map(|range| pack.part(range))))
    }

    /// The bytes of a record.
    pub(super) fn packed_payload(
        &self,
        shelf: Shelf,
        slot: Slot,
    ) -> Result<Option<Payload>, MirrorError> {
        let own_key = own_key(shelf, slot);
        // Between the two reads a page may have put it into the pack: then the next look finds it.
        for _ in 0..2 {
            match self.piece(shelf, slot)? {
                None => return Ok(None),
                Some(Piece::Here(payload)) => return Ok(Some(payload)),
                Some(Piece::Elsewhere) => {
                    if let Some(payload) = self.store.get(&own_key)? {
                        return Ok(Some(payload));
                    }
                }
            }
        }
        Err(codec::bad(&own_key))
    }

    /// Everything from a slot to another, which is excluded, ascending. What lies elsewhere under
    /// several keys comes in several parts.
    pub(super) fn pieces(&self, shelf: Shelf, range: Range<Slot>) -> Pieces {
        let last = Slot(range.end.0.saturating_sub(1));
        let end = shelf.key(&[&last.0.to_be_bytes(), &[u8::MAX; 9]]);
        let entries = self.store.between(&pack_key(shelf, range.start), &end);
        let entries: Pairs = match range.is_empty() {
            true => Box::new(std::iter::empty()),
            false => Box::new(entries),
        };
        Pieces {
            entries: entries.peekable(),
            range,
            pack: None,
            elsewhere: None,
            has_parts: false,
            shelf,
        }
    }
}

type Pairs = Box<dyn Iterator<Item = Result<Pair, MirrorError>> + Send>;

/// A pack, and what is left to tell of it.
struct Opened {
    first: Slot,
    payload: Payload,
    places: Places,
    next: usize,
}

/// The iterator of [`Mirror::pieces`].
pub(super) struct Pieces {
    entries: Peekable<Pairs>,
    range: Range<Slot>,
    /// What is left of the pack that was read last.
    pack: Option<Opened>,
    /// The slot whose pieces behind the pack are being told.
    elsewhere: Option<Slot>,
    /// Whether one of them was there.
    has_parts: bool,
    shelf: Shelf,
}

impl Opened {
    fn open((key, payload): Pair) -> Result<Option<Self>, MirrorError> {
        let (first, is_pack) = slot_in(&key)?;
        if !is_pack {
            // Came while its pack lay open.
            return Ok(None);
        }
        if first != first_slot(first) {
            return Err(codec::bad(&key));
        }
        let places = places(&payload).ok_or_else(|| codec::bad(&key))?;
        Ok(Some(Self {
            first,
            payload,
            places,
            next: 0,
        }))
    }

    fn next(&mut self) -> Option<(Slot, Piece<Payload>)> {
        while let Some(place) = self.places.get_mut(self.next) {
            let slot = Slot(self.first.0 + self.next as u32);
            self.next += 1;
            if let Some(piece) = place.take() {
                return Some((slot, piece.map(|range| self.payload.part(range))));
            }
        }
        None
    }
}

impl Pieces {
    fn advance(&mut self) -> Result<Option<(Slot, Payload)>, MirrorError> {
        loop {
            if let Some(slot) = self.elsewhere {
                match self.next_part(slot)? {
                    Some((_, part)) => {
                        self.has_parts = true;
                        if slot >= self.range.start {
                            return Ok(Some((slot, part)));
                        }
                    }
                    None if !self.has_parts => return Err(codec::bad(&[self.shelf as u8])),
                    None => self.elsewhere = None,
                }
                continue;
            }
            match self.pack.as_mut().and_then(Opened::next) {
                // The entries end with the range.
                Some((slot, _)) if slot >= self.range.end => {}
                Some((slot, Piece::Elsewhere)) => {
                    self.elsewhere = Some(slot);
                    self.has_parts = false;
                }
                Some((slot, _)) if slot < self.range.start => {}
                Some((slot, Piece::Here(payload))) => return Ok(Some((slot, payload))),
                None => match self.entries.next() {
                    Some(entry) => self.pack = Opened::open(entry?)?,
                    None => return Ok(None),
                },
            }
        }
    }

    /// The next entry that belongs to a slot. Those of slots before it came while the pack lay open:
    /// they show in the next sweep.
    fn next_part(&mut self, slot: Slot) -> Result<Option<Pair>, MirrorError> {
        loop {
            let belongs = match self.entries.peek() {
                None => return Ok(None),
                Some(Err(_)) => true,
                Some(Ok((key, _))) => match slot_in(key)? {
                    (_, true) => return Ok(None),
                    (at, false) if at > slot => return Ok(None),
                    (at, false) => at == slot,
                },
            };
            let entry = self.entries.next();
            if belongs {
                return entry.transpose();
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Result<(Slot, Payload), MirrorError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Page<'_> {
    /// What there will be for a slot after this page.
    pub(super) fn piece(
        &self,
        shelf: Shelf,
        slot: Slot,
    ) -> Result<Option<Piece<Vec<u8>>>, MirrorError> {
        let key = pack_key(shelf, slot);
        let Some(pack) = self.read_payload(&key)? else {
            return Ok(None);
        };
        let mut places = places(&pack).ok_or_else(|| codec::bad(&key))?;
        let place = places[place_of(slot)].take();
        Ok(place.map(|piece| piece.map(|range| pack[range].to_vec())))
    }

    /// Puts a piece into its pack, or takes it out. What lies elsewhere is the caller's.
    pub(super) fn put_piece(
        &mut self,
        shelf: Shelf,
        slot: Slot,
        piece: Option<Piece<&[u8]>>,
    ) -> Result<(), MirrorError> {
        let key = pack_key(shelf, slot);
        let pack = self.read_payload(&key)?;
        let places = match &pack {
            None => Places::default(),
            Some(pack) => places(pack).ok_or_else(|| codec::bad(&key))?,
        };
        let pack = pack.unwrap_or_default();
        let mut pieces = places.map(|place| place.map(|piece| piece.map(|range| &pack[range])));
        pieces[place_of(slot)] = piece;
        self.put_body(key, write(&pieces));
        Ok(())
    }

    /// The bytes of a record as it will be after this page.
    pub(super) fn packed_payload(
        &self,
        shelf: Shelf,
        slot: Slot,
    ) -> Result<Option<Vec<u8>>, MirrorError> {
        match self.piece(shelf, slot)? {
            None => Ok(None),
            Some(Piece::Here(payload)) => Ok(Some(payload)),
            Some(Piece::Elsewhere) => {
                let own_key = own_key(shelf, slot);
                let payload = self.read_payload(&own_key)?;
                payload.map(Some).ok_or_else(|| codec::bad(&own_key))
            }
        }
    }

    /// Stores a record, given as a value's body.
    pub(super) fn put_packed(
        &mut self,
        shelf: Shelf,
        slot: Slot,
        body: Vec<u8>,
    ) -> Result<(), MirrorError> {
        let payload = &body[1..];
        if payload.len() > PIECE_BYTES {
            self.put_piece(shelf, slot, Some(Piece::Elsewhere))?;
            self.put_body(own_key(shelf, slot), body);
            return Ok(());
        }
        if self.piece(shelf, slot)? == Some(Piece::Elsewhere) {
            self.remove(own_key(shelf, slot));
        }
        self.put_piece(shelf, slot, Some(Piece::Here(payload)))
    }

    /// Removes everything there is for a slot, wherever it lies.
    pub(super) fn remove_packed(&mut self, shelf: Shelf, slot: Slot) -> Result<(), MirrorError> {
        if self.piece(shelf, slot)? == Some(Piece::Elsewhere) {
            let first = shelf.key(&[&slot.0.to_be_bytes(), &[0]]);
            let last = shelf.key(&[&slot.0.to_be_bytes(), &[u8::MAX; 9]]);
            for pair in self.mirror.store.between(&first, &last) {
                self.remove(pair?.0.to_vec());
            }
        }
        self.put_piece(shelf, slot, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_piece() -> impl Strategy<Value = Option<Piece<Vec<u8>>>> {
        prop_oneof![
            Just(None),
            Just(Some(Piece::Elsewhere)),
            proptest::collection::vec(any::<u8>(), 0..300)
                .prop_map(|bytes| Some(Piece::Here(bytes))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(pieces in proptest::array::uniform8(any_piece())) {
            let borrowed = pieces.each_ref().map(|piece| {
                piece.as_ref().map(|piece| match piece {
                    Piece::Here(bytes) => Piece::Here(bytes.as_slice()),
                    Piece::Elsewhere => Piece::Elsewhere,
                })
            });
            let body = write(&borrowed);
            let payload = &body[1..];
            let found = places(payload).unwrap().map(|place| {
                place.map(|piece| piece.map(|range| payload[range].to_vec()))
            });
            prop_assert_eq!(found, pieces);
            prop_assert!(places(&payload[..payload.len() - 1]).is_none());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            if let Some(places) = places(&bytes) {
                for place in places.into_iter().flatten() {
                    if let Piece::Here(range) = place {
                        prop_assert!(bytes.get(range).is_some());
                    }
                }
            }
        }
    }
}
