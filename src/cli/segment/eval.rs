//! `driftless segment eval`: definitions and people from files, verdicts as JSON lines.

use super::definitions::{self, Named};
use super::people::{Person, Reader};
use crate::cli::Exit;
use crate::cli::args::Eval;
use crate::cli::output::{fault, note};
use crate::model::{Mentions, Moment};
use crate::segment::{Inputs, Program, Span, Subject, Verdict};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

/// So many people are read and compiled for together; texts get their numbers anew for each batch,
/// so that memory does not grow with the file.
const BATCH: usize = 10_000;

/// Evaluates and prints; every fault of the people's file is told, then nothing more is printed.
pub(super) fn run(args: &Eval) -> Exit {
    let definitions = match definitions::read(&args.definitions) {
        Ok(definitions) => definitions,
        Err(error) => return fault(Exit::Usage, &error),
    };
    // What cannot be evaluated is an answer, but seldom what was meant.
    let all = definitions.0.iter().map(|(_, known)| known);
    let program = Program::compile(all, &Inputs::default());
    for (number, (name, _)) in definitions.0.iter().enumerate() {
        for why in program.unknowns(number) {
            note(&format!("note: {name}: {why}"));
        }
    }
    let file = match File::open(&args.people) {
        Ok(file) => BufReader::new(file),
        Err(error) => return fault(Exit::Usage, &format!("{}: {error}", args.people.display())),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = evaluate(args, &definitions, file, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => Exit::Done,
        Err(Stopped::Fault(text)) => fault(Exit::Usage, &text),
        // A reader that went away is not an error of ours.
        Err(Stopped::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(Stopped::Io(error)) => fault(Exit::Disk, &error.to_string()),
    }
}

/// Why it came to no end.
#[derive(Debug)]
pub(super) enum Stopped {
    Fault(String),
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads people batch by batch and writes what is asked for.
pub(super) fn evaluate(
    args: &Eval,
    Named(definitions): &Named,
    people: impl BufRead,
    out: &mut impl Write,
) -> Result<(), Stopped> {
    let mut mentions = Mentions::default();
    for (_, definition) in definitions {
        mentions.extend(definition.mentions());
    }
    let mut lines = people.lines().zip(1_usize..).peekable();
    while lines.peek().is_some() {
        let mut reader = Reader::new(&mentions);
        let mut batch = Vec::new();
        let mut faults = Vec::new();
        for (line, number) in lines.by_ref().take(BATCH) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            match reader.read(&line) {
                Ok(person) => batch.push(person),
                Err(what) => faults.push(format!("{}:{number}: {what}", args.people.display())),
            }
        }
        if !faults.is_empty() {
            return Err(Stopped::Fault(faults.join("\n")));
        }
        let inputs = Inputs {
            vocabulary: reader.vocabulary().clone().into(),
            ..Inputs::default()
        };
        let program = Program::compile(definitions.iter().map(|(_, known)| known), &inputs);
        let names: Vec<&str> = definitions.iter().map(|(name, _)| name.as_str()).collect();
        match args.transitions {
            None => verdicts(&program, &names, &batch, args.now, out)?,
            Some(days) => transitions(&program, &names, &batch, args.now, days, out)?,
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    id: &'a str,
    segments: Segments<'a>,
}

/// An object in the order of the definitions.
struct Segments<'a>(&'a [&'a str], &'a [Verdict]);

impl Serialize for Segments<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, verdict) in self.0.iter().zip(self.1) {
            map.serialize_entry(name, verdict)?;
        }
        map.end()
    }
}

fn verdicts(
    program: &Program,
    names: &[&str],
    people: &[Person],
    now: Moment,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut evaluator = program.evaluator(Span::at(now.secs()));
    let mut verdicts = vec![Verdict::Unknown; names.len()];
    for person in people {
        let lists = person.on(program.lists());
        evaluator.verdicts(&subject(person, &lists), |segment, verdict| {
            verdicts[segment] = verdict;
        });
        let id = person.profile.id.as_str();
        let segments = Segments(names, &verdicts);
        line(&VerdictLine { id, segments }, out)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct FlipsLine<'a> {
    id: &'a str,
    segment: &'a str,
    now: String,
    initial: Verdict,
    flips: Vec<Flip>,
}

#[derive(Serialize)]
struct Flip {
    at: String,
    to: Verdict,
}

fn transitions(
    program: &Program,
    names: &[&str],
    people: &[Person],
    now: Moment,
    days: u32,
    out: &mut impl Write,
) -> io::Result<()> {
    let time = |secs: i64| Moment::from_secs(secs).to_string();
    let now = now.secs();
    let until = now + i64::from(days) * 86_400;
    let mut evaluator = program.evaluator(Span { now, until });
    for person in people {
        let lists = person.on(program.lists());
        let courses = evaluator.courses(&subject(person, &lists));
        for (segment, course) in names.iter().zip(courses) {
            if course.flips.is_empty() {
                continue;
            }
            let flips = course.flips.iter();
            let told = FlipsLine {
                id: person.profile.id.as_str(),
                segment,
                now: time(now),
                initial: course.initial,
                flips: flips
                    .map(|(at, to)| Flip {
                        at: time(*at),
                        to: *to,
                    })
                    .collect(),
            };
            line(&told, out)?;
        }
    }
    Ok(())
}

fn subject<'a>(person: &'a Person, lists: &'a [crate::segment::OnList]) -> Subject<'a> {
    Subject {
        profile: &person.profile,
        events: &person.events,
        lists,
        facts: None,
    }
}

fn line(told: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, told)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
