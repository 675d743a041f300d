//! One person after a change: record and timeline read from the mirror, every segment evaluated with
//! its course over the time to come.

use crate::evaluate::{Membership, program};
use crate::people::{METRICS, NOW};
use driftless::mirror::{EventBuffer, Mirror};
use driftless::model::{IncomingEvent, IncomingValue, Moment, Slot};
use driftless::segment::{Evaluator, OnList, Span, Subject};
use driftless::vault::Vault;
use fastrand::Rng;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far enough to see the next flip of windows of a year.
const AHEAD: i64 = 400 * 86_400;

/// Reading, and evaluating.
type Parts = (Duration, Duration);

pub fn run(dir: &Path, people: u32, rounds: usize) -> Result<(), Box<dyn Error>> {
    let (mirror, _) = Mirror::open(dir, &Vault::open(dir, None)?, NOW)?;
    let mut rng = Rng::with_seed(7);
    let slots = mirror.slots()?;
    let chosen: Vec<Slot> = (0..people).map(|_| Slot(rng.u32(..slots.0))).collect();
    open_a_mail(&mirror, &chosen)?;

    let (_, program) = program(&mirror)?;
    let lists = Membership::all(&mirror, &program, NOW)?;
    let now = NOW.secs();
    let span = Span {
        now,
        until: now + AHEAD,
    };
    let mut one = One {
        mirror: &mirror,
        lists: &lists,
        evaluator: program.evaluator(span),
        buffer: EventBuffer::default(),
        flips: 0,
    };
    for slot in &chosen {
        one.evaluate(*slot)?;
    }
    one.flips = 0;
    let mut best = vec![(Duration::MAX, Duration::ZERO); chosen.len()];
    for round in 0..rounds {
        let mut parts = Vec::with_capacity(chosen.len());
        for slot in &chosen {
            parts.push(one.evaluate(*slot)?);
        }
        for (best, this) in best.iter_mut().zip(&parts) {
            if this.0 + this.1 < best.0 + best.1 {
                *best = *this;
            }
        }
        tell(&format!("round {}", round + 1), &parts);
    }
    tell("best of the rounds", &best);
    println!("flips in {} days: {}", AHEAD / 86_400, one.flips / rounds);
    Ok(())
}

/// Everybody chosen opens a mail now; committed and folded, as the daemon has it before it evaluates.
fn open_a_mail(mirror: &Mirror, chosen: &[Slot]) -> Result<(), Box<dyn Error>> {
    let metric = METRICS[1].0.into();
    for some in chosen.chunks(1_000) {
        let mut page = mirror.page();
        let mut events = Vec::new();
        for slot in some {
            let profile = mirror.profile(*slot)?.ok_or("a slot without a profile")?;
            events.push(IncomingEvent {
                id: format!("new-{}", slot.0),
                at: Moment::from_secs(NOW.secs() - 1),
                profile: Some(profile.id),
                value: None,
                properties: vec![
                    ("machine_open".to_owned(), IncomingValue::Bool(false)),
                    (
                        "Campaign Name".to_owned(),
                        IncomingValue::Text("Letter 12".to_owned()),
                    ),
                ],
            });
        }
        page.events(&metric, events)?;
        page.commit()?;
    }
    mirror.fold()?;
    Ok(())
}

struct One<'a> {
    mirror: &'a Mirror,
    lists: &'a [Membership],
    evaluator: Evaluator<'a>,
    buffer: EventBuffer,
    flips: usize,
}

impl One<'_> {
    fn evaluate(&mut self, slot: Slot) -> Result<Parts, Box<dyn Error>> {
        let began = Instant::now();
        let profile = self
            .mirror
            .profile(slot)?
            .ok_or("a slot without a profile")?;
        self.mirror.timeline_into(slot, &mut self.buffer)?;
        let lists: Vec<OnList> = self.lists.iter().map(|list| list.of(slot)).collect();
        let read = began.elapsed();
        let courses = self.evaluator.courses(&Subject {
            profile: &profile,
            events: self.buffer.events(),
            lists: &lists,
            facts: None,
        });
        let whole = began.elapsed();
        self.flips += courses
            .iter()
            .map(|course| course.flips.len())
            .sum::<usize>();
        Ok((read, whole - read))
    }
}

fn tell(what: &str, parts: &[Parts]) {
    let figures = |name: &str, of: &dyn Fn(&Parts) -> Duration| {
        let mut micros: Vec<f64> = parts
            .iter()
            .map(|part| of(part).as_secs_f64() * 1e6)
            .collect();
        micros.sort_by(f64::total_cmp);
        let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
        println!(
            "{what:20} {name:10} p50 {:7.1} us  p99 {:7.1} us  max {:7.1} us",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    };
    figures("reading", &|part| part.0);
    figures("evaluating", &|part| part.1);
    figures("together", &|part| part.0 + part.1);
}
