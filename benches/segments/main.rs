//! Fifty segments over a shop's people: everybody at once, and one person after a change.
//!
//! ```text
//! cargo bench --bench segments -- fill --people 1000000 --events 20000000 --dir DIR
//! cargo bench --bench segments -- evaluate --dir DIR --out OUT
//! cargo bench --bench segments -- incremental --dir DIR
//! ```
//!
//! Without a command, all three with few people. `benches/segments.py` does the same evaluation with
//! DuckDB beside it and compares the members.

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod evaluate;
mod fill;
mod incremental;
mod people;
#[path = "../usage/mod.rs"]
mod usage;

use clap::{Parser, Subcommand};
use driftless::model::Moment;
use driftless::segment::{Definition, Span};
use std::error::Error;
use std::path::{Path, PathBuf};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What cargo passes to every benchmark.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Generates people, fills a mirror and writes the same as CSV files.
    Fill {
        #[arg(long)]
        people: u32,
        #[arg(long)]
        events: u64,
        #[arg(long)]
        dir: PathBuf,
    },
    /// Evaluates every segment for everybody.
    Evaluate {
        #[arg(long)]
        dir: PathBuf,
        /// Evaluates at this instant.
        #[arg(long, value_parser = moment, default_value = "2026-09-21T14:13:20Z")]
        now: Moment,
        /// Writes each segment's members here, ascending numbers of four bytes, little endian.
        #[arg(long)]
        out: Option<PathBuf>,
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Also looks for every flip within so many days, as the daemon does for its timers.
        #[arg(long, default_value_t = 0)]
        flips: i64,
        /// Reads everything once before, so that what evaluating adds to reading can be told.
        #[arg(long)]
        sweep: bool,
    },
    /// Evaluates persons one by one, each after a new event. The events stay in the mirror: its
    /// members are no longer those of the CSV files.
    Incremental {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, default_value_t = 4_000)]
        people: u32,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

fn moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text).ok_or_else(|| "not an instant such as 2026-09-21T14:13:20Z".to_owned())
}

fn main() -> Result<(), Box<dyn Error>> {
    match Args::parse().command {
        Some(Command::Fill {
            people,
            events,
            dir,
        }) => fill::run(people, events, &dir),
        Some(Command::Evaluate {
            dir,
            now,
            out,
            threads,
            flips,
            sweep,
        }) => {
            let span = Span {
                now: now.secs(),
                until: now.secs() + flips * 86_400,
            };
            evaluate::run(&dir, span, out.as_deref(), threads, sweep)
        }
        Some(Command::Incremental {
            dir,
            people,
            rounds,
        }) => incremental::run(&dir, people, rounds),
        None => small(),
    }
}

fn small() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    fill::run(20_000, 400_000, dir.path())?;
    evaluate::run(dir.path(), Span::at(people::NOW.secs()), None, 2, true)?;
    incremental::run(dir.path(), 1_000, 5)
}

/// The definitions with their names, in the order of the file.
fn definitions() -> Result<Vec<(String, Definition)>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/segments.json");
    let named: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let parsed = named
        .into_iter()
        .map(|(name, json)| Ok((name, serde_json::from_value(json)?)));
    parsed.collect()
}
