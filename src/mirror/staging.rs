//! Events are laid down as they come and folded into timelines later: rewriting timelines at
//! every page costs six times as much (store.md, measured).

use super::bytes::{Reader, put_signed, put_varint};
use super::codec::VERSION;
use super::shelf::{Shelf, tail_u64};
use super::store::Store;
use super::timeline::{Raw, put_tail};
use super::{MirrorError, Page, codec};
use crate::model::{Atom, IncomingEvent, IncomingValue, MetricId, MetricNo, ProfileId, PropertyNo};
use crate::vault::Subject;

/// sled keeps values over about 7 KB in files of their own and is slow to forget them.
pub(super) const PART_BYTES: usize = 7_000;

/// Staged events lie apart by their owners, so that a fold of any size meets a person once, and not once for
/// every million events: with 20 M events of 1 M profiles it would rewrite each timeline twenty times.
const PARTITIONS: usize = 32;

/// Events of a page that are not in a part yet, by partition: version byte and one after the other, or nothing.
pub(super) type Pending = [Vec<u8>; PARTITIONS];

/// What became of a page of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Laid down.
    pub events: usize,
    /// Without a profile, as deleted profiles leave them, or of one that was forgotten; not kept.
    pub orphans: usize,
}

/// What stands for a vendor's event id in timelines: beside instant and metric it tells repeats
/// apart.
pub fn event_id(id: &str) -> u32 {
    crc32c::crc32c(id.as_bytes())
}

impl Page<'_> {
    /// Lays down events of one metric, in any order, repeats allowed.
    pub fn events(
        &mut self,
        metric: &MetricId,
        events: Vec<IncomingEvent>,
    ) -> Result<Staged, MirrorError> {
        let metric = self.metric_no(metric)?;
        let mut staged = Staged::default();
        for event in events {
            let profile = event.profile.as_ref();
            let known = |id: &&ProfileId| !self.mirror.vault.is_forgotten(Subject::Profile(id));
            let Some(profile) = profile.filter(known) else {
                staged.orphans += 1;
                continue;
            };
            staged.events += 1;
            let partition = partition_of(profile);
            let mut part = std::mem::take(&mut self.pending[partition]);
            if part.is_empty() {
                part.push(VERSION);
            }
            let length_before = part.len();
            self.put_event(&mut part, metric, profile, &event)?;
            if part.len() > PART_BYTES && length_before > 1 {
                let mut overflow = vec![VERSION];
                overflow.extend(part.drain(length_before..));
                self.put_part(partition, std::mem::replace(&mut part, overflow));
            }
            self.pending[partition] = part;
        }
        Ok(staged)
    }

    /// Puts the events that are left into parts.
    pub(super) fn write_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending).into_iter().enumerate();
        for (partition, part) in pending.filter(|(_, part)| !part.is_empty()) {
            self.put_part(partition, part);
        }
    }

    fn put_part(&mut self, partition: usize, part: Vec<u8>) {
        let number = self.next_staged.to_be_bytes();
        let key = Shelf::Staged.key(&[&[partition as u8], &number]);
        self.next_staged += 1;
        self.put_body(key, part);
    }

    fn put_event(
        &mut self,
        part: &mut Vec<u8>,
        metric: MetricNo,
        profile: &ProfileId,
        event: &IncomingEvent,
    ) -> Result<(), MirrorError> {
        let owner = profile.as_str().as_bytes();
        put_varint(part, owner.len() as u64);
        part.extend_from_slice(owner);
        put_signed(part, event.at.secs());
        let properties = self.numbered(&event.properties)?;
        let id = event_id(&event.id);
        put_tail(part, metric, id, event.value, &properties);
        Ok(())
    }

    /// Names become numbers; of a name given twice the first stays.
    fn numbered(
        &mut self,
        properties: &[(String, IncomingValue)],
    ) -> Result<Vec<(PropertyNo, Atom)>, MirrorError> {
        let mut numbered = Vec::with_capacity(properties.len());
        for (name, value) in properties {
            let atom = match value {
                IncomingValue::Bool(truth) => Atom::Bool(*truth),
                IncomingValue::Number(number) => Atom::Number(*number),
                IncomingValue::Text(text) => Atom::Text(self.text_no(text)?),
                IncomingValue::List(json) => Atom::List(self.text_no(json)?),
            };
            numbered.push((self.property_no(name)?, atom));
        }
        numbered.sort_by_key(|(no, _)| *no);
        numbered.dedup_by_key(|(no, _)| *no);
        Ok(numbered)
    }
}

/// Always the same for the same person: of what is staged twice, the later one counts.
fn partition_of(profile: &ProfileId) -> usize {
    crc32c::crc32c(profile.as_str().as_bytes()) as usize % PARTITIONS
}

/// Which of so many shares of its partition an owner is in.
pub(super) fn share_of(owner: &str, shares: u32) -> u32 {
    crc32c::crc32c(owner.as_bytes()) / PARTITIONS as u32 % shares
}

/// Where staged events of a partition lie.
fn partition(number: u8) -> Vec<u8> {
    Shelf::Staged.key(&[&[number]])
}

/// The number that the next staged part is given.
pub(super) fn next_part(store: &Store) -> Result<u64, MirrorError> {
    let mut next = 0;
    for number in 0..PARTITIONS as u8 {
        let last = store.last_between(&partition(number), &partition(number + 1))?;
        if let Some((key, _)) = last {
            let latest = tail_u64(&key).ok_or_else(|| codec::bad(&key))?;
            next = next.max(latest + 1);
        }
    }
    Ok(next)
}

/// Whether two staged parts are of one partition, by their keys.
pub(super) fn lie_together(one: &[u8], other: &[u8]) -> bool {
    one.get(..2) == other.get(..2)
}

/// One staged event: whose, and what.
pub(super) fn read_staged<'a>(reader: &mut Reader<'a>) -> Option<(&'a str, Raw<'a>)> {
    let length = usize::try_from(reader.varint()?).ok()?;
    let owner = std::str::from_utf8(reader.take(length)?).ok()?;
    let at = reader.signed()?;
    Some((owner, Raw::read(at, reader)?))
}
