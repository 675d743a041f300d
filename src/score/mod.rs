//! What the numbers say about one person: orders, spend, lifecycle stage, engagement tier, and the
//! classic recency, frequency and money scores.
//!
//! Everything is computed from one dossier and `now`; what lies later than `now` does not count.

mod facts;
mod lifecycle;
mod rfm;
mod roles;
mod tier;

#[cfg(test)]
pub(crate) mod fixtures;

pub use facts::{Facts, facts};
pub use lifecycle::stage;
pub use rfm::{RfmInput, RfmScores, rfm_scores};
pub use roles::{Act, Bounce, Roles, human};
pub use tier::tier;
