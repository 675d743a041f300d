//! Wanted minus seen, inside the guards.
//!
//! A [`Draft`] is fed one person at a time and keeps, packed, only what differs from upstream, so a plan
//! over a million people costs what it changes. [`Draft::finish`] adds the lists to be created and the
//! members who are nobody, and says what was held back; [`guard::check`] is the second pair of eyes.

mod consent;
mod draft;
mod effects;
pub mod guard;
mod lists;
mod members;
mod packed;
mod reasons;
#[cfg(test)]
mod tests;
mod values;

pub use draft::{Draft, ListChange, Plan, Seen, SeenList};
pub use effects::{Effects, Group, Planned};
pub use guard::{Circumstances, Legibility, Listing, Spent, Trip};
pub use members::{Memberships, SegmentMembers};
