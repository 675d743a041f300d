//! Everything observed as text: two mirrors hold the same if and only if their lines are equal.

use super::shelf::Shelf;
use super::slots::{CUSTOMER, PROFILE};
use super::{Mirror, MirrorError, codec};
use crate::model::{Atom, Event, Vocabulary};
use crate::model::{Customer, List, ListId, Metric, Order, Profile, ProfileId, Segment, Slot};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One line. Slots and vocabulary numbers depend on the order of arrival and do not appear.
#[expect(
    clippy::large_enum_variant,
    reason = "a line lives only while it is written"
)]
#[derive(Serialize)]
#[serde(tag = "kind", content = "record", rename_all = "lowercase")]
enum Line<'a> {
    Profile(Profile),
    Customer(Customer),
    Guest(String),
    Order(Order),
    Event(EventLine<'a>),
    Member {
        list: &'a ListId,
        profile: &'a ProfileId,
    },
    List(List),
    Segment(Segment),
    Metric(Metric),
}

#[derive(Serialize)]
struct EventLine<'a> {
    profile: &'a str,
    at: i64,
    metric: &'a str,
    id: u32,
    value: Option<i64>,
    properties: BTreeMap<&'a str, serde_json::Value>,
}

type Lines<'m> = Box<dyn Iterator<Item = Result<String, MirrorError>> + 'm>;

impl Mirror {
    /// Every observed record as one line of JSON, by kind and id: profiles, customers, guests,
    /// orders, events by profile, members by list, lists, segments, metrics. Members are those of
    /// the last complete listings; staged events show after [`Mirror::fold`].
    pub fn export(&self) -> impl Iterator<Item = Result<String, MirrorError>> + '_ {
        let records = self.record_lines(PROFILE);
        let records = records.chain(self.record_lines(CUSTOMER));
        let records = records.chain(lazily(|| self.guest_lines()));
        records
            .chain(self.order_lines())
            .chain(lazily(|| self.event_lines()))
            .chain(lazily(|| self.member_lines()))
            .chain(lazily(|| Ok(all(self.lists()?, Line::List))))
            .chain(lazily(|| Ok(all(self.segments()?, Line::Segment))))
            .chain(lazily(|| Ok(all(self.metrics()?, Line::Metric))))
    }

    /// A digest of everything observed (SHA-256 over the lines of [`Mirror::export`]): mirrors that say
    /// the same have the same one, in whatever order it arrived.
    pub fn digest(&self) -> Result<[u8; 32], MirrorError> {
        let mut hash = Sha256::new();
        for line in self.export() {
            hash.update(line?);
            hash.update(b"\n");
        }
        Ok(hash.finalize().into())
    }

    /// Guests by address: the keys they lie under are hashes.
    fn guest_lines(&self) -> Result<Lines<'_>, MirrorError> {
        let guests = self.all_guests().map(|guest| guest.map(|(_, email)| email));
        let mut guests: Vec<String> = guests.collect::<Result<_, _>>()?;
        guests.sort_unstable();
        Ok(all(guests, Line::Guest))
    }

    /// Profiles or customers that have arrived.
    fn record_lines(&self, kind: u8) -> Lines<'_> {
        let lines = self.slots_by_id(kind).map(move |found| {
            let (_, slot) = found?;
            let record = match kind {
                PROFILE => self.profile(slot)?.map(Line::Profile),
                _ => self.customer(slot)?.map(Line::Customer),
            };
            Ok(record.map(|line| json(&line)))
        });
        Box::new(lines.filter_map(Result::transpose))
    }

    /// The id bytes and slots of one kind, by id.
    pub(super) fn slots_by_id(
        &self,
        kind: u8,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Slot), MirrorError>> + '_ {
        let prefix = Shelf::Ids.key(&[&[kind]]);
        let length = prefix.len();
        self.store.scan(&prefix).map(move |pair| {
            let (key, payload) = pair?;
            let id = key.get(length..).unwrap_or_default().to_vec();
            Ok((id, codec::decode(&key, &payload)?))
        })
    }

    fn order_lines(&self) -> Lines<'_> {
        let lines = self.order_ids().map(|id| {
            let order = self.order(id?)?;
            Ok(order.map(|order| json(&Line::Order(order))))
        });
        Box::new(lines.filter_map(Result::transpose))
    }

    fn event_lines(&self) -> Result<Lines<'_>, MirrorError> {
        let vocabulary = self.vocabulary()?;
        let timelines = self.slots_by_id(PROFILE).map(move |found| {
            let (id, slot) = found?;
            let mut lines = Vec::new();
            if self.gone_since(slot)?.is_some() {
                return Ok(lines);
            }
            let profile = String::from_utf8_lossy(&id);
            for event in self.timeline(slot)?.events {
                lines.push(event_line(&vocabulary, &profile, &event)?);
            }
            // Numbers of metrics depend on arrival, ids do not.
            lines.sort();
            Ok(lines)
        });
        Ok(Box::new(timelines.flat_map(|timeline| {
            let (lines, error) = match timeline {
                Ok(lines) => (lines, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let lines = lines.into_iter().map(|(_, line)| Ok(line));
            lines.chain(error)
        })))
    }

    fn member_lines(&self) -> Result<Lines<'_>, MirrorError> {
        let lists = self.lists()?;
        let lines = lists.into_iter().map(|list| {
            let mut profiles = Vec::new();
            for slot in &self.listed_members(&list.id)? {
                profiles.extend(self.profile_id(Slot(slot))?);
            }
            profiles.sort();
            let lines = profiles.iter().map(|profile| {
                json(&Line::Member {
                    list: &list.id,
                    profile,
                })
            });
            Ok(lines.collect::<Vec<_>>())
        });
        Ok(Box::new(lines.flat_map(|lines| match lines {
            Ok(lines) => lines.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })))
    }
}

/// An instant to sort by, and the line.
fn event_line(
    vocabulary: &Vocabulary,
    profile: &str,
    event: &Event,
) -> Result<(i64, String), MirrorError> {
    let unknown = || codec::bad(&Shelf::Timelines.key(&[]));
    let metric = vocabulary.metrics.get(usize::from(event.metric.0));
    let mut properties = BTreeMap::new();
    for (no, atom) in &event.properties {
        let name = vocabulary.properties.get(usize::from(no.0));
        let value = match atom {
            Atom::Bool(truth) => (*truth).into(),
            Atom::Number(number) => (*number).into(),
            Atom::Text(no) => vocabulary.text(*no).ok_or_else(unknown)?.into(),
            Atom::List(no) => {
                let json = vocabulary.text(*no).ok_or_else(unknown)?;
                serde_json::from_str(json).map_err(|_| unknown())?
            }
        };
        properties.insert(name.ok_or_else(unknown)?.as_str(), value);
    }
    let line = Line::Event(EventLine {
        profile,
        at: event.at,
        metric: metric.ok_or_else(unknown)?.id.as_str(),
        id: event.id,
        value: event.value.map(|value| value.0),
        properties,
    });
    Ok((event.at, json(&line)))
}

fn json(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("records have text keys and no foreign types")
}

fn all<'m, T: 'm>(records: Vec<T>, line: impl Fn(T) -> Line<'m> + 'm) -> Lines<'m> {
    Box::new(
        records
            .into_iter()
            .map(move |record| Ok(json(&line(record)))),
    )
}

/// Builds the lines when their turn comes.
fn lazily<'m>(make: impl FnOnce() -> Result<Lines<'m>, MirrorError> + 'm) -> Lines<'m> {
    let made = std::iter::once_with(make);
    Box::new(made.flat_map(|lines| match lines {
        Ok(lines) => lines,
        Err(error) => Box::new(std::iter::once(Err(error))),
    }))
}
