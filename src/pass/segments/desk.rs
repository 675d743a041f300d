//! Questions about segments, answered from the mirror alone: no vendor is asked, nothing is written.

use super::book::{Book, Entry, SegmentKey, Shelf};
use super::facts;
use super::runoff::{RunOff, RunOffs};
use super::sweep::{Gather, Lists, Sweep, Sweeper, happened};
use crate::clock::Stop;
use crate::mirror::{EventBuffer, Mirror, MirrorError};
use crate::model::{CustomerId, Dossier, GroupDay, Moment, ProfileId, Record, Slot};
use crate::pass::evaluate::unify;
use crate::pass::{Parity, PassError};
use crate::policy::Policy;
use crate::score::{self, Roles};
use crate::segment::{Explanation, Facts, Span, Subject};
use crate::telemetry::Meter;
use crate::unify::People;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far `why` looks ahead for the next flip.
const LOOK_AHEAD: Duration = Duration::from_secs(400 * 86_400);

/// How far the run-off reaches.
pub const RUN_OFF_DAYS: i64 = 90;

/// Answers questions.
#[derive(Debug)]
pub struct Desk<'a> {
    mirror: &'a Mirror,
    policy: &'a Policy,
    book: Book,
    now: Moment,
    past: Option<Moment>,
    stop: Stop,
    meter: Meter,
}

/// One segment in a table of all.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub key: SegmentKey,
    /// What it is called.
    pub name: String,
    /// Members by our own evaluation, at the desk's `now`.
    pub local: u64,
    /// Profiles for which it cannot be said.
    pub unknown: u64,
    /// Klaviyo's own last known size, and the day it is of.
    pub klaviyo: Option<GroupDay>,
    /// How it stands beside Klaviyo's members; `None` for a segment of the config's own.
    pub parity: Option<Parity>,
    /// Joined and left since the day before, as far as both days were evaluated.
    pub today: Option<GroupDay>,
    /// What becomes of it if nobody acts.
    pub run_off: RunOff,
    /// Why parts of it cannot be evaluated.
    pub unknowns: Vec<String>,
}

/// Why one profile is in one segment, or not.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The segment's name.
    pub segment: String,
    /// The profile.
    pub profile: ProfileId,
    /// Its e-mail address, for the eyes of whoever asked.
    pub email: Option<String>,
    /// At which instant.
    pub at: Moment,
    /// Why.
    pub explanation: Explanation,
    /// Names that the account does not know.
    pub unresolved: Vec<String>,
}

impl<'a> Desk<'a> {
    /// A desk that answers for one instant; for one in the past, events after it have not happened.
    /// Profiles and lists are known only as they are.
    pub fn open(
        mirror: &'a Mirror,
        policy: &'a Policy,
        at: Option<Moment>,
        present: Moment,
    ) -> Result<Self, MirrorError> {
        let now = at.unwrap_or(present);
        Ok(Self {
            past: at.filter(|at| *at < present),
            mirror,
            policy,
            book: Book::open(mirror, policy)?,
            now,
            stop: Stop::default(),
            meter: Meter::default(),
        })
    }

    /// The segments.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Every segment with its sizes, now and to come.
    pub fn list(&self) -> Result<Vec<Row>, PassError> {
        let until = Moment(self.now.0 + RUN_OFF_DAYS * crate::model::DAY_MS);
        let (now, both) = (self.now, [self.book.lasting(), self.book.factual()]);
        let mut rows = Vec::new();
        for shelf in both.into_iter().filter(|shelf| !shelf.keys.is_empty()) {
            let empty = || Both {
                sweep: Sweep::of(&shelf.program),
                run_offs: RunOffs(vec![RunOff::default(); shelf.keys.len()]),
            };
            let found = self.sweep(
                shelf,
                Span {
                    now: now.secs(),
                    until: until.secs(),
                },
                empty,
            )?;
            let found = found.sweep.memberships.into_iter().zip(found.run_offs.0);
            for (number, (key, (membership, run_off))) in shelf.keys.iter().zip(found).enumerate() {
                let entry = &self.book.entries[key];
                let unknowns = shelf
                    .program
                    .unknowns(number)
                    .into_iter()
                    .map(str::to_owned);
                rows.push(Row {
                    key: key.clone(),
                    name: entry.name.clone(),
                    local: membership.inside.len(),
                    unknown: membership.unknown.len(),
                    klaviyo: self.klaviyo_size(key)?,
                    parity: self.parity(key, &entry.name, membership.inside.len())?,
                    today: self.mirror.evaluated_days(&key.to_string())?.pop(),
                    run_off,
                    unknowns: entry.unresolved.iter().cloned().chain(unknowns).collect(),
                });
            }
        }
        let is_local = |row: &Row| matches!(row.key, SegmentKey::Local(_));
        rows.sort_by_key(|row| (!is_local(row), row.name.clone(), row.key.clone()));
        Ok(rows)
    }

    fn parity(
        &self,
        key: &SegmentKey,
        name: &str,
        local: u64,
    ) -> Result<Option<Parity>, MirrorError> {
        match key {
            SegmentKey::Klaviyo(id) => Parity::of(self.mirror, id, name, local, self.now).map(Some),
            SegmentKey::Local(_) => Ok(None),
        }
    }

    fn klaviyo_size(&self, key: &SegmentKey) -> Result<Option<GroupDay>, MirrorError> {
        let SegmentKey::Klaviyo(id) = key else {
            return Ok(None);
        };
        Ok(self.mirror.segment_days(id)?.pop())
    }

    fn sweep<G: Gather>(
        &self,
        shelf: &Shelf,
        span: Span,
        empty: impl Fn() -> G,
    ) -> Result<G, PassError> {
        let sweeper = Sweeper {
            mirror: self.mirror,
            program: &shelf.program,
            lists: Lists::load(self.mirror, &shelf.program, self.now)?,
            span,
            past: self.past,
            stop: &self.stop,
            meter: &self.meter,
        };
        if !shelf.program.reads_facts() {
            return sweeper.everybody(empty);
        }
        let roles = Roles::of(&self.mirror.vocabulary()?);
        let facts = |dossier: &Dossier| self.facts(dossier, &roles);
        sweeper.persons(&self.people()?, facts, empty())
    }

    fn facts(&self, dossier: &Dossier, roles: &Roles) -> Facts {
        facts::of(&score::facts(
            dossier,
            roles,
            &self.policy.lifecycle,
            self.now,
        ))
    }

    fn people(&self) -> Result<People, MirrorError> {
        unify(self.mirror, &self.policy.identity)
    }

    /// Why somebody is in a segment, or not: one answer for each of the profiles that are meant.
    pub fn why(&self, entry: &Entry, slots: &[Slot]) -> Result<Vec<Answer>, MirrorError> {
        let Some((shelf, number)) = self.book.place(&entry.key) else {
            return Ok(Vec::new());
        };
        let facts = match shelf.program.reads_facts() {
            true => self.facts_by_slot(slots)?,
            false => BTreeMap::new(),
        };
        let lists = Lists::load(self.mirror, &shelf.program, self.now)?;
        let span = Span {
            now: self.now.secs(),
            until: self.now.plus(LOOK_AHEAD).secs(),
        };
        let (mut buffer, mut on) = (EventBuffer::default(), Vec::new());
        let mut answers = Vec::new();
        for slot in slots {
            let Some(Record::Profile(profile)) = self.mirror.record(*slot)? else {
                continue;
            };
            self.mirror.timeline_into(*slot, &mut buffer)?;
            lists.of(*slot, &mut on);
            let subject = Subject {
                profile: &profile,
                events: happened(buffer.events(), self.past),
                lists: &on,
                facts: facts.get(slot),
            };
            let definition = &entry.definition;
            let explanation = shelf
                .program
                .explain(number, definition, &subject, span, &self.book);
            answers.push(Answer {
                segment: entry.name.clone(),
                profile: profile.id.clone(),
                email: profile.email.clone(),
                at: self.now,
                explanation,
                unresolved: entry.unresolved.clone(),
            });
        }
        Ok(answers)
    }

    fn facts_by_slot(&self, slots: &[Slot]) -> Result<BTreeMap<Slot, Facts>, MirrorError> {
        let (people, roles) = (self.people()?, Roles::of(&self.mirror.vocabulary()?));
        let mut facts = BTreeMap::new();
        for person in people.iter() {
            if !slots.iter().any(|slot| person.slots.contains(slot)) {
                continue;
            }
            let known = self.facts(&self.mirror.dossier(&person)?, &roles);
            facts.extend(person.slots.iter().map(|slot| (*slot, known.clone())));
        }
        Ok(facts)
    }

    /// The profiles that somebody means by a profile id, an e-mail address, a phone number, an
    /// external id or a Shopify customer id.
    pub fn find_person(&self, text: &str) -> Result<Vec<Slot>, MirrorError> {
        if let Some(slot) = self.mirror.slot_of_profile(&ProfileId::from(text))? {
            return Ok(vec![slot]);
        }
        let customer = CustomerId::parse(text);
        let customer = customer
            .map(|id| self.mirror.slot_of_customer(id))
            .transpose()?;
        if let Some(slot) = customer.flatten() {
            let people = self.people()?;
            let person = people.iter().find(|person| person.slots.contains(&slot));
            return Ok(person.map(|person| person.slots).unwrap_or_default());
        }
        let mut found = Vec::new();
        for record in self.mirror.records() {
            let (slot, record) = record?;
            if matches!(record, Record::Profile(_)) && record.is_named(text) {
                found.push(slot);
            }
        }
        Ok(found)
    }
}

/// Who is in, and what becomes of it, from one sweep.
struct Both {
    sweep: Sweep,
    run_offs: RunOffs,
}

impl Gather for Both {
    fn note(&mut self, slot: Slot, courses: &[crate::segment::Course]) {
        self.sweep.note(slot, courses);
        self.run_offs.note(slot, courses);
    }

    fn append(&mut self, later: Self) {
        self.sweep.append(later.sweep);
        self.run_offs.append(later.run_offs);
    }
}
