//! Evaluating many profiles, over both cores.

use crate::clock::Stop;
use crate::mirror::{EventBuffer, Joins, Membership, Mirror, MirrorError};
use crate::model::{Dossier, Event, ListId, Moment, Profile, Record, Slot, Text};
use crate::pass::PassError;
use crate::pull::PullError;
use crate::segment::{Course, Evaluator, Facts, OnList, Program, Span, Subject, Verdict};
use crate::telemetry::Meter;
use crate::unify::People;
use roaring::RoaringBitmap;
use std::thread::ScopedJoinHandle;

/// The watchdog hears of the work, and the work of a wish to stop, this often.
const PROFILES_TO_A_BEAT: u64 = 16_384;

/// The members of the lists that a program asks about.
#[derive(Debug)]
pub struct Lists(Vec<Option<(RoaringBitmap, Option<Joins>)>>);

impl Lists {
    /// Loads them as they are at `now`.
    pub fn load(mirror: &Mirror, program: &Program, now: Moment) -> Result<Self, MirrorError> {
        Self::of_ids(mirror, program.lists(), now)
    }

    /// Loads lists by their ids.
    pub fn of_ids(mirror: &Mirror, ids: &[String], now: Moment) -> Result<Self, MirrorError> {
        let one = |id: &String| {
            let id = ListId::from(id.as_str());
            let members = mirror.members(&id, now)?;
            let joins = mirror.joins(&id)?;
            Ok(members.map(|members| (members, joins)))
        };
        ids.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Where a profile stands with each of them.
    pub fn of(&self, slot: Slot, into: &mut Vec<OnList>) {
        into.clear();
        into.extend(self.0.iter().map(|list| match list {
            None => OnList::Unknown,
            Some((members, _)) if !members.contains(slot.0) => OnList::No,
            Some((_, joins)) => OnList::Since(joins.as_ref().and_then(|known| known.get(slot))),
        }));
    }
}

/// Takes what was found, profile by profile.
pub trait Gather: Send {
    /// The course of every segment for one profile, in the order of the program; slots ascend.
    fn note(&mut self, slot: Slot, courses: &[Course]);
    /// Adds what another one took for later slots.
    fn append(&mut self, later: Self);
}

/// What is needed to evaluate profiles.
#[derive(Debug)]
pub struct Sweeper<'a> {
    /// Where they lie.
    pub mirror: &'a Mirror,
    /// What is evaluated.
    pub program: &'a Program,
    /// The members of its lists.
    pub lists: Lists,
    /// From which instant, and up to which one flips are looked for.
    pub span: Span,
    /// Of an instant in the past: events after it have not happened yet.
    pub past: Option<Moment>,
    /// Ends the work early.
    pub stop: &'a Stop,
    /// Hears that the work goes on.
    pub meter: &'a Meter,
}

impl Sweeper<'_> {
    /// Everybody, in one sweep over each shelf, an equal share of the slots to each core.
    pub fn everybody<G: Gather>(&self, empty: impl Fn() -> G) -> Result<G, PassError> {
        let slots = self.mirror.slots()?.0;
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        let threads = u32::try_from(threads).unwrap_or(1);
        let edge = |part: u32| {
            let edge = u64::from(slots) * u64::from(part) / u64::from(threads);
            Slot(u32::try_from(edge).unwrap_or(slots))
        };
        let parts: Vec<Result<G, PassError>> = std::thread::scope(|scope| {
            let spawn = |part: u32| {
                let gather = empty();
                scope.spawn(move || self.range(edge(part), edge(part + 1), gather))
            };
            let parts: Vec<_> = (0..threads).map(spawn).collect();
            let join = |part: ScopedJoinHandle<'_, _>| match part.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            parts.into_iter().map(join).collect()
        });
        let mut whole = empty();
        for part in parts {
            whole.append(part?);
        }
        Ok(whole)
    }

    fn range<G: Gather>(&self, from: Slot, to: Slot, mut gather: G) -> Result<G, PassError> {
        let mut work = Work::new(self);
        let mut subjects = self.mirror.subjects(from, to);
        while let Some(found) = subjects.advance()? {
            let courses = work.courses(found.slot, &found.profile, found.events, None)?;
            gather.note(found.slot, &courses);
        }
        Ok(gather)
    }

    /// Only these; whoever among them is no profile that has arrived is passed over.
    pub fn some<G: Gather>(&self, who: &RoaringBitmap, mut gather: G) -> Result<G, PassError> {
        let mut work = Work::new(self);
        let mut buffer = EventBuffer::default();
        for slot in who.iter().map(Slot) {
            if let Some(Record::Profile(profile)) = self.mirror.record(slot)? {
                self.mirror.timeline_into(slot, &mut buffer)?;
                gather.note(slot, &work.courses(slot, &profile, buffer.events(), None)?);
            }
        }
        Ok(gather)
    }

    /// Everybody, with the facts of the person that a profile is part of. Shopify's orders lie with
    /// other records than the profile, so this reads all of everybody.
    pub fn persons<G: Gather>(
        &self,
        people: &People,
        facts: impl Fn(&Dossier) -> Facts,
        mut gather: G,
    ) -> Result<G, PassError> {
        let mut work = Work::new(self);
        let mut buffer = EventBuffer::default();
        for person in people.iter() {
            let dossier = self.mirror.dossier(&person)?;
            let facts = facts(&dossier);
            for (slot, profile) in &dossier.profiles {
                self.mirror.timeline_into(*slot, &mut buffer)?;
                let courses = work.courses(*slot, profile, buffer.events(), Some(&facts))?;
                gather.note(*slot, &courses);
            }
        }
        Ok(gather)
    }
}

/// One thread's work.
struct Work<'a> {
    sweeper: &'a Sweeper<'a>,
    evaluator: Evaluator<'a>,
    lists: Vec<OnList>,
    looked_at: u64,
}

impl<'a> Work<'a> {
    fn new(sweeper: &'a Sweeper<'a>) -> Self {
        Self {
            evaluator: sweeper.program.evaluator(sweeper.span),
            lists: Vec::new(),
            looked_at: 0,
            sweeper,
        }
    }

    fn courses<T: Text>(
        &mut self,
        slot: Slot,
        profile: &Profile<T>,
        events: &[Event],
        facts: Option<&Facts>,
    ) -> Result<Vec<Course>, PassError> {
        if self.looked_at.is_multiple_of(PROFILES_TO_A_BEAT) {
            self.sweeper.meter.beat();
            if self.sweeper.stop.is_set() {
                return Err(PullError::Stopped.into());
            }
        }
        self.looked_at += 1;
        self.sweeper.lists.of(slot, &mut self.lists);
        let events = happened(events, self.sweeper.past);
        Ok(self.evaluator.courses(&Subject {
            profile,
            events,
            lists: &self.lists,
            facts,
        }))
    }
}

/// The events that have happened by an instant in the past; all of them for the present, in which some
/// may be dated ahead. Timelines ascend.
pub(super) fn happened(events: &[Event], past: Option<Moment>) -> &[Event] {
    match past {
        None => events,
        Some(past) => &events[..events.partition_point(|event| event.at <= past.secs())],
    }
}

/// Who is in, and when that changes.
#[derive(Debug, Default)]
pub struct Sweep {
    /// By segment of the program.
    pub memberships: Vec<Membership>,
    /// The next flip of those who have one, ascending by slot.
    pub timers: Vec<(u32, Moment)>,
}

impl Sweep {
    /// Nobody yet.
    pub fn of(program: &Program) -> Self {
        Self {
            memberships: vec![Membership::default(); program.len()],
            ..Self::default()
        }
    }
}

impl Gather for Sweep {
    fn note(&mut self, slot: Slot, courses: &[Course]) {
        for (membership, course) in self.memberships.iter_mut().zip(courses) {
            match course.initial {
                Verdict::In => drop(membership.inside.insert(slot.0)),
                Verdict::Unknown => drop(membership.unknown.insert(slot.0)),
                Verdict::Out => {}
            }
        }
        let firsts = courses.iter().filter_map(|course| course.flips.first());
        if let Some(first) = firsts.map(|(at, _)| *at).min() {
            self.timers.push((slot.0, Moment::from_secs(first)));
        }
    }

    fn append(&mut self, later: Self) {
        for (known, new) in self.memberships.iter_mut().zip(later.memberships) {
            known.inside |= new.inside;
            known.unknown |= new.unknown;
        }
        self.timers.extend(later.timers);
    }
}
