//! Everybody at once: two sweeps over halves of the slots, one bitmap a segment.

use crate::people;
use crate::usage::{Stopwatch, forget_peak, memory};
use driftless::mirror::{Joins, Mirror, MirrorError, Subjects};
use driftless::model::{ListId, Moment, Slot};
use driftless::segment::{Inputs, OnList, Program, Span, Subject, Verdict};
use driftless::vault::Vault;
use roaring::RoaringBitmap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Slots that a thread takes at a time: few enough that both end together.
const SHARE: u32 = 16_384;

/// Who is on a list, and since when.
pub struct Membership {
    members: Option<RoaringBitmap>,
    joins: Option<Joins>,
}

impl Membership {
    /// Those of a program's lists, in its order.
    pub fn all(
        mirror: &Mirror,
        program: &Program,
        now: Moment,
    ) -> Result<Vec<Membership>, MirrorError> {
        let lists = program.lists().iter();
        let ids = lists.map(|id| ListId::from(id.as_str()));
        ids.map(|id| {
            Ok(Self {
                members: mirror.members(&id, now)?,
                joins: mirror.joins(&id)?,
            })
        })
        .collect()
    }

    pub fn of(&self, slot: Slot) -> OnList {
        match &self.members {
            None => OnList::Unknown,
            Some(members) if !members.contains(slot.0) => OnList::No,
            Some(_) => OnList::Since(self.joins.as_ref().and_then(|joins| joins.get(slot))),
        }
    }
}

pub fn program(mirror: &Mirror) -> Result<(Vec<String>, Program), Box<dyn Error>> {
    let (names, definitions): (Vec<_>, Vec<_>) = crate::definitions()?.into_iter().unzip();
    let inputs = Inputs {
        vocabulary: mirror.vocabulary()?.into(),
        ..Inputs::default()
    };
    let program = Program::compile(&definitions, &inputs);
    for (segment, name) in names.iter().enumerate() {
        let unknowns = program.unknowns(segment);
        assert!(unknowns.is_empty(), "{name}: {unknowns:?}");
    }
    Ok((names, program))
}

pub fn run(
    dir: &Path,
    span: Span,
    out: Option<&Path>,
    threads: usize,
    sweep: bool,
) -> Result<(), Box<dyn Error>> {
    let (mirror, _) = Mirror::open(dir, &Vault::open(dir, None)?, Moment::from_secs(span.now))?;
    println!("resident after opening  {:8.1} MiB", memory().0);
    if sweep {
        let watch = Stopwatch::start();
        let slots = mirror.slots()?;
        let events = on_threads(threads, slots, |range| {
            read(mirror.subjects(range.0, range.1))
        })?;
        let (wall, cpu) = watch.read();
        let events: u64 = events.into_iter().flatten().sum();
        println!("reading alone           {wall:8.3} s wall {cpu:8.2} s cpu  ({events} events)");
    }
    let (_, peak_before) = memory();
    forget_peak();
    let watch = Stopwatch::start();
    let (names, members) = evaluate(&mirror, span, threads)?;
    let (wall, cpu) = watch.read();
    let (_, peak) = memory();
    println!("evaluating              {wall:8.3} s wall {cpu:8.2} s cpu");
    println!("resident at most        {peak:8.1} MiB, before {peak_before:8.1} MiB");
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        for (name, members) in names.iter().zip(members) {
            let bytes: Vec<u8> = members.iter().flat_map(u32::to_le_bytes).collect();
            fs::write(out.join(name), bytes)?;
        }
    }
    Ok(())
}

/// What reading everybody costs, without asking anything about them.
fn read(mut subjects: Subjects) -> Result<u64, MirrorError> {
    let mut events = 0;
    while let Some(subject) = subjects.advance()? {
        events += subject.events.len() as u64;
    }
    Ok(events)
}

fn evaluate(
    mirror: &Mirror,
    span: Span,
    threads: usize,
) -> Result<(Vec<String>, Vec<RoaringBitmap>), Box<dyn Error>> {
    let (names, program) = program(mirror)?;
    let lists = Membership::all(mirror, &program, Moment::from_secs(span.now))?;
    let shares = on_threads(threads, mirror.slots()?, |range| {
        members(mirror.subjects(range.0, range.1), &program, &lists, span)
    })?;
    let mut all = vec![RoaringBitmap::new(); program.len()];
    for share in shares.into_iter().flatten() {
        for (all, some) in all.iter_mut().zip(share) {
            *all |= some;
        }
    }
    Ok((names, all))
}

/// The members of each segment among some subjects.
fn members(
    mut subjects: Subjects,
    program: &Program,
    lists: &[Membership],
    span: Span,
) -> Result<Vec<RoaringBitmap>, MirrorError> {
    let mut evaluator = program.evaluator(span);
    let mut members = vec![Vec::new(); program.len()];
    let mut on = Vec::with_capacity(lists.len());
    while let Some(known) = subjects.advance()? {
        on.clear();
        on.extend(lists.iter().map(|list| list.of(known.slot)));
        let subject = Subject {
            profile: &known.profile,
            events: known.events,
            lists: &on,
            facts: None,
        };
        debug_assert_eq!(people::number(&known.profile.id), Some(known.slot.0));
        let mut note = |segment: usize, verdict| {
            if verdict == Verdict::In {
                members[segment].push(known.slot.0);
            }
        };
        if span.now == span.until {
            evaluator.verdicts(&subject, note);
            continue;
        }
        for (segment, course) in evaluator.courses(&subject).iter().enumerate() {
            note(segment, course.initial);
        }
    }
    let bitmap = |slots: Vec<u32>| RoaringBitmap::from_sorted_iter(slots);
    let bitmaps = members.into_iter().map(bitmap);
    Ok(bitmaps
        .map(|bitmap| bitmap.expect("slots ascend"))
        .collect())
}

/// Does a work for every share of the slots, each thread taking the next one when it has done one.
/// The results of each thread's shares.
fn on_threads<T: Send>(
    threads: usize,
    slots: Slot,
    work: impl Fn((Slot, Slot)) -> Result<T, MirrorError> + Sync,
) -> Result<Vec<Vec<T>>, MirrorError> {
    let next = AtomicU32::new(0);
    let take = || {
        let from = next.fetch_add(SHARE, Ordering::Relaxed);
        let to = slots.0.min(from.saturating_add(SHARE));
        (from < to).then_some((Slot(from), Slot(to)))
    };
    std::thread::scope(|scope| {
        let one = || std::iter::from_fn(take).map(&work).collect();
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let joined = running.into_iter();
        let joined = joined.map(|thread| thread.join().expect("no thread panics"));
        joined.collect()
    })
}
