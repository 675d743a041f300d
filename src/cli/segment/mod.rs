//! `driftless segment`: what definitions say, about whom, and why.

mod catalogue;
mod definitions;
mod desk;
mod eval;
mod people;
mod relations;

use super::Exit;
use super::args::Segment;

/// Does what was asked for.
pub(super) fn run(command: &Segment) -> Exit {
    match command {
        Segment::List(args) => desk::list(args),
        Segment::Why(args) => desk::why(args),
        Segment::Relations(args) => relations::run(args),
        Segment::Catalogue(args) => catalogue::run(args),
        Segment::Eval(args) => eval::run(args),
    }
}
