//! A pass for eyes and for tools: text for a terminal, JSON for everything else.

mod json;
mod text;

pub use json::summary as json;
pub use text::summary as text;
