//! `driftless segment`: what definitions say, about whom, and why.

mod definitions;
mod eval;
mod people;

use super::Exit;
use super::args::Segment;

/// Does what was asked for.
pub(super) fn run(command: &Segment) -> Exit {
    match command {
        Segment::Eval(args) => eval::run(args),
    }
}
