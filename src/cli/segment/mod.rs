//! `driftless segment`: what definitions say, about whom, and why.

mod definitions;
mod desk;
mod eval;
mod people;

use super::Exit;
use super::args::Segment;

/// Does what was asked for.
pub(super) fn run(command: &Segment) -> Exit {
    match command {
        Segment::List(args) => desk::list(args),
        Segment::Why(args) => desk::why(args),
        Segment::Eval(args) => eval::run(args),
    }
}
