//! `driftless segment catalogue`: ready-made segments, with what each can be told.

use crate::cli::Exit;
use crate::cli::args::Catalogue;
use crate::cli::output::{fault, say};
use crate::segment::catalogue::{catalogue, find};

/// Prints all of them in a line each, or one with its parameters and the definition it stands for.
pub(super) fn run(args: &Catalogue) -> Exit {
    match &args.name {
        None => {
            let lines = catalogue().map(|entry| format!("{:<32} {}", entry.name, entry.purpose));
            say(&lines.collect::<Vec<_>>().join("\n"));
            Exit::Done
        }
        Some(name) => match find(name) {
            Some(entry) => {
                say(&entry.to_string());
                Exit::Done
            }
            None => fault(
                Exit::Usage,
                &format!("there is no ready-made segment `{name}`; without a name all are shown"),
            ),
        },
    }
}
