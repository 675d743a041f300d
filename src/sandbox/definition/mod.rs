//! The sandbox's own evaluator of segment definitions: the whole language, simple rather than fast. It shares nothing
//! with the daemon's, so that one mistake cannot hide the other.

mod condition;
mod consent;
mod dates;
mod happenings;
mod judge;
mod pattern;
mod refresh;
#[cfg(test)]
mod tests;
mod values;

pub(super) use dates::When;
pub(super) use judge::{EventIndex, Judge, Record};
pub use refresh::refresh;
pub(super) use refresh::{is_due, recompute};

use happenings::Occurrence;
use serde_json::Value as Json;

/// What a condition may look at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    id: &'a str,
    /// The attributes of the profile as the API shows them, with all that it shows on request only.
    attributes: &'a Json,
    events: &'a Happenings<'a>,
    lists: &'a Memberships<'a>,
    /// Whether the one who judges is Klaviyo, who knows what no API shows.
    insight: bool,
}

/// Events by metric.
type Happenings<'a> = Vec<(&'a str, Vec<Occurrence<'a>>)>;
/// Lists, and since when.
type Memberships<'a> = Vec<(&'a str, Option<dates::Micros>)>;

/// Whether all hold: one that does not outweighs those that nobody knows of.
fn every(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for verdict in verdicts {
        match verdict {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

/// Whether one holds: it outweighs those that nobody knows of.
fn some(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    every(verdicts.map(|verdict| verdict.map(|known| !known))).map(|none| !none)
}
