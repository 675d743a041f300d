//! How events lie in bytes: about ten of them each, and an append in order never decodes.
//!
//! A chunk is `last_at` (i64), `count` (u32), then the events, each the distance in seconds from
//! the one before (the first: its instant) and a *tail*. A tail is `metric << 2 | value? << 1 |
//! properties?`, the hash of the vendor's id (u32), the value, the properties. Staged pages hold
//! the same tails, so that folding moves bytes without understanding them.

use super::bytes::{Reader, put_signed, put_varint};
use super::codec::VERSION;
use super::shelf::{Shelf, sortable, unsortable};
use super::{EventBuffer, Mirror, MirrorError};
use crate::model::{Atom, Event, MetricNo, Money, PropertyNo, Slot, TextNo, Timeline};

const HAS_VALUE: u64 = 2;
const HAS_PROPERTIES: u64 = 1;

// Kinds of atoms, in the low three bits beside the property's number.
const FALSE: u64 = 0;
const TRUE: u64 = 1;
const WHOLE: u64 = 2;
const FLOAT: u64 = 3;
const TEXT: u64 = 4;
const LIST: u64 = 5;

/// An event whose tail is still bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) at: i64,
    pub(super) metric: u16,
    pub(super) id: u32,
    pub(super) tail: &'a [u8],
}

impl<'a> Raw<'a> {
    /// What tells repeats apart.
    pub(super) fn key(&self) -> (i64, u16, u32) {
        (self.at, self.metric, self.id)
    }

    /// Reads one tail. `None` for bytes that are none.
    pub(super) fn read(at: i64, reader: &mut Reader<'a>) -> Option<Self> {
        let from = reader.rest();
        let head = reader.varint()?;
        let metric = u16::try_from(head >> 2).ok()?;
        let id = u32::from_le_bytes(reader.array()?);
        if head & HAS_VALUE != 0 {
            reader.signed()?;
        }
        if head & HAS_PROPERTIES != 0 {
            for _ in 0..reader.varint()? {
                read_property(reader)?;
            }
        }
        let tail = from.get(..from.len() - reader.rest().len())?;
        Some(Self {
            at,
            metric,
            id,
            tail,
        })
    }
}

/// Reads one tail into an event whose instant is known, reusing its room.
fn read_tail(reader: &mut Reader<'_>, event: &mut Event) -> Option<()> {
    let head = reader.varint()?;
    event.metric = MetricNo(u16::try_from(head >> 2).ok()?);
    event.id = u32::from_le_bytes(reader.array()?);
    event.value = match head & HAS_VALUE {
        0 => None,
        _ => Some(Money(reader.signed()?)),
    };
    event.properties.clear();
    if head & HAS_PROPERTIES != 0 {
        for _ in 0..reader.varint()? {
            event.properties.push(read_property(reader)?);
        }
    }
    Some(())
}

/// Appends the tail of one event.
pub(super) fn put_tail(
    out: &mut Vec<u8>,
    metric: MetricNo,
    id: u32,
    value: Option<Money>,
    properties: &[(PropertyNo, Atom)],
) {
    let has_value = if value.is_some() { HAS_VALUE } else { 0 };
    let has_properties = if properties.is_empty() {
        0
    } else {
        HAS_PROPERTIES
    };
    put_varint(out, u64::from(metric.0) << 2 | has_value | has_properties);
    out.extend_from_slice(&id.to_le_bytes());
    if let Some(Money(amount)) = value {
        put_signed(out, amount);
    }
    if !properties.is_empty() {
        put_varint(out, properties.len() as u64);
    }
    for &(name, atom) in properties {
        put_property(out, name, atom);
    }
}

fn put_property(out: &mut Vec<u8>, name: PropertyNo, atom: Atom) {
    let mut head = |kind: u64| put_varint(out, u64::from(name.0) << 3 | kind);
    match atom {
        Atom::Bool(false) => head(FALSE),
        Atom::Bool(true) => head(TRUE),
        Atom::Number(number) => {
            let whole = number as i64;
            // By bits, so that -0.0 and what does not fit stay what they are.
            if (whole as f64).to_bits() == number.to_bits() {
                head(WHOLE);
                put_signed(out, whole);
            } else {
                head(FLOAT);
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        Atom::Text(no) => {
            head(TEXT);
            put_varint(out, u64::from(no.0));
        }
        Atom::List(no) => {
            head(LIST);
            put_varint(out, u64::from(no.0));
        }
    }
}

fn read_property(reader: &mut Reader<'_>) -> Option<(PropertyNo, Atom)> {
    let head = reader.varint()?;
    let name = PropertyNo(u16::try_from(head >> 3).ok()?);
    let atom = match head & 7 {
        FALSE => Atom::Bool(false),
        TRUE => Atom::Bool(true),
        WHOLE => Atom::Number(reader.signed()? as f64),
        FLOAT => Atom::Number(f64::from_le_bytes(reader.array()?)),
        TEXT => Atom::Text(TextNo(u32::try_from(reader.varint()?).ok()?)),
        LIST => Atom::List(TextNo(u32::try_from(reader.varint()?).ok()?)),
        _ => return None,
    };
    Some((name, atom))
}

/// Instant of the last event, number of events, and the events' bytes.
fn header(payload: &[u8]) -> Option<(i64, u32, &[u8])> {
    let mut reader = Reader::new(payload);
    let last_at = i64::from_le_bytes(reader.array()?);
    let count = u32::from_le_bytes(reader.array()?);
    Some((last_at, count, reader.rest()))
}

/// The events of one chunk.
pub(super) fn read_chunk(payload: &[u8]) -> Option<Vec<Raw<'_>>> {
    let (_, count, events) = header(payload)?;
    let mut reader = Reader::new(events);
    let mut raws: Vec<Raw<'_>> = Vec::new();
    for _ in 0..count {
        let at = read_instant(&mut reader, raws.last().map(|raw| raw.at))?;
        raws.push(Raw::read(at, &mut reader)?);
    }
    reader.is_empty().then_some(raws)
}

fn read_instant(reader: &mut Reader<'_>, before: Option<i64>) -> Option<i64> {
    match before {
        None => reader.signed(),
        Some(before) => before.checked_add_unsigned(reader.varint()?),
    }
}

/// Adds the events of one chunk to those in a buffer.
pub(super) fn read_events(payload: &[u8], buffer: &mut EventBuffer) -> Option<()> {
    let (_, count, events) = header(payload)?;
    let mut reader = Reader::new(events);
    let mut before: Option<i64> = None;
    for _ in 0..count {
        let at = read_instant(&mut reader, before)?;
        let event = buffer.next_place();
        event.at = at;
        read_tail(&mut reader, event)?;
        before = Some(at);
    }
    reader.is_empty().then_some(())
}

/// A chunk as a value's body, version byte first. `raws` ascend by key.
pub(super) fn write_chunk(raws: &[Raw<'_>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(13 + raws.len() * 12);
    body.push(VERSION);
    let last_at = raws.last().map_or(0, |raw| raw.at);
    body.extend_from_slice(&last_at.to_le_bytes());
    let count = u32::try_from(raws.len()).expect("a chunk is cut long before 4 billion events");
    body.extend_from_slice(&count.to_le_bytes());
    put_events(&mut body, None, raws);
    body
}

/// The chunk with later events behind it, or `None` when one of them is not later.
pub(super) fn append(payload: &[u8], raws: &[Raw<'_>]) -> Option<Vec<u8>> {
    let (last_at, count, events) = header(payload)?;
    let (first, last) = (raws.first()?, raws.last()?);
    if count == 0 || first.at <= last_at {
        return None;
    }
    let count = count.checked_add(u32::try_from(raws.len()).ok()?)?;
    let mut body = Vec::with_capacity(payload.len() + 1 + raws.len() * 12);
    body.push(VERSION);
    body.extend_from_slice(&last.at.to_le_bytes());
    body.extend_from_slice(&count.to_le_bytes());
    body.extend_from_slice(events);
    put_events(&mut body, Some(last_at), raws);
    Some(body)
}

fn put_events(out: &mut Vec<u8>, mut before: Option<i64>, raws: &[Raw<'_>]) {
    for raw in raws {
        match before {
            None => put_signed(out, raw.at),
            Some(before) => put_varint(out, raw.at.abs_diff(before)),
        }
        out.extend_from_slice(raw.tail);
        before = Some(raw.at);
    }
}

/// Both in order; of two with the same key the newer one stays, for it may carry properties that
/// the older one was pulled without.
pub(super) fn merge<'a>(old: &[Raw<'a>], new: &[Raw<'a>]) -> Vec<Raw<'a>> {
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut old = old.iter().peekable();
    for raw in new {
        while let Some(before) = old.next_if(|before| before.key() < raw.key()) {
            merged.push(*before);
        }
        old.next_if(|same| same.key() == raw.key());
        merged.push(*raw);
    }
    merged.extend(old);
    merged
}

/// A key on the timelines' shelf; instants sort as their bytes do.
pub(super) fn chunk_key(slot: Slot, from: i64) -> Vec<u8> {
    Shelf::Timelines.key(&[&slot.0.to_be_bytes(), &sortable(from)])
}

/// The first instant a chunk is for, from its key.
pub(super) fn chunk_start(key: &[u8]) -> Option<i64> {
    key.last_chunk().copied().map(unsortable)
}

impl Mirror {
    /// One profile's events, without repeats, in time order. Staged events show after
    /// [`Mirror::fold`].
    pub fn timeline(&self, slot: Slot) -> Result<Timeline, MirrorError> {
        let mut buffer = EventBuffer::default();
        self.timeline_into(slot, &mut buffer)?;
        Ok(Timeline {
            events: buffer.into_events(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tail(
        metric: u16,
        id: u32,
        value: Option<i64>,
        properties: &[(PropertyNo, Atom)],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_tail(
            &mut bytes,
            MetricNo(metric),
            id,
            value.map(Money),
            properties,
        );
        bytes
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let atoms = [
            Atom::Bool(true),
            Atom::Bool(false),
            Atom::Number(-3.0),
            Atom::Number(0.1),
            Atom::Number(-0.0),
            Atom::Number(1e300),
            Atom::Text(TextNo(u32::MAX)),
            Atom::List(TextNo(7)),
        ];
        let properties: Vec<_> = (0..).map(PropertyNo).zip(atoms).collect();
        let bytes = tail(u16::MAX, 7, Some(i64::MIN), &properties);
        let raw = Raw::read(-5, &mut Reader::new(&bytes)).unwrap();
        let mut buffer = EventBuffer::default();
        read_events(&write_chunk(&[raw])[1..], &mut buffer).unwrap();
        let event = &buffer.events()[0];
        assert_eq!(
            (event.at, event.metric, event.id),
            (-5, MetricNo(u16::MAX), 7)
        );
        assert_eq!(event.value, Some(Money(i64::MIN)));
        assert_eq!(event.properties, properties);
        let zero = event.property(PropertyNo(4)).unwrap();
        assert!(matches!(zero, Atom::Number(number) if number.is_sign_negative()));
    }

    #[test]
    fn an_append_equals_a_rewrite_and_is_refused_out_of_order() {
        let tails: Vec<_> = (0..4).map(|id| tail(1, id, None, &[])).collect();
        let raws: Vec<_> = [(i64::MIN, 0), (10, 1), (10, 2), (99, 3)]
            .map(|(at, n): (i64, usize)| Raw::read(at, &mut Reader::new(&tails[n])).unwrap())
            .to_vec();
        let whole = write_chunk(&raws);
        assert_eq!(read_chunk(&whole[1..]).unwrap(), raws);
        let start = write_chunk(&raws[..3]);
        assert_eq!(append(&start[1..], &raws[3..]).as_ref(), Some(&whole));
        let start = write_chunk(&raws[..2]);
        assert_eq!(append(&start[1..], &raws[2..]), None);
    }

    #[test]
    fn a_chunk_key_gives_its_start_back_and_sorts_by_it() {
        let starts = [i64::MIN, -1, 0, 1, i64::MAX];
        let keys = starts.map(|at| chunk_key(Slot(3), at));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| chunk_start(&key)), starts.map(Some));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let raws = read_chunk(&bytes);
            let mut buffer = EventBuffer::default();
            let events = read_events(&bytes, &mut buffer);
            prop_assert_eq!(raws.is_some(), events.is_some());
            prop_assert!(raws.is_none_or(|raws| raws.len() == buffer.events().len()));
        }
    }
}
