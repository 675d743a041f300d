//! A pass for eyes and for tools: text for a terminal, JSON for everything else.

mod diff;
mod freshness;
mod json;
pub mod relations;
pub mod segments;
mod text;

pub use diff::{Diff, change};
pub use json::{data_requests, summary as json};
pub use text::summary as text;
