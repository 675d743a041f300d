//! Who is who: which records of the two platforms describe the same human, and how good the
//! addresses on them are.
//!
//! Evidence, hardest first: a Shopify customer id, an e-mail match key, a phone number. Records
//! that contradict each other in a harder key are never united; the contradiction is a finding.
//! Nothing here is ever merged upstream (analytics.md, section 8).

mod clusters;
mod countries;
pub mod email;
mod keys;
mod people;
pub mod phone;
mod providers;
mod quality;

pub use keys::{Keys, Kind, keys};
pub use people::People;
pub use quality::quality;
